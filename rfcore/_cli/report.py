"""Tables and progress."""

import math
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rfcore.theory import Timescales


def number(value: float, digits: int = 4) -> str:
    """Four digits; a dash for what has no value."""
    if not math.isfinite(value):
        return "-" if math.isnan(value) else "infinity"
    return f"{value:.{digits}g}"


def share(value: float) -> str:
    """A percentage."""
    return f"{value:.2%}" if value > 5e-5 else f"{100 * value:.2g}%"


def loss(value: float) -> str:
    """Four decimals, and two digits of what is smaller."""
    if not math.isfinite(value):
        return number(value)
    return f"{value:.1e}" if 0 < value < 5e-4 else f"{value:.4f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns set flush right, but for words and intervals."""
    words = [" to " in cell or cell[:1].isalpha() and cell not in ("infinity", "never") for cell in rows[0]]
    width = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.ljust(w) if words[k] else cell.rjust(w)
            for k, (cell, w) in enumerate(zip(row, width, strict=True))
        ]
        return ("  " + "  ".join(cells)).rstrip()

    return "\n".join(line(row) for row in [head, *rows])


def clock(times: "Timescales | None", stop: float, words: str = "lowest test loss") -> str:
    """The times of training, a line each; of a linear denoiser the best alone."""
    lines = [] if times is None else [
        _moment("generalises", times.generalize, "when the slowest direction that all data share is learnt"),
        _moment("memorises", times.memorize, "when the directions of single samples are, on average"),
    ]  # fmt: skip
    lines.append(_moment("best stop", stop, words))
    if times is not None:
        begin, end = times.window
        span = f"{number(begin)} to {number(end)}"
        lines.append(f"  {'window':12} tau = {span}: nine tenths of the improvement")
        lines += [f"  ({part.partition(':')[0]})" for part in times.reason.split("; ") if part]
    return "\n".join(lines)


def _moment(name: str, tau: float, words: str) -> str:
    return f"  {name:12} tau = {number(tau):10} {words}"


def progress(words: str) -> None:
    """Tell a person, on stderr, what takes time."""
    if os.environ.get("RFCORE_QUIET") != "1":
        print(words, file=sys.stderr, flush=True)
