"""Where the names of a slider figure's curves stand: on the curve, off other ink, steady between frames."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore.book.svg import HIGH, WIDE

Ink = list[npt.NDArray[np.float64]]
Box = tuple[float, float, float, float]


def place_names(layers: Sequence[dict[str, Any]], steps: int, q: int) -> list[list[list[int]] | None]:
    """Per layer the [x, y] of its name in each frame, on the grid 0..q; None for a layer without a name."""
    curves = [[_points(frame) for frame in layer["frames"]] for layer in layers]
    places: list[list[list[int]] | None] = [[] if layer["name"] else None for layer in layers]
    held = [0.5] * len(layers)
    for j in range(steps):
        ink = [frames[min(j, len(frames) - 1)] for frames in curves]
        taken: list[Box] = []
        for k, layer in enumerate(layers):
            spots = places[k]
            if spots is None:
                continue
            spot, held[k] = _best(layer["name"], k, ink, taken, held[k], q)
            taken.append(_box(spot, layer["name"], q))
            spots.append([round(spot[0]), round(spot[1])])
    return places


def _points(flat: list[int | None]) -> npt.NDArray[np.float64]:
    return np.array([v for v in flat if v is not None], dtype=np.float64).reshape(-1, 2)


def _best(
    name: str, k: int, ink: Ink, taken: list[Box], held: float, q: int
) -> tuple[tuple[float, float], float]:
    """The place along curve k with the least ink under the name; staying put is worth a little."""
    own = ink[k][np.all((ink[k] >= 0) & (ink[k] <= q), axis=1)]
    if len(own) == 0:
        return (-4.0 * q, -4.0 * q), held  # the curve is out of sight, and so is its name
    every = np.concatenate(ink)
    best, least = ((0.0, 0.0), held), math.inf
    for share in np.linspace(0, 1, 13):
        x, y = own[round(share * (len(own) - 1))]
        for below in (False, True):
            spot = _inside((x, y + (-0.075 if below else 0.028) * q), name, q)
            cost = _crowd(_box(spot, name, q), every, taken, len(own))
            cost += 0.6 * abs(share - held) + 0.2 * below
            if cost < least:
                best, least = (spot, float(share)), cost
    return best


def _crowd(box: Box, every: npt.NDArray[np.float64], taken: list[Box], scale: int) -> float:
    left, low, right, high = box
    x, y = every.T
    under = np.count_nonzero((x > left) & (x < right) & (y > low) & (y < high))
    over = sum(left < t[2] and t[0] < right and low < t[3] and t[1] < high for t in taken)
    return 4 * under / scale + 50 * over


def _inside(spot: tuple[float, float], name: str, q: int) -> tuple[float, float]:
    """The same spot, moved so that the whole name is in the frame."""
    left, low, right, high = _box(spot, name, q)
    dx = max(0.0, -left) - max(0.0, right - q)
    dy = max(0.0, -low) - max(0.0, high - q)
    return spot[0] + dx, spot[1] + dy


def _box(spot: tuple[float, float], name: str, q: int) -> Box:
    """(left, low, right, high) of a name centred at x on the baseline y."""
    half, up = 3.9 * len(name) / WIDE * q, 12 / HIGH * q
    return spot[0] - half, spot[1] - up / 4, spot[0] + half, spot[1] + up
