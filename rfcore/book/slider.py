"""Interactive figures without a kernel: a slider through frames that are computed when the page is.

The figure is one SVG, a range input and 2 kB of script; it works offline, by keyboard, in a static
page as in a notebook, and with JavaScript off it still shows one frame.
"""

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore.book import svg
from rfcore.book.names import place_names
from rfcore.book.style import COLORS
from rfcore.checks import choice, refuse, whole

Q = 4095  # 12 bits per coordinate: finer than a pixel
MOST_BYTES = 150_000
_REACH = 4  # boxes beyond the frame that a coordinate may lie; the SVG clips


@dataclass(frozen=True)
class SliderFigure:
    """What :func:`slider_figure` returns; notebooks show ``html``, other front ends ``text``.

    text : for readers without pictures, and for comparing two runs: what is seen, the mean height of
        what is drawn as a share of the frame's, and the sentence of every position
    payload : the numbers that the figure draws, by name

    >>> x = np.linspace(0, 1, 20)
    >>> frames = [(x, x**k) for k in (1, 2)]
    >>> figure = rf.book.slider_figure(
    ...     [{"kind": "line", "frames": frames}], values=[1, 2], label="power", alt="A power of x.",
    ...     xlim=(0, 1), ylim=(0, 1), readout=["A straight line.", "A parabola."],
    ... )
    >>> print(figure.text)
    Interactive figure (power, 2 positions, mean height 0.421): A power of x.
    1: A straight line.
    2: A parabola.
    """

    html: str
    text: str
    payload: dict[str, Any] = field(repr=False)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self.html, "text/plain": self.text}


def slider_figure(
    layers: Sequence[dict[str, Any]],
    values: Sequence[Any],
    label: str,
    alt: str,
    xlim: tuple[float, float],
    ylim: tuple[float, float],
    readout: Sequence[str],
    start: int = 0,
    xlabel: str = "",
    ylabel: str = "",
    xscale: str = "linear",
    yscale: str = "linear",
    second: tuple[Sequence[Any], str] | None = None,
) -> SliderFigure:
    """A figure with a slider or two, moved by hand, by arrow keys or by its Play button.

    Parameters
    ----------
    layers : dicts with "kind" ("line" or "points"), "frames" (one (x, y) per slider position, or a
        single one that stays), and optionally "color" and "name" (written on the curve).  A point
        that is nan lifts the pen; values <= 0 on a logarithmic axis lie below the frame
    values, label : the slider's positions (numbers or text) and what they are values of
    alt : what is seen, for readers who do not see it
    xlim, ylim, xscale, yscale : the frame; scales "linear" or "log"
    readout : one sentence per position, shown below and read out by screen readers
    start : the position shown first
    xlabel, ylabel, label, readout, names : plain text; Greek letters as such, no TeX
    second : values and label of a second slider, which begins in the middle.  Frames and readouts
        then come in the order [(v, w) for w in second[0] for v in values]

    Raises ValueError naming the argument; also when the figure would exceed 150 kB.

    >>> x = np.linspace(0, 1, 20)
    >>> figure = rf.book.slider_figure(
    ...     [{"kind": "line", "frames": [(x, x**k) for k in (1, 2)]}], values=[1, 2], label="power",
    ...     alt="A power of x.", xlim=(0, 1), ylim=(0, 1), readout=["A line.", "A parabola."],
    ... )
    >>> len(figure.html.encode()) < 150_000
    True
    """
    controls, steps = positions(values, label, start, second)
    describe(steps, readout, alt, (xlabel, ylabel, *(control["label"] for control in controls)))
    boxes = (svg.Axis.of("x", xlim, xscale), svg.Axis.of("y", ylim, yscale))
    if not layers:
        raise refuse("layers", layers, "at least one layer")
    packed = [_layer(k, layer, boxes, steps) for k, layer in enumerate(layers)]
    payload = {
        "v": 2,
        "q": Q,
        "size": [svg.WIDE, svg.HIGH],
        "layers": [{"kind": p["kind"], "frames": p["frames"]} for p in packed],
        "names": place_names(packed, steps, Q),
        "controls": controls,
        "readout": list(readout),
    }
    head = {"alt": alt, "xlabel": xlabel, "ylabel": ylabel}
    html = svg.render(payload, head, packed, boxes, _identity(payload, head, packed, boxes))
    if len(html.encode()) > MOST_BYTES:
        raise refuse(
            "size of the figure", len(html.encode()), f"at most {MOST_BYTES} bytes: fewer frames or points"
        )
    return SliderFigure(
        html, words("Interactive figure", f"mean height {_height(packed)}", payload, alt), payload
    )


def words(kind: str, mean: str, payload: dict[str, Any], alt: str) -> str:
    """The figure as text; two runs that draw or say something else differ in it."""
    title = " and ".join(control["label"] for control in payload["controls"])
    head = f"{kind} ({title}, {len(payload['readout'])} positions, {mean}): {alt}"
    names = product(*(control["values"] for control in reversed(payload["controls"])))
    said = (f"{', '.join(reversed(at))}: {text}" for at, text in zip(names, payload["readout"], strict=True))
    return "\n".join([head, *said])


