"""The command losses: what it prints and writes is what rfcore answers."""

import math

import numpy as np
import pytest
from scipy import stats

import rfcore as rf
from rfcore._cli import curves, report
from tests.prompt import numbers, said

DEFAULT = rf.RandomFeatureModel(psi_p=64, psi_n=8, t=0.01)
PRINTED = 5e-4  # four digits


@pytest.fixture(autouse=True)
def quiet(tmp_path, monkeypatch):
    monkeypatch.setenv("RFCORE_QUIET", "1")
    monkeypatch.chdir(tmp_path)


def table(out):
    """The rows of a table of losses, as numbers."""
    rows = [row.split() for row in out.split("\n\n")[1].split("\n")[1:]]
    return np.array([[float(x) for x in row] for row in rows[:-1]]), [float(x) for x in rows[-1]]


@pytest.mark.parametrize(
    ("words", "model"),
    [
        ("", DEFAULT),
        ("--psi-p 2 --psi-n 4 --t 0.5 --noise-draws 1 --ridge 0.1", None),
        ("--gamma 2 --noise-variance 0.1", rf.LinearModel(2, 0.1)),
        (
            "--noise-variance 0.3 --covariance power-law:1",
            rf.LinearModel(0.5, 0.3, rf.Covariance.power_law(1)),
        ),
    ],
)
def test_the_table_of_losses_is_what_theory_answers(capsys, words, model):
    model = model or rf.RandomFeatureModel(2, 4, 0.5, noise_draws=1, ridge=0.1)
    out = said(f"losses {words}", capsys)
    rows, last = table(out)
    expected = rf.theory.loss_curves(model, rows[:, 0])
    for k, name in enumerate(("train", "test", "score_error"), start=1):
        np.testing.assert_allclose(rows[:, k], getattr(expected, name), rtol=PRINTED, atol=5.1e-5)
    end = rf.theory.minimizer(model)
    assert last[0] == math.inf and last[1:3] == pytest.approx([end.train, end.test], rel=PRINTED, abs=5.1e-5)
    stop = rf.theory.optimal_stopping(model)
    assert f"lowest test loss, {stop.test:.4f};" in out
    assert f"best stop    tau = {report.number(stop.tau)} " in out
    # All that is to be seen is seen: before, nothing is learnt; after, nothing changes.
    assert rows[0, 1] > 0.97 and rows[-1, 1] == pytest.approx(end.train, abs=0.01)


def test_the_numbers_of_losses_read_back_and_a_mean_over_draws_has_its_error(tmp_path, capsys):
    words = "--psi-p 2 --psi-n 2 --t 0.3 --simulate 12 --draws 3 --seed 5 --tau 1:1e3"
    out = said(f"losses {words} --out a.csv", capsys)
    said(f"losses {words} --out a.npz", capsys)
    found, model = numbers(tmp_path / "a.csv"), rf.RandomFeatureModel(2, 2, 0.3)
    np.testing.assert_allclose(found["tau"], np.geomspace(1, 1e3, 37), rtol=1e-15)
    expected = rf.theory.loss_curves(model, found["tau"])
    drawn = [rf.simulation.loss_curves(model, found["tau"], 12, seed) for seed in (5, 6, 7)]
    for name in ("train", "test"):
        np.testing.assert_array_equal(found[name], getattr(expected, name))
        each = np.array([getattr(curves, name) for curves in drawn])
        np.testing.assert_allclose(found[f"simulated_{name}"], each.mean(axis=0), rtol=1e-13)
        np.testing.assert_allclose(found[f"standard_error_{name}"], stats.sem(each), rtol=1e-9)
    changes = [abs(found[f"simulated_{k}"] - found[k]) / np.fmax(found[k], 1) for k in ("train", "test")]
    assert found["distance"][0] == np.max(changes) and f"differ by {np.max(changes):.2g} at most" in out
    times = rf.theory.timescales(model)
    assert found["window"].tolist() == list(times.window) and found["stop_best"] == [times.stop_best]
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        assert set(archive.files) == {*found, "command"}


def test_theory_and_a_linear_simulation_agree_to_their_errors(tmp_path, capsys):
    said("losses --gamma 0.5 --noise-variance 0.5 --simulate 100 --out a.npz", capsys)
    with np.load(tmp_path / "a.npz") as found:
        for name in ("train", "test"):
            change = found[f"simulated_{name}"] - found[name]
            # Four standard errors, and what is left of a correction of order 1/d.
            assert np.all(abs(change) < 4 * found[f"standard_error_{name}"] + 1 / 100**1.5)
        assert 0 < found["distance"][0] < 0.01


# Small and wide, and where eigenvalues reach 0: p = n m, or p = n + d.
CORNERS = [
    "--psi-p 0.05 --psi-n 0.05 --t 2",
    "--psi-p 100 --psi-n 100 --t 0.001",
    "--psi-p 4 --psi-n 2 --t 0.1 --noise-draws 2",
    "--psi-p 8 --psi-n 7 --t 0.1",
    "--gamma 1 --noise-variance 0.01",
]


@pytest.mark.parametrize("words", CORNERS)
def test_questions_in_the_corners_are_answered(capsys, words):
    assert "\n  infinity" in said(f"losses {words}", capsys)
    assert "learnt by" in said(f"spectrum {words}", capsys)


def test_the_exact_score_is_where_the_score_error_ends():
    law = rf.Covariance([0.5, 2.0])
    signal = math.exp(-0.4) * law.eigenvalues
    expected = float(np.mean(signal / (signal + 1 - math.exp(-0.4))))
    assert curves.answer(rf.RandomFeatureModel(2, 2, 0.2, law), (1, 10)).exact == pytest.approx(expected)
