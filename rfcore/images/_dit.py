"""A diffusion transformer: pictures as a sequence of patches, time and class as modulation of each layer."""

import torch
from torch import nn
from torch.nn import functional as F

from rfcore.images._blocks import Tensor, TimeEmbedding, attend, zeroed


class DiT(nn.Module):
    """Predicts the noise in x (m, C, side, side) at indices t (m,), for classes y (m,) or None.

    Linear embedding of patches and learned positions, ``depth`` blocks of attention and a layer of width
    4 x width, each with shift, scale and gate from time and class (adaLN-Zero, Peebles and Xie 2023).
    Gates and the last layer start at zero: a fresh network predicts 0.

    Source: Peebles and Xie (2023).

    >>> net = rf.images.DiT(width=16, depth=1, heads=2, patch=2, side=8)
    >>> x = np.zeros((3, 1, 8, 8), dtype=np.float32)
    >>> import torch
    >>> tuple(net(torch.from_numpy(x), torch.tensor([1, 10, 100])).shape)
    (3, 1, 8, 8)
    """

    def __init__(
        self,
        width: int,
        depth: int,
        heads: int,
        patch: int,
        side: int,
        pictures: int = 1,
        classes: int = 0,
    ) -> None:
        super().__init__()
        self.patch = patch
        self.time = TimeEmbedding(width, classes)
        self.embed = nn.Linear(pictures * patch**2, width)
        self.places = nn.Parameter(0.02 * torch.randn((side // patch) ** 2, width))
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.modulation = zeroed(nn.Linear(width, 2 * width))
        self.head = zeroed(nn.Linear(width, pictures * patch**2))

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        time = self.time(t, y)
        patches = F.pixel_unshuffle(x, self.patch)
        h = self.embed(patches.flatten(2).transpose(1, 2)) + self.places
        for block in self.blocks:
            h = block(h, time)
        shift, scale = self.modulation(time)[:, None].chunk(2, dim=2)
        h = self.head(self.norm(h) * (1 + scale) + shift)
        return F.pixel_shuffle(h.transpose(1, 2).reshape(patches.shape), self.patch)


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = (nn.LayerNorm(width, elementwise_affine=False, eps=1e-6) for _ in range(2))
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.modulation = zeroed(nn.Linear(width, 6 * width))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation(time)[:, None].chunk(6, dim=2)
        h = self.norm1(x) * (1 + scale1) + shift1
        x = x + gate1 * self.out(attend(self.qkv(h), self.heads))
        h = self.norm2(x) * (1 + scale2) + shift2
        return x + gate2 * self.narrow(F.gelu(self.wide(h), approximate="tanh"))  # type: ignore[no-any-return]
