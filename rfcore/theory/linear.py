"""Losses and divergences of a linear denoiser at d = infinity, with the explicit 1/d correction."""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rfcore._scale import ScaleLaw
from rfcore.answers import LossCurves, Minimizer
from rfcore.checks import finite_array, of_kind, refuse, whole
from rfcore.covariance import Covariance
from rfcore.model import LinearModel
from rfcore.theory import _elliptical_linear as elliptical
from rfcore.theory import _rank
from rfcore.theory._contour import single, talbot
from rfcore.theory._gaussian_only import gaussian_only
from rfcore.theory._kappa import complex_kappa, real_kappa
from rfcore.theory._scaled_kappa import ScaledKappa

Floats = npt.NDArray[np.float64]
FINE, COARSE = 24, 20
SETTLED = 45.0  # exp(-45) is below round-off: later times are the minimiser


@dataclass(frozen=True)
class KL:
    """Kullback-Leibler divergences per dimension between N(mu, Sigma) and the generated N(mu, S + c).

    error: residual of the equation for kappa (theory), or round-off (simulation); standard_error: over
    draws, for a simulation.

    >>> divergences = rf.theory.kl(rf.LinearModel(gamma=0.5, noise_variance=0.5))
    >>> print(f"{divergences.generated_to_data:.4f} {divergences.data_to_generated:.4f}")
    0.1022 0.0620
    """

    generated_to_data: float
    data_to_generated: float
    error: float = 0.0
    standard_error: "KL | None" = None


def renormalized_noise(
    covariance: Covariance, gamma: float, noise_variance: npt.ArrayLike, scale: ScaleLaw | None = None
) -> Floats:
    """kappa(z), the noise level that a denoiser trained on n = d/gamma points acts as if it saw.

    kappa (1 - gamma <lambda/(lambda + kappa)>) = z; kappa(0) = 0 where n >= rank of Sigma, else the
    positive root of gamma <lambda/(lambda + kappa)> = 1.  Same shape as noise_variance, relative
    accuracy 1e-12.

    covariance : the law of Sigma;  gamma : d/n;  noise_variance : z, of any shape
    scale : law of the scales tau of elliptical data; then kappa = z/E[tau/(1 + tau delta)] with
        delta = gamma <lambda/(mbar lambda + z)>, and kappa(0) is that of Gaussian data

    Raises ValueError unless gamma > 0 and every noise_variance >= 0.
    Source: Wang, Zavatone-Veth and Pehlevan (2026); elliptical data, chapter 18 of the book.

    Returns an array of the shape of noise_variance, in its units.

    >>> print(rf.theory.renormalized_noise(rf.Covariance.isotropic(), 0.5, [0.1, 1.0]).round(4))
    [0.1742 1.2808]
    """
    z = finite_array("noise_variance", noise_variance)
    if z.size and z.min() < 0:
        raise refuse("noise_variance", float(z.min()), "numbers >= 0")
    if not (math.isfinite(gamma) and gamma > 0):
        raise refuse("gamma", gamma, "a finite number > 0")
    if scale is not None:
        return ScaledKappa(covariance, scale, float(gamma)).real(z)
    return real_kappa(covariance, float(gamma), z)


@dataclass(frozen=True)
class _Traces:
    """Per-dimension traces at c: G = (S + c)^-1."""

    g: float  # tr G
    sigma_g: float  # tr Sigma G
    g2: float  # tr G^2
    sigma_g2: float  # tr Sigma G^2
    log_det: float  # tr log(S + c)
    residual: float  # of the equation for kappa, relative to its terms


def _traces(model: LinearModel, c: float, d: int | None = None) -> _Traces:
    if model.scale is not None:
        if d is not None:
            raise refuse("d", d, "None with a scale law: the 1/d correction is known for Gaussian data only")
        return _elliptical_traces(model, model.scale, c)
    lam, w, gamma = model.covariance.eigenvalues, model.covariance.weights, model.gamma
    kappa = float(real_kappa(model.covariance, gamma, np.array(c)))
    ratio, inverse = lam / (lam + kappa), 1 / (lam + kappa)
    slope = 1 / (1 - gamma * float(w @ ratio**2))
    df1, sr2 = float(w @ ratio), float(w @ (ratio * inverse))
    g = kappa / c * float(w @ inverse)
    sigma_g = kappa / c * df1
    g2 = g / c - slope * sr2 / c
    sigma_g2 = (kappa / c) ** 2 * slope * sr2
    x = c / kappa
    log_det = float(w @ np.log(lam + kappa)) + math.log(x) + (x - 1 - math.log(x)) / gamma
    residual = abs(kappa * (1 - gamma * df1) - c) / (kappa * (1 + gamma * df1))
    answer = _Traces(g, sigma_g, g2, sigma_g2, log_det, residual)
    return answer if d is None else _corrected(model, c, d, answer)


