"""``python -m rfcore losses``: train and test loss over training time; theory, and a simulation beside it."""

import argparse

from rfcore._cli import covariance, curves, files, question, sketch
from rfcore._cli import losses_show as show

SUMMARY = "train and test loss over training time"
ABOUT = (
    """Train and test loss at every training time tau, when to stop, and when a model
generalises and memorises. A model that is not trained has loss 1. Theory is exact at
d = infinity; --simulate trains one at finite d and says how far apart the two are.

  python -m rfcore losses
  python -m rfcore losses --psi-p 16 --psi-n 4 --t 0.1 --simulate 64 --plot losses.svg
  python -m rfcore losses --covariance patches --psi-n 32 --tau 1:1e8 --out patches.csv
  python -m rfcore losses --noise-draws 1 --ridge 0.001
  python -m rfcore losses --gamma 2 --noise-variance 0.1 --simulate 100

"""
    + covariance.FILES
)


def add_options(parser: argparse.ArgumentParser) -> None:
    question.add_options(parser)
    files.add_options(parser)
    times = parser.add_argument_group("training times")
    times.add_argument("--tau", type=_range, metavar="FIRST:LAST", help="1:1e6 (all that matter)")


def run(given: argparse.Namespace, command: str) -> int:
    """Answer, write what was asked for, print."""
    files.prepare(given.plot)
    asked, about = question.build(given)
    model, sizes, draws = question.realized(asked, given)
    found = curves.answer(model, given.tau)
    measured = curves.simulate(model, found.tau, given.simulate, draws, given.seed) if sizes else None
    if given.out is not None:
        files.write_numbers(given.out, curves.columns(found, measured), command)
    if given.plot is not None:
        files.write_picture(given.plot, show.picture(found, measured, sizes))
    print(question.heading(model, about, sizes), show.rows(found, measured), show.stop(found), sep="\n\n")
    if measured is not None:
        apart = curves.distance(found, measured)
        print(f"\nTheory and simulation: their losses differ by {apart:.2g} at most.")
    if sketch.wanted(given.text_plot):
        print("", show.sketched(found, measured), sep="\n")
    return 0


def _range(text: str) -> tuple[float, float]:
    """FIRST:LAST, a decade or more apart."""
    try:
        first, last = (float(word) for word in text.split(":"))
        good = 1e-30 <= first and 10 * first <= last * (1 + 1e-9) and last <= 1e30
    except ValueError:
        good = False
    if not good:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not allowed: 1:1e6, a decade or more, within 1e-30:1e30"
        )
    return first, last
