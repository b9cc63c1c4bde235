"""Linear denoisers at d = infinity: public values, drawn data, closed forms, limits."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import digamma

import rfcore as rf
from tests.linear_cases import LAM, LAW, Array, ask


@st.composite
def questions(draw: st.DrawFn) -> rf.LinearModel:
    lam = 10 ** np.array(draw(st.lists(st.floats(-3, 1), min_size=1, max_size=6)))
    return rf.LinearModel(
        gamma=10 ** draw(st.floats(-2, 2)),
        noise_variance=10 ** draw(st.floats(-4, 1)),
        covariance=rf.Covariance(lam),
        ridge=draw(st.sampled_from([0.0, 0.1])),
    )


QUICK = settings(max_examples=40, derandomize=True, deadline=None)


def test_public_values_of_kappa() -> None:
    np.testing.assert_allclose(
        rf.theory.renormalized_noise(LAW, 60 / 40, [0.2, 2, 0]),
        [1.1497015401, 3.6107434802, 0.6743470267],
        rtol=1e-9,
    )
    np.testing.assert_allclose(
        rf.theory.renormalized_noise(LAW, 60 / 90, [0.2, 2, 0]), [0.4061748005, 2.6372404866, 0], rtol=1e-9
    )


PUBLIC = {
    40: (3.0115530999, 0.5506945394, 0.4418651648, 1.9239035544, 1.0194620622, 0.5435474969, 0.6404990728),
    90: (1.1894941344, 0.7614017424, 0.1742287748, 0.3495318892, 0.8537098279, 0.6616083909, 0.8887991509),
}


@pytest.mark.parametrize("n", [40, 90])
def test_public_values(n: int) -> None:
    end, kl = rf.theory.minimizer(ask(n, 0.2)), rf.theory.kl(ask(n, 0.1), d=60)
    flow = rf.theory.loss_curves(ask(n, 3 / 7), [3.0])
    agreement = rf.theory.split_agreement(ask(n, 0.5), 5.0)
    got = (
        end.test,
        end.train,
        kl.generated_to_data,
        kl.data_to_generated,
        flow.test[0],
        flow.train[0],
        agreement,
    )
    np.testing.assert_allclose(got, PUBLIC[n], rtol=1e-8)


@given(questions())
@QUICK
def test_kappa_solves_its_equation(model: rf.LinearModel) -> None:
    lam, w = model.covariance.eigenvalues, model.covariance.weights
    z = np.geomspace(1e-8, 1e3, 30)
    kappa = rf.theory.renormalized_noise(model.covariance, model.gamma, z)
    df1 = (lam[:, None] / (lam[:, None] + kappa)).T @ w
    # The root is the physical one: kappa >= z, increasing, and above kappa(0).
    assert np.all(kappa >= z * (1 - 1e-14)) and np.all(np.diff(kappa) > 0)
    size = kappa * (1 + model.gamma * df1)
    assert np.max(np.abs(kappa * (1 - model.gamma * df1) - z) / size) < 1e-14


@given(questions())
@QUICK
def test_laws(model: rf.LinearModel) -> None:
    end = rf.theory.minimizer(model)
    assert 0 <= end.train <= 1 and end.score_error >= -1e-9
    curves = rf.theory.loss_curves(model, np.concatenate([[0], np.geomspace(1e-3, 1e9, 40)]))
    assert curves.test[0] == curves.train[0] == 1
    assert np.all(curves.error < 1e-8 * np.maximum(1, curves.test))
    if model.ridge == 0:
        assert np.all(np.diff(curves.train) < 1e-9)
    assert curves.test[-1] == pytest.approx(end.test, rel=1e-8)
    kl = rf.theory.kl(model)
    assert kl.generated_to_data >= -1e-12 and kl.data_to_generated >= -1e-12


@pytest.mark.parametrize("gamma", [0.1, 0.5, 0.9])
def test_kl_without_noise_is_universal(gamma: float) -> None:
    """c -> 0, any Sigma: the closed forms in gamma alone; the two small-noise terms are O(c)."""
    rest = (1 - gamma) / gamma * math.log1p(-gamma)
    for law in (LAW, rf.Covariance.power_law(1.0, 20), rf.Covariance.isotropic(3.0)):
        kl = rf.theory.kl(rf.LinearModel(gamma=gamma, noise_variance=1e-9, covariance=law))
        assert kl.generated_to_data == pytest.approx((1 + rest) / 2, abs=1e-6)
        assert kl.data_to_generated == pytest.approx((gamma / (1 - gamma) - 1 - rest) / 2, abs=1e-5)


def test_kl_against_the_exact_finite_law() -> None:
    """n = 90, d = 40, c = 0: digamma functions; what is left after the 1/d correction is O(1/d^2)."""
    n, d = 90, 40
    log_det = np.mean(digamma((n - np.arange(d)) / 2)) + math.log(2 / n)
    exact = np.array([-log_det / 2, (n / (n - d - 1) - 1 + log_det) / 2])
    model = rf.LinearModel(gamma=d / n, noise_variance=1e-10)
    leading, corrected = rf.theory.kl(model), rf.theory.kl(model, d=d)
    before = exact - [leading.generated_to_data, leading.data_to_generated]
    after = exact - [corrected.generated_to_data, corrected.data_to_generated]
    assert np.all(np.abs(after) < np.abs(before) / 20)
    assert np.all(np.abs(after) < 2 / d**2)


@pytest.mark.parametrize(
    ("n", "leading", "ridge"),
    [
        (40, (0.4384234129, 1.9065681982), (1.1145068893, 0.6840064622)),
        (90, (0.1714953754, 0.3392875603), (0.9287423343, 0.7971679874)),
    ],
)
def test_public_values_of_divergences_and_ridge(
    n: int, leading: tuple[float, float], ridge: tuple[float, float]
) -> None:
    kl, end = rf.theory.kl(ask(n, 0.1)), rf.theory.minimizer(ask(n, 0.2, 0.3))
    np.testing.assert_allclose((kl.generated_to_data, kl.data_to_generated), leading, rtol=1e-9)
    np.testing.assert_allclose((end.test, end.train), ridge, rtol=1e-9)


def excess(kappa: float, gamma: float, lam: Array, w: Array, z: float) -> float:
    return kappa * (1 - gamma * float(w @ (lam / (lam + kappa)))) - z


def test_kappa_against_brackets() -> None:
    for law, gamma in ((rf.Covariance.power_law(2.0, 100), 0.7), (LAW, 30.0), (rf.Covariance([0, 1.0]), 2.5)):
        lam, w = law.eigenvalues, law.weights
        z = np.geomspace(1e-6, 1e4, 25)
        got = rf.theory.renormalized_noise(law, gamma, z.reshape(5, 5))
        for level, kappa in zip(z, got.ravel(), strict=True):
            high = level + gamma * law.variance + 1e-9
            low = max(level, float(rf.theory.renormalized_noise(law, gamma, 0.0)))
            root = brentq(excess, low, high, args=(gamma, lam, w, level), xtol=1e-15, rtol=1e-14)
            assert kappa == pytest.approx(root, rel=1e-9)


def test_isotropic_kappa_is_a_quadratic() -> None:
    z = np.geomspace(1e-12, 1e6, 60)
    for gamma in (1e-3, 0.9999, 1.0, 1.0001, 50.0):
        half = (z + (gamma - 1)) / 2
        root = np.sqrt(half**2 + z)
        exact = np.where(half > 0, half + root, z / (root - half))
        got = rf.theory.renormalized_noise(rf.Covariance.isotropic(), gamma, z)
        np.testing.assert_allclose(got, exact, rtol=1e-13)


@given(questions(), st.floats(1.01, 10))
@QUICK
def test_kappa_is_monotone(model: rf.LinearModel, factor: float) -> None:
    """Fewer points look like more noise: kappa grows with gamma, and kappa/z falls with z."""
    z = np.geomspace(1e-6, 1e3, 20)
    kappa = rf.theory.renormalized_noise(model.covariance, model.gamma, z)
    more = rf.theory.renormalized_noise(model.covariance, model.gamma * factor, z)
    assert np.all(more > kappa)
    assert np.all(np.diff(kappa / z) <= 1e-12 * (kappa / z)[1:])
    fewer = dataclasses.replace(model, gamma=model.gamma * factor)
    assert np.all(rf.theory.denoiser_moments(fewer).mean < rf.theory.denoiser_moments(model).mean)
    # The average map is pulled to the mean in every mode.
    root = rf.theory.sampling_map_moments(dataclasses.replace(model, ridge=0.0), math.inf)
    assert np.all(root.mean < np.sqrt(model.covariance.eigenvalues))


def test_small_noise_beyond_interpolation() -> None:
    """n < d, c -> 0: kappa(0), and the rates at which gap and divergences grow."""
    for law, gamma in ((LAW, 1.5), (rf.Covariance.isotropic(), 4.0), (rf.Covariance.power_law(1.0, 30), 2.0)):
        kappa = float(rf.theory.renormalized_noise(law, gamma, 0.0))
        lam, w = law.eigenvalues, law.weights
        assert gamma * float(w @ (lam / (lam + kappa))) == pytest.approx(1, rel=1e-13)
        near = rf.theory.renormalized_noise(law, gamma, [1e-9])[0]
        slope = 1 / (1 - gamma * float(w @ (lam / (lam + kappa)) ** 2))
        assert (near - kappa) / 1e-9 == pytest.approx(slope, rel=1e-4)
        z = 1e-8
        model = rf.LinearModel(gamma=gamma, noise_variance=z, covariance=law)
        end, kl = rf.theory.minimizer(model), rf.theory.kl(model)
        assert (end.test - end.train) * z == pytest.approx(kappa / gamma, rel=1e-5)
        assert kl.data_to_generated * z == pytest.approx(kappa / (2 * gamma), rel=1e-5)
        half = rf.theory.kl(dataclasses.replace(model, noise_variance=z / 2))
        grown = (half.generated_to_data - kl.generated_to_data) / math.log(2)
        assert grown == pytest.approx((1 - 1 / gamma) / 2, rel=1e-5)
    assert float(rf.theory.renormalized_noise(rf.Covariance.isotropic(), 4.0, 0.0)) == pytest.approx(3)


def test_much_noise_hides_the_data() -> None:
    """c -> infinity: the denoiser is S/c, its variance that of S; the gap is 2 gamma (tr Sigma)^2/c^2."""
    model = ask(40, 1e6)
    moments = rf.theory.denoiser_moments(model)
    np.testing.assert_allclose(moments.mean * 1e6, LAM, rtol=1e-5)
    np.testing.assert_allclose(
        moments.scaled_variance * 1e12, np.outer(LAM, LAM) * (1 + np.eye(60)), rtol=1e-4
    )
    end = rf.theory.minimizer(model)
    assert end.test - end.train == pytest.approx(2 * 1.5 * np.mean(LAM) ** 2 / 1e12, rel=1e-3)


def test_small_gamma_is_the_population() -> None:
    model = ask(60e9, 0.5)
    assert rf.theory.minimizer(model).score_error == pytest.approx(0, abs=1e-8)
    np.testing.assert_allclose(rf.theory.denoiser_moments(model).mean, LAM / (LAM + 0.5), rtol=1e-8)
    assert rf.theory.split_agreement(model, 5.0) == pytest.approx(1, abs=1e-8)


def test_singular_covariance() -> None:
    """Null directions cost nothing without a ridge: total losses equal those of the smaller problem."""
    small = rf.LinearModel(gamma=0.5, noise_variance=0.2, covariance=rf.Covariance([1.0, 2.0]))
    padded = rf.LinearModel(gamma=0.75, noise_variance=0.2, covariance=rf.Covariance([0.0, 1.0, 2.0]))
    assert rf.theory.minimizer(padded).test * 3 == pytest.approx(
        rf.theory.minimizer(small).test * 2, rel=1e-12
    )
    assert math.isinf(rf.theory.kl(padded).generated_to_data)
    assert rf.theory.split_agreement(padded, 5.0) == pytest.approx(
        rf.theory.split_agreement(small, 5.0), rel=1e-10
    )


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rf.LinearModel(gamma=0, noise_variance=1), "gamma = 0"),
        (lambda: rf.LinearModel(gamma=1, noise_variance=0), "noise_variance = 0"),
        (lambda: rf.theory.renormalized_noise(LAW, 1.0, [-1.0]), "noise_variance = -1.0"),
        (lambda: rf.theory.renormalized_noise(LAW, -1.0, [1.0]), "gamma = -1.0"),
        (lambda: rf.theory.sampling_map_moments(ask(90, 0.5), 0.1, 0.2), "start_variance = 0.1"),
        (lambda: rf.theory.sampling_map_moments(ask(90, 0.5, 0.1), 5.0), "ridge = 0.1"),
        (lambda: rf.theory.loss_curves(ask(90, 0.5), [-1.0]), "tau = -1.0"),
        (lambda: rf.theory.power_moments(ask(90, 0.5), 1.0), "alpha = 1.0"),
        (lambda: rf.theory.power_moments(ask(90, 0.5), 0.0), "alpha = 0.0"),
        (lambda: rf.theory.generated_covariance(ask(90, 0.5), 0.1, 0.1), "start_variance = 0.1"),
        (lambda: rf.theory.variance_factors(ask(90, 0.5), np.ones(60), np.ones(59)), "point has shape (59,)"),
        (lambda: rf.theory.kl(ask(90, 0.5), d=0), "d = 0"),
        (lambda: rf.theory.minimizer(dataclasses), "model = "),
        (lambda: rf.theory.minimizer(rf.RandomFeatureModel(psi_p=2, psi_n=2, t=0.1), d=60), "d = 60"),
    ],
)
def test_bad_input(call: object, words: str) -> None:
    with pytest.raises(ValueError, match="is not allowed") as caught:
        call()  # type: ignore[operator]
    assert words in str(caught.value)
