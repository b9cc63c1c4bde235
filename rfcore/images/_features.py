"""Feature networks of the Frechet distance: a small one that is stored with the package, and Inception v3."""

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F

from rfcore import results
from rfcore.checks import refuse, whole
from rfcore.images._arrays import Array

STORED = "features-digits"
COMMAND = "python -m rfcore.images._features"
ABOUT = (
    "Weights of the small network whose 64 features the Fréchet distance uses. It tells the ten classes "
    "of the digits of scikit-learn apart, and was trained on the last 512 of them alone."
)
WIDTHS = (16, 32, 64, 64)
STEPS, BATCH, RATE, REACH = 320, 64, 3e-3, 1
BLOCK = 512


class FeatureNet(nn.Module):
    """Four 3 x 3 convolutions with group norm and SiLU, the second and fourth halving the picture, then the
    mean over pixels: 64 numbers per picture (m, C, H, W) of any size, float32, about 61,000 parameters."""

    def __init__(self, channels: int = 1, classes: int = 10) -> None:
        super().__init__()
        widths = (channels, *WIDTHS)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(old, new, 3, stride=1 + k % 2, padding=1)
            for k, (old, new) in enumerate(zip(widths[:-1], widths[1:], strict=True))
        )
        self.norms = nn.ModuleList(nn.GroupNorm(4, width) for width in WIDTHS)
        self.head = nn.Linear(WIDTHS[-1], classes)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.silu(norm(convolution(x)))
        return x.mean(dim=(2, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))  # type: ignore[no-any-return]


def named(name: str, shape: tuple[int, ...], weights: str | Path | None = None) -> Callable[[Array], Array]:
    """The features "cnn", "random" or "inception" of pictures of ``shape`` (C, H, W): (N, C, H, W) -> (N, k).

    Raises ValueError for a shape the network was not made for.
    """
    if len(shape) != 3:
        raise refuse("shape of a picture", shape, f"(C, H, W) for features = {name!r}")
    if name == "cnn" and shape != (1, 8, 8):
        raise refuse("shape of a picture", shape, "(1, 8, 8) for features = 'cnn'; 'random' takes any")
    if name == "inception":
        from rfcore.images._inception import Inception

        if shape[0] not in (1, 3) or weights is None:
            raise refuse("shape of a picture", shape, "(1, H, W) or (3, H, W) for features = 'inception'")
        return _in_blocks(Inception.load(weights).features, 16)
    net = _stored() if name == "cnn" else fresh(shape[0])
    return of(net)


def fresh(channels: int = 1, classes: int = 10, seed: int = 0) -> FeatureNet:
    """The network before training.  The global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(whole("seed", seed, least=0))
        return FeatureNet(channels, classes).eval()


def fit(images: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], seed: int = 0) -> FeatureNet:
    """Trained to tell labels (N,) of images (N, C, H, W) apart: 320 steps of Adam, shifts of up to a pixel.

    The shifts keep a few hundred pictures from being learnt by heart.
    """
    net = fresh(images.shape[1], int(labels.max()) + 1, seed).train()
    source = torch.Generator().manual_seed(seed)
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    queue: list[torch.Tensor] = []
    for _ in range(STEPS):
        queue = queue or list(torch.split(torch.randperm(len(x), generator=source), BATCH))
        part = queue.pop(0)
        optimizer.zero_grad()
        F.cross_entropy(net(_shifted(x[part], source)), y[part]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return net.eval()


def turned(
    images: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Each picture in its eight positions (turned and flipped), and which one it is: labels for pictures that
    come without, because to tell the positions apart one has to know what is in the picture."""
    turns = [np.rot90(images, k, axes=(2, 3)) for k in range(4)]
    every = [*turns, *(each[..., ::-1] for each in turns)]
    return np.concatenate(every), np.repeat(np.arange(8), len(images))


def of(net: FeatureNet) -> Callable[[Array], Array]:
    """The features of a network, in float64: (N, C, H, W) -> (N, 64)."""
    return _in_blocks(net.double().features, BLOCK)


def accuracy(net: FeatureNet, images: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    """Share of pictures whose class the network finds."""
    with torch.no_grad():
        return float((net(torch.from_numpy(images)).argmax(dim=1).numpy() == labels).mean())


def store(folder: Path = results.FOLDER) -> results.Stored:
    """Train on the held-out tail of the digits and store the weights: what ``COMMAND`` does."""
    from rfcore.datasets import digits

    start, data = time.perf_counter(), digits()
    assert data.labels is not None
    tail, head = data.test, data.train(data.order.size - data.tests)
    net = fit(data.images[tail], data.labels[tail])
    arrays = {name.replace(".", "_"): value.numpy() for name, value in net.state_dict().items()}
    papers = results.provenance(
        COMMAND,
        0,
        time.perf_counter() - start,
        about=ABOUT,
        dataset_sha256=data.sha256,
        accuracy_on_pictures_never_seen=accuracy(net, data.images[head], data.labels[head]),
        accuracy_on_its_own_pictures=accuracy(net, data.images[tail], data.labels[tail]),
    )
    return results.save(STORED, arrays, papers, folder)


@cache
def _stored() -> FeatureNet:
    try:
        held = results.load(STORED).arrays
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}; the weights of features = 'cnn' come from {COMMAND}") from None
    net = fresh()
    net.load_state_dict(
        {name: torch.tensor(held[name.replace(".", "_")]) for name in net.state_dict()}, strict=True
    )
    return net.eval()


def _in_blocks(features: Callable[[torch.Tensor], torch.Tensor], block: int) -> Callable[[Array], Array]:
    def run(images: Array) -> Array:
        with torch.no_grad():
            parts = [features(part) for part in torch.split(torch.from_numpy(images), block)]
        return np.asarray(torch.cat(parts).double().numpy())

    return run


def _shifted(x: torch.Tensor, source: torch.Generator) -> torch.Tensor:
    """Each picture moved by up to one pixel, edges repeated."""
    side, reach = x.shape[-1], REACH
    wide = F.pad(x, (reach,) * 4, mode="replicate")
    down, right = torch.randint(0, 2 * reach + 1, (2, len(x)), generator=source)
    window = torch.arange(side)
    rows, columns = down[:, None] + window, right[:, None] + window
    index = torch.arange(len(x))[:, None, None]
    return wide.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


if __name__ == "__main__":
    print(store().sha256)
