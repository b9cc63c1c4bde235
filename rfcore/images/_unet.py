"""Two U-Nets: ours, which is small and starts at zero, and the reference one of the published experiments."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from rfcore.images._blocks import Step, Tensor, TimeEmbedding, Upsample, wave_table, zeroed
from rfcore.images.schedule import STEPS


class UNet(nn.Module):
    """Predicts the noise in x (m, C, H, W) at indices t (m,), whole or not, for classes y (m,) or None.

    Parameters
    ----------
    channels : width of each level; between levels the picture is halved
    patch : squares of patch x patch pixels become channels first and pixels again at the end (1: none)
    blocks : residual blocks a level, on the way down and up.  Each level hands one picture across
        per block
    attention : one bool per level, on both ways;  bottleneck : attention at the bottom
    pictures : channels C of a picture;  classes : number of classes, 0 for none

    The last layer starts at zero: the loss of a fresh network is exactly the mean square of the noise.

    Source: Ronneberger, Fischer and Brox (2015) for the shape, Ho et al. (2020) for its use.

    >>> import torch
    >>> net = rf.images.UNet(channels=(12, 24), patch=2)
    >>> tuple(net(torch.zeros(3, 1, 8, 8), torch.tensor([1, 10, 100])).shape)
    (3, 1, 8, 8)
    """

    def __init__(
        self,
        channels: Sequence[int],
        patch: int = 1,
        blocks: int = 1,
        attention: Sequence[bool] = (),
        bottleneck: bool = False,
        groups: int = 4,
        emb: int = 64,
        pictures: int = 1,
        classes: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        looks = tuple(attention) or (False,) * len(channels)
        self.patch, self.blocks = patch, blocks
        self.time = TimeEmbedding(emb, classes)
        self.stem = nn.Conv2d(pictures * patch**2, channels[0], 3, padding=1)
        self.down, self.shrink, self.up, self.grow = (nn.ModuleList() for _ in range(4))
        width = channels[0]
        for c, look in zip(channels, looks, strict=True):
            for old in [width] + [c] * (blocks - 1):
                self.down.append(Step(old, c, look, emb, groups, dropout))
            width = c
        for c in channels[:-1]:
            self.shrink.append(nn.Conv2d(c, c, 3, stride=2, padding=1))
        self.middle = Step(width, width, bottleneck, emb, groups, dropout)
        for c, look in zip(reversed(channels), reversed(looks), strict=True):
            for old in [width] + [c] * (blocks - 1):
                self.up.append(Step(old + c, c, look, emb, groups, dropout))
            width = c
        for c in reversed(channels[1:]):
            self.grow.append(Upsample(c))
        self.norm = nn.GroupNorm(groups, width)
        self.head = zeroed(nn.Conv2d(width, pictures * patch**2, 3, padding=1))

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        time = self.time(t, y)
        h = self.stem(F.pixel_unshuffle(x, self.patch) if self.patch > 1 else x)
        across = []
        for k, step in enumerate(self.down):
            if k and k % self.blocks == 0:
                h = self.shrink[k // self.blocks - 1](h)
            h = step(h, time)
            across.append(h)
        h = self.middle(h, time)
        for k, step in enumerate(self.up):
            if k and k % self.blocks == 0:
                h = self.grow[k // self.blocks - 1](h)
            h = step(torch.cat([h, across.pop()], dim=1), time)
        h = self.head(F.silu(self.norm(h)))
        return F.pixel_shuffle(h, self.patch) if self.patch > 1 else h


class ReferenceUNet(nn.Module):
    """The U-Net of Bonnaire et al. (2025), rebuilt from its description; called like :class:`UNet`.

    Three levels of width W, 2W, 4W; on the way down two residual blocks and a picture handed across after
    every layer, on the way up three blocks; attention on the two lower levels and at the bottom.
    Time: a frozen table of 1,000 x W waves (an index between two rows takes the nearer one), then two
    layers.  The table counts among the parameters, as in the published numbers.

    Source: Bonnaire et al. (2025), supplement.

    >>> rf.images.count(rf.images.ReferenceUNet(width=8))
    263089
    """

    def __init__(self, width: int, pictures: int = 1, classes: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        emb, groups = 4 * width, 8
        self.table = nn.Parameter(wave_table(STEPS, width), requires_grad=False)
        self.time1, self.time2 = nn.Linear(width, emb), nn.Linear(emb, emb)
        self.classes = nn.Embedding(classes + 1, emb) if classes else None
        self.stem = nn.Conv2d(pictures, width, 3, padding=1)
        self.down, self.shrink, self.up, self.grow = (nn.ModuleList() for _ in range(4))
        now, across = width, [width]
        for level in range(3):
            c = width * 2**level
            for old in (now, c):
                self.down.append(Step(old, c, level > 0, emb, groups, dropout))
            across += [c, c]
            if level < 2:
                self.shrink.append(nn.Conv2d(c, c, 3, stride=2, padding=1))
                across.append(c)
            now = c
        self.middle1 = Step(now, now, True, emb, groups, dropout)
        self.middle2 = Step(now, now, False, emb, groups, dropout)
        for level in (2, 1, 0):
            c = width * 2**level
            for old in (now, c, c):
                self.up.append(Step(old + across.pop(), c, level > 0, emb, groups, dropout))
            if level:
                self.grow.append(Upsample(c))
            now = c
        self.norm, self.head = nn.GroupNorm(groups, now), nn.Conv2d(now, pictures, 3, padding=1)

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        time = self.time2(F.gelu(self.time1(self.table[t.round().long()])))
        if self.classes is not None:
            none = self.classes.num_embeddings - 1
            time = time + self.classes(torch.full_like(t, none, dtype=torch.long) if y is None else y)
        time = F.silu(time)
        h = self.stem(x)
        across = [h]
        for k, step in enumerate(self.down):
            if k in (2, 4):
                h = self.shrink[k // 2 - 1](h)
                across.append(h)
            h = step(h, time)
            across.append(h)
        h = self.middle2(self.middle1(h, time), time)
        for k, step in enumerate(self.up):
            if k in (3, 6):
                h = self.grow[k // 3 - 1](h)
            h = step(torch.cat([h, across.pop()], dim=1), time)
        return self.head(F.silu(self.norm(h)))  # type: ignore[no-any-return]
