r"""Moments of maps that are averages of denoisers, f(S) = sum_a (constant_a + weight_a S (S + s_a)^-1).

With kappa_a = kappa(s_a) and r_ka = 1/(lambda_k + kappa_a), at leading order,

    E f(S)_kk = sum_a (constant_a + weight_a lambda_k r_ka)
    n Var(u_j . f(S) u_k) = (1 + delta_jk) lambda_j lambda_k sum_ab F_ab r_ja r_jb r_ka r_kb,
    F_ab = weight_a weight_b kappa_a kappa_b/(1 - gamma <lambda^2 r_a r_b>).
"""

import math

import numpy as np
import numpy.typing as npt

from rfcore.model import LinearModel
from rfcore.theory._gaussian_only import gaussian_only
from rfcore.theory._kappa import real_kappa
from rfcore.theory._rank import positive

Floats = npt.NDArray[np.float64]
STEP, REACH = 0.25, 36.0  # trapezoid in y: 12 digits, over 62 decades of the noise e^(2y)
FAINT = 1e-17  # of the largest weight: nodes that do not change a variance
LARGEST = 1 << 21  # entries of a block


def grid() -> Floats:
    """The points y of the trapezoid rule."""
    return np.arange(-REACH, REACH + STEP / 2, STEP)


def middle(model: LinearModel) -> float:
    """The scale of Sigma: geometric mean of its positive eigenvalues."""
    return math.exp(float(np.mean(np.log(model.covariance.eigenvalues[positive(model.covariance)]))))


def mean(model: LinearModel, nodes: Floats, weights: Floats, constants: Floats) -> Floats:
    """E f(S)_kk, (K,)."""
    gaussian_only(model)
    lam = model.covariance.eigenvalues
    kappa = real_kappa(model.covariance, model.gamma, nodes)
    return np.asarray((lam[:, None] / (lam[:, None] + kappa)) @ weights + constants.sum())


def scaled_variance(model: LinearModel, nodes: Floats, weights: Floats) -> Floats:
    """n Var(u_j . f(S) u_k), (K, K): one product of matrices whose columns are pairs of nodes."""
    lam, w, gamma = model.covariance.eigenvalues, model.covariance.weights, model.gamma
    kappa = real_kappa(model.covariance, gamma, nodes)
    size = np.abs(weights) * kappa * np.max(lam[:, None] / (lam[:, None] + kappa) ** 2, axis=0)
    kappa, weights = kappa[size > FAINT * size.max()], weights[size > FAINT * size.max()]
    r = 1 / (lam[:, None] + kappa)
    form = np.outer(weights * kappa, weights * kappa) / (1 - gamma * (r.T * (w * lam**2)) @ r)
    rows, columns = np.triu_indices(kappa.size)
    # F is symmetric: each pair off the diagonal counts twice.
    load = form[rows, columns] * np.where(rows == columns, 1, 2)
    answer = np.zeros((lam.size, lam.size))
    block = max(1, LARGEST // lam.size)
    for k in range(0, rows.size, block):
        pairs = lam[:, None] * r[:, rows[k : k + block]] * r[:, columns[k : k + block]]
        answer += (pairs * load[k : k + block]) @ pairs.T
    answer[np.diag_indices(lam.size)] *= 2
    return answer


def halved(model: LinearModel, nodes: Floats, weights: Floats, constants: Floats, fine: Floats) -> float:
    """Relative error of the mean by a rule of half as many nodes.

    The trapezoid rule converges geometrically: halving the step squares the error.
    """
    coarse = mean(model, nodes, weights, constants)
    # A direction without variance has mean zero, and no error.
    return max(float(np.max(np.abs(fine - coarse) / np.where(fine == 0, 1.0, np.abs(fine)))) ** 2, 1e-15)
