"""House style: theory is a line, simulation is points; one palette; labels on the curves.

Figures are drawn for a column of about 620 px and stay legible when a phone shrinks them to 340 px,
which is why there are at most two panels side by side and why the type grows with their number.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rfcore.checks import finite_array, positive, refuse, whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Told apart by readers with any colour vision, and at least 3:1 against both white and near-black
# (tests/test_book_api_check.py simulates three kinds of colour blindness).
COLORS = ["#1b61ca", "#d27c05", "#15a86f", "#bd157f", "#8b5921", "#9c8bca", "#8b0aff"]
"""The colours of the book, seven that readers with any colour vision tell apart.

>>> len(rf.book.COLORS)
7
"""


_INK = "#262626"
_TYPE = {1: 11.0, 2: 12.5}
_WIDTH = {1: 5.6, 2: 7.4}


def color_of(n: float) -> str:
    """The colour of sample size n (or ratio n/d): the same n has the same colour in every chapter.

    Octaves go round the palette: a series that doubles has seven colours in a row, and a realised
    ratio of 7.98 has the colour of 8.

    Returns a colour as text.  Raises ValueError unless n > 0.

    >>> rf.book.color_of(8) == rf.book.color_of(7.98) != rf.book.color_of(16)
    True
    """
    return COLORS[round(math.log2(positive("n", n))) % len(COLORS)]


def panels(
    columns: int = 1, rows: int = 1, ratio: float = 0.62, sharex: bool = False, sharey: bool = False
) -> "tuple[Figure, Any]":
    """A figure in house style and its axes: one Axes, or a flat list in reading order.

    ``ratio`` is height over width of each panel; ``columns`` is 1 or 2.  End the cell (or the
    function given to :func:`live`) with the figure: that is what shows it.

    Returns the figure, and its Axes or a list of them.
    Raises ValueError for more than two columns, and unless ratio > 0.

    >>> fig, (left, right) = rf.book.panels(columns=2)
    >>> left.figure is fig
    True
    """
    import matplotlib.pyplot as plt

    across, down = whole("columns", columns), whole("rows", rows)
    if across > 2:
        raise refuse("columns", columns, "1 or 2 (phones are narrow; use rows)")
    size = _WIDTH[across], _WIDTH[across] / across * positive("ratio", ratio) * down
    with plt.rc_context(_rc(_TYPE[across])):
        fig, grid = plt.subplots(
            down, across, figsize=size, sharex=sharex, sharey=sharey, squeeze=False, layout="constrained"
        )
    # A notebook shows the figure that ends a cell; left open, pyplot would show it a second time.
    plt.close(fig)
    axes = list(grid.flat)
    for ax in axes:
        # Ticks are made lazily, after the style's context has ended: tell them now.
        ax.tick_params(
            which="both", labelsize=_TYPE[across] - 1.5, color=_INK, labelcolor=_INK, direction="out"
        )
    return fig, axes[0] if len(axes) == 1 else axes


def theory(
    ax: "Axes", x: npt.ArrayLike, y: npt.ArrayLike, color: str | None = None, label: str | None = None
) -> None:
    """Draw a theory curve: a line.

    Returns nothing.  Raises what matplotlib raises for shapes that do not fit.

    >>> fig, ax = rf.book.panels()
    >>> rf.book.theory(ax, [1, 2, 3], [1.0, 0.5, 0.3], label="theory")
    """
    ax.plot(
        np.asarray(x), np.asarray(y), color=_color(ax, color), lw=1.9, label=label, solid_capstyle="round"
    )
    _legend(ax, label)


def measured(
    ax: "Axes",
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    error: npt.ArrayLike | None = None,
    color: str | None = None,
    label: str | None = None,
) -> None:
    """Draw measurements: points, with error bars of one standard error where ``error`` is given.

    Returns nothing.  Raises what matplotlib raises for shapes that do not fit.

    >>> fig, ax = rf.book.panels()
    >>> rf.book.measured(ax, [1, 2, 3], [1.0, 0.5, 0.3], error=[0.1, 0.1, 0.1], label="d = 64")
    """
    ax.errorbar(
        np.asarray(x), np.asarray(y), yerr=error, fmt="o", ms=4.6, color=_color(ax, color), label=label,
        mec="white", mew=0.5, elinewidth=1.2, capsize=2.0, zorder=3,
    )  # fmt: skip
    _legend(ax, label)


def histogram(
    ax: "Axes",
    values: npt.ArrayLike,
    bins: int,
    mass: float = 1.0,
    log: bool = False,
    color: str | None = None,
    label: str | None = None,
) -> None:
    """Draw the density of ``values`` per unit x, with total area ``mass``.

    ``log=True`` uses bins of equal width in log x (all values > 0) and a logarithmic x axis; the
    height is still a density per unit x, so that it lies on the theory curve.

    Returns nothing.  Raises ValueError for no values, values <= 0 with ``log=True``, and unless mass > 0.

    >>> fig, ax = rf.book.panels()
    >>> rf.book.histogram(ax, np.random.default_rng(0).random(100), bins=10, mass=0.5)
    >>> heights, edges, _ = ax.patches[0].get_data()
    >>> round(float((heights * np.diff(edges)).sum()), 9)
    0.5
    """
    data = finite_array("values", values).ravel()
    if data.size == 0:
        raise refuse("values", [], "at least one number")
    if log and data.min() <= 0:
        raise refuse("values", float(data.min()), "numbers > 0 when log=True")
    low, high = float(data.min()), float(data.max())
    if low == high:
        low, high = (low * 0.99, high * 1.01) if log else (low - 0.5, high + 0.5)
    space = np.geomspace if log else np.linspace
    edges = space(low, high, whole("bins", bins) + 1)
    edges[0], edges[-1] = low, high  # geomspace may miss the ends by round-off, and lose a value
    count, _ = np.histogram(data, edges)
    height = positive("mass", mass) * count / data.size / np.diff(edges)
    shade = _color(ax, color)
    ax.stairs(height, edges, fill=True, color=shade, alpha=0.28, lw=0, label=label)
    ax.stairs(height, edges, color=shade, alpha=0.7, lw=0.8)
    if log:
        ax.set_xscale("log")
    _legend(ax, label)


def name_curve(ax: "Axes", x: npt.ArrayLike, y: npt.ArrayLike, text: str, color: str) -> None:
    """Write ``text`` on a curve, in the curve's colour, just above a point of it.

    x, y : the point, or the whole curve, (N,) each, whose highest point is then taken

    Returns nothing.  Raises ValueError for x and y of different shapes.

    >>> fig, ax = rf.book.panels()
    >>> rf.book.theory(ax, [1, 2, 3], [1.0, 0.5, 0.3], color=rf.book.COLORS[0])
    >>> rf.book.name_curve(ax, 1, 1.0, "test loss", color=rf.book.COLORS[0])
    """
    from matplotlib import patheffects

    xs, ys = np.atleast_1d(np.asarray(x, dtype=float)), np.atleast_1d(np.asarray(y, dtype=float))
    if xs.shape != ys.shape or xs.ndim != 1 or not np.any(np.isfinite(ys)):
        raise ValueError(f"x, y have shapes {xs.shape}, {ys.shape}, which is not allowed: a point or a curve")
    top = int(np.nanargmax(np.where(np.isfinite(ys), ys, np.nan)))
    place = top / max(1, len(xs) - 1) if len(xs) > 1 else 0.5
    ax.annotate(
        text, (xs[top], ys[top]), xytext=(0, 5), textcoords="offset points", color=color, va="bottom",
        # At the ends of a curve the text runs inwards, so that it stays in the panel.
        ha="left" if place < 0.1 else "right" if place > 0.9 else "center",
        fontsize=_type_size(ax) - 0.5, zorder=5,
        path_effects=[patheffects.withStroke(linewidth=3, foreground="white")],
    )  # fmt: skip


def image_grid(target: Any, images: npt.ArrayLike, columns: int) -> None:
    """Show pictures as a mosaic with thin gaps, all on one scale.

    Parameters
    ----------
    target : Axes, or a Figure (its first Axes, or a new one)
    images : (K, H, W), (K, 1, H, W) or (K, 3, H, W); colour pictures in [-1, 1], grey ones in any range
    columns : pictures per row; the last row may be short

    Returns nothing.  Raises ValueError for pictures of another shape.

    >>> fig, ax = rf.book.panels()
    >>> rf.book.image_grid(ax, rf.datasets.digits().images[:6], columns=3)
    """
    stack = finite_array("images", images)
    if stack.ndim == 4 and stack.shape[1] in (1, 3):
        stack = np.moveaxis(stack, 1, 3)
    elif stack.ndim == 3:
        stack = stack[..., None]
    else:
        raise ValueError(
            f"images has shape {stack.shape}, which is not allowed: (K, H, W) or (K, 1 or 3, H, W)"
        )
    if stack.size == 0:
        raise ValueError(f"images has shape {stack.shape}, which is not allowed: at least one picture")
    mosaic = _mosaic(stack, whole("columns", columns))
    ax = target if hasattr(target, "imshow") else (target.axes or [target.add_subplot()])[0]
    if mosaic.shape[2] == 3:
        ax.imshow(np.where(np.isnan(mosaic), 1.0, np.clip((mosaic + 1) / 2, 0, 1)), interpolation="nearest")
    else:
        ax.imshow(np.ma.masked_invalid(mosaic[..., 0]), cmap="gray", interpolation="nearest")
    ax.set_axis_off()


def _mosaic(stack: npt.NDArray[np.float64], columns: int) -> npt.NDArray[np.float64]:
    """(K, H, W, C) -> one picture, gaps of one pixel marked by nan."""
    count, high, wide, depth = stack.shape
    across = min(columns, count)
    down = -(-count // across)
    mosaic = np.full((down * (high + 1) - 1, across * (wide + 1) - 1, depth), np.nan)
    for k, image in enumerate(stack):
        top, left = k // across * (high + 1), k % across * (wide + 1)
        mosaic[top : top + high, left : left + wide] = image
    return mosaic


def _color(ax: "Axes", color: str | None) -> str:
    """The given colour, or the first of the palette that this axes has not used yet."""
    if color is not None:
        return color
    used = getattr(ax, "_rf_colors", 0)
    ax._rf_colors = used + 1  # type: ignore[attr-defined]
    return COLORS[used % len(COLORS)]


def _legend(ax: "Axes", label: str | None) -> None:
    if label is not None:
        ax.legend(frameon=False, fontsize=_type_size(ax) - 1, labelcolor=_INK, handlelength=1.4)


def _type_size(ax: "Axes") -> float:
    return float(ax.xaxis.label.get_fontsize())


def _rc(size: float) -> Any:
    return {
        "figure.dpi": 110, "figure.facecolor": "white", "axes.facecolor": "white",
        "font.size": size, "font.family": "DejaVu Sans", "mathtext.fontset": "dejavusans",
        "axes.labelsize": size, "axes.titlesize": size, "axes.titlelocation": "left",
        "axes.titlecolor": _INK, "axes.labelcolor": _INK, "axes.edgecolor": _INK,
        "axes.linewidth": 0.8, "axes.grid": False,
        "axes.axisbelow": True, "axes.spines.top": False, "axes.spines.right": False,
    }  # fmt: skip
