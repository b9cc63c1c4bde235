"""What the tests of training share: a small question, its data, and what makes two answers the same."""

import numpy as np
import torch

import rfcore as rf
from rfcore.images import Training
from rfcore.images._draws import Draws, seeds

DATA = rf.datasets.digits()
TINY = Training(network="nano", n=6, steps=12, batch=4, checkpoints=3, first=3)
KINDS = [
    {"dropout": 0.2},
    {"optimizer": "sgd", "learning_rate": 1e-2, "batch_rule": "epoch", "times": "stratified"},
    {"batch_rule": "full", "times": 300, "conditional": True, "network": "dit-cpu", "scale": "paper"},
]


def draws(n=10, batch=4, rule="replacement", times="uniform", seed=0):
    return Draws(n, (1, 2, 2), batch, rule, times, seeds(seed), torch.device("cpu"), torch.float32)


def flat(network):
    return torch.cat([each.detach().reshape(-1) for each in network.parameters()])


def weights(run):
    return flat(run.network)


def same(a, b):
    """Two answers, bit for bit; the clocks may differ."""
    assert torch.equal(weights(a), weights(b))
    assert a.curves.keys() == b.curves.keys()
    for name in a.curves.keys() - {"process_seconds"}:
        np.testing.assert_array_equal(a.curves[name], b.curves[name])
    np.testing.assert_array_equal(a.tau, b.tau)
    np.testing.assert_array_equal(a.images_seen, b.images_seen)


def probe(network, tau):
    """Something that depends on every weight, in evaluation mode."""
    x = torch.linspace(-1, 1, 128).reshape(2, 1, 8, 8).to(next(network.parameters()).dtype)
    return {"mean": network(x, torch.tensor([3, 700])).mean(), "both": np.full(2, tau)}
