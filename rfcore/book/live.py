"""The twin of a slider figure for readers who have a kernel."""

from collections.abc import Callable
from typing import Any

from rfcore.checks import refuse


def live(function: Callable[..., Any], **ranges: Any) -> None:
    """Show ``function`` with one control per keyword, redrawn when a control is let go.

    Parameters
    ----------
    function : draws a figure or prints; called with one value per keyword
    ranges : (low, high) or (low, high, step) for a slider of numbers (whole ones if all are);
        a list for a slider through its members; anything else that ipywidgets.interact accepts

    Needs a running notebook: in the static book the cell's output is left out.

    Returns nothing.  Raises ValueError for no control, an empty list, and unless low < high.

    >>> def draw(n):
    ...     print(f"n = {n}")
    >>> rf.book.live(draw)
    Traceback (most recent call last):
        ...
    ValueError: ranges = {} is not allowed: at least one keyword, for instance psi_n=(1.0, 16.0)
    """
    from ipywidgets import interact

    if not ranges:
        raise refuse("ranges", ranges, "at least one keyword, for instance psi_n=(1.0, 16.0)")
    interact(function, **{name: _control(name, spec) for name, spec in ranges.items()})


def _control(name: str, spec: Any) -> Any:
    import ipywidgets as widgets

    common = {"description": name, "continuous_update": False}
    if isinstance(spec, list):
        if not spec:
            raise refuse(name, spec, "a list with at least one value")
        return widgets.SelectionSlider(options=spec, value=spec[0], **common)
    if isinstance(spec, tuple):
        if len(spec) not in (2, 3) or not spec[0] < spec[1]:
            raise refuse(name, spec, "(low, high) or (low, high, step) with low < high")
        kind = widgets.IntSlider if all(isinstance(v, int) for v in spec) else widgets.FloatSlider
        step = {"step": spec[2]} if len(spec) == 3 else {}
        if kind is widgets.FloatSlider and not step:
            step = {"step": (spec[1] - spec[0]) / 50}
        return kind(value=spec[0], min=spec[0], max=spec[1], **step, **common)
    return spec
