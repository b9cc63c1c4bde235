"""Executes notebooks and stores their outputs: the only writer of outputs.

    python tools/run_notebooks.py [-j 2] [notebook ...]       (default: all chapters)

A notebook is written only when all its cells ran without an error and without a word on stderr, and
only when something changed.  Two runs in a row give the same bytes: nothing random is stored.
"""

import argparse
import os
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
# One thread, so that sums are added in the same order on every machine; no progress bars.
QUIET = {"OMP_NUM_THREADS": "1", "RFCORE_QUIET": "1"}


class StderrError(RuntimeError):
    """A cell wrote to stderr: warnings do not belong in the book."""


def chapters() -> list[Path]:
    return sorted((ROOT / "chapters").glob("*.ipynb"))


def execute(path: Path, environment: Mapping[str, str] | None = None) -> NotebookNode:
    """The notebook with fresh outputs, not written anywhere."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=600,
        record_timing=False,
        store_widget_state=True,  # False crashes on ipywidgets; the state is dropped below
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute(env={**os.environ, **QUIET, **(environment or {})})
    return notebook


def tidy(notebook: NotebookNode) -> NotebookNode:
    """Drops all that differs from run to run: widget state, the Python version, widgets' random ids."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        if "remove-output" in cell.metadata.get("tags", []):
            cell.outputs = []
        for output in cell.outputs:
            if output.get("name") == "stderr":
                raise StderrError(f"this cell wrote to stderr:\n\n{cell.source}\n\n{output.text}")
    return notebook


def write(path: Path, notebook: NotebookNode) -> bool:
    """Writes the file in one step, and only if it differs.  Says whether it did."""
    text = nbformat.writes(notebook) + "\n"
    if path.read_text(encoding="utf-8") == text:
        return False
    temporary = path.with_suffix(".ipynb.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
    return True


def run(path: Path) -> bool:
    """Executes and stores one notebook, says how it went, and whether it went well."""
    start = time.perf_counter()
    try:
        changed = write(path, tidy(execute(path)))
    except (CellExecutionError, StderrError) as error:
        print(f"{path.name}: FAILED, nothing written\n{error}", file=sys.stderr, flush=True)
        return False
    size = path.stat().st_size / 1e6
    verdict = "outputs changed" if changed else "unchanged"
    print(f"{path.name}: {verdict}, {time.perf_counter() - start:.1f} s, {size:.2f} MB", flush=True)
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description="Execute notebooks and store their outputs.")
    parser.add_argument("-j", "--jobs", type=int, default=1, help="notebooks at a time")
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all chapters")
    arguments = parser.parse_args()
    start = time.perf_counter()
    with ThreadPoolExecutor(max(1, arguments.jobs)) as pool:
        good = list(pool.map(run, arguments.notebooks or chapters()))
    print(f"{sum(good)} of {len(good)} notebooks ran, {time.perf_counter() - start:.1f} s in all")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
