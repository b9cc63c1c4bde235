"""How losses are shown: as a table, in the terminal, as a picture."""

import math
from typing import TYPE_CHECKING

import numpy as np

from rfcore._cli.curves import PER_DECADE, Found
from rfcore._cli.report import clock, loss, number, table
from rfcore._cli.sketch import Curve, sketch
from rfcore.answers import LossCurves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GREY = "#767676"
TOP = 1.5  # pictures end here: a test loss may reach any height
POINTS = 4  # of a simulation, per decade


def rows(found: Found, measured: LossCurves | None) -> str:
    """The losses at every decade, and at the end of training."""
    head = ["tau", "train", "test", "score error"]
    curves, at = found.curves, range(0, found.tau.size, PER_DECADE)
    lines = [[f"{found.tau[k]:.3g}", *(loss(c[k]) for c in (curves.train, curves.test))] for k in at]
    for line, k in zip(lines, at, strict=True):
        line.append(number(float(curves.score_error[k])))
    last = ["infinity", loss(found.end.train), loss(found.end.test), number(found.end.score_error)]
    if measured is not None:
        head += ["measured train", "test"]
        for line, k in zip(lines, at, strict=True):
            line += [loss(measured.train[k]), loss(measured.test[k])]
        last += ["", ""]
    return table(head, [*lines, last])


def stop(found: Found) -> str:
    """When to stop, and the other times of training."""
    words = f"lowest test loss, {loss(found.lowest_test)}; the exact score has {loss(found.exact)}"
    return clock(found.times, found.stop, words)


def sketched(found: Found, measured: LossCurves | None) -> str:
    """Train and test loss in the terminal."""
    curves = [Curve(found.tau, getattr(found.curves, name), name) for name in ("train", "test")]
    if measured is not None:
        some = slice(None, None, PER_DECADE // POINTS)
        curves += [Curve(found.tau[some], getattr(measured, c.name)[some], circles=True) for c in curves]
    return sketch(curves, "loss", *_heights(found), "training time tau")


def picture(found: Found, measured: LossCurves | None, sizes: str) -> "Figure":
    """The same in house style, with the window and the loss that nothing can beat."""
    from rfcore import book

    fig, ax = book.panels()
    low, high = _heights(found)
    if found.times is not None:
        begin, end = np.clip(found.times.window, found.tau[0], found.tau[-1])
        ax.axvspan(begin, end, color=book.COLORS[2], alpha=0.12, lw=0)
        middle = math.sqrt(begin * end) if end > begin else math.nan
        book.name_curve(ax, middle, low + 0.03 * (high - low), "stop here", book.COLORS[2])
    ax.axhline(found.exact, color=GREY, lw=1, ls=(0, (4, 3)))
    book.name_curve(ax, found.tau[-1] / 4, found.exact, "exact score", GREY)
    some = slice(None, None, PER_DECADE // POINTS)
    for color, name in zip(book.COLORS, ("train", "test"), strict=False):
        y = getattr(found.curves, name)
        book.theory(ax, found.tau, y, color=color)
        seen = np.flatnonzero(y < 0.93 * high)[-1]
        book.name_curve(ax, found.tau[seen] / 3, y[seen], name, color)
        if measured is not None:
            errors = measured.standard_error
            error = None if errors is None else getattr(errors, name)[some]
            book.measured(ax, found.tau[some], getattr(measured, name)[some], error, color=color)
    if sizes:
        ax.set_title(
            f"lines: theory; points: {sizes}", loc="left", fontsize=10, color=ax.yaxis.label.get_color()
        )
    ax.set(xscale="log", xlabel="training time $\\tau$", ylabel="loss")
    ax.set(xlim=(found.tau[0], found.tau[-1]), ylim=(low, high))
    return fig


def _heights(found: Found) -> tuple[float, float]:
    """Room for both losses, but for a test loss that leaves all bounds."""
    both = np.array([found.curves.train, found.curves.test])
    return 0.9 * min(float(both.min()), found.exact), min(TOP, 1.05 * float(both.max()))
