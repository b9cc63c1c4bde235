"""Slider figures: the data survive, the markup is safe, the layout is legible, bad input is named."""

import base64
import html.parser
import io
import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcore import book
from rfcore.book.svg import HIGH, WIDE, Axis

SETTINGS = settings(max_examples=30, deadline=None, derandomize=True)


def figure(**changes):
    x = np.linspace(0, 1, 9)
    frames = [(x, x**k) for k in (1, 2, 3)]
    arguments = {
        "layers": [
            {"kind": "line", "frames": frames, "name": "power"},
            {"kind": "points", "frames": [(x, x)]},
        ],
        "values": [1, 2, 3],
        "label": "k",
        "alt": "a curve that bends",
        "xlim": (0, 1),
        "ylim": (0, 1),
        "readout": ["straight", "bent", "more bent"],
    }
    return book.slider_figure(**{**arguments, **changes})


def pictures(**changes):
    shades = np.linspace(-1.2, 1.2, 3 * 2 * 4 * 25).reshape(3, 2, 4, 5, 5)
    arguments = {
        "frames": shades,
        "rows": ["one half", "the other"],
        "values": [10, 20, 40],
        "label": "n",
        "alt": "two rows of pictures",
        "readout": ["few", "some", "many"],
    }
    return book.picture_slider(**{**arguments, **changes})


