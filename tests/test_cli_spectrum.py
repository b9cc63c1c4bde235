"""The command spectrum: what it prints and writes is what rfcore answers."""

import math
import re

import numpy as np
import pytest
from scipy import integrate, stats

import rfcore as rf
from rfcore._cli import linear_law, report
from tests.prompt import numbers, said

DEFAULT = rf.RandomFeatureModel(psi_p=64, psi_n=8, t=0.01)
ROW = re.compile(r"^  (\S+) to (\S+) +([\d.]+)% +(\S+) +(\S+)", re.M)
RESULT = re.compile(r"(\w[\w ]*?) +tau = (\S+)")
PRINTED = 5e-4  # four digits


@pytest.fixture(autouse=True)
def quiet(tmp_path, monkeypatch):
    monkeypatch.setenv("RFCORE_QUIET", "1")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("words", "model"),
    [
        ("", DEFAULT),
        ("--psi-p 4 --psi-n 2 --t 0.1 --noise-draws 3", rf.RandomFeatureModel(4, 2, 0.1, noise_draws=3)),
        (
            "--psi-p 8 --psi-n 2 --t 0.3 --activation relu --ridge 0.01 --covariance low-rank:0.2",
            rf.RandomFeatureModel(8, 2, 0.3, rf.Covariance.low_rank(0.2), "relu", ridge=0.01),
        ),
    ],
)
def test_the_table_of_bulks_is_the_support(capsys, words, model):
    out = said(f"spectrum {words}", capsys)
    rows = [tuple(map(float, row)) for row in ROW.findall(out)]
    bulks = rf.theory.support(model).bulks[::-1]
    assert len(rows) == len(bulks)
    for (left, right, percent, count, time), bulk in zip(rows, bulks, strict=True):
        assert [left, right] == pytest.approx([bulk.left, bulk.right], rel=PRINTED)
        assert percent == pytest.approx(100 * bulk.mass, abs=0.0051)
        assert count == pytest.approx(bulk.mass * model.psi_p, rel=PRINTED)
        assert time == pytest.approx(model.psi_p / (model.delta * (bulk.left + model.ridge)), rel=PRINTED)
    times, shown = rf.theory.timescales(model), dict(RESULT.findall(out))
    for name, value in (("generalises", times.generalize), ("memorises", times.memorize)):
        assert shown[name] == report.number(value)


def test_the_top_rows_hold_what_all_data_share_and_many_bulks_share_a_row(capsys):
    out = said("spectrum", capsys).split("\n")
    kinds = [row.rpartition("  ")[2] for row in out[4:8]]
    assert kinds == ["what all data share", "single samples", "single samples", "no data"]
    model = rf.RandomFeatureModel(64, 8, 0.01, covariance=rf.datasets.digits().covariance)
    bulks, out = rf.theory.support(model).bulks, said("spectrum --covariance digits", capsys)
    shared, single = ROW.findall(out)
    assert float(shared[2]) == pytest.approx(100 / 64, abs=0.005) and float(shared[1]) == pytest.approx(
        bulks[-1].right, rel=PRINTED
    )
    assert float(single[0]) == pytest.approx(bulks[0].left, rel=PRINTED)
    counted = [int(k) for k in re.findall(r"\((\d+) bulks\)", out)]
    assert sum(counted) == len(bulks)


def test_the_numbers_of_a_spectrum_read_back(tmp_path, capsys):
    said("spectrum --out a.csv", capsys)
    said("spectrum --out a.npz", capsys)
    found, support = numbers(tmp_path / "a.csv"), rf.theory.support(DEFAULT)
    np.testing.assert_array_equal(found["left"], [bulk.left for bulk in support.bulks])
    np.testing.assert_allclose(found["density"], rf.theory.density(DEFAULT, found["x"]), rtol=1e-9)
    # Share below: an integral of the density, here by Simpson's rule in the variable that makes it smooth.
    top = support.bulks[-1]
    inside = found["x"] > top.left
    at = np.append(found["x"][inside], top.right)
    whole = integrate.simpson(np.append(found["density"][inside], 0.0), x=at)
    assert whole == pytest.approx(top.mass, rel=2e-3)
    assert found["below"][inside][-1] == pytest.approx(1, abs=1e-5)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        assert str(archive["command"]) == "python -m rfcore spectrum --out a.npz"
        for name, values in found.items():
            np.testing.assert_array_equal(archive[name], values)
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "a.npz"}


