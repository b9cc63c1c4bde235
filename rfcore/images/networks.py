"""Networks that predict the noise in a picture, by name.

All are called as ``network(x, t, y=None)``: pictures (m, C, H, W), indices t (m,) of the noise schedule and,
for a network with classes, y (m,).  ``p`` below is the number of parameters for grey pictures.

    name          side   p              what
    nano          8      63,984         UNet, widths 12, 24, patch 2
    cpu           8      105,364        UNet, widths 16, 32, patch 2
    cpu-full      8      108,785        the same with all pixels, and attention at the bottom
    g8 g12        32     115,756  244,128       UNet, widths c, 2c, 4c for gc, patch 2, attention at
    g16 g32       32     421,588  1,622,308     the bottom
    g16-nopatch   32     420,721        g16 with all pixels
    refW          32     263,089 (W = 8), 1,026,657 (16), 4,055,233 (32), 9,085,729 (48), 16,118,145 (64)
    dit-cpu       8      DiT, width 48, depth 3, patch 2
    dit-s  dit-m  32     DiT, width 64 or 128, depth 4, patch 4; dit-s is the pair of g16

>>> preset = rf.images.networks.PRESETS["g16"]
>>> preset.side, preset.multiple
(32, 8)
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from rfcore.checks import choice, refuse, whole
from rfcore.images._dit import DiT
from rfcore.images._linear import LinearDenoiser
from rfcore.images._unet import ReferenceUNet, UNet
from rfcore.images.schedule import NetworkScore

__all__ = [
    "DiT",
    "LinearDenoiser",
    "NetworkScore",
    "PRESETS",
    "Preset",
    "ReferenceUNet",
    "UNet",
    "build",
    "count",
]


@dataclass(frozen=True)
class Preset:
    """A class of network, the side of the pictures it is meant for, and its options.

    ``multiple``: sides of pictures must be multiples of it.
    """

    kind: type[nn.Module]
    side: int
    multiple: int
    options: dict[str, Any]


def _unet(side: int, *channels: int, patch: int = 2, bottleneck: bool = True) -> Preset:
    options = {"channels": channels, "patch": patch, "bottleneck": bottleneck}
    return Preset(UNet, side, patch * 2 ** (len(channels) - 1), options)


def _dit(side: int, width: int, depth: int, heads: int, patch: int) -> Preset:
    return Preset(DiT, side, patch, {"width": width, "depth": depth, "heads": heads, "patch": patch})


PRESETS = {
    "nano": _unet(8, 12, 24, bottleneck=False),
    "cpu": _unet(8, 16, 32, bottleneck=False),
    "cpu-full": _unet(8, 16, 32, patch=1),
    **{f"g{c}": _unet(32, c, 2 * c, 4 * c) for c in (8, 12, 16, 32)},
    "g16-nopatch": _unet(32, 16, 32, 64, patch=1),
    **{f"ref{w}": Preset(ReferenceUNet, 32, 4, {"width": w}) for w in (8, 16, 32, 48, 64)},
    "dit-cpu": _dit(8, 48, 3, 3, 2),
    "dit-s": _dit(32, 64, 4, 4, 4),
    "dit-m": _dit(32, 128, 4, 4, 4),
}
"""The networks by name, see :mod:`rfcore.images.networks`.

>>> sorted(rf.images.PRESETS)[:4]
['cpu', 'cpu-full', 'dit-cpu', 'dit-m']
"""


def build(
    name: str, shape: tuple[int, int, int], seed: int, classes: int = 0, dropout: float = 0.0
) -> nn.Module:
    """A fresh network for pictures of ``shape`` (C, H, W), its parameters drawn from ``seed``.

    name : one of :data:`PRESETS`
    classes : number of classes, 0 for none
    dropout : share of channels dropped in training (U-Nets only; the published experiments use 0.1)

    Source: chapter 13 of the book.

    float32, on the CPU.  The global random state is left as it was.

    Returns a network.  Raises ValueError for an unknown name, and for a shape or options that it cannot
    have.

    >>> rf.images.count(rf.images.build("nano", (1, 8, 8), seed=0))
    63984
    """
    preset = PRESETS[choice("name", name, PRESETS)]
    channels, height, width = (whole("shape", each) for each in shape)
    if height % preset.multiple or width % preset.multiple:
        raise refuse("shape", shape, f"(C, H, W) with H and W multiples of {preset.multiple} for {name!r}")
    if not 0 <= dropout < 1:
        raise refuse("dropout", dropout, "a number in [0, 1)")
    options = {**preset.options, "pictures": channels, "classes": whole("classes", classes, least=0)}
    if preset.kind is DiT:
        if height != width or dropout:
            raise refuse("shape, dropout", (shape, dropout), f"square pictures and dropout 0 for {name!r}")
        options["side"] = height
    else:
        options["dropout"] = dropout
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(whole("seed", seed, least=0))
        return preset.kind(**options)


def count(network: nn.Module, trainable: bool = False) -> int:
    """Number of parameters of a network; with ``trainable`` without those that are frozen.

    Source: the p of chapter 13 of the book.

    Returns a whole number.  Raises nothing.

    >>> net = rf.images.ReferenceUNet(width=8)
    >>> rf.images.count(net) - rf.images.count(net, trainable=True)  # the frozen table of times
    8000
    """
    return sum(each.numel() for each in network.parameters() if each.requires_grad or not trainable)
