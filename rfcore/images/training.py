"""Training on real pictures: a question that says everything about a run, and its answer.

The loss is that of Ho et al. (2020), the mean over pixels, pictures, times and noise of
(eps_theta(x_k, k) - eps)^2 with x_k = sqrt(abar_k) x_0 + sqrt(1 - abar_k) eps.  Training time tau is counted
in steps of the optimiser; there is no schedule, weight decay, clipping or averaging of weights, because
each of them would shift tau.

>>> question = rf.images.training.Training(network="nano", n=16, steps=100)
>>> len(rf.images.training.key(question, rf.datasets.digits())) > 10
True
"""

import hashlib
import json
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from rfcore._dataset import SCALES, Dataset, Subset
from rfcore.checks import choice, nonnegative, positive, refuse, whole
from rfcore.images._draws import Seeds, seeds
from rfcore.images._run import Measure, Run
from rfcore.images.networks import PRESETS
from rfcore.images.schedule import NetworkScore, clock
from rfcore.progress import progress

RULES, OPTIMIZERS = ("replacement", "epoch", "full"), ("adam", "sgd")
PRECISIONS = ("float32", "float64", "bfloat16")


@dataclass(frozen=True)
class Training:
    """One run: network, data, loss, optimiser, seed.

    network : a name of :data:`rfcore.images.PRESETS`;  dropout, for U-Nets;  conditional : on the class
    n, split, scale : the training pictures, :meth:`rfcore.datasets.Dataset.subset`
    steps : number of updates
    batch, batch_rule : B pictures a step, with "replacement" (the same B for every n); "epoch": passes
        without replacement, B = min(batch, n); "full": B = n
    optimizer, learning_rate : "adam", or "sgd" with momentum 0.95
    times : noise levels of the loss, "uniform" on 1 .. 999, "stratified", or one index
    precision : "float32", "float64", or "bfloat16" (in products only; weights and loss stay float32)
    checkpoints, first : tau = 0 and ``checkpoints`` steps from ``first`` to ``steps`` in geometric
        progression, rounded down
    seed : one number, from which initialisation, data order, times, noise and dropout each get their own
        generator: n does not change the noise, the network does not change the batches

    Raises ValueError naming the parameter, its value and what is allowed.

    >>> rf.images.Training(network="nano", n=16, steps=100, checkpoints=3).taus
    (0, 50, 70, 100)
    """

    network: str = "cpu"
    n: int = 16
    split: int = 0
    scale: str = "pm1"
    steps: int = 1600
    batch: int = 64
    batch_rule: str = "replacement"
    optimizer: str = "adam"
    learning_rate: float = 3e-3
    times: str | int = "uniform"
    dropout: float = 0.0
    conditional: bool = False
    precision: str = "float32"
    checkpoints: int = 10
    first: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        choice("network", self.network, PRESETS)
        choice("scale", self.scale, SCALES)
        choice("batch_rule", self.batch_rule, RULES)
        choice("optimizer", self.optimizer, OPTIMIZERS)
        choice("precision", self.precision, PRECISIONS)
        for name in ("n", "split", "steps", "batch", "checkpoints", "first", "seed"):
            least = 0 if name in ("split", "seed") else 1
            object.__setattr__(self, name, whole(name, getattr(self, name), least))
        object.__setattr__(self, "learning_rate", positive("learning_rate", self.learning_rate))
        if nonnegative("dropout", self.dropout) >= 1:
            raise refuse("dropout", self.dropout, "a number in [0, 1)")
        if isinstance(self.times, str):
            choice("times", self.times, ("uniform", "stratified"))
        else:
            object.__setattr__(self, "times", whole("times", self.times, least=0))
            clock(self.times)

    @classmethod
    def published(cls, width: int, n: int, **changes: Any) -> "Training":
        """The protocol of Bonnaire et al. (2025) for images: their U-Net with dropout 0.1, SGD with momentum
        0.95 and rate 0.01, epochs in batches of min(n, 512), pixels minus their mean, 2 million steps."""
        rule = {"scale": "paper", "batch": 512, "batch_rule": "epoch", "optimizer": "sgd", "dropout": 0.1}
        more = {"learning_rate": 1e-2, "steps": 2_000_000, "checkpoints": 40, "first": 250}
        return cls(**{"network": f"ref{width}", "n": n, **rule, **more, **changes})

    @property
    def taus(self) -> tuple[int, ...]:
        """The checkpoints: 0, the geometric grid, and ``steps``."""
        grid = np.geomspace(min(self.first, self.steps), self.steps, self.checkpoints).astype(int)
        return tuple(sorted({0, *grid.tolist(), self.steps}))

    @property
    def seeds(self) -> Seeds:
        """The seeds of this run; ``evaluate`` and ``sample`` are for those who measure it."""
        return seeds(self.seed)


