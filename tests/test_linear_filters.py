"""The spectral rule and what it answers: oracle filter, best noise, early stopping, stopped samplers."""

import dataclasses
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

import rfcore as rf
from rfcore.theory._kappa import complex_kappa

Array = npt.NDArray[np.float64]
LAM = np.linspace(0.3, 3, 60)
LAWS = {
    "linspace": rf.Covariance(LAM),
    "isotropic": rf.Covariance.isotropic(),
    "two": rf.Covariance([0.1, 5.0], [0.7, 0.3]),
    "power": rf.Covariance.power_law(1.5, 40),
    "singular": rf.Covariance([0.0, 0.5, 2.0], [0.2, 0.4, 0.4]),
}
GAMMAS = (0.05, 0.5, 1.0, 2.0, 8.0)


def ask(n: float, z: float, ridge: float = 0.0) -> rf.LinearModel:
    return rf.LinearModel(gamma=60 / n, noise_variance=z, covariance=LAWS["linspace"], ridge=ridge)


@st.composite
def questions(draw: st.DrawFn) -> rf.LinearModel:
    lam = 10 ** np.array(draw(st.lists(st.floats(-3, 1), min_size=1, max_size=6)))
    return rf.LinearModel(
        gamma=10 ** draw(st.floats(-2, 2)),
        noise_variance=10 ** draw(st.floats(-3, 1)),
        covariance=rf.Covariance(lam),
    )


QUICK = settings(max_examples=25, derandomize=True, deadline=None)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("gamma", GAMMAS)
def test_rule_against_the_resolvent(name: str, gamma: float) -> None:
    """(S + z)^-1 in every mode, and tr Sigma (S + z)^-1 by the energies, against kappa(z)."""
    law = LAWS[name]
    rule, lam, w = rf.theory.spectral_rule(law, gamma), law.eigenvalues, law.weights
    assert rule.error < 1e-10 and np.all(rule.weights >= 0) and np.all(np.diff(rule.x) > 0)
    share, null = w @ rule.weights, float(w @ rule.zero)
    for z in (0.01, 1.0, 30.0):
        kappa = float(rf.theory.renormalized_noise(law, gamma, z))
        np.testing.assert_allclose(rule.modes(1 / (rule.x + z), 1 / z), kappa / z / (lam + kappa), rtol=1e-9)
        held = share @ (rule.energy / (rule.x + z)) + (null * rule.null_energy / z if null > 0 else 0)
        assert held == pytest.approx(kappa / z * float(w @ (lam / (lam + kappa))), rel=1e-9)


def test_rule_is_the_law_of_marchenko_and_pastur() -> None:
    for gamma in (0.25, 4.0):
        rule = rf.theory.spectral_rule(LAWS["isotropic"], gamma)
        low, high = (1 - math.sqrt(gamma)) ** 2, (1 + math.sqrt(gamma)) ** 2
        assert low < rule.x[0] and rule.x[-1] < high

        def density(x: float, low: float = low, high: float = high, gamma: float = gamma) -> float:
            return math.sqrt((high - x) * (x - low)) / (2 * math.pi * gamma * x)

        for f in (np.log, np.sqrt, lambda x: x**3):
            exact = quad(lambda x, f=f: f(x) * density(x), low, high, epsabs=1e-11)[0]
            assert float(rule.weights[0] @ f(rule.x)) == pytest.approx(exact, abs=1e-8)
        assert rule.zero[0] == pytest.approx(max(0, 1 - 1 / gamma), abs=1e-14)


def test_energy_is_kappa_on_the_axis() -> None:
    law, gamma = LAWS["two"], 0.3
    rule = rf.theory.spectral_rule(law, gamma)
    inner = rule.x[5:-5:9]
    kappa = complex_kappa(law, gamma, -inner + 1e-9j * law.eigenvalues.max())
    np.testing.assert_allclose(np.abs(kappa) ** 2 / inner, rule.energy[5:-5:9], rtol=1e-6)


