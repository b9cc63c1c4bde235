"""What the tests of sweeps compute: tiny, and each call leaves a line in the file that SWEEP_LOG names."""

import os
import signal
import time
from pathlib import Path

import numpy as np


def _called(k):
    with Path(os.environ["SWEEP_LOG"]).open("a") as file:
        file.write(f"{k} {os.getpid()}\n")


def calls():
    """The calls so far, as pairs (k, process)."""
    path = Path(os.environ["SWEEP_LOG"])
    return (
        [tuple(map(int, line.split())) for line in path.read_text().split("\n")[:-1]] if path.exists() else []
    )


def slow(k: int, seconds: float = 0.0):
    _called(k)
    time.sleep(seconds)
    return {"x": np.random.default_rng(k).normal(size=40), "k": k}


def fails_at_two(k: int):
    if k == 2:
        raise ZeroDivisionError("k is two")
    return slow(k)


def dies_at_two(k: int):
    if k == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return slow(k)


def in_two_parts(k: int, scratch: Path):
    """Stops half-way at the first call, and goes on from there at the second."""
    if not scratch.exists():
        scratch.write_text("half of it")
        raise TimeoutError("half done")
    return {"k": k, "half": np.array(scratch.read_text())}


def anything(a=0, b=0.5, c="text", d=(1, 2), e=True):
    return {"x": 0}


def no_arrays(k: int):
    return {"x": object()}


def a_list(k: int):
    return [k]
