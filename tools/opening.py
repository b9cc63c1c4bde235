"""The states of the opening figure: what the theory, one simulation and two trained networks say, packed.

Every number is rounded to a whole number of 16 bits, little-endian, and the rows to base64.  ``places`` of
the time axis are log10 tau on LOWEST .. HIGHEST; eigenvalues stand at the time psi_p/(Delta lambda) at which
they are learnt.  Nothing is interpolated: a state that can be shown is a row of the table.
"""

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import rfcore as rf
from rfcore import results

Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint16]
D, T = 64, 0.1
SAMPLES = tuple(round(40 * 2 ** (k / 2)) for k in range(-2, 13))
FEATURES = tuple(round(64 * 2 ** (k / 2)) for k in range(2, 13))
PER_DECADE, DECADES = 16, 4.5
TAU = 10 ** (np.arange(int(PER_DECADE * DECADES) + 1) / PER_DECADE)
START = (SAMPLES.index(640), FEATURES.index(1024), int(2 * PER_DECADE))
LOWEST, HIGHEST = -1.0, 5.5  # log10 of the times that can be stored
NODES, PIECES = 32, 4  # of a bulk; bulks: two of the population, the sample bulk, the third bulk
SIMULATED = tuple(p for p in FEATURES if p <= 1024)
SEEN, BINS = 4, 52  # every fourth time is simulated; classes of eigenvalues, eight a decade
LOSS_UNIT, MOST = 1e-4, 65535
RUNS, NOISES = (40, 160, 640), 10  # training digits of the stored networks; the first of their noises
TIMES = ("generalize", "memorize", "begin", "end", "best", "atom")
RECORD = 2 * TAU.size + len(TIMES) + PIECES * (2 + NODES)
SIMULATION = 2 * TAU[::SEEN].size + BINS


def question(n: int, p: int) -> rf.RandomFeatureModel:
    """p random features for n samples in 64 dimensions, noise of variance 0.18."""
    return rf.RandomFeatureModel(psi_p=p / D, psi_n=n / D, t=T)


@dataclass(frozen=True)
class State:
    """What the theory says at one n and p.

    test, train : losses at TAU;  times : by name, nan where there is none
    pieces : for each bulk its first and last place and the directions per decade at NODES places between,
        or None: the population bulk (in two pieces if n is small), the sample bulk, the third bulk
    """

    test: Floats
    train: Floats
    times: dict[str, float]
    pieces: tuple[tuple[float, float, Floats] | None, ...]


def state(n: int, p: int) -> State:
    """The exact answers at d = infinity, in numbers of directions at d = 64."""
    model = question(n, p)
    curves, found, scales = (
        f(model, *rest)
        for f, rest in (
            (rf.theory.loss_curves, (TAU,)),
            (rf.theory.support, ()),
            (rf.theory.timescales, ()),
        )
    )
    times = {
        "generalize": scales.generalize,
        "memorize": scales.memorize,
        "begin": scales.window[0],
        "end": scales.window[1],
        "best": scales.stop_best,
        "atom": learnt(model, found.atom.location) if found.atom else np.nan,
    }
    named = roles(found.bulks, model.psi_p)
    pieces = tuple(None if bulk is None else _piece(model, bulk) for bulk in named)
    return State(curves.test, curves.train, times, pieces)


def learnt(model: rf.RandomFeatureModel, eigenvalue: Any) -> Any:
    """psi_p/(Delta lambda): the time in which a direction with this eigenvalue is learnt."""
    return model.psi_p / (model.delta * eigenvalue)


def roles(bulks: Any, psi_p: float) -> tuple[Any, ...]:
    """The bulks as (population, its other piece or None, sample bulk, third bulk or None).

    The population bulk is the d largest eigenvalues.  A third bulk that has not separated from the sample
    bulk is part of it.  Raises ValueError where no gap is below the d largest eigenvalues.
    """
    k, mass = len(bulks), 0.0
    while k and mass < 1 - 1e-9:
        k -= 1
        mass += psi_p * bulks[k].mass
    below, top = bulks[:k], bulks[k:]
    if abs(mass - 1) > 1e-6 or not below or len(below) > 2 or len(top) > 2:
        raise ValueError(f"the bulks have masses {[psi_p * b.mass for b in bulks]}/psi_p: no population bulk")
    second = top[0] if len(top) == 2 else None
    return top[-1], second, below[-1], below[0] if len(below) == 2 else None