class Page(html.parser.HTMLParser):
    """The elements of a fragment, as a browser would split it."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.open = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("input", "path", "rect"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def payload(fig):
    page = Page(fig.html)
    assert page.open == []
    return json.loads(page.scripts[0])


@SETTINGS
@given(
    st.sampled_from(["linear", "log"]),
    st.lists(st.tuples(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3)), min_size=1, max_size=20),
)
def test_the_data_survive_to_within_half_a_step_of_the_grid(scale, points):
    x, y = np.array(points).T
    limits = (1e-3, 1e3)
    for kind in ("line", "points"):
        layer = {"kind": kind, "frames": [(x, y)]}
        fig = figure(layers=[layer], xlim=limits, ylim=limits, xscale=scale, yscale=scale)
        data = payload(fig)
        stored = np.array(data["layers"][0]["frames"][0]).reshape(-1, 2) / data["q"]
        f = np.log if scale == "log" else np.asarray
        back = f(limits[0]) + stored * (f(limits[1]) - f(limits[0]))
        step = (f(limits[1]) - f(limits[0])) / data["q"]
        np.testing.assert_allclose(back, np.stack([f(x), f(y)], 1), atol=0.5 * step * (1 + 1e-9), rtol=0)


def test_the_id_is_the_figure_and_nothing_else():
    ids = [
        Page(fig.html).all("div")[0]["id"]
        for fig in (figure(), figure(), figure(alt="another"), figure(start=1))
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert figure().html == figure().html


def test_the_page_is_asked_for_nothing():
    for text in (figure().html, pictures().html):
        assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)|\bsrc\b|\bfetch\b|XMLHttp", text)
        assert not re.search(r"""\bhref\b(?!(="|", ")data:image/png;base64,)""", text)


@pytest.mark.parametrize(
    "nasty", ["</script><script>alert(1)</script>", "a < b & c > d", '" onload="x', "@DATA@ @KEY@"]
)
def test_the_authors_texts_stay_texts(nasty):
    plain, fig = Page(figure().html), figure()
    fig = figure(
        label=nasty, alt=nasty, xlabel=nasty, ylabel=nasty, readout=[nasty] * 3, values=[nasty, "b", "c"],
        layers=[
            {"kind": "line", "name": nasty, "frames": [([0, 1], [0, 1])]},
            {"kind": "points", "frames": [([], [])]},
        ],
    )  # fmt: skip
    page = Page(fig.html)
    assert page.open == []
    assert [tag for tag, _ in page.tags if tag in ("script", "div", "output")] == [
        tag for tag, _ in plain.tags if tag in ("script", "div", "output")
    ]
    assert page.all("svg")[0]["aria-label"] == nasty
    assert set(page.all("svg")[0]) == {"viewbox", "role", "aria-label"}
    assert payload(fig)["readout"] == [nasty] * 3


def test_without_script_the_start_frame_is_drawn_and_no_control_is_shown():
    page = Page(figure(start=2).html)
    drawn = [p for p in page.all("path") if "stroke" in p]
    numbers = np.array(re.findall(r"[ML]([\d.]+) ([\d.]+)", drawn[0]["d"]), dtype=float)
    x = np.linspace(0, 1, 9)
    np.testing.assert_allclose(numbers, np.stack([x * WIDE, HIGH - x**3 * HIGH], 1), atol=0.1)
    controls = next(attrs for tag, attrs in page.tags if attrs.get("class") == "rf-controls")
    assert "hidden" in controls
    assert page.all("div")[0]["data-frame"] == page.all("input")[0]["value"] == "2"


def test_controls_are_named_for_those_who_hear_the_page():
    page = Page(figure().html)
    slider = page.all("input")[0]
    assert slider["type"] == "range" and (slider["min"], slider["max"]) == ("0", "2")
    assert page.all("label")[0]["for"] == page.all("output")[0]["for"] == slider["id"]
    assert page.all("output")[0]["aria-live"] == "polite"
    assert page.all("svg")[0]["role"] == "img"
    bundle = figure()._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"} and "a curve that bends" in bundle["text/plain"]


def test_nan_lifts_the_pen_and_outside_is_kept_for_lines_only():
    x, y = np.array([0, 0.5, np.nan, 2.0]), np.array([0.5, np.nan, 0.5, 0.5])
    layers = [{"kind": "line", "frames": [(x, y)]}, {"kind": "points", "frames": [(x, y)]}]
    line, points = (layer["frames"][0] for layer in payload(figure(layers=layers))["layers"])
    assert line == [0, 2048, None, None, None, None, 8190, 2048]
    assert points == [0, 2048]


def test_names_of_close_curves_do_not_cover_each_other():
    x, slopes = np.linspace(0, 1, 60), (0.1, 0.5, 0.9)
    curves = [[(x, 0.02 * k + slope * (1 - x)) for slope in slopes] for k in range(4)]
    layers = [{"kind": "line", "name": f"curve {k}", "frames": frames} for k, frames in enumerate(curves)]
    data = payload(figure(layers=layers))
    for j in range(3):
        spots = np.array([places[j] for places in data["names"]], dtype=float) / data["q"] * [WIDE, HIGH]
        for a in range(4):
            for b in range(a):
                apart = np.abs(spots[a] - spots[b])
                assert apart[0] > 50 or apart[1] > 12, (j, a, b)
        assert np.all((spots > 0) & (spots < [WIDE, HIGH]))


def test_a_second_slider_runs_slower_and_begins_in_the_middle():
    x = np.linspace(0, 1, 5)
    frames = [(x, np.full(5, (10 * w + v) / 100)) for w in range(4) for v in range(3)]
    readout = [f"{w} {v}" for w in range(4) for v in range(3)]
    second = (["a", "b", "c", "d"], "letter")
    fig = figure(layers=[{"kind": "line", "frames": frames}], readout=readout, second=second, start=1)
    page = Page(fig.html)
    assert [slider["max"] for slider in page.all("input")] == ["2", "3"]
    assert [slider["value"] for slider in page.all("input")] == ["1", "2"]
    assert [label["for"] for label in page.all("label")] == [s["id"] for s in page.all("input")]
    drawn = next(p["d"] for p in page.all("path") if "stroke" in p)
    assert float(drawn.split()[1].split("L")[0]) == pytest.approx(HIGH * (1 - 0.21), abs=0.1)
    assert ">2 1<" in fig.html
    with pytest.raises(ValueError, match="12"):
        figure(readout=["a"] * 3, second=second)


def test_pictures_are_the_pixels_given():
    image = pytest.importorskip("PIL.Image")
    fig = pictures(start=2)
    stored = payload(fig)["pictures"]
    assert len(stored) == 3 and stored[2] in fig.html.split("<script")[0]
    pixels = np.asarray(image.open(io.BytesIO(base64.b64decode(stored[1])))).astype(float)
    assert pixels.shape == (11, 23, 2)
    want = np.clip(np.linspace(-1.2, 1.2, 600).reshape(3, 2, 4, 5, 5)[1], -1, 1)
    for i, j in np.ndindex(2, 4):
        cell = pixels[6 * i : 6 * i + 5, 6 * j : 6 * j + 5]
        np.testing.assert_allclose(cell[..., 0] / 127.5 - 1, want[i, j], atol=0.5 / 127.5 + 1e-12)
        assert np.all(cell[..., 1] == 255)
    assert np.all(pixels[5] == 0) and np.all(pixels[:, 5] == 0)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"frames": np.zeros((3, 2, 4, 5))}, "frames has shape"),
        ({"frames": np.zeros((2, 2, 4, 5, 5))}, "frames has shape"),
        ({"rows": ["one"]}, "frames has shape"),
        ({"rows": ["$x$", "y"]}, "plain text"),
        ({"readout": ["a"]}, "readout"),
        ({"alt": " "}, "alt"),
        ({"frames": np.random.default_rng(0).uniform(-1, 1, (3, 2, 4, 150, 150))}, "150000 bytes"),
    ],
)
def test_bad_pictures_are_named(changes, named):
    with pytest.raises(ValueError, match=re.escape(named)):
        pictures(**changes)


