"""Runs the README's example and two chapters where nothing is pinned, as `pip install` would have it:

    python -m tools.loose [chapter ...]      (make loose; default: chapters 4 and 13)

An environment in a temporary folder gets the package without its extras: the theory must work there without
torch, at the prompt as well (`make test` does this much).  Then it gets what chapters need, in whatever
versions the bounds of pyproject.toml allow: the command line must draw and simulate, and the chapters must
reach the verdicts that are stored.  Where no environment can be made it says why and ends.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterable
from pathlib import Path

import nbformat

from tools.margins import verdicts
from tools.run_notebooks import QUIET, ROOT

DEFAULT = ("04-stieltjes-transform", "13-unet-memorization")
PACKAGE = ("rfcore", "data", "pyproject.toml", "README.md", "LICENSE")  # what a build of it reads
# Runs in the new environment: the package there is the installed one, the folder of this file has none.
THEORY = """
import doctest, importlib.util, sys
import rfcore
from rfcore._command_line import main
assert importlib.util.find_spec("torch") is None, "torch came along"
assert not rfcore.__file__.startswith(sys.argv[2]), rfcore.__file__
assert main(["spectrum"]) == main(["losses"]) == main(["verify"]) == 0
assert main(["losses", "--simulate", "8"]) == main(["spectrum", "--plot", "a.svg"]) == 2
result = doctest.testfile(sys.argv[1], module_relative=False)
sys.exit(0 if result.attempted and not result.failed else 1)
"""
COMMANDS = """
from rfcore._command_line import main
small = ["--psi-p", "2", "--psi-n", "2", "--t", "0.3", "--simulate", "8", "--plot"]
for command in ("losses", "spectrum"):
    for ending in ("png", "pdf", "svg"):
        assert main([command, *small, f"a.{ending}"]) == 0
"""
CHAPTER = """
import sys
from pathlib import Path
import nbformat
sys.path.append(sys.argv[1])  # for this process: the kernel does not see it
from tools.run_notebooks import execute
path = Path(sys.argv[2])
nbformat.write(execute(path), path)
"""


class NoEnvironmentError(RuntimeError):
    """pip could not install: there is no network, or a package is not to be had."""


NO_ENVIRONMENT = (NoEnvironmentError, subprocess.CalledProcessError, OSError)


def install(python: Path, *wanted: str) -> None:
    """pip install in the new environment."""
    done = subprocess.run([python, "-m", "pip", "install", "-q", *wanted], capture_output=True, text=True)
    if done.returncode:
        raise NoEnvironmentError((done.stderr or done.stdout).strip().splitlines()[-1])


def source(folder: Path) -> Path:
    """A copy of what the package is built from, so that a build leaves nothing behind."""
    for name in PACKAGE:
        here, there = ROOT / name, folder / name
        if here.is_dir():
            shutil.copytree(here, there, ignore=shutil.ignore_patterns("__pycache__", "claims"))
        else:
            shutil.copy(here, there)
    return folder


def run(python: Path, script: str, folder: Path, *arguments: object) -> None:
    """Runs a script in the new environment, with the temporary folder as the current one."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | QUIET
    command = [python, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)


def alone(folder: Path) -> Path:
    """The python of an environment with the package and without its extras, where the theory works."""
    built = folder / "source"
    built.mkdir()
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    install(python, str(source(built)))
    run(python, THEORY, folder, ROOT / "README.md", ROOT)
    return python


def versions(python: Path) -> str:
    """The versions that were found, for the report."""
    listed = subprocess.run(
        [python, "-m", "pip", "freeze"], capture_output=True, text=True, check=True
    ).stdout
    names = ("numpy", "scipy", "torch", "scikit-learn", "matplotlib")
    return ", ".join(line for line in listed.splitlines() if line.split("==")[0] in names)


def differences(stored: nbformat.NotebookNode, fresh: nbformat.NotebookNode) -> list[str]:
    """The checks whose verdict is not the stored one."""
    old, new = ({label: t for label, (t, _) in verdicts(book).items()} for book in (stored, fresh))
    return sorted(label for label in old.keys() | new.keys() if old.get(label) != new.get(label))


def chapters(python: Path, names: Iterable[str], folder: Path) -> list[str]:
    """Runs chapters in the new environment; the complaints."""
    wrong = []
    for name in names:
        begin, copy = time.perf_counter(), folder / f"{name}.ipynb"
        shutil.copy(ROOT / "chapters" / copy.name, copy)
        run(python, CHAPTER, folder, ROOT, copy)
        stored, fresh = (nbformat.read(p, as_version=4) for p in (ROOT / "chapters" / copy.name, copy))
        changed = differences(stored, fresh)
        wrong += [f"{name}: {label}" for label in changed]
        print(f"{name}: {len(verdicts(fresh))} checks, {time.perf_counter() - begin:.0f} s", flush=True)
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description="Run two chapters where nothing is pinned.")
    parser.add_argument("chapter", nargs="*", default=DEFAULT)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            python = alone(folder)
            print("the package alone: the README's example holds, without torch", flush=True)
            install(python, f"{folder / 'source'}[book]", "nbclient")
        except NO_ENVIRONMENT as error:
            print(f"skipped: no environment could be made: {error}")
            return 0
        print(versions(python), flush=True)
        run(python, COMMANDS, folder)
        wrong = chapters(python, arguments.chapter, folder)
    print("\n".join(wrong) or "every verdict is the stored one")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
