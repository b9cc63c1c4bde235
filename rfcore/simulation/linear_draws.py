r"""Training sets for a linear denoiser, drawn in batches and diagonalised: S = (1/n) X^T X = U diag(x) U^T.

Everything that a linear diffusion model does is a function of S and, where the mean is fitted, of the
training mean, so that one batched eigendecomposition serves every noise level and every time.

All vectors are given in the eigenbasis of the population covariance Sigma.  Without ``x`` the population is
Gaussian, Sigma = diag(quantiles(d)).  With ``x`` (N, d) it is that data set: its mean is mu, its covariance
Sigma, and a training set is a random subset of size n.  Subsets come in rounds: the sets of a round are
disjoint pieces of one random permutation.  Half the mean squared difference of disjoint sets estimates the
variance over *independent* training sets without bias, however large n/N is; averages over subsets do feel
that N is finite (kappa (1 - gamma df1/d) = z (1 - (d/N) df1/d) without replacement), so take n well below N.
"""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from rfcore.checks import Array, choice, finite_array, refuse, whole
from rfcore.covariance import Covariance
from rfcore.model import LinearModel
from rfcore.simulation.setting import Tensor, available, tensor

LARGEST = 1 << 23  # entries of a batch of d x d matrices, or of its data
MEANS = ("known", "fitted")


@dataclass(frozen=True)
class Population:
    """What training sets are drawn from, in the eigenbasis of Sigma.

    model : the realised question, gamma = d/n and the eigenvalues that occur
    spectrum : (d,) eigenvalues of Sigma; atom : (d,) index of each in model.covariance
    points : (N, d) centred data set, None for a Gaussian population
    """

    model: LinearModel
    n: int
    spectrum: Array
    atom: npt.NDArray[np.int64]
    points: Array | None
    mean: str
    device: str

    @property
    def d(self) -> int:
        return int(self.spectrum.size)


@dataclass(frozen=True)
class Batch:
    """B training sets; those of one batch are independent, or disjoint pieces of one data set.

    values : (B, d) eigenvalues x_i of S, ascending; vectors : (B, d, d), column i is u_i
    population : (B, d) u_i^T Sigma u_i; test : (B, d) u_i^T C u_i, C the second moment of test points
    about the mean that the model uses; offset : (B, d) that mean minus mu, in the eigenbasis of Sigma
    """

    values: Tensor
    vectors: Tensor
    population: Tensor
    test: Tensor
    offset: Tensor


def population(
    model: LinearModel, d: int, device: str = "cpu", x: npt.ArrayLike | None = None, mean: str = "known"
) -> Population:
    """The population of a question at dimension d.

    Raises ValueError where n = round(d/gamma) is not in 1..N-1, and for a data set that is not (N, d).
    """
    if not isinstance(model, LinearModel):
        raise refuse("model", model, "a LinearModel")
    d, n = whole("d", d), round(whole("d", d) / model.gamma)
    if n < 1:
        raise refuse("gamma", model.gamma, f"at most {2 * d} at d = {d}, so that n = round(d/gamma) >= 1")
    if choice("mean", mean, MEANS) == "fitted" and n < 2:
        raise refuse("gamma", model.gamma, "n >= 2 where the mean is fitted")
    available(device)
    if x is None:
        atom, points = atoms(model.covariance, d), None
        spectrum = model.covariance.eigenvalues[atom]
        present, index = np.unique(atom, return_inverse=True)
        law = Covariance(model.covariance.eigenvalues[present], np.bincount(index) / d)
    else:
        spectrum, points = _diagonalised(x, d)
        law, index = Covariance(spectrum), np.arange(d)
        if n >= len(points):
            raise refuse("gamma", model.gamma, f"n = round(d/gamma) = {n} at most N - 1 = {len(points) - 1}")
    real = dataclasses.replace(model, gamma=d / n, covariance=law)
    return Population(real, n, spectrum, index, points, mean, device)


def atoms(covariance: Covariance, d: int) -> npt.NDArray[np.int64]:
    """For each of the d modes of ``covariance.quantiles(d)`` the index of its atom, (d,)."""
    order = np.argsort(covariance.eigenvalues, kind="stable")
    ranks = Covariance(np.arange(1.0, order.size + 1), covariance.weights[order])
    return np.asarray(order[ranks.quantiles(d).astype(np.int64) - 1])


