"""The stored comparison of theory and simulation: repeated in part, complete, and in agreement.

Also the tools behind it: the fit of C/d on made-up data with known answers, and runs that go on where
they were stopped.
"""

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

import rfcore as rf
from rfcore import results
from tools import validate, validation_features, validation_fit, validation_linear
from tools.validation_store import Row, read_table, summary

REPEATED = [
    ("features", "network isotropic tanh m=inf d=64"),
    ("features", "network patches relu m=5 d=64"),
    ("features", "network two-level erf m=1 d=64"),
    ("features", "twin two-level tanh m=2 d=64"),
    ("losses", "power-law gamma=2 d=64"),
    ("maps", "patches gamma=0.5 d=64"),
    ("filters", "power-law gamma=8 d=64"),
]


def stored(part):
    return read_table(validate.PARTS[part].NAME)


@pytest.mark.parametrize(("part", "key"), REPEATED, ids=lambda text: text)
def test_a_stored_row_is_what_the_code_gives_now(part, key):
    """Same seeds: the same numbers up to the round-off that the answers estimate themselves.

    Except for the Kolmogorov distance to 20,000 quantiles, which moves in steps of 1/20,000.
    """
    job, table = validate.PARTS[part], stored(part)
    setting = next(s for s in job.settings() if s.key == key)
    old, new = table.rows[key], job.row(setting)
    steps = np.array([2 / 20_000 if name.startswith("Kolmogorov") else 0.0 for name in table.columns])
    assert new.samples == old.samples
    for name in ("mean", "error", "first", "theory"):
        a, b = getattr(old, name), getattr(new, name)
        allowed = 3 * old.numerical + 1e-10 * np.maximum(1, np.abs(a)) + steps
        assert np.array_equal(np.isnan(a), np.isnan(b)), name
        there = ~np.isnan(a)
        worst = np.argmax(np.where(there, np.abs(a - b) / allowed, 0))
        assert np.all(np.abs(a - b)[there] <= allowed[there]), (
            name,
            table.columns[worst],
            a[worst],
            b[worst],
        )


@pytest.mark.parametrize("part", validate.PARTS)
def test_every_setting_is_stored_once_with_its_numbers(part):
    job, table = validate.PARTS[part], stored(part)
    assert list(table.rows) == [setting.key for setting in job.settings()]
    assert list(table.columns) == job.columns()
    assert table.settings == job.SETTINGS
    for row in table.rows.values():
        there = ~np.isnan(row.theory)
        for name in ("mean", "error", "first", "theory", "numerical"):
            values = getattr(row, name)
            assert values.shape == (len(table.columns),)
            assert np.array_equal(np.isnan(values), ~there)
        assert np.all(row.numerical[there] <= 1e-4 * np.maximum(1, np.abs(row.theory[there])))


def test_score_error_is_the_test_loss_in_other_units_and_m_infinity_has_no_other_noise():
    """Relations that hold draw by draw, and so for the stored means."""
    table = stored("features")
    place = {name: k for k, name in enumerate(table.columns)}
    for key, row in table.rows.items():
        delta = row.mean - row.theory
        for tau in ("10", "inf"):
            test, score = (delta[place[f"{loss} mu=0 tau={tau}"]] for loss in ("test", "score_error"))
            assert score * -math.expm1(-0.2) == pytest.approx(test, abs=1e-9)
            if "m=inf" in key:
                train, fresh = (row.mean[place[f"{loss} mu=0 tau={tau}"]] for loss in ("train", "empirical"))
                assert train == fresh


def made_up(rng, constants, samples, powers=(1.0,), scatter=1.0):
    """Rows whose mean is sum_k C_k/d^powers[k] plus scatter of spread scatter/d, theory 0."""
    constants = np.atleast_2d(constants)
    rows = {}
    for d, count in samples.items():
        signal = sum(c * d**-power for c, power in zip(constants, powers, strict=True))
        draws = signal + scatter / d * rng.standard_normal((count, constants.shape[1]))
        zero = np.zeros(constants.shape[1])
        rows[d] = summary("", list(draws), zero, zero)
    return rows


