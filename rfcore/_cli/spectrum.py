"""``python -m rfcore spectrum``: bulks, masses and learning times; theory, and a simulation beside it."""

import argparse
import math

import numpy as np
import numpy.typing as npt

from rfcore._cli import covariance, curves, files, question, report, sketch, spectra
from rfcore._cli import spectrum_show as show

Floats = npt.NDArray[np.float64]
SUMMARY = "where the eigenvalues are, and when they are learnt"
ABOUT = (
    """Where the eigenvalues of U are, the matrix that sets how fast a random-feature
score is learnt: an eigenvalue x is learnt in the time psi_p/(Delta x). Theory is exact at
d = infinity; --simulate draws the matrix at finite d and says how far apart the two are.
For a linear denoiser (--gamma): the eigenvalues of the covariance of n samples.

  python -m rfcore spectrum
  python -m rfcore spectrum --psi-p 16 --psi-n 4 --simulate 64
  python -m rfcore spectrum --covariance digits --out digits.csv --plot digits.svg
  python -m rfcore spectrum --covariance mydata.npy --psi-n 2
  python -m rfcore spectrum --gamma 0.5 --covariance power-law:1.5

"""
    + covariance.FILES
)


def add_options(parser: argparse.ArgumentParser) -> None:
    question.add_options(parser)
    files.add_options(parser)


def run(given: argparse.Namespace, command: str) -> int:
    """Answer, write what was asked for, print."""
    files.prepare(given.plot)
    asked, about = question.build(given)
    model, sizes, draws = question.realized(asked, given)
    spectrum, eigenvalues, apart = spectra.answer(model), None, math.nan
    times = curves.training_times(model)
    columns = _columns(spectrum)
    if sizes:
        eigenvalues = spectra.simulate(model, given.simulate, draws, given.seed)
        apart = spectra.distance(spectrum, eigenvalues)
        columns |= {"eigenvalues": eigenvalues.ravel(), "distance": np.array([apart])}
    if given.out is not None:
        files.write_numbers(given.out, columns, command)
    if given.plot is not None:
        files.write_picture(given.plot, show.picture(spectrum, eigenvalues, sizes))
    print(question.heading(model, about, sizes), show.rows(spectrum, eigenvalues), sep="\n\n")
    if times is not None:
        print("", report.clock(times, times.stop_best), sep="\n")
    if sizes:
        print(f"\nTheory and simulation: their distribution functions differ by {apart:.2%} at most.")
    if sketch.wanted(given.text_plot):
        print("", show.sketched(spectrum, eigenvalues), sep="\n")
    return 0


def _columns(spectrum: spectra.Spectrum) -> dict[str, Floats]:
    """The density at nodes, bulk after bulk; one number for each bulk; the atom, if there is one."""
    columns = {
        "x": np.concatenate([b.x for b in spectrum.bulks]),
        "density": np.concatenate([b.density for b in spectrum.bulks]),
        "below": np.concatenate([b.below for b in spectrum.bulks]),
    }
    for name in ("left", "right", "mass", "time"):
        columns[name] = np.array([getattr(b, name) for b in spectrum.bulks])
    if spectrum.atom is not None:
        columns["atom_location"], columns["atom_mass"] = (np.array([v]) for v in spectrum.atom)
    return columns
