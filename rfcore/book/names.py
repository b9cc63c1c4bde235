"""Where the names of a slider figure's curves stand: on the curve, off other ink, steady between frames."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore.book.svg import HIGH, WIDE

Ink = npt.NDArray[np.float64]
Box = tuple[float, float, float, float]


def place_names(layers: Sequence[dict[str, Any]], steps: int, q: int) -> list[list[list[int]] | None]:
    """Per layer the [x, y] of its name in each frame, on the grid 0..q; None for a layer without a name."""
    curves = [[_ink(frame, layer["kind"], q) for frame in layer["frames"]] for layer in layers]
    places: list[list[list[int]] | None] = [[] if layer["name"] else None for layer in layers]
    held = [0.5] * len(layers)
    for j in range(steps):
        ink = [frames[min(j, len(frames) - 1)] for frames in curves]
        taken: list[Box] = []
        for k, layer in enumerate(layers):
            spots = places[k]
            if spots is None:
                continue
            spot, held[k] = _best(layer["name"], ink[k], np.concatenate(ink), taken, held[k], q)
            taken.append(_box(spot, layer["name"], q))
            spots.append([round(spot[0]), round(spot[1])])
    return places


def _ink(flat: list[int | None], kind: str, q: int) -> Ink:
    """What is seen of a frame: its points in the box, a line's at equal steps along it."""
    points = np.array([np.nan if v is None else v for v in flat], dtype=np.float64).reshape(-1, 2)
    if kind == "line" and len(points) > 1:
        long = np.nan_to_num(np.abs(np.diff(points, axis=0)).max(axis=1))
        count = np.clip(np.ceil(long / q * 80), 1, 320).astype(int)
        share = np.concatenate([np.arange(m) / m for m in count])
        first = np.repeat(np.arange(len(count)), count)
        points = points[first] + share[:, None] * (points[first + 1] - points[first])
    return np.asarray(points[np.all((points >= 0) & (points <= q), axis=1)])


def _best(
    name: str,
    own: npt.NDArray[np.float64],
    every: npt.NDArray[np.float64],
    taken: list[Box],
    held: float,
    q: int,
) -> tuple[tuple[float, float], float]:
    """The place along a curve with the least ink under the name; staying put is worth a little."""
    if len(own) == 0:
        return (-4.0 * q, -4.0 * q), held  # the curve is out of sight, and so is its name
    wide = _half(name, q) + 0.02 * q
    around = [(0.0, 0.028 * q), (wide, -0.015 * q), (-wide, -0.015 * q), (0.0, -0.075 * q)]
    best, least = ((0.0, 0.0), held), np.inf
    for share in np.linspace(0, 1, 15):
        x, y = own[round(share * (len(own) - 1))]
        for extra, (dx, dy) in enumerate(around):
            spot = _inside((x + dx, y + dy), name, q)
            cost = _crowd(_box(spot, name, q), every, taken) + 3 * abs(share - held) + 0.4 * extra
            if cost < least:
                best, least = (spot, float(share)), cost
    return best


def _crowd(box: Box, every: Ink, taken: list[Box]) -> float:
    left, low, right, high = box
    x, y = every.T
    under = np.count_nonzero((x > left) & (x < right) & (y > low) & (y < high))
    over = sum(left < t[2] and t[0] < right and low < t[3] and t[1] < high for t in taken)
    return float(under + 50 * over)


def _inside(spot: tuple[float, float], name: str, q: int) -> tuple[float, float]:
    """The same spot, moved so that the whole name is in the frame."""
    left, low, right, high = _box(spot, name, q)
    dx = max(0.0, -left) - max(0.0, right - q)
    dy = max(0.0, -low) - max(0.0, high - q)
    return spot[0] + dx, spot[1] + dy


def _box(spot: tuple[float, float], name: str, q: int) -> Box:
    """(left, low, right, high) of a name centred at x on the baseline y."""
    half, up = _half(name, q), 12 / HIGH * q
    return spot[0] - half, spot[1] - up / 4, spot[0] + half, spot[1] + up


def _half(name: str, q: int) -> float:
    """Half the width of a name: at most 9.4 SVG units per letter of the bold face."""
    return 4.7 * len(name) / WIDE * q
