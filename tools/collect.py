"""Stores a sweep of trained networks as one result under data/, for the chapters.

    python -m tools.collect digits-sizes [FOLDER]

FOLDER holds the points of the sweep, runs/NAME if left out.  Array ``f_mem`` of point k becomes ``f_mem_k``;
the provenance lists the arguments of the points in the same order.  Points that are not there are named, and
left out.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rfcore import results, sweep
from rfcore._points import points_of, task_of

ABOUT = {
    "digits-sizes": "A small U-Net trained on 16 to 256 digits until it copies them, three seeds: losses, "
    "share of copies, distance ratios and Fréchet distance at 25 training times",
    "digits-widths": "U-Nets of 0.1 to 1.6 million parameters trained on 16 and 64 digits: losses, share of "
    "copies, distance ratios and Fréchet distance at 25 training times",
    "digits-batches": "A small U-Net trained on 16 and 32 digits with all of them in each step: losses, "
    "share of copies, distance ratios and Fréchet distance at 25 training times",
    "digits-pairs": "U-Nets and DiTs trained on disjoint sets of digits, with controls, and sampled from the "
    "same noise at nine training times: agreement of all pairs and share of the linear map, by eigenvector",
}
# Bounds that follow from the ratios; indices of pictures that the chapters do not show.
LEFT_OUT = {
    "image-training": ("f_mem_low", "f_mem_high", "nearest"),
    "image-pairs": ("share_each", "cosine_error", "nearest_error", "nearest_control"),
}


def collect(name: str, folder: Path, target: Path = results.FOLDER) -> tuple[results.Stored, Sequence[str]]:
    """The stored result, and the names of the points that are missing."""
    plan = sweep.read_plan(name)
    wanted = [point.name for point in points_of(task_of(plan.experiment), list(plan.points), None)]
    there = [each for each in wanted if (folder / f"{each}.npz").exists()]
    if not there:
        raise FileNotFoundError(f"no point of {name} is in {folder}: run python -m rfcore sweep {name}")
    runs = [results.load(each, folder) for each in there]
    arrays = {
        f"{key}_{k}": values
        for k, run in enumerate(runs)
        for key, values in run.arrays.items()
        if key not in LEFT_OUT.get(plan.experiment, ())
    }
    missing = [each for each in wanted if each not in there]
    papers: dict[str, Any] = results.provenance(
        f"python -m rfcore sweep {name} && python -m tools.collect {name}",
        sorted({run.provenance["seed"] for run in runs}),
        sum(run.provenance["seconds"] for run in runs),
        about=ABOUT[name],
        points=[run.provenance["point"] for run in runs],
        missing=len(missing),
    )
    papers["commit"] = ", ".join(sorted({run.provenance["commit"] for run in runs}))
    papers["versions"] = runs[0].provenance["versions"]
    return results.save(name, arrays, papers, target), missing


def main() -> int:
    parser = argparse.ArgumentParser(description="Store a sweep as one result.")
    parser.add_argument("name", choices=sorted(ABOUT))
    parser.add_argument("folder", nargs="?", type=Path)
    arguments = parser.parse_args()
    folder = arguments.folder or sweep.read_plan(arguments.name).folder
    stored, missing = collect(arguments.name, folder)
    print(f"{stored.name}: {len(stored.provenance['points'])} points, {len(missing)} missing")
    return 0


if __name__ == "__main__":
    sys.exit(main())
