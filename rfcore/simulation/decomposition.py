"""Bias and variance of the trained score, from products of independently trained scores."""

import dataclasses
import math

import numpy as np
import torch

from rfcore.checks import Array, of_kind, refuse, whole
from rfcore.model import RandomFeatureModel
from rfcore.progress import progress
from rfcore.simulation.dynamics import Flow, end, flow, weights
from rfcore.simulation.features import Moments, population, training
from rfcore.simulation.setting import Setting, Tensor, setting
from rfcore.theory.decomposition import Decomposition


def decomposition(
    model: RandomFeatureModel,
    d: int,
    layers: int,
    sets: int,
    seed: int,
    features: str = "nonlinear",
    device: str = "cpu",
) -> Decomposition:
    """Split the score error at the end of training into bias and two variances, measured at dimension d.

    Each of ``layers`` >= 3 first layers is trained on ``sets`` >= 2 training sets, all independent.  With
    e_ij = (1/d) E_x (s_i - s*) . (s_j - s*), exact in x, the means of e_ij over

        i = j                                        estimate   bias + features + data
        pairs of one layer with different data                  bias + features
        pairs with nothing in common                            bias

    without systematic error.  ``standard_error`` is the jackknife's over first layers.  Training set k of
    layer l (from 0) has the data and the noise of the draw seed + l sets + k of :func:`rfcore.simulation.
    moments`, and the first layer of that with k = 0.

    Raises ValueError for too few layers or sets, for sizes that do not fit, and exactly at the interpolation
    peak without ridge, where the data variance is infinite.

    Source: chapter 10 of the book.

    >>> model = rf.RandomFeatureModel(psi_p=2, psi_n=4, t=0.1, ridge=0.1)
    >>> parts = rf.simulation.decomposition(model, d=8, layers=3, sets=2, seed=0)
    >>> print(f"{parts.total:.1f}", parts.standard_error is not None)
    0.2 True
    """
    of_kind("model", model, RandomFeatureModel)
    layers, sets = whole("layers", layers, least=3), whole("sets", sets, least=2)
    seeds = whole("seed", seed, least=0) + sets * np.arange(layers)[:, None] + np.arange(sets)
    groups = [[setting(model, d, int(k), features, device) for k in row] for row in seeds]
    _refuse_peak(groups[0][0])
    groups = [[dataclasses.replace(s, M=row[0].M) for s in row] for row in groups]
    # The population matrices of all first layers side by side: its blocks give products of two layers.
    wide = dataclasses.replace(groups[0][0], M=torch.cat([row[0].M for row in groups]))
    second, first, truncation = population(wide)
    p, trained = len(groups[0][0].M), []
    for layer, row in enumerate(progress(groups, "First layers")):
        own = slice(p * layer, p * (layer + 1))
        trained.append([_trained(s, second[own, own], first[own], truncation) for s in row])
    errors = _products(trained, second)
    bias, features_part, data = _parts(errors)
    left_out = [_parts(np.delete(np.delete(errors, k, axis=0), k, axis=2)) for k in range(layers)]
    spread = np.sqrt((layers - 1) * np.var(left_out, axis=0))  # jackknife
    error = max(end(f).error for row in trained for f in row) / model.delta
    spread_of = Decomposition(float(spread[0]), float(spread[1]), float(spread[2]), error)
    return Decomposition(bias, features_part, data, error, spread_of)


def _refuse_peak(s: Setting) -> None:
    if s.model.ridge == 0 and len(s.M) == len(s.x) * s.model.noise_draws:
        raise refuse(
            "psi_p", s.model.psi_p, "not p = n m at ridge = 0, the interpolation peak; take a ridge > 0"
        )


def _trained(s: Setting, second: Tensor, first: Tensor, truncation: float) -> Flow:
    """One training set on one layer, diagonalised; the empirical loss plays no part here."""
    (p, d), n = s.M.shape, len(s.x)
    U, V, power, error = training(s)
    signal = s.signal**2 * s.spectrum
    best = float((signal / (signal + s.model.delta)).mean())
    error = max(error, truncation)
    moments = Moments(U, V, second, first, U, V, s.model.delta, p / d, n / d, power, error, best)
    return flow(moments, s.model.ridge)


def _products(trained: list[list[Flow]], second: Tensor) -> Array:
    """e_ij for all pairs of training sets, (layers, sets, layers, sets).

    <s_i, s_j> = (1/d) tr B_i E[phi_i phi_j^T] B_j^T;  <s_i, s*> = -(1/(d sqrt Delta)) tr B_i Vt_i, because
    E[xi | x_t] = -sqrt(Delta) s*;  <s*, s*> = (1 - L*)/Delta.
    """
    moments = trained[0][0].moments
    p, d = moments.V.shape
    B = torch.stack([torch.stack([weights(f, math.inf) for f in row]) for row in trained]) / math.sqrt(p)
    count = len(trained)
    blocks = second.reshape(count, p, count, p)
    found = torch.stack([torch.einsum("kdp,plq,lhdq->klh", B[i], blocks[i], B) for i in range(count)])
    first = torch.stack([row[0].moments.Vt for row in trained])
    truth = -torch.einsum("lkdp,lpd->lk", B, first) / math.sqrt(moments.delta)
    errors = (found - truth[:, :, None, None] - truth) / d + (1 - moments.best) / moments.delta
    return np.asarray(errors.cpu().numpy())


def _parts(errors: Array) -> tuple[float, float, float]:
    """Bias, features, data from e_ij, (layers, sets, layers, sets)."""
    layers, sets = errors.shape[:2]
    own_layer = np.einsum("lklh->lkh", errors)
    full = np.einsum("lkk->", own_layer)
    layer, everything = own_layer.sum() - full, errors.sum()
    total = full / (layers * sets)
    same_layer = layer / (layers * sets * (sets - 1))
    apart = (everything - own_layer.sum()) / (layers * (layers - 1) * sets**2)
    return float(apart), float(same_layer - apart), float(total - same_layer)
