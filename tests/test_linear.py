"""Linear denoisers at d = infinity: public values, drawn data, closed forms, sum rules, limits."""

import dataclasses
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import digamma

import rfcore as rf

Array = npt.NDArray[np.float64]
LAM = np.linspace(0.3, 3, 60)
LAW = rf.Covariance(LAM)


def ask(n: float, z: float, ridge: float = 0.0, law: rf.Covariance = LAW) -> rf.LinearModel:
    return rf.LinearModel(gamma=60 / n, noise_variance=z, covariance=law, ridge=ridge)


def draws(n: int, count: int, seed: int, lam: Array = LAM) -> Array:
    """Sample covariances (count, d, d) of n Gaussian points, known mean."""
    x = np.random.default_rng(seed).standard_normal((count, n, lam.size)) * np.sqrt(lam)
    return np.asarray(np.swapaxes(x, 1, 2) @ x / n)


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


@pytest.mark.parametrize("n", [40, 90])
def test_losses_against_draws(n: int) -> None:
    """d = 60 with the 1/d correction: within 5 standard errors of 400 drawn training sets."""
    model, s = ask(n, 0.2, 0.3), draws(n, 400, seed=1)
    z, g = model.noise_variance, np.linalg.inv(s + model.c * np.eye(60))
    end, kl = rf.theory.minimizer(model, d=60), rf.theory.kl(model, d=60)
    g2 = g @ g
    trace = lambda a: np.trace(a, axis1=1, axis2=2) / 60  # noqa: E731
    test = 1 - 2 * z * trace(g) + z * np.einsum("nii,i->n", g2, LAM) / 60 + z * z * trace(g2)
    train = 1 - 2 * z * trace(g) + z * trace(s @ g2) + z * z * trace(g2)
    log_det = np.linalg.slogdet(s + model.c * np.eye(60))[1] / 60
    log_sigma = np.mean(np.log(LAM))
    scaled = np.einsum("nii,i->n", s, 1 / LAM) / 60
    forward = (scaled + model.c * np.mean(1 / LAM) - 1 - log_det + log_sigma) / 2
    backward = (np.einsum("nii,i->n", g, LAM) / 60 - 1 + log_det - log_sigma) / 2
    for drawn, exact in (
        (test, end.test),
        (train, end.train),
        (forward, kl.generated_to_data),
        (backward, kl.data_to_generated),
    ):
        assert abs(drawn.mean() - exact) < 5 * drawn.std(ddof=1) / 20 + 2 / 60**2


@pytest.mark.parametrize("n", [40, 90])
def test_flow_against_draws(n: int) -> None:
    model, s = ask(n, 3 / 7), draws(n, 100, seed=2)
    a, b, tau = model.signal, model.noise, np.array([0.3, 3.0, 30.0])
    x, u = np.linalg.eigh(s)
    m = a * (x + model.c)
    q = np.einsum("nij,i->nj", u**2, LAM)
    test, train = [], []
    for time in tau:
        h = math.sqrt(b) * -np.expm1(-m * time) / m
        test.append(1 - 2 * math.sqrt(b) * h.mean(1) + ((a * q + b) * h**2).mean(1))
        train.append(1 - 2 * math.sqrt(b) * h.mean(1) + ((a * x + b) * h**2).mean(1))
    curves = rf.theory.loss_curves(model, tau)
    for drawn, exact in ((np.array(test), curves.test), (np.array(train), curves.train)):
        assert np.all(np.abs(drawn.mean(1) - exact) < 5 * drawn.std(1, ddof=1) / 10 + 0.3 / 60)


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


@pytest.mark.parametrize("n", [40, 90])
def test_denoiser_moments_against_draws(n: int) -> None:
    model, s = ask(n, 0.5), draws(n, 3000, seed=3)
    maps = s @ np.linalg.inv(s + 0.5 * np.eye(60))
    moments = rf.theory.denoiser_moments(model)
    assert np.max(np.abs(np.einsum("nii->ni", maps).mean(0) - moments.mean)) < 0.01
    for j, k in ((0, 0), (30, 30), (59, 59), (0, 59), (20, 40)):
        drawn = n * maps[:, j, k].var()
        assert drawn == pytest.approx(moments.scaled_variance[j, k], rel=5 * math.sqrt(2 / 3000) + 3 / 60)


def power(s: Array, start: float, end: float) -> Array:
    """((S + end)/(S + start))^(1/2), or (S + end)^(1/2)."""
    x, u = np.linalg.eigh(s)
    x = np.maximum(x, 0)
    f = np.sqrt(x + end) if math.isinf(start) else np.sqrt((x + end) / (x + start))
    return np.asarray((u * f[:, None, :]) @ np.swapaxes(u, 1, 2))


@pytest.mark.parametrize(("start", "end"), [(math.inf, 0.0), (math.inf, 0.4), (5.0, 0.0), (5.0, 0.3)])
def test_sampling_map_against_draws(start: float, end: float) -> None:
    n = 90
    maps = power(draws(n, 1500, seed=4), start, end)
    moments = rf.theory.sampling_map_moments(ask(n, 0.5), start, end)
    assert moments.error < 1e-12
    np.testing.assert_allclose(np.einsum("nii->ni", maps).mean(0), moments.mean, rtol=0.02)
    for j, k in ((30, 30), (10, 50)):
        assert n * maps[:, j, k].var() == pytest.approx(moments.scaled_variance[j, k], rel=0.25)
    half = maps.reshape(2, 750, 60, 60)
    agreement = np.einsum("nij,nij->", half[0], half[1]) / np.einsum("nij,nij->", maps, maps) * 2
    assert agreement == pytest.approx(rf.theory.split_agreement(ask(n, 0.5), start, end), rel=0.01)


@pytest.mark.parametrize("n", [40, 90])
def test_sum_rules(n: int) -> None:
    """m_k^2 + sum_j Var_kj = E[f^2]_kk between leading-order formulas, so without the crossed term."""
    model = ask(n, 0.5)
    for start, total in ((math.inf, LAM), (5.0, None)):
        moments = rf.theory.sampling_map_moments(model, start)
        variance = moments.scaled_variance / n
        variance[np.diag_indices(60)] /= 2
        if total is None:
            total = LAM / (LAM + rf.theory.renormalized_noise(LAW, 60 / n, 5.0))
        np.testing.assert_allclose(moments.mean**2 + variance.sum(1), total, rtol=1e-10)


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
        (lambda: rf.theory.kl(ask(90, 0.5), d=0), "d = 0"),
        (lambda: rf.theory.minimizer(dataclasses), "model = "),
        (lambda: rf.theory.minimizer(rf.RandomFeatureModel(psi_p=2, psi_n=2, t=0.1), d=60), "d = 60"),
    ],
)
def test_bad_input(call: object, words: str) -> None:
    with pytest.raises(ValueError, match="is not allowed") as caught:
        call()  # type: ignore[operator]
    assert words in str(caught.value)
