"""Images a second in training the U-Net of Bonnaire et al. (2025), width 32, on 32 x 32 pixels.

On a GPU with batches of 128, on a CPU with batches of 2.
"""

from dataclasses import replace

import numpy as np
import torch

import rfcore as rf
from benchmarks import best_of
from rfcore._dataset import Dataset, from_pictures
from rfcore.images._run import Run

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
BATCH = 128 if DEVICE == "cuda" else 2
CALLS = 20 if DEVICE == "cuda" else 1  # updates in one timed call


def grey(n: int, side: int) -> Dataset:
    pictures = np.random.default_rng(0).uniform(-1, 1, (n, 1, side, side)).astype(np.float32)
    return from_pictures("noise", pictures, np.arange(n), n // 4)


def milliseconds(question: rf.images.Training, data: Dataset, compile: bool) -> float:
    """Of one update, captured as a graph where there is a GPU."""
    trained = Run(question, data, None, None, DEVICE, compile)
    update = trained.update if trained.captured is None else trained.captured.update

    def several() -> None:
        for _ in range(CALLS):
            update()
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    return best_of(several) / CALLS


def run() -> list[dict[str, object]]:
    """Three ways to train; the other method is always the plain one."""
    plain = rf.images.Training(network="ref32", n=256, batch=BATCH, learning_rate=1e-4)
    low = replace(plain, precision="bfloat16")
    data, rows, base = grey(512, 32), [], float("nan")
    for name, question, compile in (
        ("float32", plain, False),
        ("float32, compiled", plain, True),
        ("bfloat16", low, False),
        ("bfloat16, compiled", low, True),
    ):
        time = milliseconds(question, data, compile)
        note = f"{1e3 * BATCH / time:,.0f} images/s on {DEVICE}; other: float32"
        rows.append(
            {
                "name": f"U-Net, W = 32, 32 x 32, batch {BATCH}, {name}",
                "ours_ms": time,
                "other_ms": base,
                "ratio": base / time,
                "note": note,
            }
        )
        base = base if name != "float32" else time
    return rows
