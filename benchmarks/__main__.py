"""Runs all benchmarks, or those named, on one thread and prints one table."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # read when numpy is first imported, hence before all else

import argparse
import importlib
import math
import sys
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAMES = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))


def line(row: Mapping[str, object]) -> str:
    """One row of the table."""
    ours, other, ratio = (float(str(row[key])) for key in ("ours_ms", "other_ms", "ratio"))
    factor = f"{ratio:8.1f}x" if math.isfinite(ratio) else f"{'':9}"
    rival = f"{other:11.2f}" if math.isfinite(other) else f"{'':11}"
    return f"{row['name']!s:52} {ours:10.2f} {rival} {factor}  {row['note']}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="*", help=f"default: all of {', '.join(NAMES)}")
    wanted = parser.parse_args().name or NAMES
    for name in wanted:
        if name not in NAMES:
            parser.error(f"name = {name!r} is not allowed: one of {', '.join(NAMES)}")
    print("Best of five, one thread, second call; milliseconds.\n")
    print(f"{'what':52} {'ours':>10} {'other':>11} {'ratio':>9}  other method")
    for name in wanted:
        for row in importlib.import_module(f"benchmarks.bench_{name}").run():
            print(line(row), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
