"""Where the marks of the opening figure stand: two panels over one axis of training time.

:func:`marks` and opening.js draw the same, mark by mark; a browser test compares them.
"""

import math
from typing import Any

from tools import opening
from tools.opening import HIGHEST, LOWEST, MOST, NODES, PER_DECADE, TAU

Attributes = dict[str, dict[str, str]]
# The two panels in SVG units: width, heights, the gap between; margins around.
WIDE, UPPER, GAP, LOWER = 450, 118, 30, 160
LEFT, TOP, RIGHT, BELOW = 56, 44, 14, 46
BASE = UPPER + GAP + LOWER
MOST_LOSS, FEWEST, MOST_DIRECTIONS = 1.6, 6.0, 10_000.0
POWERS = range(-3, 4)  # of ten, named on the upper axis
CELL = 9  # pixels from one digit to the next
PIECES = ("first", "second", "sample", "third")
GEOMETRY = {
    "wide": WIDE, "upper": UPPER, "gap": GAP, "lower": LOWER, "mostLoss": MOST_LOSS, "fewest": FEWEST,
    "mostDirections": MOST_DIRECTIONS, "lossUnit": opening.LOSS_UNIT, "most": MOST, "cell": CELL,
}  # fmt: skip


def at(place: float) -> float:
    """x of a place, log10 tau."""
    return place * WIDE / opening.DECADES


def place_of(word: int) -> float:
    """log10 tau of a stored word; nan for none, inf for never."""
    if word in (0, MOST):
        return math.nan if word == 0 else math.inf
    return LOWEST + word / MOST * (HIGHEST - LOWEST)


def height(directions: float) -> float:
    share = math.log(directions / FEWEST) / math.log(MOST_DIRECTIONS / FEWEST)
    return UPPER * (1 - max(share, -0.05))


def depth(loss: float) -> float:
    return UPPER + GAP + LOWER * (1 - loss / MOST_LOSS)


def number(value: float) -> str:
    return f"{value:.1f}"


def line(points: list[tuple[float, float]]) -> str:
    return "".join(f"{'L' if k else 'M'}{number(x)} {number(y)}" for k, (x, y) in enumerate(points))


def dots(points: list[tuple[float, float]]) -> str:
    return "".join(f"M{number(x)} {number(y)}h0" for x, y in points)


def upright(place: float, low: float, high: float) -> str:
    return f"M{number(at(place))} {number(low)}V{number(high)}" if math.isfinite(place) else ""


def marks(data: dict[str, Any], i: int, j: int, k: int) -> Attributes:
    """Attributes of every mark that moves, at n = SAMPLES[i], p = FEATURES[j], tau = TAU[k]."""
    row = opening.decoded(data["states"], opening.RECORD)[j * len(opening.SAMPLES) + i].tolist()
    test, train, rest = row[: TAU.size], row[TAU.size : 2 * TAU.size], row[2 * TAU.size :]
    times = {name: place_of(word) for name, word in zip(opening.TIMES, rest, strict=False)}
    found = _bulks(rest[len(opening.TIMES) :]) | _losses(test, train, k) | _simulated(data, i, j)
    begin, end = at(times["begin"]), at(min(times["end"], opening.DECADES))
    found["band"] = {"x": number(begin), "width": number(end - begin)}
    found["window"] = {"x": number(max(begin + 2, min((begin + end) / 2, WIDE) - 42))}
    for name in ("generalize", "memorize"):
        found[name] = {"d": upright(times[name], UPPER + GAP, BASE)}
        found[f"{name}-name"] = {"x": number(at(times[name]) if math.isfinite(times[name]) else -9999)}
    found["atom"] = {"d": upright(times["atom"], 0, UPPER)}
    found["now"] = {"d": f"M{number(at(k / PER_DECADE))} 0V{BASE}"}
    middle = at(k / PER_DECADE)
    found["learnt"] = {"x1": number(middle - at(1)), "x2": number(middle + at(2))}
    return found | ruler(opening.FEATURES[j])


