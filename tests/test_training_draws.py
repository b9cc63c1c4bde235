"""What a step of training draws: pictures, times and noise, each from its own stream."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from rfcore import images
from rfcore.images._draws import Draws, seeds
from tests.training_runs import DATA, TINY, draws


def test_seeds_differ_and_belong_to_one_number():
    s = seeds(0)
    assert s == seeds(0) and len({*vars(s).values(), *vars(seeds(1)).values()}) == 14


def test_streams_do_not_disturb_each_other():
    """n and the rule change neither times nor noise; the times of the loss change neither rows nor noise."""
    base, larger, fixed, full = draws(), draws(n=11), draws(times=7), draws(n=4, rule="full")
    for _ in range(5):
        (rows, t, eps), (rows2, t2, eps2), (rows3, t3, eps3) = base(), larger(), fixed()
        assert all(torch.equal(a, b) for a, b in zip(full()[1:], (t, eps), strict=True))
        assert torch.equal(t, t2) and torch.equal(eps, eps2) and not torch.equal(rows, rows2)
        assert torch.equal(rows, rows3) and torch.equal(eps, eps3) and (t3 == 7).all()


@pytest.mark.parametrize("changes", [{"network": "cpu"}, {"network": "dit-cpu"}, {"dropout": 0.3}])
def test_the_network_does_not_change_what_is_drawn(monkeypatch, changes):
    """Recorded in training, dropout included."""
    original, seen = Draws.__call__, []
    monkeypatch.setattr(Draws, "__call__", lambda self: seen.append(original(self)) or seen[-1])
    images.train(TINY, DATA)
    images.train(replace(TINY, **changes), DATA)
    for first, second in zip(seen[:12], seen[12:], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_an_epoch_is_a_permutation_with_a_short_batch_at_its_end():
    source = draws(rule="epoch")
    passes = [[source()[0] for _ in range(3)] for _ in range(3)]
    for batches in passes:
        assert [len(rows) for rows in batches] == [4, 4, 2]
        assert sorted(torch.cat(batches).tolist()) == list(range(10))
    assert not torch.equal(torch.cat(passes[0]), torch.cat(passes[1]))
    assert source.seen == 30
    assert len(draws(n=3, rule="epoch")()[0]) == 3


def test_full_batches_have_fresh_noise():
    source = draws(rule="full")
    (rows, t, eps), (rows2, t2, eps2) = source(), source()
    assert rows.tolist() == rows2.tolist() == list(range(10))
    assert not torch.equal(t, t2) and not torch.equal(eps, eps2)


@pytest.mark.parametrize("times", ["uniform", "stratified"])
def test_times_are_uniform_from_1_to_999(times):
    """Chi-square in 37 classes of 27 indices: mean 36 (smaller when stratified), five deviations above."""
    source = draws(batch=50, times=times)
    t = torch.cat([source()[1] for _ in range(400)])
    assert t.min() >= 1 and t.max() <= 999 and t.dtype == torch.long
    counts = np.bincount((t.numpy() - 1) // 27, minlength=37)
    assert len(counts) == 37
    chi = ((counts - 20_000 / 37) ** 2 / (20_000 / 37)).sum()
    assert chi < 36 + 5 * math.sqrt(72)
    assert (chi < 18) == (times == "stratified")


def test_stratified_times_take_one_of_each_stratum_in_random_order():
    source = draws(batch=27, times="stratified")
    first, second = source()[1], source()[1]
    for t in (first, second):
        assert sorted(((t - 1) // 37).tolist()) == list(range(27))
    assert first.argsort().tolist() != second.argsort().tolist()
