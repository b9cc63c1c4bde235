r"""Training and test loss on one frozen bank of (time, noise): differences in time are those of the network.

    L(S) = mean over pictures x_0 of S, indices k, noise eps of |eps_theta(x_k, k) - eps|^2/d
    x_k = sqrt(abar_k) x_0 + sqrt(1 - abar_k) eps

The same pairs (k, eps) serve training and test pictures, every checkpoint and every network.

Source: Ho et al. (2020) for the loss.

>>> rf.images.losses.LossBank is rf.images.LossBank
True
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from rfcore.checks import refuse, whole
from rfcore.diffusion import EmpiricalScore
from rfcore.images._arrays import Array, alike, pictures
from rfcore.images.schedule import STEPS, Noising, clock, evaluating

Tensor = torch.Tensor
Denoiser = Callable[[Tensor, Tensor, Tensor | None], Array]
FIXED, LOW = (10, 30, 100, 300), 300


@dataclass(frozen=True, eq=False)
class Losses:
    """Losses per pixel on a bank; to predict 0 gives the mean square of its noise, about 1.

    train, test : means over all indices;  train_low, test_low : over indices k < 300
    train_t, test_t : (K,), at the fixed indices ``t``
    Each ``error`` is a standard error over the pairs (k, eps), for these pictures; those of the gaps know
    that train and test share their pairs.

    >>> x = rf.datasets.digits().images
    >>> losses = rf.images.LossBank(x[:16], x[16:32], pairs=64).empirical_bayes()
    >>> losses.train < losses.test, losses.gap == losses.test - losses.train
    (True, True)
    """

    train: float
    test: float
    train_error: float
    test_error: float
    gap_error: float
    relative_gap_error: float
    train_low: float
    test_low: float
    train_low_error: float
    test_low_error: float
    t: tuple[int, ...]
    train_t: Array
    test_t: Array
    train_t_error: Array
    test_t_error: Array

    @property
    def gap(self) -> float:
        """test - train."""
        return self.test - self.train

    @property
    def relative_gap(self) -> float:
        """(test - train)/test."""
        return self.gap / self.test

    def row(self) -> dict[str, Any]:
        """All numbers by name, for the ``measure`` of :func:`rfcore.images.train`."""
        return {name: value for name, value in vars(self).items() if name != "t"}


class LossBank:
    """A frozen bank of ``pairs`` (k, eps), used with training and test pictures.

    train : (n, C, H, W), test : (m, C, H, W), numpy or torch, at the scale the network sees
    pairs : pair i goes with picture i mod n, so that few pictures are used repeatedly.  Indices are spread
        evenly over 1 .. 999, one in each of ``pairs`` equal intervals: less noise than independent ones
    fixed : indices at which the loss is also measured alone, each with a share of 1/len(fixed) of the noise
    labels : classes of train and of test, for a network with classes

    ``bank(network)`` gives :class:`Losses`, on the device of the network; errors are summed in float64.

    Raises ValueError for pictures that are not (n, C, H, W), fewer than two pairs, and bad indices.
    Source: Ho et al. (2020) for the loss.

    >>> x = rf.datasets.digits().images
    >>> bank = rf.images.LossBank(x[:16], x[16:32], pairs=64)
    >>> losses = bank(rf.images.build("nano", (1, 8, 8), seed=0))
    >>> abs(losses.train - bank.noise_power) < 1e-6, abs(losses.gap) < 1e-6
    (True, True)
    """

    def __init__(
        self,
        train: npt.ArrayLike,
        test: npt.ArrayLike,
        pairs: int = 1024,
        seed: int = 0,
        fixed: tuple[int, ...] = FIXED,
        labels: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    ) -> None:
        self.train, self.test = pictures("train", train), pictures("test", test)
        alike("test", self.test, self.train)
        if self.train.ndim != 4:
            raise refuse("shape of train", self.train.shape, "(n, C, H, W)")
        self.pairs = whole("pairs", pairs, least=2)
        self.fixed = tuple(whole("fixed", k) for k in fixed)
        if self.fixed and (max(self.fixed) >= STEPS or 2 * len(self.fixed) > self.pairs):
            raise refuse("fixed", self.fixed, f"at most pairs/2 indices, each from 1 to {STEPS - 1}")
        self.labels = None if labels is None else tuple(map(_classes, labels, (self.train, self.test)))
        rng = np.random.default_rng(whole("seed", seed, least=0))
        place = (rng.permutation(self.pairs) + rng.random(self.pairs)) / self.pairs
        self.index = 1 + np.floor(place * (STEPS - 1)).astype(np.int64)
        shape = (self.pairs, *self.train.shape[1:])
        self.eps = torch.from_numpy(rng.standard_normal(shape).astype(np.float32))

    @property
    def noise_power(self) -> float:
        """Mean square of the noise of the bank: exactly the loss of a network that predicts 0."""
        return float(self.eps.double().square().mean())

    def __call__(self, network: nn.Module, batch: int = 1024) -> Losses:
        """The losses of a network (x, k, y) -> eps."""
        with evaluating(network) as (net, device):
            precise = next(itertools.chain(net.parameters(), net.buffers())).dtype == torch.float64

            def denoise(x: Tensor, k: Tensor, y: Tensor | None) -> Array:
                x = x.double() if precise else x
                parts = []
                for a in range(0, len(x), batch):
                    here = slice(a, a + batch)
                    label = None if y is None else y[here].to(device)
                    parts.append(net(x[here].to(device), k[here].to(device), label).double().cpu())
                return np.asarray(torch.cat(parts).numpy())

            return self._losses(denoise)

    def empirical_bayes(self) -> Losses:
        """The losses of the exact denoiser of the training set, sum_i w_i x_i with softmax weights.

        Its training loss is the floor of any network; its test loss is that of perfect memory.  Cost: one
        distance for each pair and training picture.
        """
        score = EmpiricalScore(self.train.reshape(len(self.train), -1))

        def denoise(x: Tensor, k: Tensor, y: Tensor | None) -> Array:
            del y
            rows, index = x.double().flatten(1).numpy(), k.numpy()
            answer = np.empty_like(rows)
            for each in np.unique(index):
                mine, t = index == each, float(clock(each))
                clean = score.denoise(rows[mine], t)
                answer[mine] = (rows[mine] - np.exp(-t) * clean) / np.sqrt(-np.expm1(-2 * t))
            return answer.reshape(x.shape)

        return self._losses(denoise)

    def _losses(self, denoise: Denoiser) -> Losses:
        share = self.pairs // max(len(self.fixed), 1)
        train, test = (self._squares(denoise, side, self.index, self.eps) for side in (0, 1))
        low = self.index < LOW
        at: list[list[tuple[float, float]]] = [[], []]
        for j, k in enumerate(self.fixed):
            part, same = self.eps[j * share : (j + 1) * share], np.full(share, k)
            for side in (0, 1):
                at[side].append(_mean(self._squares(denoise, side, same, part), same))
        fixed = np.array(at, dtype=np.float64).reshape(2, len(self.fixed), 2)
        # 1 - train/test, to first order
        ratio = (train - train.mean() / test.mean() * test) / test.mean()
        (
            (a, a_error),
            (b, b_error),
            (_, gap_error),
            (_, g_error),
            (a_low, a_low_error),
            (b_low, b_low_error),
        ) = (
            _mean(values, index)
            for values, index in (
                (train, self.index),
                (test, self.index),
                (test - train, self.index),
                (ratio, self.index),
                (train[low], self.index[low]),
                (test[low], self.index[low]),
            )
        )
        main = (a, b, a_error, b_error, gap_error, g_error, a_low, b_low, a_low_error, b_low_error)
        return Losses(*main, self.fixed, fixed[0, :, 0], fixed[1, :, 0], fixed[0, :, 1], fixed[1, :, 1])

    def _squares(self, denoise: Denoiser, side: int, index: npt.NDArray[np.int64], eps: Tensor) -> Array:
        """|eps_theta - eps|^2/d of each pair, (pairs,), on training (0) or test pictures (1)."""
        clean = (self.train, self.test)[side]
        which = np.arange(len(eps)) % len(clean)
        k = torch.from_numpy(index)
        x = Noising()(torch.from_numpy(clean[which].astype(np.float32)), k, eps)
        y = None if self.labels is None else torch.from_numpy(self.labels[side][which])
        return np.asarray(((denoise(x, k, y) - eps.double().numpy()) ** 2).reshape(len(eps), -1).mean(axis=1))


def _mean(values: Array, index: npt.NDArray[np.int64]) -> tuple[float, float]:
    """The mean and its standard error, from differences of neighbours in k: the trend in k is not noise."""
    if len(values) < 2:
        return (float(values.mean()) if len(values) else np.nan), np.nan
    step = np.diff(values[np.argsort(index, kind="stable")])
    return float(values.mean()), float(np.sqrt(np.mean(step**2) / 2 / len(values)))


def _classes(labels: npt.ArrayLike, images: Array) -> npt.NDArray[np.int64]:
    classes = np.asarray(labels)
    if classes.shape != (len(images),) or classes.dtype.kind not in "iu":
        raise refuse("labels", (str(classes.dtype), classes.shape), f"integers ({len(images)},)")
    return classes.astype(np.int64)
