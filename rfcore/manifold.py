"""Data on a manifold of dimension D in d dimensions: one layer of random features, flat or curved."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rfcore.checks import nonnegative, positive, refuse, whole
from rfcore.covariance import Covariance

Array = npt.NDArray[np.float64]
DEGREES = (2, 3)


@dataclass(frozen=True)
class CurvedManifold:
    """x = sqrt(1 - c) u + sqrt(c) h_k(u) entrywise, u = F z, z standard Gaussian in D dimensions.

    F (d, D) has independent random rows of length one and h_k is the orthonormal Hermite polynomial, so that
    every coordinate has variance one.  c = 0 is a linear subspace; c is the share of the variance that is
    curved.  Its covariance is Sigma = (1 - c) F F^T + c (F F^T)^(k), the power taken entrywise.

    Parameters: fraction = D/d > 0; curvature c, 0 <= c < 1; degree k, 2 or 3.
    Raises ValueError naming the parameter, its value and what is allowed.
    Source: hidden manifold model, Goldt et al. (2020), with a random first layer as generator.

    >>> world = rf.CurvedManifold(fraction=0.1, curvature=0.2)
    >>> int(np.linalg.matrix_rank(world.sample(d=50, n=200, seed=0))), 5 + 5 * 6 // 2
    (20, 20)
    >>> round(world.law().variance, 9)
    1.0
    """

    fraction: float
    curvature: float = 0.0
    degree: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "fraction", positive("fraction", self.fraction))
        object.__setattr__(self, "curvature", nonnegative("curvature", self.curvature))
        if self.curvature >= 1:
            raise refuse("curvature", self.curvature, "a number in [0, 1)")
        if self.degree not in DEGREES:
            raise refuse("degree", self.degree, "2 or 3")

    def law(self, atoms: int = 64) -> Covariance:
        """Law of the eigenvalues of Sigma by Gaussian equivalence: (1 - c) times that of F F^T, plus c.

        F F^T has the Marchenko-Pastur law on (1 -+ (D/d)^(-1/2))^2, of mass min(1, D/d), and zeros;
        ``atoms`` Gauss-Chebyshev nodes (second kind) of it.  Holds for d = infinity at fixed D/d; curved
        directions are as many as d only while D^k/k! is far above d.
        """
        count, root = whole("atoms", atoms), 1 / math.sqrt(self.fraction)
        left, right = (1 - root) ** 2, (1 + root) ** 2
        theta = (np.arange(count) + 0.5) * np.pi / count
        lam = (left + right) / 2 + (right - left) / 2 * np.cos(theta)
        w = np.sin(theta) ** 2 / lam
        w *= min(1.0, self.fraction) / w.sum()
        if self.fraction < 1:
            lam, w = np.append(lam, 0.0), np.append(w, 1 - self.fraction)
        lam = (1 - self.curvature) * lam / float(w @ lam) + self.curvature
        return Covariance(lam[::-1].copy(), w[::-1].copy())

    def matrix(self, d: int, seed: int) -> Array:
        """Sigma (d, d) of one embedding F."""
        gram = self._embedding(d, seed)
        gram = gram @ gram.T
        return np.asarray((1 - self.curvature) * gram + self.curvature * gram**self.degree)

    def sample(self, d: int, n: int, seed: int, split: int = 0) -> Array:
        """n points (n, d) on the manifold of the embedding ``seed``; other splits are independent points."""
        stream = np.random.SeedSequence([whole("seed", seed, least=0), 1, whole("split", split, least=0)])
        embedding = self._embedding(d, seed)
        z = np.random.default_rng(stream).standard_normal((whole("n", n), embedding.shape[1]))
        u = z @ embedding.T
        bent = (u**2 - 1) / math.sqrt(2) if self.degree == 2 else (u**3 - 3 * u) / math.sqrt(6)
        return np.asarray(math.sqrt(1 - self.curvature) * u + math.sqrt(self.curvature) * bent)

    def _embedding(self, d: int, seed: int) -> Array:
        rank = round(self.fraction * whole("d", d))
        if rank < 1:
            raise refuse("fraction", self.fraction, f"at least {0.5 / d:.3g} at d = {d}, so that D >= 1")
        stream = np.random.SeedSequence([whole("seed", seed, least=0), 0])
        f = np.random.default_rng(stream).standard_normal((d, rank))
        return np.asarray(f / np.linalg.norm(f, axis=1, keepdims=True))
