"""The first page: its figure shows what the code says, its text says what is so, its code runs."""

import base64
import doctest
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import rfcore as rf
from rfcore import results
from tools import intro_figures, opening, opening_page

ROOT = Path(__file__).parent.parent
HTML = intro_figures.PATH.read_text(encoding="utf-8")
SHEET = re.search(r'href="data:image/png;base64,([^"]+)"', HTML)[1]
DATA = json.loads(re.search(r'<script type="application/json">(.*?)</script>', HTML, re.S)[1])
PAGE = (ROOT / "intro.md").read_text(encoding="utf-8")
STATES = opening.decoded(DATA["states"], opening.RECORD)
# States drawn once and for all, and the corners of the grid.
DRAWN = np.random.default_rng(20).integers((0, 0), (len(opening.SAMPLES), len(opening.FEATURES)), (8, 2))
CHOSEN = [tuple(map(int, each)) for each in DRAWN] + [(0, 0), (0, 10), (14, 0), (14, 10), opening.START[:2]]


def row(i, j):
    return STATES[j * len(opening.SAMPLES) + i].astype(float)


def bulks(i, j):
    """Stored bulks: (first place, last place, directions per decade), or None."""
    words = row(i, j)[-opening.PIECES * (2 + opening.NODES) :].reshape(opening.PIECES, -1)
    ends = opening.LOWEST + words[:, :2] / opening.MOST * (opening.HIGHEST - opening.LOWEST)
    tops = 10 ** (5 * words[:, 2:] / opening.MOST)
    return [(*ends[m], tops[m]) if words[m, 0] else None for m in range(opening.PIECES)]


def test_the_fragment_is_that_of_the_code_and_of_a_size_to_send():
    payload = {key: DATA[key] for key in DATA if key not in opening_page.GEOMETRY}
    assert opening_page.page({**payload, "sheet": SHEET}) + "\n" == HTML
    assert len(HTML.encode()) - len(SHEET) < 250_000
    assert len(HTML.encode()) < 400_000
    assert STATES.shape == (len(opening.SAMPLES) * len(opening.FEATURES), opening.RECORD)
    assert not re.search(r"https?://(?!www\.w3\.org)", HTML)


@pytest.mark.parametrize(("i", "j"), CHOSEN)
def test_what_is_drawn_is_what_the_theory_says(i, j):
    """Curves, window and times against the theory, to the last bit that is stored."""
    model = rf.RandomFeatureModel(psi_p=opening.FEATURES[j] / 64, psi_n=opening.SAMPLES[i] / 64, t=0.1)
    tau = 10 ** (np.arange(73) / 16)
    curves, times = rf.theory.loss_curves(model, tau), rf.theory.timescales(model)
    test, train, stored = np.split(row(i, j)[: 2 * 73 + 6], [73, 146])
    np.testing.assert_allclose(test * 1e-4, curves.test, atol=0.51e-4)
    np.testing.assert_allclose(train * 1e-4, curves.train, atol=0.51e-4)
    exact = [times.generalize, times.memorize, *times.window, times.stop_best]
    for word, value in zip(stored[:5], exact, strict=True):
        if np.isfinite(value):
            assert word / 65535 * 6.5 - 1 == pytest.approx(np.log10(value), abs=0.51 * 6.5 / 65535)
        else:
            assert word == (0 if np.isnan(value) else 65535)
    atom = rf.theory.support(model).atom
    assert (atom is None) == (stored[5] == 0)


@pytest.mark.parametrize(("i", "j"), CHOSEN)
def test_the_bulks_that_are_drawn_hold_as_many_directions_as_they_should(i, j):
    """Areas by quadrature over the stored heights; the ends against the support."""
    n, p = opening.SAMPLES[i], opening.FEATURES[j]
    model = rf.RandomFeatureModel(psi_p=p / 64, psi_n=n / 64, t=0.1)
    found = rf.theory.support(model).bulks
    stored = [piece for piece in bulks(i, j) if piece]
    assert len(stored) == len(found)
    for (left, right, tops), bulk in zip(stored, found[::-1], strict=True):
        scale = np.log10(model.psi_p / model.delta)
        assert left == pytest.approx(scale - np.log10(bulk.right), abs=1e-4)
        assert right == pytest.approx(scale - np.log10(bulk.left), abs=1e-4)
        angle = (np.arange(tops.size) + 0.5) * np.pi / tops.size
        area = np.sum(tops * np.sin(angle)) * np.pi / tops.size * (right - left) / 2
        assert area == pytest.approx(p * bulk.mass, rel=0.02)
    first, second, sample, third = bulks(i, j)
    held = [
        0 if piece is None else round(p * bulk.mass) for piece, bulk in zip(stored, found[::-1], strict=True)
    ]
    assert sum(held[: 1 + (second is not None)]) == 64  # the population bulk has d directions
    assert third is None or held[-1] == 64
    assert sample is not None and first is not None
    assert sum(held) == min(p, n + 64)