def _height(layers: Sequence[dict[str, Any]]) -> str:
    """Mean over all that is inside the frame: two runs agree in three digits, two figures hardly ever."""
    heights = [y for layer in layers for frame in layer["frames"] for y in frame[1::2] if y is not None]
    return f"{np.mean(np.clip(heights, 0, Q)) / Q if heights else math.nan:.3f}"


def positions(
    values: Sequence[Any], label: str, start: int, second: tuple[Sequence[Any], str] | None
) -> tuple[list[dict[str, Any]], int]:
    """What the page needs to know of each slider: label, values as texts, start; and how many frames."""
    first = whole("start", start, least=0)
    found = [("values", values, "label", label, first)]
    if second is not None:
        found.append(("second[0]", second[0], "second[1]", second[1], len(second[0]) // 2))
    for name, several, title, text, begin in found:
        if len(several) < 2:
            raise refuse(f"number of {name}", len(several), "at least 2")
        if begin >= len(several):
            raise refuse("start", start, f"an integer in 0..{len(several) - 1}")
        if not isinstance(text, str) or not text.strip():
            raise refuse(title, text, "a text that is not empty")
    controls = [
        {
            "label": text,
            "values": [v if isinstance(v, str) else f"{v:.4g}" for v in several],
            "start": begin,
        }
        for _, several, _, text, begin in found
    ]
    return controls, math.prod(len(several) for _, several, *_ in found)


def describe(steps: int, readout: Sequence[str], alt: str, labels: tuple[str, ...]) -> None:
    """Refuse a figure that is not described in words, position by position."""
    if not isinstance(alt, str) or not alt.strip():
        raise refuse("alt", alt, "a text that is not empty")
    for text in (*labels, *readout):
        if not isinstance(text, str) or "$" in text:
            raise refuse("label or readout", text, "plain text without TeX (λ, not $\\lambda$)")
    if len(readout) != steps:
        raise refuse("length of readout", len(readout), f"{steps}, the number of positions")


def _layer(k: int, layer: dict[str, Any], boxes: "tuple[svg.Axis, svg.Axis]", steps: int) -> dict[str, Any]:
    unknown = set(layer) - {"kind", "frames", "color", "name"}
    if unknown:
        raise refuse(f"layers[{k}] keys", sorted(unknown), "kind, frames, color, name")
    kind = choice(f"layers[{k}] kind", layer.get("kind"), ("line", "points"))
    color = layer.get("color") or COLORS[k % len(COLORS)]
    if not isinstance(color, str) or not re.fullmatch(r"#[0-9a-fA-F]{3,8}|[a-zA-Z]+", color):
        raise refuse(f"layers[{k}] color", color, "a colour such as '#0072b2' or 'black'")
    name = layer.get("name", "") or ""
    if not isinstance(name, str) or "$" in name:
        raise refuse(f"layers[{k}] name", name, "plain text without TeX")
    frames = layer.get("frames", ())
    if len(frames) not in (1, steps):
        raise refuse(f"number of frames of layers[{k}]", len(frames), f"1 or {steps}")
    packed = [_quantise(f"layers[{k}] frame {j}", frame, boxes, kind) for j, frame in enumerate(frames)]
    return {"kind": kind, "color": color, "name": name, "frames": packed}


def _quantise(name: str, frame: Any, boxes: "tuple[svg.Axis, svg.Axis]", kind: str) -> list[int | None]:
    """(x, y) -> [x0, y0, x1, y1, ...] with 0..Q inside the frame and None, None where the pen lifts."""
    if len(frame) != 2:
        raise refuse(f"{name} length", len(frame), "2: (x, y)")
    x, y = (np.atleast_1d(np.asarray(part, dtype=np.float64)) for part in frame)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"{name} has shapes {x.shape} and {y.shape}, which is not allowed: two (N,) arrays")
    pair = np.stack([_grid(x, boxes[0]), _grid(y, boxes[1])], axis=1)
    if kind == "points":  # a point outside is not shown; a line must run on to the frame's border
        pair = pair[np.all((pair >= 0) & (pair <= Q), axis=1)]
    flat: list[int | None] = []
    for px, py in pair:
        flat += [None, None] if np.isnan(px) or np.isnan(py) else [int(px), int(py)]
    return flat


def _grid(values: npt.NDArray[np.float64], axis: "svg.Axis") -> npt.NDArray[np.float64]:
    share = axis.share(values)
    return np.asarray(np.clip(np.round(share * Q), -_REACH * Q, (_REACH + 1) * Q))


def _identity(*parts: Any) -> str:
    """The same figure has the same id in every run; other figures on the page have others."""
    text = json.dumps(parts, sort_keys=True, default=repr)
    return "rf" + hashlib.sha256(text.encode()).hexdigest()[:12]
