"""Compares theory (d = infinity) and simulation (finite d), and stores what was found: `make validate`.

    python -m tools.validate [--part features] [--fresh]      run what is missing
    python -m tools.validate --table                          the agreement as Markdown, from what is stored

Each setting is stored when it is done, in one step; a run that was stopped goes on where it was.
Progress goes to stderr.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from rfcore import results
from tools import validation_features as features
from tools import validation_linear as linear
from tools.validation_filters import Filters
from tools.validation_report import report
from tools.validation_store import Clock, open_table

PARTS: dict[str, Any] = {
    "features": features,
    "losses": linear.Part(linear.Losses),
    "maps": linear.Part(linear.Maps),
    "filters": linear.Part(Filters),
}


def run(part: str, fresh: bool, folder: Path = results.FOLDER) -> None:
    """Runs all settings of a part that are not stored yet."""
    job = PARTS[part]
    table = open_table(job.NAME, job.columns(), job.SETTINGS, fresh, folder)
    missing = [setting for setting in job.settings() if setting.key not in table.rows]
    command = f"python -m tools.validate --part {part}"
    papers = results.provenance(command, job.SEED_RULE, 0, about=job.ABOUT)
    clock, done = Clock(), len(table.rows)
    for k, setting in enumerate(missing, start=done + 1):
        row = job.row(setting)
        seconds = clock.lap()
        table.add(row, seconds, papers, folder)
        print(f"{k}/{done + len(missing)}  {setting.key}  {seconds:.1f} s", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare theory and simulation, and store the outcome.")
    parser.add_argument("--part", choices=sorted(PARTS), help="default: all")
    parser.add_argument("--fresh", action="store_true", help="forget what is stored")
    parser.add_argument("--table", action="store_true", help="print the agreement as Markdown, and stop")
    arguments = parser.parse_args()
    if arguments.table:
        print(report())
        return 0
    for part in [arguments.part] if arguments.part else PARTS:
        run(part, arguments.fresh)
    return 0


if __name__ == "__main__":
    sys.exit(main())
