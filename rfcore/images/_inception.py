"""Inception v3 up to its 2,048 features, for a file of published weights that the reader has.

Names and sizes of all layers are those of the public weights, so that they load as they are.  The average
pools leave out the border, and the last block takes a maximum there: the variant that the weights for
Frechet distances were converted for.  Source: Szegedy et al. (2016), Heusel et al. (2017).
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from rfcore.checks import refuse

Tensor = torch.Tensor
SIDE, FEATURES = 299, 2048
Kernel = int | tuple[int, int]
Branch = list[tuple[str, int, Kernel, int]]  # name, channels, kernel, stride
TALL, WIDE, FLAT, STEEP = (7, 1), (1, 7), (1, 3), (3, 1)


class _Conv(nn.Module):
    """Convolution, batch norm, ReLU; the picture keeps its size unless ``pad`` is off or stride is 2."""

    def __init__(self, old: int, new: int, kernel: Kernel, stride: int = 1, pad: bool = True) -> None:
        super().__init__()
        high, wide = (kernel, kernel) if isinstance(kernel, int) else kernel
        around = (high // 2, wide // 2) if pad and stride == 1 else (0, 0)
        self.conv = nn.Conv2d(old, new, (high, wide), stride, around, bias=False)
        self.bn = nn.BatchNorm2d(new, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class _Mixed(nn.Module):
    """Branches side by side, each a chain of convolutions; then a pool: "mean" or "max" and a convolution,
    or "shrink", a maximum with stride 2.  A pair of names in a chain is a fork whose ends are joined."""

    def __init__(self, old: int, branches: list[Branch], pool: str, pooled: int = 0) -> None:
        super().__init__()
        self.chains: list[list[tuple[str, ...]]] = []
        for branch in branches:
            width = old
            chain: list[tuple[str, ...]] = []
            for name, new, kernel, stride in branch:
                if name.endswith("a"):  # a fork: 1 x 3 beside 3 x 1
                    self.add_module(name, _Conv(width, new, FLAT))
                    self.add_module(f"{name[:-1]}b", _Conv(width, new, STEEP))
                    chain.append((name, f"{name[:-1]}b"))
                else:
                    self.add_module(name, _Conv(width, new, kernel, stride))
                    chain.append((name,))
                width = new
            self.chains.append(chain)
        self.pool = pool
        if pooled:
            self.branch_pool = _Conv(old, pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self._run(chain, x) for chain in self.chains]
        if self.pool == "shrink":
            return torch.cat([*parts, F.max_pool2d(x, 3, 2)], dim=1)
        if self.pool == "max":
            around = F.max_pool2d(x, 3, 1, 1)
        else:
            around = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        return torch.cat([*parts, self.branch_pool(around)], dim=1)

    def _run(self, chain: list[tuple[str, ...]], x: Tensor) -> Tensor:
        for names in chain:
            x = torch.cat([self.get_submodule(name)(x) for name in names], dim=1)
        return x


def _a(old: int, pooled: int) -> _Mixed:
    five: Branch = [("branch5x5_1", 48, 1, 1), ("branch5x5_2", 64, 5, 1)]
    three: Branch = [
        (f"branch3x3dbl_{k}", c, kernel, 1) for k, c, kernel in ((1, 64, 1), (2, 96, 3), (3, 96, 3))
    ]
    return _Mixed(old, [[("branch1x1", 64, 1, 1)], five, three], "mean", pooled)


def _b(old: int) -> _Mixed:
    double: Branch = [
        ("branch3x3dbl_1", 64, 1, 1),
        ("branch3x3dbl_2", 96, 3, 1),
        ("branch3x3dbl_3", 96, 3, 2),
    ]
    return _Mixed(old, [[("branch3x3", 384, 3, 2)], double], "shrink")


def _c(old: int, c: int) -> _Mixed:
    seven: Branch = [("branch7x7_1", c, 1, 1), ("branch7x7_2", c, WIDE, 1), ("branch7x7_3", 192, TALL, 1)]
    chain: tuple[tuple[int, Kernel], ...] = ((c, 1), (c, TALL), (c, WIDE), (c, TALL), (192, WIDE))
    double: Branch = [(f"branch7x7dbl_{k + 1}", width, kernel, 1) for k, (width, kernel) in enumerate(chain)]
    return _Mixed(old, [[("branch1x1", 192, 1, 1)], seven, double], "mean", 192)


def _d(old: int) -> _Mixed:
    chain: tuple[tuple[Kernel, int], ...] = ((1, 1), (WIDE, 1), (TALL, 1), (3, 2))
    seven: Branch = [(f"branch7x7x3_{k + 1}", 192, kernel, s) for k, (kernel, s) in enumerate(chain)]
    return _Mixed(old, [[("branch3x3_1", 192, 1, 1), ("branch3x3_2", 320, 3, 2)], seven], "shrink")


def _e(old: int, pool: str) -> _Mixed:
    three: Branch = [("branch3x3_1", 384, 1, 1), ("branch3x3_2a", 384, 3, 1)]
    double: Branch = [
        ("branch3x3dbl_1", 448, 1, 1),
        ("branch3x3dbl_2", 384, 3, 1),
        ("branch3x3dbl_3a", 384, 3, 1),
    ]
    return _Mixed(old, [[("branch1x1", 320, 1, 1)], three, double], pool, 192)


class Inception(nn.Module):
    """The network without its classifier: 21,785,568 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _Conv(3, 32, 3, 2)
        self.Conv2d_2a_3x3 = _Conv(32, 32, 3, pad=False)
        self.Conv2d_2b_3x3 = _Conv(32, 64, 3)
        self.Conv2d_3b_1x1 = _Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = _Conv(80, 192, 3, pad=False)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _a(192, 32), _a(256, 64), _a(288, 64)
        self.Mixed_6a = _b(288)
        self.Mixed_6b, self.Mixed_6c = _c(768, 128), _c(768, 160)
        self.Mixed_6d, self.Mixed_6e = _c(768, 160), _c(768, 192)
        self.Mixed_7a, self.Mixed_7b, self.Mixed_7c = _d(768), _e(1280, "mean"), _e(2048, "max")

    @classmethod
    def load(cls, path: str | Path) -> "Inception":
        """With the weights in a file; what it has beyond the trunk is left aside, and nothing in it is run.

        Raises ValueError for a file that is not a table of these weights.
        """
        file, net = Path(path), cls()
        try:
            held: Any = torch.load(file, map_location="cpu", weights_only=True)
            # Older files lack the counters of batches, which are of no use here.
            counters = {name: value for name, value in net.state_dict().items() if name.endswith("_tracked")}
            net.load_state_dict(
                {name: held[name] for name in net.state_dict() if name not in counters} | counters
            )
        except FileNotFoundError:
            raise
        except Exception as error:  # a damaged file can make the reader stumble over anything
            text = f"a file of Inception v3 weights ({type(error).__name__})"
            raise refuse("weights", file.name, text) from None
        return net.eval()

    def features(self, x: Tensor) -> Tensor:
        """Pictures (m, 1 or 3, H, W) in [-1, 1], resized to 299 x 299; (m, 2048), float32."""
        x = F.interpolate(x.float().clamp(-1, 1), size=(SIDE, SIDE), mode="bilinear", align_corners=False)
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x.expand(-1, 3, -1, -1))))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))
        x = F.max_pool2d(x, 3, 2)
        for name, block in self.named_children():
            if name.startswith("Mixed"):
                x = block(x)
        return x.mean(dim=(2, 3))
