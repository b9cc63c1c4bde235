"""The linear pencil of U - z and its operator-valued equation, as a program.

U - z is a Schur complement of a matrix L that is *linear* in independent Gaussian matrices.  The
block-diagonal part g of E L^-1 then solves g = (E L - eta(g))^-1, where eta replaces each Gaussian
block by its covariance.  Here L is described by its blocks and the equation is solved as it stands;
none of the reductions of the theory (q, r, s, chi) is used.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore.checks import refuse
from rfcore.model import RandomFeatureModel

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Pencil:
    """A symmetric pencil of B blocks.

    size (B,): numbers of rows in units of d.  mean (B, B): scalar multiples of the identity in E L, at
    z = 0; z_block: the block whose diagonal is mean - z.  variance (B, B): a Gaussian block (i, j) has
    independent entries of variance variance[i, j]/d.  names: what each block stands for.
    """

    size: Array
    mean: Array
    variance: Array
    z_block: int
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class PencilSolution:
    """q = (1/p) tr R, r and s read off the blocks of g (B, B); residual of the equation; iterations."""

    q: complex
    r: complex
    s: complex
    g: Array
    residual: float
    iterations: int


def pencil(model: RandomFeatureModel) -> Pencil:
    """The pencil of U - z: blocks y_0 (p), y_1 (n), and per eigenvalue of Sigma y_3 and y_2 (w_i d each).

    m = infinity, with y_3 = M^T y_0, y_1 = G^T y_0/sqrt n, y_2 = b^2 y_3 + (alpha/sqrt n) Sigma^1/2 Z y_1:
    (s^2 - z) y_0 + M y_2 + (v/sqrt n) Omega y_1 = f.  Finite m: no b^2 and s^2, but one more block y_4
    (n (m - 1)) for the noise contrasts, and noise in y_1.

    Source: chapter 7 of the book; the method goes back to Haagerup and Thorbjornsen, and for learning
    curves to Adlam and Pennington (2020) and Bodin and Macris (2021).
    """
    c, eps, n = model.constants, 1 / model.noise_draws, model.psi_n
    alpha2 = float(np.exp(-2 * model.t)) * c.a**2
    lam, w = model.covariance.eigenvalues, model.covariance.weights
    k = lam.size
    with_contrasts = 0 < eps < 1
    head = 3 if with_contrasts else 2
    size = np.concatenate([[model.psi_p, n], [n * (1 / eps - 1)] if with_contrasts else [], w, w])
    blocks = size.size
    y3, y2 = head + np.arange(k), head + k + np.arange(k)
    mean, variance = np.zeros((blocks, blocks)), np.zeros((blocks, blocks))
    mean[0, 0] = 0.0 if eps else c.s2
    mean[1, 1] = -1.0
    mean[y3, y2] = mean[y2, y3] = -1.0
    mean[y3, y3] = 0.0 if eps else c.b**2
    variance[0, y2] = 1.0
    variance[0, 1] = (c.v2 + eps * c.s2) / n
    variance[y3, 1] = (alpha2 * lam + eps * c.b**2) / n
    if with_contrasts:
        mean[2, 2] = -1.0
        variance[0, 2] = eps * c.s2 / n
        variance[y3, 2] = eps * c.b**2 / n
    names = ("y_0", "y_1", *(["y_4"] if with_contrasts else []), *["y_3"] * k, *["y_2"] * k)
    return Pencil(size, mean, variance + variance.T, 0, names)


def solve_pencil(model: RandomFeatureModel, z: complex, steps: int = 20_000) -> PencilSolution:
    """Iterate g <- average of g and (E L - z e_0 - eta(g))^-1, eta(g)_ii = sum_j size_j variance_ij g_jj.

    z must lie off the positive real axis; the iteration takes of the order of 1/Im z steps.  r and s come
    from the blocks of y_3, y_2: (1/d) tr g_33 = psi_p s and (1/d) tr Sigma g_33 = psi_p r.
    Raises ValueError for z on [0, inf), RuntimeError if the residual stays above 1e-12.
    """
    z = complex(z)
    if z.imag == 0 and z.real >= 0:
        raise refuse("z", z, "a point off the half-line [0, inf)")
    form = pencil(model)
    shift = form.mean.astype(complex)
    shift[form.z_block, form.z_block] -= z
    flow = form.variance * form.size
    g = np.linalg.inv(shift + 0)
    residual, used = np.inf, steps
    for k in range(steps):
        new = np.linalg.inv(shift - np.diag(flow @ np.diag(g)))
        residual = float(np.max(np.abs(new - g)) / np.max(np.abs(g)))
        if residual < 1e-13:
            used = k
            break
        g = (g + new) / 2
    if residual > 1e-12:
        raise RuntimeError(
            f"the pencil of {model!r} has not converged at z = {z!r} (residual {residual:.1e})"
        )
    three = np.array([name == "y_3" for name in form.names])
    own, weight = np.diag(g)[three], form.size[three]
    s = complex(weight @ own) / model.psi_p
    r = complex((weight * model.covariance.eigenvalues) @ own) / model.psi_p
    return PencilSolution(complex(g[0, 0]), r, s, g, residual, used)
