r"""Random features with one readout for K classes, m = infinity: U = sum_k pi_k U_k.

Each class has its own constants alpha_k, b_k, v_k^2, s_k^2.  Unknowns u = psi_p q and chi_1 .. chi_K, with
kappa = sum_k pi_k (b_k^2 + chi_k alpha_k^2 lambda_k), h = 1/(1 + kappa u):

    chi_k (1 + (v_k^2 u + alpha_k^2 u <lambda_k h>)/psi_n) = 1
    u (sum_k pi_k (chi_k v_k^2 + s_k^2) - z) + u <kappa h> = psi_p

Matrices that occur have the form c + M D M^T, D diagonal over the atoms: the pairs (c, D).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore.conditional import ConditionalModel
from rfcore.model import RandomFeatureModel
from rfcore.theory._ray import follow

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Mixture:
    """The numbers of a question: constants (K,), weights pi (K,), eigenvalues (K, A) and their weights."""

    psi_p: float
    psi_n: float
    pi: Floats
    alpha2: Floats
    b: Floats
    v2: Floats
    s2: Floats
    lam: Floats
    w: Floats

    @property
    def matrices(self) -> tuple[Floats, Floats]:
        """c (1 + 2K,) and D (1 + 2K, A) of M M^T, the sample parts C_g,k, the noise parts C_h,k."""
        atoms = self.w.size
        signal = self.alpha2[:, None] * self.lam
        noise = np.repeat((self.b**2)[:, None], atoms, axis=1)
        return (
            np.concatenate([[0.0], self.v2, self.s2]),
            np.concatenate([np.ones((1, atoms)), signal, noise]),
        )


def mixture(model: ConditionalModel) -> Mixture:
    """Collect the numbers of a question with a shared readout."""
    base = model.base
    assert isinstance(base, RandomFeatureModel)
    each = [m.constants for m in model.classes if isinstance(m, RandomFeatureModel)]
    signal = np.exp(-2 * base.t)
    table = np.array([(signal * c.a**2, c.b, c.v2, c.s2) for c in each]).T
    w = model.covariances[0].weights
    alpha2, b, v2, s2 = table
    return Mixture(base.psi_p, base.psi_n, model.pi, alpha2, b, v2, s2, model.eigenvalues, w)


@dataclass(frozen=True, eq=False)
class Solved:
    """Solutions at points (...,): u, chi (..., K), h and kappa (..., A), residual."""

    u: Array
    chi: Array
    h: Array
    kappa: Array
    residual: Array

    def outer(self, axis: int) -> "Solved":
        """Insert an axis before or after the last axis of points, so that two sets form all pairs."""
        chi, h, kappa = (np.expand_dims(f, axis) for f in (self.chi, self.h, self.kappa))
        return Solved(np.expand_dims(self.u, axis + 1), chi, h, kappa, self.residual)

    def conj(self) -> "Solved":
        return Solved(self.u.conj(), self.chi.conj(), self.h.conj(), self.kappa.conj(), self.residual)


def solved(m: Mixture, z: Array) -> Solved:
    """Solve the equations at points z off the spectrum, of any shape; z = 0 is taken as a tiny -z."""
    flat = np.asarray(z).ravel()
    size = 4 * float((m.alpha2[:, None] * m.lam + (m.b**2)[:, None]).max()) * (1 + m.psi_p**0.5) ** 2
    size = (
        size * (1 + m.psi_n**-0.5) ** 2 + float((m.v2 + m.s2).max()) * (1 + (m.psi_p / m.psi_n) ** 0.5) ** 2
    )
    flat = np.where(flat == 0, -1e-17 * size, flat)
    signal = m.alpha2[:, None] * m.lam
    products = (signal[:, None] * signal[None]).reshape(-1, m.w.size) * m.w
    index = np.arange(m.pi.size)
    floor = float(m.pi @ m.s2)

    def equations(x: Array, at: Array) -> tuple[Array, Array, Array]:
        u, chi = x[:, 0], x[:, 1:]
        kappa = _kappa(m, chi)
        h = 1 / (1 + kappa * u[:, None])
        t = u[:, None] * (m.v2 + h @ (signal * m.w).T) / m.psi_n
        rest = (chi * m.pi) @ m.v2 + floor - at
        value = np.empty_like(x)
        value[:, 0] = u * (rest + (kappa * h) @ m.w) / m.psi_p - 1
        value[:, 1:] = chi * (1 + t) - 1
        first = h**2 @ (signal * m.w).T
        second = (h**2 @ products.T).reshape(-1, index.size, index.size)
        slope = np.empty((*x.shape, x.shape[1]), dtype=x.dtype)
        slope[:, 0, 0] = u * (rest + (kappa * h**2) @ m.w) / m.psi_p
        slope[:, 0, 1:] = chi * m.pi * u[:, None] * (m.v2 + first) / m.psi_p
        slope[:, 1:, 0] = chi * u[:, None] * (m.v2 + first) / m.psi_n
        inner = -(u[:, None, None] ** 2) * second * m.pi / m.psi_n
        slope[:, 1:, 1:] = inner * chi[:, :, None] * chi[:, None, :]
        slope[:, index + 1, index + 1] += chi * (1 + t)
        along = np.zeros_like(x)
        along[:, 0] = -u * at / m.psi_p
        return value, slope, along

    radius = max(30 * size, 2 * float(np.abs(flat).max()))
    far = flat * np.maximum(radius / np.abs(flat), 1)
    start = np.concatenate([(-m.psi_p / far)[:, None], np.ones((flat.size, index.size))], axis=1)
    x, residual = follow(equations, start, flat, radius)
    shape = np.shape(z)
    u, chi = x[:, 0].reshape(shape), x[:, 1:].reshape(*shape, -1)
    kappa = _kappa(m, chi)
    return Solved(u, chi, 1 / (1 + kappa * u[..., None]), kappa, residual.reshape(shape))


def t_cross(m: Mixture, a: Solved) -> Array:
    """(1/d) tr Vt_k^T R V = b_k bbar u <h>, bbar = sum_l pi_l b_l, (..., K)."""
    return np.asarray((a.u * (a.h @ m.w))[..., None] * (m.b * float(m.pi @ m.b)))


def two_point(m: Mixture, a: Solved, b: Solved) -> tuple[Array, Array]:
    """(1/d) tr V^T R_1 B R_2 V for the sample parts C_g,k and the noise parts C_h,k, (..., K) each."""
    c, diagonal = m.matrices
    size, classes = len(c), m.pi.size
    hh = a.h * b.h
    scale = a.u * b.u / m.psi_p
    smooth = scale / (m.psi_p * (1 - scale * ((a.kappa * b.kappa * hh) @ m.w)))
    single = c + hh @ (diagonal * m.w).T
    products = (diagonal[:, None] * diagonal[None]).reshape(size * size, -1) * m.w
    cross = (hh @ products.T).reshape(*hh.shape[:-1], size, size)
    bracket = smooth[..., None, None] * single[..., :, None] * single[..., None, :]
    bracket = bracket + scale[..., None, None] * cross
    own = slice(1, 1 + classes)
    weight = m.pi * a.chi * b.chi
    ratio = m.psi_p / m.psi_n
    system = np.eye(classes) - ratio * bracket[..., own, own] * weight[..., None, :]
    tau = np.linalg.solve(system, ratio * bracket[..., own, :])
    total = bracket[..., 0, :] + np.einsum("...l,...la,...l->...a", weight, tau, bracket[..., 0, own])
    values = float(m.pi @ m.b) ** 2 * m.psi_p * total
    return values[..., own], values[..., 1 + classes :]


def _kappa(m: Mixture, chi: Array) -> Array:
    return np.asarray((chi * m.pi * m.alpha2) @ m.lam + float(m.pi @ m.b**2))
