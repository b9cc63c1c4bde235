r"""The discrete noise schedule that networks are trained on, and its place in continuous time.

    x_k = sqrt(abar_k) x_0 + sqrt(1 - abar_k) eps ,   abar_k = prod_{j <= k} (1 - beta_j) ,   k = 0 .. 999

with beta linear from 1e-4 to 2e-2 (Ho et al. 2020).  This is the Ornstein-Uhlenbeck process of
:mod:`rfcore.diffusion` at the times t_k = -log(abar_k)/2, so that e^{-2t} = abar and Delta_t = 1 - abar.
Between two indices t is interpolated linearly.

>>> [round(float(t), 4) for t in rf.images.schedule.clock([0, 999])]
[0.0001, 5.0589]
"""

import contextlib
import itertools
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from rfcore.checks import choice, positive, refuse, whole

Array = npt.NDArray[np.float64]
STEPS = 1000
ABAR: Array = np.cumprod(1 - np.linspace(1e-4, 2e-2, STEPS), dtype=np.float64)
"""abar_k for k = 0 .. 999, (1000,), read-only: the share of the data in the variance of x_k.

>>> print(rf.images.ABAR[[0, 250, 500]].round(4))
[0.9999 0.5214 0.0778]
"""

_CLOCK: Array = -np.log(ABAR) / 2
for _table in (ABAR, _CLOCK):
    _table.flags.writeable = False


def clock(index: npt.ArrayLike) -> Array:
    """Time t (Ornstein-Uhlenbeck) of an index in [0, 999], whole or not; any shape.

    Returns an array of the shape of index.  Raises ValueError for an index outside [0, 999].

    >>> [round(float(t), 4) for t in rf.images.clock([0, 500, 999])]
    [0.0001, 1.2768, 5.0589]
    """
    k = np.asarray(index, dtype=np.float64)
    if not np.all((k >= 0) & (k <= STEPS - 1)):
        raise refuse("index", index, f"numbers from 0 to {STEPS - 1}")
    return np.asarray(np.interp(k, np.arange(STEPS), _CLOCK))


def index_at(t: float) -> float:
    """The inverse of :func:`clock`: the index, whole or not, at which e^{-2t} = abar.

    t : diffusion time, a number.  Source: Ho et al. (2020) for the schedule.

    Returns one number.  Raises ValueError for a time outside those of the schedule.

    >>> round(rf.images.index_at(float(rf.images.clock(123))), 9)
    123.0
    """
    low, high = float(_CLOCK[0]), float(_CLOCK[-1])
    if not low * (1 - 1e-9) <= t <= high * (1 + 1e-9):
        raise refuse("t", t, f"a time from {low:.3g} to {high:.3g}, where the schedule is defined")
    return float(np.interp(t, _CLOCK, np.arange(STEPS)))


def sampling_times(steps: int, first: int = STEPS - 1, last: int = 1, final: str = "x0") -> Array:
    """Times for :func:`rfcore.diffusion.sample`: ``steps`` whole indices, equally spaced from first to last.

    final : "x0" adds time 0, so that the last update returns the denoised picture; "state" stops at index
        ``last``, with its noise.  Index 0 is not trained on; last=0, final="state" is the published rule.

    Returns (steps,) or, with the time 0, (steps + 1,).
    Raises ValueError unless 0 <= last < first <= 999, and for more steps than there are indices.

    >>> print(rf.images.sampling_times(4).round(3))
    [5.059 2.256 0.575 0.    0.   ]
    """
    first, last = whole("first", first), whole("last", last, least=0)
    if not last < first <= STEPS - 1:
        raise refuse("first, last", (first, last), f"0 <= last < first <= {STEPS - 1}")
    if not 2 <= whole("steps", steps) <= first - last + 1:
        raise refuse("steps", steps, f"an integer from 2 to {first - last + 1}")
    choice("final", final, ("x0", "state"))
    times = clock(np.rint(np.linspace(first, last, steps)))
    return np.append(times, 0.0) if final == "x0" else times


class NetworkScore:
    """A network that predicts noise, as a score: s(x, t) = -eps(x, k)/sqrt(Delta_t), k the index at time t.

    Call it with x (m, C, H, W), a torch tensor, and t; the answer has the dtype and device of x.  The
    network is used in evaluation mode, without gradients, at most ``batch`` pictures at a time.

    labels : int64 (m,), the class of each picture, for a network with classes (None: no class)
    clip : bound on the pixels of the denoised picture; eps is changed accordingly.  At index 999 one over
        sqrt(abar) is 157: an early network's error of a few per cent throws pictures far out

    Source: Song et al. (2021) for the relation of noise and score.

    >>> import torch
    >>> score = rf.images.NetworkScore(rf.images.build("nano", (1, 8, 8), seed=0), clip=1.0)
    >>> float(score(torch.zeros(2, 1, 8, 8), t=0.5).abs().max())
    0.0
    """

    def __init__(
        self,
        network: nn.Module,
        labels: torch.Tensor | None = None,
        clip: float | None = None,
        batch: int = 1024,
    ) -> None:
        self.network, self.labels = network, labels
        self.clip = None if clip is None else positive("clip", clip)
        self.batch = whole("batch", batch)

    def __call__(self, x: torch.Tensor, t: float) -> torch.Tensor:
        if self.labels is not None and len(self.labels) != len(x):
            raise refuse("number of labels", len(self.labels), f"{len(x)}, the number of pictures")
        index, signal, noise = index_at(t), math.exp(-t), math.sqrt(-math.expm1(-2 * t))
        eps = self._noise(x, index)
        if self.clip is not None:
            clean = ((x - noise * eps) / signal).clamp(-self.clip, self.clip)
            eps = (x - signal * clean) / noise
        return -eps / noise

    def _noise(self, x: torch.Tensor, index: float) -> torch.Tensor:
        with evaluating(self.network) as (network, device):
            parts = []
            for start in range(0, len(x), self.batch):
                part = x[start : start + self.batch].to(device)
                y = None if self.labels is None else self.labels[start : start + self.batch].to(device)
                k = torch.full((len(part),), index, dtype=torch.float64, device=device)
                parts.append(network(part, k, y).to(x))
        return torch.cat(parts)


@contextlib.contextmanager
def evaluating(network: nn.Module) -> Iterator[tuple[nn.Module, torch.device]]:
    """The network in evaluation mode and without gradients, and its device; its mode is put back."""
    mode = network.training
    network.eval()
    try:
        with torch.no_grad():
            yield network, next(itertools.chain(network.parameters(), network.buffers())).device
    finally:
        network.train(mode)


class Noising:
    """x_k = sqrt(abar_k) x_0 + sqrt(1 - abar_k) eps on one device, for whole indices k (m,)."""

    def __init__(self, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        self.signal = torch.tensor(np.sqrt(ABAR), device=device, dtype=dtype)
        self.noise = torch.tensor(np.sqrt(1 - ABAR), device=device, dtype=dtype)

    def __call__(self, x0: torch.Tensor, k: torch.Tensor, eps: torch.Tensor) -> torch.Tensor:
        return self.signal[k][:, None, None, None] * x0 + self.noise[k][:, None, None, None] * eps
