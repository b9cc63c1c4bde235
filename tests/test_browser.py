"""The built pages in a browser: quiet console, typeset formulas, no overflow, working sliders, axe."""

import http.server
import threading
from pathlib import Path

import pytest

from tests.slides import projected
from tools.browser import DESKTOP, DESKTOP_DARK, DEVICES, PHONE, PHONE_DARK, SETTLE, Device, chromium, find
from tools.build_book import PAGES

pytestmark = [
    pytest.mark.built,
    pytest.mark.skipif(not (PAGES / "index.html").exists(), reason="the book is not built: make book"),
    pytest.mark.skipif(find() is None, reason="no Chromium was found (apt-get install chromium)"),
]
FILES = [PAGES / "intro.html", *sorted((PAGES / "chapters").glob("*.html"))]
AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
# Drawn formulas are hidden from screen readers, which get MathML; without the strokes axe is fast.
ERASE = """document.querySelectorAll("mjx-container > svg").forEach(drawing => drawing.replaceChildren())"""
AXE_RUN = """axe.run(document,
  {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], resultTypes: ["violations"], preload: false,
  rules: {"color-contrast": {enabled: %s}}})
  .then(found => found.violations.filter(v => ["serious", "critical"].includes(v.impact)).flatMap(v =>
    v.nodes.map(n => ({rule: v.id, target: n.target.join(" "), html: n.html.slice(0, 160),
      ours: !!document.querySelector(n.target[0])?.closest("article")}))))"""
# Colours are judged when they have stopped changing from light to dark, or after a second.
FADED = """Promise.race([
  Promise.allSettled(document.getAnimations().map(a => a.finished)),
  new Promise(done => setTimeout(done, 1000))]).then(() => 0)"""
# The theme's own buttons have a longer name than the text seen on them; the theme sets it again.
THEME_RULE = "label-content-name-mismatch"
SHAPE = """({
  over: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  formulas: document.querySelectorAll(".math").length,
  typeset: document.querySelectorAll("mjx-container").length,
  spoken: document.querySelectorAll("mjx-container > mjx-assistive-mml > math").length,
  wrong: [...document.querySelectorAll("[data-mml-node=merror], g[data-mml-node=mtext][fill=red]")].map(
    e => e.closest("mjx-container").textContent.slice(0, 200)),  // errors, and macros that are unknown
  patches: [...document.querySelectorAll(".rf-slider")].filter(
    e => getComputedStyle(e.parentElement).backgroundColor !== "rgba(0, 0, 0, 0)").length,
  unseen: [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src),
  theme: document.documentElement.dataset.theme})"""
SLIDER = """(() => {const root = document.querySelectorAll(".rf-slider")[%d];
  return {places: [...root.querySelectorAll("input")].map(i => +i.value),
    ends: [...root.querySelectorAll("input")].map(i => +i.max), frame: +root.dataset.frame,
    ink: [...root.querySelectorAll("path")].map(p => p.getAttribute("d")).join("|")
      + [...root.querySelectorAll("image")].map(p => p.getAttribute("href")),
    said: root.querySelector("output").textContent}})()"""


@pytest.fixture(scope="module")
def tab():
    with chromium() as page:
        yield page


# The tests of one page go to one worker, which loads it once; other pages to whoever is free.
EACH = [pytest.param(path, id=path.stem, marks=pytest.mark.xdist_group(path.stem)) for path in FILES]


@pytest.fixture(scope="module", params=EACH)
def page(tab, request):
    """A page of the book, loaded from the file system on a desktop; the tests of one page share it."""
    tab.show_on(DESKTOP)
    tab.open(request.param.as_uri())
    return tab


def quiet(tab, root):
    """Nothing on the console, nothing asked from elsewhere."""
    assert not tab.complaints
    strangers = [url for url in tab.requests if not url.startswith((root, "data:", "blob:", "about:"))]
    assert not strangers


