"""Gradient flow mode by mode: theory against sum rules, other formulas, and drawn networks."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rfcore as rf

Array = npt.NDArray[np.float64]
T, S = rf.theory, rf.simulation
LAW = rf.Covariance([0.1, 0.6, 3.0], [0.4, 0.4, 0.2])
TIMES = np.geomspace(1e-2, 1e5, 8)
NAMES = ("mean", "train", "test")


@st.composite
def laws(draw: st.DrawFn) -> rf.Covariance:
    return rf.Covariance(10 ** np.array(draw(st.lists(st.floats(-3, 1), min_size=1, max_size=5))))


@settings(max_examples=15, derandomize=True, deadline=None)
@given(
    law=laws(),
    sizes=st.tuples(st.floats(-1, 2), st.floats(-1, 2)),
    t=st.floats(0.01, 2),
    draws=st.sampled_from([1, 4, math.inf]),
    ridge=st.sampled_from([0.0, 0.05]),
)
def test_modes_of_a_network_add_up_to_its_losses(
    law: rf.Covariance, sizes: tuple[float, float], t: float, draws: float, ridge: float
) -> None:
    model = rf.RandomFeatureModel(10 ** sizes[0], 10 ** sizes[1], t, law, noise_draws=draws, ridge=ridge)
    modes, total = T.mode_curves(model, TIMES), T.loss_curves(model, TIMES)
    bound = 1e-10 + 3 * (modes.error + total.error)
    for name in ("train", "test"):
        assert np.all(np.abs(getattr(modes, name) @ law.weights - getattr(total, name)) < bound)
    score = modes.excess @ law.weights / model.delta
    assert np.all(np.abs(score - total.score_error) < bound / model.delta)


@settings(max_examples=15, derandomize=True, deadline=None)
@given(law=laws(), gamma=st.floats(-1, 1), z=st.floats(-2, 1), ridge=st.sampled_from([0.0, 0.3]))
def test_modes_of_a_linear_denoiser_add_up_to_its_losses(
    law: rf.Covariance, gamma: float, z: float, ridge: float
) -> None:
    model = rf.LinearModel(10**gamma, 10**z, law, ridge)
    modes, total = T.mode_curves(model, TIMES), T.loss_curves(model, TIMES)
    np.testing.assert_allclose(modes.train @ law.weights, total.train, atol=1e-8)
    np.testing.assert_allclose(modes.test @ law.weights, total.test, atol=1e-8)


def test_many_linear_features_are_the_linear_denoiser() -> None:
    """Two derivations, V^T R Ut R V of features and Q Sigma Q of covariances; the rest is O(1/psi_p)."""
    z, n = 0.2, 1.5
    t = math.log1p(z) / 2
    linear = T.mode_curves(rf.LinearModel(1 / n, z, LAW), TIMES[1:5])
    gaps = []
    for width in (1e4, 1e5):
        model = rf.RandomFeatureModel(width, n, t, LAW, "identity")
        clock = 2 * model.delta * model.constants.a**2
        modes = T.mode_curves(model, TIMES[1:5] / clock)
        gaps.append([np.max(np.abs(getattr(modes, k) - getattr(linear, k))) for k in NAMES])
        np.testing.assert_allclose(modes.times * clock, linear.times)
    assert np.max(gaps) < 1e-3
    np.testing.assert_allclose(np.divide(gaps[0], gaps[1]), 10, rtol=1e-2)


def test_the_end_of_a_linear_mode_is_bias_and_variance() -> None:
    """z test_k = lambda (1 - m)^2 + z m^2 + sum_j Var(D_kj)(lambda_j + z), the variance of chapter 12."""
    law = rf.Covariance(np.linspace(0.2, 3, 40))
    lam, z, model = law.eigenvalues, 0.3, rf.LinearModel(0.6, 0.3, law)
    m = lam / (lam + T.renormalized_noise(law, 0.6, z))
    across = T.variance_factors(model, np.eye(40)[:, None, :], np.eye(40)[None, :, :]).product
    want = (lam * (1 - m) ** 2 + z * m**2 + 0.6 * np.mean(across * (lam + z), axis=1)) / z
    modes = T.mode_curves(model, math.inf)
    np.testing.assert_allclose(modes.mean, m, atol=1e-9)
    np.testing.assert_allclose(modes.test, want, rtol=1e-9)


@pytest.mark.parametrize(("draws", "ridge"), [(math.inf, 0.0), (2, 0.05)])
def test_drawn_networks(draws: float, ridge: float) -> None:
    """Means over draws of the Gaussian equivalent, at two sizes: what is left falls like 1/d."""
    model = rf.RandomFeatureModel(3, 2, 0.1, LAW, noise_draws=draws, ridge=ridge)
    tau = [1.0, 30.0, 1000.0]
    exact = T.mode_curves(model, tau)
    for d, count in ((30, 60), (60, 20)):
        runs = [S.mode_curves(model, tau, d, seed, features="gaussian") for seed in range(count)]
        for name in NAMES:
            values = np.array([getattr(run, name) for run in runs])
            error = values.std(axis=0, ddof=1) / math.sqrt(count)
            gap = np.abs(values.mean(axis=0) - getattr(exact, name))
            assert np.all(gap < 4.5 * error + 2 / d), (name, d, np.max(gap))


def test_a_drawn_network_by_modes_and_in_any_basis() -> None:
    model = rf.RandomFeatureModel(2, 1.5, 0.2, LAW, ridge=0.01)
    tau = [0.5, 20.0]
    total = S.loss_curves(model, tau, 20, 3)
    modes = S.mode_curves(model, tau, 20, 3)
    np.testing.assert_allclose(modes.eigenvalues, LAW.eigenvalues)
    np.testing.assert_allclose(modes.test @ LAW.weights, total.test, rtol=1e-12)
    np.testing.assert_allclose(modes.train @ LAW.weights, total.train, rtol=1e-12)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((20, 20)))[0]
    turned = S.mode_curves(model, tau, 20, 3, basis=turn)
    np.testing.assert_allclose(turned.test.mean(axis=-1), total.test, rtol=1e-12)
    np.testing.assert_allclose(
        turned.eigenvalues, np.einsum("ik,i,ik->k", turn, LAW.quantiles(20), turn), rtol=1e-12
    )


def test_given_data_in_their_own_modes() -> None:
    rng = np.random.default_rng(1)
    x, fresh = (rng.standard_normal((n, 12)) * np.linspace(0.2, 2, 12) for n in (24, 90))
    model = rf.RandomFeatureModel(2, 2, 0.3)
    modes = S.mode_curves(model, [1.0, 50.0], 12, 0, x=x, x_test=fresh)
    total = S.loss_curves(model, [1.0, 50.0], 12, 0, x=x, x_test=fresh)
    np.testing.assert_allclose(modes.test.mean(axis=-1), total.test, rtol=1e-12)
    np.testing.assert_allclose(modes.eigenvalues, np.linalg.eigvalsh(fresh.T @ fresh / 90), rtol=1e-10)


def test_learned_share_and_shapes() -> None:
    model = rf.RandomFeatureModel(50, 1e6, 0.1, LAW)
    early = T.mode_curves(model, np.array([[0.0, 1e-9], [1.0, 1e4]]))
    assert early.mean.shape == (2, 2, 3) and early.tau.shape == (2, 2)
    np.testing.assert_allclose(early.learned[0, 0], 0, atol=1e-12)
    np.testing.assert_allclose(early.test[0], 1, atol=1e-6)
    np.testing.assert_allclose(early.learned[1, 1], 1, atol=0.05)
    np.testing.assert_allclose(early.test[1, 1], early.best, atol=0.05)


BAD = [
    (lambda: T.mode_curves(rf.RandomFeatureModel(1, 1, 1), [-1.0]), "tau = -1.0"),
    (lambda: T.mode_curves(rf.RandomFeatureModel(1, 1, 1), [math.inf]), "tau = inf"),
    (lambda: T.mode_curves("model", [1.0]), "model = 'model'"),
    (lambda: S.mode_curves(rf.RandomFeatureModel(1, 1, 1), [-2.0], 4, 0), "tau = -2.0"),
    (lambda: S.mode_curves(rf.RandomFeatureModel(1, 1, 1), [1.0], 4, 0, basis=np.eye(3)), "basis has shape"),
    (lambda: S.mode_curves(None, [1.0], 4, 0), "model = None"),
    (lambda: rf.datasets.cosines(0), "side = 0"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_input(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]


def test_cosines_are_the_modes_of_a_membrane_with_free_edges() -> None:
    """Eigenvectors of the five-point Laplacian with reflection, in the order of their frequency."""
    waves = rf.datasets.cosines(6)
    np.testing.assert_allclose(waves.basis.T @ waves.basis, np.eye(36), atol=1e-13)
    line = 2 * np.eye(6) - np.eye(6, k=1) - np.eye(6, k=-1)
    line[0, 0] = line[-1, -1] = 1
    laplacian = np.kron(line, np.eye(6)) + np.kron(np.eye(6), line)
    stretched = laplacian @ waves.basis
    values = np.sum(waves.basis * stretched, axis=0)
    np.testing.assert_allclose(stretched, waves.basis * values, atol=1e-13)
    assert np.all(np.diff(waves.frequency) >= 0) and waves.frequency[0] == 0


def test_passing_times() -> None:
    """A mode that relaxes as exp(-tau/k) is half learned at k log 2; one that stops short never is."""
    tau = np.geomspace(0.01, 100, 2000)
    k = np.array([0.5, 1.0, 3.0])
    rising = -np.expm1(-tau[:, None] / k)
    rising = np.column_stack([rising, 0.4 * rising[:, 0]])
    four = np.ones(4)
    curves = rf.theory.ModeCurves(tau, four, 1 - rising / 2, rising, rising, four / 2, four, 0.0)
    np.testing.assert_allclose(curves.passing(curves.learned, 0.5)[:3], k * math.log(2), rtol=1e-4)
    np.testing.assert_allclose(curves.passing(curves.mean, 0.75)[:3], k * math.log(2), rtol=1e-4)
    assert math.isnan(curves.passing(curves.learned, 0.5)[3])
    with pytest.raises(ValueError, match="one row of increasing times"):
        T.mode_curves(rf.RandomFeatureModel(1, 1, 1), 1.0).passing(np.ones((1, 1)), 0.5)


def test_the_best_time_of_wide_linear_features_is_that_of_the_linear_denoiser() -> None:
    z, n = 0.2, 1.5
    linear = T.optimal_stopping(rf.LinearModel(1 / n, z, LAW))
    model = rf.RandomFeatureModel(1e7, n, math.log1p(z) / 2, LAW, "identity")
    found = T.optimal_stopping(model)
    assert found.tau * 2 * model.delta * model.constants.a**2 == pytest.approx(linear.tau, rel=1e-3)
    assert found.test == pytest.approx(linear.test, rel=1e-6) and found.residual < 1e-6
    assert found.train == pytest.approx(linear.train, rel=1e-3)


def test_where_training_longer_is_always_better() -> None:
    """Many samples and few features: no time beats the end, which is the minimiser."""
    model = rf.RandomFeatureModel(0.5, 1e6, 0.1, LAW)
    found = T.optimal_stopping(model)
    assert found.test <= T.minimizer(model).test
    assert found.tau > 1e3
    with pytest.raises(ValueError, match="model = 3"):
        T.optimal_stopping(3)


def test_modes_of_a_linear_denoiser_trained_on_given_data() -> None:
    """One training set: the squared error of the noise along each eigenvector, from explicit matrices."""
    from rfcore.simulation.linear_draws import batches, population

    x = np.random.default_rng(2).standard_normal((40, 5)) * np.linspace(0.3, 2, 5)
    model, tau = rf.LinearModel(0.5, 0.4, LAW, ridge=0.1), 1.3
    p = population(model, 5, x=x)
    drawn = next(iter(batches(p, 1, 7)))
    turn, values = drawn.vectors[0].numpy(), drawn.values[0].numpy()
    a, b = model.signal, model.noise
    m = a * (turn @ np.diag(values) @ turn.T + model.c * np.eye(5))
    w = math.sqrt(b) * (np.eye(5) - _exp(-tau * m)) @ np.linalg.inv(m)
    seen = a * np.diag(p.spectrum) + b * np.eye(5)
    want = np.diag(w @ seen @ w.T) - 2 * math.sqrt(b) * np.diag(w) + 1
    got = S.mode_curves(model, tau, 5, 1, 7, x=x)
    np.testing.assert_allclose(got.test, want, rtol=1e-12)
    np.testing.assert_allclose(got.mean, 1 - math.sqrt(b) * np.diag(w), rtol=1e-12)


def _exp(matrix: Array) -> Array:
    value, turn = np.linalg.eigh(matrix)
    return np.asarray((turn * np.exp(value)) @ turn.T)
