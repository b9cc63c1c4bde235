"""One draw of all that is random but the noise: the first layer and the data, at dimension d."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rfcore.checks import Array, choice, finite_array, of_kind, refuse, whole
from rfcore.model import RandomFeatureModel

Tensor = torch.Tensor
FEATURES = ("nonlinear", "gaussian")


@dataclass(frozen=True)
class Setting:
    """One draw of all that is random but the noise: M (p, d), data x (n, d); spectrum of Sigma (d,).

    atom (n,): which atom of the scale law each sample has (0 without a law); None for given data
    shift (p,): a constant added to the preactivations of the true network at m = infinity
    """

    model: RandomFeatureModel
    features: str
    M: Tensor
    x: Tensor
    x_test: Tensor | None
    spectrum: Tensor
    noise_seed: np.random.SeedSequence
    omega_seed: np.random.SeedSequence
    atom: npt.NDArray[np.int64] | None
    shift: Tensor | None = None

    @property
    def signal(self) -> float:
        return math.exp(-self.model.t)

    @property
    def width(self) -> float:
        return math.sqrt(self.model.delta)


def sizes(model: RandomFeatureModel, d: int) -> tuple[int, int]:
    """p = round(psi_p d) and n = round(psi_n d), each at least 1."""
    of_kind("model", model, RandomFeatureModel)
    whole("d", d)
    p, n = round(model.psi_p * d), round(model.psi_n * d)
    for name, ratio, size in (("psi_p", model.psi_p, p), ("psi_n", model.psi_n, n)):
        if size < 1:
            raise refuse(name, ratio, f"at least {0.5 / d:.3g} at d = {d}, so that round({name} d) >= 1")
    return p, n


def setting(
    model: RandomFeatureModel,
    d: int,
    seed: int,
    features: str = "nonlinear",
    device: str = "cpu",
    x: npt.ArrayLike | None = None,
    x_test: npt.ArrayLike | None = None,
) -> Setting:
    """Draw the first layer and the data (Gaussian, Sigma = diag(quantiles(d)), unless ``x`` is given).

    With a scale law the Gaussian samples are multiplied by sqrt(tau), tau drawn independently for each.

    First layer, data, noise and the twin's own noise have separate streams: the same seed gives the
    same M and x for every m and for both kinds of features, on every device; a larger p or n appends rows.
    """
    if not isinstance(model, RandomFeatureModel):
        raise refuse("model", model, "a RandomFeatureModel")
    p, n = sizes(model, d)
    choice("features", features, FEATURES)
    available(device)
    streams = np.random.SeedSequence(whole("seed", seed, least=0)).spawn(5)
    spectrum = model.covariance.quantiles(d)
    first_layer = np.random.default_rng(streams[0]).standard_normal((p, d)) / math.sqrt(d)
    if x is None:
        if x_test is not None:
            raise ValueError("x_test is given but x is None, which is not allowed: give both or neither")
        data, atom = _gaussian(model, spectrum, n, streams[1], streams[4])
    elif model.scale is not None and features == "gaussian":
        raise ValueError("x is given, which is not allowed: the Gaussian twin of a scale law draws its data")
    else:
        data, atom = _points("x", x, n, d), None
    test = None if x_test is None else tensor(_points("x_test", x_test, None, d), device)
    layer, points, levels = (tensor(array, device) for array in (first_layer, data, spectrum))
    return Setting(model, features, layer, points, test, levels, streams[2], streams[3], atom)


def _gaussian(
    model: RandomFeatureModel,
    spectrum: Array,
    n: int,
    samples: np.random.SeedSequence,
    scales: np.random.SeedSequence,
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Gaussian data (n, d) of the law of scales, and which scale each sample has, (n,)."""
    data = np.random.default_rng(samples).standard_normal((n, spectrum.size)) * np.sqrt(spectrum)
    if model.scale is None:
        return data, np.zeros(n, dtype=np.int64)
    atom = model.scale.draw_atoms(n, np.random.default_rng(scales))
    return data * np.sqrt(model.scale.values[atom])[:, None], atom


def available(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError):
        raise refuse("device", device, "a torch device that this machine has, such as 'cpu'") from None


def _points(name: str, value: npt.ArrayLike, count: int | None, d: int) -> Array:
    points = finite_array(name, value, ndim=2)
    rows = points.shape[0] if count is None else count
    if points.shape != (rows, d) or rows < 1:
        wanted = f"({'N >= 1' if count is None else f'n = round(psi_n d) = {count}'}, d = {d})"
        raise ValueError(f"{name} has shape {points.shape}, which is not allowed: {wanted}")
    return points


def tensor(array: Array, device: Any) -> Tensor:
    # A copy: data of the caller may be read-only, which torch has no word for.
    return torch.tensor(np.ascontiguousarray(array), dtype=torch.float64, device=device)