@pytest.mark.parametrize(("n", "p"), [(57, 181), (320, 362)])
def test_the_points_are_those_of_one_network(n, p):
    """Losses and eigenvalues of the same draw, recomputed."""
    model = rf.RandomFeatureModel(psi_p=p / 64, psi_n=n / 64, t=0.1)
    tau = 10 ** (np.arange(0, 73, 4) / 16)
    k = opening.FEATURES.index(p) * len(opening.SAMPLES) + opening.SAMPLES.index(n)
    stored = opening.decoded(DATA["simulations"], opening.SIMULATION)[k].astype(float)
    measured = rf.simulation.loss_curves(model, tau, d=64, seed=n)
    np.testing.assert_allclose(stored[:19] * 1e-4, measured.test, atol=2e-4)
    np.testing.assert_allclose(stored[19:38] * 1e-4, measured.train, atol=2e-4)
    values = np.sort(rf.simulation.eigenvalues(model, d=64, seed=n))[::-1][: n + 64]
    counted = np.where(stored[38:] > 0, 10 ** (5 * stored[38:] / 65535), 0) / 8
    assert counted.sum() == pytest.approx(min(p, n + 64), rel=1e-3)
    middle = 10 ** (np.log10(model.psi_p / model.delta) - (-1 + (np.arange(52) + 0.5) / 8))
    assert np.sum(counted * np.log(middle)) / counted.sum() == pytest.approx(
        np.log(values).mean(), abs=np.log(10) / 16
    )


def test_points_leave_the_lines_because_the_network_is_finite():
    """At many samples eigenvalues lie left of the sample bulk; the fewer, the larger d is."""
    model = rf.RandomFeatureModel(psi_p=4, psi_n=40, t=0.1)
    left = rf.theory.support(model).bulks[0].left
    outside = [np.mean(rf.simulation.eigenvalues(model, d=d, seed=0) < left) for d in (16, 32, 64)]
    assert 0.5 > outside[0] > 1.3 * outside[1] > 1.3**2 * outside[2]


def test_the_digits_are_the_stored_ones():
    """The sheet of the page, cut by hand, against the stored pictures and a search by another route."""
    from scipy.spatial import cKDTree

    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(SHEET))))
    stored = results.load("digits-pairs").arrays
    digits = rf.datasets.digits()
    lines = iter(range(0, len(sheet), 9))
    for k, n in enumerate((40, 160, 640)):
        assert DATA["runs"][k]["n"] == n
        known = digits.subset(n, 0).train.reshape(n, 64)
        other = digits.subset(n, 1).train.reshape(n, 64)
        assert not {each.tobytes() for each in known} & {each.tobytes() for each in other}
        tree = cKDTree(known)
        for look in range(9):
            cut = [
                sheet[top : top + 8, :, 0].reshape(8, -1) for top in (next(lines), next(lines), next(lines))
            ]
            b, a, near = (np.stack([each[:, 9 * m : 9 * m + 8] for m in range(10)]) for each in cut)
            np.testing.assert_array_equal(a, stored[f"pictures_{k}"][look, 0, :10, 0])
            np.testing.assert_array_equal(b, stored[f"pictures_{k}"][look, 1, :10, 0])
            best, _ = tree.query(a.reshape(10, 64) / 127.5 - 1)
            far = np.linalg.norm((a - near.astype(float)).reshape(10, 64), axis=1) / 127.5
            np.testing.assert_allclose(far, best, atol=8 * 0.5 / 127.5)
        np.testing.assert_allclose(DATA["runs"][k]["copies"], stored[f"f_mem_{k}"][:, 0], atol=5e-4)
    assert next(lines, None) is None


