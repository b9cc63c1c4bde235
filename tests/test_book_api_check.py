"""check, seed, the palette and the house style."""

import itertools
import math
import re
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcore import book

SETTINGS = settings(max_examples=60, deadline=None, derandomize=True)


@SETTINGS
@given(st.floats(0, 1e3), st.floats(1e-300, 1e3))
def test_check_holds_exactly_when_the_error_is_at_most_the_tolerance(error, tolerance):
    if error <= tolerance:
        book.check("eq-x", error=error, tolerance=tolerance)
    else:
        with pytest.raises(book.CheckFailed, match="eq-x"):
            book.check("eq-x", error=error, tolerance=tolerance)


def test_check_prints_the_verdict_and_apart_from_it_what_was_measured(capsys):
    book.check("eq-duhamel", error=[1e-13, -3.1e-12], tolerance=1e-9)
    assert capsys.readouterr().out == "eq-duhamel holds (tolerance 1e-09)\nmeasured 3.1e-12\n"


@pytest.mark.parametrize("error", [math.nan, math.inf, [0.0, math.nan], [0.0, -math.inf], 1j * 2])
def test_check_fails_for_what_is_not_finite_or_too_large(error):
    with pytest.raises(AssertionError, match="tolerance 1"):
        book.check("eq-x", error=error, tolerance=1.0)


@pytest.mark.parametrize(
    ("label", "error", "tolerance", "named"),
    [
        ("", 0.0, 1.0, "label"),
        ("two\nlines", 0.0, 1.0, "label"),
        (3, 0.0, 1.0, "label"),
        ("x", [], 1.0, "error"),
        ("x", "small", 1.0, "error"),
        ("x", 0.0, 0.0, "tolerance"),
        ("x", 0.0, -1.0, "tolerance"),
        ("x", 0.0, math.nan, "tolerance"),
        ("x", 0.0, math.inf, "tolerance"),
    ],
)
def test_check_refuses_bad_input(label, error, tolerance, named):
    with pytest.raises(ValueError, match=named):
        book.check(label, error=error, tolerance=tolerance)


def test_seeds_of_different_shifts_do_not_meet(monkeypatch):
    monkeypatch.delenv("RFCORE_SEED_SHIFT", raising=False)
    plain = [book.seed(k) for k in range(5)]
    assert plain == list(range(5))
    every = set(plain)
    for shift in range(1, 8):
        monkeypatch.setenv("RFCORE_SEED_SHIFT", str(shift))
        every |= {book.seed(k) for k in range(5)}
    assert len(every) == 40


@pytest.mark.parametrize("shift", ["", "one", "-1", "1.5"])
def test_seed_refuses_a_shift_that_is_not_a_whole_number(monkeypatch, shift):
    monkeypatch.setenv("RFCORE_SEED_SHIFT", shift)
    with pytest.raises(ValueError, match="RFCORE_SEED_SHIFT"):
        book.seed(0)


# Linear-RGB matrices of Machado, Oliveira and Fernandes (2009), severity 1.
VISION = {
    "typical": np.eye(3),
    "protan": [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998],
    "deutan": [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881],
    "tritan": [1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.3039],
}


