"""U-Nets and DiTs on disjoint training sets, sampled from the same noise: an experiment of plain values."""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from rfcore._dataset import Dataset, Subset
from rfcore.checks import whole
from rfcore.diffusion import sample
from rfcore.images._draws import seeds
from rfcore.images.consistency import (
    LinearMap,
    agreement,
    linear_map,
    linear_pair,
    linear_share,
    predicted_pair,
)
from rfcore.images.experiment import BUNDLED, dataset
from rfcore.images.losses import LossBank
from rfcore.images.metrics import memorized_fraction
from rfcore.images.schedule import NetworkScore, sampling_times
from rfcore.images.training import Trained, Training, train

Arrays = dict[str, npt.NDArray[Any]]
# Architecture, split, and which of four independent seeds: each architecture once on either split with seeds
# of its own, and once more on split 0 with the seed of split 1, which makes both controls.
MODELS = (("unet", 0, 0), ("unet", 1, 1), ("unet", 0, 1), ("dit", 0, 2), ("dit", 1, 3), ("dit", 0, 3))
PAIRS = tuple(combinations(range(len(MODELS)), 2))
SPLITS = (0, 1)
LINEAR = ("d2", "rho2", "modes", "error")
RELATIVE = ("d2", "d2_error", "control", "control_error", "rho2", "rho2_error", "cosine", "cosine_error")
RESOLVED = ("modes", "modes_error")
NEAREST = ("nearest", "nearest_error", "nearest_control")


def image_pairs(
    data: str = "digits",
    n: int = 160,
    unet: str = "cpu",
    dit: str = "dit-cpu",
    steps: int = 8000,
    batch: int = 64,
    learning_rate: float = 3e-3,
    precision: str = "float32",
    checkpoints: int = 8,
    first: int = 100,
    seed: int = 0,
    bank: int = 1024,
    samples: int = 512,
    sampling_steps: int = 20,
    clip: float = 1.5,
    shown: int = 64,
    device: str = "cpu",
    compile: bool = False,
    scratch: Path | None = None,
) -> Arrays:
    """Train six networks on two disjoint sets of n pictures; compare what each two make of the same noise.

    data, steps ... first : as for :func:`rfcore.images.experiment.image_training`, the same for all networks
    unet, dit : names of networks
    seed : the seeds of training are 4 seed ... 4 seed + 3; the noise of the samples is that of 4 seed
    bank : size of the frozen bank of losses
    samples, sampling_steps, clip : pictures drawn by DDIM at each checkpoint; bound on the denoised pixels
        (0: none)
    shown : of how many noises to keep the pictures; none are kept of data that do not come with the package

    Networks (M = 6): U-Net on split 0, on split 1, and on split 0 with the seed of split 1; DiT likewise.  A
    seed fixes initialisation, order of the data, times and noise.  With K checkpoints, P = 15 pairs, m
    samples, dimension d:

    network, split, seed (M,); parameters (M,); pair (P, 2), two networks; tau (K,)
    train_loss, test_loss, f_mem, f_mem_low, f_mem_high, f_mem_control : (K, M)
    share, share_error, share_control (K, M), share_modes, share_modes_error (K, M, d), share_each (K, M, m) :
        variance that the linear map of the network's own training set, for this sampler, predicts from the
        noise, see linear_share
    d2, rho2, cosine and their _error, control, nearest_control (K, P), nearest, nearest_error (K, P) : see
        agreement; modes, modes_error (K, P, d), distances (K, P, m)
    linear_d2, linear_rho2, linear_modes (d,) : the linear maps of split 0 and 1, for this sampler, exactly;
        flow_... : for the exact probability flow;  theory_... and theory_error : on average over training
        sets, from the covariance of the population and n
    eigenvalues (d,) : of the population, whose eigenvectors resolve all modes
    noise, pictures (K, M, ...) as bytes 0 .. 255 : of the first ``shown`` samples

    "Same nearest picture" is among the held-out pictures, all else relative to the population.
    """
    pictures = dataset(data)
    common: dict[str, Any] = {"n": n, "steps": steps, "batch": batch, "learning_rate": learning_rate}
    common |= {"precision": precision, "checkpoints": checkpoints, "first": first}
    names, first_seed = {"unet": unet, "dit": dit}, 4 * whole("seed", seed, least=0)
    sets = [pictures.subset(n, split) for split in SPLITS]
    times = sampling_times(whole("sampling_steps", sampling_steps))
    kept = min(whole("shown", shown, least=0), samples) if data in BUNDLED else 0
    noise = _noise(whole("samples", samples, least=20), sets[0], precision, first_seed)
    runs, states = [], []
    for k, (kind, split, stream) in enumerate(MODELS):
        question = Training(network=names[kind], split=split, seed=first_seed + stream, **common)
        measure = _Measure(sets[split], noise.to(device), times, clip or None, bank, question.seeds.evaluate)
        state = None if scratch is None else scratch.with_name(f"{scratch.name}.{k}")
        runs.append(train(question, pictures, measure=measure, state=state, device=device, compile=compile))
        states.append(state)
    compared = _Compared(pictures, noise.flatten(1).double().numpy(), times, sets)
    arrays = {**_about(runs, pictures), **compared.linear(n), **compared.networks(runs)}
    arrays |= {"noise": noise[:kept].float().numpy(), "pictures": _bytes(_over(runs, "samples")[:, :, :kept])}
    for state in states:
        if state is not None:
            state.unlink(missing_ok=True)
    return arrays


