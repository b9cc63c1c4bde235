"""The opening figure as a page fragment: one state drawn, the others as data, and the script for them."""

import html
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from tools import opening, opening_marks
from tools.opening import TAU
from tools.opening_marks import (
    BASE,
    BELOW,
    CELL,
    GAP,
    GEOMETRY,
    LEFT,
    LOWER,
    RIGHT,
    TOP,
    UPPER,
    WIDE,
    Attributes,
    at,
    depth,
    height,
    marks,
    number,
)
from tools.opening_words import numbers, said, short, shown

HERE = Path(__file__).resolve().parent
TABLE = (160, 640, 2560), (256, 1024, 4096)  # n and p
_SUPER = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
ALT = (
    "Two panels over one axis of training time from 1 to 30,000. Above, the number of directions of the "
    "network that are learnt at each time: a green bulk on the left, the population bulk, and one or two "
    "magenta bulks on the right, the sample bulk and the third bulk. With more samples the magenta bulks "
    "move to the right, and the green one stays. Below, train and test loss: both fall to about 0.82 while "
    "the green bulk is learnt. While the magenta ones are learnt the train loss falls on and the test loss "
    "rises. A shaded window shows when to stop; it widens with the number of samples."
)
STRIP_ALT = (
    "Three rows of ten small digits: made by network B, made by network A from the same noise, and the "
    "training digits of A nearest to those of A."
)


def page(data: dict[str, Any]) -> str:
    """The fragment.  It shows the first state where scripts are off."""
    i, j, k = data["start"]
    when, verdict, text = said(data, i, j, k)
    look, words = shown(data, i, k)
    looks = sum(len(run["steps"]) for run in data["runs"])
    parts = {
        "CSS": _text("opening.css"),
        "JS": _text("opening.js"),
        "BOX": f"{-LEFT} {-TOP} {LEFT + WIDE + RIGHT} {TOP + BASE + BELOW}",
        "ALT": html.escape(ALT),
        "AXES": _axes(),
        "POWERS": _powers(),
        "STOPS": _stops(),
        "WIDE": str(WIDE), "UPPER": str(UPPER), "LOWER": str(LOWER), "FLOOR": str(UPPER + GAP),
        "BASE": str(BASE), "BETWEEN": str(UPPER + 21), "LOW": str(BASE - 9),
        "WHEN": when, "VERDICT": verdict, "SAID": text, "SHOWN": words,
        "CONTROLS": _controls(i, j, k),
        "STRIPALT": html.escape(STRIP_ALT),
        "STRIPBOX": f"0 0 {opening.NOISES * CELL - 1} {3 * CELL - 1}",
        "STRIPWIDE": str(opening.NOISES * CELL - 1), "STRIPHIGH": str(3 * CELL * looks),
        "SHEET": data["sheet"],
        "TABLE": _table(data),
        # The pictures are in the page once, in the image.
        "DATA": json.dumps({**data, "sheet": "", **GEOMETRY}, separators=(",", ":")),
    }  # fmt: skip
    found = {**marks(data, i, j, k), "sheet": {"y": str(-3 * CELL * look)}}
    text = re.sub(r"@([A-Z]+)@", lambda part: parts[part[1]], _text("opening.html"))
    return _drawn(text, found)


def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8").strip()