def sound(tab, device):
    tab.show_on(device)
    shape = tab.run(SHAPE)
    assert shape["over"] == 0, "the page is wider than the screen"
    assert shape["typeset"] == shape["formulas"] == shape["spoken"]  # drawn, and for screen readers
    assert not shape["wrong"]
    assert not shape["unseen"]
    assert not shape["patches"], "an interactive figure lies on paper of another colour than the page"
    assert shape["theme"] == ("dark" if device.dark else "light")


def accessible(tab, device):
    tab.show_on(device)
    if not tab.run("!!window.axe"):
        tab.run(f"{AXE}; {ERASE}; 0")
    tab.run(FADED)
    # Colours are judged on the desktop: they are the same on a phone.
    found = tab.run(AXE_RUN % ("false" if device.phone else "true"))
    assert not [f for f in found if f["ours"] or f["rule"] != THEME_RULE]


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
def test_page_is_sound(page, device):
    sound(page, device)
    quiet(page, PAGES.as_uri())


# An A4 sheet without its margins, in CSS pixels.
PAPER = Device("paper", 673, 940)
PRINTED = """(() => {const shown = s => [...document.querySelectorAll(s)].filter(e => e.checkVisibility());
  const article = document.querySelector("article").getBoundingClientRect();
  return {left: shown(".bd-sidebar-primary, .bd-sidebar-secondary, .bd-header-article, .prev-next-area,"
      + " .copybtn, .headerlink, .toggle-button, .rf-slider input").length,
    folded: [...document.querySelectorAll("article .toggle-hidden > :is(p, section)")].filter(
      e => e.getBoundingClientRect().height < 8).length,
    wide: shown("article :is(div.math mjx-container > svg, img, table, .rf-slider svg)").map(
      e => [e.getBoundingClientRect().right - article.right, e]).filter(([over]) => over > 2).map(
      ([over, e]) => Math.round(over) + " " + (e.closest("div.math")?.id || e.outerHTML.slice(0, 80)))}})()"""


def test_page_on_paper(page):
    """Printed, a page is its article: unfolded, and no wider than the sheet."""
    page.show_on(PAPER)
    page.send("Emulation.setEmulatedMedia", media="print")
    page.run(SETTLE)
    printed = page.run(PRINTED)
    page.send("Emulation.setEmulatedMedia", media="")
    assert printed == {"left": 0, "folded": 0, "wide": []}


def test_sliders_answer_to_the_keyboard(page):
    page.show_on(DESKTOP)
    for k in range(page.run('document.querySelectorAll(".rf-slider").length')):
        for j in range(len(page.run(SLIDER % k)["ends"])):
            page.run(f'document.querySelectorAll(".rf-slider")[{k}].querySelectorAll("input")[{j}].focus()')
            page.press("Home", 36)
            first = page.run(SLIDER % k)
            page.press("ArrowRight", 39)
            second = page.run(SLIDER % k)
            page.press("End", 35)
            last = page.run(SLIDER % k)
            assert [f["places"][j] for f in (first, second, last)] == [0, 1, last["ends"][j]]
            assert first["frame"] == first["places"][0]
            assert first["ink"] != last["ink"], "the figure does not move"
            assert first["said"] != last["said"], "the words do not change"
    quiet(page, PAGES.as_uri())


def test_chapter_as_slides(page):
    """Each chapter can be projected: nothing runs over, nothing is left out, and the page comes back."""
    if page.run("!!document.querySelector('.rf-project-button')"):
        projected(page)
    quiet(page, PAGES.as_uri())


@pytest.mark.parametrize("device", [DESKTOP, DESKTOP_DARK, PHONE], ids=lambda device: device.name)
def test_page_is_accessible(page, device):
    accessible(page, device)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves the pages and keeps no log."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, directory=PAGES, **options)

    def log_message(self, *arguments):
        pass


@pytest.mark.parametrize("device", [DESKTOP, PHONE_DARK], ids=lambda device: device.name)
def test_a_page_over_http(tab, device):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), QuietHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        tab.show_on(device)
        tab.open(address + "intro.html")
        sound(tab, device)
        quiet(tab, address)
        server.shutdown()