def test_gap_in_the_spectrum() -> None:
    """Two far atoms and many points: two bulks, each with its share of the eigenvalues."""
    law = LAWS["two"]
    rule = rf.theory.spectral_rule(law, 0.05)
    share = law.weights @ rule.weights
    assert np.sum(share[rule.x < 0.5]) == pytest.approx(0.7, abs=1e-12)
    assert np.sum(share[rule.x > 2.0]) == pytest.approx(0.3, abs=1e-12)


PUBLIC = {
    40: ((1.4208463616, 0.9006732099), (0.6465203489, 0.2341018197), (1.1409080151, 0.1299995480)),
    90: ((1.0099213556, 0.8924732975), (0.3915936965, 0.1340044750), (0.7478171106, 0.0933905181)),
}


@pytest.mark.parametrize("n", [40, 90])
def test_public_values_of_the_best_noise(n: int) -> None:
    best = rf.theory.optimal_noise(ask(n, 0.2))
    got = [(o.c, o.value) for o in (best.test, best.generated_to_data, best.data_to_generated)]
    np.testing.assert_allclose(got, PUBLIC[n], rtol=1e-8)
    assert max(o.residual for o in (best.test, best.generated_to_data, best.data_to_generated)) < 1e-12


def test_best_noise_against_direct_minimisation() -> None:
    model = rf.LinearModel(gamma=3.0, noise_variance=0.1, covariance=LAWS["power"])
    best = rf.theory.optimal_noise(model)

    def at(log_c: float) -> rf.LinearModel:
        return dataclasses.replace(model, noise_variance=math.exp(log_c))

    for found, value in (
        (best.test, lambda x: rf.theory.minimizer(dataclasses.replace(model, ridge=math.exp(x) - 0.1)).test),
        (best.generated_to_data, lambda x: rf.theory.kl(at(x)).generated_to_data),
        (best.data_to_generated, lambda x: rf.theory.kl(at(x)).data_to_generated),
    ):
        guess = math.log(found.c)
        other = minimize_scalar(value, bounds=(guess - 0.3, guess + 0.3), method="bounded")
        assert other.x == pytest.approx(guess, abs=1e-4)
        assert other.fun >= found.value - 1e-12


def test_best_noise_differs_by_a_factor_of_two() -> None:
    """Sigma = 1: c* = gamma/(1 + gamma) exactly; 2 gamma and z + 3 gamma/(1 + z) to first order."""
    for gamma in (0.01, 0.5, 2.0):
        best = rf.theory.optimal_noise(rf.LinearModel(gamma=gamma, noise_variance=0.2)).generated_to_data
        assert best.c == pytest.approx(gamma / (1 + gamma), rel=1e-10)
        assert best.value == pytest.approx((1 - math.log1p(gamma) / gamma) / 2, rel=1e-9)
    left = []
    for gamma in (1e-3, 5e-4):
        best = rf.theory.optimal_noise(rf.LinearModel(gamma=gamma, noise_variance=0.2))
        left.append([best.data_to_generated.c / gamma - 2, (best.test.c - 0.2) / gamma - 3 / 1.2])
    np.testing.assert_allclose(np.divide(*left), 2, rtol=0.01)  # what is left is of order gamma


@given(questions())
@QUICK
def test_oracle_bounds_all_filters(model: rf.LinearModel) -> None:
    bound = rf.theory.oracle_filter(model).loss
    ridge = rf.theory.optimal_noise(model).test
    stop = rf.theory.optimal_stopping(model)
    # More of everything: the population is below, no regularisation is above.
    lam, w = model.covariance.eigenvalues, model.covariance.weights
    assert float(w @ (lam / (lam + model.noise_variance))) <= bound + 1e-9
    assert bound <= ridge.value + 1e-9 and bound <= stop.test + 1e-9
    none = rf.theory.minimizer(model).test
    assert ridge.value <= none + 1e-9 and stop.test <= none + 1e-9
    assert ridge.residual < 1e-9 and stop.residual < 1e-9


