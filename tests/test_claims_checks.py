"""Claims of the documents and papers on random features that no chapter checks, at their settings."""

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy import integrate, stats

import rfcore as rf
from rfcore.simulation.setting import setting

Array = npt.NDArray[np.float64]
PAPER = rf.RandomFeatureModel(psi_p=64, psi_n=8, t=0.01)
FROZEN = rf.RandomFeatureModel(psi_p=64, psi_n=8, t=0.1, noise_draws=4, ridge=1e-3)


def end_losses(model: rf.RandomFeatureModel, widths: Array) -> Array:
    """Test loss at the end of training for many widths."""
    return np.array([rf.theory.minimizer(replace(model, psi_p=float(p))).test for p in widths])


def slope(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def test_preactivations_are_gaussian_with_the_stated_covariance() -> None:
    wide = rf.RandomFeatureModel(psi_p=4000, psi_n=2, t=0.1)
    drawn = setting(wide, d=10, seed=0)
    h = drawn.M.numpy() @ drawn.x.numpy()[:2].T
    x = drawn.x.numpy()[:2]
    error = math.sqrt(2 / len(h)) * np.max(np.sum(x**2, axis=1)) / 10
    np.testing.assert_allclose(h.T @ h / len(h), x @ x.T / 10, atol=5 * error)
    assert stats.kstest(h[:, 0] / np.linalg.norm(x[0]) * math.sqrt(10), "norm").pvalue > 1e-3


def test_gaussian_integral_is_a_determinant() -> None:
    """log Z by quadrature in the plane; the constant is (p/2) log 2 pi."""
    u, z = np.array([[2.0, 0.7], [0.7, 1.5]]), -0.4
    m = u - z * np.eye(2)
    value, error = integrate.dblquad(
        lambda y, x: math.exp(-0.5 * (m[0, 0] * x * x + 2 * m[0, 1] * x * y + m[1, 1] * y * y)), -9, 9, -9, 9
    )
    assert math.log(value) == pytest.approx(
        -0.5 * math.log(np.linalg.det(m)) + math.log(2 * math.pi), abs=1e-8
    )
    assert error < 1e-6


def test_average_over_samples_of_replicas_is_a_determinant() -> None:
    """E exp(-1/2 sum_a phi_a^T G G^T phi_a/n) = det(1 + phi_a^T C phi_b/n)^(-n/2), two replicas, n = 3."""
    rng, n = np.random.default_rng(0), 3
    c = np.diag([1.0, 2.0, 0.5])
    phi = rng.standard_normal((3, 2)) * 0.5
    g = rng.standard_normal((400_000, n, 3)) * np.sqrt(np.diag(c))
    drawn = np.exp(-0.5 * np.sum((g @ phi) ** 2, axis=(1, 2)) / n)
    exact = np.linalg.det(np.eye(2) + phi.T @ c @ phi / n) ** (-n / 2)
    assert abs(drawn.mean() - exact) < 5 * drawn.std() / math.sqrt(len(drawn))


def test_replica_limit_is_reached_at_the_rate_of_the_variance() -> None:
    """(1/k) log E Z^k - E log Z = (k/2) Var log Z + O(k^2) over drawn matrices; at k = 1 it is annealed."""
    model = rf.RandomFeatureModel(psi_p=3, psi_n=2, t=0.1)
    values = [rf.simulation.eigenvalues(model, 12, seed, features="gaussian") for seed in range(200)]
    logs = np.array([-0.5 * np.sum(np.log(lam + 1)) for lam in values])
    k = np.array([0.02, 0.01])
    off = np.array([math.log(np.mean(np.exp(x * (logs - logs.mean())))) / x for x in k])
    assert 2 * off[1] / k[1] - off[0] / k[0] == pytest.approx(logs.var() / 2, rel=1e-4)


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 1.0])
def test_every_member_of_the_family_has_the_same_density(epsilon: float) -> None:
    """dY = (Y + (1 + e) s) + sqrt(2 e) dB backwards in t: its Fokker-Planck equation holds for p_t."""
    data, h = rf.diffusion.MixtureScore([0.3, 0.7], [[-1.5], [1.0]], [[[0.1]], [[0.2]]]), 1e-3
    x, t = np.linspace(-4, 4, 41)[:, None], 0.4

    def p(y: Array, time: float) -> Array:
        means, variances = np.array([-1.5, 1.0]), np.array([0.1, 0.2])
        gamma = math.exp(-2 * time) * variances - math.expm1(-2 * time)
        bells = np.exp(-((y - math.exp(-time) * means) ** 2) / (2 * gamma)) / np.sqrt(2 * math.pi * gamma)
        return np.asarray(bells @ [0.3, 0.7])

    def flux(y: Array) -> Array:
        return (y[:, 0] + (1 + epsilon) * data(y, t)[:, 0]) * p(y, t)

    def slope(f: object) -> Array:  # fourth order in h
        return (8 * (f(h) - f(-h)) - f(2 * h) + f(-2 * h)) / (12 * h)  # type: ignore[operator]

    curved = (p(x + h, t) - 2 * p(x, t) + p(x - h, t)) / h**2
    change = -slope(lambda e: p(x, t + e))
    np.testing.assert_allclose(change, -slope(lambda e: flux(x + e)) + epsilon * curved, atol=2e-5)


