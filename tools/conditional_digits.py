"""Trains class-conditional networks on digits with classes of unequal size: data/conditional-digits.npz.

    python -m tools.conditional_digits

Four classes with 4, 8, 16 and 32 training pictures.  The sizes rotate over the classes from run to run, so
that over four runs every class has had every size: what is left over the runs is the size, not the digit.
"""

import sys
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

import rfcore as rf
from rfcore._dataset import Dataset, from_pictures
from rfcore.images.schedule import NetworkScore, Noising, evaluating

NAME = "conditional-digits"
COMMAND = "python -m tools.conditional_digits"
ABOUT = (
    "Class-conditional small U-Nets on 60 digits of four classes with 4, 8, 16 and 32 pictures: copies by "
    "class, losses by class, and copies under guidance, along training."
)
DIGITS, SIZES = (0, 2, 5, 7), (4, 8, 16, 32)
RUNS, STEPS, CHECKPOINTS, FIRST = 8, 3000, 6, 400
WEIGHTS = (0.0, 1.0, 3.0)  # of the guidance
SAMPLES, LEVELS, DRAWS, LIMIT, HALF = 48, (50, 150, 300), 8, 1 / 3, 1 / 2
NULL = len(DIGITS)  # the class of pictures whose label is withheld
Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]


def pictures(run: int) -> tuple[list[Floats], list[Floats]]:
    """Training and held-out pictures of each class; class k of run r has SIZES[(k + r) % 4] pictures."""
    data = rf.datasets.digits()
    labels = data.labels
    assert labels is not None
    pool, rest = data.order[: -data.tests], data.test
    train, fresh = [], []
    for k, digit in enumerate(DIGITS):
        mine = pool[labels[pool] == digit]
        start = 32 * (run // 4)
        train.append(data.images[mine[start : start + SIZES[(k + run) % 4]]])
        fresh.append(data.images[rest[labels[rest] == digit]])
    return train, fresh


def dataset(train: list[Floats], fresh: list[Floats]) -> Dataset:
    """Three labelled copies of every training picture and one without its label, then the held-out ones."""
    known = np.concatenate([np.concatenate(train)] * 4)
    names = np.concatenate([np.full(len(x), k) for k, x in enumerate(train)])
    labels = np.concatenate([names, names, names, np.full(len(names), NULL)])
    test = np.concatenate(fresh)
    images = np.concatenate([known, test]).astype(np.float32)
    everything = np.concatenate([labels, np.zeros(len(test), dtype=np.int64)]).astype(np.int64)
    return from_pictures("unequal digits", images, np.arange(len(images)), len(test), everything)


class Guided:
    """(1 + w) s(x | y) - w s(x), both from one network."""

    def __init__(self, network: nn.Module, label: int, weight: float) -> None:
        self.network, self.label, self.weight = network, label, weight

    def __call__(self, x: torch.Tensor, t: float) -> torch.Tensor:
        y = torch.full((len(x),), self.label)
        given = NetworkScore(self.network, y, 1.5)(x, t)
        if self.weight == 0:
            return given
        free = NetworkScore(self.network, torch.full((len(x),), NULL), 1.5)(x, t)
        return given + self.weight * (given - free)


def measure(network: nn.Module, train: list[Floats], fresh: list[Floats], run: int) -> dict[str, Array]:
    """What one network does at one time, class by class, in the order of SIZES.

    copies : share of samples three times nearer to one training picture than to any other (of any class)
    control : the same against held-out pictures, as many in each class as there are training pictures
    own : share of samples of a class twice nearer to one of its training pictures than to any of the some 50
        held-out pictures of the class, a yardstick that does not depend on the size of the class
    """
    known = np.concatenate(train)
    rival = np.concatenate([f[: len(t)] for t, f in zip(train, fresh, strict=True)])
    start = rf.images.Training(seed=run).seeds.sample
    z = torch.randn(SAMPLES, 1, 8, 8, generator=torch.Generator().manual_seed(start))
    copies, control, own = (np.zeros((len(WEIGHTS), 4)) for _ in range(3))
    losses = np.zeros((2, 4))
    for k in range(4):
        place = (k + run) % 4
        for i, weight in enumerate(WEIGHTS):
            score = Guided(network, k, weight)
            x = rf.diffusion.sample(score, z, rf.images.sampling_times(20), "ddim").numpy()
            if not np.isfinite(x).all():
                raise ArithmeticError("a sample is not finite")
            found = rf.images.memorized_fraction(x, known, LIMIT)
            copies[i, place] = found.fraction
            control[i, place] = rf.images.memorized_fraction(x, rival, LIMIT).fraction
            near = _nearest(x, train[k]) / _nearest(x, fresh[k])
            own[i, place] = np.mean(near < HALF)
        losses[:, place] = [_loss(network, part, k) for part in (train[k], fresh[k])]
    return {"copies": copies, "control": control, "own": own, "losses": losses}


def _nearest(x: Array, points: Floats) -> Array:
    a, b = x.reshape(len(x), -1).astype(float), points.reshape(len(points), -1).astype(float)
    return np.asarray(np.linalg.norm(a[:, None] - b, axis=2).min(axis=1))


def _loss(network: nn.Module, images: Floats, label: int) -> float:
    """Mean loss of a class over three noise levels, with fresh noise that is the same for every network."""
    generator, noising, total = torch.Generator().manual_seed(1), Noising(), 0.0
    x = torch.tensor(images).repeat(DRAWS, 1, 1, 1)
    y = torch.full((len(x),), label)
    with evaluating(network) as (model, _):
        for level in LEVELS:
            eps = torch.randn(x.shape, generator=generator)
            k = torch.full((len(x),), level)
            total += float(((model(noising(x, k, eps), k, y) - eps) ** 2).mean()) / len(LEVELS)
    return total


def one(run: int) -> tuple[npt.NDArray[np.int64], dict[str, Array]]:
    """Train run number ``run``: the checkpoints and what was measured there."""
    train, fresh = pictures(run)
    data = dataset(train, fresh)
    question = rf.images.Training(
        network="cpu", n=4 * sum(SIZES), steps=STEPS, conditional=True, checkpoints=CHECKPOINTS,
        first=FIRST, seed=run,
    )  # fmt: skip

    found: list[dict[str, Array]] = []

    def record(network: nn.Module, tau: int) -> dict[str, Any]:
        if tau:
            found.append(measure(network, train, fresh, run))
        return {}

    answer = rf.images.train(question, data, measure=record)
    return answer.tau[1:], {key: np.stack([each[key] for each in found]) for key in found[0]}


def main(runs: int = RUNS) -> None:
    """Train all networks and store what was measured."""
    began = time.monotonic()
    results = []
    for run in range(runs):
        results.append(one(run))
        print(f"run {run + 1} of {runs}, {time.monotonic() - began:.0f} s", file=sys.stderr)
    tau = results[0][0]
    arrays = {key: np.stack([each[key] for _, each in results]) for key in results[0][1]}
    papers = rf.results.provenance(
        COMMAND,
        seed=list(range(runs)),
        seconds=round(time.monotonic() - began, 1),
        about=ABOUT,
        axes="copies, control, own: run, checkpoint, guidance weight, class size; losses: run, checkpoint, "
        "training or held-out pictures, class size",
        settings={
            "digits": DIGITS,
            "steps": STEPS,
            "samples": SAMPLES,
            "limit": LIMIT,
            "own limit": HALF,
            "levels": LEVELS,
        },
    )
    rf.results.save(NAME, {"tau": tau, "sizes": SIZES, "weights": WEIGHTS, **arrays}, papers)


if __name__ == "__main__":
    main()