@pytest.mark.parametrize(
    ("n", "oracle", "stop", "tau"), [(40, 0.7899, 0.8032, 0.96), (90, 0.7842, 0.7919, 1.26)]
)
def test_public_table_of_filters(n: int, oracle: float, stop: float, tau: float) -> None:
    """a = 0.7: the oracle column was measured on data, the others to four digits; the valley is flat."""
    model = ask(n, 3 / 7)
    assert rf.theory.oracle_filter(model).loss == pytest.approx(oracle, abs=5e-4)
    best = rf.theory.optimal_stopping(model)
    assert best.test == pytest.approx(stop, abs=1.5e-4)
    assert best.tau == pytest.approx(tau, rel=0.03)
    curve = rf.theory.loss_curves(model, best.tau)  # by inverse Laplace transforms
    np.testing.assert_allclose([curve.test, curve.train], [best.test, best.train], rtol=1e-9)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 3.0])
def test_stopping_never_helps_where_only_empty_directions_are_slow(gamma: float) -> None:
    """Weak noise, n above the rank: the loss is flat to round-off long before it is least, at infinity."""
    model = rf.LinearModel(gamma, 1e-8, rf.Covariance.low_rank(0.3))
    best, end = rf.theory.optimal_stopping(model), rf.theory.minimizer(model)
    assert best.tau == math.inf and best.residual == 0
    assert best.test == pytest.approx(end.test, abs=1e-14)
    assert best.train == pytest.approx(end.train, abs=1e-14)


def test_mode_curves_end_in_the_mean_denoiser() -> None:
    for model in (ask(40, 0.2), ask(90, 0.2, 0.3)):
        curves = rf.theory.mode_curves(model, [[0.0, 1e-6], [2.0, math.inf]])
        assert curves.mean.shape == (2, 2, 60)
        np.testing.assert_allclose(curves.mean[0, 0], 1)
        kappa = float(rf.theory.renormalized_noise(LAWS["linspace"], model.gamma, model.c))
        end = (LAM + kappa * model.ridge / model.c) / (LAM + kappa)
        np.testing.assert_allclose(curves.mean[1, 1], end, rtol=1e-9)
        # The slope at 0 is that of the gradient at W = 0: -b for every mode.
        np.testing.assert_allclose((1 - curves.mean[0, 1]) / 1e-6, model.noise, rtol=1e-5)
        assert np.all(np.diff(curves.times) < 0)


def test_stopped_sampler_without_stopping_is_the_minimiser() -> None:
    for model in (ask(40, 0.1), ask(90, 0.1)):
        never = rf.theory.stopped_sampler(model, math.inf, 1e9)
        kl = rf.theory.kl(model)
        assert never.generated_to_data == pytest.approx(kl.generated_to_data, rel=1e-7)
        assert never.data_to_generated == pytest.approx(kl.data_to_generated, rel=1e-7)
        covariance = rf.theory.generated_covariance(model, 50.0, 0.1).mean
        np.testing.assert_allclose(
            rf.theory.stopped_sampler(model, math.inf, 50.0).variance, covariance, rtol=1e-9
        )


def test_stopped_sampler_against_steps() -> None:
    """DDIM with the stopped weights at each noise level; its error halves with the step."""
    from rfcore.theory.linear_sampler import stopped_log_variance

    x, tau, start = np.array([0.0, 0.3, 2.0]), 2.0, 20.0
    model = ask(90, 0.05, 0.1)
    exact = stopped_log_variance(model, x, np.array([tau]), start)[0]
    errors = []
    for steps in (400, 800):
        s = np.geomspace(start, 0.05, steps + 1)
        factor = np.ones(3)
        for now, after in zip(s[:-1], s[1:], strict=True):
            a, b = 1 / (1 + now), now / (1 + now)
            m = a * (x + now + 0.1)
            removed = -b * np.expm1(-m * tau) / m  # 1 - D
            factor *= 1 - removed + math.sqrt(after / now) * removed
        errors.append(np.abs(np.log(start * factor**2) - exact))
    assert np.all(errors[1] < 4e-3)
    np.testing.assert_allclose(errors[0] / errors[1], 2, rtol=0.05)