def batches(p: Population, draws: int, seed: int, disjoint: int = 1) -> Iterator[Batch]:
    """``draws`` training sets.  Each draw, or round, has its own stream: the same on every device.

    disjoint : batches are multiples of this size, so that neighbours can be paired
    """
    size = max(1, LARGEST // (p.d * max(p.d, p.n)))
    if p.points is not None:
        fits = len(p.points) // p.n
        if fits < disjoint:
            limit = f"n = round(d/gamma) = {p.n} at most N/{disjoint} = {len(p.points) / disjoint:g}"
            raise refuse("gamma", p.model.gamma, f"{limit}, so that {disjoint} disjoint sets exist")
        size = min(size, fits)
    size = max(disjoint, size - size % disjoint)
    starts = range(0, draws, size)
    streams = np.random.SeedSequence(seed).spawn(draws if p.points is None else len(starts))
    for number, start in enumerate(starts):
        count = min(size, draws - start)
        if p.points is None:
            data = np.stack([_gaussian(p, streams[start + k]) for k in range(count)])
        else:
            rows = np.random.default_rng(streams[number]).permutation(len(p.points))[: count * p.n]
            data = p.points[rows].reshape(count, p.n, p.d)
        yield _diagonal(p, tensor(data, p.device))


def restricted(x: npt.ArrayLike) -> Array:
    """A data set (N, d) in coordinates on the range of its covariance, (N, D) with D = rank, centred.

    The twin of :func:`rfcore.theory.restricted`: the coordinates are those along the eigenvectors of positive
    variance, ascending, and with D for d every verb answers the question on the range.

    Returns (N, D).  Raises ValueError for fewer than two points, and for numbers that are not finite.
    Source: chapter 11 of the book.

    >>> rf.simulation.restricted([[1.0, 1.0, 0.0], [2.0, 2.0, 0.0], [4.0, 4.0, 0.0]]).shape
    (3, 1)
    """
    data = finite_array("x", x, ndim=2)
    values, points = _diagonalised(data, data.shape[1])
    return np.asarray(points[:, values > 0])


def _gaussian(p: Population, stream: np.random.SeedSequence) -> Array:
    generator = np.random.default_rng(stream)
    data = np.asarray(generator.standard_normal((p.n, p.d)) * np.sqrt(p.spectrum))
    if p.model.scale is not None:  # after the Gaussian part, which is that of a question without scales
        data *= np.sqrt(p.model.scale.draw(p.n, generator))[:, None]
    return data


def _diagonal(p: Population, data: Tensor) -> Batch:
    offset = data.mean(dim=1) if p.mean == "fitted" else torch.zeros_like(data[:, 0])
    centred = data - offset[:, None, :]
    values, vectors = torch.linalg.eigh(centred.transpose(1, 2) @ centred / p.n)
    # In the span of at most n points the other eigenvalues are 0; what is below round-off is noise.
    values = torch.where(values > _noise_floor(values[:, -1:], p.d), values, 0)
    spectrum = tensor(p.spectrum, p.device)
    inside = torch.einsum("bji,j->bi", vectors**2, spectrum)
    shift = torch.einsum("bji,bj->bi", vectors, offset) ** 2
    if p.points is None:
        return Batch(values, vectors, inside, inside + shift, offset)
    # Test points are those of the data set that are not in the training set.
    rest = len(p.points) - p.n
    test = (len(p.points) * inside - p.n * values) / rest + shift * (1 + p.n / rest)
    return Batch(values, vectors, inside, torch.clamp(test, min=0), offset)


def _noise_floor(largest: Tensor, d: int) -> Tensor:
    return largest * (d * float(np.finfo(float).eps))


def _diagonalised(x: npt.ArrayLike, d: int) -> tuple[Array, Array]:
    """Eigenvalues (d,) of the covariance of a data set and its points in the eigenbasis, (N, d)."""
    data = finite_array("x", x, ndim=2)
    if data.shape[1] != d or len(data) < 2:
        raise ValueError(f"x has shape {data.shape}, which is not allowed: (N >= 2, d = {d})")
    centred = data - data.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(data))
    empty = values <= values[-1] * d * np.finfo(float).eps
    points = centred @ vectors
    points[:, empty] = 0
    return np.where(empty, 0.0, values), points


class Groups:
    """Averages over the modes of each atom: of a diagonal, and of a matrix over pairs j, k.

    An atom with itself stands for one and the same eigenvector: there only the diagonal counts.
    """

    def __init__(self, p: Population) -> None:
        count = np.bincount(p.atom)
        share = np.zeros((count.size, p.d))
        share[p.atom, np.arange(p.d)] = 1 / count[p.atom]
        self.single = bool(np.all(count == 1))
        self.share = torch.as_tensor(share, device=p.device)

    def diagonal(self, values: Tensor) -> Array:
        return np.asarray((values @ self.share.T).cpu().numpy())

    def pairs(self, matrices: Tensor) -> Array:
        grouped = self.share @ matrices @ self.share.T
        if not self.single:
            own = torch.diagonal(matrices, dim1=1, dim2=2) @ self.share.T
            grouped.diagonal(dim1=1, dim2=2).copy_(own)
        return np.asarray(grouped.cpu().numpy())


def standard_error(values: Array) -> Array:
    """Standard error of the mean over the first axis; nan for a single draw."""
    count = len(values)
    if count < 2:
        return np.full(values.shape[1:], math.nan)
    return np.asarray(values.std(axis=0, ddof=1) / math.sqrt(count))


def round_off(b: Batch, level: Tensor) -> float:
    """Relative error of the smallest x + c from the round-off of eigenvalues."""
    d = level.shape[1]
    return float((2e-16 * math.sqrt(d) * b.values[:, -1] / level[:, 0]).max())
