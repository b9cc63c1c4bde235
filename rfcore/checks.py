"""Checks of arguments: one clear exception that names the parameter, its value and what is allowed."""

import math
import operator
from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def refuse(name: str, value: object, allowed: str) -> ValueError:
    """The one shape of a complaint: ``psi_p = -1 is not allowed: a finite number > 0``."""
    return ValueError(f"{name} = {value!r} is not allowed: {allowed}")


def of_kind(name: str, value: object, *kinds: type) -> None:
    """Nothing, for a value of one of these classes."""
    if not isinstance(value, kinds):
        raise refuse(name, value, " or ".join(f"a {kind.__name__}" for kind in kinds))


def positive(name: str, value: Any) -> float:
    """A finite number > 0, as float."""
    number = _number(name, value, "a finite number > 0")
    if not number > 0:
        raise refuse(name, value, "a finite number > 0")
    return number


def nonnegative(name: str, value: Any) -> float:
    """A finite number >= 0, as float."""
    number = _number(name, value, "a finite number >= 0")
    if number < 0:
        raise refuse(name, value, "a finite number >= 0")
    return number


def whole(name: str, value: Any, least: int = 1) -> int:
    """An integer >= least (a float with an integer value counts, a boolean does not)."""
    allowed = f"an integer >= {least}"
    if isinstance(value, bool | np.bool_):
        raise refuse(name, value, allowed)
    try:
        number = operator.index(value)
    except TypeError:
        if not (isinstance(value, float | np.floating) and float(value).is_integer()):
            raise refuse(name, value, allowed) from None
        number = int(value)
    if number < least:
        raise refuse(name, value, allowed)
    return number


def choice(name: str, value: Any, allowed: Collection[str]) -> str:
    """One of a few words."""
    if not isinstance(value, str) or value not in allowed:
        raise refuse(name, value, "one of " + ", ".join(map(repr, allowed)))
    return value


def finite_array(name: str, value: Any, ndim: int | None = None) -> Array:
    """A float64 array of finite numbers, with the given number of axes if any is given."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise refuse(name, value, "an array of real numbers") from None
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"{name} has shape {array.shape}, which is not allowed: {ndim} axes")
    if not np.all(np.isfinite(array)):
        bad = array[~np.isfinite(array)].flat[0]
        raise refuse(name, float(bad), "finite numbers only")
    return array


def _number(name: str, value: Any, allowed: str) -> float:
    if isinstance(value, bool | np.bool_ | str | bytes):
        raise refuse(name, value, allowed)
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise refuse(name, value, allowed) from None
    if not math.isfinite(number):
        raise refuse(name, value, allowed)
    return number