def test_the_clock_of_the_networks_is_set_where_the_page_says():
    """At n = 40 and p = 1024 the lowest test losses stand at one place."""
    stored = results.load("digits-pairs").arrays
    step = stored["tau_0"][np.argmin(stored["test_loss_0"][:, 0])]
    best = rf.theory.timescales(rf.RandomFeatureModel(psi_p=16, psi_n=40 / 64, t=0.1)).stop_best
    assert DATA["rate"] == pytest.approx(step / best)
    assert round(DATA["rate"]) == int(re.search(r"(\d+) of their steps", PAGE)[1])


def window(n, p):
    found = rf.theory.timescales(rf.RandomFeatureModel(psi_p=p / 64, psi_n=n / 64, t=0.1))
    return found.window, found


def test_what_the_page_says_of_its_figure_is_so():
    """The window grows with n, hardly moves with p, and never closes where p is small against n."""
    widths = [np.divide(*window(n, 1024)[0][::-1]) for n in (20, 640, 2560)]
    assert 2 < widths[0] < 2.5 and 35 < widths[1] < 40 and 200 < widths[2] < 230
    ends = [window(640, p)[0][1] for p in (512, 1024, 2048, 4096)]
    assert max(ends) / min(ends) < 1.05
    assert np.isinf(window(640, 128)[0][1])
    harm = [rf.theory.minimizer(opening.question(640, p)).test for p in (512, 1024, 4096)]
    assert harm[0] < 1 < harm[1] < harm[2] and harm[2] > 2
    # The population bulk stays, the others move right; with few samples the window closes before them.
    places = [bulks(opening.SAMPLES.index(n), opening.FEATURES.index(1024)) for n in (160, 640, 2560)]
    assert all(abs(b[0][0] - a[0][0]) < 0.2 for a, b in zip(places, places[1:], strict=False))
    assert all(b[2][0] > a[2][0] + 0.1 for a, b in zip(places, places[1:], strict=False))
    assert np.log10(window(160, 1024)[0][1]) < places[0][2][0] - 1
    assert places[1][3] is None and bulks(opening.SAMPLES.index(640), opening.FEATURES.index(2048))[3]


def test_the_third_bulk_carries_most_of_the_memorising_at_the_state_that_the_page_names():
    low, middle, _ = rf.theory.shares(rf.RandomFeatureModel(psi_p=64, psi_n=10, t=0.1))
    assert 10 < low.drop / middle.drop < 12
    assert [round(4096 * share.mass, 6) for share in (low, middle)] == [64, 576]


def test_the_figure_is_told_in_words():
    assert re.search(r'<svg class="rf-plot"[^>]* role="img" aria-label="[^"]{200,}"', HTML)
    assert opening_page.STRIP_ALT in HTML
    assert re.search(r'<output [^>]*aria-live="polite">', HTML)
    for key in ("n", "p", "tau"):
        assert f'<label for="rf-opening-{key}">' in HTML and f'id="rf-opening-{key}"' in HTML
    table = re.search(r"<details>.*?</details>", HTML, re.S)[0]
    for n, line in zip((160, 640, 2560), re.findall(r"<tr><th.*?</tr>", table), strict=True):
        for p, cell in zip((256, 1024, 4096), re.findall(r"<td>(.*?)</td>", line), strict=True):
            begin, end, test, train = re.fullmatch(
                r"([\d.,]+) to ([\d.,]+|∞); ([\d.]+), ([\d.]+)", cell
            ).groups()
            (first, last), _ = window(n, p)
            late = rf.theory.loss_curves(
                rf.RandomFeatureModel(psi_p=p / 64, psi_n=n / 64, t=0.1), opening.TAU[-1]
            )
            assert float(begin.replace(",", "")) == pytest.approx(first, rel=0.06)
            assert (
                end == "∞" if np.isinf(last) else float(end.replace(",", "")) == pytest.approx(last, rel=0.06)
            )
            assert float(test) == pytest.approx(float(late.test), abs=0.0051)
            assert float(train) == pytest.approx(float(late.train), abs=0.0051)


def test_the_page_lists_the_chapters_of_the_book_in_order():
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [c["file"] for part in contents["parts"] if part.get("numbered") for c in part["chapters"]]
    assert re.findall(r"\]\((chapters/\d\d-[\w-]+)\.ipynb\)", PAGE) == chapters


def test_code_on_the_page_prints_what_the_page_says():
    tests = doctest.DocTestParser().get_doctest(PAGE, {}, "intro", None, 0)
    assert len(tests.examples) >= 4
    assert doctest.DocTestRunner().run(tests).failed == 0
