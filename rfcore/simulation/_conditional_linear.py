"""One linear denoiser trained on drawn or real points of K classes, each about its own mean."""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from rfcore.answers import LossCurves, Minimizer
from rfcore.checks import Array, finite_array, refuse, whole
from rfcore.conditional import ConditionalModel
from rfcore.model import LinearModel
from rfcore.simulation.linear_draws import standard_error
from rfcore.theory.linear import KL, lowest_loss

Data = Sequence[npt.ArrayLike] | None


def atoms(model: ConditionalModel, d: int) -> npt.NDArray[np.int64]:
    """The atom of each of the d directions, in the common order of the laws, (d,)."""
    cumulative = np.cumsum(model.covariances[0].weights)
    level = (np.arange(whole("d", d)) + 0.5) / d
    index = np.searchsorted(cumulative, level * (1 - 1e-12), side="left")
    return np.minimum(index, cumulative.size - 1).astype(np.int64)


def curves(
    model: ConditionalModel,
    times: Array,
    d: int,
    counts: tuple[int, ...],
    draws: int,
    seed: int,
    x: Data,
) -> tuple[LossCurves, ...]:
    """Train and test loss of each class at times of gradient flow (inf: the minimiser), means over draws."""
    base = model.base
    assert isinstance(base, LinearModel)
    a, noise = base.signal, base.noise
    flat, rows = times.ravel(), []
    for own, fresh, _ in _draws(model, d, counts, draws, seed, x):
        values, vectors = _diagonal(own, counts)
        m = a * (values + base.c)
        h = math.sqrt(noise) * -np.expm1(-m * flat[:, None]) / m
        plain = 1 - 2 * math.sqrt(noise) * h.mean(axis=1)
        seconds = [[np.einsum("ji,jk,ki->i", vectors, part, vectors) for part in s] for s in (own, fresh)]
        rows.append([[plain + (h**2) @ (a * second + noise) / d for second in s] for s in seconds])
    table = np.array(rows)
    mean, spread = table.mean(axis=0), standard_error(table)
    answers = []
    for k, law in enumerate(model.classes):
        assert isinstance(law, LinearModel)
        best = lowest_loss(law) if x is None else math.nan
        parts = [
            np.reshape(value, times.shape) for value in (mean[0, k], mean[1, k], spread[0, k], spread[1, k])
        ]
        zero = np.zeros(times.shape)
        errors = LossCurves(times, parts[2], parts[3], parts[2], parts[3] / noise, zero)
        score = (parts[1] - best) / noise
        answers.append(LossCurves(times, parts[0], parts[1], parts[0], score, zero + 1e-13, errors))
    return tuple(answers)


def end(found: LossCurves) -> Minimizer:
    """Curves at the single time infinity as a minimiser."""
    errors = found.standard_error
    assert errors is not None
    return dataclasses.replace(_end(found), standard_error=_end(errors))


def _end(c: LossCurves) -> Minimizer:
    train, test, empirical, score = (float(v[0]) for v in (c.train, c.test, c.empirical, c.score_error))
    return Minimizer(train, test, empirical, score, float(c.error[0]))


def kls(
    model: ConditionalModel,
    d: int,
    counts: tuple[int, ...],
    draws: int,
    seed: int,
    x: Data,
) -> tuple[KL, ...]:
    """KL divergences per dimension of each class, means over draws."""
    base = model.base
    assert isinstance(base, LinearModel)
    rows = []
    for own, _, true in _draws(model, d, counts, draws, seed, x):
        values, vectors = _diagonal(own, counts)
        level, row = values + base.c, []
        generated = (vectors * level) @ vectors.T
        for sigma in true:
            sign, size = np.linalg.slogdet(sigma)
            if sign <= 0:
                raise refuse("covariances", "a singular one", "invertible ones: restrict to the range first")
            difference = np.log(level).sum() - size
            before = np.trace(np.linalg.solve(sigma, generated))
            after = float((np.einsum("ji,jk,ki->i", vectors, sigma, vectors) / level).sum())
            row.append([(before - d - difference) / (2 * d), (after - d + difference) / (2 * d)])
        rows.append(row)
    table = np.array(rows)
    mean, spread = table.mean(axis=0), standard_error(table)
    return tuple(
        KL(float(v[0]), float(v[1]), 1e-13, KL(float(s[0]), float(s[1])))
        for v, s in zip(mean, spread, strict=True)
    )


def _diagonal(own: list[Array], counts: tuple[int, ...]) -> tuple[Array, Array]:
    """Eigenvalues and vectors of S = sum_k (n_k/n) S_k."""
    n = sum(counts)
    total = sum(count / n * part for count, part in zip(counts, own, strict=True))
    values, vectors = np.linalg.eigh(total)
    return np.maximum(values, 0), vectors


def _draws(
    model: ConditionalModel, d: int, counts: tuple[int, ...], draws: int, seed: int, x: Data
) -> Iterator[tuple[list[Array], list[Array], list[Array]]]:
    """Of each draw, class by class: covariance of training points, of test points, and of the population."""
    whole("draws", draws)
    streams = np.random.SeedSequence(whole("seed", seed, least=0)).spawn(draws)
    if x is None:
        spectra = model.eigenvalues[:, atoms(model, d)]
        true = [np.diag(s) for s in spectra]
        for stream in streams:
            rng = np.random.default_rng(stream)
            points = [rng.standard_normal((n, d)) * np.sqrt(s) for n, s in zip(counts, spectra, strict=True)]
            yield [p.T @ p / len(p) for p in points], true, true
        return
    data = []
    for k, each in enumerate(x):
        rows = finite_array(f"x[{k}]", each, ndim=2)
        if rows.shape[1] != d or len(rows) <= counts[k]:
            raise refuse(f"shape of x[{k}]", rows.shape, f"(N > n_k = {counts[k]}, d = {d})")
        data.append(rows - rows.mean(axis=0))
    true = [p.T @ p / len(p) for p in data]
    for stream in streams:
        rng = np.random.default_rng(stream)
        own, fresh = [], []
        for rows, n in zip(data, counts, strict=True):
            order = rng.permutation(len(rows))
            mine, rest = rows[order[:n]], rows[order[n:]]
            own.append(mine.T @ mine / n)
            fresh.append(rest.T @ rest / len(rest))
        yield own, fresh, true
