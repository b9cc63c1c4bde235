"""The verbs that answer more than one kind of question."""

import dataclasses
from typing import Any, Unpack, overload

import numpy.typing as npt

from rfcore.answers import LossCurves, Minimizer, ModeCurves
from rfcore.checks import of_kind, refuse
from rfcore.conditional import ConditionalModel
from rfcore.descent import Descent
from rfcore.model import LinearModel, RandomFeatureModel
from rfcore.simulation import conditional, dynamics, linear, optimizers
from rfcore.simulation.features import moments
from rfcore.simulation.linear_draws import population
from rfcore.simulation.modes import linear_modes, random_feature_modes
from rfcore.simulation.options import DrawOptions, SetOptions
from rfcore.simulation.setting import sizes
from rfcore.theory.linear import KL

Question = RandomFeatureModel | LinearModel
KNOWN = "a RandomFeatureModel or a LinearModel"


@overload
def realized(model: RandomFeatureModel, d: int) -> RandomFeatureModel: ...
@overload
def realized(model: LinearModel, d: int, x: npt.ArrayLike | None = None) -> LinearModel: ...
@overload
def realized(model: ConditionalModel, d: int) -> ConditionalModel: ...
def realized(
    model: Question | ConditionalModel, d: int, x: npt.ArrayLike | None = None
) -> Question | ConditionalModel:
    """The question that a simulation at dimension d really asks.

    RandomFeatureModel: psi_p = p/d, psi_n = n/d with whole p, n.  LinearModel: gamma = d/n with whole n, and
    the covariance that occurs at d, the atoms that ``quantiles(d)`` meets with their multiplicities; with a
    data set x (N, d) the covariance of x, one atom per eigenvector, ascending.  ConditionalModel: whole n_k,
    :func:`rfcore.simulation.conditional.realized`.

    Returns a question of the same kind.  Raises ValueError for another kind of question, a ratio that gives
    no sample or no feature at d, and data x for a random-feature model.
    Source: chapter 3 of the book.

    >>> model = rf.simulation.realized(rf.RandomFeatureModel(psi_p=0.33, psi_n=2, t=0.1), d=10)
    >>> model.psi_p, model.psi_n
    (0.3, 2.0)
    """
    if isinstance(model, LinearModel):
        return population(model, d, x=x).model
    if x is not None:
        raise ValueError("x is given, which is not allowed: data change the question of a LinearModel only")
    if isinstance(model, ConditionalModel):
        return conditional.realized(model, d)
    of_kind("model", model, RandomFeatureModel, LinearModel, ConditionalModel)
    p, n = sizes(model, d)
    return dataclasses.replace(model, psi_p=p / d, psi_n=n / d)


@overload
def loss_curves(
    model: RandomFeatureModel | Descent,
    tau: npt.ArrayLike,
    d: int,
    seed: int,
    features: str = "nonlinear",
    **how: Unpack[DrawOptions],
) -> LossCurves: ...
@overload
def loss_curves(
    model: LinearModel, tau: npt.ArrayLike, d: int, draws: int, seed: int, **how: Unpack[SetOptions]
) -> LossCurves: ...
@overload
def loss_curves(
    model: ConditionalModel, tau: npt.ArrayLike, d: int, *args: Any, **kwargs: Any
) -> LossCurves: ...
def loss_curves(
    model: Question | Descent | ConditionalModel, tau: npt.ArrayLike, *args: Any, **kwargs: Any
) -> LossCurves:
    """Losses at the times tau of gradient flow, at dimension d.

    RandomFeatureModel: one draw, dA/dtau = -d^2 grad L; its network and data as in :class:`DrawOptions`.

    LinearModel: mean over ``draws`` training sets as in :class:`SetOptions`, see
    :func:`rfcore.simulation.linear.loss_curves`.

    Descent: one draw as for a RandomFeatureModel, tau are numbers of steps, see
    :func:`rfcore.simulation.optimizers.loss_curves`.

    ConditionalModel: means over classes, see :func:`rfcore.simulation.conditional.class_loss_curves`.

    Raises ValueError for another kind of question, sizes that do not fit, and times that are negative or
    not finite.  Source: as the theory, :func:`rfcore.theory.loss_curves`.

    >>> model = rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1)
    >>> curves = rf.simulation.loss_curves(model, [1.0, 100.0], d=16, seed=0)
    >>> curves.train.shape, bool(curves.train[1] < curves.train[0])
    ((2,), True)
    >>> linear = rf.LinearModel(gamma=0.5, noise_variance=1.0)
    >>> rf.simulation.loss_curves(linear, [1.0, 10.0], d=16, draws=3, seed=0).standard_error.test.shape
    (2,)
    """
    if isinstance(model, ConditionalModel):
        return conditional.loss_curves(model, tau, *args, **kwargs)
    if isinstance(model, LinearModel):
        return linear.loss_curves(model, tau, *args, **kwargs)
    if isinstance(model, Descent):
        return optimizers.loss_curves(model, tau, *args, **kwargs)
    if not isinstance(model, RandomFeatureModel):
        raise refuse("model", model, KNOWN)
    return _random_feature_curves(model, tau, *args, **kwargs)


