"""Conditional models at d = infinity: class by class, and the mean over classes with weights pi_k."""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from rfcore.answers import LossCurves, Minimizer
from rfcore.checks import finite_array, of_kind, refuse
from rfcore.conditional import ConditionalModel
from rfcore.model import LinearModel, RandomFeatureModel
from rfcore.theory import _label, _mixture, _pooled, _rank, dynamics, linear
from rfcore.theory._contour import double, single, talbot
from rfcore.theory.minimizer import minimizer as random_feature_minimizer

Floats = npt.NDArray[np.float64]
FINE, COARSE, CHUNK, TOLERANCE = 24, 20, 1_000_000, 1e-9


def class_loss_curves(model: ConditionalModel, tau: npt.ArrayLike) -> tuple[LossCurves, ...]:
    """Losses of each class, on its own points and on fresh points, at times tau of the common training.

    readout "separate": the answer of ``model.classes[k]`` alone, at its own time pi_k tau.
    readout "shared": with R = (U - z)^-1 and bbar = sum_l pi_l b_l,

        test_k  = 1 - 2 ILT[b_k bbar psi_p s/s'](c tau) + ILT2[T(C_g,k) + T(C_h,k)]
        train_k = the same with chi_k1 chi_k2 T(C_g,k) for T(C_g,k)

    where T(B) = (1/d) tr V^T R_1 B R_2 V; for a LinearModel the analogous formulas of chapter 17.
    Parameters: tau, times >= 0 of any shape.
    Returns one LossCurves for each class.
    Raises ValueError for times that are negative or not finite and with a label input, RuntimeError if the
    solver fails.
    Source: chapter 17 of the book.

    >>> linear = rf.LinearModel(gamma=0.2, noise_variance=0.1)
    >>> model = rf.ConditionalModel(linear, weights=(0.25, 0.75))
    >>> for curves in rf.theory.class_loss_curves(model, tau=[1.0, 10.0]):
    ...     print(curves.test.round(3))
    [0.964 0.944]
    [0.929 0.948]
    """
    of_kind("model", model, ConditionalModel)
    if model.label:
        raise refuse("label", model.label, "0: with a label input only the end of training is known")
    times = finite_array("tau", tau)
    if times.size and times.min() < 0:
        raise refuse("tau", float(times.min()), "numbers >= 0")
    if model.readout == "separate":
        return tuple(
            dataclasses.replace(_alone(each, w * times), tau=times)
            for each, w in zip(model.classes, model.weights, strict=True)
        )
    flat = times.ravel()
    train, test = (np.ones((len(model.classes), flat.size)) for _ in range(2))
    error = np.zeros(flat.size)
    late = np.flatnonzero(flat > 0)
    size = (1 + 2 * len(model.classes)) ** 2 + model.covariances[0].weights.size
    width = max(1, CHUNK // ((FINE // 2) ** 2 * size))
    for k in range(0, late.size, width):
        part = late[k : k + width]
        fine, coarse = (_shared(model, flat[part], points) for points in (FINE, COARSE))
        (train[:, part], test[:, part]), error[part] = fine, np.abs(fine - coarse).max(axis=(0, 1))
    answers = []
    for mine, fresh, each in zip(train, test, model.classes, strict=True):
        a, b = mine.reshape(times.shape), fresh.reshape(times.shape)
        answers.append(LossCurves(times, a, b, a, _score_error(each, b), error.reshape(times.shape)))
    return tuple(answers)


def loss_curves(model: ConditionalModel, tau: npt.ArrayLike) -> LossCurves:
    """The mean of :func:`class_loss_curves` with weights pi_k; its train loss is what training lowers."""
    return mean_curves(class_loss_curves(model, tau), model.weights)


def class_minimizers(model: ConditionalModel, d: int | None = None) -> tuple[Minimizer, ...]:
    """Losses of each class at the end of training; with d (linear, separate) the 1/d correction is added.

    Returns one Minimizer for each class.
    Raises ValueError for another kind of question, and for a d where no correction is known; RuntimeError
    if the equations with a label input do not converge.
    Source: chapter 17 of the book.

    >>> linear = rf.LinearModel(gamma=0.2, noise_variance=0.1)
    >>> model = rf.ConditionalModel(linear, weights=(0.25, 0.75))
    >>> print([f"{end.test:.3f}" for end in rf.theory.class_minimizers(model)])
    ['1.562', '0.955']
    """
    of_kind("model", model, ConditionalModel)
    if model.readout == "separate":
        if all(isinstance(each, LinearModel) for each in model.classes):
            return tuple(linear.minimizer(m, d) for m in model.classes if isinstance(m, LinearModel))
        _no_correction(d)
        return tuple(random_feature_minimizer(m) for m in model.classes if isinstance(m, RandomFeatureModel))
    _no_correction(d)
    if isinstance(model.base, LinearModel):
        z, c = model.base.noise_variance, model.base.c
        train, test, residual = _pooled.losses(model, model.base.gamma, z, c)
    elif model.label:
        train, test, residual = _label.losses(model)
    else:
        train, test, residual = _shared_end(model)
    return tuple(
        Minimizer(float(a), float(b), float(a), float(_score_error(each, b)), residual)
        for a, b, each in zip(train, test, model.classes, strict=True)
    )


def minimizer(model: ConditionalModel, d: int | None = None) -> Minimizer:
    """The mean of :func:`class_minimizers` with weights pi_k."""
    return mean_minimizer(class_minimizers(model, d), model.weights)


def class_kls(model: ConditionalModel, d: int | None = None) -> tuple[linear.KL, ...]:
    """KL divergences per dimension between N(mu_k, S_k + c), or S of all classes, and N(mu_k, Sigma_k).

    For a ConditionalModel of a LinearModel.  inf where Sigma_k is singular.  With d (separate readouts) the
    1/d correction is added.

    Returns one KL for each class.
    Raises ValueError for another kind of question, and for a d where no correction is known.
    Source: chapter 17 of the book.

    >>> linear = rf.LinearModel(gamma=0.2, noise_variance=0.1)
    >>> model = rf.ConditionalModel(linear, weights=(0.25, 0.75))
    >>> print([f"{each.generated_to_data:.4f}" for each in rf.theory.class_kls(model)])
    ['0.1999', '0.0609']
    """
    of_kind("model", model, ConditionalModel)
    if not isinstance(model.base, LinearModel):
        raise refuse(
            "base", type(model.base).__name__, "a LinearModel: only there the generated law is known"
        )
    if model.readout == "separate":
        return tuple(linear.kl(m, d) for m in model.classes if isinstance(m, LinearModel))
    _no_correction(d)
    c, w = model.base.c, model.covariances[0].weights
    value, backward, residual = _pooled.log_det(model, model.base.gamma, c)
    answers = []
    for law, after in zip(model.covariances, backward, strict=True):
        if not np.all(_rank.positive(law)):
            answers.append(linear.KL(math.inf, math.inf))
            continue
        log_sigma = float(w @ np.log(law.eigenvalues))
        before = float(w @ ((model.pooled.eigenvalues + c) / law.eigenvalues))
        kl = ((before - 1 - value + log_sigma) / 2, (float(after) - 1 + value - log_sigma) / 2)
        answers.append(linear.KL(*kl, residual))
    return tuple(answers)


def kl(model: ConditionalModel, d: int | None = None) -> linear.KL:
    """The mean of :func:`class_kls` with weights pi_k: the divergence of the laws of (x, class)."""
    return mean_kl(class_kls(model, d), model.weights)


def mean_curves(curves: Sequence[LossCurves], weights: Sequence[float]) -> LossCurves:
    """Means over classes; standard errors of independent classes add in squares."""
    error = np.max([c.error for c in curves], axis=0)
    spread = [c.standard_error for c in curves if c.standard_error is not None]
    errors = None
    if len(spread) == len(curves):
        errors = _each(spread, lambda values: _root(values, weights), np.zeros_like(error))
    mean = _each(curves, lambda values: _mean(values, weights), error)
    return dataclasses.replace(mean, standard_error=errors)


def mean_minimizer(ends: Sequence[Minimizer], weights: Sequence[float]) -> Minimizer:
    """Means over classes."""
    spread = [e.standard_error for e in ends if e.standard_error is not None]
    errors = None
    if len(spread) == len(ends):
        errors = _each_end(spread, lambda values: _root(values, weights))
    mean = _each_end(ends, lambda values: _mean(values, weights))
    return dataclasses.replace(mean, error=max(e.error for e in ends), standard_error=errors)


def mean_kl(values: Sequence[linear.KL], weights: Sequence[float]) -> linear.KL:
    """Means over classes."""
    spread = [v.standard_error for v in values if v.standard_error is not None]
    errors = None
    if len(spread) == len(values):
        errors = linear.KL(
            float(_root([s.generated_to_data for s in spread], weights)),
            float(_root([s.data_to_generated for s in spread], weights)),
        )
    forward = float(_mean([v.generated_to_data for v in values], weights))
    backward = float(_mean([v.data_to_generated for v in values], weights))
    return linear.KL(forward, backward, max(v.error for v in values), errors)


def _each(curves: Sequence[LossCurves], rule: Callable[[list[Floats]], Floats], error: Floats) -> LossCurves:
    return LossCurves(
        curves[0].tau,
        rule([c.train for c in curves]),
        rule([c.test for c in curves]),
        rule([c.empirical for c in curves]),
        rule([c.score_error for c in curves]),
        error,
    )


def _each_end(ends: Sequence[Minimizer], rule: Callable[[list[float]], Floats]) -> Minimizer:
    return Minimizer(
        float(rule([e.train for e in ends])),
        float(rule([e.test for e in ends])),
        float(rule([e.empirical for e in ends])),
        float(rule([e.score_error for e in ends])),
        0.0,
    )


def _mean(values: Sequence[npt.ArrayLike], weights: Sequence[float]) -> Floats:
    return np.asarray(np.tensordot(np.asarray(weights), np.asarray(values, dtype=np.float64), axes=1))


def _root(values: Sequence[npt.ArrayLike], weights: Sequence[float]) -> Floats:
    return np.asarray(np.sqrt(_mean([np.square(v) for v in values], [w * w for w in weights])))


def _alone(model: LinearModel | RandomFeatureModel, times: Floats) -> LossCurves:
    if isinstance(model, LinearModel):
        return linear.loss_curves(model, times)
    return dynamics.loss_curves(model, times)


def _score_error(model: LinearModel | RandomFeatureModel, test: Floats) -> Floats:
    if isinstance(model, LinearModel):
        return np.asarray((test - linear.lowest_loss(model)) / model.noise)
    return np.asarray((test - dynamics.lowest_loss(model)) / model.delta)


def _shared(model: ConditionalModel, tau: Floats, points: int) -> Floats:
    """Train and test loss (2, K, T) of one readout for all classes."""
    base = model.base
    if isinstance(base, LinearModel):
        return np.stack(_pooled.flow(model, base.gamma, base.noise_variance, base.c, tau, points))
    m = _mixture.mixture(model)
    s, o = talbot(points)
    at = _mixture.solved(m, -s / (2 * base.delta / base.psi_p * tau[:, None]) - base.ridge)
    if np.any(at.residual > TOLERANCE):
        raise RuntimeError(f"the resolvent has not converged on the contour ({at.residual.max():.1e})")
    first = 1 - 2 * single(o, np.moveaxis(_mixture.t_cross(m, at), -1, 0))
    left, right = at.outer(-2), at.outer(-3)
    squares = []
    for a, b in ((left, right), (left, right.conj())):
        sample, noise = _mixture.two_point(m, a, b)
        squares.append(np.stack([a.chi * b.chi * sample, sample]) + noise)
    upper, mixed = (np.moveaxis(value, -1, 1) for value in squares)
    return first + double(o, upper, mixed)


def _shared_end(model: ConditionalModel) -> tuple[Floats, Floats, float]:
    """Train and test loss (K,) of the ridge minimiser, and the residual."""
    m = _mixture.mixture(model)
    assert isinstance(model.base, RandomFeatureModel)
    at = _mixture.solved(m, np.array([-model.base.ridge]))
    sample, noise = _mixture.two_point(m, at, at)
    first = 1 - 2 * _mixture.t_cross(m, at)[0]
    return first + at.chi[0] ** 2 * sample[0] + noise[0], first + sample[0] + noise[0], float(at.residual[0])


def _no_correction(d: int | None) -> None:
    if d is not None:
        raise refuse("d", d, "None: the 1/d correction is known for separate linear readouts only")
