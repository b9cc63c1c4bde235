"""The sampler against the closed forms for Gaussian data, exact transport, and on torch tensors."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import ndtr

import rfcore as rf

D = rf.diffusion
GRID = np.linspace(3.0, 0.1, 21)
LAM, MU = np.array([0.3, 4.0, 1.0]), np.array([0.7, -1.0, 2.0])
SCORE = D.GaussianScore(MU, np.diag(LAM))
every = pytest.mark.parametrize("method", D.METHODS)


@every
@settings(derandomize=True, deadline=None, max_examples=25)
@given(t=st.floats(1e-3, 4.0), part=st.floats(0.01, 0.99), lam=st.floats(1e-3, 20.0))
def test_one_step_has_the_closed_form_law(method, t, part, lam):
    # The update is affine in x and in the noise: unit inputs read off A, c mu and sqrt(B).
    t_next, score = part * t, D.GaussianScore([1.0], [[lam]])
    x = np.array([[0.0], [1.0]])
    still = D.step(score, x, t, t_next, method, noise=np.zeros((2, 1)))[:, 0]
    moved = D.step(score, x, t, t_next, method, noise=np.ones((2, 1)))[:, 0]
    a, b = D.step_law(method, lam, t, t_next)
    law = D.moments(method, lam, [t, t_next], mean=1.0, start_mean=1.0, start_variance=0.0)
    scale = 1 + abs(a) + abs(still[0])
    assert still[1] - still[0] == pytest.approx(a, abs=1e-12 * scale)
    assert still[1] == pytest.approx(law.mean, abs=1e-12 * scale)
    assert moved - still == pytest.approx(np.full(2, math.sqrt(b)), abs=1e-12 * scale)


@every
def test_particles_have_the_closed_form_moments(method):
    m = 40_000
    x = D.sample(SCORE, SCORE.draw(m, 3.0, seed=1), GRID, method, seed=2)
    law = D.moments(method, LAM, GRID, mean=MU)
    z_mean = (x.mean(axis=0) - law.mean) / np.sqrt(law.variance / m)
    z_variance = (x.var(axis=0) / law.variance - 1) / math.sqrt(2 / m)
    assert np.max(np.abs([z_mean, z_variance])) < 4


@every
def test_a_particle_follows_the_mean_recursion(method):
    # A cloud of one, no noise: the mean of the recursion is the path of the particle
    start = np.array([[0.4, -2.0, 1.0]])
    x = start
    for t, t_next in zip(GRID[:-1], GRID[1:], strict=True):
        x = D.step(SCORE, x, t, t_next, method, noise=np.zeros_like(x))
    law = D.moments(method, LAM, GRID, mean=MU, start_mean=start[0])
    assert x[0] == pytest.approx(law.mean, abs=2e-14)


@pytest.mark.parametrize("method", ["euler_maruyama", "exponential_sde"])
@pytest.mark.parametrize("lam", [0.3, 4.0])
def test_strong_error_on_the_same_brownian_path(method, lam):
    """Noise of the method and of the exact solution drawn jointly, their covariance by quadrature."""
    m, rng = 20_000, np.random.default_rng(3)
    score = D.GaussianScore([0.0], [[lam]])
    numerical = exact = score.draw(m, 3.0, seed=4)
    for t, u in zip(GRID[:-1], GRID[1:], strict=True):
        own = (lambda s: 1.0) if method == "euler_maruyama" else (lambda s, u=u: math.exp(s - u))

        def kernel(s, u=u):
            return float(D.reverse_kernel(lam, s, u)[0])

        phi, v = D.reverse_kernel(lam, t, u)
        b = quad(lambda s, own=own: 2 * own(s) ** 2, u, t)[0]
        cross = quad(lambda s, own=own, kernel=kernel: 2 * kernel(s) * own(s), u, t)[0]
        z, rest = rng.standard_normal((2, m, 1))
        noise = cross / math.sqrt(b) * z + math.sqrt(max(v - cross**2 / b, 0)) * rest
        numerical, exact = D.step(score, numerical, t, u, method, noise=z), phi * exact + noise
    square = (numerical - exact)[:, 0] ** 2
    assert square.mean() == pytest.approx(
        float(D.strong_error(method, lam, GRID) ** 2), abs=4 * square.std() / math.sqrt(m)
    )


def test_strong_order_of_one_from_nested_paths():
    # Nonlinear score: two classes.  The error against the twice finer path falls like h.
    score = D.MixtureScore([0.5, 0.5], [[-2.0], [2.0]], [[[0.2]], [[0.2]]])
    rng, m, finest = np.random.default_rng(5), 4000, 512
    increments = rng.standard_normal((finest, m, 1))
    start, ends = score.draw(m, 2.0, seed=6), {}
    for steps in (64, 128, 256, 512):
        times = np.linspace(2.0, 0.2, steps + 1)
        x, bundle = start, finest // steps
        for k in range(steps):
            z = increments[k * bundle : (k + 1) * bundle].sum(axis=0) / math.sqrt(bundle)
            x = D.step(score, x, times[k], times[k + 1], "euler_maruyama", noise=z)
        ends[steps] = x
    gaps = [math.sqrt(np.mean((ends[n] - ends[2 * n]) ** 2)) for n in (64, 128, 256)]
    slope = np.polyfit(np.log([1, 2, 4]), np.log(gaps), 1)[0]
    assert slope == pytest.approx(-1, abs=0.15)


def _cdf(score, x, t):
    sd = [math.sqrt(D.mode_variance(float(c.covariance[0, 0]), t)) for c in score.components]
    shift = [math.exp(-t) * float(c.mean[0]) for c in score.components]
    return sum(p * ndtr((x - m) / s) for p, m, s in zip(score.proportions, shift, sd, strict=True))


@pytest.mark.parametrize("method", ["euler_ode", "exponential_ode", "heun", "ddim"])
def test_flow_in_one_dimension_keeps_quantiles(method):
    # In one dimension the flow is the monotone map between p_T and p_t: F_t(x(t)) does not change
    score = D.MixtureScore([0.3, 0.7], [[-1.5], [1.0]], [[[0.2]], [[0.1]]])
    x = np.linspace(-2.0, 2.0, 9)[:, None]
    exact = np.array(
        [brentq(lambda y, u=u: _cdf(score, y, 0.1) - u, -9, 9, xtol=1e-14) for u in _cdf(score, x[:, 0], 2.5)]
    )

    def error(steps):
        return np.max(np.abs(D.sample(score, x, np.linspace(2.5, 0.1, steps + 1), method)[:, 0] - exact))

    coarse, fine = error(400), error(800)
    order = 2 if method == "heun" else 1
    assert math.log2(coarse / fine) == pytest.approx(order, abs=0.1)
    assert fine < {1: 3e-2, 2: 1e-4}[order]


def test_stochastic_samplers_reach_the_mixture():
    score = D.MixtureScore([0.3, 0.7], [[-2.0, 0.0], [2.0, 1.0]], 0.2 * np.stack([np.eye(2)] * 2))
    m, t0 = 5000, 0.02
    start = score.draw(m, 4.0, seed=7)
    for method in D.STOCHASTIC:
        x = D.sample(score, start, np.geomspace(4.0, t0, 161), method, seed=8)
        left = (x[:, 0] < 0).mean()
        assert abs(left - 0.3) < 4 * math.sqrt(0.21 / m) + 0.01
        right = x[x[:, 0] > 0]
        # step size 0.033 t: a bias of a few per cent in the variance is left
        target = math.exp(-2 * t0) * 0.2 + D.noise_variance(t0)
        assert right.mean(axis=0) == pytest.approx(math.exp(-t0) * np.array([2.0, 1.0]), abs=0.05)
        assert right.var(axis=0) == pytest.approx(np.full(2, target), rel=0.15)


def test_weak_order_on_a_nonlinear_score_by_gauss_hermite_paths():
    """Two classes, one dimension, exact expectation over the noise of one step: local error O(h^2)."""
    score = D.MixtureScore([0.5, 0.5], [[-1.0], [1.0]], [[[0.2]], [[0.2]]])
    z, w = np.polynomial.hermite_e.hermegauss(40)
    w = w / w.sum()
    x = np.linspace(-9, 9, 4001)[:, None]
    t = 0.6
    density = np.exp(score.log_density(x, t))

    def second_moment(method, h):
        moved = np.stack([D.step(score, x, t, t - h, method, noise=np.full_like(x, k))[:, 0] for k in z])
        return np.trapezoid(density * (w @ moved**2), x[:, 0])

    for method in D.STOCHASTIC:
        errors = []
        for h in (0.02, 0.01):
            exact = math.exp(-2 * (t - h)) * 1.2 + D.noise_variance(t - h)
            errors.append(abs(second_moment(method, h) - exact))
        assert math.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("method", D.STOCHASTIC)
def test_seed_decides_everything(method):
    x = SCORE.draw(10, 3.0, seed=0)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, again, other = (D.sample(SCORE, x, GRID, method, seed=s) for s in (5, 5, 6))
    assert np.array_equal(first, again)
    assert np.abs(first - other).min() > 0
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@every
def test_trajectory_ends_where_sample_does(method):
    x = SCORE.draw(6, 3.0, seed=0)
    kept = x.copy()
    path = D.trajectory(SCORE, x, GRID, method, seed=3)
    assert path.shape == (21, 6, 3)
    assert np.array_equal(path[0], kept)
    assert np.array_equal(x, kept)
    assert np.array_equal(path[-1], D.sample(SCORE, x, GRID, method, seed=3))


def _torch_score(torch, dtype):
    mean, variance = torch.tensor(MU, dtype=dtype), torch.tensor(LAM, dtype=dtype)
    return lambda x, t: -(x - math.exp(-t) * mean) / (math.exp(-2 * t) * variance + D.noise_variance(t))


@every
def test_torch_and_numpy_take_the_same_step(method):
    torch = pytest.importorskip("torch")
    x, z = np.random.default_rng(0).standard_normal((2, 8, 3))
    score = _torch_score(torch, torch.float64)
    for t, t_next in ((3.0, 2.5), (0.2, 0.1)):
        ours = D.step(SCORE, x, t, t_next, method, noise=z)
        theirs = D.step(score, torch.tensor(x), t, t_next, method, noise=torch.tensor(z))
        assert theirs.numpy() == pytest.approx(ours, abs=1e-13)


@every
def test_networks_are_sampled_by_the_same_call(method):
    torch = pytest.importorskip("torch")
    m = 20_000
    start = torch.tensor(SCORE.draw(m, 3.0, seed=1), dtype=torch.float32)
    network = torch.nn.Linear(3, 3)

    def score(x, t):  # has parameters, so that gradients would be kept if they were not switched off
        return _torch_score(torch, torch.float32)(x, t) + 0 * network(x)

    x = D.sample(score, start, GRID, method, seed=4)
    assert x.dtype == torch.float32
    assert not x.requires_grad
    law = D.moments(method, LAM, GRID, mean=MU)
    assert np.max(np.abs(x.var(dim=0).numpy() / law.variance - 1)) < 4 * math.sqrt(2 / m)
    assert np.array_equal(x.numpy(), D.sample(score, start, GRID, method, seed=4).numpy())
    assert D.trajectory(score, start[:2], GRID, method, seed=4).shape == (21, 2, 3)


def test_any_shape_of_batch():
    torch = pytest.importorskip("torch")
    x = torch.randn((4, 1, 5, 5), generator=torch.Generator().manual_seed(0))
    assert D.sample(lambda y, t: -y, x, [1.0, 0.5, 0.0], "ddpm", seed=0).shape == (4, 1, 5, 5)


def test_import_does_not_load_torch():
    code = (
        "import sys, numpy as np, rfcore as rf; s = rf.diffusion.GaussianScore([0.0], [[1.0]]);"
        "rf.diffusion.sample(s, np.zeros((1, 1)), [1.0, 0.5], 'ddpm', 0); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


X = np.zeros((2, 3))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: D.sample(SCORE, X, GRID, "euler", 0), "method"),
        (lambda: D.sample(SCORE, X, GRID[::-1], "ddim"), "times"),
        (lambda: D.sample(SCORE, X, [1.0], "ddim"), "times"),
        (lambda: D.sample(SCORE, X, [1.0, 1.0], "ddim"), "times"),
        (lambda: D.sample(SCORE, X, [1.0, math.nan], "ddim"), "times"),
        (lambda: D.sample(SCORE, X, [1.0, -0.1], "ddim"), "last of times"),
        (lambda: D.sample(SCORE, X, [1.0, 0.0], "heun"), "last of times"),
        (lambda: D.sample(SCORE, X, GRID, "ddpm"), "seed"),
        (lambda: D.sample(SCORE, X, GRID, "ddpm", -1), "seed"),
        (lambda: D.sample(SCORE, X.tolist(), GRID, "ddim"), "type of x"),
        (lambda: D.sample(SCORE, X[:0], GRID, "ddim"), "shape of x"),
        (lambda: D.sample(SCORE, X.astype(int), GRID, "ddim"), "dtype of x"),
        (lambda: D.sample(lambda x, t: x[:, :1], X, GRID, "ddim"), "shape and dtype of score"),
        (lambda: D.sample(lambda x, t: 0.0, X, GRID, "ddim"), "type of score"),
    ],
)
def test_bad_input(call, name):
    with pytest.raises(ValueError, match=rf"^{name}.* = .* is not allowed"):
        call()


def test_tensors_and_arrays_do_not_mix():
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match=r"^type of score\(x, t\) = 'ndarray' is not allowed"):
        D.sample(SCORE, torch.zeros((2, 3), dtype=torch.float64), GRID, "ddim")


def test_overflow_is_reported():
    with pytest.raises(ValueError, match="not finite"), np.errstate(all="ignore"):
        D.sample(lambda x, t: 1e300 * x**3, X + 1, GRID, "ddim")
