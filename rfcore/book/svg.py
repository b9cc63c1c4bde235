"""The drawing of a slider figure: axes and ticks, curves, and the page fragment around them."""

import html
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore.checks import choice, positive, refuse

# The plot area in SVG units, and the margins around it.  At phone width (340 px) 14 units are 9 px.
WIDE, HIGH = 452, 268
LEFT, TOP, RIGHT, BELOW = 52, 26, 16, 46
_SUPER = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Axis:
    """One axis: limits low < high, linear or logarithmic."""

    low: float
    high: float
    log: bool

    @classmethod
    def of(cls, name: str, limits: Any, scale: str) -> "Axis":
        log = choice(f"{name}scale", scale, ("linear", "log")) == "log"
        if len(limits) != 2 or not all(math.isfinite(v) for v in limits) or not limits[0] < limits[1]:
            raise refuse(f"{name}lim", limits, "two finite numbers, low < high")
        if log:
            positive(f"{name}lim[0]", limits[0])
        return cls(float(limits[0]), float(limits[1]), log)

    def share(self, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """0 at ``low``, 1 at ``high``; -inf where a logarithm does not exist."""
        v = np.asarray(values, dtype=np.float64)
        if not self.log:
            return np.asarray((v - self.low) / (self.high - self.low))
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.where(v > 0, np.log(v), np.where(np.isnan(v), np.nan, -np.inf))
        return np.asarray((logs - math.log(self.low)) / math.log(self.high / self.low))

    def ticks(self) -> list[tuple[float, str]]:
        """(share, text) of at most seven ticks."""
        if self.log and self.high / self.low > 12:
            named = [(10.0**k, _power(k)) for k in self._decades()]
        else:
            named = self._round_numbers()
        return [(float(self.share(value)), text) for value, text in named]

    def _decades(self) -> range:
        first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        return range(first, last + 1, 1 + (last - first) // 6)

    def _round_numbers(self) -> list[tuple[float, str]]:
        raw = (self.high - self.low) / 5
        unit = 10.0 ** math.floor(math.log10(raw))
        step = unit * next(m for m in (1, 2, 2.5, 5, 10) if m * unit >= raw * (1 - 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        digits = max(6, 2 + math.ceil(math.log10(max(abs(self.low), abs(self.high)) / step)))
        return [(k * step, f"{k * step:.{digits}g}".replace("-", "−")) for k in range(first, last + 1)]


def _power(exponent: int) -> str:
    return f"{10.0**exponent:g}" if -2 <= exponent <= 2 else "10" + str(exponent).translate(_SUPER)


def path(flat: Sequence[int | None], kind: str, q: int) -> str:
    """The SVG path of one frame; the page's script does the same for the others."""
    out, pen, end = [], False, "h0" if kind == "points" else ""
    for px, py in zip(flat[::2], flat[1::2], strict=True):
        if px is None or py is None:
            pen = False
            continue
        out.append(f"{'L' if pen else 'M'}{_at(px, py, q)}{end}")
        pen = kind == "line"
    return "".join(out)


def render(
    payload: dict[str, Any],
    head: dict[str, str],
    layers: Sequence[dict[str, Any]],
    axes: tuple[Axis, Axis],
    key: str,
) -> str:
    """The page fragment: the SVG with the first frame drawn, controls, data, script.

    The controls are hidden until the script has started, so nobody meets a dead slider.
    """
    start, q = first_shown(payload["controls"]), payload["q"]
    parts = {
        "KEY": key,
        "BOX": f"{-LEFT} {-TOP} {LEFT + WIDE + RIGHT} {TOP + HIGH + BELOW}",
        "WIDE": str(WIDE),
        "HIGH": str(HIGH),
        "ALT": html.escape(head["alt"]),
        "START": str(payload["controls"][0]["start"]),
        "READOUT": html.escape(payload["readout"][start]),
        "AXES": _axes(axes, html.escape(head["xlabel"]), html.escape(head["ylabel"])),
        "INK": "".join(_curve(layer, start, q) for layer in layers),
        "NAMES": "".join(
            _name(layer, spots[start], q)
            for layer, spots in zip(layers, payload["names"], strict=True)
            if spots is not None
        ),
        **machinery(payload, key),
    }
    return fill(_PAGE, parts)


def machinery(payload: dict[str, Any], key: str) -> dict[str, str]:
    """The parts that every figure with sliders has: style, controls, data, script."""
    return {
        "CSS": _resource("slider.css"),
        "CONTROLS": _controls(payload["controls"], key),
        # "<" must not close the script element early, whatever a readout says.
        "DATA": json.dumps(payload, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c"),
        "JS": _resource("slider.js").replace("@KEY@", key),
    }


def fill(page: str, parts: dict[str, str]) -> str:
    """Put the parts in; one pass, so that a text of the author that looks like a mark is left alone."""
    return re.sub(r"@([A-Z]+)@", lambda mark: parts[mark[1]], page)


def first_shown(controls: Sequence[dict[str, Any]]) -> int:
    """Number of the frame at the sliders' first positions; the first slider runs fastest."""
    return int(controls[0]["start"] + sum(len(controls[0]["values"]) * c["start"] for c in controls[1:]))


def _controls(several: Sequence[dict[str, Any]], key: str) -> str:
    """One labelled range input per slider, and the Play button of the first."""
    out = []
    for k, control in enumerate(several):
        start, name = control["start"], f"{key}-{k}"
        value = html.escape(control["values"][start])
        out.append(
            f'<div class="rf-control"><label for="{name}">{html.escape(control["label"])} = '
            f'<span class="rf-value">{value}</span></label>'
            f'<input id="{name}" type="range" min="0" max="{len(control["values"]) - 1}" step="1" '
            f'value="{start}" aria-valuetext="{value}">'
            + ('<button type="button" aria-pressed="false">Play</button>' if k == 0 else "")
            + "</div>"
        )
    return "".join(out)


def _resource(name: str) -> str:
    return (files("rfcore.book") / name).read_text(encoding="utf-8").strip()


_PAGE = """<div class="rf-slider" id="@KEY@" data-frame="@START@">
<style>@CSS@</style>
<svg viewBox="@BOX@" role="img" aria-label="@ALT@">
<defs><clipPath id="@KEY@-c"><rect width="@WIDE@" height="@HIGH@"/></clipPath></defs>
<g class="rf-axes">@AXES@</g>
<g class="rf-ink" clip-path="url(#@KEY@-c)">@INK@</g>
<g class="rf-names">@NAMES@</g>
</svg>
<div class="rf-controls" hidden>@CONTROLS@</div>
<output class="rf-readout" for="@KEY@-0" aria-live="polite">@READOUT@</output>
<script type="application/json">@DATA@</script>
<script>@JS@</script>
</div>"""


def _at(px: float, py: float, q: int) -> str:
    return f"{px * WIDE / q:.1f} {HIGH - py * HIGH / q:.1f}"


def _curve(layer: dict[str, Any], start: int, q: int) -> str:
    frame = layer["frames"][min(start, len(layer["frames"]) - 1)]
    line = path(frame, layer["kind"], q)
    return f'<path class="rf-{layer["kind"]}" stroke="{layer["color"]}" d="{line}"/>'


def _name(layer: dict[str, Any], spot: list[int], q: int) -> str:
    x, y = _at(spot[0], spot[1], q).split()
    return f'<text fill="{layer["color"]}" x="{x}" y="{y}">{html.escape(layer["name"])}</text>'


def _axes(axes: tuple[Axis, Axis], xlabel: str, ylabel: str) -> str:
    out = [f'<path d="M0 0V{HIGH}H{WIDE}"/>']
    for share, text in axes[0].ticks():
        x = f"{share * WIDE:.1f}"
        out.append(
            f'<path d="M{x} {HIGH}v5"/><text x="{x}" y="{HIGH + 19}" text-anchor="middle">{text}</text>'
        )
    for share, text in axes[1].ticks():
        y = HIGH - share * HIGH
        out.append(f'<path d="M0 {y:.1f}h-5"/>')
        out.append(f'<text x="-8" y="{y + 4.5:.1f}" text-anchor="end">{text}</text>')
    out.append(f'<text x="{WIDE / 2}" y="{HIGH + 40}" text-anchor="middle">{xlabel}</text>')
    out.append(f'<text x="{-LEFT + 2}" y="-12">{ylabel}</text>')
    return "".join(out)