@overload
def minimizer(
    model: RandomFeatureModel, d: int, seed: int, features: str = "nonlinear", **how: Unpack[DrawOptions]
) -> Minimizer: ...
@overload
def minimizer(model: LinearModel, d: int, draws: int, seed: int, **how: Unpack[SetOptions]) -> Minimizer: ...
@overload
def minimizer(model: ConditionalModel, d: int, *args: Any, **kwargs: Any) -> Minimizer: ...
def minimizer(model: Question | ConditionalModel, *args: Any, **kwargs: Any) -> Minimizer:
    """The losses at tau = infinity, at dimension d.

    RandomFeatureModel: one draw, as in :class:`DrawOptions`.  LinearModel: mean over training sets as in
    :class:`SetOptions`, see :func:`rfcore.simulation.linear.minimizer`.

    ConditionalModel: means over classes, see :func:`rfcore.simulation.conditional.class_minimizers`.

    Raises ValueError for another kind of question and for sizes that do not fit.
    Source: as the theory, :func:`rfcore.theory.minimizer`.

    >>> model = rf.LinearModel(gamma=0.5, noise_variance=1.0)
    >>> measured = rf.simulation.minimizer(model, d=32, draws=8, seed=0)
    >>> abs(measured.test - rf.theory.minimizer(model).test) < 0.05
    True
    """
    if isinstance(model, ConditionalModel):
        return conditional.minimizer(model, *args, **kwargs)
    if isinstance(model, LinearModel):
        return linear.minimizer(model, *args, **kwargs)
    if not isinstance(model, RandomFeatureModel):
        raise refuse("model", model, KNOWN)
    return _random_feature_minimizer(model, *args, **kwargs)


@overload
def kl(model: LinearModel, d: int, draws: int, seed: int, **how: Unpack[SetOptions]) -> KL: ...
@overload
def kl(model: ConditionalModel, d: int, *args: Any, **kwargs: Any) -> KL: ...
def kl(model: LinearModel | ConditionalModel, *args: Any, **kwargs: Any) -> KL:
    """KL divergences per dimension between the generated law and that of the data, mean over training sets.

    LinearModel: :func:`rfcore.simulation.linear.kl`; ConditionalModel: means over classes,
    :func:`rfcore.simulation.conditional.kl`.

    Raises ValueError for sizes that do not fit.  Source: Merger and Goldt (2025).

    >>> model = rf.LinearModel(gamma=0.5, noise_variance=0.5)
    >>> measured = rf.simulation.kl(model, d=32, draws=8, seed=0).generated_to_data
    >>> abs(measured - rf.theory.kl(model).generated_to_data) < 0.02
    True
    """
    if isinstance(model, ConditionalModel):
        return conditional.kl(model, *args, **kwargs)
    of_kind("model", model, LinearModel, ConditionalModel)
    return linear.kl(model, *args, **kwargs)


@overload
def mode_curves(
    model: RandomFeatureModel,
    tau: npt.ArrayLike,
    d: int,
    seed: int,
    features: str = "nonlinear",
    basis: npt.ArrayLike | None = None,
    **how: Unpack[DrawOptions],
) -> ModeCurves: ...
@overload
def mode_curves(
    model: LinearModel,
    tau: npt.ArrayLike,
    d: int,
    draws: int,
    seed: int,
    device: str = "cpu",
    x: npt.ArrayLike | None = None,
) -> ModeCurves: ...
def mode_curves(model: Question, tau: npt.ArrayLike, *args: Any, **kwargs: Any) -> ModeCurves:
    """Response, train and test loss of each mode at training times tau, at dimension d.

    RandomFeatureModel: :func:`rfcore.simulation.modes.random_feature_modes`, one draw as in
    :class:`DrawOptions`; LinearModel:
    :func:`rfcore.simulation.modes.linear_modes`, mean over training sets.

    Raises ValueError for sizes that do not fit, negative times and nan.

    >>> model = rf.LinearModel(0.5, 1.0, covariance=rf.Covariance([4.0, 0.25]))
    >>> rf.simulation.mode_curves(model, [1.0, math.inf], d=16, draws=4, seed=0).mean.shape
    (2, 2)
    """
    if isinstance(model, LinearModel):
        return linear_modes(model, tau, *args, **kwargs)
    if not isinstance(model, RandomFeatureModel):
        raise refuse("model", model, KNOWN)
    return random_feature_modes(model, tau, *args, **kwargs)


def _random_feature_curves(
    model: RandomFeatureModel,
    tau: npt.ArrayLike,
    d: int,
    seed: int,
    features: str = "nonlinear",
    **how: Unpack[DrawOptions],
) -> LossCurves:
    return dynamics.loss_curves(moments(model, d, seed, features, **how), tau, model.ridge)


def _random_feature_minimizer(
    model: RandomFeatureModel, d: int, seed: int, features: str = "nonlinear", **how: Unpack[DrawOptions]
) -> Minimizer:
    return dynamics.minimizer(moments(model, d, seed, features, **how), model.ridge)
