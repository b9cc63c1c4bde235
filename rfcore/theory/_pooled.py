r"""One linear denoiser for K classes: S = (1/n) sum_k X_k^T X_k with commuting covariances Sigma_k.

    Q(z) = (S + z)^-1 ~ (z + sum_k pi_k chi_k Sigma_k)^-1 ,    chi_k (1 + gamma tr Sigma_k Q) = 1

Taking one point of class k out of Q gives tr S_k Q_1 Q_2 = chi_k1 chi_k2 tr Sigma_k Q_1 Q_2.  With
M_ab = tr B_a B_b Qbar_1 Qbar_2, B_0 = 1 and B_k = Sigma_k, the two-point functions T_a = tr Q_1 B_a Q_2 are

    T_a = M_a0 + sum_l pi_l chi_l1 chi_l2 tau_l M_l0
    tau = gamma (1 - gamma M diag(pi chi_1 chi_2))^-1 M_.a
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore.conditional import ConditionalModel
from rfcore.theory._contour import double, single, talbot
from rfcore.theory._ray import follow

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Pooled:
    """Solutions at points z (...,): chi (..., K), Qbar (..., A), residual (...,)."""

    chi: Array
    q: Array
    residual: Array

    def outer(self, axis: int) -> "Pooled":
        """Insert an axis before or after the last axis of points, so that two sets form all pairs."""
        return Pooled(np.expand_dims(self.chi, axis), np.expand_dims(self.q, axis), self.residual)

    def conj(self) -> "Pooled":
        return Pooled(self.chi.conj(), self.q.conj(), self.residual)


def solved(model: ConditionalModel, gamma: float, z: Array) -> Pooled:
    """Solve the K equations at points z off the negative axis, of any shape."""
    lam, pi, w = model.eigenvalues, model.pi, model.covariances[0].weights
    flat = np.asarray(z).ravel()
    products = (lam[:, None] * lam[None]).reshape(-1, lam.shape[1]) * w

    def equations(chi: Array, at: Array) -> tuple[Array, Array, Array]:
        q = 1 / (at[:, None] + (chi * pi) @ lam)
        delta = gamma * q @ (lam * w).T
        square = gamma * (q**2 @ products.T).reshape(-1, pi.size, pi.size)
        slope = -chi[:, :, None] * chi[:, None, :] * pi * square
        index = np.arange(pi.size)
        slope[:, index, index] += chi * (1 + delta)
        along = -chi * gamma * (q**2 @ (lam * w).T) * at[:, None]
        return chi * (1 + delta) - 1, slope, along

    radius = max(100 * (1 + gamma) * float(lam.max()), 2 * float(np.abs(flat).max()))
    start = np.ones((flat.size, pi.size), dtype=flat.dtype)
    chi, residual = follow(equations, start, flat, radius)
    q = 1 / (flat[:, None] + (chi * pi) @ lam)
    shape = np.shape(z)
    return Pooled(chi.reshape(*shape, -1), q.reshape(*shape, -1), residual.reshape(shape))


def two_point(model: ConditionalModel, gamma: float, a: Pooled, b: Pooled) -> Array:
    """T_0 = tr Q_1 Q_2 and T_k = tr Q_1 Sigma_k Q_2, (..., 1 + K), elementwise in the points."""
    lam, pi, w = model.eigenvalues, model.pi, model.covariances[0].weights
    basis = np.concatenate([np.ones((1, lam.shape[1])), lam])
    size = len(basis)
    products = (basis[:, None] * basis[None]).reshape(size * size, -1) * w
    m = ((a.q * b.q) @ products.T).reshape(*np.broadcast_shapes(a.q.shape[:-1], b.q.shape[:-1]), size, size)
    weight = pi * a.chi * b.chi
    system = np.eye(pi.size) - gamma * m[..., 1:, 1:] * weight[..., None, :]
    tau = np.linalg.solve(system, gamma * m[..., 1:, :])
    return np.asarray(m[..., 0] + np.einsum("...l,...la,...l->...a", weight, tau, m[..., 1:, 0]))


def losses(model: ConditionalModel, gamma: float, z: float, c: float) -> tuple[Floats, Floats, float]:
    """Train and test loss of each class (K,) at the minimiser with noise z and c = z + ridge; residual."""
    at = solved(model, gamma, np.array([c]))
    two = two_point(model, gamma, at, at)[0]
    g = float(at.q[0] @ model.covariances[0].weights)
    common = 1 - 2 * z * g + z * z * two[0]
    return common + z * at.chi[0] ** 2 * two[1:], common + z * two[1:], float(at.residual[0])


def flow(
    model: ConditionalModel, gamma: float, z: float, c: float, tau: Floats, points: int
) -> tuple[Floats, Floats]:
    """Train and test loss of each class, (K, T) each, at times tau (T,) of gradient flow from W = 0."""
    s, o = talbot(points)
    a, noise = 1 / (1 + z), z / (1 + z)
    at = solved(model, gamma, c + s / (a * tau[:, None]))
    mean: Array = at.q @ model.covariances[0].weights
    plain = single(o, mean) / a
    first, second = at.outer(-2), at.outer(-3)
    both = [(first, second), (first, second.conj())]
    t = [two_point(model, gamma, left, right) / a**2 for left, right in both]
    own = [left.chi * right.chi * two[..., 1:] for (left, right), two in zip(both, t, strict=True)]

    def transformed(values: list[Array]) -> Floats:
        upper, mixed = (np.moveaxis(value, -1, 0) for value in values)
        return double(o, upper, mixed)

    square = transformed(t)
    common = 1 - 2 * noise * plain + noise**2 * square[0]
    return common + noise * a * transformed(own), common + noise * a * square[1:]


def log_det(model: ConditionalModel, gamma: float, c: float) -> tuple[float, Floats, float]:
    """tr log(S + c), tr Sigma_k Q(c) (K,), and the residual.

    F = tr log(c + sum_k pi_k chi_k Sigma_k) + (1/gamma) sum_k pi_k (chi_k - 1 - log chi_k)
    """
    at = solved(model, gamma, np.array([c]))
    chi, q, w = at.chi[0], at.q[0], model.covariances[0].weights
    value = -float(w @ np.log(q)) + float(model.pi @ (chi - 1 - np.log(chi))) / gamma
    return value, model.eigenvalues @ (w * q), float(at.residual[0])
