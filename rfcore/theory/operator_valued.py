"""Linear pencils of Gaussian matrices and their operator-valued equation, for any pencil.

A pencil of B blocks is L = A (x) 1 + sum_k (C_k (x) X_k + C_k^T (x) X_k^T) - z e (x) 1: matrices of
numbers A, C_k (B, B) say which blocks hold multiples of the identity and which share the Gaussian
matrix X_k, whose entries are independent with variance 1/d.  As d grows, block (i, j) of L^-1 becomes
g_ij times the identity (in normalised trace), where

    g = (A - z e - eta(g))^-1,    eta(g) = sum_k C_k S g C_k^T + C_k^T S g C_k,    S = diag(size),

and g has a positive semidefinite imaginary part for Im z > 0.  Two resolvents with a constant matrix J
between them are the upper right corner of a pencil twice as large; its equation is linear.

Source: chapter 7 of the book; Haagerup and Thorbjornsen (2005); Helton, Rashidi Far and Speicher (2007).
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore.checks import finite_array, refuse

Array = npt.NDArray[Any]
TOLERANCE = 1e-12


@dataclass(frozen=True, eq=False)
class Pencil:
    """A symmetric pencil of B blocks.

    size : (B,) rows of each block in units of d
    constant : (B, B) A, multiples of the identity, at z = 0
    gaussian : (K, B, B) C_k
    z_block : the block whose diagonal is A - z
    names : what each block stands for

    Raises ValueError for shapes that do not fit, an unsymmetric A, a multiple of the identity between
    blocks of different size, or a Gaussian matrix in two places of different shape.

    >>> pencil = rf.theory.pencil(rf.RandomFeatureModel(4, 2, 0.1))
    >>> print(pencil.size, pencil.names)
    [4. 2. 1. 1.] ('y_0', 'y_1', 'y_3', 'y_2')
    """

    size: Array
    constant: Array
    gaussian: Array
    z_block: int = 0
    names: tuple[str, ...] = ()
    _pairs: tuple[Array, Array, Array] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        size = finite_array("size", self.size, ndim=1)
        constant = finite_array("constant", self.constant, ndim=2)
        gaussian = finite_array("gaussian", self.gaussian, ndim=3)
        blocks = size.size
        if constant.shape != (blocks, blocks) or gaussian.shape[1:] != (blocks, blocks):
            shapes = (size.shape, constant.shape, gaussian.shape)
            raise refuse("shapes of size, constant, gaussian", shapes, "(B,), (B, B), (K, B, B)")
        if not np.all(size > 0):
            raise refuse("size", size.tolist(), "numbers > 0")
        if not np.array_equal(constant, constant.T):
            raise refuse("constant", constant.tolist(), "a symmetric matrix")
        _between_equals("constant", constant, size)
        for number, c in enumerate(gaussian):
            i, j = np.nonzero(c)
            if not (np.allclose(size[i], size[i[:1]]) and np.allclose(size[j], size[j[:1]])):
                raise refuse(f"gaussian[{number}]", c.tolist(), "one shape of X in all its places")
        if not 0 <= self.z_block < blocks:
            raise refuse("z_block", self.z_block, f"a block, 0 to {blocks - 1}")
        object.__setattr__(self, "_pairs", _covariance_pairs(size, gaussian))
        for name, value in (("size", size), ("constant", constant), ("gaussian", gaussian)):
            object.__setattr__(self, name, value)


@dataclass(frozen=True, eq=False)
class Semicircle:
    """Solution of the operator-valued equation at points z (...,).

    g : (..., B, B) the blocks
    residual : (...,) largest |g_new - g|/max |g|
    iterations : (...,) averaged steps used before the Newton steps
    rate : (...,) spectral radius of one plain step at the solution, below one where the iteration contracts

    >>> pencil = rf.theory.pencil(rf.RandomFeatureModel(4, 2, 0.1))
    >>> answer = rf.theory.semicircle(pencil, [-1.0, 1.0 + 1.0j])
    >>> answer.g.shape, bool(answer.converged.all())
    ((2, 4, 4), True)
    """

    pencil: Pencil
    z: Array
    g: Array
    residual: Array
    iterations: Array
    rate: Array

    @property
    def converged(self) -> Array:
        """Where the residual is below 1e-12."""
        return np.asarray(self.residual < TOLERANCE)


def covariance_map(pencil: Pencil, g: Array) -> Array:
    """eta(g) = sum_k C_k S g C_k^T + C_k^T S g C_k for g (..., B, B): what the Gaussian blocks see.

    Raises ValueError for another shape of g.

    Returns (..., B, B).  Source: chapter 7 of the book.

    >>> pencil = rf.theory.pencil(rf.RandomFeatureModel(4, 2, 0.1))
    >>> print(rf.theory.covariance_map(pencil, np.eye(4)).diagonal().round(4))
    [1.0138 0.1779 0.3004 4.    ]
    """
    into, out, weight = pencil._pairs
    blocks, g = pencil.size.size, np.asarray(g)
    if g.shape[-2:] != (blocks, blocks):
        raise refuse("shape of g", g.shape, f"(..., {blocks}, {blocks})")
    flat = np.zeros((*g.shape[:-2], blocks * blocks), dtype=np.result_type(g, float))
    flat[..., out] = g.reshape(*g.shape[:-2], -1)[..., into] @ weight.T
    return flat.reshape(g.shape)


def step(pencil: Pencil, z: Array, g: Array) -> Array:
    """One plain step (A - z e - eta(g))^-1 at points z (...,), from g (..., B, B)."""
    z = np.asarray(z)
    shifted = pencil.constant - covariance_map(pencil, g)
    shifted[..., pencil.z_block, pencil.z_block] -= z
    return np.linalg.inv(shifted)


def semicircle(pencil: Pencil, z: npt.ArrayLike, steps: int = 20_000) -> Semicircle:
    """Solve the operator-valued equation: averaged iteration, then Newton's method from close by.

    g <- (g + (A - z e - eta(g))^-1)/2 until it moves by less than 1e-3, then Newton steps, whose linear
    system is that of :func:`two_point`.  For Im z > 0 an answer is accepted only if Im g_ii >= 0, which
    only the right solution has; Im z < 0 by conjugation.  Real z < 0 is for positive matrices, left of all
    their eigenvalues, where g is real.

    Raises ValueError for z that is not finite or lies on [0, inf), RuntimeError for a point where the
    residual stays above 1e-12.

    Source: chapter 7 of the book; Helton, Rashidi Far and Speicher (2007) for the averaged iteration.

    >>> pencil = rf.theory.pencil(rf.RandomFeatureModel(4, 2, 0.1))
    >>> print(f"{rf.theory.semicircle(pencil, -1.0).g[0, 0].real:.6f}")  # q
    0.852372
    """
    z = np.asarray(z, dtype=np.complex128)
    bad = ~np.isfinite(z) | ((z.imag == 0) & (z.real >= 0))
    if not z.size:
        raise refuse("z", z.tolist(), "at least one point")
    if np.any(bad):
        raise refuse("z", complex(z[bad].flat[0]), "finite points off the half-line [0, inf)")
    points = z.ravel()
    upper = np.where(points.imag < 0, np.conj(points), points)
    answers = [_at(pencil, point, steps) for point in upper]
    g = np.array([a[0] for a in answers])
    g = np.where((points.imag < 0)[:, None, None], np.conj(g), g)
    residual, used, rate = (np.array([a[k] for a in answers]).reshape(z.shape) for k in (1, 2, 3))
    worst = int(np.argmax(residual))
    if not residual.flat[worst] < TOLERANCE:
        at, size = complex(points[worst]), residual.flat[worst]
        raise RuntimeError(f"the pencil has not converged at z = {at!r} (residual {size:.1e})")
    return Semicircle(pencil, z, g.reshape(*z.shape, *g.shape[1:]), residual, used, rate)


def two_point(first: Semicircle, second: Semicircle, source: npt.ArrayLike) -> Array:
    """Blocks (B, B) of the limit of L(z_1)^-1 J L(z_2)^-1, J = source (x) 1, at two points of one pencil.

    first, second : answers of :func:`semicircle` at one point each, z_1 and z_2;  source : (B, B)

    It solves the linear equation x = g_1 (source + eta(x)) g_2, the upper right corner of the equation
    of the pencil [[L(z_1), -J], [0, L(z_2)]] of 2B blocks; at z_1 = z_2, minus the derivative of g along A.

    Raises ValueError for answers of different pencils or at several points, and for a source between blocks
    of different size.

    Returns (B, B).  Source: chapter 7 of the book.

    >>> pencil = rf.theory.pencil(rf.RandomFeatureModel(4, 2, 0.1))
    >>> at = rf.theory.semicircle(pencil, -1.0)
    >>> print(rf.theory.two_point(at, at, np.diag([1.0, 0.0, 0.0, 0.0]))[0, 0].real.round(4))
    0.7826
    """
    source = finite_array("source", source, ndim=2)
    pencil = first.pencil
    if second.pencil is not pencil:
        raise ValueError("first and second answer different pencils, which is not allowed: one pencil")
    if first.z.ndim or second.z.ndim or source.shape != pencil.constant.shape:
        shapes = (first.z.shape, second.z.shape, source.shape)
        raise refuse("shapes of z_1, z_2, source", shapes, "(), (), (B, B)")
    _between_equals("source", source, pencil.size)
    return _respond(pencil, first.g, second.g, first.g @ source @ second.g)


def response(pencil: Pencil, first: Array, second: Array) -> Array:
    """Matrix of the linear map eta -> eta(g_1 eta g_2) on the entries that eta can reach.

    At g_1 = g_2 = g its eigenvalues are those of the derivative of one plain step.
    """
    into, out, weight = pencil._pairs
    blocks = pencil.size.size
    j, k = np.divmod(into, blocks)
    i, m = np.divmod(out, blocks)
    return np.asarray(weight @ (first[j[:, None], i] * second[m, k[:, None]]))


def _between_equals(name: str, multiples: Array, size: Array) -> None:
    """Refuse multiples of the identity in blocks that are not square."""
    i, j = np.nonzero(multiples)
    if not np.allclose(size[i], size[j], rtol=1e-12):
        raise refuse(name, multiples.tolist(), "non-zero only between blocks of one size")


def _respond(pencil: Pencil, first: Array, second: Array, x0: Array) -> Array:
    """Solve x = x0 + g_1 eta(x) g_2, in the few entries of eta."""
    into, out, weight = pencil._pairs
    matrix = np.eye(out.size) - response(pencil, first, second)
    seen = np.linalg.solve(matrix, weight @ x0.ravel()[into])
    eta = np.zeros(x0.size, dtype=seen.dtype)
    eta[out] = seen
    return np.asarray(x0 + first @ eta.reshape(x0.shape) @ second)


def _covariance_pairs(size: Array, gaussian: Array) -> tuple[Array, Array, Array]:
    """The entries (j, k) of g that eta reads, the entries (i, l) that it writes, and its matrix."""
    blocks = size.size
    places: dict[tuple[int, int], float] = {}
    for c in gaussian:
        for a in (c, c.T):  # (a S g a^T)_il = sum_jk a_ij size_j g_jk a_lk
            for i, j in zip(*np.nonzero(a), strict=True):
                for m, k in zip(*np.nonzero(a), strict=True):
                    key = (int(i * blocks + m), int(j * blocks + k))
                    places[key] = places.get(key, 0.0) + float(a[i, j] * size[j] * a[m, k])
    out = np.unique([key[0] for key in places]).astype(int)
    into = np.unique([key[1] for key in places]).astype(int)
    weight = np.zeros((out.size, into.size))
    for (row, column), value in places.items():
        weight[np.searchsorted(out, row), np.searchsorted(into, column)] = value
    return into, out, weight


def _at(pencil: Pencil, z: complex, steps: int) -> tuple[Array, float, int, float]:
    """g, residual, averaged steps and rate at one point of the closed upper half plane."""
    where = np.asarray(z)
    g = 1j * np.eye(pencil.size.size)
    goal, used, residual = 1e-3, 0, np.inf
    while used < steps:
        moved = np.inf
        while moved >= goal and used < steps:
            new = step(pencil, where, g)
            moved, g, used = _distance(new, g), (g + new) / 2, used + 1
        polished, residual = newton(pencil, where, g)
        lowest = np.diagonal(polished).imag.min() / np.abs(polished).max()
        if residual < TOLERANCE and lowest >= -TOLERANCE:
            g = polished
            break
        goal, residual = goal / 10, moved
    rate = np.abs(np.linalg.eigvals(response(pencil, g, g))).max(initial=0.0)
    return g, residual, used, float(rate)


def newton(pencil: Pencil, z: Array, g: Array) -> tuple[Array, float]:
    """At most 12 Newton steps for g = (A - z e - eta(g))^-1."""
    for _ in range(12):
        new = step(pencil, z, g)
        if _distance(new, g) < TOLERANCE / 30:
            break
        g = g + _respond(pencil, new, new, new - g)
    return g, _distance(step(pencil, z, g), g)


def _distance(new: Array, g: Array) -> float:
    return float(np.max(np.abs(new - g)) / np.max(np.abs(g)))
