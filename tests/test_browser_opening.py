"""The opening figure in a browser: it moves by keyboard, mouse and address, and draws what it should."""

import json
import re
from dataclasses import replace

import pytest

from tools import intro_figures, opening, opening_page
from tools.browser import DESKTOP, PHONE, SETTLE, chromium, find
from tools.build_book import PAGES

pytestmark = [
    pytest.mark.built,
    pytest.mark.skipif(not (PAGES / "intro.html").exists(), reason="the book is not built: make book"),
    pytest.mark.skipif(find() is None, reason="no Chromium was found (apt-get install chromium)"),
    pytest.mark.xdist_group("opening"),
]
HTML = intro_figures.PATH.read_text(encoding="utf-8")
DATA = json.loads(re.search(r'<script type="application/json">(.*?)</script>', HTML, re.S)[1])
CONTROLS = ("n", "p", "tau")
# All that moves, by the names that the code gives it.
LOOK = """(() => {const root = document.getElementById("rf-opening"), found = {};
  root.querySelectorAll("[data-m]").forEach(e => {
    const at = found[e.dataset.m] = {};
    ["d", "x", "y", "width", "cx", "cy", "x1", "x2"].filter(a => e.hasAttribute(a)).forEach(a => {
      at[a] = e.getAttribute(a)})});
  return {marks: found, said: root.querySelector("output").textContent,
    shown: root.querySelector(".rf-shown").textContent,
    live: root.querySelector("output").getAttribute("aria-live"),
    places: [...root.querySelectorAll("input")].map(i => +i.value),
    spoken: [...root.querySelectorAll("input")].map(i => i.getAttribute("aria-valuetext")),
    seen: [...root.querySelectorAll(".rf-value")].map(i => i.textContent),
    pressed: root.querySelector("button").getAttribute("aria-pressed")}})()"""
FOCUS = 'document.getElementById("rf-opening-%s").focus()'
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@pytest.fixture(scope="module")
def tab():
    with chromium() as page:
        page.show_on(DESKTOP)
        yield page


@pytest.fixture
def page(tab):
    tab.show_on(DESKTOP)
    tab.open("about:blank")
    tab.open((PAGES / "intro.html").as_uri())
    return tab


def same(drawn, expected):
    """Attributes agree to the tenth of a unit to which both are rounded, each in its own way."""
    for key, value in expected.items():
        assert NUMBER.sub("#", drawn[key]) == NUMBER.sub("#", value), key
        pairs = zip(NUMBER.findall(drawn[key]), NUMBER.findall(value), strict=True)
        assert all(abs(float(a) - float(b)) < 0.11 for a, b in pairs), key


@pytest.mark.parametrize(
    "place", [None, (0, 0, 0), (14, 10, 72), (2, 6, 20), (6, 6, 40), (12, 1, 70), (7, 9, 33)]
)
def test_each_state_is_drawn_as_the_code_draws_it(page, place):
    """The script against tools/opening_page.py, mark by mark and word by word; None: as the page opens."""
    if place is None:
        place = opening.START
    else:
        setting = "; ".join(
            f'document.getElementById("rf-opening-{key}").value = {value}'
            for key, value in zip(CONTROLS, place, strict=True)
        )
        page.run(f'{setting}; document.getElementById("rf-opening-n").dispatchEvent(new Event("input"))')
    look = page.run(LOOK)
    i, j, k = look["places"]
    assert (i, j, k) == tuple(place)
    for name, expected in opening_page.marks(DATA, i, j, k).items():
        same(look["marks"][name], expected)
    _, verdict, text = opening_page.said(DATA, i, j, k)
    number, words = opening_page.shown(DATA, i, k)
    assert look["said"] == verdict + text
    assert look["shown"] == words
    assert float(look["marks"]["sheet"]["y"]) == -27 * number
    assert not page.complaints


@pytest.mark.parametrize("key", CONTROLS)
def test_each_control_answers_to_the_keyboard(page, key):
    m = CONTROLS.index(key)
    page.run(FOCUS % key)
    looks = []
    for name, code in (("Home", 36), ("ArrowRight", 39), ("End", 35)):
        page.press(name, code)
        looks.append(page.run(LOOK))
    last = (len(opening.SAMPLES), len(opening.FEATURES), opening.TAU.size)[m] - 1
    assert [look["places"][m] for look in looks] == [0, 1, last]
    for first, second in zip(looks, looks[1:], strict=False):
        assert first["marks"] != second["marks"]
        assert first["said"] != second["said"]
        assert first["spoken"][m] != second["spoken"][m]
    assert all(look["spoken"] == look["seen"] for look in looks)
    if key != "p":  # the networks have no p
        assert looks[0]["marks"]["sheet"] != looks[2]["marks"]["sheet"]