def linear_rgb(color: str) -> np.ndarray:
    c = np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE Lab of linear sRGB: distances of about 2 are just seen, of 20 not missed in a thin line."""
    x = [0.4124564, 0.3575761, 0.1804375]
    y = [0.2126729, 0.7151522, 0.0721750]
    z = [0.0193339, 0.1191920, 0.9503041]
    to_xyz = np.array([x, y, z])
    f = np.cbrt(to_xyz @ np.clip(rgb, 0, 1) / np.array([0.95047, 1.0, 1.08883]))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", VISION)
def test_colours_are_told_apart_by_every_kind_of_colour_vision(vision):
    seen = [lab(np.reshape(VISION[vision], (3, 3)) @ linear_rgb(c)) for c in book.COLORS]
    apart = {
        (a, b): np.linalg.norm(seen[a] - seen[b]) for a, b in itertools.combinations(range(len(seen)), 2)
    }
    assert min(apart.values()) > 20, min(apart, key=apart.get)


@pytest.mark.parametrize("color", book.COLORS)
def test_colours_stand_out_from_white_and_from_the_dark_page(color):
    def luminance(c):
        return linear_rgb(c) @ np.array([0.2126, 0.7152, 0.0722])

    ink = luminance(color)
    assert (luminance("#ffffff") + 0.05) / (ink + 0.05) >= 3
    assert (ink + 0.05) / (luminance("#14181e") + 0.05) >= 3


@pytest.mark.parametrize("series", [[2**k for k in range(7)], [100, 200, 500, 1000], [1, 4, 16, 64]])
def test_neighbours_in_a_series_of_sizes_have_different_colours(series):
    colors = [book.color_of(n) for n in series]
    assert len(set(colors)) == len(series)
    assert colors == [book.color_of(0.99 * n) for n in series]


@pytest.fixture
def figures():
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    before = dict(plt.rcParams)
    yield plt
    plt.close("all")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert dict(plt.rcParams) == before  # house style never leaks into the reader's session


def test_panels_give_one_axes_or_a_list_in_reading_order(figures):
    fig, ax = book.panels(ratio=0.5)
    assert fig.dpi == 110
    assert ax.get_position().height > 0
    width, height = fig.get_size_inches()
    assert height == pytest.approx(0.5 * width)
    _, axes = book.panels(columns=2, rows=2)
    assert [a.get_subplotspec().num1 for a in axes] == [0, 1, 2, 3]


def test_theory_is_a_line_and_measurements_are_points(figures):
    _, ax = book.panels()
    book.theory(ax, [1, 2], [3, 4], label="theory")
    book.measured(ax, [1, 2], [3, 4], error=[0.1, 0.2], label="measured")
    line, points = ax.lines[0], ax.lines[1]
    assert (line.get_linestyle(), line.get_marker()) == ("-", "None")
    assert (points.get_linestyle(), points.get_marker()) == ("None", "o")
    assert line.get_color() != points.get_color()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["theory", "measured"]


@pytest.mark.parametrize(
    ("x", "y", "at", "side"),
    [
        (0.3, 2.0, (0.3, 2.0), "center"),
        ([0, 1, 2], [1, 5, 1], (1, 5), "center"),
        ([0, 1, 2], [5, 2, 1], (0, 5), "left"),
        ([0, 1, 2], [1, np.nan, 3], (2, 3), "right"),
    ],
)
def test_a_name_stands_at_the_point_or_at_the_top_of_the_curve(figures, x, y, at, side):
    _, ax = book.panels()
    book.name_curve(ax, x, y, "name", "black")
    assert (tuple(ax.texts[0].xy), ax.texts[0].get_ha()) == (at, side)


@pytest.mark.parametrize("log", [False, True])
def test_histogram_has_the_mass_it_is_told(figures, log):
    _, ax = book.panels()
    values = np.random.default_rng(0).exponential(size=400)
    book.histogram(ax, values, 20, mass=0.25, log=log)
    heights, edges, _ = ax.patches[0].get_data()
    assert heights @ np.diff(edges) == pytest.approx(0.25, rel=1e-12)
    assert ax.get_xscale() == ("log" if log else "linear")


def test_image_grid_keeps_every_pixel_in_its_place(figures):
    _, ax = book.panels()
    images = np.arange(5 * 2 * 3, dtype=float).reshape(5, 2, 3)
    book.image_grid(ax, images, columns=3)
    shown = ax.images[0].get_array()
    assert shown.shape == (5, 11)
    np.testing.assert_array_equal(shown[:2, 4:7], images[1])
    np.testing.assert_array_equal(shown[3:, 0:3], images[3])
    assert shown.mask[2].all() and shown.mask[:, 3].all()


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda ax: book.panels(columns=3), "columns"),
        (lambda ax: book.panels(ratio=0), "ratio"),
        (lambda ax: book.histogram(ax, [], 3), "values"),
        (lambda ax: book.histogram(ax, [0.0, 1.0], 3, log=True), "values"),
        (lambda ax: book.histogram(ax, [0.0, 1.0], 0), "bins"),
        (lambda ax: book.image_grid(ax, np.zeros((2, 2)), 2), "images"),
        (lambda ax: book.image_grid(ax, np.zeros((0, 2, 2)), 2), "images"),
        (lambda ax: book.name_curve(ax, [1, 2], [1], "name", "black"), "x, y"),
        (lambda ax: book.name_curve(ax, [1], [np.nan], "name", "black"), "x, y"),
        (lambda ax: book.color_of(0), "n = 0"),
        (lambda ax: book.live(print), "ranges"),
        (lambda ax: book.live(print, x=[]), "x"),
        (lambda ax: book.live(print, x=(2, 1)), "x"),
    ],
)
def test_bad_input_is_named(figures, call, named):
    _, ax = book.panels()
    with pytest.raises(ValueError, match=re.escape(named)):
        call(ax)