def test_singular_covariance_in_every_answer() -> None:
    """On the range of Sigma alone: the same totals, energies and best times; divergences exist only there."""
    model = rf.LinearModel(gamma=2.0, noise_variance=0.2, covariance=LAWS["singular"])
    small = rf.theory.restricted(model)
    assert small.gamma == pytest.approx(1.6) and np.all(small.covariance.eigenvalues > 0)
    whole, part = rf.theory.minimizer(model), rf.theory.minimizer(small)
    np.testing.assert_allclose([whole.test, whole.train], [0.8 * part.test, 0.8 * part.train], rtol=1e-12)
    # Stopped at tau, a normal direction keeps exp(-2 b tau) of its loss.
    whole, part = rf.theory.loss_curves(model, [2.0]), rf.theory.loss_curves(small, [2.0])
    kept = 0.2 * math.exp(-4 * model.noise)
    np.testing.assert_allclose(whole.test, 0.8 * part.test + kept, rtol=1e-9)
    np.testing.assert_allclose(whole.train, 0.8 * part.train + kept, rtol=1e-9)
    ridge, part = (rf.theory.minimizer(dataclasses.replace(m, ridge=0.3)) for m in (model, small))
    assert ridge.test == pytest.approx(0.8 * part.test + 0.2 * (1 - 0.2 / 0.5) ** 2, rel=1e-12)
    assert ridge.train == pytest.approx(0.8 * part.train + 0.2 * (1 - 0.2 / 0.5) ** 2, rel=1e-12)
    best = rf.theory.optimal_noise(model)
    assert math.isinf(best.generated_to_data.value) and math.isnan(best.generated_to_data.c)
    assert math.isfinite(rf.theory.optimal_noise(small).generated_to_data.c)
    stopped = rf.theory.stopped_sampler(model, [1.0, math.inf], 10.0)
    assert np.all(np.isinf(stopped.generated_to_data)) and np.all(np.isfinite(stopped.variance))
    assert stopped.variance[1, 0] == pytest.approx(0.2, rel=1e-12)  # contracted by (s_0/T)^(1/2), exactly
    assert rf.theory.kl(small).generated_to_data > 0


def test_round_off_of_a_singular_covariance() -> None:
    """Digits: three pixels never change, and one of the three eigenvalues is not 0 but 1e-17."""
    data = rf.datasets.digits()
    small = rf.theory.restricted(
        rf.LinearModel(gamma=64 / 100, noise_variance=0.1, covariance=data.covariance)
    )
    assert small.covariance.eigenvalues.size == 61 and small.gamma == pytest.approx(0.61)
    assert float(rf.theory.renormalized_noise(data.covariance, 64 / 61, 0.0)) == 0
    assert float(rf.theory.renormalized_noise(data.covariance, 64 / 60, 0.0)) > 1e-6


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rf.theory.mode_curves(ask(90, 0.5), [-1.0]), "tau = -1.0"),
        (lambda: rf.theory.mode_curves(ask(90, 0.5), [math.nan]), "tau = nan"),
        (lambda: rf.theory.stopped_sampler(ask(90, 0.5), 1.0, 0.5), "start_variance = 0.5"),
        (lambda: rf.theory.stopped_sampler(ask(90, 0.5), 1.0, math.inf), "start_variance = inf"),
    ],
)
def test_bad_input(call: object, words: str) -> None:
    with pytest.raises(ValueError, match="is not allowed") as caught:
        call()  # type: ignore[operator]
    assert words in str(caught.value)
