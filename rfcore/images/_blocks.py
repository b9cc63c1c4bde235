"""What the U-Nets are made of: a residual block that knows the time, self-attention, dropout."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from rfcore.images.schedule import STEPS

Tensor = torch.Tensor
FEATURES = 32


class TimeEmbedding(nn.Module):
    """t/1000 in [0, 1) as 32 waves (frequencies 1 to 1000, log-spaced), then two layers; the class is added.

    Called with indices (m,), whole or not, and classes (m,) or None; gives (m, width).
    """

    frequencies: Tensor

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(FEATURES, width), nn.Linear(width, width)
        # One row more than there are classes: the last one means "no class".
        self.classes = nn.Embedding(classes + 1, width) if classes else None
        self.register_buffer("frequencies", torch.logspace(0, 3, FEATURES // 2), persistent=False)

    def forward(self, t: Tensor, y: Tensor | None) -> Tensor:
        phase = (t / STEPS).to(self.frequencies.dtype)[:, None] * self.frequencies
        hidden: Tensor = self.second(F.silu(self.first(torch.cat([phase.sin(), phase.cos()], dim=1))))
        if self.classes is not None:
            none = self.classes.num_embeddings - 1
            hidden = hidden + self.classes(torch.full_like(t, none, dtype=torch.long) if y is None else y)
        return F.silu(hidden)


class ChannelDropout(nn.Module):
    """In training, zero whole channels with probability ``rate`` and scale the others up.

    ``generator``, when set, is where the masks come from: then a run can be repeated bit for bit.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        chance = torch.rand(x.shape[:2], generator=self.generator, device=x.device, dtype=x.dtype)
        return x * ((chance >= self.rate).to(x.dtype) / (1 - self.rate))[:, :, None, None]


class Residual(nn.Module):
    """x + block(x, time): norm, SiLU, 3 x 3, time as a bias per channel, norm, SiLU, 3 x 3."""

    def __init__(self, old: int, new: int, time: int, groups: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(groups, old), nn.Conv2d(old, new, 3, padding=1)
        self.time = nn.Linear(time, new)
        self.norm2, self.conv2 = nn.GroupNorm(groups, new), nn.Conv2d(new, new, 3, padding=1)
        self.dropout = ChannelDropout(dropout) if dropout else nn.Identity()
        self.skip = nn.Identity() if old == new else nn.Conv2d(old, new, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x))) + self.time(time)[:, :, None, None]
        h = self.conv2(self.dropout(F.silu(self.norm2(h))))
        return h + self.skip(x)  # type: ignore[no-any-return]


class Attention(nn.Module):
    """x + self-attention between the pixels of x, four heads."""

    def __init__(self, channels: int, groups: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(groups, channels)
        self.qkv, self.out = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        seen: Tensor = self.out(attend(self.qkv(tokens), self.heads))
        return x + seen.transpose(1, 2).reshape(x.shape)


class Step(nn.Module):
    """A residual block from width ``old`` to ``new``, and attention where asked for."""

    def __init__(self, old: int, new: int, look: bool, time: int, groups: int, dropout: float) -> None:
        super().__init__()
        self.block = Residual(old, new, time, groups, dropout)
        self.look = Attention(new, groups) if look else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return self.look(self.block(x, time))  # type: ignore[no-any-return]


def attend(qkv: Tensor, heads: int) -> Tensor:
    """Softmax attention from queries, keys, values (m, tokens, 3 width); gives (m, tokens, width)."""
    m, tokens, triple = qkv.shape
    q, k, v = qkv.view(m, tokens, 3, heads, triple // (3 * heads)).permute(2, 0, 3, 1, 4)
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(m, tokens, triple // 3)


class Upsample(nn.Module):
    """Each pixel becomes 2 x 2, then a 3 x 3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))  # type: ignore[no-any-return]


def zeroed(layer: nn.Linear | nn.Conv2d) -> nn.Module:
    """The layer with all its parameters 0."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def wave_table(length: int, width: int) -> Tensor:
    """Sines and cosines of 0 .. length - 1 at ``width``/2 frequencies from 1 to 1e-4, (length, width)."""
    frequencies = torch.exp(-math.log(1e4) * torch.arange(width // 2) / (width // 2))
    phase = torch.arange(length)[:, None] * frequencies
    return torch.cat([phase.sin(), phase.cos()], dim=1)