def test_play_moves_time_until_it_is_stopped_and_is_quiet_meanwhile(page):
    page.run('document.querySelector("#rf-opening button").focus()')
    page.press(" ", 32)
    assert page.run(LOOK)["live"] == "off"
    waited = "new Promise(done => setTimeout(() => done(0), 700))"
    page.run(waited)
    moved = page.run(LOOK)
    assert moved["places"][:2] == list(opening.START[:2])
    assert moved["places"][2] > opening.START[2]
    page.press(" ", 32)
    stopped = page.run(LOOK)
    assert (stopped["pressed"], stopped["live"]) == ("false", "polite")
    page.run(waited)
    assert page.run(LOOK)["places"] == stopped["places"]


def test_play_goes_in_few_calm_steps_for_readers_who_want_little_motion(page):
    page.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    page.open((PAGES / "intro.html").as_uri())
    page.run('document.querySelector("#rf-opening button").click()')
    places = []
    for wait in (800, 1200):
        page.run(f"new Promise(done => setTimeout(() => done(0), {wait}))")
        places.append(page.run(LOOK)["places"][2])
    assert places == [opening.START[2], opening.START[2] + opening.PER_DECADE // 2]


def test_time_can_be_dragged_in_the_picture(page):
    box = page.run("""(() => {const plot = document.querySelector("#rf-opening .rf-plot");
      plot.scrollIntoView({block: "center", behavior: "instant"});
      const b = plot.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]})()""")
    left, top, width, height = box
    whole = opening_page.LEFT + opening_page.WIDE + opening_page.RIGHT

    def point(kind, share, buttons):
        x = left + width * (opening_page.LEFT + share * opening_page.WIDE) / whole
        button = "none" if kind == "mouseMoved" and not buttons else "left"
        page.send(
            "Input.dispatchMouseEvent", type=kind, x=x, y=top + height / 2, button=button, buttons=buttons,
            clickCount=1,
        )  # fmt: skip

    for kind, share, buttons, place in (
        ("mousePressed", 0.25, 1, 18), ("mouseMoved", 0.75, 1, 54), ("mouseReleased", 0.75, 0, 54),
        ("mouseMoved", 0.1, 0, 54),
    ):  # fmt: skip
        point(kind, share, buttons)
        assert page.run(LOOK)["places"][2] == place


def test_the_address_names_the_state(page):
    page.run(FOCUS % "n")
    page.press("Home", 36)
    page.run("new Promise(done => setTimeout(() => done(0), 800))")
    address = page.run("location.href")
    assert address.endswith("#n=20&p=1024&tau=100")
    before = page.run(LOOK)
    page.open("about:blank")
    page.open(address)
    after = page.run(LOOK)
    assert (after["places"], after["said"]) == (before["places"], before["said"])
    assert not page.complaints


@pytest.mark.parametrize("width", [340, 375, 1280])
def test_nothing_overflows_and_the_words_can_be_read(page, width):
    """No scroll bar, no control under 24 pixels, no letter of the drawing under 10.5 pixels."""
    page.show_on(replace(PHONE if width < 600 else DESKTOP, width=width))
    page.run(SETTLE)
    shape = page.run("""(() => {
      const root = document.getElementById("rf-opening"), box = e => e.getBoundingClientRect();
      const texts = [...root.querySelectorAll(".rf-plot text")].filter(e => +e.getAttribute("x") > -999);
      const plot = root.querySelector(".rf-plot");
      return {over: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        inner: root.scrollWidth - root.clientWidth,
        small: Math.min(...[...root.querySelectorAll("input, button")].map(e => box(e).height)),
        letters: parseFloat(getComputedStyle(plot).fontSize) * box(plot).width / plot.viewBox.baseVal.width,
        outside: texts.filter(e => box(e).right > innerWidth || box(e).left < 0).length}})()""")
    assert shape["over"] == 0 and shape["inner"] <= 0
    assert shape["small"] >= 24
    assert shape["letters"] >= 10.5
    assert not shape["outside"]


def test_without_scripts_one_state_is_seen(page):
    page.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.open((PAGES / "intro.html").as_uri())
    finally:
        page.send("Emulation.setScriptExecutionDisabled", value=False)
    i, j, k = opening.START
    look = page.run(LOOK)
    assert look["said"] == "".join(opening_page.said(DATA, i, j, k)[1:])
    for name, expected in opening_page.marks(DATA, i, j, k).items():
        assert all(look["marks"][name][key] == value for key, value in expected.items()), name
    assert page.run('document.querySelector("#rf-opening .rf-controls").hidden')