def test_a_simulated_spectrum_is_that_of_the_package(tmp_path, capsys):
    out = said("spectrum --psi-p 0.5 --psi-n 2 --t 0.1 --simulate 60 --draws 3 --seed 7 --out a.npz", capsys)
    model = rf.simulation.realized(rf.RandomFeatureModel(0.5, 2, 0.1), 60)
    drawn = np.concatenate([rf.simulation.eigenvalues(model, 60, seed) for seed in (7, 8, 9)])
    with np.load(tmp_path / "a.npz") as archive:
        np.testing.assert_array_equal(archive["eigenvalues"], drawn)
        apart = float(archive["distance"][0])
    expected = stats.ks_2samp(drawn, rf.theory.quantiles(model, 20_000)).statistic
    assert apart == pytest.approx(expected, abs=1 / drawn.size + 2e-4)  # one step, at nodes or between
    assert f"differ by {apart:.2%} at most" in out and apart < 0.1


def test_as_many_eigenvalues_are_counted_off_as_theory_says(capsys):
    out = said("spectrum --psi-p 4 --psi-n 2 --t 0.1 --simulate 16 --seed 3", capsys)
    model = rf.RandomFeatureModel(4, 2, 0.1)
    drawn = np.sort(rf.simulation.eigenvalues(model, 16, 3))
    ends, bulks = [64], rf.theory.support(model).bulks
    for bulk in bulks[::-1]:
        ends.append(ends[-1] - round(64 * bulk.mass))
    assert "d = 16, p = 64, n = 32" in out
    for high, low in zip(ends, ends[1:], strict=False):
        assert f"{report.number(drawn[low])} to {report.number(drawn[high - 1])}" in out


@pytest.mark.parametrize("gamma", [0.1, 0.5, 3.0])
def test_the_spectrum_of_a_linear_denoiser_is_the_law_of_marchenko_and_pastur(gamma):
    (bulk,), zeros = linear_law.bulks(rf.LinearModel(gamma, 1.0))
    left, right = (1 - math.sqrt(gamma)) ** 2, (1 + math.sqrt(gamma)) ** 2
    assert (bulk.left, bulk.right) == pytest.approx((left, right), abs=1e-14)
    assert (bulk.mass, zeros) == pytest.approx((min(1, 1 / gamma), max(0, 1 - 1 / gamma)), abs=1e-12)
    exact = np.sqrt((bulk.x - left) * (right - bulk.x)) / (2 * math.pi * gamma * bulk.x)
    np.testing.assert_allclose(bulk.density, exact, rtol=1e-10)


@pytest.mark.parametrize("law", [rf.Covariance([1.0, 20.0]), rf.Covariance.power_law(1.5)])
def test_the_spectrum_of_a_linear_denoiser_has_the_moments_of_its_data(law):
    gamma = 0.3
    bulks, zeros = linear_law.bulks(rf.LinearModel(gamma, 1.0, law))
    mass = sum(float(b.part.sum()) for b in bulks) + zeros
    first, second = (sum(float(b.part @ b.x**k) for b in bulks) for k in (1, 2))
    assert mass == pytest.approx(1, abs=1e-10) and first == pytest.approx(law.variance, rel=1e-9)
    assert second == pytest.approx(law.weights @ law.eigenvalues**2 + gamma * law.variance**2, rel=1e-9)
    for b in bulks:  # the density is that of the shares: it integrates to them on a grid of its own
        grid = np.linspace(b.left, b.right, 4001)
        height = np.interp(grid, [b.left, *b.x, b.right], [0.0, *b.density, 0.0])
        assert integrate.trapezoid(height, grid) == pytest.approx(b.mass, rel=0.02)


def test_a_linear_spectrum_against_a_simulation(tmp_path, capsys):
    out = said("spectrum --gamma 2 --noise-variance 0.5 --simulate 80 --draws 4 --out a.csv", capsys)
    found = numbers(tmp_path / "a.csv")
    assert found["eigenvalues"].shape == (320,) and found["distance"][0] < 2 / 80
    assert np.mean(found["eigenvalues"] == 0) == pytest.approx(found["atom_mass"][0], abs=1e-12)
    model = rf.LinearModel(2, 0.5)
    assert found["time"][0] == pytest.approx(1 / (model.signal * (found["left"][0] + model.c)))
    assert "gamma 2, noise-variance 0.5" in out and "d = 80, n = 40" in out
