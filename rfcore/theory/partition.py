"""The partition function Z(z) = det(U - z)^(-1/2) at finite size: its law, and its exact moments E Z^k.

    Z(z) = int exp(-phi^T (U - z) phi/2) dphi/(2 pi)^(p/2),   phi in R^p, real z < 0

for the Gaussian-equivalent U.  The limit p -> infinity of log Z/p is the replica action of
:mod:`rfcore.theory.derivations`; here is what comes after it.
"""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rfcore.checks import Array, finite_array, of_kind, refuse, whole
from rfcore.model import RandomFeatureModel
from rfcore.theory._replicated import Integrand, log_integral
from rfcore.theory.derivations import reduced_action
from rfcore.theory.resolvent import resolvent

# Step in standard deviations and nodes of the Gauss rules, fine and coarse, for each number of replicas.
GRIDS = {1: ((0.25, 0), (0.32, 0)), 2: ((0.4, 14), (0.5, 11))}


@dataclass(frozen=True)
class LogPartition:
    """The law of log Z at large size: normal, with a mean of O(p) and a variance of O(1).

    z : (...) real, < 0;  p, n : sizes;  action : Phi = lim (1/p) log det(U - z)
    mean, variance : E log Z = -p Phi/2 + variance/2 and Var log Z, each up to O(1/p)
    residual : that of the resolvent equations behind them

    >>> law = rf.theory.log_partition(rf.RandomFeatureModel(4, 2, 0.1), z=-1.0, d=16)
    >>> print(f"mean {law.mean:.3f}, variance {law.variance:.4f}, p = {law.p}, n = {law.n}")
    mean -7.115, variance 0.0779, p = 64, n = 32
    """

    z: Array
    p: int
    n: int
    action: Array
    mean: Array
    variance: Array
    residual: Array

    def log_moment(self, replicas: float) -> Array:
        """log E Z^k = k mean + k^2 variance/2 for k = ``replicas``, up to O(1/p)."""
        return np.asarray(replicas * self.mean + replicas**2 * self.variance / 2)


@dataclass(frozen=True)
class ReplicatedMoment:
    """log E Z^k at finite size.

    log_value : log E Z^k, k = ``replicas``;  error : its numerical error (from two grids)
    z, p, n : the real point, and the sizes

    >>> moment = rf.theory.replicated_moment(rf.RandomFeatureModel(4, 2, 0.1), -1.0, d=4, replicas=1)
    >>> print(f"{moment.log_value:.4f}", moment.error < 1e-6)
    -1.7156 True
    """

    z: float
    p: int
    n: int
    replicas: int
    log_value: float
    error: float


def log_partition(model: RandomFeatureModel, z: npt.ArrayLike, d: int) -> LogPartition:
    """Law of log Z(z) of the Gaussian-equivalent matrix with p = round(psi_p d), n = round(psi_n d).

    The variance is -log det(H)/2, where H is the Hessian of the replicated action in the overlaps of
    two different replicas, in units of what it is without interaction: with u = psi_p q,
    h = 1/(1 + kappa u), groups a of N_a vectors (the samples; at finite m also the noise contrasts),
    kappa = sum_a g_a(lambda) + (b^2 at m = infinity), and c_a the matching parts of chi_1 v^2 + zeta s^2,

        H_00 = 1 - (u^2/psi_p) <kappa^2 h^2>
        H_0a = u (c_a + <g_a h^2>) d/(p N_a)^(1/2)
        H_ab = delta_ab - u^2 <g_a g_b h^2> d/(N_a N_b)^(1/2)

    Parameters
    ----------
    z : real numbers < 0, any shape;  d : dimension

    Raises ValueError for z >= 0.  Source: chapter 6 of the book.

    >>> law = rf.theory.log_partition(rf.RandomFeatureModel(4, 2, 0.1), z=-1.0, d=16)
    >>> print(f"{law.log_moment(2):.3f}")  # log E Z^2
    -14.074
    """
    of_kind("model", model, RandomFeatureModel)
    points = finite_array("z", z)
    if not np.all(points < 0):
        raise refuse("z", float(points.max()), "numbers < 0")
    p, n = _sizes(model, d)
    sized = _at_size(model, p, n, d)
    answer = resolvent(sized, points)
    q, chi_1, chi_2 = answer.q.real, answer.chi_1.real, answer.chi_2.real
    if sized.noise_draws == 1:
        chi_2 = np.ones_like(chi_1)
    action = reduced_action(sized, points, q, chi_1, chi_2)
    _, log_det = np.linalg.slogdet(_interaction(sized, q, chi_1, chi_2))
    variance = -log_det / 2
    return LogPartition(
        points, p, n, action, -p * action / 2 + variance / 2, variance, np.asarray(answer.residual)
    )


