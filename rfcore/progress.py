"""A progress bar for people, and silence for machines."""

import os
from collections.abc import Iterable
from typing import TypeVar

__all__ = ["progress"]
T = TypeVar("T")


def progress(iterable: Iterable[T], description: str | None = None) -> Iterable[T]:
    """Return the iterable wrapped in a bar on stderr; unchanged when ``RFCORE_QUIET=1``.

    iterable : anything to loop over;  description : a word before the bar

    Stored notebook outputs and logs stay clean because ``make run`` and ``make test`` set the
    variable; a person at a prompt sees how long the work will take.

    Returns the iterable, or a bar around it.  Raises nothing.

    >>> sum(rf.progress([1, 2, 3]))
    6
    """
    if os.environ.get("RFCORE_QUIET") == "1":
        return iterable
    from tqdm.auto import tqdm

    return tqdm(iterable, desc=description, leave=False)
