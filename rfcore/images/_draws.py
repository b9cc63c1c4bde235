"""What a training step draws: pictures, times, noise.  Three generators, so that none disturbs another."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch

from rfcore.checks import whole
from rfcore.images.schedule import STEPS

Tensor = torch.Tensor


@dataclass(frozen=True)
class Seeds:
    """Independent seeds, all from one number."""

    init: int
    data: int
    time: int
    noise: int
    dropout: int
    evaluate: int
    sample: int


def seeds(seed: int) -> Seeds:
    """The seeds of initialisation, data order, times, noise, dropout, evaluation and sampling."""
    children = np.random.SeedSequence(whole("seed", seed, least=0)).spawn(len(fields(Seeds)))
    return Seeds(*(int(child.generate_state(1, np.uint64)[0] >> np.uint64(1)) for child in children))


class Draws:
    """Batch after batch of (rows, t, eps): indices of pictures (B,), of levels (B,), noise (B, C, H, W).

    replacement : B rows drawn with replacement, so that a step means as many pictures for every n
    epoch : a shuffled pass over all rows in batches of B = min(batch, n), a short one at its end
    full : all n rows, every step with new times and noise

    Times are uniform on 1 .. 999; or stratified, floor((i + u_i)/B 999) + 1 in random order, which is as
    unbiased and varies less; or one fixed index.
    """

    def __init__(
        self,
        n: int,
        shape: tuple[int, ...],
        batch: int,
        rule: str,
        times: str | int,
        seed: Seeds,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.n, self.shape, self.rule, self.times = n, shape, rule, times
        self.batch = {"replacement": batch, "epoch": min(batch, n), "full": n}[rule]
        self.generators = {
            name: torch.Generator(device=device).manual_seed(getattr(seed, name))
            for name in ("data", "time", "noise", "dropout")
        }
        self.device, self.dtype = device, dtype
        self.order, self.place = torch.empty(0, dtype=torch.long), 0
        self.seen = 0

    def __call__(self) -> tuple[Tensor, Tensor, Tensor]:
        rows = self._rows()
        self.seen += len(rows)
        eps = torch.randn(
            (len(rows), *self.shape), generator=self.generators["noise"], device=self.device, dtype=self.dtype
        )
        return rows, self._levels(len(rows)), eps

    def state(self) -> dict[str, Any]:
        """All that the next draws depend on."""
        generators = {name: each.get_state() for name, each in self.generators.items()}
        return {"generators": generators, "order": self.order, "place": self.place, "seen": self.seen}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`state` was taken."""
        for name, each in self.generators.items():
            each.set_state(state["generators"][name])
        self.order, self.place, self.seen = state["order"].to(self.device), state["place"], state["seen"]

    def _rows(self) -> Tensor:
        source = self.generators["data"]
        if self.rule == "replacement":
            return torch.randint(self.n, (self.batch,), generator=source, device=self.device)
        if self.rule == "full":
            return torch.arange(self.n, device=self.device)
        if self.place >= len(self.order):
            self.order, self.place = torch.randperm(self.n, generator=source, device=self.device), 0
        self.place += self.batch
        return self.order[self.place - self.batch : self.place]

    def _levels(self, m: int) -> Tensor:
        source = self.generators["time"]
        if isinstance(self.times, int):
            return torch.full((m,), self.times, device=self.device)
        if self.times == "uniform":
            return torch.randint(1, STEPS, (m,), generator=source, device=self.device)
        u = torch.rand((2, m), generator=source, device=self.device, dtype=torch.float64)
        strata = torch.arange(m, device=self.device) + u[0]
        return (strata * ((STEPS - 1) / m)).long()[u[1].argsort()] + 1
