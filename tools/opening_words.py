"""What the opening figure says of the state that it shows; opening.js says the same."""

import math
from typing import Any

from tools import opening
from tools.opening import TAU
from tools.opening_marks import place_of


def said(data: dict[str, Any], i: int, j: int, k: int) -> tuple[str, str, str]:
    """The state in words: when it is (a class of the page), the verdict, and a sentence."""
    n, p, tau = opening.SAMPLES[i], opening.FEATURES[j], TAU[k]
    test, train, times = numbers(data, i, j)
    begin, end = times["begin"], times["end"]
    if tau < begin:
        when, verdict, where = "early", "Too early.", f"the window opens at {short(begin)}"
    elif tau > end:
        when, verdict, where = "late", "Too late.", f"the window closed at {short(end)}"
    elif math.isinf(end):
        when, verdict = "good", "Stop whenever you like."
        where = f"the window opened at {short(begin)} and never closes"
    else:
        when, verdict, where = "good", "Stop here.", f"in the window from {short(begin)} to {short(end)}"
    text = (
        f" n\u202f=\u202f{n:,}, p\u202f=\u202f{p:,}, τ\u202f=\u202f{short(tau)}: {where}. "
        f"Test loss {test[k]:.2f}, train loss {train[k]:.2f}; the best possible is {data['perfect']:.2f}."
    )
    return when, verdict, text


def numbers(data: dict[str, Any], i: int, j: int) -> tuple[Any, Any, dict[str, float]]:
    """Test loss, train loss and times of a stored state."""
    row = opening.decoded(data["states"], opening.RECORD)[j * len(opening.SAMPLES) + i]
    test, train = (row[: 2 * TAU.size] * opening.LOSS_UNIT).reshape(2, -1)
    words = row[2 * TAU.size :].tolist()
    return test, train, {name: 10 ** place_of(word) for name, word in zip(opening.TIMES, words, strict=False)}


def short(value: float) -> str:
    """Two significant digits, thousands apart."""
    return f"{float(f'{value:.1e}'):,.{1 if value < 9.95 else 0}f}"


def shown(data: dict[str, Any], i: int, k: int) -> tuple[int, str]:
    """Which look of the stored networks stands beside the state, counted over all runs, and what it is."""
    n, tau = opening.SAMPLES[i], TAU[k]
    which = min(range(len(data["runs"])), key=lambda m: _apart(n, data["runs"][m]["n"]))
    run = data["runs"][which]
    look = sum(step <= data["rate"] * tau for step in run["steps"]) - 1
    near = "" if run["n"] == n else f" (the nearest to {n:,} that was run)"
    last = ", the last," if look == len(run["steps"]) - 1 else ""
    text = (
        f"A and B learnt from {run['n']} digits each{near}, none in common; each column starts from one "
        f"noise. After {run['steps'][look]:,} steps{last} {100 * run['copies'][look]:.0f}\u202f% of A’s "
        f"pictures are copies; A and B agree to {run['alike'][look]:.2f} (1: the same)."
    )
    return which * len(run["steps"]) + look, text


def _apart(n: int, other: int) -> float:
    return max(n / other, other / n)
