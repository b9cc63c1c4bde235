"""Losses of samples of each scale along gradient flow, measured on one draw of elliptical or given data."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from rfcore.answers import ScaleCurves
from rfcore.checks import Array, finite_array, refuse
from rfcore.model import RandomFeatureModel
from rfcore.simulation import dynamics
from rfcore.simulation.features import of_setting, over_points, population_of_scale
from rfcore.simulation.setting import Setting, Tensor, setting

Moments = tuple[Tensor, Tensor]


def scale_curves(
    model: RandomFeatureModel,
    tau: npt.ArrayLike,
    d: int,
    seed: int,
    device: str = "cpu",
    x: npt.ArrayLike | None = None,
    x_test: npt.ArrayLike | None = None,
    edges: npt.ArrayLike | None = None,
) -> ScaleCurves:
    """The losses of the true network on the samples of each scale; the twin of the theory's verb.

    Without x the groups are the atoms of the scale law that were drawn, with exact test losses.  With
    training and test points x (n, d), x_test (N, d) the scale of a point is |x|^2/(d sigma_x^2) of the
    question, and groups are the intervals between ``edges`` (those in which no point lies are left out).

    tau : training times >= 0 of any shape
    Raises ValueError for negative times, and for x without x_test or without edges.

    >>> model = rf.RandomFeatureModel(4, 2, 0.1, scale=rf.ScaleLaw([0.1, 1.9]))
    >>> curves = rf.simulation.scale_curves(model, 100.0, d=40, seed=0)
    >>> gap = curves.test - curves.empirical
    >>> bool(gap[1] > 10 * gap[0])
    True
    """
    times = finite_array("tau", tau)
    if times.size and times.min() < 0:
        raise refuse("tau", float(times.min()), "finite numbers >= 0")
    s = setting(model, d, seed, "nonlinear", device, x, x_test)
    if x is not None and (x_test is None or edges is None):
        raise refuse(
            "x_test, edges", (x_test, edges), "test points (N, d) and edges of groups when x is given"
        )
    flow = dynamics.flow(of_setting(s), model.ridge)
    g = dynamics.filters(flow, times.ravel())
    outer = flow.projected @ flow.projected.T
    parts = _drawn(s) if s.atom is not None else _given(s, np.asarray(edges, dtype=float))
    scales, weights, test, empirical = [], [], [], []
    for scale, weight, fresh, own in parts:
        scales.append(scale)
        weights.append(weight)
        test.append(_loss(flow, g, outer, fresh))
        empirical.append(_loss(flow, g, outer, own))
    error = np.full(times.shape, flow.round_off)
    shape = (*times.shape, len(scales))
    columns = [np.stack(f, axis=1).reshape(shape) for f in (test, empirical)]
    return ScaleCurves(times, np.array(scales), np.array(weights), columns[0], columns[1], error)


def _drawn(s: Setting) -> Iterator[tuple[float, float, Moments, Moments]]:
    """Scale, share, population and training moments of each atom of the law that was drawn."""
    assert s.atom is not None
    values = np.ones(1) if s.model.scale is None else s.model.scale.values
    for k in np.unique(s.atom):
        own = torch.as_tensor(s.atom == k, device=s.x.device)
        yield (
            float(values[k]),
            float(own.double().mean()),
            population_of_scale(s, int(k))[:2],
            _over(s, s.x[own]),
        )


def _given(s: Setting, edges: Array) -> Iterator[tuple[float, float, Moments, Moments]]:
    """The same for the groups of given points between edges of scale."""
    assert s.x_test is not None
    train, test = ((x**2).mean(dim=1).cpu().numpy() / s.model.covariance.variance for x in (s.x, s.x_test))
    group, other = np.searchsorted(edges, train), np.searchsorted(edges, test)
    for k in np.intersect1d(group, other):
        mine, fresh = (torch.as_tensor(g == k, device=s.x.device) for g in (group, other))
        scale, share = float(train[group == k].mean()), float((group == k).mean())
        yield scale, share, _over(s, s.x_test[fresh]), _over(s, s.x[mine])


def _over(s: Setting, points: Tensor) -> Moments:
    second, first, _ = over_points(s, points)
    return second, first


def _loss(f: dynamics.Flow, g: Tensor, outer: Tensor, moments: Moments) -> Array:
    second, first = moments
    linear = (f.projected * (f.basis.T @ first)).sum(dim=1)
    quadratic = outer * (f.basis.T @ second @ f.basis)
    losses = 1 + (((g @ quadratic) * g).sum(dim=1) - 2 * g @ linear) / f.projected.shape[1]
    return np.asarray(losses.cpu().numpy())
