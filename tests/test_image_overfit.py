"""A network that is trained on a handful of pictures for long returns them; a fresh one returns none."""

import numpy as np
import torch

import rfcore as rf
from rfcore._dataset import from_pictures


def test_a_handful_of_pictures_is_memorised_and_a_fresh_network_copies_nothing() -> None:
    """Four pictures of random signs: f_mem is 0 at tau = 0 and 1 at the end, the control is 0 throughout."""
    signs = np.sign(np.random.default_rng(0).standard_normal((40, 1, 8, 8))).astype(np.float32)
    data = from_pictures("signs", signs, np.arange(40), 20)
    known, images = data.subset(4), rf.images
    z = torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    bank, times = images.LossBank(known.train, known.test, pairs=256, fixed=()), images.sampling_times(20)
    found = []

    def measure(network: torch.nn.Module, tau: int) -> dict[str, object]:
        x = rf.diffusion.sample(images.NetworkScore(network, clip=1.0), z, times, "ddim")
        found.append(images.memorized_fraction(x, known.train, held_out=known.test))
        return {**bank(network).row(), "ratios": found[-1].ratios, "f_mem": found[-1].fraction}

    question = images.Training(
        "nano", n=4, steps=720, batch=48, learning_rate=5e-3, times="stratified", first=200, checkpoints=4
    )
    curves = images.train(question, data, measure=measure).curves
    assert curves["f_mem"][0] == 0 and curves["f_mem"][-1] > 0.95
    assert found[-1].high == 1 and found[-1].coverage == 1
    assert all(each.control is not None and each.control.fraction == 0 for each in found)
    # The gap opens before the first copies, and the training loss stays above the exact denoiser's.
    tau = question.taus
    gap = images.tau_gap(tau, curves["train"], curves["test"], error=curves["relative_gap_error"])
    copies = images.tau_mem(tau, curves["ratios"], 0.5)
    assert gap.value <= copies.value and copies.bound != ">"
    floor = bank.empirical_bayes()
    assert np.all(curves["train"] > floor.train - 3 * floor.train_error)
