"""Measures how long each chapter runs, for teachers who run it in class.

    python -m tools.chapter_times [chapter ...]      default: all; a chapter is a file name without .ipynb

Processor seconds of one thread, not time on the wall: other work on the machine does not count.
Results go to data/chapter-times.json, chapters that were not run keep theirs.
"""

import argparse
import datetime
import json
import platform
import resource
import sys
from pathlib import Path
from typing import Any

from tools.run_notebooks import ROOT, chapters, execute

FILE = ROOT / "data" / "chapter-times.json"
COMMAND = "python -m tools.chapter_times"


def processor_seconds() -> float:
    """What all kernels that have ended used so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(path: Path) -> dict[str, Any]:
    """One run of one chapter, outputs thrown away."""
    before = processor_seconds()
    execute(path)
    return {
        "seconds": round(processor_seconds() - before, 1),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def load() -> dict[str, Any]:
    """The stored measurements, by chapter."""
    known: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    return known


def store(results: dict[str, Any]) -> None:
    """Adds the results to the file, in one step."""
    present = {path.stem for path in chapters()}
    merged = {name: entry for name, entry in {**load(), **results}.items() if name in present}
    temporary = FILE.with_suffix(".json.tmp")
    temporary.write_text(json.dumps(dict(sorted(merged.items())), indent=1) + "\n", encoding="utf-8")
    temporary.replace(FILE)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure how long the chapters run.")
    parser.add_argument("chapter", nargs="*", help="file names without .ipynb; default: all")
    wanted = parser.parse_args().chapter
    paths = {path.stem: path for path in chapters()}
    for name in wanted:
        if name not in paths:
            parser.error(f"chapter = {name!r} is not allowed: one of {', '.join(paths)}")
    for name in wanted or paths:
        store({name: measure(paths[name])})
        print(f"{name}: {load()[name]['seconds']} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
