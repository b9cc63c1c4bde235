"""Linear denoisers on drawn data: against explicit matrices, against the theory, on given data sets."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

import rfcore as rf
from rfcore.simulation.linear import _batch_losses
from rfcore.simulation.linear_draws import _diagonal, batches, population
from rfcore.simulation.setting import tensor

Array = npt.NDArray[np.float64]
D = 60
LAM = np.linspace(0.3, 3, D)
LAW = rf.Covariance(LAM)
T, S = rf.theory, rf.simulation


def ask(n: int, z: float = 3 / 7, ridge: float = 0.0, law: rf.Covariance = LAW) -> rf.LinearModel:
    return rf.LinearModel(gamma=D / n, noise_variance=z, covariance=law, ridge=ridge)


def close(measured: object, exact: object, error: object, finite: float) -> None:
    """Within 5 standard errors plus the stated finite-d term."""
    gap = np.abs(np.asarray(measured, dtype=float) - np.asarray(exact, dtype=float))
    bound = 5 * np.asarray(error, dtype=float) + finite
    assert np.all(gap < bound), f"gap {np.max(gap / bound):.2f} of its bound"


@pytest.mark.parametrize("mean", ["known", "fitted"])
@pytest.mark.parametrize("given", [True, False])
def test_losses_against_explicit_matrices(mean: str, given: bool) -> None:
    """One training set: W from the gradient-flow matrices, losses as quadratic forms in W."""
    rng, n, d = np.random.default_rng(0), 7, 5
    x = rng.standard_normal((20, d)) @ rng.standard_normal((d, d)) + 3
    model = rf.LinearModel(
        gamma=d / n, noise_variance=0.4, covariance=rf.Covariance(np.arange(1.0, 6)), ridge=0.2
    )
    p = population(model, d, x=x if given else None, mean=mean)
    a, b, c = model.signal, model.noise, model.c
    if given:
        assert p.points is not None
        data, rest = p.points[:n], p.points[n:]
    else:
        data = rng.standard_normal((n, d)) * np.sqrt(p.spectrum)
    centre = data.mean(0) if mean == "fitted" else np.zeros(d)
    sample = (data - centre).T @ (data - centre) / n
    if given:
        second = (rest - centre).T @ (rest - centre) / len(rest)
    else:
        second = np.diag(p.spectrum) + np.outer(centre, centre)
    tau = 1.7
    m = a * (sample + c * np.eye(d))
    value, turn = np.linalg.eigh(m)
    w = math.sqrt(b) * (turn * (-np.expm1(-tau * value) / value)) @ turn.T
    train, test, _ = _batch_losses(p, _diagonal(p, tensor(data[None], "cpu")), np.array([tau, math.inf]))
    for got, matrix in ((train, sample), (test, second)):
        exact = 1 + (np.trace(w @ (a * matrix + b * np.eye(d)) @ w.T) - 2 * math.sqrt(b) * np.trace(w)) / d
        assert got[0, 0] == pytest.approx(exact, rel=1e-12)
        end = math.sqrt(b) * np.linalg.inv(m)
        last = (
            1 + (np.trace(end @ (a * matrix + b * np.eye(d)) @ end.T) - 2 * math.sqrt(b) * np.trace(end)) / d
        )
        assert got[0, 1] == pytest.approx(last, rel=1e-12)


@pytest.mark.parametrize("n", [40, 90])
def test_losses_and_divergences(n: int) -> None:
    """With the 1/d correction what is left is O(1/d^2): 2/d^2; without it O(1/d), for the curves."""
    model = ask(n, 0.2, 0.3)
    end, exact = S.minimizer(model, D, 300, 0), T.minimizer(model, d=D)
    kl, exact_kl = S.kl(model, D, 300, 0), T.kl(model, d=D)
    assert end.standard_error is not None and kl.standard_error is not None
    for name in ("train", "test", "score_error"):
        close(getattr(end, name), getattr(exact, name), getattr(end.standard_error, name), 4 / D**2)
    for name in ("generated_to_data", "data_to_generated"):
        close(getattr(kl, name), getattr(exact_kl, name), getattr(kl.standard_error, name), 2 / D**2)
    tau = np.array([[0.3, 3.0], [30.0, 1e9]])
    curves, line = S.loss_curves(model, tau, D, 150, 1), T.loss_curves(model, tau)
    assert curves.standard_error is not None and curves.test.shape == (2, 2)
    close(curves.test, line.test, curves.standard_error.test, 0.5 / D)
    close(curves.train, line.train, curves.standard_error.train, 0.3 / D)
    late = S.minimizer(model, D, 150, 1)
    assert curves.test[1, 1] == pytest.approx(late.test, rel=1e-12)


@pytest.mark.parametrize("n", [40, 90])
def test_filters(n: int) -> None:
    model = ask(n)
    oracle, best = S.oracle_filter(model, D, 100, 0), T.oracle_filter(model)
    close(oracle.loss, best.loss, oracle.standard_error, 0.05 / D)
    assert oracle.null_weight == pytest.approx(best.null_weight)
    stop, exact = S.optimal_stopping(model, D, 100, 0), T.optimal_stopping(model)
    close(stop.test, exact.test, stop.standard_error, 0.05 / D)
    assert stop.tau == pytest.approx(exact.tau, rel=0.02) and stop.residual < 1e-9
    noise, optimum = S.optimal_noise(model, D, 100, 0), T.optimal_noise(model)
    for name in ("test", "generated_to_data", "data_to_generated"):
        measured, wanted = getattr(noise, name), getattr(optimum, name)
        close(measured.value, wanted.value, measured.standard_error, 0.2 / D)
        assert measured.c == pytest.approx(wanted.c, rel=0.03)
    assert oracle.loss < min(stop.test, noise.test.value)


def test_early_stopping() -> None:
    model, tau = ask(90), [0.5, 2.0, math.inf]
    curves, line = S.mode_curves(model, tau, D, 100, 0), T.mode_curves(model, tau)
    assert curves.standard_error is not None
    for name in ("mean", "train", "test"):
        close(getattr(curves, name), getattr(line, name), getattr(curves.standard_error, name), 0.5 / D)
    np.testing.assert_allclose(curves.times, line.times)
    got, exact = (
        S.stopped_sampler(model, tau, 100.0, d=D, draws=100, seed=0),
        T.stopped_sampler(model, tau, 100.0),
    )
    assert got.standard_error is not None
    close(got.generated_to_data, exact.generated_to_data, got.standard_error.generated_to_data, 0.2 / D)
    close(got.data_to_generated, exact.data_to_generated, got.standard_error.data_to_generated, 0.5 / D)
    close(got.variance, exact.variance, got.standard_error.variance, 0.5 / D)


MAPS: dict[str, tuple[Callable[..., object], Callable[..., object], tuple[float, ...]]] = {
    "denoiser": (S.denoiser_moments, T.denoiser_moments, ()),
    "map": (S.sampling_map_moments, T.sampling_map_moments, (5.0, 0.3)),
    "root": (S.sampling_map_moments, T.sampling_map_moments, (math.inf,)),
    "power": (S.power_moments, T.power_moments, (0.3,)),
    "covariance": (S.generated_covariance, T.generated_covariance, (5.0, 0.3)),
    "covariance, T = inf": (S.generated_covariance, T.generated_covariance, (math.inf, 0.3)),
}


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("n", [40, 90])
def test_moments_of_maps(name: str, n: int) -> None:
    """All 1,830 variances at once: the deviations in standard errors have mean 0 and spread 1."""
    simulate, theory, arguments = MAPS[name]
    model = ask(n)
    got: rf.theory.MapMoments = simulate(model, *arguments, d=D, draws=300, seed=0)  # type: ignore[assignment]
    exact: rf.theory.MapMoments = theory(model, *arguments)  # type: ignore[assignment]
    assert got.standard_error is not None
    close(got.mean, exact.mean, got.standard_error.mean, 0.6 / D)
    ratio = got.scaled_variance / exact.scaled_variance
    error = got.standard_error.scaled_variance / exact.scaled_variance
    upper = np.triu_indices(D)
    deviation = ((ratio - 1) / error)[upper]
    assert 0.9 < deviation.std() < 1.2
    # Entries share training sets, so the mean of the ratios is no better than 1/d.
    assert abs(ratio[upper].mean() - 1) < 1.5 / D
    assert abs(np.diag(ratio).mean() - 1) < 1.5 / D + 5 * math.sqrt(2 / 300 / D)  # with the crossed term


@pytest.mark.parametrize("n", [40, 90])
def test_factors_of_the_variance(n: int) -> None:
    """Generic v and x, orthogonal in A, and v = x, where the crossed term doubles the variance."""
    model, rng = ask(n), np.random.default_rng(1)
    v, x = rng.standard_normal((2, 12, D))
    x[:4] = v[:4]
    got = S.variance_factors(model, v, x, d=D, draws=1000, seed=2)
    exact = T.variance_factors(model, v, x)
    close(got.scaled_variance / exact.scaled_variance, 1, got.standard_error / exact.scaled_variance, 3 / D)
    np.testing.assert_allclose(exact.scaled_variance[:4], 2 * exact.product[:4], rtol=1e-12)
    modes = T.variance_factors(model, np.eye(D)[:, None], np.eye(D))
    np.testing.assert_allclose(modes.scaled_variance, T.denoiser_moments(model).scaled_variance, rtol=1e-12)
    kappa = float(T.renormalized_noise(LAW, model.gamma, model.c))
    assert LAM[np.argmax(modes.anisotropy[:, 0])] == pytest.approx(kappa, abs=0.05) or kappa > 3


@pytest.mark.parametrize(("start", "end"), [(math.inf, 0.0), (5.0, 0.3)])
def test_agreement_of_splits(start: float, end: float) -> None:
    got = S.split_agreement(ask(90), start, end, d=D, draws=100, seed=0)
    assert isinstance(got, float)
    close(got, T.split_agreement(ask(90), start, end), got.standard_error, 0.3 / D)


def test_atoms_with_many_modes() -> None:
    """Two atoms at d = 60: modes of an atom are averaged, in the order of the question."""
    law = rf.Covariance([3.0, 0.5], [0.25, 0.75])
    model = ask(90, law=law)
    assert S.realized(model, D) == dataclasses.replace(model)
    got, exact = S.denoiser_moments(model, D, 100, 0), T.denoiser_moments(model)
    assert got.standard_error is not None
    np.testing.assert_allclose(got.mean, exact.mean, rtol=0.01)
    np.testing.assert_allclose(got.scaled_variance, exact.scaled_variance, rtol=0.1)
    few = S.realized(
        rf.LinearModel(gamma=0.3, noise_variance=1, covariance=rf.Covariance.power_law(1, 50)), 10
    )
    assert few.gamma == 10 / 33 and few.covariance.eigenvalues.size == 10


def test_fitted_mean_is_one_point_less() -> None:
    """S has n - 1 degrees of freedom and divisor n: S + c = ((n - 1)/n)(S' + c n/(n - 1)), in law."""
    n = 90
    got = S.kl(ask(n, 0.1), D, 300, 0, mean="fitted")
    other = rf.LinearModel(gamma=D / (n - 1), noise_variance=0.1 * n / (n - 1), covariance=LAW)
    shift = 0.1 / (n - 1) * np.mean(1 / LAM) + math.log((n - 1) / n)
    assert got.standard_error is not None
    exact = T.kl(other, d=D).generated_to_data - shift / 2
    close(got.generated_to_data, exact, got.standard_error.generated_to_data, 2 / D**2)
    # The known mean is off by more than that: 1/(2n) and what the lost degree of freedom adds.
    assert abs(exact - T.kl(ask(n, 0.1), d=D).generated_to_data) > 5 * got.standard_error.generated_to_data


def test_disjoint_subsets_estimate_independent_sets() -> None:
    """A finite data set, N = 4n: variances from disjoint subsets are those over independent sets."""
    lam, d, n, count = np.linspace(0.3, 3, 20), 20, 30, 120
    model = rf.LinearModel(gamma=d / n, noise_variance=0.5, covariance=rf.Covariance(lam))
    exact = T.denoiser_moments(model)
    ratios, diagonals, mean = [], [], []
    for seed in range(12):
        x = np.random.default_rng(seed).standard_normal((count, d)) * np.sqrt(lam)
        got = S.denoiser_moments(model, d, 40, seed, x=x)
        ratios.append(got.scaled_variance.sum() / exact.scaled_variance.sum())
        law = S.realized(model, d, x).covariance
        kappa = kappa_without_replacement(law, d / n, d / count, 0.5)
        wrong = float(T.renormalized_noise(law, d / n, 0.5))
        diagonals.append(got.mean - law.eigenvalues / (law.eigenvalues + kappa))
        mean.append(got.mean - law.eigenvalues / (law.eigenvalues + wrong))
    # A naive variance over all subsets would be smaller by n/N = 1/4.
    assert np.mean(ratios) == pytest.approx(1, abs=5 * np.std(ratios) / math.sqrt(12) + 1 / d)
    assert np.abs(np.mean(diagonals)) < 0.3 * np.abs(np.mean(mean))


def kappa_without_replacement(law: rf.Covariance, gamma: float, whole: float, z: float) -> float:
    """kappa (1 - gamma df1/d) = z (1 - (d/N) df1/d), by bisection."""
    low, high = z, z + gamma * law.variance
    for _ in range(80):
        kappa = (low + high) / 2
        df = float(law.weights @ (law.eigenvalues / (law.eigenvalues + kappa)))
        low, high = (low, kappa) if kappa * (1 - gamma * df) > z * (1 - whole * df) else (kappa, high)
    return low


def test_digits() -> None:
    """Real data against the theory for their covariance: per cents, from all that is not Gaussian."""
    data = rf.datasets.digits().x
    model = rf.LinearModel(gamma=64 / 128, noise_variance=0.1)
    real = S.realized(model, 64, data)
    assert np.sum(real.covariance.eigenvalues == 0) == 3
    end, exact = S.minimizer(model, 64, 40, 0, x=data), T.minimizer(real)
    assert end.test == pytest.approx(exact.test, rel=0.04) and end.train == pytest.approx(
        exact.train, rel=0.01
    )
    assert math.isnan(end.score_error) and math.isinf(S.kl(model, 64, 2, 0, x=data).generated_to_data)
    got = S.split_agreement(model, 5.0, d=64, draws=20, seed=0, x=data)
    assert got == pytest.approx(T.split_agreement(real, 5.0), abs=0.01)


def test_data_on_the_range_of_their_covariance() -> None:
    """Gaussian data in a plane, d = 4: totals agree, divergences exist on the plane."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 2)) @ rng.standard_normal((2, 4)) + 5
    plane = S.restricted(x)
    assert plane.shape == (400, 2)
    model, small = rf.LinearModel(4 / 20, 0.3, ridge=0.1), rf.LinearModel(2 / 20, 0.3, ridge=0.1)
    whole, part = S.minimizer(model, 4, 30, 0, x=x), S.minimizer(small, 2, 30, 0, x=plane)
    normal = 2 * (1 - 0.3 / 0.4) ** 2
    np.testing.assert_allclose(
        [4 * whole.test, 4 * whole.train], [2 * part.test + normal, 2 * part.train + normal]
    )
    assert math.isinf(S.kl(model, 4, 30, 0, x=x).generated_to_data)
    assert math.isfinite(S.kl(small, 2, 30, 0, x=plane).generated_to_data)
    ambient = S.generated_covariance(
        dataclasses.replace(model, ridge=0.0), 5.0, 0.3, d=4, draws=30, seed=0, x=x
    )
    np.testing.assert_allclose(ambient.mean[:2], 0.3)  # a normal direction is left with s_0, for any data
    np.testing.assert_allclose(ambient.scaled_variance[:2], 0, atol=1e-12)


def test_draws_do_not_depend_on_their_number() -> None:
    p = population(ask(90), D)
    few = next(batches(p, 2, seed=3)).values
    many = next(batches(p, 5, seed=3)).values
    np.testing.assert_array_equal(few.numpy(), many.numpy()[:2])
    assert S.minimizer(ask(90), D, 3, 3) == S.minimizer(ask(90), D, 3, 3)


def test_order_of_what_the_leading_formulas_leave_out() -> None:
    """Exact finite laws (digamma) at c = 0: the error falls as 1/d, and as 1/d^2 with the correction."""
    from scipy.special import digamma

    leading, corrected = [], []
    for d in (20, 40, 80, 160):
        n = 2 * d
        log_det = np.mean(digamma((n - np.arange(d)) / 2)) + math.log(2 / n)
        exact = np.array([-log_det / 2, (n / (n - d - 1) - 1 + log_det) / 2])
        model = rf.LinearModel(gamma=0.5, noise_variance=1e-11)
        for errors, size in ((leading, None), (corrected, d)):
            kl = T.kl(model, d=size)
            errors.append(np.abs(exact - [kl.generated_to_data, kl.data_to_generated]))
    for errors, order in ((leading, 1), (corrected, 2)):
        slopes = -np.diff(np.log2(np.array(errors)), axis=0)
        np.testing.assert_allclose(slopes[-1], order, atol=0.1)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: S.minimizer(ask(90), 0, 1, 0), "d = 0"),
        (lambda: S.minimizer(ask(90), D, 0, 0), "draws = 0"),
        (lambda: S.minimizer(ask(90), D, 1, -1), "seed = -1"),
        (lambda: S.minimizer(ask(90), D, 1, 0, mean="true"), "mean = 'true'"),
        (lambda: S.minimizer(ask(90), D, 1, 0, device="abacus"), "device = 'abacus'"),
        (lambda: S.minimizer("model", D, 1, 0), "model = 'model'"),
        (lambda: S.kl(rf.RandomFeatureModel(2, 2, 0.1), D, 1, 0), "model = "),
        (lambda: S.minimizer(rf.LinearModel(1000, 1.0), 10, 1, 0), "gamma = 1000"),
        (lambda: S.minimizer(ask(90), D, 1, 0, x=np.ones((200, 3))), "shape (200, 3)"),
        (lambda: S.minimizer(ask(90), D, 1, 0, x=np.eye(D)), "at most N - 1 = 59"),
        (lambda: S.denoiser_moments(ask(90), D, 2, 0, x=np.ones((100, 1)) + np.eye(100, D)), "disjoint"),
        (lambda: S.denoiser_moments(ask(90), D, 1, 0), "draws = 1"),
        (lambda: S.power_moments(ask(90), 1.0, d=D, draws=2, seed=0), "alpha = 1.0"),
        (lambda: S.loss_curves(ask(90), [-1.0], D, 1, 0), "tau = -1.0"),
        (
            lambda: S.variance_factors(ask(90), np.ones(3), np.ones(D), d=D, draws=2, seed=0),
            "direction has shape",
        ),
        (lambda: S.realized(rf.RandomFeatureModel(2, 2, 0.1), 10, np.ones((3, 10))), "x is given"),
    ],
)
def test_bad_input(call: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match="not allowed") as caught:
        call()
    assert words in str(caught.value)