@SETTINGS
@given(st.floats(-1e4, 1e4), st.floats(1e-6, 1e6), st.floats(1e-8, 1e3), st.floats(1.01, 1e12))
def test_ticks_are_few_in_place_and_true(low, width, least, ratio):
    for axis in (Axis(low, low + width, False), Axis(least, least * ratio, True)):
        ticks = axis.ticks()
        assert 1 <= len(ticks) <= 7
        super_digits = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
        for share, text in ticks:
            plain = "1e" + text[2:].translate(super_digits) if re.search("[⁰-⁹¹²³⁻]", text) else text
            value = float(plain.replace("−", "-"))
            assert float(axis.share(value)) == pytest.approx(share, abs=2e-3)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"alt": ""}, "alt"),
        ({"label": " "}, "label"),
        ({"xlabel": "$x$"}, "plain text"),
        ({"values": [1]}, "values"),
        ({"readout": ["a", "b"]}, "readout"),
        ({"start": 3}, "start"),
        ({"start": -1}, "start"),
        ({"xlim": (1, 1)}, "xlim"),
        ({"xlim": (0, float("nan"))}, "xlim"),
        ({"ylim": (0, 1), "yscale": "log"}, "ylim"),
        ({"xscale": "cubic"}, "xscale"),
        ({"layers": []}, "layers"),
        ({"layers": [{"kind": "bars", "frames": [([0], [0])]}]}, "kind"),
        ({"layers": [{"kind": "line", "frames": [([0], [0])] * 2}]}, "frames"),
        ({"layers": [{"kind": "line", "frames": [([0, 1], [0])]}]}, "shapes"),
        ({"layers": [{"kind": "line", "frames": [([0], [0])], "colour": "red"}]}, "colour"),
        ({"layers": [{"kind": "line", "frames": [([0], [0])], "color": 'red" x="'}]}, "color"),
        ({"layers": [{"kind": "line", "frames": [([0], [0])], "name": "$x$"}]}, "name"),
        ({"layers": [{"kind": "line", "frames": [(np.zeros(30000), np.zeros(30000))]}]}, "150000 bytes"),
    ],
)
def test_bad_input_is_named(changes, named):
    with pytest.raises(ValueError, match=re.escape(named)):
        figure(**changes)
