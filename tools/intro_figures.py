"""Makes the two interactive figures of the first page: theory at d = infinity over one simulation.

    python tools/intro_figures.py        writes chapters/intro-losses.html and chapters/intro-spectrum.html

The page is text and embeds the two files; `make run` makes them again, and a test compares.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

import rfcore as rf
from rfcore.book import COLORS, SliderFigure, slider_figure

ROOT = Path(__file__).resolve().parent.parent
GREY = "#808080"
D = 64  # of the simulation; p = 1024
SAMPLES = (32, 45, 64, 91, 128, 181, 256, 362, 512, 724, 1024, 1448, 2048)
TAU = np.geomspace(0.5, 2e5, 113)
SEEN = TAU[4::8]  # where the simulation is shown
RATIOS = np.round(2 * 2 ** (np.arange(10) / 2), 2)


def question(n: int) -> rf.RandomFeatureModel:
    """p = 1024 features for n samples in 64 dimensions, noise of variance 0.18."""
    return rf.RandomFeatureModel(psi_p=16, psi_n=n / D, t=0.1)


def measure(n: int) -> Any:
    """One network and one training set, at the times that are shown."""
    return rf.simulation.loss_curves(question(n), SEEN, d=D, seed=n)


def losses(measured: dict[int, Any]) -> SliderFigure:
    """Train and test loss against training time; the slider is the number of training samples."""
    curves = {n: rf.theory.loss_curves(question(n), TAU) for n in SAMPLES}
    times = {n: rf.theory.timescales(question(n)) for n in SAMPLES}
    best = float(np.exp(-0.2))  # the loss of the exact score at t = 0.1, Sigma = I

    def upright(at: float) -> tuple[Any, Any]:
        return np.full(2, at), np.array([0.0, 2.0])

    def line(frames: Any, color: str, name: str) -> dict[str, Any]:
        return {"kind": "line", "frames": frames, "color": color, "name": name}

    return slider_figure(
        [
            line([(TAU[[0, -1]], np.full(2, best))], GREY, "exact score"),
            line([upright(times[n].generalize) for n in SAMPLES], COLORS[2], "τ_gen"),
            line([upright(times[n].memorize) for n in SAMPLES], COLORS[3], "τ_mem"),
            line([(TAU, curves[n].train) for n in SAMPLES], COLORS[0], "train"),
            line([(TAU, curves[n].test) for n in SAMPLES], COLORS[1], "test"),
            *(
                {"kind": "points", "color": COLORS[k], "frames": [(SEEN, f(measured[n])) for n in SAMPLES]}
                for k, f in ((0, lambda m: m.train), (1, lambda m: m.test))
            ),
        ],
        values=list(map(str, SAMPLES)),
        label="training samples n",
        alt="Train and test loss against training time, on a logarithmic axis. Both fall together from "
        "one to about 0.82. Later they part: the train loss falls on, the test loss rises. With few "
        "samples they part almost at once; with many there is a long level stretch between, and "
        "with more samples than features they hardly part at all.",
        xlim=(TAU[0], TAU[-1]),
        ylim=(0.0, 2.0),
        readout=[_story(n, times[n]) for n in SAMPLES],
        start=SAMPLES.index(256),
        xlabel="training time τ",
        ylabel="loss",
        xscale="log",
    )


def _story(n: int, times: Any) -> str:
    begin, end = times.window
    ratio = f"n = {n}: {n / D:.3g} samples per dimension, {1024 / n:.3g} features per sample. "
    if np.isinf(end):
        return ratio + f"Stop at any time after τ = {begin:.0f}: there is no need to stop early."
    return (
        ratio
        + f"Good times to stop: from τ = {begin:.0f} to τ = {end:.0f}, a factor of {_round(end / begin)}."
    )


def spectrum() -> SliderFigure:
    """Density of the eigenvalues per bulk; the slider is n/d."""
    models = [rf.RandomFeatureModel(psi_p=64, psi_n=ratio, t=0.01) for ratio in RATIOS]
    supports = [rf.theory.support(model) for model in models]
    arcs = [
        [_arc(model, bulk) for bulk in found.bulks] for model, found in zip(models, supports, strict=True)
    ]
    floor = models[0].constants.s2
    return slider_figure(
        [
            {"kind": "line", "frames": [([floor, floor], [0.03, 60])], "color": GREY, "name": "atom"},
            {"kind": "line", "frames": [a[0] for a in arcs], "color": COLORS[3], "name": "third bulk"},
            {"kind": "line", "frames": [a[1] for a in arcs], "color": COLORS[1], "name": "sample bulk"},
            {"kind": "line", "frames": [a[2] for a in arcs], "color": COLORS[0], "name": "population bulk"},
        ],
        values=[f"{ratio:.3g}" for ratio in RATIOS],
        label="samples per dimension n/d",
        alt="Density of the eigenvalues on logarithmic axes: an upright line, the atom, and three separate "
        "arches. When the number of samples grows, the right arch, the population bulk, hardly moves, "
        "the middle one rises and moves left, and the left one, the third bulk, moves left with it, "
        "towards the atom.",
        xlim=(1e-3, 100.0),
        ylim=(0.03, 60.0),
        readout=[_where(model, found) for model, found in zip(models, supports, strict=True)],
        start=int(np.flatnonzero(RATIOS == 8)[0]),
        xlabel="eigenvalue of U",
        ylabel="eigenvalues per e-fold, divided by d",
        xscale="log",
        yscale="log",
    )


def _arc(model: Any, bulk: Any) -> tuple[Any, Any]:
    """psi_p x rho(x) over a bulk: its area over log x is the number of eigenvalues divided by d."""
    middle, half = np.log(bulk.left * bulk.right) / 2, np.log(bulk.right / bulk.left) / 2
    x = np.exp(middle - half * np.cos(np.pi * (np.arange(70) + 0.5) / 70))
    height = model.psi_p * x * rf.theory.density(model, x)
    return np.array([bulk.left, *x, bulk.right]), np.array([0, *height, 0])


def _where(model: Any, found: Any) -> str:
    low, _, top = found.bulks
    first, last, population = (
        _round(model.psi_p / (model.delta * at)) for at in (low.right, low.left, top.left)
    )
    return f"Population bulk learnt by τ = {population}, third bulk from τ = {first} to {last}."


def _round(value: float) -> str:
    """Two significant digits, thousands apart."""
    return f"{float(f'{value:.1e}'):,.{0 if value >= 10 else 1}f}".replace(",", "\u2009")


def refreshed(figure: SliderFigure, path: Path) -> bool:
    """Writes the figure if it differs from the file, and says whether it did."""
    text = figure.html + "\n"
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    path.write_text(text, encoding="utf-8")
    return True


def main() -> int:
    measured = {n: measure(n) for n in rf.progress(SAMPLES)}
    for name, figure in (("losses", losses(measured)), ("spectrum", spectrum())):
        path = ROOT / "chapters" / f"intro-{name}.html"
        print(f"{path.name}: {'changed' if refreshed(figure, path) else 'unchanged'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
