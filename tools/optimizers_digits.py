"""Trains small U-Nets on digits with Adam and momentum, and tests Adam's kernel: data/optimizers-digits.npz.

python -m tools.optimizers_digits
"""

import sys
import time

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

import rfcore as rf
from rfcore.images.losses import LossBank
from rfcore.images.schedule import Noising

NAME = "optimizers-digits"
COMMAND = "python -m tools.optimizers_digits"
ABOUT = (
    "Small U-Nets on 8 and 16 digits: losses along training with Adam and with momentum; and, for networks "
    "half trained by each, kernel, residual and how it relaxed in forty further steps on twelve fixed rows."
)
RATES = {"adam": 2e-3, "sgd": 2e-2}
BETAS = {"adam": 0.9, "sgd": 0.95}
SIZES, SEEDS, STEPS, CHECKPOINTS, FIRST = (8, 16), 3, 1000, 10, 20
WARM, ROWS, LATER = 300, 12, 40
Array = npt.NDArray[np.float64]


def curves(optimizer: str, n: int, seed: int) -> tuple[Array, Array, Array]:
    """Checkpoints, training and test loss at low noise."""
    question = rf.images.Training(
        network="nano",
        n=n,
        optimizer=optimizer,
        learning_rate=RATES[optimizer],
        steps=STEPS,
        checkpoints=CHECKPOINTS,
        first=FIRST,
        seed=seed,
    )
    digits = rf.datasets.digits()
    data = digits.subset(n, question.split, question.scale)
    bank = LossBank(data.train, data.test, 512, question.seeds.evaluate)
    run = rf.images.train(question, digits, measure=lambda network, tau: bank(network).row())
    return run.tau.astype(float), run.curves["train_low"], run.curves["test_low"]


def kernel(optimizer: str, seed: int) -> dict[str, Array]:
    """Kernels J J^T and J P^-1 J^T of a half-trained network on fixed rows, and residuals along more steps.

    The residual's modes should relax by the polynomials of momentum at rate * eigenvalue if kernels stay.
    """
    source = torch.Generator().manual_seed(seed)
    pictures = torch.tensor(rf.datasets.digits().subset(16, 0, "pm1").train)
    network = rf.images.build("nano", (1, 8, 8), seed)
    network.train()
    noising = Noising(torch.device("cpu"), torch.float32)
    rule = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[optimizer]
    more = {} if optimizer == "adam" else {"momentum": BETAS["sgd"]}
    steps = rule(network.parameters(), RATES[optimizer], **more)

    def draw(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        k = torch.randint(1, 300, (len(rows),), generator=source)
        eps = torch.randn((len(rows), 1, 8, 8), generator=source)
        return noising(pictures[rows], k, eps), k, eps

    def advance(x: torch.Tensor, k: torch.Tensor, eps: torch.Tensor) -> None:
        steps.zero_grad()
        nn.functional.mse_loss(network(x, k, None), eps).backward()  # type: ignore[no-untyped-call]
        steps.step()

    for _ in range(WARM):
        advance(*draw(torch.randint(len(pictures), (64,), generator=source)))
    x, k, eps = draw(torch.arange(ROWS))
    inverse = []
    for each in network.parameters():
        state = steps.state[each]
        for name in ("exp_avg", "momentum_buffer"):
            if name in state:
                state[name].zero_()
        if optimizer == "adam":
            v = state["exp_avg_sq"] / (1 - 0.999**WARM)
            inverse.append((1 / (v.sqrt() + 1e-8)).flatten())
        else:
            inverse.append(torch.ones(each.numel()))
    J = jacobian(network, x, k)
    scale = torch.cat(inverse)
    plain = 2 / J.shape[0] * (J @ J.T).double()
    shaped = 2 / J.shape[0] * ((J * scale) @ J.T).double()
    residuals = []
    for step in range(LATER + 1):
        if step:
            advance(x, k, eps)
        with torch.no_grad():
            residuals.append((network(x, k, None) - eps).flatten().double().numpy())
    return {
        "plain": plain.numpy(),
        "shaped": shaped.numpy(),
        "mean_inverse": np.array(float((J**2 @ scale).sum() / (J**2).sum())),
        "residuals": np.stack(residuals),
    }


def jacobian(network: nn.Module, x: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """Of all outputs with respect to all parameters, (outputs, parameters)."""
    out = network(x, k, None).flatten()
    parameters = list(network.parameters())
    rows = []
    for j in range(len(out)):
        grads = torch.autograd.grad(out[j], parameters, retain_graph=True)
        rows.append(torch.cat([g.flatten() for g in grads]))
    return torch.stack(rows)


def summary(optimizer: str, seed: int) -> dict[str, Array]:
    """Eigenvalues of both kernels, and the residual's modes: at the start, later, and as predicted."""
    held = kernel(optimizer, seed)
    start, end = held["residuals"][0], held["residuals"][-1]
    beta = BETAS[optimizer]
    h = RATES[optimizer] * ((1 - beta) if optimizer == "adam" else 1)
    answer = {"loss": np.mean(held["residuals"] ** 2, axis=1)}
    kernels = {"shaped": held["shaped"], "scalar": held["plain"] * held["mean_inverse"]}
    for name, K in kernels.items():
        lam, Q = np.linalg.eigh(K)
        now, last = np.ones_like(lam), np.ones_like(lam)
        loss = [1.0]
        modes = Q.T @ start
        for _ in range(LATER):
            now, last = now + beta * (now - last) - h * lam * now, now
            loss.append(float(np.mean((now * modes) ** 2)))
        loss[0] = float(np.mean(modes**2))
        answer |= {
            f"{name}_eigenvalues": lam,
            f"{name}_start": modes,
            f"{name}_end": Q.T @ end,
            f"{name}_factor": now,
            f"{name}_loss": np.array(loss),
        }
    answer["plain_eigenvalues"] = np.linalg.eigvalsh(held["plain"])
    return answer


def main() -> None:
    began = time.monotonic()
    torch.set_num_threads(1)
    arrays: dict[str, Array] = {}
    for optimizer in RATES:
        parts = [summary(optimizer, seed) for seed in range(SEEDS)]
        for key in parts[0]:
            arrays[f"{optimizer}_{key}"] = np.stack([part[key] for part in parts])
        print(optimizer, time.monotonic() - began, file=sys.stderr)
        for n in SIZES:
            runs = [curves(optimizer, n, seed) for seed in range(SEEDS)]
            arrays[f"{optimizer}_tau"] = runs[0][0]
            for i, side in ((1, "train"), (2, "test")):
                arrays[f"{optimizer}_{side}_{n}"] = np.stack([run[i] for run in runs])
            print(optimizer, n, time.monotonic() - began, file=sys.stderr)
    papers = rf.results.provenance(
        COMMAND,
        seed=list(range(SEEDS)),
        seconds=round(time.monotonic() - began, 1),
        about=ABOUT,
        axes="curves: seed, checkpoint; kernels, residuals: seed, mode; losses on fixed rows: seed, step",
        settings={"rates": RATES, "betas": BETAS, "steps": STEPS, "warm": WARM, "rows": ROWS},
    )
    rf.results.save(NAME, arrays, papers)


if __name__ == "__main__":
    main()
