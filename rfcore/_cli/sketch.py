"""A picture in the terminal: curves in braille dots, two by four to a letter, measurements as circles."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
BLANK = 0x2800
WIDE, HIGH = 64, 13  # letters


@dataclass(frozen=True)
class Curve:
    """Points (x, y) joined by a line, or circles; the name stands at the end of the line."""

    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    name: str = ""
    circles: bool = False


def wanted(asked: bool | None) -> bool:
    """Whether to draw: as asked, else for a person, and only where the letters exist."""
    try:
        chr(BLANK).encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return sys.stdout.isatty() if asked is None else asked


def sketch(curves: Sequence[Curve], title: str, bottom: float, top: float, xlabel: str) -> str:
    """Curves over log10 x between ``bottom`` and ``top``; what is higher is cut off."""
    xs = np.concatenate([np.log10(c.x) for c in curves if not c.circles])
    low, high = float(xs.min()), float(xs.max())
    letters = np.full((HIGH, WIDE), BLANK)
    ends = [""] * HIGH
    for curve in sorted(curves, key=lambda c: c.circles):  # circles lie on top
        across = (np.log10(curve.x) - low) / (high - low) * (2 * WIDE - 1)
        up = (curve.y - bottom) / (top - bottom) * (4 * HIGH - 1)
        if not curve.circles:
            across, up = _joined(across, up)
        i, j = np.rint(across).astype(int), 4 * HIGH - 1 - np.rint(up).astype(int)
        inside = (i >= 0) & (i < 2 * WIDE) & (j >= 0) & (j < 4 * HIGH)
        i, j = i[inside], j[inside]
        if curve.circles:
            letters[j // 4, i // 2] = ord("o")
            continue
        np.bitwise_or.at(letters, (j // 4, i // 2), DOTS[j % 4, i % 2])
        if curve.name and i.size:
            ends[j[-1] // 4] += f" {curve.name}"
    scale = [f"{top:.3g}", *[""] * (HIGH - 2), f"{bottom:.3g}"]
    lines = [
        f"{mark:>6} \u2502{_text(row)}{end}" for mark, row, end in zip(scale, letters, ends, strict=True)
    ]
    return "\n".join([f"  {title}", *(line.rstrip() for line in lines), *_axis(low, high, xlabel)])


def _text(row: npt.NDArray[np.int64]) -> str:
    return "".join(" " if letter == BLANK else chr(letter) for letter in row)


def _joined(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], ...]:
    """So many points on the line through the given ones that no dot is left out."""
    steps = np.maximum(np.abs(np.diff(x)), np.minimum(np.abs(np.diff(y)), 4 * HIGH))
    at = np.concatenate([[0.0], np.cumsum(steps)])
    dense = np.linspace(0, at[-1], 2 * int(at[-1]) + 2)
    return np.interp(dense, at, x), np.interp(dense, at, y)


def _axis(low: float, high: float, label: str) -> tuple[str, str]:
    """The line below, with a mark at each decade, and the numbers under some of the marks."""
    rule, numbers = ["\u2500"] * WIDE, [" "] * (WIDE + 12)
    decades = range(int(np.ceil(low - 1e-9)), int(np.floor(high + 1e-9)) + 1)
    every = max(1, -(-len(decades) * 7 // WIDE))
    for decade in decades:
        at = round((decade - low) / (high - low) * (2 * WIDE - 1)) // 2
        rule[at] = "\u253c"
        if decade % every == 0:
            text = f"1e{decade}"
            numbers[at : at + len(text)] = text
    under = "".join(numbers).rstrip()
    return f"       \u2514{''.join(rule)}", f"        {under}  {label}"
