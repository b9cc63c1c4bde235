"""How a spectrum is shown: as a table, in the terminal, as a picture."""

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rfcore._cli.report import number, share, table
from rfcore._cli.sketch import Curve, sketch
from rfcore._cli.spectra import Bulk, Spectrum

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]
MOST_ROWS = 9  # a row for each bulk, unless there are more: then one for each kind
BINS_PER_E = 5  # of a histogram, per factor e
HEAD = ["eigenvalues", "share", "per d", "learnt by tau"]


def rows(spectrum: Spectrum, eigenvalues: Floats | None) -> str:
    """A row for each bulk, the one that is learnt first on top; then the atom.

    Of a simulation as many eigenvalues are counted off as theory says, and the first and the last are shown.
    """
    found: list[list[str]] = []
    start, many = 0.0, spectrum.per_dimension
    if spectrum.atom is not None:
        place, start = spectrum.atom
        row = [*_row((place, place), start, many), "never", *_measured(eigenvalues, 0.0, start)]
        found.append([*row, "no data"])
    for group in _groups(spectrum):
        edges, mass = (group[0].left, group[-1].right), math.fsum(b.mass for b in group)
        row = [*_row(edges, mass, many), number(max(b.time for b in group))]
        row += _measured(eigenvalues, start, start + mass)
        found.insert(0, [*row, _kind(spectrum, group)])
        start += mass
    head = [*HEAD, *([] if eigenvalues is None else ["measured"]), "what they hold"]
    return table(head, found)


def sketched(spectrum: Spectrum, eigenvalues: Floats | None) -> str:
    """The density per factor e, in the terminal."""
    x, height = _per_factor(spectrum)
    curves = [Curve(x, height)]
    if eigenvalues is not None:
        place, count, _ = _histogram(spectrum, eigenvalues)
        curves.append(Curve(place, count, circles=True))
    return sketch(curves, "eigenvalues per factor e, divided by d", 0, 1.05 * height.max(), "eigenvalue")


def picture(spectrum: Spectrum, eigenvalues: Floats | None, sizes: str) -> "Figure":
    """The same in house style."""
    from rfcore import book

    fig, ax = book.panels()
    book.theory(ax, *_per_factor(spectrum), label="theory" if sizes else None)
    if eigenvalues is not None:
        place, height, error = _histogram(spectrum, eigenvalues)
        book.measured(ax, place, height, error, label=sizes)
    ax.set(xscale="log", xlabel="eigenvalue", ylabel="per factor e, divided by d")
    ax.set_ylim(bottom=0)
    return fig


def _row(edges: tuple[float, float], mass: float, per_dimension: float) -> list[str]:
    return [_interval(*edges), share(mass), number(mass * per_dimension)]


def _interval(left: float, right: float) -> str:
    return number(left) if left == right else f"{number(left)} to {number(right)}"


def _measured(eigenvalues: Floats | None, low: float, high: float) -> list[str]:
    """The range of the eigenvalues between two shares."""
    if eigenvalues is None:
        return []
    ordered = np.sort(eigenvalues, axis=None)
    some = ordered[round(low * ordered.size) : round(high * ordered.size)]
    return [_interval(float(some[0]), float(some[-1])) if some.size else "none"]


def _groups(spectrum: Spectrum) -> list[tuple[Bulk, ...]]:
    """What shares a row."""
    bulks, cut = spectrum.bulks, spectrum.memorising
    if len(bulks) <= MOST_ROWS:
        return [(bulk,) for bulk in bulks]
    return [group for group in (bulks[: cut or 0], bulks[cut or 0 :]) if group]


def _kind(spectrum: Spectrum, group: tuple[Bulk, ...]) -> str:
    pieces = "" if len(group) == 1 else f" ({len(group)} bulks)"
    if spectrum.memorising is None:
        return f"data{pieces}"
    above = any(bulk is group[0] for bulk in spectrum.bulks[spectrum.memorising :])
    return f"{'what all data share' if above else 'single samples'}{pieces}"


def _per_factor(spectrum: Spectrum) -> tuple[Floats, Floats]:
    """Density in log x, with the edges, where it is 0 (but for a hard one)."""
    x, height = [], []
    for bulk in spectrum.bulks:
        inner = bulk.x * bulk.density * spectrum.per_dimension
        x += [max(bulk.left, bulk.x[0] * 0.999), *bulk.x, bulk.right]
        height += [0.0 if bulk.left > 0 else float(inner[0]), *inner, 0.0]
    return np.array(x), np.array(height)


def _histogram(spectrum: Spectrum, eigenvalues: Floats) -> tuple[Floats, Floats, Floats | None]:
    """Centres, heights and standard errors of the bins that are not empty."""
    inside = eigenvalues[eigenvalues > 0.9 * spectrum.bulks[0].x[0]]
    low, high = math.log(inside.min()) - 1e-9, math.log(inside.max()) + 1e-9
    edges = np.linspace(low, high, math.ceil((high - low) * BINS_PER_E) + 1)
    count = np.stack([np.histogram(np.log(draw[draw > 0]), edges)[0] for draw in eigenvalues])
    height = count * spectrum.per_dimension / eigenvalues.shape[1] / (edges[1] - edges[0])
    some = count.any(axis=0)
    centre = np.exp((edges[1:] + edges[:-1]) / 2)[some]
    error = None
    if len(eigenvalues) > 1:
        error = height.std(axis=0, ddof=1)[some] / math.sqrt(len(eigenvalues))
    return centre, height.mean(axis=0)[some], error