class _Measure:
    """At a checkpoint: the samples, from the same noise for all networks; losses; copies."""

    def __init__(
        self,
        data: Subset,
        noise: torch.Tensor,
        times: npt.NDArray[np.float64],
        clip: float | None,
        bank: int,
        seed: int,
    ) -> None:
        self.data, self.noise, self.times, self.clip = data, noise, times, clip
        self.bank = LossBank(data.train, data.test, bank, seed)

    def __call__(self, network: nn.Module, tau: int) -> dict[str, Any]:
        del tau
        drawn = sample(NetworkScore(network, None, self.clip), self.noise, self.times, "ddim")
        values = drawn.cpu().numpy().astype(np.float32)
        losses = self.bank(network)
        copies = memorized_fraction(values, self.data.train, held_out=self.data.test)
        assert copies.control is not None
        return {
            "samples": values,
            "train_loss": losses.train,
            "test_loss": losses.test,
            "f_mem": copies.fraction,
            "f_mem_low": copies.low,
            "f_mem_high": copies.high,
            "f_mem_control": copies.control.fraction,
        }


@dataclass(frozen=True, eq=False)
class _Compared:
    """All comparisons, in the eigenbasis of the population.  noise : (m, d);  sets : of split 0 and 1."""

    pictures: Dataset
    noise: npt.NDArray[np.float64]
    times: npt.NDArray[np.float64]
    sets: list[Subset]

    @property
    def population(self) -> npt.NDArray[np.float64]:
        return np.asarray(self.pictures.population + self.pictures.mean)

    def maps(self, method: str | None) -> tuple[LinearMap, LinearMap]:
        times = self.times if method else self.times[[0, -1]]
        first, second = (linear_map(each.train, times, method) for each in self.sets)
        return first, second

    def linear(self, n: int) -> Arrays:
        """Two linear denoisers: for this sampler, for the flow, and on average over training sets."""
        start, reference = float(self.times[0]), self.population
        found = {
            "linear": linear_pair(*self.maps("ddim"), reference=reference),
            "flow": linear_pair(*self.maps(None), reference=reference),
            "theory": predicted_pair(self.pictures.sigma, self.pictures.mean, n, start),
        }
        arrays = {
            f"{name}_{key}": np.array(getattr(each, key)) for name, each in found.items() for key in LINEAR
        }
        return {"eigenvalues": found["linear"].eigenvalues, **arrays}

    def networks(self, runs: list[Trained]) -> Arrays:
        """Shares of the networks and agreement of the pairs, at every checkpoint."""
        drawn, maps = _over(runs, "samples"), self.maps("ddim")
        shares = [
            [self._share(x, maps[split]) for x, (_, split, _) in zip(at, MODELS, strict=True)] for at in drawn
        ]
        pairs = [[self._pair(at[a], at[b]) for a, b in PAIRS] for at in drawn]
        return {**_stacked(shares), **_stacked(pairs)}

    def _share(self, x: npt.NDArray[Any], linear: LinearMap) -> Arrays:
        found = linear_share(x, self.noise, linear, self.population)
        return {
            "share": np.array(found.share),
            "share_error": np.array(found.error),
            "share_control": np.array(found.control),
            "share_modes": found.modes,
            "share_modes_error": found.modes_error,
            "share_each": found.each.astype(np.float32),
        }

    def _pair(self, a: npt.NDArray[Any], b: npt.NDArray[Any]) -> Arrays:
        found, near = (
            agreement(a, b, self.population),
            agreement(a, b, self.pictures.images[self.pictures.test]),
        )
        whole_population = {key: np.array(getattr(found, key)) for key in RELATIVE + RESOLVED}
        held_out = {key: np.array(getattr(near, key)) for key in NEAREST}
        return {**whole_population, **held_out, "distances": found.distances.astype(np.float32)}


def _noise(count: int, data: Subset, precision: str, seed: int) -> torch.Tensor:
    source = torch.Generator().manual_seed(seeds(seed).sample)
    dtype = torch.float64 if precision == "float64" else torch.float32
    return torch.randn((count, *data.train.shape[1:]), generator=source, dtype=dtype)


def _about(runs: list[Trained], pictures: Dataset) -> Arrays:
    names = ("train_loss", "test_loss", "f_mem", "f_mem_low", "f_mem_high", "f_mem_control")
    sizes = [sum(w.numel() for w in run.network.parameters() if w.requires_grad) for run in runs]
    return {
        "network": np.array([kind for kind, _, _ in MODELS]),
        "split": np.array([run.question.split for run in runs]),
        "seed": np.array([run.question.seed for run in runs]),
        "parameters": np.array(sizes),
        "pair": np.array(PAIRS),
        "data_sha256": np.array(pictures.sha256),
        "tau": runs[0].tau,
        **{name: _over(runs, name) for name in names},
    }


def _over(runs: list[Trained], name: str) -> npt.NDArray[Any]:
    """Curves of all networks, (K, M, ...)."""
    return np.stack([run.curves[name] for run in runs], axis=1)


def _stacked(rows: list[list[Arrays]]) -> Arrays:
    return {key: np.array([[each[key] for each in row] for row in rows]) for key in rows[0][0]}


def _bytes(pictures: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """[-1, 1] as 0 .. 255; what lies outside is clipped."""
    return np.rint((pictures.clip(-1, 1) + 1) * 127.5).astype(np.uint8)
