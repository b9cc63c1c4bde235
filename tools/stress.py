"""Asks random questions and looks for broken laws: `make stress`.

    python -m tools.stress [--questions 10000] [--seed 0] [--jobs 1] [--no-support] [--only INDEX]

Question k depends on the seed and on k alone, so a failure can be repeated with --only k; it is also
printed as a Python expression.  The summary goes to stdout, progress to stderr; the exit status is 1
when a law is broken or an exception raised.  The laws themselves are in tests/laws.py.
"""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import rfcore as rf
from tests.laws import ACTIVATIONS, DRAWS, Report, violations


def question(rng: np.random.Generator) -> rf.RandomFeatureModel:
    """A random question: ratios over six decades, few or many atoms over six decades, some zero, any m."""
    psi_p, psi_n = (float(x) for x in 10 ** rng.uniform(-2, 4, 2))
    t = float(10 ** rng.uniform(-3, np.log10(3)))
    atoms = int(rng.integers(1, 7)) if rng.random() < 0.99 else int(rng.integers(32, 1025))
    lam = 10 ** rng.uniform(-6, 0, atoms)
    if atoms > 1 and rng.random() < 0.25:
        lam[0] = 0.0
    weights = 10 ** rng.uniform(-2, 0, atoms)
    weights /= weights.sum()
    lam *= 10 ** rng.uniform(-2, 2) / (weights @ lam)
    return rf.RandomFeatureModel(
        psi_p,
        psi_n,
        t,
        rf.Covariance(lam, weights),
        activation=str(rng.choice(ACTIVATIONS)),
        noise_draws=float(rng.choice(DRAWS)),
    )


def expression(model: rf.RandomFeatureModel) -> str:
    """Python that makes the same question, up to the last bit of the weights (--only repeats it exactly)."""
    law = model.covariance
    covariance = f"rf.Covariance({law.eigenvalues.tolist()}, {law.weights.tolist()})"
    draws = "math.inf" if model.noise_draws == np.inf else f"{model.noise_draws:.0f}"
    numbers = f"{model.psi_p!r}, {model.psi_n!r}, {model.t!r}"
    return f"rf.RandomFeatureModel({numbers}, {covariance}, {model.activation!r}, {draws})"


def examine(index: int, seed: int, support: bool) -> tuple[int, Report]:
    """The report on question number `index`; an exception is a broken law."""
    rng = np.random.default_rng([seed, index])
    model = question(rng)
    try:
        return index, violations(model, rng, support)
    except Exception as e:  # one bad question must not hide the others
        return index, Report(broken=[f"{type(e).__name__}: {e}"])


def reports(indices: range | list[int], options: argparse.Namespace) -> Iterator[tuple[int, Report]]:
    ask = partial(examine, seed=options.seed, support=not options.no_support)
    if options.jobs == 1:
        yield from map(ask, indices)
        return
    with ProcessPoolExecutor(options.jobs) as pool:
        yield from pool.map(ask, indices, chunksize=20)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--no-support", action="store_true", help="leave out edges and masses")
    parser.add_argument("--only", type=int, help="repeat this one question")
    options = parser.parse_args()
    indices = range(options.questions) if options.only is None else [options.only]
    start, failed, laws = time.perf_counter(), [], Counter[str]()
    residual = mass = 0.0
    points = 0
    for index, report in rf.progress(Counted(indices, options), "questions"):
        residual, mass = max(residual, report.residual), max(mass, report.mass_defect)
        points += report.points
        if report.broken:
            failed.append(index)
            laws.update(text.split(":")[0] for text in report.broken)
            model = question(np.random.default_rng([options.seed, index]))
            print(f"question {index}: {expression(model)}", *report.broken, sep="\n    ", flush=True)
    print(f"{len(indices)} questions (seed {options.seed}), {points} points, {len(failed)} with a broken law")
    print(f"worst residual {residual:.2e}, worst mass defect {mass:.2e}")
    for name, count in laws.most_common():
        print(f"  {count:6d}  {name}")
    print(f"{time.perf_counter() - start:.0f} s on {options.jobs} process(es)", file=sys.stderr)
    return 1 if failed else 0


class Counted:
    """An iterable with a length, so that the progress bar knows the end."""

    def __init__(self, indices: range | list[int], options: argparse.Namespace) -> None:
        self.arguments = indices, options

    def __len__(self) -> int:
        return len(self.arguments[0])

    def __iter__(self) -> Iterator[tuple[int, Report]]:
        return reports(*self.arguments)


if __name__ == "__main__":
    sys.exit(main())
