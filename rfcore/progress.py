"""A progress bar for people, and silence for machines."""

import os
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def progress(iterable: Iterable[T], description: str | None = None) -> Iterable[T]:
    """Return the iterable wrapped in a bar on stderr; unchanged when ``RFCORE_QUIET=1``.

    Stored notebook outputs and logs stay clean because ``make run`` and ``make test`` set the
    variable; a person at a prompt sees how long the work will take.
    """
    if os.environ.get("RFCORE_QUIET") == "1":
        return iterable
    from tqdm.auto import tqdm

    return tqdm(iterable, desc=description, leave=False)
