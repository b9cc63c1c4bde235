"""The built pages in a browser: quiet console, typeset formulas, no overflow, working sliders, axe."""

import http.server
import threading
from pathlib import Path

import pytest

from tools.browser import DESKTOP, DESKTOP_DARK, PHONE, PHONE_DARK, chromium, find
from tools.build_book import PAGES

pytestmark = [
    pytest.mark.built,
    pytest.mark.skipif(not (PAGES / "index.html").exists(), reason="the book is not built: make book"),
    pytest.mark.skipif(find() is None, reason="no Chromium was found (apt-get install chromium)"),
]
FILES = [PAGES / "intro.html", *sorted((PAGES / "chapters").glob("*.html"))]
EACH = pytest.mark.parametrize("html", FILES, ids=lambda p: p.stem)
AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
# Drawn formulas are hidden from screen readers, which get MathML; without the strokes axe is fast.
ERASE = """document.querySelectorAll("mjx-container > svg").forEach(drawing => drawing.replaceChildren())"""
AXE_RUN = """axe.run(document,
  {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], resultTypes: ["violations"], preload: false})
  .then(found => found.violations.filter(v => ["serious", "critical"].includes(v.impact)).flatMap(v =>
    v.nodes.map(n => ({rule: v.id, target: n.target.join(" "), html: n.html.slice(0, 160),
      ours: !!document.querySelector(n.target[0])?.closest("article")}))))"""
# Colours are judged when they have stopped changing from light to dark.
FADED = """Promise.allSettled(document.getAnimations().filter(a => a instanceof CSSTransition)
  .map(a => a.finished)).then(() => 0)"""
# The theme's own buttons have a longer name than the text seen on them; the theme sets it again.
THEME_RULE = "label-content-name-mismatch"
SHAPE = """({
  over: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  formulas: document.querySelectorAll(".math").length,
  typeset: document.querySelectorAll("mjx-container").length,
  wrong: [...document.querySelectorAll("[data-mml-node=merror], g[data-mml-node=mtext][fill=red]")].map(
    e => e.closest("mjx-container").textContent.slice(0, 200)),  // errors, and macros that are unknown
  unseen: [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src),
  theme: document.documentElement.dataset.theme})"""
SLIDER = """(() => {const root = document.querySelectorAll(".rf-slider")[%d];
  return {frame: +root.dataset.frame, last: +root.querySelector("input").max,
    ink: [...root.querySelectorAll("path")].map(p => p.getAttribute("d")).join("|"),
    said: root.querySelector("output").textContent}})()"""


@pytest.fixture(scope="module")
def tab():
    with chromium() as page:
        yield page


def quiet(tab, root):
    """Nothing on the console, nothing asked from elsewhere."""
    assert not tab.complaints
    strangers = [url for url in tab.requests if not url.startswith((root, "data:", "blob:", "about:"))]
    assert not strangers


def sound(tab, dark):
    shape = tab.run(SHAPE)
    assert shape["over"] == 0, "the page is wider than the screen"
    assert shape["typeset"] == shape["formulas"]
    assert not shape["wrong"]
    assert not shape["unseen"]
    assert shape["theme"] == ("dark" if dark else "light")


def accessible(tab):
    if not tab.run("!!window.axe"):
        tab.run(f"{AXE}; {ERASE}; 0")
    tab.run(FADED)
    assert not [f for f in tab.run(AXE_RUN) if f["ours"] or f["rule"] != THEME_RULE]


@EACH
@pytest.mark.parametrize("device", [(DESKTOP, DESKTOP_DARK), (PHONE_DARK, PHONE)], ids=["desktop", "phone"])
def test_page_is_sound_light_and_dark(tab, html, device):
    tab.show_on(device[0])
    tab.open(html.as_uri())
    for look in device:
        tab.show_on(look)
        sound(tab, look.dark)
        if look is not PHONE_DARK:  # its colours are those of the desktop, its layout that of the phone
            accessible(tab)
    quiet(tab, PAGES.as_uri())


@EACH
def test_sliders_answer_to_the_keyboard(tab, html):
    tab.show_on(DESKTOP)
    tab.open(html.as_uri())
    for k in range(tab.run('document.querySelectorAll(".rf-slider").length')):
        tab.run(f'document.querySelectorAll(".rf-slider")[{k}].querySelector("input").focus()')
        tab.press("Home", 36)
        first = tab.run(SLIDER % k)
        tab.press("ArrowRight", 39)
        second = tab.run(SLIDER % k)
        tab.press("End", 35)
        last = tab.run(SLIDER % k)
        assert (first["frame"], second["frame"], last["frame"]) == (0, 1, first["last"])
        assert first["ink"] != last["ink"], "the figure does not move"
        assert first["said"] != last["said"], "the words do not change"
    quiet(tab, PAGES.as_uri())


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves the pages and keeps no log."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, directory=PAGES, **options)

    def log_message(self, *arguments):
        pass


def test_a_page_over_http(tab):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), QuietHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        tab.show_on(DESKTOP)
        tab.open(address + "intro.html")
        sound(tab, dark=False)
        quiet(tab, address)
        server.shutdown()
