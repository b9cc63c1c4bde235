"""The linear pencils of U - z and of the losses, and the answers read off their blocks.

U - z is a Schur complement of a matrix that is *linear* in independent Gaussian matrices.  Here that
matrix is described by its blocks and handed to :mod:`rfcore.theory.operator_valued`; none of the
reductions of the theory (q, r, s, chi) is used.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore.checks import of_kind
from rfcore.model import RandomFeatureModel
from rfcore.theory.operator_valued import Pencil, semicircle, two_point

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class PencilSolution:
    """The resolvent as the pencil gives it, at one point.

    q : (1/p) tr R;  r, s : as in :class:`Resolvent`, read off the blocks
    g : (B, B) the blocks
    residual, iterations : of the operator-valued equation

    >>> solution = rf.theory.solve_pencil(rf.RandomFeatureModel(4, 2, 0.1), -1.0)
    >>> print(f"{solution.q.real:.6f}", solution.g.shape, solution.residual < 1e-12)
    0.852372 (4, 4) True
    """

    q: complex
    r: complex
    s: complex
    g: Array
    residual: float
    iterations: int


@dataclass(frozen=True)
class PencilTraces:
    """The traces of the losses at points z_1, z_2, for any number of noise draws.

    train : T_1(z_1) = (1/d) tr V^T R_1 V
    cross : T_x(z_1) = (1/d) tr Vt^T R_1 V
    test : T_2(z_1, z_2) = (1/d) tr V^T R_1 Ut R_2 V
    norm : (1/d) tr V^T R_1 R_2 V, which is T_1'(z_1) at z_2 = z_1

    >>> traces = rf.theory.pencil_traces(rf.RandomFeatureModel(4, 2, 0.1), -1.0)
    >>> print(f"{traces.train.real:.4f} {traces.cross.real:.4f} {traces.test.real:.4f}")
    0.1117 0.1117 0.0817
    """

    train: complex
    cross: complex
    test: complex
    norm: complex


def pencil(model: RandomFeatureModel) -> Pencil:
    """The pencil of U - z: blocks y_0 (p), y_1 (n), and per eigenvalue of Sigma y_3 and y_2 (w_i d each).

    m = infinity, with y_3 = M^T y_0, y_1 = G^T y_0/sqrt n, y_2 = b^2 y_3 + (alpha/sqrt n) Sigma^1/2 Z y_1:
    (s^2 - z) y_0 + M y_2 + (v/sqrt n) Omega y_1 = f.  Finite m: no b^2 and s^2, but one more block y_4
    (n (m - 1)) for the noise contrasts, and noise in y_1.

    Source: chapter 7 of the book; for learning curves the method goes back to Adlam and Pennington (2020)
    and Bodin and Macris (2021).

    Raises ValueError as :func:`rfcore.gaussian.constants`.

    >>> rf.theory.pencil(rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1, noise_draws=3)).names
    ('y_0', 'y_1', 'y_4', 'y_3', 'y_2')
    """
    of_kind("model", model, RandomFeatureModel)
    c, eps, n = model.constants, 1 / model.noise_draws, model.psi_n
    lam = model.covariance.eigenvalues
    build = _Builder(model)
    y3, y2 = build.add("y_3", per_eigenvalue=True), build.add("y_2", per_eigenvalue=True)
    build.tie(y3, y2, -1.0)
    build.first_layer(y2)
    signal = _alpha2(model) * lam
    build.gaussian(y3, build.samples, (signal + eps * c.b**2) / n)
    if eps == 0:
        build.tie(y3, y3, c.b**2)
    if build.contrasts is not None:
        build.gaussian(y3, build.contrasts, np.full(lam.size, eps * c.b**2 / n))
    return build.pencil()


def loss_pencil(model: RandomFeatureModel) -> Pencil:
    """The pencil of U - z in which the noise has blocks of its own, y_5 = b M^T y_0 and y_6 = V^T y_0.

    y_3 and y_2 carry the signal as in :func:`pencil`, now y_2 = b y_6 + (alpha/sqrt n) Sigma^1/2 Z y_1.
    With L^-1 = [..] in blocks, summed over the eigenvalues of Sigma, for any number of noise draws:

        T_x = (1/d) tr Vt^T R V = (b/d) tr [3, 6]            T_1 = (1/d) tr V^T R V = 1 + (1/d) tr [6, 6]
        T_2 = (1/d) tr V^T R_1 Ut R_2 V = (1/d) tr [6, .] J [., 6]

    with J = v^2 + s^2 on y_0 and alpha^2 lambda + b^2 on y_3: the traces of which the losses are made, see
    :func:`pencil_traces`.

    Source: chapter 7 of the book; for m = 1 and infinity compare George, Veiga and Macris (2025).

    Raises ValueError as :func:`rfcore.gaussian.constants`.

    >>> rf.theory.loss_pencil(rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1)).size.shape
    (6,)
    """
    of_kind("model", model, RandomFeatureModel)
    c, eps, n = model.constants, 1 / model.noise_draws, model.psi_n
    lam = model.covariance.eigenvalues
    build = _Builder(model)
    y3, y2, y5, y6 = (build.add(name, per_eigenvalue=True) for name in ("y_3", "y_2", "y_5", "y_6"))
    for one, other, value in ((y3, y2, -1.0), (y3, y6, c.b), (y5, y6, -1.0)):
        build.tie(one, other, value)
    build.first_layer(y2)
    build.gaussian(y3, build.samples, _alpha2(model) * lam / n)
    if eps == 0:
        build.tie(y5, y5, 1.0)
    else:
        build.gaussian(y5, build.samples, np.full(lam.size, eps / n))
    if build.contrasts is not None:
        build.gaussian(y5, build.contrasts, np.full(lam.size, eps / n))
    return build.pencil()


def solve_pencil(model: RandomFeatureModel, z: complex, steps: int = 20_000) -> PencilSolution:
    """q, r and s at one point z off [0, inf), from the operator-valued equation of :func:`pencil`.

    r and s come from the blocks of y_3: (1/d) tr g_33 = psi_p s and (1/d) tr Sigma g_33 = psi_p r.
    Raises as :func:`rfcore.theory.semicircle`.

    Source: chapter 7 of the book.

    >>> model = rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1)
    >>> print(f"{rf.theory.solve_pencil(model, -1.0).q.real:.6f}")
    0.852372
    >>> print(f"{rf.theory.resolvent(model, -1.0).q.real:.6f}")
    0.852372
    """
    answer = semicircle(pencil(model), z, steps)
    three = np.array([name == "y_3" for name in answer.pencil.names])
    own, weight = np.diag(answer.g)[three], answer.pencil.size[three]
    s = complex(weight @ own) / model.psi_p
    r = complex((weight * model.covariance.eigenvalues) @ own) / model.psi_p
    q = complex(answer.g[0, 0])
    return PencilSolution(q, r, s, answer.g, float(answer.residual), int(answer.iterations))


def pencil_traces(model: RandomFeatureModel, z: complex, other: complex | None = None) -> PencilTraces:
    """The traces of the losses at z_1 = z and z_2 = other (z itself if not given), by :func:`loss_pencil`.

    Raises as :func:`rfcore.theory.semicircle`.

    Source: chapter 7 of the book.

    >>> model = rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1, ridge=0.1)
    >>> traces = rf.theory.pencil_traces(model, -0.1)
    >>> test = 1 - 2 * traces.cross.real + traces.test.real
    >>> print(f"{test:.6f} {rf.theory.minimizer(model).test:.6f}")
    0.930477 0.930477
    """
    form, c, lam = loss_pencil(model), model.constants, model.covariance.eigenvalues
    first = semicircle(form, z)
    second = first if other is None else semicircle(form, other)
    three, six = (np.flatnonzero(np.array(form.names) == name) for name in ("y_3", "y_6"))
    weight = form.size[six]
    population, unit = np.zeros_like(form.constant), np.zeros_like(form.constant)
    population[0, 0], unit[0, 0] = c.v2 + c.s2, 1.0
    population[three, three] = _alpha2(model) * lam + c.b**2
    test, norm = (weight @ np.diag(two_point(first, second, j))[six] for j in (population, unit))
    train, cross = 1 + weight @ np.diag(first.g)[six], c.b * (weight @ first.g[three, six])
    return PencilTraces(complex(train), complex(cross), complex(test), complex(norm))


def _alpha2(model: RandomFeatureModel) -> float:
    return float(np.exp(-2 * model.t)) * model.constants.a**2


class _Builder:
    """Collects blocks, ties (multiples of the identity) and Gaussian blocks of the model's pencils."""

    def __init__(self, model: RandomFeatureModel) -> None:
        c, eps, n = model.constants, 1 / model.noise_draws, model.psi_n
        self.weights = model.covariance.weights
        self.size: list[float] = []
        self.names: list[str] = []
        self.ties: list[tuple[Array, Array, float]] = []
        self.places: list[tuple[int, int, float]] = []
        self.features, self.samples = self.add("y_0", model.psi_p), self.add("y_1", n)
        self.contrasts = self.add("y_4", n * (1 / eps - 1)) if 0 < eps < 1 else None
        self.tie(self.features, self.features, 0.0 if eps else c.s2)
        self.tie(self.samples, self.samples, -1.0)
        self.gaussian(self.features, self.samples, np.array([(c.v2 + eps * c.s2) / n]))
        if self.contrasts is not None:
            self.tie(self.contrasts, self.contrasts, -1.0)
            self.gaussian(self.features, self.contrasts, np.array([eps * c.s2 / n]))

    def add(self, name: str, size: float = 0.0, per_eigenvalue: bool = False) -> Array:
        """New blocks; their indices."""
        sizes = self.weights.tolist() if per_eigenvalue else [size]
        first = len(self.size)
        self.size += sizes
        self.names += [name] * len(sizes)
        return np.arange(first, len(self.size))

    def tie(self, one: Array, other: Array, value: float) -> None:
        self.ties.append((one, other, value))

    def first_layer(self, blocks: Array) -> None:
        """M between the features and the given blocks."""
        self.gaussian(self.features, blocks, np.ones(blocks.size))

    def gaussian(self, one: Array, other: Array, variance: Array) -> None:
        """An independent Gaussian matrix, entries of variance variance/d, at each (one, other)."""
        for i, j, v in np.broadcast(one, other, variance):
            self.places.append((int(i), int(j), float(v)))

    def pencil(self) -> Pencil:
        blocks = len(self.size)
        constant = np.zeros((blocks, blocks))
        for one, other, value in self.ties:
            constant[one, other] = constant[other, one] = value
        places = [place for place in self.places if place[2] > 0]
        gaussian = np.zeros((len(places), blocks, blocks))
        for k, (i, j, v) in enumerate(places):
            gaussian[k, i, j] = np.sqrt(v)
        return Pencil(np.array(self.size), constant, gaussian, 0, tuple(self.names))
