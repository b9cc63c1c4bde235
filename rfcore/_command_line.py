"""What ``python -m rfcore`` understands.

Exit status 0: all is well; 1: something failed or is damaged; 2: not understood; 130: stopped by hand.
"""

import argparse
import importlib
import inspect
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill, indent, shorten
from typing import NoReturn

from rfcore import results
from rfcore._cli import losses, spectrum
from rfcore._experiments import EXPERIMENTS
from rfcore.checks import refuse

RUNS = Path("runs")
ABOUT = """Random matrix theory for diffusion models, and experiments, from the command line.

  python -m rfcore spectrum                                    bulks, masses, learning times
  python -m rfcore losses --psi-p 16 --psi-n 4 --simulate 64   theory, and a network beside it
  python -m rfcore experiment                                  what there is
  python -m rfcore experiment random-feature-losses d=64 psi_n=2
  python -m rfcore sweep random-feature-losses                 a grid, two processes
  python -m rfcore sweep mine.toml --workers 8 --folder runs/mine
  python -m rfcore verify                                      is every stored result intact?

Results are files that numpy reads; rf.results.load(NAME, FOLDER) verifies them
and says where they come from. Progress goes to stderr; RFCORE_QUIET=1 silences it."""
EXPERIMENT = """Compute one experiment at one point and store the result, unless it is stored
already; a damaged file is computed again. Without NAME: list the experiments
and their parameters.

  python -m rfcore experiment random-feature-losses
  python -m rfcore experiment random-feature-losses d=128 activation=relu noise_draws=4
  python -m rfcore experiment mypackage.mymodule:myfunction n=3 words='["a", "b"]'"""
SWEEP = """Compute a grid of points, each in a file of its own. Stop it whenever you like
(Ctrl-C, or a crash): the same command goes on where it was. Points that fail do
not stop the others; they are listed at the end.

  python -m rfcore sweep random-feature-losses                 comes with the package
  python -m rfcore sweep mine.toml --workers 8                 eight processes of one thread
  python -m rfcore sweep mine.toml --scheduler tcp://10.0.0.1:8786

mine.toml:
  experiment = "random-feature-losses"
  [grid]                    # lists are axes: all combinations
  psi_n = [2, 4, 8]
  d = 64

A cluster by hand, with the same packages on every machine:
  dask scheduler --port 8786 --no-dashboard
  dask worker tcp://10.0.0.1:8786 --nthreads 1 --nworkers 8 --no-dashboard"""
VERIFY = """Recompute the checksum of every stored result of the book, and of FOLDER,
subfolders included. A file that is damaged, cut short or not ours is named,
with the command that computes it again.

  python -m rfcore verify
  python -m rfcore verify runs/mine"""