def test_the_fit_recovers_known_constants_with_its_stated_error():
    rng, samples = np.random.default_rng(0), {64: 200, 128: 200, 256: 200}
    want = np.linspace(-3, 3, 2000)
    found = validation_fit.fit(made_up(rng, want, samples))
    pulls = (found.constants[0] - want) / found.errors[0]
    assert abs(pulls.mean()) < 4 / math.sqrt(pulls.size)
    assert abs(pulls.std() - 1) < 0.07
    # Three dimensions, each with variance 1/(200 d^2): the error of C is 1/sqrt(3 * 200).
    np.testing.assert_allclose(found.errors[0].mean(), 1 / math.sqrt(600), rtol=0.02)
    assert found.freedom == 2
    statistic = stats.kstest(found.chi2, stats.chi2(2).cdf)
    assert statistic.pvalue > 1e-3


def test_two_constants_are_found_without_scatter():
    rng, want = np.random.default_rng(1), np.array([[2.0, -1.0], [50.0, 7.0]])
    rows = made_up(rng, want, {64: 3, 128: 3, 256: 3}, (1, 2), scatter=1e-9)
    found = validation_fit.fit(rows, (1, 2))
    np.testing.assert_allclose(found.constants, want, rtol=1e-5)
    one = validation_fit.fit(rows)
    assert np.all(np.abs(one.pulls).max(axis=0) > 100)  # C/d alone cannot hide a 1/d^2


def test_perfect_agreement_with_many_seeds_is_gaussian():
    two, three, chi2 = validation_fit.null({64: 400}, ())
    assert two == pytest.approx(math.erf(math.sqrt(2)), abs=0.012)
    assert three == pytest.approx(math.erf(3 / math.sqrt(2)), abs=0.003)
    assert chi2 == pytest.approx(1, abs=0.08)


def test_perfect_agreement_with_few_seeds_is_student():
    two, three, _ = validation_fit.null({64: 5}, ())
    law = stats.t(4)
    assert two == pytest.approx(law.cdf(2) - law.cdf(-2), abs=0.02)
    assert three == pytest.approx(law.cdf(3) - law.cdf(-3), abs=0.012)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_exponents_of_a_deviation_are_found(power):
    rows = made_up(np.random.default_rng(2), [[300.0]], {64: 50, 128: 50, 512: 50}, (power,), 0.1)
    for found, error in validation_fit.exponents(rows, 0):
        assert abs(found - power) < 4 * error < 0.2


def test_nothing_is_said_about_what_is_exact_missing_or_insignificant():
    zero = np.zeros(3)
    rows = {
        d: Row(
            "",
            9,
            np.array([1e-12, math.nan, 0.1]),
            np.array([1e-13, math.nan, 0.1]),
            zero,
            zero,
            zero + 1e-11,
        )
        for d in (64, 128)
    }
    found = validation_fit.fit(rows)
    assert found.judged.tolist() == [False, False, True]
    assert np.isnan(validation_fit.exponents(rows, 2)).all()
    assert math.isnan(validation_fit.inside([validation_fit.select(found, np.array([0, 1]))], 3))
    assert validation_fit.inside([found], 3) == 1


def test_the_kolmogorov_distance_is_that_of_scipy_and_forgives_round_off_at_the_atom():
    rng = np.random.default_rng(3)
    levels = (np.arange(20_000) + 0.5) / 20_000
    x = np.sort(rng.uniform(size=50)) ** 2
    found = validation_features.kolmogorov(levels, x)
    assert found == pytest.approx(stats.kstest(x, "uniform").statistic, abs=2 / 20_000)
    limit = np.concatenate([np.full(5000, 0.5), 1 + levels[:15_000]])
    measured = np.concatenate(
        [0.5 + 1e-13 * rng.standard_normal(25), 1 + np.sort(rng.uniform(size=75)) * 0.75]
    )
    measured.sort()
    assert validation_features.kolmogorov(limit, measured) < 0.2
    assert validation_features.kolmogorov(limit, measured + np.where(measured < 0.9, 1e-3, 0)) >= 0.25


