"""The rule of agreement, |mean - theory - C/d| <= 3 standard errors with one fitted C per quantity.

For each quantity the deviations delta_d = mean - theory at the dimensions d, with standard errors sigma_d,
are fitted by sum_k C_k/d^k in least squares; what is left, in units of sigma_d, are its *pulls*.
"""

import dataclasses
import math
import re
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from tools.validation_store import Row, Table

Array = npt.NDArray[np.float64]
Columns = npt.NDArray[np.intp]


@dataclasses.dataclass(frozen=True)
class Fit:
    """Per quantity (Q,): the constants and their standard errors (K, Q), chi-square, pulls (D, Q).

    freedom : number of dimensions minus number of constants
    judged (Q,): False for a quantity that does not exist here (nan), and where simulation and theory agree to
    their numerical error at every d (a train loss that is exactly zero, say): it is exact, without pulls.
    """

    dimensions: tuple[int, ...]
    constants: Array
    errors: Array
    chi2: Array
    pulls: Array
    freedom: int
    judged: npt.NDArray[np.bool_]


def families(table: Table) -> dict[str, dict[int, Row]]:
    """The rows of a table by setting (their key without the dimension) and dimension, ascending."""
    found: dict[str, dict[int, Row]] = {}
    for key, row in table.rows.items():
        name, d = re.fullmatch(r"(.*) d=(\d+)", key).groups()  # type: ignore[union-attr]
        found.setdefault(name, {})[int(d)] = row
    return {name: dict(sorted(rows.items())) for name, rows in found.items()}


def fit(rows: dict[int, Row], powers: Sequence[float] = (1.0,)) -> Fit:
    """Fit sum_k C_k/d^powers[k] to the deviations of one setting, quantity by quantity; () fits nothing."""
    delta, sigma = deviations(rows)
    numerical = np.array([row.numerical for row in rows.values()])
    x = np.array(list(rows), dtype=float)[:, None] ** -np.array(powers, dtype=float)  # (D, K)
    finite = np.isfinite(delta).all(axis=0) & np.isfinite(sigma).all(axis=0)
    delta, sigma = np.where(finite, delta, 0.0), np.where(finite, sigma, 1.0)
    design = x[None] / sigma.T[:, :, None]  # (Q, D, K)
    normal = design.transpose(0, 2, 1) @ design
    target = (design.transpose(0, 2, 1) @ (delta / sigma).T[:, :, None])[..., 0]
    constants = np.linalg.solve(normal, target[..., None])[..., 0].T
    errors = np.sqrt(np.diagonal(np.linalg.inv(normal), axis1=1, axis2=2)).T
    pulls = (delta - x @ constants) / sigma
    seen = np.any((np.abs(delta) > 3 * numerical) | (sigma > 3 * numerical), axis=0)
    freedom = len(rows) - len(powers)
    return Fit(tuple(rows), constants, errors, np.sum(pulls**2, axis=0), pulls, freedom, finite & seen)


def deviations(rows: dict[int, Row]) -> tuple[Array, Array]:
    """mean - theory and its standard error, numerical error included, (D, Q) each."""
    delta = np.array([row.mean - row.theory for row in rows.values()])
    return delta, np.array([np.hypot(row.error, row.numerical) for row in rows.values()])


def select(f: Fit, columns: Columns) -> Fit:
    """The same fit for some of its quantities."""
    part = {
        name: getattr(f, name)[..., columns] for name in ("constants", "errors", "chi2", "pulls", "judged")
    }
    return dataclasses.replace(f, **part)


def inside(fits: Iterable[Fit], limit: float) -> float:
    """The fraction of all judged quantities at all d whose pull is at most ``limit``."""
    pulls = np.concatenate([f.pulls[:, f.judged].ravel() for f in fits])
    return float(np.mean(np.abs(pulls) <= limit)) if pulls.size else math.nan


def chi_square(fits: Iterable[Fit]) -> float:
    """Mean of chi-square per degree of freedom over the judged quantities."""
    values = np.concatenate([f.chi2[f.judged] / f.freedom for f in fits])
    return float(np.mean(values)) if values.size else math.nan


def null(samples: dict[int, int], powers: Sequence[float] = (1.0,)) -> tuple[float, float, float]:
    """What perfect agreement gives: the fractions inside 2 and 3, and chi-square per degree of freedom.

    Gaussian draws of spread 1/d around exactly C/d, with standard errors estimated from as many samples as
    the simulation took (few seeds: Student's law), and the same fit.  Measured fractions are to be
    compared with these.
    """
    rng, repeats = np.random.default_rng(0), 5_000
    zero, rows = np.zeros(repeats), {}
    for d, count in samples.items():
        draws = rng.standard_normal((count, repeats)) / d
        error = draws.std(axis=0, ddof=1) / math.sqrt(count)
        rows[d] = Row("", count, draws.mean(axis=0), error, draws[0], zero, zero)
    perfect = [fit(rows, powers)]
    return inside(perfect, 2), inside(perfect, 3), chi_square(perfect)


def exponents(rows: dict[int, Row], column: int) -> list[tuple[float, float]]:
    """The power alpha of C/d^alpha between each d and the next, with its standard error, for one quantity.

    nan where one of the two deviations is not significant (5 standard errors), or their signs differ.
    """
    delta, sigma = (values[:, column] for values in deviations(rows))
    found, d = [], list(rows)
    for k in range(len(d) - 1):
        ratio, relative = delta[k] / delta[k + 1], sigma[k : k + 2] / np.abs(delta[k : k + 2])
        if ratio <= 0 or np.any(relative > 0.2):
            found.append((math.nan, math.nan))
            continue
        step = math.log(d[k + 1] / d[k])
        found.append((math.log(ratio) / step, float(np.hypot(*relative)) / step))
    return found


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
