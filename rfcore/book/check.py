"""The verdict a displayed equation gets, and the seeds it is tried with."""

import math
import os
import re

import numpy as np
import numpy.typing as npt

from rfcore.checks import positive, refuse, whole

SEED_SHIFT = "RFCORE_SEED_SHIFT"


class CheckFailed(AssertionError):
    """A displayed result disagrees with its independent computation by more than its tolerance.

    >>> rf.book.check("eq-sum", error=0.5, tolerance=0.1)
    Traceback (most recent call last):
        ...
    rfcore.book.check.CheckFailed: eq-sum fails: error 0.5 is not <= tolerance 0.1
    """


def check(label: str, error: npt.ArrayLike, tolerance: float) -> None:
    """Print the verdict ``label holds``, or raise when ``max |error|`` is not <= ``tolerance``.

    Parameters
    ----------
    label : name of the statement, usually that of the equation ("eq-duhamel")
    error : number or array, the differences between two independent computations
    tolerance : float > 0, at least three times the error seen over eight seeds or perturbations

    Two lines are printed: the verdict with its tolerance, which does not change from run to run, and
    ``measured`` with the error, which may and which comparisons of outputs therefore skip.

    Raises CheckFailed (an AssertionError) if the error is larger or not finite, ValueError for an
    empty label or error and for a tolerance that is not a finite number > 0.

    Returns nothing.

    >>> rf.book.check("eq-sum", error=2 + 2 - 4, tolerance=1e-12)
    eq-sum holds (tolerance 1e-12)
    measured 0.0e+00
    """
    if not isinstance(label, str) or not label.strip() or "\n" in label:
        raise refuse("label", label, "one line of text")
    allowed = positive("tolerance", tolerance)
    size = _largest(error)
    if not size <= allowed:  # also true for nan
        raise CheckFailed(f"{label} fails: error {size:.3g} is not <= tolerance {allowed:.3g}")
    print(f"{label} holds (tolerance {allowed:.3g})")
    print(f"measured {size:.1e}")


def seed(base: int) -> int:
    """``base``, plus 1000 times the environment variable RFCORE_SEED_SHIFT (0 if not set).

    Every random number of a chapter starts here, so that the chapter can be run again with other
    draws and its tolerances can be seen to hold for them.

    Returns a whole number.  Raises ValueError unless base and the variable are integers >= 0.

    >>> rf.book.seed(3) % 1000
    3
    """
    shift = os.environ.get(SEED_SHIFT, "0")
    if not re.fullmatch(r"[0-9]+", shift):
        raise refuse(SEED_SHIFT, shift, "an integer >= 0")
    return whole("base", base, least=0) + 1000 * int(shift)


def _largest(error: npt.ArrayLike) -> float:
    try:
        values = np.abs(np.asarray(error)).astype(np.float64)
    except (TypeError, ValueError):
        raise refuse("error", error, "a number or an array of numbers") from None
    if values.size == 0:
        raise refuse("error", error, "at least one number")
    return float(values.max()) if np.all(np.isfinite(values)) else math.nan
