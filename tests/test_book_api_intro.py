"""The first page: its figures are those of the code, its code prints what the page says."""

import doctest
import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

import rfcore as rf
from tools import intro_figures as intro

ROOT = Path(__file__).parent.parent


def stored(name):
    html = (ROOT / "chapters" / f"intro-{name}.html").read_text(encoding="utf-8")
    return html, json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.S)[1])


def coordinates(layers):
    """All numbers of the layers, in units of the frame."""
    return np.array([v for layer in layers for frame in layer["frames"] for v in frame], dtype=float) / 4095


def assert_same(old, new, size):
    np.testing.assert_allclose(coordinates(old), coordinates(new), atol=size)


def test_the_spectrum_figure_is_that_of_the_code():
    html, data = stored("spectrum")
    fresh = intro.spectrum()
    assert data["controls"] == fresh.payload["controls"]
    assert data["readout"] == fresh.payload["readout"]
    assert_same(data["layers"], fresh.payload["layers"], 1e-3)
    assert re.sub(r"\d", "", html.split("<g")[0]) == re.sub(r"\d", "", fresh.html.split("<g")[0])


def test_the_losses_figure_is_that_of_the_code():
    """Its lines all, its points for one training set (the others take as long)."""
    _, data = stored("losses")
    n = 128
    k = intro.SAMPLES.index(n)
    fresh = intro.losses(dict.fromkeys(intro.SAMPLES, intro.measure(n))).payload
    assert data["controls"] == fresh["controls"]
    assert data["readout"] == fresh["readout"]
    assert_same(data["layers"][:5], fresh["layers"][:5], 1e-3)
    for old, new in zip(data["layers"][5:], fresh["layers"][5:], strict=True):
        np.testing.assert_allclose(old["frames"][k], new["frames"][k], atol=4)


def test_what_the_page_says_of_its_second_figure_is_so():
    """Area of an arch = eigenvalues per d, population bulk in place, the others to the left as n grows."""
    places = []
    for ratio in (4.0, 8.0, 16.0):
        model = rf.RandomFeatureModel(psi_p=64, psi_n=ratio, t=0.01)
        bulks = rf.theory.support(model).bulks
        assert [64 * b.mass for b in bulks] == pytest.approx([1, ratio - 1, 1], abs=1e-9)
        x, height = intro._arc(model, bulks[1])
        assert np.trapezoid(height, np.log(x)) == pytest.approx(ratio - 1, rel=3e-3)
        places.append([np.sqrt(b.left * b.right) for b in bulks])
    steps = np.array(places[1:]) / places[:-1]
    assert np.all(steps[:, :2] < 0.8)
    assert np.all(np.abs(steps[:, 2] - 1) < 0.15)


def test_the_page_lists_the_chapters_of_the_book_in_order():
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [c["file"] for part in contents["parts"] if part.get("numbered") for c in part["chapters"]]
    page = (ROOT / "intro.md").read_text(encoding="utf-8")
    assert re.findall(r"\]\((chapters/\d\d-[\w-]+)\.ipynb\)", page) == chapters


def test_code_on_the_page_prints_what_the_page_says():
    page = (ROOT / "intro.md").read_text(encoding="utf-8")
    tests = doctest.DocTestParser().get_doctest(page, {}, "intro", None, 0)
    assert len(tests.examples) >= 4
    assert doctest.DocTestRunner().run(tests).failed == 0
