"""Keys, colours, addresses and printed pages of the projector view; test_browser.py walks all chapters."""

import base64
import re
from pathlib import Path

import pytest

from tests.slides import LOOK, SMALL, STARTED, SWEEP, TRACK, judged
from tools.browser import SETTLE, Device, chromium, find
from tools.build_book import PAGES

pytestmark = [
    pytest.mark.built,
    pytest.mark.skipif(not (PAGES / "index.html").exists(), reason="the book is not built: make book"),
    pytest.mark.skipif(find() is None, reason="no Chromium was found (apt-get install chromium)"),
]
CHAPTERS = sorted((PAGES / "chapters").glob("[0-9][0-9]-*.html"))
ONE = [pytest.param(path, id=path.stem, marks=pytest.mark.xdist_group("slides")) for path in CHAPTERS[3:4]]
DARK = Device("projector-dark", 1280, 720, dark=True)
PHONE = Device("phone", 375, 812)
AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
AXE_RUN = """axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], preload: false,
  resultTypes: ["violations"]}).then(found => found.violations.flatMap(v =>
    v.nodes.map(n => v.id + " " + n.html.slice(0, 160))))"""


@pytest.fixture(scope="module")
def tab():
    with chromium() as page:
        yield page


@pytest.mark.parametrize("path", ONE)
def test_keys_buttons_and_addresses(tab, path):
    tab.show_on(SMALL)
    tab.open(path.as_uri() + "#slide-3")
    tab.run(STARTED)
    tab.run(TRACK)
    look = tab.run(LOOK)
    assert look["said"].startswith("Slide 3 of ")
    for key, code, number in [("PageDown", 34, 4), (" ", 32, 5), ("PageUp", 33, 4), ("ArrowLeft", 37, 3)]:
        tab.press(key, code)
        assert tab.run("location.hash") == f"#slide-{number}"
    tab.press("c", 67)
    assert tab.run("[...document.querySelectorAll('.rf-deck button[aria-pressed=true]')].length") == 1
    judged(tab.run(SWEEP), 28)
    tab.press("c", 67)
    tab.press("n", 78)
    notes = [tab.run("document.querySelector('.rf-deck-notes').textContent.length")]
    for _ in range(5):
        tab.press("ArrowRight", 39)
        notes.append(tab.run("document.querySelector('.rf-deck-notes').textContent.length"))
    assert max(notes) > 300
    tab.press("n", 78)
    # A slider keeps its arrows; the page keys that a pointer sends turn the slide.
    place = tab.run("""(() => {const s = rfProject.state();
      const k = s.slides.findIndex(slide => slide.units.some(u => u.el.querySelector(".rf-slider")));
      location.hash = "slide-" + (k + 1); return k + 1})()""")
    tab.run(SETTLE)
    value = "document.activeElement.value"
    tab.run("[...document.querySelectorAll('.rf-slider input')].find(e => e.checkVisibility()).focus()")
    before = tab.run(value)
    tab.press("ArrowRight", 39)
    assert tab.run(value) != before
    assert tab.run("location.hash") == f"#slide-{place}"
    tab.press("PageDown", 34)
    assert tab.run("location.hash") == f"#slide-{place + 1}"
    tab.press("p", 80)
    assert tab.run("rfProject.state()") is None
    assert not tab.complaints


@pytest.mark.parametrize("path", ONE)
def test_slides_are_accessible_in_both_colours(tab, path):
    for device in (SMALL, DARK):
        tab.show_on(device)
        tab.open(path.as_uri() + "?project")
        tab.run(STARTED)
        tab.run(f"{AXE}; 0")
        for _ in range(2):
            tab.press("ArrowRight", 39)
            assert not tab.run(AXE_RUN)


@pytest.mark.parametrize("path", ONE)
def test_slides_on_a_phone_fit_too(tab, path):
    tab.show_on(PHONE)
    tab.open(path.as_uri() + "#project")
    tab.run(STARTED)
    tab.run(TRACK)
    assert all(slide["over"][0] == 0 for slide in tab.run(SWEEP))


@pytest.mark.parametrize("path", ONE)
def test_printed_slides_are_one_a_page(tab, path):
    tab.show_on(SMALL)
    tab.open(path.as_uri() + "#project")
    tab.run(STARTED)
    slides = tab.run("rfProject.state().slides.length")
    sheet = base64.b64decode(tab.send("Page.printToPDF", preferCSSPageSize=True)["data"])
    assert max(int(count) for count in re.findall(rb"/Count (\d+)", sheet)) == slides
    assert tab.run("document.querySelector('.rf-handout')") is None
