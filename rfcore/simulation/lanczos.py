r"""The spectrum of U from products with vectors: stochastic Lanczos quadrature.

Lanczos' recursion from a unit vector v gives a tridiagonal matrix T (k, k) whose eigenvalues theta_j
(the Ritz values) and squared first components w_j of its eigenvectors are the Gauss quadrature rule
of the measure that v sees:

    v^T f(U) v = sum_j w_j f(theta_j)     exactly for polynomials f of degree < 2k

The mean over random vectors of independent signs, |v|^2 = p, is unbiased for (1/p) tr f(U).

Source: Golub and Meurant (2010); Ubaru, Chen and Saad (2017).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rfcore.checks import Array, finite_array, positive, refuse, whole
from rfcore.model import RandomFeatureModel
from rfcore.progress import progress
from rfcore.simulation.products import product
from rfcore.simulation.setting import Tensor, setting

Values = npt.NDArray[Any]
Rule = tuple[Array, Array]


@dataclass(frozen=True)
class TraceEstimate:
    """A mean over probe vectors.

    value : the mean
    standard_error : of ``value``, from the spread between the probes; nan for a single probe
    resolution : change of ``value`` when the last eighth of the Lanczos steps is left out

    >>> measured = rf.simulation.spectrum(rf.RandomFeatureModel(4, 2, 0.1), d=32, seed=0, steps=32)
    >>> q = measured.resolvent(-1.0)
    >>> print(f"{q.value.real:.2f}", q.standard_error < 0.1, q.resolution < 1e-6)
    0.87 True True
    """

    value: Values
    standard_error: Array
    resolution: Array


@dataclass(frozen=True)
class Spectrum:
    """The spectrum of U as one Gauss rule for each probe vector.

    diagonal, off_diagonal : (probes, steps), (probes, steps - 1) the tridiagonal matrices
    floor, floor_mass : a fraction of the eigenvalues that is known from the rank to lie at ``floor``; the
        rules describe all the others
    p : number of eigenvalues of U
    error : largest deviation of the Lanczos vectors from orthonormality

    >>> measured = rf.simulation.spectrum(rf.RandomFeatureModel(4, 2, 0.1), d=32, seed=0, steps=32)
    >>> measured.diagonal.shape, measured.p
    ((8, 32), 128)
    """

    diagonal: Array
    off_diagonal: Array
    floor: float
    floor_mass: float
    p: int
    error: float

    @cached_property
    def rule(self) -> Rule:
        """Ritz values, ascending, and their weights, (probes, steps) each; each row of weights sums to 1."""
        return _gauss(self.diagonal, self.off_diagonal)

    @cached_property
    def _coarse(self) -> Rule:
        steps = self.diagonal.shape[1]
        fewer = max(1, steps - max(1, steps // 8))
        return _gauss(self.diagonal[:, :fewer], self.off_diagonal[:, : fewer - 1])

    def integral(self, function: Callable[[Array], npt.ArrayLike]) -> TraceEstimate:
        """(1/p) tr f(U) for a function f that maps (probes, steps) elementwise to (..., probes, steps)."""
        at_floor = np.asarray(function(np.full((1, 1), self.floor)))[..., 0, 0]
        fine, coarse = (
            self.floor_mass * at_floor[..., None]
            + (1 - self.floor_mass) * np.sum(np.asarray(function(x)) * w, axis=-1)
            for x, w in (self.rule, self._coarse)
        )
        value, probes = fine.mean(axis=-1), fine.shape[-1]
        square = np.sum(np.abs(fine - value[..., None]) ** 2, axis=-1)
        error = np.sqrt(square / (probes - 1) / probes) if probes > 1 else np.full(value.shape, np.nan)
        return TraceEstimate(value, error, np.abs(value - coarse.mean(axis=-1)))

    def resolvent(self, z: npt.ArrayLike) -> TraceEstimate:
        """q(z) = (1/p) tr (U - z)^-1 at complex z of any shape; Im q/pi is the density smoothed by Im z."""
        points = np.asarray(z, dtype=np.complex128)[..., None, None]
        return self.integral(lambda x: 1 / (x - points))

    def below(self, x: npt.ArrayLike) -> TraceEstimate:
        """The fraction of eigenvalues below x (any shape).

        Within a bulk each probe's rule is a staircase, at most one step away from its measure (the
        separation theorem of Chebyshev, Markov and Stieltjes); in a gap it converges exponentially.
        """
        points = finite_array("x", x)[..., None, None]
        return self.integral(lambda theta: theta < points)

    def masses(self, cuts: npt.ArrayLike) -> TraceEstimate:
        """The fractions of eigenvalues between consecutive ``cuts`` (K,), K + 1 of them with both ends open.

        With cuts in the gaps of :func:`rfcore.theory.support` they are the masses of its bulks.
        Raises ValueError unless the cuts ascend.
        """
        inner = finite_array("cuts", cuts, ndim=1)
        if np.any(np.diff(inner) <= 0):
            raise refuse("cuts", inner.tolist(), "ascending numbers")
        edges = np.concatenate([[-np.inf], inner, [np.inf]])[:, None, None]
        return self.integral(lambda theta: (edges[:-1] <= theta) & (theta < edges[1:]))


def spectrum(
    model: RandomFeatureModel,
    d: int,
    seed: int,
    features: str = "nonlinear",
    device: str = "cpu",
    x: npt.ArrayLike | None = None,
    probes: int = 8,
    steps: int = 80,
    memory: float = 4e9,
) -> Spectrum:
    """The spectrum of U (without ridge) at sizes where its eigenvalues are out of reach.

    The same draw as :func:`rfcore.simulation.eigenvalues`.  No (p, p) matrix is formed but for the true
    network at m = infinity.  A step costs two products of the features with ``probes`` vectors; the Lanczos
    vectors take 8 min(p, N) probes steps bytes, N = n m or, for the twin at m = infinity, n + d.

    features : "gaussian", the Gaussian twin, or "nonlinear", the true network
    x : training points (n, d) in place of Gaussian data
    probes, steps : number of random vectors, and of Lanczos steps from each; steps <= min(p, N)
    memory : features up to so many bytes are kept between the steps, larger ones made again

    Raises ValueError for sizes that do not fit, also into the memory where U must be formed.

    Source: chapter 8 of the book; the method is that of Golub and Welsch (1969) and Girard (1987).

    >>> model = rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1)
    >>> measured = rf.simulation.spectrum(model, d=32, seed=0, steps=32)
    >>> gaps = [(left * right) ** 0.5 for left, right in rf.theory.support(model).gaps]
    >>> print(measured.masses(gaps).value.round(1))
    [0.8 0.2]
    """
    probes, steps, memory = whole("probes", probes), whole("steps", steps), positive("memory", memory)
    s = setting(model, d, seed, features, device, x)
    matrix, p = product(s, memory), len(s.M)
    if steps > matrix.size:
        raise refuse("steps", steps, f"at most min(p, N) = {matrix.size}")
    # The fifth stream of the seed: the first four are those of the first layer, data and noises.
    generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(4,)))
    signs = generator.integers(0, 2, (probes, matrix.size)) * 2.0 - 1
    diagonal, off, error = lanczos(matrix.apply, torch.as_tensor(signs, device=s.M.device), steps)
    return Spectrum(diagonal + matrix.shift, off, matrix.shift, 1 - matrix.size / p, p, error)


def lanczos(apply: Callable[[Tensor], Tensor], start: Tensor, steps: int) -> tuple[Array, Array, float]:
    """``steps`` steps of Lanczos' recursion for the symmetric map ``apply`` of rows, from each row of start.

    Every new vector is made orthogonal to all earlier ones, twice: otherwise copies of eigenvalues that have
    converged come back, here after a few steps, because the bulks differ by decades.  A run whose vectors
    span an invariant space ends: its matrix continues with zeros, which have weight 0.

    Returns the diagonals (k, steps), the off-diagonals (k, steps - 1), and the largest deviation of the
    vectors from orthonormality.
    """
    probes, size = start.shape
    basis = start.new_zeros((probes, steps, size))
    basis[:, 0] = start / torch.linalg.vector_norm(start, dim=1, keepdim=True)
    diagonal, off = start.new_zeros((probes, steps)), start.new_zeros((probes, steps))
    for k in progress(range(steps), "Lanczos steps"):
        w = apply(basis[:, k])
        diagonal[:, k] = (basis[:, k] * w).sum(dim=1)
        known = basis[:, : k + 1]
        for _ in range(2):
            w = w - torch.bmm(torch.bmm(w[:, None], known.mT), known)[:, 0]
        length = torch.linalg.vector_norm(w, dim=1)
        largest = (diagonal[:, : k + 1].abs() + off[:, : k + 1]).amax(dim=1)
        off[:, k] = torch.where(length > 2e-16 * size**0.5 * largest, length, 0)
        if k + 1 < steps:
            basis[:, k + 1] = w / torch.where(off[:, k] > 0, off[:, k], torch.inf)[:, None]
    gram = torch.bmm(basis, basis.mT)
    alive = (torch.diagonal(gram, dim1=1, dim2=2) > 0.5).to(gram.dtype)
    error = float((gram - torch.diag_embed(alive)).abs().max())
    return diagonal.cpu().numpy(), off[:, :-1].cpu().numpy(), error


def _gauss(diagonal: Array, off: Array) -> Rule:
    """Nodes and weights, (probes, steps), of the Gauss rules of a stack of tridiagonal matrices."""
    steps = diagonal.shape[1]
    k, matrices = np.arange(steps), np.zeros((*diagonal.shape, steps))
    matrices[:, k, k] = diagonal
    matrices[:, k[1:], k[:-1]] = matrices[:, k[:-1], k[1:]] = off
    nodes, vectors = np.linalg.eigh(matrices)
    return nodes, vectors[:, 0] ** 2
