"""Where bulks merge: the value of a parameter at which the number of bulks changes."""

from collections.abc import Callable
from dataclasses import dataclass

from rfcore.checks import positive, refuse
from rfcore.checks import whole as whole_number
from rfcore.model import RandomFeatureModel
from rfcore.theory.support import support


@dataclass(frozen=True)
class Transition:
    """Where the number of bulks changes.

    value : the place;  before, after : numbers of bulks below it and from it on
    error : width of the last bracket

    >>> def question(ratio):
    ...     return rf.RandomFeatureModel(psi_p=8 * ratio, psi_n=8, t=0.1)
    >>> change = rf.theory.bulk_transition(question, 2, 4, whole=True)
    >>> change.value, change.before, change.after
    (3.0, 2, 3)
    """

    value: float
    before: int
    after: int
    error: float


def bulk_transition(
    question: Callable[[float], RandomFeatureModel],
    low: float,
    high: float,
    whole: bool = False,
    tolerance: float = 1e-6,
) -> Transition:
    """Bisect for a value in (low, high] at which the number of bulks of ``question(value)`` changes.

    question : value -> RandomFeatureModel, for instance lambda r: RandomFeatureModel(8 * r, 8, 0.1)
    low, high : positive ends with different numbers of bulks
    whole : search among integers; ``value`` is then the first with the number of ``high``
    tolerance : relative width at which the search among real numbers stops

    If the number changes more than once, one of the changes is found.
    Raises ValueError if the two ends have the same number of bulks.

    Source: chapter 8 of the book.

    >>> def question(ratio):
    ...     return rf.RandomFeatureModel(psi_p=8 * ratio, psi_n=8, t=0.1)
    >>> found = rf.theory.bulk_transition(question, 1.0, 20.0, tolerance=1e-2)
    >>> print(f"{found.before} bulks below p/n = {found.value:.1f}, {found.after} above")
    2 bulks below p/n = 2.8, 3 above
    """
    a, b = positive("low", low), positive("high", high)
    if whole:
        a, b = float(whole_number("low", low)), float(whole_number("high", high))
    if a >= b:
        raise refuse("low", low, f"less than high = {high!r}")
    before, after = len(support(question(a)).bulks), len(support(question(b)).bulks)
    if before == after:
        raise ValueError(f"low = {low!r}, high = {high!r} are not allowed: both have {before} bulks")
    step = 1.0 if whole else 0.0
    while b - a > max(step, (0 if whole else positive("tolerance", tolerance)) * b):
        middle = (a * b) ** 0.5
        if whole:
            middle = min(max(float(round(middle)), a + 1), b - 1)
        if len(support(question(middle)).bulks) == after:
            b = middle
        else:
            a = middle
    return Transition(b, before, after, b - a)
