"""One run of training as an experiment: plain parameters in, curves out; see :mod:`rfcore.sweep`."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from rfcore import datasets
from rfcore._dataset import Dataset
from rfcore.checks import refuse, whole
from rfcore.diffusion import sample
from rfcore.images.losses import LossBank
from rfcore.images.metrics import frechet_distance, memorized_fraction
from rfcore.images.schedule import NetworkScore, sampling_times
from rfcore.images.training import Trained, Training, train

FILES: dict[str, Callable[[Path], Dataset]] = {
    "mnist": datasets.mnist,
    "folder": datasets.folder,
    "array": datasets.array_file,
}
BUNDLED: dict[str, Callable[[], Dataset]] = {"digits": datasets.digits, "patches": datasets.patches}
SOURCES = "digits, patches, mnist:PATH, folder:PATH or array:PATH"
ROOT = "RFCORE_DATA"


def image_training(
    data: str = "digits",
    network: str = "cpu",
    n: int = 16,
    split: int = 0,
    scale: str = "pm1",
    steps: int = 1600,
    batch: int = 64,
    batch_rule: str = "replacement",
    optimizer: str = "adam",
    learning_rate: float = 3e-3,
    times: str | int = "uniform",
    dropout: float = 0.0,
    conditional: bool = False,
    precision: str = "float32",
    checkpoints: int = 10,
    first: int = 50,
    seed: int = 0,
    pairs: int = 1024,
    samples: int = 128,
    sampling_steps: int = 20,
    clip: float = 1.5,
    features: str = "pixels",
    device: str = "cpu",
    compile: bool = False,
    scratch: Path | None = None,
) -> dict[str, npt.NDArray[Any]]:
    """Train one network on n pictures; losses, memorised fraction and Frechet distance at every checkpoint.

    data : digits, patches, mnist:PATH, folder:PATH or array:PATH, where PATH is relative to the current
        folder or to the folder that the environment variable RFCORE_DATA names, so that the command that
        repeats a run is the same everywhere
    network ... seed : as in rfcore.images.Training
    pairs : size of the frozen bank of losses
    samples, sampling_steps, clip : pictures drawn by DDIM at each checkpoint, the same noise for all; bound
        on the denoised pixels (0: none)
    features : of the Frechet distance to held-out pictures
    device, compile : where, and whether to translate the network first

    Pictures and weights are not stored.  An interrupted run goes on from its last checkpoint.
    """
    question = Training(
        network=network,
        n=n,
        split=split,
        scale=scale,
        steps=steps,
        batch=batch,
        batch_rule=batch_rule,
        optimizer=optimizer,
        learning_rate=learning_rate,
        times=times,
        dropout=dropout,
        conditional=conditional,
        precision=precision,
        checkpoints=checkpoints,
        first=first,
        seed=seed,
    )
    pictures = dataset(data)
    measure = _Measure(question, pictures, pairs, samples, sampling_steps, clip or None, features, device)
    run = train(question, pictures, measure=measure, state=scratch, device=device, compile=compile)
    return _arrays(run, pictures)


def dataset(word: str) -> Dataset:
    """The pictures that ``data`` names."""
    kind, colon, path = word.partition(":")
    if not colon and kind in BUNDLED:
        return BUNDLED[kind]()
    if not path or kind not in FILES:
        raise refuse("data", word, SOURCES)
    if Path(path).is_absolute():
        raise refuse("data", word, f"a path relative to the current folder or to {ROOT}, a folder")
    for root in filter(None, (".", os.environ.get(ROOT))):
        if (Path(root) / path).exists():
            return FILES[kind](Path(root) / path)
    where = "the current folder" + (f" and in {ROOT}" if ROOT in os.environ else f"; {ROOT} is not set")
    raise FileNotFoundError(f"data = {word!r}: there is no {path} in {where}")


class _Measure:
    """What is measured at a checkpoint: always the same bank, the same noise, the same held-out pictures."""

    def __init__(
        self,
        question: Training,
        pictures: Dataset,
        pairs: int,
        samples: int,
        sampling_steps: int,
        clip: float | None,
        features: str,
        device: str,
    ) -> None:
        self.data = pictures.subset(question.n, question.split, question.scale)
        self.clip, self.features = clip, features
        self.times = sampling_times(whole("sampling_steps", sampling_steps))
        ours, theirs = self.data.train_labels, self.data.test_labels
        classes = (ours, theirs) if question.conditional and ours is not None and theirs is not None else None
        self.bank = LossBank(self.data.train, self.data.test, pairs, question.seeds.evaluate, labels=classes)
        source = torch.Generator().manual_seed(question.seeds.sample)
        shape = (whole("samples", samples, least=2), *self.data.train.shape[1:])
        dtype = torch.float64 if question.precision == "float64" else torch.float32
        self.noise = torch.randn(shape, generator=source, dtype=dtype).to(device)
        self.labels = None
        if question.conditional and pictures.labels is not None:
            self.labels = torch.arange(samples) % (int(pictures.labels.max()) + 1)
        self.reference = self.data.pictures(self.data.test)[:samples]

    def __call__(self, network: nn.Module, tau: int) -> dict[str, Any]:
        del tau
        score = NetworkScore(network, self.labels, self.clip)
        drawn = sample(score, self.noise, self.times, "ddim").cpu().numpy().astype(np.float32)
        copies = memorized_fraction(drawn, self.data.train, held_out=self.data.test)
        assert copies.control is not None
        distance = frechet_distance(self.data.pictures(drawn), self.reference, self.features)
        return {
            **self.bank(network).row(),
            "f_mem": copies.fraction,
            "f_mem_low": copies.low,
            "f_mem_high": copies.high,
            "f_mem_control": copies.control.fraction,
            "coverage": copies.coverage,
            "ratios": copies.ratios.astype(np.float32),
            "nearest": copies.nearest,
            "frechet": distance.value,
            "frechet_error": distance.error,
            "frechet_bias": distance.bias,
        }


def _arrays(run: Trained, pictures: Dataset) -> dict[str, npt.NDArray[Any]]:
    """The curves, without times on the clock: the same question gives the same bytes."""
    curves = {name: values for name, values in run.curves.items() if name != "process_seconds"}
    data = np.array(pictures.sha256)
    parameters = sum(each.numel() for each in run.network.parameters() if each.requires_grad)
    return {
        "tau": run.tau,
        "images_seen": run.images_seen,
        **curves,
        "parameters": np.array(parameters),
        "data_sha256": data,
    }
