"""Runs chapters with eight seeds and records how far each of their checks is from failing.

    python -m tools.margins [-j 2] [chapter ...]   (default: all; a chapter is a file name without .ipynb)

For each label: the tolerance, the error at RFCORE_SEED_SHIFT = 0 .. 7, and the largest error divided
by the tolerance.  A tolerance is honest when that ratio is below a third.  The chapters themselves are
not written.  Results go to data/margins.json, chapters that were not run keep theirs.
"""

import argparse
import datetime
import hashlib
import importlib.metadata
import json
import platform
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from tools.run_notebooks import ROOT, chapters, execute
from tools.set_repository import without_install

SHIFTS = range(8)
FILE = ROOT / "data" / "margins.json"
VERDICT = re.compile(r"(?m)^(\S.*) holds \(tolerance ([0-9.e+-]+)\)\nmeasured ([0-9.e+-]+)$")
COMMAND = "python -m tools.margins"


def verdicts(notebook: NotebookNode) -> dict[str, tuple[float, float]]:
    """Tolerance and measured error of every check, by label; the largest error where a label repeats."""
    found: dict[str, tuple[float, float]] = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            for label, tolerance, error in VERDICT.findall(output.get("text", "")):
                known, largest = found.get(label, (float(tolerance), 0.0))
                if known != float(tolerance):
                    raise ValueError(f"{label} has two tolerances, {known:g} and {tolerance}: use two labels")
                found[label] = (known, max(largest, float(error)))
    return found


def fingerprint(notebook: NotebookNode) -> str:
    """SHA-256 of the code: what was run, whatever the text around it says."""
    code = [without_install(cell.source) for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256("\n\0\n".join(code).encode()).hexdigest()


def measure(path: Path, jobs: int) -> dict[str, Any]:
    """All checks of one chapter under all seeds."""
    checks: dict[str, dict[str, Any]] = {}
    with ThreadPoolExecutor(jobs) as pool:
        runs = pool.map(lambda shift: verdicts(execute(path, {"RFCORE_SEED_SHIFT": str(shift)})), SHIFTS)
        everything = list(runs)
    for found in everything:
        for label, (tolerance, error) in found.items():
            checks.setdefault(label, {"tolerance": tolerance, "errors": []})["errors"].append(error)
    for entry in checks.values():
        entry["ratio"] = float(f"{max(entry['errors']) / entry['tolerance']:.2g}")
    code = fingerprint(nbformat.read(path, as_version=4))
    return {"sha256": code, "provenance": provenance(path), "checks": checks}


def provenance(path: Path) -> dict[str, str]:
    """With what, and when, a chapter was run."""
    git = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    versions = {name: importlib.metadata.version(name) for name in ("numpy", "scipy", "torch")}
    return {
        "command": f"{COMMAND} {path.stem}",
        "commit": git.stdout.strip() or "unknown",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "python": platform.python_version(),
        **versions,
    }


def store(results: dict[str, Any]) -> None:
    """Adds the results to the file, in one step."""
    known = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    present = {path.stem for path in chapters()}
    merged = {name: entry for name, entry in {**known, **results}.items() if name in present}
    FILE.parent.mkdir(exist_ok=True)
    temporary = FILE.with_suffix(".json.tmp")
    text = json.dumps(dict(sorted(merged.items())), indent=1)
    text = re.sub(r"\[[^\[\]]*\]", lambda errors: " ".join(errors[0].split()), text)  # a list on one line
    temporary.write_text(text + "\n", encoding="utf-8")
    temporary.replace(FILE)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the margins of the chapters' checks.")
    parser.add_argument("chapter", nargs="*", help="file names without .ipynb; default: all")
    parser.add_argument("-j", "--jobs", type=int, default=1, help="runs at a time")
    arguments = parser.parse_args()
    wanted = arguments.chapter
    paths = {path.stem: path for path in chapters()}
    for name in wanted:
        if name not in paths:
            parser.error(f"chapter = {name!r} is not allowed: one of {', '.join(paths)}")
    good = True
    for name in wanted or paths:
        result = measure(paths[name], max(1, arguments.jobs))
        store({name: result})
        for label, entry in result["checks"].items():
            verdict = "" if entry["ratio"] < 1 / 3 else "   MORE THAN A THIRD"
            good = good and not verdict
            print(f"{name}  {label}: {entry['ratio']:.2g} of {entry['tolerance']:.0e}{verdict}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