def _piece(model: rf.RandomFeatureModel, bulk: Any) -> tuple[float, float, Floats]:
    first, last = np.log10(learnt(model, np.array([bulk.right, bulk.left])))
    x = learnt(model, 10 ** nodes(first, last))
    return float(first), float(last), per_decade(model, x)


def nodes(first: float, last: float) -> Floats:
    """Places between the ends of a bulk, closer at the ends, where its density is steep."""
    angle = (np.arange(NODES) + 0.5) * np.pi / NODES
    return np.asarray(first + (last - first) * (1 - np.cos(angle)) / 2)


def per_decade(model: rf.RandomFeatureModel, x: Floats) -> Floats:
    """Eigenvalues of U per factor of ten at d = 64."""
    return np.asarray(D * model.psi_p * np.log(10) * x * rf.theory.density(model, x))


def simulate(n: int, p: int) -> tuple[Floats, Floats, Floats]:
    """Test and train loss at TAU[::SEEN], and directions per decade, of one drawn network at d = 64.

    Of its p eigenvalues the n + d largest are counted: the others are at the atom.
    """
    model = question(n, p)
    curves = rf.simulation.loss_curves(model, TAU[::SEEN], d=D, seed=n)
    values = rf.simulation.eigenvalues(model, d=D, seed=n)[-min(p, n + D) :]
    edges = np.linspace(LOWEST, HIGHEST, BINS + 1)
    counts, _ = np.histogram(np.log10(learnt(model, values)), edges)
    return curves.test, curves.train, counts / (edges[1] - edges[0])


def pack_state(found: State) -> Words:
    """One row of RECORD words: losses, times, then per bulk its ends and heights."""
    parts = [losses(found.test), losses(found.train), places(np.log10([found.times[k] for k in TIMES]))]
    for piece in found.pieces:
        ends, tops = (piece[:2], piece[2]) if piece else ([np.nan] * 2, np.zeros(NODES))
        parts += [places(np.array(ends)), heights(tops)]
    return np.concatenate(parts)


def pack_simulation(found: tuple[Floats, Floats, Floats]) -> Words:
    """One row of SIMULATION words."""
    return np.concatenate([losses(found[0]), losses(found[1]), heights(found[2])])


def losses(values: Floats) -> Words:
    return _words(np.rint(values / LOSS_UNIT))


def places(values: Floats) -> Words:
    """0 for nan, MOST for infinity."""
    share = np.rint((values - LOWEST) / (HIGHEST - LOWEST) * MOST)
    inside = share[np.isfinite(values)]
    if inside.size and not (inside.min() >= 1 and inside.max() < MOST):
        raise ValueError(f"a time of 10^{values} is outside of 10^{LOWEST} .. 10^{HIGHEST}")
    return _words(np.where(np.isnan(values), 0, np.minimum(share, MOST)))


def heights(values: Floats) -> Words:
    """log10 of 1 .. 100,000 directions per decade; 0 for less."""
    return _words(np.rint(np.log10(np.maximum(values, 1.0)) / 5 * MOST))


def _words(values: Floats) -> Words:
    if not (values.min() >= 0 and values.max() <= MOST):
        raise ValueError(f"numbers from {values.min()} to {values.max()} do not fit into 16 bits")
    return values.astype("<u2")


def coded(rows: list[Words]) -> str:
    return base64.b64encode(np.stack(rows).astype("<u2").tobytes()).decode()


def decoded(text: str, width: int) -> Words:
    """What :func:`coded` coded: (rows, width)."""
    return np.frombuffer(base64.b64decode(text), dtype="<u2").reshape(-1, width)


