"""A run in progress: one update after another, checkpoints, and the state that it can be continued from."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F

from rfcore._dataset import Dataset
from rfcore.checks import refuse
from rfcore.images import _state
from rfcore.images._blocks import ChannelDropout
from rfcore.images._draws import Draws
from rfcore.images._graph import Captured
from rfcore.images.networks import build
from rfcore.images.schedule import Noising, evaluating

if TYPE_CHECKING:
    from rfcore.images.training import Training

Measure = Callable[[nn.Module, int], Mapping[str, npt.ArrayLike]]
MOMENTUM = 0.95
SAVE_EVERY = 60.0  # seconds between checkpoints that are far apart


class Run:
    """All that changes while a question is being answered; see :func:`rfcore.images.train`."""

    def __init__(
        self,
        question: "Training",
        dataset: Dataset,
        measure: Measure | None,
        path: Path | None,
        device: str,
        compile: bool,
    ) -> None:
        self.question, self.measure, self.path = question, measure, path
        self.sha256 = dataset.sha256
        self.device = torch.device(device)
        self.dtype = torch.float64 if question.precision == "float64" else torch.float32
        self.data = dataset.subset(question.n, question.split, question.scale)
        self.pictures = torch.tensor(self.data.train, device=self.device, dtype=self.dtype)
        self.labels = _labels(question, self.data.train_labels, self.device)
        classes = 0 if self.labels is None else int(max(dataset.labels)) + 1  # type: ignore[arg-type]
        shape = (*self.data.train.shape[1:],)
        self.network = build(question.network, shape, question.seeds.init, classes, question.dropout)
        self.network.to(self.device, self.dtype)
        # A fifth faster, on CPUs too.
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.forward = torch.compile(self.network) if compile else self.network
        self.optimizer = _optimizer(question, self.network, self.device)
        rules = (question.batch, question.batch_rule, question.times)
        self.draws = Draws(question.n, shape, *rules, question.seeds, self.device, self.dtype)
        for module in self.network.modules():
            if isinstance(module, ChannelDropout):
                module.generator = self.draws.generators["dropout"]
        self.noising = Noising(self.device, self.dtype)
        self.step, self.since = 0, 0
        self.total = torch.zeros((), device=self.device, dtype=torch.float64)
        self.curves: dict[str, list[npt.NDArray[Any]]] = {}
        self.seconds, self.process_seconds = 0.0, 0.0
        self.clock = self.saved_at = time.monotonic()
        self.saved = -1  # the step of the last state written or read
        self.checkpoints = frozenset(question.taus)
        if path is not None and path.exists():
            self._restore(_state.read(path))
        graphs = self.device.type == "cuda" and question.batch_rule != "epoch"
        self.captured = Captured(self) if graphs else None
        if not self.curves:
            self._checkpoint()

    def advance(self) -> None:
        """One update; then what is due: a checkpoint, or a state in between."""
        began = time.process_time()
        if self.captured is None:
            self.update()
        else:
            self.captured.update()
        self.step += 1
        self.since += 1
        self.process_seconds += time.process_time() - began
        if self.step in self.checkpoints:
            self._checkpoint()
        elif time.monotonic() - self.saved_at > SAVE_EVERY:
            self.save()

    def update(self) -> None:
        """Draw, predict, descend: all of it on the device, nothing is read back."""
        rows, t, eps = self.draws()
        x = self.noising(self.pictures[rows], t, eps)
        y = None if self.labels is None else self.labels[rows]
        low = self.question.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=low, cache_enabled=False):
            predicted = self.forward(x, t, y)
        loss = F.mse_loss(predicted.to(eps.dtype), eps)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.total += loss.detach()

    def save(self) -> None:
        """Write the state, if there is a place for it and it is not there already."""
        self._settle()
        if self.path is None or self.saved == self.step:
            return
        payload = {
            "question": asdict(self.question),
            "data": self.sha256,
            "device": self.device.type,
            "step": self.step,
            "since": self.since,
            "total": self.total,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "draws": self.draws.state(),
            "curves": {name: [torch.from_numpy(v) for v in values] for name, values in self.curves.items()},
            "seconds": self.seconds,
            "process_seconds": self.process_seconds,
        }
        _state.write(self.path, payload)
        self.saved, self.saved_at = self.step, time.monotonic()

    def _restore(self, state: dict[str, Any]) -> None:
        """Go on from a state; raises ValueError if it belongs to another question, data set or device."""
        assert self.path is not None
        mine = {"question": asdict(self.question), "data": self.sha256, "device": self.device.type}
        for name, value in mine.items():
            if state[name] != value:
                raise refuse(
                    f"{name} in {self.path.name}", state[name], f"{value!r}, as asked; or another file"
                )
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.draws.restore(state["draws"])
        self.step, self.since = state["step"], state["since"]
        self.total.copy_(state["total"])
        self.curves = {name: [v.numpy() for v in values] for name, values in state["curves"].items()}
        self.seconds, self.process_seconds = state["seconds"], state["process_seconds"]
        self.saved, self.clock = self.step, time.monotonic()

    def _checkpoint(self) -> None:
        self._settle()
        loss = self.total.item() / self.since if self.since else math.nan
        if self.since and not math.isfinite(loss):
            rate = self.question.learning_rate
            raise ArithmeticError(
                f"the loss is not finite at tau = {self.step}: learning_rate = {rate} is too large"
            )
        values: dict[str, Any] = {
            "tau": self.step,
            "images_seen": self.draws.seen,
            "batch_loss": loss,
            "process_seconds": self.process_seconds,
        }
        if self.measure is not None:
            with evaluating(self.network) as (network, _):
                values |= self.measure(network, self.step)
        if self.curves and set(values) != set(self.curves):
            raise refuse(
                "names measured", sorted(values), f"the same at every checkpoint, {sorted(self.curves)}"
            )
        for name, value in values.items():
            plain = value.cpu().numpy() if isinstance(value, torch.Tensor) else value
            self.curves.setdefault(name, []).append(np.array(plain))
        self.total.zero_()
        self.since = 0
        self.save()

    def _settle(self) -> None:
        """Nothing is under way on the device any more, and the clock is right."""
        if self.captured is not None:
            self.captured.settle()
        now = time.monotonic()
        self.seconds, self.clock = self.seconds + now - self.clock, now


def _labels(
    question: "Training", labels: npt.NDArray[np.int64] | None, device: torch.device
) -> torch.Tensor | None:
    if not question.conditional:
        return None
    if labels is None:
        raise refuse("conditional", True, "False: the data set has no labels")
    return torch.tensor(labels, device=device)


def _optimizer(question: "Training", network: nn.Module, device: torch.device) -> torch.optim.Optimizer:
    trainable = [each for each in network.parameters() if each.requires_grad]
    rate = question.learning_rate
    if question.optimizer == "sgd":
        return torch.optim.SGD(trainable, rate, momentum=MOMENTUM, fused=True)
    return torch.optim.Adam(trainable, rate, fused=True, capturable=device.type == "cuda")