def replicated_moment(model: RandomFeatureModel, z: float, d: int, replicas: int) -> ReplicatedMoment:
    """log E Z^k, k = 1 or 2, of the Gaussian-equivalent U at p = round(psi_p d), n = round(psi_n d), m = inf.

    Not an asymptotic formula: with X and Y independent k x k Wishart matrices of p and n degrees of
    freedom, w = s^2 - z, K_i = b^2 + alpha^2 lambda_i Y/n and the d eigenvalues lambda_i of Sigma,

        E Z^k = w^(-pk/2) E exp(-v^2 tr(X Y)/(2 n w)) prod_i det(1 + X K_i/(w d))^(-1/2)

    which is an integral over 2 numbers at k = 1 and over 5 at k = 2 (two means, two anisotropies and the
    angle between X and Y).  Trapezoidal rule in the logarithms of the means, Gauss rules for the rest.

    Parameters
    ----------
    z : real number < 0
    d : dimension; Sigma = diag(quantiles(d)) as in the simulations
    replicas : 1 or 2

    Raises ValueError for z >= 0, a finite number of noise draws, other k, and p or n below k.
    Source: chapter 6 of the book.

    >>> model = rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1)
    >>> print(f"{rf.theory.replicated_moment(model, z=-1.0, d=16, replicas=1).log_value:.3f}")
    -7.077
    >>> print(f"{rf.theory.log_partition(model, z=-1.0, d=16).log_moment(1):.3f}")
    -7.076
    """
    of_kind("model", model, RandomFeatureModel)
    k = whole("replicas", replicas)
    if k > 2:
        raise refuse("replicas", replicas, "1 or 2")
    if not math.isinf(model.noise_draws):
        raise refuse("noise_draws", model.noise_draws, "math.inf")
    law = log_partition(model, float(z), d)
    if min(law.p, law.n) < k:
        raise refuse("min(p, n)", min(law.p, law.n), f"an integer >= {k}, the number of replicas")
    fine, coarse = (log_integral(_integrand(model, law, d, k), step, nodes) for step, nodes in GRIDS[k])
    return ReplicatedMoment(float(z), law.p, law.n, k, fine, abs(fine - coarse))


def _sizes(model: RandomFeatureModel, d: int) -> tuple[int, int]:
    whole("d", d)
    p, n = round(model.psi_p * d), round(model.psi_n * d)
    for name, size in (("psi_p", p), ("psi_n", n)):
        if size < 1:
            raise refuse(name, getattr(model, name), f"at least {0.5 / d:.3g} at d = {d}")
    return p, n


def _at_size(model: RandomFeatureModel, p: int, n: int, d: int) -> RandomFeatureModel:
    return dataclasses.replace(model, psi_p=p / d, psi_n=n / d)


def _interaction(model: RandomFeatureModel, q: Array, chi_1: Array, chi_2: Array) -> Array:
    """The matrix H of :func:`log_partition`, (..., 1 + groups, 1 + groups)."""
    c, m = model.constants, model.noise_draws
    lam, w = model.covariance.eigenvalues, model.covariance.weights
    alpha2, eps = math.exp(-2 * model.t) * c.a**2, 1 / m
    ratio = [model.psi_n]
    g = [(alpha2 * lam + eps * c.b**2) * chi_1[..., None]]
    load = [(c.v2 + eps * c.s2) * chi_1]
    if 1 < m < math.inf:
        ratio.append(model.psi_n * (m - 1))
        g.append(np.ones_like(lam) * ((1 - eps) * c.b**2 * chi_2)[..., None])
        load.append((1 - eps) * c.s2 * chi_2)
    kappa = sum(g) + (c.b**2 if math.isinf(m) else 0.0)
    u = model.psi_p * q
    h2 = 1 / (1 + kappa * u[..., None]) ** 2
    matrix = np.empty((*q.shape, len(g) + 1, len(g) + 1))
    matrix[..., 0, 0] = 1 - u**2 / model.psi_p * ((kappa**2 * h2) @ w)
    for a in range(len(g)):
        cross = u * (load[a] + (g[a] * h2) @ w) / math.sqrt(model.psi_p * ratio[a])
        matrix[..., 0, a + 1] = matrix[..., a + 1, 0] = cross
        for b in range(len(g)):
            pair = u**2 * ((g[a] * g[b] * h2) @ w) / math.sqrt(ratio[a] * ratio[b])
            matrix[..., a + 1, b + 1] = (a == b) - pair
    return matrix


def _integrand(model: RandomFeatureModel, law: LogPartition, d: int, k: int) -> Integrand:
    c, z = model.constants, float(law.z)
    lam, count = np.unique(model.covariance.quantiles(d), return_counts=True)
    signal = math.exp(-2 * model.t) * c.a**2 * lam
    sized = _at_size(model, law.p, law.n, d)
    answer = resolvent(sized, z)
    q, chi = np.asarray(answer.q.real), np.asarray(answer.chi_1.real)
    # The Hessian of the exponent in (log q, log chi): overlaps of a replica with itself fluctuate as
    # those of two replicas do, with twice the variance.
    size = np.sqrt([law.p, law.n])
    precision = k / 2 * _interaction(sized, q, chi, np.ones(())) * np.outer(size, size)
    axes = np.linalg.inv(np.linalg.cholesky(precision)).T
    centre = np.log([float(q), float(chi)])
    return Integrand(
        k, law.p, law.n, d, c.s2 - z, c.b**2, c.v2, signal, count.astype(np.float64), centre, axes
    )
