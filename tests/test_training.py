"""Training: the update against autograd, runs side by side, the hook, the question."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

import rfcore as rf
from rfcore import images
from rfcore.images import Training, _run, training
from rfcore.images._draws import Draws
from tests.training_runs import DATA, KINDS, TINY, flat, probe, same, weights

# --- the update


def test_one_step_against_autograd_and_momentum_by_hand(monkeypatch):
    """Three steps of SGD, v <- 0.95 v + grad, w <- w - rate v, on the loss as it is defined."""
    original, seen = Draws.__call__, []
    monkeypatch.setattr(Draws, "__call__", lambda self: seen.append(original(self)) or seen[-1])
    question = replace(TINY, optimizer="sgd", learning_rate=0.05, precision="float64", steps=3, seed=4)
    answer = images.train(question, DATA)
    network = images.build("nano", (1, 8, 8), question.seeds.init).double()
    pictures = torch.tensor(DATA.images[DATA.train(6)]).double()
    velocity, losses = None, []
    for rows, t, eps in seen:
        abar = torch.tensor(images.ABAR)[t].reshape(-1, 1, 1, 1)
        x = abar.sqrt() * pictures[rows] + (1 - abar).sqrt() * eps
        loss = ((network(x, t) - eps) ** 2).mean()
        grads = torch.autograd.grad(loss, list(network.parameters()))
        velocity = [g + (0.95 * v) for g, v in zip(grads, velocity or [0.0] * len(grads), strict=True)]
        with torch.no_grad():
            for each, v in zip(network.parameters(), velocity, strict=True):
                each -= 0.05 * v
        losses.append(loss.item())
    torch.testing.assert_close(weights(answer), flat(network), rtol=1e-12, atol=1e-14)
    assert answer.curves["batch_loss"][-1] == pytest.approx(np.mean(losses), rel=1e-12)


def test_adam_moves_each_weight_by_its_rate_first():
    before = images.build("nano", (1, 8, 8), TINY.seeds.init)
    after = images.train(replace(TINY, steps=1, learning_rate=1e-3), DATA)
    moved = (weights(after) - flat(before)).abs()
    # the head alone: it starts at zero and hides all others
    head = sum(each.numel() for each in before.head.parameters())
    assert moved.max().item() == pytest.approx(1e-3, rel=1e-3)
    assert head >= (moved > 0.9e-3).sum() > 0.9 * head and (moved > 0).sum() <= head


def test_precisions_agree_at_first():
    runs = [
        images.train(replace(TINY, precision=p, steps=6, first=6), DATA, measure=probe)
        for p in training.PRECISIONS
    ]
    single, double, half = (run.curves["batch_loss"][-1] for run in runs)
    assert next(runs[1].network.parameters()).dtype == torch.float64
    assert next(runs[2].network.parameters()).dtype == torch.float32
    # float64 draws its own noise: the losses agree as two samples do
    assert 0 < abs(half - single) < 1e-2 * single and abs(double - single) < 0.2 * single


def test_a_run_learns_and_the_published_numbers_come_out():
    """Sixteen digits, 73 steps of Adam, one frozen bank: 0.185 on training pictures, 0.255 on the test."""
    source = torch.Generator().manual_seed(7)
    k = torch.randint(1, 1000, (1024,), generator=source)
    eps = torch.randn(1024, 1, 8, 8, generator=source)
    part = DATA.subset(16)
    noising = images.schedule.Noising()
    banks = {
        name: noising(
            torch.tensor(getattr(part, name))[torch.arange(1024) % len(getattr(part, name))], k, eps
        )
        for name in ("train", "test")
    }

    def losses(network, tau):
        return {name: (network(x, k) - eps).square().mean() for name, x in banks.items()}

    run = images.train(Training(n=16, steps=73, checkpoints=1), DATA, measure=losses)
    assert run.curves["train"][0] == run.curves["test"][0] == eps.square().mean().numpy()
    assert run.curves["train"][-1] == pytest.approx(0.185, rel=0.1)
    assert run.curves["test"][-1] == pytest.approx(0.255, rel=0.1)


# --- many runs


def test_company_changes_nothing(tmp_path):
    """All together, one step of each in turn, against each alone; dropout would show a shared generator."""
    questions = [replace(TINY, **kind) for kind in KINDS] + [replace(TINY, seed=1), replace(TINY, steps=5)]
    alone = [images.train(question, DATA, measure=probe) for question in questions]
    runs = [_run.Run(question, DATA, probe, None, "cpu", False) for question in questions]
    training._advance(runs, math.inf)
    together = [training._answer(run) for run in runs]
    stored = images.train_all(questions, DATA, measure=probe, folder=tmp_path)
    for a, b, c in zip(alone, together, stored, strict=True):
        same(a, b)
        same(a, c)
    names = {f"{training.key(question, DATA)}.pt" for question in questions}
    assert {path.name for path in tmp_path.iterdir()} == names and len(names) == 5


def test_time_is_shared_by_all_runs(tmp_path):
    questions = [replace(TINY, seed=s) for s in range(3)]
    runs = images.train_all(questions, DATA, folder=tmp_path, limit=0)
    assert [run.steps for run in runs] == [0, 0, 0] and not any(run.finished for run in runs)
    done = images.train_all(questions, DATA, folder=tmp_path)
    for question, run in zip(questions, done, strict=True):
        same(images.train(question, DATA), run)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_captured_steps_agree_with_eager_ones(monkeypatch):
    """Twenty-five steps, of which fifteen are replayed, against the same without graphs, in float32."""
    questions = [replace(TINY, steps=25, batch=64, learning_rate=1e-3, seed=s) for s in range(3)]
    graphs = images.train_all(questions, DATA, device="cuda", measure=None)
    monkeypatch.setattr(_run, "Captured", lambda run: None)
    for question, run in zip(questions, graphs, strict=True):
        eager = images.train(question, DATA, device="cuda")
        np.testing.assert_allclose(run.curves["batch_loss"], eager.curves["batch_loss"], rtol=1e-4)


# --- the hook, the question


def test_measurements_see_the_network_at_rest():
    modes = []

    def look(network, tau):
        modes.append((network.training, torch.is_grad_enabled(), tau))
        return {"tau_again": tau}

    run = images.train(replace(TINY, dropout=0.5), DATA, measure=look)
    assert modes == [(False, False, tau) for tau in (0, 3, 6, 12)]
    np.testing.assert_array_equal(run.tau, [0, 3, 6, 12])
    np.testing.assert_array_equal(run.curves["tau_again"], run.tau)
    np.testing.assert_array_equal(run.images_seen, 4 * run.tau)
    assert np.isnan(run.curves["batch_loss"][0]) and torch.is_grad_enabled()
    with pytest.raises(ValueError, match="names measured"):
        images.train(TINY, DATA, measure=lambda network, tau: {f"at{tau}": 0})


def test_the_answer_is_a_score():
    run = images.train(TINY, DATA)
    x = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    out = rf.diffusion.sample(run.score(clip=1.5), x, images.sampling_times(10), "ddim")
    assert out.shape == x.shape and out.abs().max() <= 1.5 + 1e-5
    assert run.data.train.shape == (6, 1, 8, 8)


def test_a_loss_that_is_no_number_is_an_error():
    with pytest.raises(ArithmeticError, match="learning_rate = 1e"):
        images.train(replace(TINY, optimizer="sgd", learning_rate=1e30, steps=40), DATA)


def test_checkpoints_are_those_of_the_documented_runs():
    assert set(Training().taus) > {0, 50, 73, 342, 740, 1600} and len(Training().taus) == 11
    assert {373, 731} < set(Training(n=8, steps=2000, checkpoints=12).taus)
    assert Training(steps=20).taus == (0, 20) and Training(steps=7, first=1, checkpoints=30).taus == tuple(
        range(8)
    )


def test_the_published_protocol():
    q = Training.published(32, 1024, seed=3)
    assert (q.network, q.optimizer, q.learning_rate, q.batch_rule, q.batch) == (
        "ref32",
        "sgd",
        0.01,
        "epoch",
        512,
    )
    assert (q.dropout, q.scale, q.steps, q.n, q.seed) == (0.1, "paper", 2_000_000, 1024, 3)
    assert Training.published(8, 100, optimizer="adam").optimizer == "adam"


@pytest.mark.parametrize(
    "change, complaint",
    [
        ({"network": "huge"}, "network = 'huge'"),
        ({"n": 0}, "n = 0"),
        ({"split": -1}, "split = -1"),
        ({"steps": 1.5}, "steps = 1.5"),
        ({"batch_rule": "random"}, "batch_rule = 'random'"),
        ({"optimizer": "lion"}, "optimizer = 'lion'"),
        ({"learning_rate": 0}, "learning_rate = 0"),
        ({"times": "late"}, "times = 'late'"),
        ({"times": 1000}, "index = 1000"),
        ({"times": True}, "times = True"),
        ({"dropout": 1}, "dropout = 1"),
        ({"precision": "float16"}, "precision = 'float16'"),
        ({"scale": "unit"}, "scale = 'unit'"),
        ({"seed": -1}, "seed = -1"),
    ],
)
def test_bad_questions_are_refused(change, complaint):
    with pytest.raises(ValueError, match=complaint):
        replace(TINY, **change)


def test_questions_that_the_data_cannot_answer_are_refused():
    with pytest.raises(ValueError, match="n = 1286"):
        images.train(replace(TINY, n=1286), DATA)
    with pytest.raises(ValueError, match="conditional = True"):
        images.train(replace(TINY, conditional=True), replace(DATA, labels=None))


def test_clocks_run():
    began = time.monotonic()
    run = images.train(TINY, DATA)
    assert 0 < run.seconds <= time.monotonic() - began
    assert (np.diff(run.curves["process_seconds"]) > 0).all()