class Parser(argparse.ArgumentParser):
    """Complaints on one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (--help has examples)\n")


def parser() -> Parser:
    """The commands and their options."""
    top = _parser(Parser, "python -m rfcore", ABOUT)
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, summary: str, text: str) -> argparse.ArgumentParser:
        raw = argparse.RawDescriptionHelpFormatter
        return commands.add_parser(
            name, help=summary, description=text, formatter_class=raw, allow_abbrev=False
        )

    for module, name in ((spectrum, "spectrum"), (losses, "losses")):
        question = add(name, module.SUMMARY, module.ABOUT)
        question.usage = f"python -m rfcore {name} [options]"
        module.add_options(question)
        question.set_defaults(run=module.run)
    one = add("experiment", "compute one point", EXPERIMENT)
    one.add_argument("name", nargs="?", metavar="NAME", help="a name from the list, or module:function")
    one.add_argument(
        "parameters", nargs="*", metavar="parameter=value", help="the others keep their defaults"
    )
    one.add_argument("--folder", type=Path, default=RUNS, metavar="F", help="where to store it (runs)")
    grid = add("sweep", "compute a grid of points", SWEEP)
    grid.add_argument("plan", metavar="FILE.toml|NAME", help="what to compute")
    grid.add_argument(
        "--workers", type=_count, default=2, metavar="N", help="processes here (2); 0: this one"
    )
    grid.add_argument("--scheduler", metavar="ADDRESS", help="a running Dask scheduler, tcp://HOST:PORT")
    grid.add_argument(
        "--folder", type=Path, metavar="F", help="where to store results (runs/NAME, or the file's)"
    )
    check = add("verify", "recompute checksums", VERIFY)
    check.add_argument(
        "folder", nargs="?", type=Path, metavar="FOLDER", help="besides the results of the book"
    )
    return top


def main(words: Sequence[str] | None = None) -> int:
    """Do what the words say (those of the command line if none are given); the answer is the exit status."""
    grammar = parser()
    words = sys.argv[1:] if words is None else words
    if not words:
        grammar.print_help()
        return 0
    given, rest = grammar.parse_known_args(words)
    if given.command == "experiment" and not any(word.startswith("-") for word in rest):
        given.parameters += rest  # parameters may follow an option
    elif rest:
        grammar.error(f"{rest[0]!r} is not understood")
    try:
        if given.command in ("spectrum", "losses"):
            return _answer(given, words)
        if given.command == "experiment":
            return _experiment(given.name, given.parameters, given.folder)
        if given.command == "sweep":
            return _sweep(given.plan, given.folder, given.scheduler, given.workers)
        return _verify(given.folder)
    except BrokenPipeError:  # whoever reads has seen enough; nothing more is to be written, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, ModuleNotFoundError) as error:
        print(f"rfcore: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        stored = given.command in ("experiment", "sweep")
        kept = "; what is done is stored, and the same command goes on from it" if stored else ""
        print(f"rfcore: stopped{kept}", file=sys.stderr)
        return 130


def _answer(given: argparse.Namespace, words: Sequence[str]) -> int:
    """A question that theory, or a matrix of its size, may be unable to answer."""
    try:
        status: int = given.run(given, shlex.join(["python", "-m", "rfcore", *words]))
        sys.stdout.flush()
        return status
    except (ArithmeticError, RuntimeError, MemoryError) as error:
        print(f"rfcore: {shorten(str(error), 300) or type(error).__name__}", file=sys.stderr)
        return 1


def _experiment(name: str | None, words: list[str], folder: Path) -> int:
    from rfcore import sweep
    from rfcore._outcome import distrust
    from rfcore._points import parsed, point_of, task_of

    if name is None:
        print("\n\n".join(_described(each) for each in EXPERIMENTS))
        return 0
    task = task_of(name)
    point = point_of(task, parsed(words))
    path = folder / f"{point.name}.npz"
    if distrust(task, point, folder):
        print(f"{path} is damaged and computed again", file=sys.stderr)
        path.unlink()
    try:
        swept = sweep.run(name, [point.arguments], folder, workers=0)
    except sweep.SweepFailed as failed:
        failure = failed.swept.failures[0]
        print(f"{failure.details}rfcore: {failure.reason}", file=sys.stderr)
        return 1
    print(f"{path}: {'stored already' if swept.skipped else 'computed'}")
    for key, array in swept.load()[0].arrays.items():
        print(f"  {key} {array.shape if array.shape else array}")
    return 0


def _sweep(source: str, folder: Path | None, scheduler: str | None, workers: int) -> int:
    from rfcore import sweep

    plan = sweep.read_plan(source)
    where = folder or plan.folder
    try:
        swept = sweep.run(plan.experiment, plan.points, where, scheduler=scheduler, workers=workers)
    except sweep.SweepFailed as failed:
        swept = failed.swept
    counts = f"{len(swept.skipped)} were stored, {len(swept.computed)} computed, {len(swept.failures)} failed"
    print(f"{len(swept.names)} points in {where}: {counts}")
    for failure in swept.failures:
        again = "" if failure.command in failure.reason else f"; alone: {failure.command}"
        print(f"rfcore: {failure.name}: {failure.reason}{again}", file=sys.stderr)
    return 1 if swept.failures else 0


def _verify(folder: Path | None) -> int:
    status = 0
    given = [] if folder is None or folder.resolve() == results.FOLDER else [folder]
    for each in [results.FOLDER, *given]:
        good, complaints = results.survey(each)
        print(f"{each.name}: {len(good)} {'result' if len(good) == 1 else 'results'} verified")
        for complaint in complaints:
            status = 1
            print(f"rfcore: {complaint}", file=sys.stderr)
    return status


def _described(name: str) -> str:
    """Name, parameters with defaults, and the first paragraph of what the function says about itself."""
    module, _, function = EXPERIMENTS[name].partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except ImportError as error:
        return f"{name}\n  not available here: {error}"
    given = inspect.signature(found).parameters.values()
    shown = "  ".join(f"{p.name}={p.default}" for p in given if p.name != "scratch")
    defaults = fill(f"Defaults: {shown}", 98, subsequent_indent="  ", break_long_words=False)
    return f"{name}\n" + indent(f"{inspect.getdoc(found)}\n{defaults}", "  ")


def _count(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number < 0:
        raise argparse.ArgumentTypeError(str(refuse("workers", text, "an integer >= 0")))
    return number


def _parser(kind: type[Parser], prog: str, text: str) -> Parser:
    raw = argparse.RawDescriptionHelpFormatter
    return kind(prog=prog, description=text, formatter_class=raw, allow_abbrev=False)