def _elliptical_traces(model: LinearModel, scale: ScaleLaw, c: float) -> _Traces:
    """The same for elliptical data, where tr Sigma G^2 = -d/dc tr Sigma G does not simplify."""
    lam, w = model.covariance.eigenvalues, model.covariance.weights
    at = elliptical.load(model, scale, c)
    inverse = 1 / (lam + at.kappa)
    df1, sr2 = float(w @ (lam * inverse)), float(w @ (lam * inverse**2))
    g = (1 - df1) / c
    sigma_g2 = at.kappa / c * (df1 * (1 / c - at.slope / at.kappa) + at.slope * sr2)
    return _Traces(g, at.kappa / c * df1, g / c - at.slope * sr2 / c, sigma_g2, math.nan, at.residual)


def _corrected(model: LinearModel, c: float, d: int, leading: _Traces) -> _Traces:
    """Add the O(1/d) terms for real Gaussian data; G^2 by central differences in c."""
    step = 1e-4 * c
    here, up, down = (_first_order(model, x) for x in (c, c + step, c - step))
    return _Traces(
        leading.g + here[0] / d,
        leading.sigma_g + here[1] / d,
        leading.g2 - (up[0] - down[0]) / (2 * step * d),
        leading.sigma_g2 - (up[1] - down[1]) / (2 * step * d),
        leading.log_det + here[2] / d,
        leading.residual,
    )


def _first_order(model: LinearModel, c: float) -> tuple[float, float, float]:
    """O(1) corrections of Tr G, Tr Sigma G and log det(S + c)."""
    lam, w, gamma = model.covariance.eigenvalues, model.covariance.weights, model.gamma
    kappa = float(real_kappa(model.covariance, gamma, np.array(c)))
    ratio, inverse = lam / (lam + kappa), 1 / (lam + kappa)
    slope = 1 / (1 - gamma * float(w @ ratio**2))
    s2r3, s3r3 = gamma * float(w @ (ratio**2 * inverse)), gamma * float(w @ ratio**3)
    sigma_g = kappa * slope / c * (s3r3 - kappa * (slope - 1) * s2r3)
    return slope**2 * s2r3, sigma_g, -math.log(slope) / 2


def minimizer(model: LinearModel, d: int | None = None) -> Minimizer:
    """Noise-prediction losses per dimension of W = (sqrt b/a)(S + c)^-1; the zero model has loss 1.

    L(C) = 1 - 2 z tr G + z tr[C G^2] + z^2 tr G^2, with C = Sigma for the test and C = S for the train
    loss, G = (S + c)^-1.  The noise average is exact, so empirical = train; score_error =
    (L_test - <lambda/(lambda + z)>)/b; error is the residual of the equation for kappa.
    With d the explicit 1/d correction for Gaussian data is added.

    Source: Merger and Goldt (2025) for the losses; the correction is chapter 11 of the book.
    """
    size = None if d is None else whole("d", d)
    z, c = model.noise_variance, model.c
    t = _traces(model, c, size)
    test = 1 - 2 * z * t.g + z * t.sigma_g2 + z * z * t.g2
    train = 1 - z * t.g - z * (c - z) * t.g2
    return Minimizer(train, test, train, (test - lowest_loss(model)) / model.noise, t.residual)


def lowest_loss(model: LinearModel) -> float:
    """<lambda/(lambda + z)>, the loss of the exact score.

    With a scale law it is E_tau <tau lambda/(tau lambda + z)>: at d = infinity |x_t| shows
    the scale of a sample, and the exact score uses it.  The best *linear* denoiser has <lambda/(lambda + z)>
    for every scale law, which is larger (Jensen).
    """
    lam = model.covariance.eigenvalues
    if model.scale is not None:
        own = model.scale.values[:, None] * lam
        return float(model.scale.weights @ (own / (own + model.noise_variance)) @ model.covariance.weights)
    return float(model.covariance.weights @ (lam / (lam + model.noise_variance)))


def kl(model: LinearModel, d: int | None = None) -> KL:
    """KL divergences per dimension of the generated law N(mu, S + c) and the data law N(mu, Sigma).

        KL(gen || data)/d = (1/2)(c tr Sigma^-1 - F(c) + tr log Sigma)
        KL(data || gen)/d = (1/2)((kappa/c) tr[Sigma R] - 1 + F(c) - tr log Sigma),  F = tr log(S + c)

    inf where Sigma is singular (eigenvalues below the round-off of the largest count as 0): there ask
    :func:`restricted`.  With d the explicit 1/d correction is added.
    Source: Merger and Goldt (2025); formulas of chapter 11 of the book.
    """
    gaussian_only(model)
    size = None if d is None else whole("d", d)
    lam, w = model.covariance.eigenvalues, model.covariance.weights
    if not np.all(_rank.positive(model.covariance)):
        return KL(math.inf, math.inf)
    t = _traces(model, model.c, size)
    log_sigma = float(w @ np.log(lam))
    inverse = float(w @ (1 / lam))
    # E tr Sigma^-1 (S + c) = 1 + c tr Sigma^-1 is exact at every d.
    forward = (model.c * inverse - t.log_det + log_sigma) / 2
    backward = (t.sigma_g - 1 + t.log_det - log_sigma) / 2
    return KL(forward, backward, t.residual)