@dataclass(frozen=True, eq=False)
class Trained:
    """The answer to a :class:`Training`.

    network : in evaluation mode, on its device
    data : the pictures it was trained on and those held out, at its scale
    tau : (K,), the checkpoints reached;  images_seen : (K,)
    curves : what was measured at each, (K, ...): "batch_loss", the mean loss of the steps since the
        checkpoint before (nan at 0); "process_seconds", processor time of the updates so far;
        and what ``measure`` gave
    steps : updates done;  finished : whether that is all of them
    seconds : wall time so far, measurements included

    >>> question = rf.images.Training(network="nano", n=4, steps=1, batch=4, checkpoints=1)
    >>> run = rf.images.train(question, rf.datasets.digits())
    >>> run.tau, run.finished, run.data.train.shape
    (array([0, 1]), True, (4, 1, 8, 8))
    """

    question: Training
    network: nn.Module
    data: Subset
    tau: npt.NDArray[np.int64]
    images_seen: npt.NDArray[np.int64]
    curves: Mapping[str, npt.NDArray[Any]]
    steps: int
    finished: bool
    seconds: float

    def score(self, labels: torch.Tensor | None = None, clip: float | None = None) -> NetworkScore:
        """The network as a score for :func:`rfcore.diffusion.sample`."""
        return NetworkScore(self.network, labels, clip)


def train(
    question: Training,
    dataset: Dataset,
    *,
    measure: Measure | None = None,
    state: str | Path | None = None,
    device: str = "cpu",
    compile: bool = False,
    limit: float = math.inf,
) -> Trained:
    """Train one network.

    question : the run;  dataset : where its pictures come from, as :func:`rfcore.datasets.digits`
    measure : called as measure(network, tau) at every checkpoint, the network in evaluation mode and without
        gradients; returns numbers or arrays by name, of the same shapes each time
    state : a file.  It is written, in one step, at every checkpoint, once a minute and at the end; if it is
        there, the run goes on from it, and on a CPU with the same number of threads ends bit for bit as if
        it had never stopped.  A finished run is only read.
    device : "cpu", "cuda", ...;  compile : translate the network with torch.compile (on a CPU worth it
        beyond some 10,000 steps)
    limit : seconds after which to stop (one step is always done); the answer then is not ``finished``, and
        ``state`` continues it

    Raises ValueError for a state that is damaged or belongs to another question, and ArithmeticError when the
    loss is no longer finite.

    >>> question = rf.images.Training(network="nano", n=4, steps=2, batch=4, checkpoints=1)
    >>> run = rf.images.train(question, rf.datasets.digits())
    >>> run.steps, run.finished, sorted(run.curves)
    (2, True, ['batch_loss', 'process_seconds'])
    """
    run = Run(question, dataset, measure, None if state is None else Path(state), device, compile)
    _advance([run], time.monotonic() + limit)
    return _answer(run)


def train_all(
    questions: Iterable[Training],
    dataset: Dataset,
    *,
    measure: Measure | None = None,
    folder: str | Path | None = None,
    device: str = "cpu",
    compile: bool = False,
    limit: float = math.inf,
) -> list[Trained]:
    """Train many networks, each as :func:`train` would: their answers do not depend on their company.

    On a CPU one after the other.  On a GPU, which a small network cannot fill, all at once: each on its own
    stream, its steps captured in a CUDA graph (rule "epoch": not captured), one step of each in turn.

    questions : the runs;  dataset, measure, device, compile, limit : as for :func:`train`
    folder : for the states, one file per question, named by its :func:`key`

    Returns one :class:`Trained` for each question.  Raises as :func:`train`.  Source: chapter 14 of the book.

    >>> questions = [rf.images.Training("nano", n, steps=1, batch=4, checkpoints=1) for n in (4, 8)]
    >>> [run.finished for run in rf.images.train_all(questions, rf.datasets.digits())]
    [True, True]
    """
    asked = list(questions)
    where = None if folder is None else Path(folder)
    runs = [
        Run(q, dataset, measure, None if where is None else where / f"{key(q, dataset)}.pt", device, compile)
        for q in asked
    ]
    deadline = time.monotonic() + limit
    for group in [runs] if torch.device(device).type == "cuda" else [[run] for run in runs]:
        if time.monotonic() < deadline:
            _advance(group, deadline)
    return [_answer(run) for run in runs]


def key(question: Training, dataset: Dataset) -> str:
    """A short name that no other question about other data has: 16 hexadecimal digits."""
    text = json.dumps([asdict(question), dataset.sha256], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _advance(runs: list[Run], deadline: float) -> None:
    """One step of each run in turn, until all have finished or time is up; then their states are written."""
    left = max(run.question.steps - run.step for run in runs)
    for _ in progress(range(left), "training"):
        for run in runs:
            if run.step < run.question.steps:
                run.advance()
        if time.monotonic() >= deadline:
            break
    for run in runs:
        run.save()


def _answer(run: Run) -> Trained:
    curves = {name: np.stack(values) for name, values in run.curves.items()}
    tau, seen = (curves.pop(name).astype(np.int64) for name in ("tau", "images_seen"))
    run.network.eval()
    finished = run.step == run.question.steps
    return Trained(run.question, run.network, run.data, tau, seen, curves, run.step, finished, run.seconds)
