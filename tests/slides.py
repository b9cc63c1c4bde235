"""How a chapter that is open in a browser is judged as slides."""

import re

from tools.browser import DESKTOP, SETTLE, Device

SMALL, LARGE = Device("projector", 1280, 720), Device("wall", 1920, 1080)
# The page opens its slides by itself, some time after it has loaded and its formulas are typeset.
STARTED = """new Promise((done, failed) => { const end = performance.now() + 20000; (function look() {
  if (rfProject.state()) done(0);
  else if (performance.now() > end) failed(new Error("the slides of this address did not open"));
  else setTimeout(look, 20);})(); })"""
# What must be on some slide, by kind; `folded` is what only shows when asked for.
TRACK = """(() => {
  const article = document.querySelector("article");
  window.tracked = [...article.querySelectorAll(
    ".cell_output img, .rf-slider, .proof.admonition, .exercise, .solution, div.math, table.table, "
    + ".cell_output pre, h1")];
  window.seen = new Set();
  return tracked.length})()"""
LOOK = """(() => {
  const article = document.querySelector("article.bd-article"), frame = article.getBoundingClientRect();
  const shows = e => e.checkVisibility({visibilityProperty: true}) && e.getBoundingClientRect().height > 0;
  tracked.forEach((e, k) => { if (shows(e)) seen.add(k); });
  const fits = [...article.querySelectorAll(".rf-fit")].filter(shows);
  const running = [...article.querySelectorAll("p, li")].filter(
    e => shows(e) && !e.closest(".rf-fit, table, pre, .rf-slider") && !e.querySelector(".rf-fit"));
  const inside = [...article.querySelectorAll("p, img, svg, pre, td, button")].filter(
    e => shows(e) && !e.closest("mjx-assistive-mml")).map(e => [e, e.getBoundingClientRect()]);
  return {
    over: [article.scrollWidth - article.clientWidth, article.scrollHeight - article.clientHeight],
    outside: inside.filter(([e, r]) => r.right > frame.right + 1 || r.left < frame.left - 1
      || r.bottom > frame.bottom - innerHeight * 0.05 || r.top < frame.top - 1).map(
      ([e]) => e.outerHTML.slice(0, 200)),
    type: Math.min(99, ...running.map(e => parseFloat(getComputedStyle(e).fontSize))),
    smallest: Math.min(1, ...fits.map(e => +e.style.getPropertyValue("--rf-fit"))),
    focus: document.activeElement.matches("article :is(h1, h2, h3, h4)") && shows(document.activeElement),
    said: document.querySelector(".rf-deck [role=status]").textContent, hash: location.hash}})()"""
# One look at each slide, within the browser.
SWEEP = f"""(() => {{const all = [];
  for (let k = 1; k <= rfProject.state().slides.length; k += 1) {{ rfProject.go(k); all.push({LOOK}); }}
  return all}})()"""
# Without what the theme changes by itself: marks on links to where one is, and which boxes scroll.
PAGE = """document.querySelector("article").innerHTML.replace(/ class="(active)?"/g, "")
  .replace(/ active"/g, '"').replace(/ tabindex="-?[01]"/g, "")"""
# The first difference between the page as it was and as it is, or null.
CHANGED = f"""(() => {{const now = {PAGE};
  if (now === before) return null;
  let k = 0; while (now[k] === before[k]) k += 1;
  return [before.slice(k - 150, k + 150), now.slice(k - 150, k + 150)]}})()"""
LEFT_OUT = """tracked.filter((e, k) => !seen.has(k)).map(e => e.outerHTML.slice(0, 200))"""


def walk(tab):
    """What each slide shows, from the first to the last, by the arrow key."""
    tab.press("Home", 36)
    slides = [tab.run(LOOK)]
    total = int(re.search(r"(\d+)$", slides[0]["said"])[1])
    for _ in range(total - 1):
        tab.press("ArrowRight", 39)
        slides.append(tab.run(LOOK))
    assert [slide["hash"] for slide in slides] == [f"#slide-{k + 1}" for k in range(total)]
    tab.press("ArrowRight", 39)
    assert tab.run("location.hash") == f"#slide-{total}", "the last slide is not the last"
    return slides


def judged(slides, type_size):
    """Nothing runs over, the type is large, and the focus is on the heading."""
    for number, slide in enumerate(slides, 1):
        assert slide["over"] == [0, 0], f"slide {number} runs over by {slide['over']}"
        assert not slide["outside"], f"slide {number}: {slide['outside']}"
        assert slide["type"] >= type_size, f"slide {number}: type of {slide['type']} pixels"
        assert slide["smallest"] >= 0.5, f"slide {number}: set at {slide['smallest']} of the size"
        assert slide["focus"], f"slide {number}: the focus is not on the heading"


def projected(tab):
    """A chapter that is open is walked through as slides, twice, and is as before at the end."""
    tab.show_on(DESKTOP)
    tab.run(f"window.before = {PAGE}; 0")
    tab.show_on(SMALL)
    tab.run(TRACK)
    tab.press("p", 80)
    judged(walk(tab), 28)
    hidden = tab.run("tracked.filter((e, k) => e.matches('.solution') && seen.has(k)).length")
    assert hidden == 0, "a solution shows before it is asked for"
    shown = tab.run("tracked.every((e, k) => !e.matches('.exercise, .proof, .rf-slider') || seen.has(k))")
    assert shown, tab.run(LEFT_OUT)
    tab.press("S", 83)
    judged(tab.run(SWEEP), 28)
    assert not tab.run(LEFT_OUT)
    tab.show_on(LARGE)
    judged(tab.run(SWEEP), 42)
    tab.press("Escape", 27)
    tab.show_on(DESKTOP)
    tab.run(SETTLE)
    changed = tab.run(CHANGED)
    assert changed is None, f"the page is not as it was: {changed}"
    assert tab.run("document.querySelector('.rf-deck, article :is(h1, h2, h3, h4)[tabindex]') === null")
    assert tab.run("location.hash") == ""