def restricted(model: LinearModel) -> LinearModel:
    """The same question on the range of Sigma, of dimension D = rank: gamma D/d, and its eigenvalues.

    Exact for every data set, not only for d = infinity: without ridge the normal directions cost nothing,
    d test = D test_D and d train = D train_D; with a ridge each of them costs (1 - z/c)^2.  kappa is the
    same function, so that thresholds are at n = D; divergences are those on the range.
    Source: chapter 11 of the book.

    Raises nothing for a valid question.

    >>> model = rf.LinearModel(gamma=2.0, noise_variance=0.5, covariance=rf.Covariance.low_rank(0.25))
    >>> inside = rf.theory.restricted(model)
    >>> inside.gamma, inside.covariance.eigenvalues
    (0.5, array([4.]))
    """
    of_kind("model", model, LinearModel)
    live = _rank.positive(model.covariance)
    share = float(model.covariance.weights[live].sum())
    law = Covariance(model.covariance.eigenvalues[live], model.covariance.weights[live] / share)
    return dataclasses.replace(model, gamma=model.gamma * share, covariance=law)


def loss_curves(model: LinearModel, tau: npt.ArrayLike) -> LossCurves:
    """Losses during gradient flow from W = 0: curvature m = a (x + c) relaxes as exp(-m tau).

    test = 1 - 2 sqrt b tr h(S) + tr[(a Sigma + b) h(S)^2], h(x) = sqrt b (1 - exp(-m tau))/m, and S in
    place of Sigma for the train loss.  One-point functions suffice, because (1 - e^{-m T/2})^2/m^2 is the
    inverse Laplace transform at T of [1/(m + s) - 1/(m + 2 s)]/s^2.

    Raises ValueError for negative or non-finite times.
    Source: chapter 11 of the book.
    """
    times = finite_array("tau", tau)
    if times.size and times.min() < 0:
        raise refuse("tau", float(times.min()), "numbers >= 0")
    flat = times.ravel()
    end = minimizer(model)
    train, test, error = np.ones(flat.size), np.ones(flat.size), np.zeros(flat.size)
    late = flat * model.signal * model.c > SETTLED
    train[late], test[late] = end.train, end.test
    moving = (flat > 0) & ~late
    if moving.any():
        fine = _flow(model, flat[moving], FINE)
        coarse = _flow(model, flat[moving], COARSE)
        (train[moving], test[moving]), error[moving] = fine, np.max(np.abs(fine - coarse), axis=0)
    score = (test - lowest_loss(model)) / model.noise
    answer = [f.reshape(times.shape) for f in (train, test, train, score, error)]
    return LossCurves(times, answer[0], answer[1], answer[2], answer[3], answer[4])


def _flow(model: LinearModel, tau: Floats, points: int) -> Floats:
    """Train and test loss (2, T) at times tau (T,)."""
    s, o = talbot(points)
    a, b = model.signal, model.noise
    g1, _, _ = _resolvents(model, s / tau[:, None])
    linear = single(o, g1)  # tr (1 - e^{-m tau})/m
    near, near_sigma, near_s = _resolvents(model, s / (2 * tau[:, None]))
    far, far_sigma, far_s = _resolvents(model, s / tau[:, None])
    weight = o / s * 2  # division by s/(2 tau) is multiplication by 2 tau/s

    def square(at: npt.NDArray[np.complex128], double: npt.NDArray[np.complex128]) -> Floats:
        return single(weight, (at - double) * tau[:, None])

    identity = square(near, far)
    test = 1 - 2 * b * linear + b * (a * square(near_sigma, far_sigma) + b * identity)
    train = 1 - 2 * b * linear + b * (a * square(near_s, far_s) + b * identity)
    return np.stack([train, test])


def _resolvents(
    model: LinearModel, s: npt.NDArray[np.complex128]
) -> tuple[npt.NDArray[np.complex128], npt.NDArray[np.complex128], npt.NDArray[np.complex128]]:
    """tr 1/(m(S) + s), tr Sigma/(m(S) + s), tr S/(m(S) + s) with m(S) = a (S + c)."""
    lam, w = model.covariance.eigenvalues, model.covariance.weights
    z = model.c + s / model.signal
    if model.scale is None:
        kappa = complex_kappa(model.covariance, model.gamma, z)
    else:
        kappa = ScaledKappa(model.covariance, model.scale, model.gamma).complex(z)
    inverse = 1 / (lam + kappa[..., None])
    plain = kappa / z * (inverse @ w)
    sigma = kappa / z * ((inverse * lam) @ w)
    return plain / model.signal, sigma / model.signal, (1 - z * plain) / model.signal
