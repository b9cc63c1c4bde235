"""The law of the scale of a sample: elliptical data x = sqrt(tau) Sigma^1/2 z with one extra scalar law."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rfcore.checks import finite_array, positive, refuse, whole
from rfcore.covariance import Covariance

Array = npt.NDArray[np.float64]
NEGLIGIBLE = 1e-13  # share of mass and mean left out of a continuous law


@dataclass(frozen=True, eq=False)
class ScaleLaw:
    """Law of the squared scale tau of a sample: atoms tau_k with weights w_k and mean one.

    Elliptical data are x = sqrt(tau) Sigma^(1/2) z, z standard Gaussian and tau independent of z.  The mean
    E tau = 1 makes Sigma the covariance; |x|^2/d is tau sigma_x^2 at d = infinity.

    Parameters
    ----------
    values : (K,) array, each > 0, mean one under the weights (to 1e-9; then normalised)
    weights : (K,) array, each > 0, sum 1 (to 1e-9; then normalised); equal weights if left out

    Two laws are equal when all their numbers are; a law can be a dictionary key.  ``error`` is 0 unless the
    law came from :meth:`student` or :meth:`compressed`.

    Raises ValueError naming the parameter, its value and what is allowed.

    >>> law = rf.ScaleLaw([0.1, 1.9])
    >>> round(law.variance, 9)
    0.81
    >>> model = rf.RandomFeatureModel(psi_p=32, psi_n=8, t=0.01, scale=law)
    >>> [round(bulk.mass * 32, 6) for bulk in rf.theory.support(model).bulks]
    [1.0, 3.0, 1.0, 3.0, 1.0]
    """

    values: Array
    weights: Array = None  # type: ignore[assignment]
    error: float = 0.0

    def __post_init__(self) -> None:
        tau = finite_array("values", self.values, ndim=1).copy()
        if tau.size == 0:
            raise refuse("values", [], "at least one scale")
        if tau.min() <= 0:
            raise refuse("values", float(tau.min()), "numbers > 0")
        weights = np.full(tau.size, 1 / tau.size) if self.weights is None else self.weights
        w = finite_array("weights", weights, ndim=1).copy()
        if w.shape != tau.shape:
            raise ValueError(
                f"weights has shape {w.shape}, which is not allowed: {tau.shape}, that of values"
            )
        if w.min() <= 0:
            raise refuse("weights", float(w.min()), "numbers > 0")
        if abs(w.sum() - 1) > 1e-9:
            raise refuse("sum of weights", float(w.sum()), "1")
        w /= w.sum()
        if abs(w @ tau - 1) > 1e-9:
            raise refuse("mean of values", float(w @ tau), "1: put the mean into the covariance")
        tau /= w @ tau
        tau.flags.writeable = w.flags.writeable = False
        object.__setattr__(self, "values", tau)
        object.__setattr__(self, "weights", w)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, ScaleLaw)
            and np.array_equal(self.values, other.values)
            and np.array_equal(self.weights, other.weights)
        )

    def __hash__(self) -> int:
        return hash((self.values.tobytes(), self.weights.tobytes()))

    @classmethod
    def student(cls, nu: float, atoms: int = 40) -> "ScaleLaw":
        """The multivariate t law with nu > 2 degrees of freedom, tau = (nu - 2)/chi^2_nu, in ``atoms`` atoms.

        x then has a density falling as |x|^-(nu + d), and moments of order below nu.  With y = 1/(1 + tau)
        the atoms are the Gaussian quadrature of the law weighted by 1 + tau: exact for (1 + tau) times any
        polynomial in y of degree below 2 atoms, mass and mean among them.  ``error`` is the change of
        E[tau/(tau + w)], at its largest over w > 0, from the rule with half as many atoms.
        """
        nu = positive("nu", nu)
        if nu <= 2:
            raise refuse("nu", nu, "a number > 2, so that the variance is finite")
        count = whole("atoms", atoms)
        # The trapezoid rule in log chi^2 converges exponentially; it ends where mass and mean do.
        low = 2 * math.log(NEGLIGIBLE) / (nu - 2)
        y = np.arange(max(low, -600.0), math.log(nu + 80 + 12 * math.sqrt(nu)), 0.02)
        log_density = nu / 2 * y - np.exp(y) / 2
        mass = np.exp(log_density - log_density.max())
        tau = (nu - 2) * np.exp(-y)
        kept = mass * (1 + tau) > NEGLIGIBLE * 1e-3 * float(mass @ (1 + tau))
        tau, mass = tau[kept], mass[kept] / mass[kept].sum()
        fine, coarse = (_reduced(tau, mass, min(k, tau.size)) for k in (count, max(1, count // 2)))
        w = np.geomspace(fine[0].min() / 1e3, fine[0].max() * 1e3, 400)[:, None]
        change = (fine[0] / (w + fine[0])) @ fine[1] - (coarse[0] / (w + coarse[0])) @ coarse[1]
        return cls(fine[0], fine[1], float(np.max(np.abs(change))))

    @classmethod
    def from_data(cls, x: npt.ArrayLike) -> "ScaleLaw":
        """tau = |x|^2/mean |x|^2 of the rows of x (n, d), mean removed before; equal weights, ascending.

        Raises ValueError for fewer than two rows, and for a row that equals the mean.
        """
        data = finite_array("x", x, ndim=2)
        if len(data) < 2:
            raise refuse("number of samples in x", len(data), "at least 2")
        squares = np.sort(np.sum((data - data.mean(axis=0)) ** 2, axis=1))
        return cls(squares / squares.mean()) if squares[0] > 0 else cls(squares)

    @property
    def variance(self) -> float:
        """Var tau."""
        return float(self.weights @ (self.values - 1) ** 2)

    def draw(self, n: int, generator: np.random.Generator) -> Array:
        """n independent draws, (n,)."""
        return np.asarray(self.values[self.draw_atoms(n, generator)])

    def draw_atoms(self, n: int, generator: np.random.Generator) -> npt.NDArray[np.int64]:
        """The atoms of n independent draws, (n,)."""
        return np.asarray(generator.choice(self.values.size, size=whole("n", n), p=self.weights))

    def compressed(self, atoms: int) -> "ScaleLaw":
        """A law with at most ``atoms`` atoms, the same mean, and a stated ``error``.

        Neighbours are merged at their common mean, in groups of equal share of weight and of log tau;
        ``error`` is the largest change of E[tau/(tau + w)] over w > 0.
        """

        law = Covariance(self.values, self.weights).compressed(atoms)
        return ScaleLaw(law.eigenvalues, law.weights, self.error + law.error)


def _reduced(tau: Array, mass: Array, count: int) -> tuple[Array, Array]:
    """Scales and weights of ``count`` atoms for the discrete law (tau, mass), ascending, of mean one."""
    weighted = mass * (1 + tau)
    nodes, shares = _gauss(1 / (1 + tau), weighted / weighted.sum(), count)
    values, shares = 1 / nodes[::-1] - 1, (nodes * shares)[::-1]
    shares = shares / shares.sum()
    return values / float(shares @ values), shares


def _gauss(x: Array, w: Array, count: int) -> tuple[Array, Array]:
    """Nodes and weights of the Gaussian quadrature of the discrete measure (x, w), by Lanczos."""
    basis = np.zeros((count, x.size))
    basis[0] = np.sqrt(w)
    diagonal, off = np.zeros(count), np.zeros(max(count - 1, 0))
    for k in range(count):
        v = x * basis[k]
        diagonal[k] = basis[k] @ v
        for _ in range(2):  # orthogonalised twice: to round-off
            v -= basis[: k + 1].T @ (basis[: k + 1] @ v)
        if k + 1 < count:
            off[k] = np.linalg.norm(v)
            basis[k + 1] = v / off[k]
    nodes, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(off, 1) + np.diag(off, -1))
    return nodes, vectors[0] ** 2
