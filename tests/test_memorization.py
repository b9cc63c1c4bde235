"""Weights of the empirical score and the copy criterion, against identities and hand-made cases."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcore import diffusion as df

QUICK = settings(derandomize=True, deadline=None, max_examples=25)


@pytest.fixture(scope="module")
def data() -> np.ndarray:
    return np.random.default_rng(3).standard_normal((60, 5)) * [2, 1, 1, 0.5, 0.1]


def test_posterior_identities(data: np.ndarray) -> None:
    """E w_own = E sum w^2 and P(argmax = own) = E max w, for each data set: the posterior is w."""
    found = df.weight_statistics(data, [0.05, 0.2, 0.6], draws=20_000, seed=1)
    for left, right in ((found.own, found.square), (found.correct, found.largest)):
        assert np.all(np.abs(left.mean - right.mean) < 4 * np.hypot(left.error, right.error))
        assert np.all(left.error < 0.004)
    # 1/n <= sum w^2 <= max w, and the entropy lies between -log sum w^2 (Renyi) and log n.
    assert np.all(found.square.mean <= found.largest.mean)
    assert np.all(found.entropy.mean >= -np.log(found.largest.mean) - 1e-12)
    assert np.all(found.entropy.mean <= math.log(60))


def test_early_and_late_limits(data: np.ndarray) -> None:
    found = df.weight_statistics(data, [1e-8, 12.0], draws=500, seed=2)
    assert found.own.mean == pytest.approx([1, 1 / 60], rel=1e-4)
    assert found.entropy.mean == pytest.approx([0, math.log(60)], abs=1e-4)
    assert found.majority.mean == pytest.approx([1, 0]) and found.correct.mean[0] == 1


def test_repeated_points_count_once(data: np.ndarray) -> None:
    """With every point twice the weights of the pair are added: nothing changes but the draws."""
    once = df.weight_statistics(data, [0.1], draws=20_000, seed=4)
    twice = df.weight_statistics(np.concatenate([data, data]), [0.1], draws=20_000, seed=5)
    assert abs(once.own.mean - twice.own.mean) < 4 * math.hypot(once.own.error[0], twice.own.error[0])


def test_cloned_trajectories(data: np.ndarray) -> None:
    """Two exact-score trajectories from one x_t end on the same training point with probability E sum w^2."""
    points, t, pairs = data[:20, :3], 0.15, 1500
    rng = np.random.default_rng(8)
    start = df.forward(points[rng.integers(20, size=pairs)], t, seed=9)
    times = np.geomspace(t, 1e-4, 300)
    score = df.EmpiricalScore(points)
    ends = [df.sample(score, start, times, "ddpm", seed=k) for k in (10, 11)]
    first, second = (df.memorized_fraction(end, points) for end in ends)
    assert min(first.fraction, second.fraction) > 0.99
    same = np.mean(first.nearest == second.nearest)
    weights = df.weight_statistics(points, [t], draws=20_000, seed=12).square
    error = math.sqrt(same * (1 - same) / pairs + weights.error[0] ** 2)
    assert abs(same - weights.mean[0]) < 4 * error and error < 0.015


@QUICK
@given(copies=st.integers(0, 12), seed=st.integers(0, 100))
def test_planted_copies_are_found(copies: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    training, fresh = rng.standard_normal((40, 30)), rng.standard_normal((12 - copies, 30))
    chosen = rng.integers(40, size=copies)
    planted = training[chosen] + 1e-3 * rng.standard_normal((copies, 30))
    found = df.memorized_fraction(np.concatenate([planted, fresh]), training)
    assert found.fraction == pytest.approx(copies / 12)
    assert np.array_equal(found.nearest[:copies], chosen)
    assert found.error > 0


def test_ratio_by_hand() -> None:
    training = [[0.0, 0.0], [3.0, 0.0], [3.0, 0.0], [100.0, 0.0]]  # a repeated point is one point
    found = df.memorized_fraction([[0.5, 0.0], [1.0, 0.0], [2.9, 0.0]], training)
    assert found.ratio == pytest.approx([0.2, 0.5, 0.1 / 2.9], rel=1e-12)
    assert found.nearest.tolist() == [0, 0, 1]
    assert found.fraction == pytest.approx(2 / 3)
    # flat prior, 2 of 3: a Beta(3, 2) law, of variance 3*2/(25*6)
    assert found.error == pytest.approx(math.sqrt(6 / 150), rel=1e-12)


def test_small_distances_keep_their_digits() -> None:
    training = np.array([[1e4, 0.0], [1e4, 1.0]])
    found = df.memorized_fraction(training[:1] + [[0.0, 1e-9]], training)
    assert found.ratio[0] == pytest.approx(1e-9, rel=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: df.weight_statistics(x, [0.1], draws=1, seed=0), "draws = 1"),
        (lambda x: df.weight_statistics(x, [0.1, 0.0], draws=5, seed=0), "t = "),
        (lambda x: df.weight_statistics(x, [[0.1]], draws=5, seed=0), "t = "),
        (lambda x: df.weight_statistics(x, [0.1], draws=5, seed=-1), "seed = -1"),
        (lambda x: df.weight_statistics(x[:0], [0.1], draws=5, seed=0), "data"),
        (lambda x: df.memorized_fraction(x, x[:1]), "distinct training points = 1"),
        (lambda x: df.memorized_fraction(x, np.ones((4, 5))), "distinct training points = 1"),
        (lambda x: df.memorized_fraction(x[:, :2], x), "shape of samples"),
        (lambda x: df.memorized_fraction(x, x, threshold=0.0), "threshold = 0.0"),
        (lambda x: df.memorized_fraction(x * np.nan, x), "samples"),
    ],
)
def test_bad_input(data: np.ndarray, call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(data)  # type: ignore[operator]
