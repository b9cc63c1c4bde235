"""Runs the stages of `make test` one after the other, says how long each took, and adds up the tests.

    python tools/run_tests.py [-j 2] [stage ...]      stages: lint types unit chapters book pages

All stages run even when one fails; the last line gives the totals.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COUNT = re.compile(r"(\d+) (passed|failed|skipped|errors?)\b")
NBVAL = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=600"]
SANITIZE = ["--nbval-sanitize-with", "tests/nbval_sanitize.cfg"]


def stages(jobs: int) -> dict[str, list[list[str]]]:
    """Each stage and its commands; a command is what follows `python -m`."""
    many = ["-n", str(jobs), "--dist"] if jobs > 1 else []
    workers, browsers = ([*many, way] if many else [] for way in ("loadscope", "loadgroup"))
    return {
        "lint": [["ruff", "check", "."], ["ruff", "format", "--check", "."]],
        "types": [["mypy", "--strict", "rfcore"]],
        "unit": [["pytest", "-q", "-m", "not built", "--durations=5", *workers, "tests"]],
        "chapters": [["pytest", "-q", *NBVAL, *SANITIZE, *workers, "chapters"]],
        "book": [["tools.build_book"]],
        "pages": [["pytest", "-q", "-m", "built", *browsers, "tests"]],
    }


def run(command: list[str], environment: dict[str, str]) -> tuple[int, dict[str, int]]:
    """Exit status, and what pytest counted; the output is shown as it comes."""
    counts: dict[str, int] = {}
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    last = ""
    for line in process.stdout:
        print(line, end="", flush=True)
        last = line if line.strip() else last
    if command[0] == "pytest":
        for number, word in COUNT.findall(last):
            key = "failed" if word.startswith("error") else word
            counts[key] = counts.get(key, 0) + int(number)
    return process.wait(), counts


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the stages of `make test`.")
    parser.add_argument("-j", "--jobs", type=int, default=2)
    parser.add_argument("stage", nargs="*", help="default: all")
    arguments = parser.parse_args()
    known = stages(arguments.jobs)
    for name in arguments.stage:
        if name not in known:
            parser.error(f"stage = {name!r} is not allowed: one of {', '.join(known)}")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RFCORE_QUIET": "1"}
    total = {"passed": 0, "failed": 0, "skipped": 0}
    times = []
    for name in arguments.stage or known:
        print(f"\n== {name} ==", flush=True)
        start, good = time.perf_counter(), True
        for command in known[name]:
            status, counts = run(command, environment)
            good = good and status == 0
            for key, number in (counts or {"passed" if status == 0 else "failed": 1}).items():
                total[key] += number
        seconds = time.perf_counter() - start
        times.append((name, good, seconds))
        print(f"== {name}: {'ok' if good else 'FAILED'}, {seconds:.0f} s ==", flush=True)
    print("\n" + "\n".join(f"{name:10} {'ok' if good else 'FAILED':7} {s:6.0f} s" for name, good, s in times))
    print(f"{'in all':18} {sum(s for _, _, s in times):6.0f} s")
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return 0 if all(good for _, good, _ in times) else 1


if __name__ == "__main__":
    sys.exit(main())
