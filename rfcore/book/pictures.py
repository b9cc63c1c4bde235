"""Pictures under a slider: rows of small grey images that change with it, without a kernel."""

import base64
import hashlib
import html
import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore.book import svg
from rfcore.book.slider import MOST_BYTES, SliderFigure, describe, positions, words
from rfcore.checks import finite_array, refuse

_NAMES = 118  # width left of the pictures for the names of the rows, of 520
_FULL = 520

_PAGE = """<div class="rf-slider" id="@KEY@" data-frame="@START@">
<style>@CSS@</style>
<svg viewBox="0 0 520 @HIGH@" role="img" aria-label="@ALT@">
<g class="rf-axes">@NAMES@</g>
<image class="rf-picture" x="@LEFT@" y="0" width="@WIDE@" height="@HIGH@"
  href="data:image/png;base64,@FIRST@"/>
</svg>
<div class="rf-controls" hidden>@CONTROLS@</div>
<output class="rf-readout" for="@KEY@-0" aria-live="polite">@READOUT@</output>
<script type="application/json">@DATA@</script>
<script>@JS@</script>
</div>"""


def picture_slider(
    frames: npt.ArrayLike,
    rows: Sequence[str],
    values: Sequence[Any],
    label: str,
    alt: str,
    readout: Sequence[str],
    start: int = 0,
    second: tuple[Sequence[Any], str] | None = None,
) -> SliderFigure:
    """Rows of pictures that change with a slider or two.

    Parameters
    ----------
    frames : (positions, rows, columns, H, W), grey values in [-1, 1]; what lies outside is clipped
    rows : the name of each row, plain text
    values, label, alt, readout, start, second : as in :func:`slider_figure`

    Raises ValueError naming the argument; also when the figure would exceed 150 kB.

    Returns a :class:`SliderFigure`.

    >>> figure = rf.book.picture_slider(
    ...     rf.datasets.digits().images[:6].reshape(2, 1, 3, 8, 8), rows=["digits"], values=[1, 2],
    ...     label="page", alt="Three digits.", readout=["The first three.", "The next three."],
    ... )
    >>> print(figure.text)
    Pictures with a slider (page, 2 positions, mean grey 0.296): Three digits.
    1: The first three.
    2: The next three.
    """
    controls, steps = positions(values, label, start, second)
    describe(steps, readout, alt, (*rows, *(control["label"] for control in controls)))
    stack = finite_array("frames", frames)
    if stack.ndim != 5 or stack.shape[:2] != (steps, len(rows)) or stack.size == 0:
        raise ValueError(
            f"frames has shape {stack.shape}, which is not allowed: ({steps}, {len(rows)}, columns, H, W)"
        )
    pictures = [_png(frame) for frame in stack]
    payload = {
        "v": 2, "q": 1, "size": [1, 1], "layers": [], "names": [],
        "controls": controls, "readout": list(readout), "pictures": pictures,
    }  # fmt: skip
    text = _render(payload, stack.shape, rows, alt)
    if len(text.encode()) > MOST_BYTES:
        raise refuse("size of the figure", len(text.encode()), f"at most {MOST_BYTES} bytes: fewer pictures")
    grey = f"mean grey {(np.clip(stack, -1, 1).mean() + 1) / 2:.3f}"
    return SliderFigure(text, words("Pictures with a slider", grey, payload, alt), payload)


def _png(frame: npt.NDArray[np.float64]) -> str:
    """(rows, columns, H, W) -> one PNG in base64, with transparent gaps of one pixel."""
    from PIL import Image

    rows, columns, high, wide = frame.shape
    grey = np.round((np.clip(frame, -1, 1) + 1) * 127.5).astype(np.uint8)
    mosaic = np.zeros((rows * (high + 1) - 1, columns * (wide + 1) - 1, 2), dtype=np.uint8)
    for i, j in np.ndindex(rows, columns):
        cell = mosaic[i * (high + 1) :, j * (wide + 1) :][:high, :wide]
        cell[..., 0], cell[..., 1] = grey[i, j], 255
    out = io.BytesIO()
    Image.fromarray(mosaic, "LA").save(out, "PNG", optimize=True)
    return base64.b64encode(out.getvalue()).decode()


def _render(payload: dict[str, Any], shape: tuple[int, ...], rows: Sequence[str], alt: str) -> str:
    _, _, columns, high, wide = shape
    across, down = columns * (wide + 1) - 1, len(rows) * (high + 1) - 1
    scale = (_FULL - _NAMES) / across
    key = "rf" + hashlib.sha256(json.dumps([payload, list(rows), alt]).encode()).hexdigest()[:12]
    names = (
        f'<text x="{_NAMES - 10}" y="{(k * (high + 1) + high / 2) * scale + 5:.1f}" text-anchor="end">'
        f"{html.escape(name)}</text>"
        for k, name in enumerate(rows)
    )
    first = svg.first_shown(payload["controls"])
    return svg.fill(
        _PAGE,
        {
            "KEY": key,
            "START": str(payload["controls"][0]["start"]),
            "HIGH": f"{down * scale:.1f}",
            "WIDE": str(_FULL - _NAMES),
            "LEFT": str(_NAMES),
            "ALT": html.escape(alt),
            "NAMES": "".join(names),
            "FIRST": payload["pictures"][first],
            "READOUT": html.escape(payload["readout"][first]),
            **svg.machinery(payload, key),
        },
    )