def _bulks(words: list[int]) -> Attributes:
    found: Attributes = {}
    tops: dict[str, tuple[float, float]] = {}
    angle = [math.cos((m + 0.5) * math.pi / NODES) for m in range(NODES)]
    for m, name in enumerate(PIECES):
        first, last, *stored = words[m * (2 + NODES) : (m + 1) * (2 + NODES)]
        left, right = place_of(first), place_of(last)
        if math.isnan(left):
            found[f"{name}-fill"] = found[f"{name}-edge"] = {"d": ""}
            continue
        ys = [height(10 ** (5 * word / MOST)) for word in stored]
        xs = [at(left + (right - left) * (1 - c) / 2) for c in angle]
        arch = line([(at(left), UPPER), *zip(xs, ys, strict=True), (at(right), UPPER)])
        found[f"{name}-fill"], found[f"{name}-edge"] = {"d": arch + "Z"}, {"d": arch}
        tops[name] = at(left + right) / 2, min(ys)
    if "second" in tops:
        (x, y), (other_x, other_y) = tops["first"], tops["second"]
        tops["first"] = (x + other_x) / 2, min(y, other_y)
    spots = {
        name: max(half, min(tops[name][0], WIDE - half)) if name in tops else -9999.0
        for name, half in (("first", 48), ("sample", 32), ("third", 26))
    }
    if "third" in tops:  # the two names side by side
        spots["sample"] = min(spots["sample"], spots["third"] - 62)
    for name, x in spots.items():
        y = tops[name][1] if name in tops else 0
        found[f"{name}-name"] = {"x": number(x), "y": number(max(y - 5, 12))}
    return found


def _losses(test: list[int], train: list[int], k: int) -> Attributes:
    found = {}
    for name, words in (("test", test), ("train", train)):
        ys = [depth(word * opening.LOSS_UNIT) for word in words]
        found[name] = {"d": line([(at(m / PER_DECADE), y) for m, y in enumerate(ys)])}
        found[f"{name}-now"] = {
            "cx": number(at(k / PER_DECADE)),
            "cy": number(max(ys[k], UPPER + GAP - 9)),
        }
        # The name is at the last place that is in the frame: above the test loss, below the train loss.
        last = max(m for m, y in enumerate(ys) if y >= UPPER + GAP + 14)
        under = ys[last] + 17 if ys[last] + 17 < BASE - 4 else ys[last] - 8
        y = ys[last] - 8 if name == "test" else under
        x = at(last / PER_DECADE) - (4 if last == len(ys) - 1 else 8)
        found[f"{name}-name"] = {"x": number(x), "y": number(y)}
    return found


def _simulated(data: dict[str, Any], i: int, j: int) -> Attributes:
    names = ("test-dots", "train-dots", "bulk-dots")
    if j >= data["simulated"]:
        return {name: {"d": ""} for name in names}
    count = TAU[:: opening.SEEN].size
    row = opening.decoded(data["simulations"], opening.SIMULATION)[j * len(opening.SAMPLES) + i].tolist()
    found = {}
    for name, words in zip(names, (row[:count], row[count : 2 * count]), strict=False):
        spots = [
            (at(m * opening.SEEN / PER_DECADE), depth(w * opening.LOSS_UNIT)) for m, w in enumerate(words)
        ]
        found[name] = {"d": dots([spot for spot in spots if spot[1] >= UPPER + GAP])}
    width = (HIGHEST - LOWEST) / opening.BINS
    spots = [
        (at(LOWEST + (m + 0.5) * width), height(10 ** (5 * w / MOST)))
        for m, w in enumerate(row[2 * count :])
        if w
    ]
    found["bulk-dots"] = {"d": dots([spot for spot in spots if 0 <= spot[0] <= WIDE])}
    return found


def ruler(p: int) -> Attributes:
    """Powers of ten of the eigenvalue on the upper axis: 10^k is learnt at psi_p/(Delta 10^k)."""
    zero = math.log10(p / opening.D / opening.question(64, p).delta)
    found = {}
    for k in POWERS:
        x = at(zero - k)
        inside = -1e-9 <= x <= WIDE
        found[f"power{k}"] = {"x": number(x if inside else -9999)}
    ticks = [at(zero - k) for k in POWERS if -1e-9 <= at(zero - k) <= WIDE]
    return found | {"ruler": {"d": "".join(f"M{number(x)} 0v-5" for x in ticks)}}
