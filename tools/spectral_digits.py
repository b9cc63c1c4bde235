"""Trains small U-Nets on few and on many digits and looks at them mode by mode: data/spectral-digits.npz.

    python -m tools.spectral_digits

At every checkpoint and at three noise levels: the loss of the noise along each eigenvector of the covariance
of the digits and along each cosine, on held-out and on training pictures, and the Jacobian of the denoiser.
"""

import math
import sys
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

import rfcore as rf
from rfcore._dataset import Subset
from rfcore.images.jacobian import denoiser_jacobian, in_basis, shrinkage
from rfcore.images.schedule import ABAR, Noising, evaluating

NAME = "spectral-digits"
COMMAND = "python -m tools.spectral_digits"
ABOUT = (
    "Small U-Nets on 16 and on 1,024 digits, mode by mode along training: losses by eigenvector of the "
    "covariance and by cosine, and eigenvalues and eigenvectors of the Jacobian of the denoiser."
)
SIZES, SEEDS, STEPS, CHECKPOINTS, FIRST = (16, 1024), 3, 2000, 7, 40
NOISE = (0.1, 0.5, 2.0)  # z in units of the mean variance of a pixel
PICTURES, DRAWS, SHOWN = 16, 8, 6
Array = npt.NDArray[np.float64]


def levels(variance: float) -> list[int]:
    """The indices of the schedule whose z = (1 - abar)/abar is nearest to NOISE times the variance."""
    z = (1 - ABAR) / ABAR
    return [int(np.argmin(np.abs(np.log(z / (each * variance))))) for each in NOISE]


class Eye:
    """What is measured, with noise that is the same at every checkpoint."""

    def __init__(self, data: Subset, seed: int) -> None:
        digits = rf.datasets.digits()
        self.basis = np.linalg.eigh(digits.sigma)[1][:, ::-1]
        self.cosines = rf.datasets.cosines(8)
        self.levels = levels(digits.covariance.variance)
        count = min(len(data.train), 256)
        self.pictures = [torch.tensor(data.test[:256]), torch.tensor(data.train[:count])]
        self.seed = seed

    def losses(self, network: nn.Module, level: int, held: bool) -> Array:
        """Mean square error of the noise along the two bases, (2, d)."""
        x0 = self.pictures[0 if held else 1]
        x0 = x0.repeat(256 * DRAWS // len(x0), 1, 1, 1)
        generator = torch.Generator().manual_seed(self.seed)
        eps = torch.randn(x0.shape, generator=generator)
        k = torch.full((len(x0),), level)
        with evaluating(network) as (model, _):
            off = (model(Noising()(x0, k, eps), k, None) - eps).flatten(1).double().numpy()
        return np.stack([np.mean((off @ b) ** 2, axis=0) for b in (self.basis, self.cosines.basis)])

    def jacobians(self, network: nn.Module, level: int, held: bool) -> Array:
        """At PICTURES noisy pictures, (m, d, d)."""
        x0 = self.pictures[0 if held else 1][:PICTURES]
        generator = torch.Generator().manual_seed(self.seed + 1)
        k = torch.full((len(x0),), level)
        return denoiser_jacobian(network, Noising()(x0, k, torch.randn(x0.shape, generator=generator)), level)

    def look(self, network: nn.Module) -> dict[str, Array]:
        found: dict[str, list[Array]] = {}

        def note(name: str, value: npt.ArrayLike) -> None:
            found.setdefault(name, []).append(np.asarray(value, dtype=np.float32))

        for level in self.levels:
            note("test", self.losses(network, level, True))
            note("train", self.losses(network, level, False))
            for where, held in (("test", True), ("train", False)):
                jacobians = self.jacobians(network, level, held)
                own = shrinkage(jacobians)
                kept, share = zip(
                    *(in_basis(jacobians, b) for b in (self.basis, self.cosines.basis)), strict=True
                )
                note(f"kept_{where}", [k.mean(axis=0) for k in kept])
                note(f"diagonal_{where}", [s.mean() for s in share])
                note(f"factors_{where}", own.factors.mean(axis=0))
                note(f"asymmetry_{where}", own.asymmetry.mean())
                waves = np.einsum("ik,mij->mkj", self.cosines.basis, own.vectors) ** 2
                note(f"frequency_{where}", np.einsum("k,mkj->j", self.cosines.frequency, waves) / len(waves))
                modes = np.einsum("ik,mij->mkj", self.basis, own.vectors) ** 2
                note(f"overlap_{where}", modes.mean(axis=0))
                if held:
                    note("shown", own.vectors[0, :, :SHOWN])
        return {name: np.stack(values) for name, values in found.items()}


def one(n: int, seed: int) -> tuple[npt.NDArray[np.int64], dict[str, Array]]:
    """One network: the checkpoints, and what was seen at each."""
    question = rf.images.Training(
        network="cpu", n=n, split=seed if n < 256 else 0, steps=STEPS, checkpoints=CHECKPOINTS, first=FIRST,
        seed=seed,
    )  # fmt: skip
    data = rf.datasets.digits()
    eye, found = Eye(data.subset(n, question.split, question.scale), seed), []

    def record(network: nn.Module, tau: int) -> dict[str, Any]:
        found.append(eye.look(network))
        return {}

    answer = rf.images.train(question, data, measure=record)
    return answer.tau, {name: np.stack([each[name] for each in found]) for name in found[0]}


def main(seeds: int = SEEDS) -> None:
    """Train all networks and store what was seen."""
    began, rows = time.monotonic(), []
    for n in SIZES:
        runs = []
        for seed in range(seeds):
            tau, found = one(n, seed)
            runs.append(found)
            print(f"n = {n}, seed {seed}, {time.monotonic() - began:.0f} s", file=sys.stderr)
        rows.append({name: np.stack([run[name] for run in runs]) for name in runs[0]})
    arrays: dict[str, npt.NDArray[Any]] = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    for name in ("overlap_test", "overlap_train", "shown"):  # pictures: the first seeds' mean, and one seed
        arrays[name] = arrays[name].mean(axis=1) if name != "shown" else arrays[name][:, 0]
    arrays["tau"] = np.asarray(tau)
    index = levels(rf.datasets.digits().covariance.variance)
    arrays["index"] = np.asarray(index)
    arrays["z"] = np.asarray([(1 - ABAR[k]) / ABAR[k] for k in index])
    papers = rf.results.provenance(
        COMMAND,
        seed=list(range(seeds)),
        seconds=round(time.monotonic() - began, 1),
        about=ABOUT,
        axes="n, seed, checkpoint, noise level, then: test, train, kept: basis (covariance, cosines) and "
        "mode; diagonal: basis; factors, frequency: rank; overlap (mean over seeds): mode and rank; shown "
        "(seed 0): pixel and rank",
        settings={"n": SIZES, "steps": STEPS, "noise": NOISE, "pictures": PICTURES, "draws": DRAWS},
    )
    rf.results.save(NAME, arrays, papers)
    print(f"{math.floor(time.monotonic() - began)} s", file=sys.stderr)


if __name__ == "__main__":
    main()
