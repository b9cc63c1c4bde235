"""Losses on a frozen bank: against closed forms, against the spread over banks, and the floor."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch import nn

from rfcore.datasets import digits
from rfcore.images import losses, networks, schedule


@pytest.fixture(scope="module")
def data() -> SimpleNamespace:
    subset = digits().subset(16)
    return SimpleNamespace(
        train=subset.train, test=subset.test, bank=losses.LossBank(subset.train, subset.test)
    )


class Given(nn.Module):
    """A network that answers with a function of x and k."""

    def __init__(self, answer: object) -> None:
        super().__init__()
        self.answer = answer
        self.register_buffer("place", torch.zeros(1))

    def forward(self, x: torch.Tensor, k: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        return self.answer(x, k, y)  # type: ignore[operator]


def test_a_fresh_network_has_the_loss_of_the_noise(data: SimpleNamespace) -> None:
    found = data.bank(networks.build("nano", (1, 8, 8), seed=0))
    assert found.train == found.test == pytest.approx(data.bank.noise_power, rel=1e-12)
    assert found.gap == found.gap_error == found.relative_gap == 0
    assert abs(found.train - 1) < 4 * math.sqrt(2 / (1024 * 64))


def test_perfect_answer_and_pairs(data: SimpleNamespace) -> None:
    """A network that knows the pictures: the bank's x_k hold the pictures in turn, at the published noise."""
    seen = []

    def knows(x: torch.Tensor, k: torch.Tensor, y: torch.Tensor | None) -> torch.Tensor:
        seen.append((len(x), k.numpy().copy()))
        side = data.train if len(seen) == 1 else data.test
        clean = torch.from_numpy(side[np.arange(len(x)) % len(side)])
        abar = torch.tensor(schedule.ABAR)[k][:, None, None, None]
        return ((x - abar.sqrt() * clean) / (1 - abar).sqrt()).float()

    bank = losses.LossBank(data.train, data.test, fixed=())
    found = bank(Given(knows), batch=2000)
    assert max(found.train, found.test) < 1e-8  # float32, divided by sqrt(1 - abar)
    index = seen[0][1]
    assert np.array_equal(index, seen[1][1]) and index.min() >= 1 and index.max() <= 999
    # One index in each of 1,024 equal intervals.
    assert (
        np.array_equal(np.sort((index - 1) * 1024 // 999 // 64), np.repeat(np.arange(16), 64))
        or abs(index.mean() - 500) < 1
    )


def test_linear_denoiser_against_its_closed_form() -> None:
    """Gaussian data: the loss of the exact denoiser is the mean over k of 1 - Delta <1/(abar l + Delta)>."""
    rng = np.random.default_rng(0)
    lam = np.linspace(0.1, 2, 16)
    exact = networks.LinearDenoiser(np.zeros(16), np.diag(lam), (1, 4, 4))
    draw = (rng.standard_normal((4096, 16)) * np.sqrt(lam)).reshape(-1, 1, 4, 4)
    bank = losses.LossBank(draw[:2048], draw[2048:], pairs=2048, seed=1)
    found = bank(exact)

    def loss(k: float) -> float:
        abar = math.exp(-2 * float(schedule.clock(k)))
        return 1 - float(np.mean((1 - abar) / (abar * lam + 1 - abar)))

    levels = [loss(k) for k in range(1, 1000)]
    means = {"": np.mean(levels), "_low": np.mean(levels[:299])}
    for name, value in means.items():
        for side in ("train", "test"):
            error = getattr(found, f"{side}{name}_error")
            assert abs(getattr(found, f"{side}{name}") - value) < 4 * error and error < 0.03 * value + 0.002
    for k, one, two in zip(found.t, found.train_t, found.test_t, strict=True):
        assert one == pytest.approx(loss(k), rel=0.06) and two == pytest.approx(loss(k), rel=0.06)


def test_errors_are_the_spread_over_banks(data: SimpleNamespace) -> None:
    """Forty banks: the stated errors are the standard deviation over them."""
    linear = networks.LinearDenoiser.fit(data.train)
    found = [losses.LossBank(data.train, data.test, pairs=256, seed=k)(linear) for k in range(60)]
    for name in ("train", "test", "gap", "train_low", "test_low", "relative_gap"):
        spread = np.std([getattr(each, name) for each in found], ddof=1)
        stated = np.sqrt(np.mean([getattr(each, f"{name}_error") ** 2 for each in found]))
        assert 0.75 < stated / spread < 1.3, (name, stated / spread)


def test_common_pairs_make_gaps_sharp(data: SimpleNamespace) -> None:
    """Two halves of the test pictures: the error of their difference is below that of independent banks."""
    bank = losses.LossBank(data.test[:256], data.test[256:], seed=3)
    found = bank(networks.LinearDenoiser.fit(data.test))
    assert abs(found.gap) < 4 * found.gap_error
    assert found.gap_error < math.hypot(found.train_error, found.test_error)


def test_empirical_bayes_is_the_floor(data: SimpleNamespace) -> None:
    """No network is below it: neither a fresh one, nor the best linear one, nor one that is half memory."""
    floor = data.bank.empirical_bayes()
    half = Given(lambda x, k, y: 0.5 * linear(x, k))
    linear = networks.LinearDenoiser.fit(data.train)
    for network in (networks.build("nano", (1, 8, 8), seed=0), linear, half):
        found = data.bank(network)
        assert found.train > floor.train - 3 * floor.train_error
        assert np.all(found.train_t > floor.train_t - 3 * floor.train_t_error)
        assert found.test < floor.test  # perfect memory is the worst on pictures never seen
    assert floor.train < 0.01 and floor.test > 1


def test_empirical_bayes_of_two_points_against_quadrature() -> None:
    """Points -1 and 1 in d = 1: the loss at index k is abar/Delta E[1 - tanh^2], one integral."""
    points = np.array([-1.0, 1.0]).reshape(2, 1, 1, 1)
    bank = losses.LossBank(points, points, pairs=40_000, fixed=(300, 700))
    found = bank.empirical_bayes()
    assert found.gap == 0
    for k, value, error in zip(found.t, found.train_t, found.train_t_error, strict=True):
        abar = float(schedule.ABAR[k])

        def density(z: float, a: float = abar) -> float:
            x = math.sqrt(a) + math.sqrt(1 - a) * z
            return math.exp(-z * z / 2) / math.sqrt(2 * math.pi) / math.cosh(math.sqrt(a) * x / (1 - a)) ** 2

        exact = abar / (1 - abar) * quad(density, -9, 9, limit=200)[0]
        assert abs(value - exact) < 4 * error and error < 0.05 * exact + 0.002


def test_labels_reach_the_network(data: SimpleNamespace) -> None:
    classes = np.arange(16) % 10, np.arange(len(data.test)) % 10
    seen: list[np.ndarray] = []

    def record(x: torch.Tensor, k: torch.Tensor, y: torch.Tensor | None) -> torch.Tensor:
        seen.append(y.numpy())
        return torch.zeros_like(x)

    losses.LossBank(data.train, data.test, pairs=600, fixed=(), labels=classes)(Given(record))
    assert np.array_equal(seen[0], classes[0][np.arange(600) % 16])
    assert np.array_equal(seen[1], classes[1][np.arange(600) % len(data.test)])


def test_precision_is_that_of_the_network(data: SimpleNamespace) -> None:
    """The same network in float32 and in float64, on the same bank: equal to single precision."""
    net = networks.build("nano", (1, 8, 8), seed=0)
    for each in net.parameters():
        each.data += 0.05 * torch.randn(each.shape, generator=torch.Generator().manual_seed(each.numel()))
    single = data.bank(net)
    double = data.bank(net.double())
    assert single.test == pytest.approx(double.test, rel=1e-5) and single.test != double.test


def test_row_for_training(data: SimpleNamespace) -> None:
    row = data.bank(networks.LinearDenoiser.fit(data.train)).row()
    assert {"train", "test", "train_low", "test_low", "train_t", "test_t"} <= set(row)
    assert all(np.all(np.isfinite(value)) for value in row.values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pairs": 1}, "pairs"),
        ({"fixed": (0,)}, "fixed"),
        ({"fixed": (1000,)}, "fixed"),
        ({"pairs": 6}, "fixed"),
        ({"test": np.zeros((3, 1, 4, 4))}, "test"),
        ({"train": np.zeros((3, 64)), "test": np.zeros((3, 64))}, "train"),
        ({"train": np.full((2, 1, 8, 8), np.inf)}, "train"),
        ({"labels": (np.zeros(3, int), np.zeros(512, int))}, "labels"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_input(data: SimpleNamespace, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        losses.LossBank(**{"train": data.train, "test": data.test, **changes})  # type: ignore[arg-type]