def test_spectra_of_figure_four_at_its_parameters() -> None:
    """Population bulk from about 10 to about 45; the sample bulk does not see the law of the variances."""
    one = rf.theory.support(PAPER).bulks
    assert [round(64 * b.mass) for b in one] == [1, 7, 1]
    assert one[2].left == pytest.approx(10, rel=0.05) and one[2].right == pytest.approx(45, rel=0.05)
    two = rf.theory.support(replace(PAPER, covariance=rf.Covariance([0.5, 1.5]))).bulks
    sample = [b for b in two if abs(64 * b.mass - 7) < 1e-6]
    assert sample[0].left == pytest.approx(one[1].left, rel=0.03)
    assert sample[0].right == pytest.approx(one[1].right, rel=0.03)
    assert two[-1].right > 1.2 * one[2].right


@pytest.mark.parametrize("psi_n", [8, 32])
def test_drawn_spectra_of_figure_fourteen(psi_n: int) -> None:
    """Eigenvalues at d = 20 against the quantiles of the theory; in the network the floor is not sharp.

    So of the network the population bulk and the upper half of the sample bulk are compared.
    """
    model, n = replace(PAPER, psi_n=psi_n), 20 * psi_n
    for kind, low, allowed in (("gaussian", -n, 0.03), ("nonlinear", -n // 2, 0.15)):
        drawn = rf.simulation.eigenvalues(model, 20, 0, kind)
        ratio = np.log(drawn / rf.theory.quantiles(model, drawn.size))
        assert abs(ratio[-20:].mean()) < 0.05
        assert abs(ratio[low:-20].mean()) < allowed


def test_masses_on_both_sides_of_p_equals_n() -> None:
    for psi_p, psi_n in ((512.0, 64.0), (64.0, 512.0)):
        found = rf.theory.support(rf.RandomFeatureModel(psi_p, psi_n, 0.01))
        top, rest = psi_p * found.bulks[-1].mass, psi_p * sum(b.mass for b in found.bulks[:-1])
        atom = psi_p * found.atom.mass if found.atom else 0.0
        want = (1, psi_n, psi_p - 1 - psi_n) if psi_p > psi_n else (1, psi_p - 1, 0)
        np.testing.assert_allclose((top, rest, atom), want, atol=1e-9)


@pytest.mark.parametrize(("width", "t", "deviation"), [(32, 0.03, 1.0), (32, 0.3, 1.0), (64, 0.1, 0.5)])
def test_collapse_at_the_other_published_settings(width: int, t: float, deviation: float) -> None:
    """Half-times over the weighted time spread by a fifth at most, and less than over the published one."""
    law = rf.Covariance.isotropic(deviation**2)
    counts = (4, 8, 16) if width == 32 else (4, 8, 16, 32)
    found = [rf.theory.timescales(rf.RandomFeatureModel(width, n, t, law)) for n in counts]
    half = np.array([f.loss_half_time for f in found])
    ours = half / [f.memorize for f in found]
    theirs = half / [f.memorize_published for f in found]
    assert ours.max() / ours.min() < 1.25
    assert ours.max() / ours.min() < theirs.max() / theirs.min()


def test_memorisation_time_falls_with_t_and_rises_again() -> None:
    """In n it grows; in t it falls to a minimum near 0.3 and rises beyond, in wide networks (p = 150 n)."""
    found = {
        (n, t): rf.theory.timescales(rf.RandomFeatureModel(150 * n, n, t)).memorize
        for n, t in ((64, 0.03), (64, 0.3), (64, 0.8), (128, 0.3))
    }
    assert found[64, 0.3] < found[64, 0.8] < found[64, 0.03]
    assert 1.5 < found[128, 0.3] / found[64, 0.3] < 2.5


def test_gap_at_the_end_falls_with_n_and_rises_with_p() -> None:
    """In theory on a grid, and in drawn twins of d = 20 at its corners."""
    sizes = (2, 8, 32)
    gap = np.array(
        [[rf.theory.minimizer(rf.RandomFeatureModel(p, n, 0.1)).gap for n in sizes] for p in sizes]
    )
    assert np.all(np.diff(gap, axis=0) > 0) and np.all(np.diff(gap, axis=1) < 0)
    for p, n in ((2, 2), (2, 32), (32, 2)):
        drawn = rf.simulation.minimizer(rf.RandomFeatureModel(p, n, 0.1), 20, 0, features="gaussian").gap
        assert drawn == pytest.approx(gap[sizes.index(p), sizes.index(n)], rel=0.25, abs=0.02)


def test_shapes_of_the_learning_curves() -> None:
    """m = infinity: one minimum, below p = n, and no peak.  m = 1: a peak at p = n; small networks agree."""
    widths = np.geomspace(0.25, 512, 45)
    for t in (0.01, 0.1):
        full = end_losses(rf.RandomFeatureModel(1, 8, t), widths)
        k = int(np.argmin(full))
        assert 0 < k and widths[k] < 8
        assert np.all(np.diff(full[: k + 1]) < 0) and np.all(np.diff(full[k:]) > 0)
    one = rf.RandomFeatureModel(1, 8, 0.1, noise_draws=1, ridge=1e-3)
    few = end_losses(one, widths)
    assert widths[int(np.argmax(few))] == pytest.approx(8, rel=0.2)
    assert few[-1] < few.max() / 2
    near = [2.0, 8.0, 64.0]
    drawn = [rf.simulation.minimizer(replace(one, psi_p=p), 20, seed=1).test for p in near]
    assert int(np.argmax(drawn)) == 1
    np.testing.assert_allclose(drawn, end_losses(one, np.array(near)), rtol=0.25)


def test_more_noise_draws_help_below_n_and_memorise_above() -> None:
    """p = n/8: the test loss falls with m.  p = 128 n: fresh noise on training points is removed better."""
    draws = (1, 2, 4, 16, 64, math.inf)
    below = [rf.theory.minimizer(rf.RandomFeatureModel(1, 8, 0.1, noise_draws=m)) for m in draws]
    above = [rf.theory.minimizer(rf.RandomFeatureModel(1024, 8, 0.1, noise_draws=m)) for m in draws]
    assert np.all(np.diff([x.test for x in below]) < 0)
    assert np.all(np.diff([x.empirical for x in above]) < 0)
    assert np.all(np.diff([x.test for x in above]) > 0)
    small = rf.RandomFeatureModel(64, 2, 0.1)
    drawn = [
        rf.simulation.minimizer(replace(small, noise_draws=m), 12, 2).empirical for m in (1, 4, math.inf)
    ]
    assert np.all(np.diff(drawn) < 0)


def test_latent_dimension_decides_the_end_of_training() -> None:
    """Data on a subspace of dimension D: drawn twins end where theory does, and lower for smaller D."""
    for fraction in (0.25, 0.5):
        model = rf.RandomFeatureModel(16, 4, 0.1, rf.Covariance.low_rank(fraction))
        ends = rf.theory.minimizer(model)
        drawn = np.mean(
            [rf.simulation.minimizer(model, 40, seed, features="gaussian").test for seed in range(3)]
        )
        assert drawn == pytest.approx(ends.test, rel=0.15)
    thin = rf.theory.minimizer(rf.RandomFeatureModel(16, 4, 0.1, rf.Covariance.low_rank(0.05)))
    assert thin.test < rf.theory.minimizer(rf.RandomFeatureModel(16, 4, 0.1)).test


def adam_until(n: int, level: float, d: int = 12) -> tuple[float, float]:
    """Steps of full-batch Adam until the test loss is least, and until the gap reaches a level."""
    model = rf.RandomFeatureModel(32, n, 0.1)
    run = rf.simulation.moments(model, d, 0, "gaussian")
    u, v, u_test, v_test = (x.numpy() for x in (run.U, run.V, run.Ut, run.Vt))
    p, delta = len(u), model.delta
    a, first, second = np.zeros((3, d, p))
    losses = []
    for k in range(1, 1001):
        g = 2 * delta / (d * p) * a @ u + 2 * math.sqrt(delta / p) / d * v.T
        first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g * g
        a -= 0.01 * (first / (1 - 0.9**k)) / (np.sqrt(second / (1 - 0.999**k)) + 1e-8)
        if k % 10 == 0:
            b = a / math.sqrt(p)
            cross = 2 * math.sqrt(delta) / d
            train = 1 + delta / d * np.sum((b @ u) * b) + cross * np.sum(b * v.T)
            losses.append((k, train, 1 + delta / d * np.sum((b @ u_test) * b) + cross * np.sum(b * v_test.T)))
    steps, train, fresh = np.array(losses).T
    return float(steps[fresh.argmin()]), float(steps[np.argmax(fresh - train > level)])


def test_under_adam_memorisation_is_later_with_more_data() -> None:
    """The best time stays; the time at which the gap reaches 0.1 grows about as n."""
    best, opens = np.array([adam_until(n, 0.1) for n in (4, 8, 16)]).T
    assert best.max() <= 1.4 * best.min()
    assert 0.7 < slope([4, 8, 16], opens) < 1.5


def test_losses_with_sixteen_draws_against_networks() -> None:
    """psi_n = 16, m = 16, t = 0.1, ridge 1e-3: train, test and fresh noise, at d = 12."""
    for psi_p in (4.0, 32.0):
        model = rf.RandomFeatureModel(psi_p, 16, 0.1, noise_draws=16, ridge=1e-3)
        exact = rf.theory.minimizer(model)
        runs = [rf.simulation.minimizer(model, 12, seed) for seed in range(3)]
        for name in ("train", "test", "empirical"):
            drawn = np.mean([getattr(run, name) for run in runs])
            assert drawn == pytest.approx(getattr(exact, name), rel=0.12)


def test_regimes_of_the_test_loss_with_m_draws() -> None:
    """On p alone below n, on p/n alone up to nm, a peak at p = nm whose height does not know n."""
    for m in (4, 16):
        peaks, low, middle = [], [], []
        for n in (8.0, 32.0):
            model = replace(FROZEN, psi_n=n, noise_draws=m)
            widths = n * m * np.geomspace(0.5, 2, 15)
            loss = end_losses(model, widths)
            assert widths[int(np.argmax(loss))] == pytest.approx(n * m, rel=0.21)
            peaks.append(loss.max())
            low.append(end_losses(model, np.array([1.0]))[0])
            middle.append(end_losses(model, np.array([2 * n]))[0])
        for pair in (peaks, low, middle):
            assert pair[1] == pytest.approx(pair[0], rel=0.05)


def test_bias_saturates_and_variance_peaks_at_p_equals_nm() -> None:
    widths = np.array([4.0, 8, 16, 24, 32, 40, 64, 128, 512])
    split = [rf.theory.decomposition(replace(FROZEN, psi_p=p)) for p in widths]
    bias = np.array([s.bias for s in split])
    variance = np.array([s.features + s.data for s in split])
    assert widths[int(np.argmax(variance))] == 32 and np.all(np.diff(variance[4:]) < 0)
    assert np.all(np.diff(bias) > 0) and bias[2] > 3 * bias[1] > 3 * bias[0]
    assert bias[-1] / bias[-2] - 1 < 0.03


def test_overfitting_is_benign_for_one_draw_and_malign_for_two() -> None:
    widths = np.geomspace(0.25, 1e4, 60)
    ends = {}
    for m in (1, 2, 4, math.inf):
        loss = end_losses(replace(FROZEN, noise_draws=m), widths)
        first = loss[: int(np.argmax(widths > 8))].min()
        ends[m] = loss[-1] - first
        assert (loss.argmax() == len(loss) - 1) == (m == math.inf)
    assert ends[1] < 0 < ends[2] < ends[4] < ends[math.inf]


@pytest.mark.parametrize("m", [1, 16])
def test_lower_envelope_over_the_ridge_falls_with_p(m: int) -> None:
    widths = [0.5, 1, 2, 4, 8, 16, 64, 256]
    best = [rf.theory.optimal_ridge(replace(FROZEN, psi_p=p, noise_draws=m)).minimizer.test for p in widths]
    assert np.all(np.diff(best) < 0)


def test_plateau_at_large_p_rises_as_t_falls() -> None:
    far = [
        rf.theory.minimizer(rf.RandomFeatureModel(1e5, 16, t, noise_draws=16, ridge=1e-3)).test
        for t in (1.0, 0.3, 0.1, 0.03)
    ]
    assert np.all(np.diff(far) > 0)


def test_spectrum_of_a_kernel_with_noise_draws() -> None:
    """p = infinity, many samples: four groups, in units of the Gram matrix at the published places."""
    psi_p, psi_n, m, t = 1e9, 3000.0, 4, 0.3
    model = rf.RandomFeatureModel(psi_p, psi_n, t, activation="erf", noise_draws=m)
    bulks, c = rf.theory.support(model).bulks, model.constants
    counts = psi_p * np.array([b.mass for b in bulks])
    np.testing.assert_allclose(counts, [psi_n * (m - 1) - 1, 1, psi_n - 1, 1], rtol=1e-4)
    middle = np.array([(b.left + b.right) / 2 for b in bulks]) * psi_n * m / psi_p
    places = [c.s2, c.s2 + c.v2 * (m - 1) * model.delta, c.s2 + m * c.v2, c.a**2 * psi_n * m]
    np.testing.assert_allclose(middle, places, rtol=0.01)
    single = rf.theory.support(replace(model, noise_draws=1)).bulks
    np.testing.assert_allclose(psi_p * np.array([b.mass for b in single]), [psi_n - 1, 1], rtol=1e-4)


def test_powers_of_bias_and_variance_of_a_kernel() -> None:
    """1/(m psi_n) << t << 1, at p/d = 1e8: exponents within a quarter, without ridge and at the best one."""
    times, sizes = np.array([0.01, 0.02, 0.04]), np.array([512.0, 2048.0])
    free, best = {}, {}
    for n in sizes:
        for t in times:
            model = rf.RandomFeatureModel(1e8, n, float(t), noise_draws=4)
            kept = replace(model, ridge=rf.theory.optimal_ridge(model).ridge)
            for store, question in ((free, model), (best, kept)):
                split = rf.theory.decomposition(question)
                store[n, t] = split.bias, split.features + split.data

    def powers(store: dict[tuple[float, float], tuple[float, float]], k: int) -> tuple[float, float]:
        in_t = slope(times, [store[sizes[1], t][k] for t in times])
        return in_t, slope(sizes, [store[n, times[1]][k] for n in sizes])

    wanted = {("free", 0): (-2, 0), ("free", 1): (-2, -1), ("best", 0): (-2, -2), ("best", 1): (-1, -1)}
    for (name, k), want in wanted.items():
        np.testing.assert_allclose(powers(free if name == "free" else best, k), want, atol=0.25)
