"""Timings side by side with other methods: ``python -m benchmarks [name ...]``.

A file ``bench_NAME.py`` has ``run()``, which gives one row (a dict) per comparison:

    name       what is computed, at which accuracy
    ours_ms    milliseconds of ``rfcore``
    other_ms   milliseconds of the other method at the same accuracy, or nan where there is none
    ratio      other_ms/ours_ms
    note       what the other method is
"""

import time
from collections.abc import Callable


def best_of(function: Callable[[], object], repeat: int = 5) -> float:
    """Milliseconds of the fastest of ``repeat`` calls, after one call that is not timed."""
    function()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)