@dataclasses.dataclass(frozen=True)
class FakeSetting:
    key: str


class FakePart:
    """Three settings; stops at the one named in ``trap``."""

    NAME, SETTINGS, SEED_RULE, ABOUT = "fake", {"x": 1}, "none", "nothing"

    def __init__(self, trap=""):
        self.trap, self.computed = trap, []

    def columns(self):
        return ["u", "v"]

    def settings(self):
        return [FakeSetting(f"law d={d}") for d in (2, 4, 8)]

    def row(self, setting):
        if setting.key == self.trap:
            raise KeyboardInterrupt
        self.computed.append(setting.key)
        rng = np.random.default_rng(len(setting.key) + int(setting.key[-1]))
        return summary(setting.key, list(rng.standard_normal((5, 2))), np.zeros(2), np.zeros(2))


def test_a_stopped_run_goes_on_and_ends_as_if_never_stopped(tmp_path, monkeypatch, capsys):
    first, second, whole = FakePart("law d=8"), FakePart(), FakePart()
    monkeypatch.setitem(validate.PARTS, "fake", first)
    with pytest.raises(KeyboardInterrupt):
        validate.run("fake", False, tmp_path / "a")
    assert results.names(tmp_path / "a") == ("fake",)
    monkeypatch.setitem(validate.PARTS, "fake", second)
    validate.run("fake", False, tmp_path / "a")
    assert second.computed == ["law d=8"]
    monkeypatch.setitem(validate.PARTS, "fake", whole)
    validate.run("fake", False, tmp_path / "b")
    a, b = (results.load("fake", tmp_path / name).arrays for name in "ab")
    assert a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)
    assert "3/3  law d=8" in capsys.readouterr().err
    validate.run("fake", True, tmp_path / "b")
    assert len(whole.computed) == 6  # --fresh forgets


def test_other_settings_are_not_mixed_in(tmp_path, monkeypatch):
    part = FakePart()
    monkeypatch.setitem(validate.PARTS, "fake", part)
    validate.run("fake", False, tmp_path)
    part.SETTINGS = {"x": 2}
    with pytest.raises(ValueError, match="--fresh"):
        validate.run("fake", False, tmp_path)


def test_the_limit_laws_are_exact_at_every_dimension():
    """So that no deviation comes from rounding a law to d eigenvalues."""
    for module in (validation_features, validation_linear):
        for name in module.COVARIANCES:
            law = module.covariance(name)
            assert law.variance == pytest.approx(1, abs=1e-12)
            for d in (*validation_features.SEEDS, *validation_features.LARGE):
                spectrum = law.quantiles(d)
                values, counts = np.unique(spectrum, return_counts=True)
                order = np.argsort(law.eigenvalues)
                np.testing.assert_array_equal(values, law.eigenvalues[order])
                np.testing.assert_allclose(counts / d, law.weights[order], rtol=1e-12)


@pytest.mark.parametrize(("law", "large"), [("isotropic", False), ("patches", True)])
def test_what_the_twin_drops_of_relu_is_as_large_as_the_page_says(law, large):
    """Variance of a row of the population matrices' difference over that of the twin's independent noise."""
    d = 128
    model = rf.RandomFeatureModel(4, 0.25, 0.1, validation_features.covariance(law), "relu")
    network, twin = (rf.simulation.moments(model, d, 0, who).Ut.numpy() for who in ("nonlinear", "gaussian"))
    p = len(twin)
    entries = (network - twin)[~np.eye(p, dtype=bool)]
    dropped = p * entries.var() / (model.constants.v2 + model.constants.s2) ** 2
    stated = 2 * model.psi_p * (model.covariance.weights @ model.covariance.eigenvalues**2) ** 2 / d
    assert 0.5 < dropped / stated < 1.5
    assert (dropped > 1) == large