def _axes() -> str:
    """What never moves: frames, ticks, the loss of the exact score."""
    frames = f"M0 0H{WIDE}M0 0V{UPPER}H{WIDE}M0 {UPPER + GAP}V{BASE}H{WIDE}"
    out = [f'<path class="rf-axis" d="{frames}"/>']
    for k in range(5):
        x = number(at(k))
        out.append(f'<path class="rf-axis" d="M{x} {BASE}v5M{x} {UPPER}v4"/>')
        out.append(f'<text class="rf-middle" x="{x}" y="{BASE + 20}">{power(k)}</text>')
    ticks = [(height(10.0**k), power(k)) for k in (1, 2, 3)]
    ticks += [(depth(loss), f"{loss:g}") for loss in (0, 0.5, 1, 1.5)]
    for y, text in ticks:
        out.append(f'<path class="rf-axis" d="M0 {number(y)}h-5"/>')
        out.append(f'<text class="rf-end" x="-8" y="{number(y + 4.5)}">{text}</text>')
    best = depth(math.exp(-2 * opening.T))
    out.append(f'<path class="rf-upright rf-quiet" d="M0 {number(best)}H{WIDE}"/>')
    out.append(f'<text class="rf-name rf-quiet" x="5" y="{number(best + 15)}">optimum</text>')
    out.append(f'<text class="rf-middle" x="{WIDE / 2}" y="{BASE + 40}">training time τ</text>')
    title = "eigenvalue λ of U: its direction is learnt at τ = ψₚ/(Δλ)"
    out.append(f'<text x="{-LEFT + 4}" y="-26">{title}</text>')
    for y, text in ((UPPER / 2, "directions"), (UPPER + GAP + LOWER / 2, "loss")):
        turned = f"translate({-LEFT + 14} {y}) rotate(-90)"
        out.append(f'<text class="rf-middle" transform="{turned}">{text}</text>')
    return "".join(out)


def power(k: int) -> str:
    """10^k in letters."""
    return f"{10.0**k:g}" if -2 <= k <= 2 else "10" + str(k).translate(_SUPER)


def _powers() -> str:
    """The numbers of the upper axis, which move with p."""
    return "".join(
        f'<text class="rf-middle" data-m="power{k}" y="-9">{power(k)}</text>' for k in opening_marks.POWERS
    )


def _stops() -> str:
    """How much of a direction is learnt at tau, by the place of its time on tau/10 .. 100 tau."""
    return "".join(
        f'<stop offset="{(u + 1) / 3:.3f}" stop-color="#fff" stop-opacity="{1 - math.exp(-2 * 10**-u):.3f}"/>'
        for u in np.arange(-1, 2.01, 0.25)
    )


def _drawn(text: str, found: Attributes) -> str:
    """The fragment with the marks in their places."""

    def put(mark: re.Match[str]) -> str:
        return " ".join([mark[0], *(f'{key}="{value}"' for key, value in found[mark[1]].items())])

    return re.sub(r'data-m="([\w-]+)"', put, text)


def _controls(i: int, j: int, k: int) -> str:
    """Three sliders; the Play button belongs to time."""
    several = (
        ("n", "samples n", len(opening.SAMPLES), i, f"{opening.SAMPLES[i]:,}"),
        ("p", "features p", len(opening.FEATURES), j, f"{opening.FEATURES[j]:,}"),
        ("tau", "time τ", TAU.size, k, short(TAU[k])),
    )
    return "".join(
        f'<div class="rf-control"><label for="rf-opening-{key}">{text} = '
        f'<span class="rf-value">{value}</span></label>'
        f'<span class="rf-row"><input id="rf-opening-{key}" type="range" min="0" max="{count - 1}" '
        f'step="1" value="{start}" aria-valuetext="{value}"'
        + (' list="rf-opening-runs">' if key == "n" else ">")
        + ('<button type="button" aria-pressed="false">Play</button>' if key == "tau" else "")
        + "</span></div>"
        + (_ticks() if key == "n" else "")
        for key, text, count, start, value in several
    )


def _ticks() -> str:
    """Marks on the slider of n where networks were run."""
    runs = "".join(f'<option value="{opening.SAMPLES.index(n)}"></option>' for n in opening.RUNS)
    return f'<datalist id="rf-opening-runs">{runs}</datalist>'


def _table(data: dict[str, Any]) -> str:
    """Window and final losses in numbers, for those who do not see or do not move the figure."""
    head = "".join(f'<th scope="col">p = {p:,}</th>' for p in TABLE[1])
    body = ""
    for n in TABLE[0]:
        cells = ""
        for p in TABLE[1]:
            test, train, times = numbers(data, opening.SAMPLES.index(n), opening.FEATURES.index(p))
            end = short(times["end"]) if math.isfinite(times["end"]) else "∞"
            cells += f"<td>{short(times['begin'])} to {end}; {test[-1]:.2f}, {train[-1]:.2f}</td>"
        body += f'<tr><th scope="row">n = {n:,}</th>{cells}</tr>'
    return f'<table class="table"><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>'
