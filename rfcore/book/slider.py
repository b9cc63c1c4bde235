"""Interactive figures without a kernel: a slider through frames that are computed when the page is.

The figure is one SVG, a range input and 2 kB of script; it works offline, by keyboard, in a static
page as in a notebook, and with JavaScript off it still shows one frame.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
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
    """What :func:`slider_figure` returns; notebooks show ``html``, other front ends ``text``."""

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
) -> SliderFigure:
    """A figure with one slider, moved by hand, by arrow keys or by its Play button.

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

    Raises ValueError naming the argument; also when the figure would exceed 150 kB.
    """
    steps = _steps(values, readout, label, alt, (xlabel, ylabel))
    first = whole("start", start, least=0)
    if first >= steps:
        raise refuse("start", start, f"an integer in 0..{steps - 1}")
    boxes = (svg.Axis.of("x", xlim, xscale), svg.Axis.of("y", ylim, yscale))
    if not layers:
        raise refuse("layers", layers, "at least one layer")
    packed = [_layer(k, layer, boxes, steps) for k, layer in enumerate(layers)]
    payload = {
        "v": 1,
        "q": Q,
        "size": [svg.WIDE, svg.HIGH],
        "start": first,
        "layers": [{"kind": p["kind"], "frames": p["frames"]} for p in packed],
        "names": place_names(packed, steps, Q),
        "values": [value if isinstance(value, str) else f"{value:.4g}" for value in values],
        "readout": list(readout),
    }
    head = {"label": label, "alt": alt, "xlabel": xlabel, "ylabel": ylabel}
    html = svg.render(payload, head, packed, boxes, _identity(payload, head, packed, boxes))
    if len(html.encode()) > MOST_BYTES:
        raise refuse(
            "size of the figure", len(html.encode()), f"at most {MOST_BYTES} bytes: fewer frames or points"
        )
    return SliderFigure(html, f"Interactive figure ({label}, {steps} positions): {alt}", payload)


def _steps(
    values: Sequence[Any], readout: Sequence[str], label: str, alt: str, labels: tuple[str, str]
) -> int:
    for name, text in (("label", label), ("alt", alt)):
        if not isinstance(text, str) or not text.strip():
            raise refuse(name, text, "a text that is not empty")
    for text in (label, *labels, *readout):
        if not isinstance(text, str) or "$" in text:
            raise refuse("label or readout", text, "plain text without TeX (λ, not $\\lambda$)")
    if len(values) < 2:
        raise refuse("number of values", len(values), "at least 2")
    if len(readout) != len(values):
        raise refuse("length of readout", len(readout), f"{len(values)}, that of values")
    return len(values)


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