def digits() -> tuple[npt.NDArray[np.uint8], list[dict[str, Any]]]:
    """(runs, looks, 3, NOISES, 8, 8) bytes, and what is known of each run.

    Rows: of a U-Net trained on other digits, of a U-Net, and the training digits nearest to the second row.
    """
    stored, known = results.load("digits-pairs"), rf.datasets.digits()
    sheets, about = [], []
    for n in RUNS:
        k = next(j for j, point in enumerate(stored.provenance["points"]) if point["n"] == n)
        pair = stored.arrays[f"pair_{k}"].tolist().index([0, 1])  # U-Nets on split 0 and on split 1
        made = stored.arrays[f"pictures_{k}"][:, :2, :NOISES].reshape(-1, 2, NOISES, 8, 8)
        near = np.stack([nearest(look[0], known.subset(n, 0).train) for look in made])
        sheets.append(np.stack([made[:, 1], made[:, 0], near], axis=1))
        about.append(
            {
                "n": n,
                "steps": stored.arrays[f"tau_{k}"].tolist(),
                "copies": stored.arrays[f"f_mem_{k}"][:, 0].round(3).tolist(),
                "alike": stored.arrays[f"rho2_{k}"][:, pair].round(2).tolist(),
                "best": int(np.argmin(stored.arrays[f"test_loss_{k}"][:, 0])),
            }
        )
    return np.stack(sheets), about


def nearest(made: npt.NDArray[np.uint8], training: Any) -> npt.NDArray[np.uint8]:
    """The training pictures nearest to the pictures made, as bytes."""
    x = np.asarray(training, dtype=np.float64).reshape(len(training), -1)
    far = np.linalg.norm(made.reshape(len(made), 1, -1) / 127.5 - 1 - x, axis=-1)
    chosen = x[far.argmin(axis=1)].reshape(-1, 8, 8)
    return np.asarray(np.rint((chosen.clip(-1, 1) + 1) * 127.5), dtype=np.uint8)


def sheet(pictures: npt.NDArray[np.uint8]) -> bytes:
    """All looks of all runs below each other in one PNG, with transparent gaps of one pixel."""
    from PIL import Image

    runs, looks, rows, columns, high, wide = pictures.shape
    lines = pictures.reshape(runs * looks * rows, columns, high, wide)
    canvas = np.zeros((len(lines) * (high + 1), columns * (wide + 1) - 1, 2), dtype=np.uint8)
    for i, j in np.ndindex(len(lines), columns):
        cell = canvas[i * (high + 1) :, j * (wide + 1) :][:high, :wide]
        cell[..., 0], cell[..., 1] = lines[i, j], 255
    out = io.BytesIO()
    Image.fromarray(canvas, "LA").save(out, "PNG", optimize=True)
    return out.getvalue()


def rate(about: list[dict[str, Any]]) -> float:
    """Steps of the networks that are shown beside one unit of tau.

    Such that at n = 40 the network and the model with p = 1024 have their lowest test losses at one place.
    """
    best = about[0]["steps"][about[0]["best"]]
    return float(best / rf.theory.timescales(question(RUNS[0], 1024)).stop_best)


def payload() -> dict[str, Any]:
    """All that the figure knows.  A few minutes."""
    pictures, about = digits()
    return {
        "n": SAMPLES, "p": FEATURES, "start": START, "simulated": len(SIMULATED),
        "nodes": NODES, "seen": SEEN, "bins": BINS, "taus": TAU.size, "perDecade": PER_DECADE,
        "low": LOWEST, "high": HIGHEST, "d": D, "delta": question(D, D).delta,
        "perfect": float(np.exp(-2 * T)),
        "states": coded([pack_state(state(n, p)) for p in rf.progress(FEATURES) for n in SAMPLES]),
        "simulations": coded([
            pack_simulation(simulate(n, p)) for p in rf.progress(SIMULATED) for n in SAMPLES
        ]),
        "runs": about, "rate": rate(about), "sheet": base64.b64encode(sheet(pictures)).decode(),
    }  # fmt: skip
