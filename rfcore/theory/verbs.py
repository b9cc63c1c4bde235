"""The verbs that answer more than one kind of question."""

import math

import numpy.typing as npt

from rfcore.answers import LossCurves, Minimizer, ModeCurves
from rfcore.checks import refuse
from rfcore.conditional import ConditionalModel
from rfcore.descent import Descent
from rfcore.model import LinearModel, RandomFeatureModel
from rfcore.theory import conditional, descent, dynamics, linear, stochastic
from rfcore.theory.linear_filters import OptimalStopping
from rfcore.theory.linear_filters import optimal_stopping as linear_stopping
from rfcore.theory.minimizer import minimizer as random_feature_minimizer
from rfcore.theory.modes import linear_modes, random_feature_modes
from rfcore.theory.stopping import random_feature_stopping

Question = RandomFeatureModel | LinearModel
KNOWN = "a RandomFeatureModel or a LinearModel"


def loss_curves(model: Question | Descent | ConditionalModel, tau: npt.ArrayLike) -> LossCurves:
    """Train, test and empirical loss and score error at training times tau, at d = infinity.

    RandomFeatureModel: :func:`rfcore.theory.dynamics.loss_curves`, gradient flow dA/dtau = -d^2 grad L from
    A = 0.  LinearModel: :func:`rfcore.theory.linear.loss_curves`, curvature m = a (x + c) relaxes as
    exp(-m tau).  tau: times >= 0 of any shape; losses in units where the zero model has loss 1.
    Descent: :func:`rfcore.theory.descent.loss_curves`, where tau are numbers of steps instead; with a batch
    :func:`rfcore.theory.stochastic.loss_curves`.
    ConditionalModel: :func:`rfcore.theory.conditional.loss_curves`, means over classes.

    Raises ValueError for another kind of question and for times that are negative or not finite.

    Source: chapter 9 of the book for random features, chapter 11 for linear models.

    >>> curves = rf.theory.loss_curves(rf.RandomFeatureModel(64, 8, 0.01), np.logspace(2, 6, 3))
    >>> print(curves.test.round(3), curves.error.max() < 1e-6)
    [ 0.982  1.037 23.956] True
    >>> linear = rf.theory.loss_curves(rf.LinearModel(gamma=0.5, noise_variance=1.0), [1.0, 10.0])
    >>> print(linear.test.round(4))
    [0.5681 0.574 ]
    """
    if isinstance(model, LinearModel):
        return linear.loss_curves(model, tau)
    if isinstance(model, RandomFeatureModel):
        return dynamics.loss_curves(model, tau)
    if isinstance(model, Descent):
        if model.batch < math.inf:
            return stochastic.loss_curves(model, tau)
        return descent.loss_curves(model, tau)
    if isinstance(model, ConditionalModel):
        return conditional.loss_curves(model, tau)
    raise refuse("model", model, f"{KNOWN}, a Descent or a ConditionalModel")


def minimizer(model: Question | ConditionalModel, d: int | None = None) -> Minimizer:
    """The losses at the end of training, at d = infinity.

    RandomFeatureModel: :func:`rfcore.theory.minimizer.minimizer`.  LinearModel:
    :func:`rfcore.theory.linear.minimizer`; with d the explicit 1/d correction is added.  ConditionalModel:
    :func:`rfcore.theory.conditional.minimizer`, means over classes.

    Raises ValueError for another kind of question, and for a d where no correction is known.

    Source: chapter 10 of the book for random features, chapter 11 for linear models.

    >>> print(f"{rf.theory.minimizer(rf.RandomFeatureModel(64, 8, 0.01, ridge=0.1)).test:.4f}")
    1.0937
    >>> linear = rf.LinearModel(gamma=0.5, noise_variance=1.0)
    >>> print(f"{rf.theory.minimizer(linear).test:.4f} {rf.theory.minimizer(linear, d=64).test:.4f}")
    0.5746 0.5757
    """
    if isinstance(model, LinearModel):
        return linear.minimizer(model, d)
    if isinstance(model, RandomFeatureModel):
        if d is not None:
            raise refuse("d", d, "None: the 1/d correction is known for a LinearModel only")
        return random_feature_minimizer(model)
    if isinstance(model, ConditionalModel):
        return conditional.minimizer(model, d)
    raise refuse("model", model, f"{KNOWN}, or a ConditionalModel")


def kl(model: LinearModel | ConditionalModel, d: int | None = None) -> linear.KL:
    """KL divergences per dimension between the generated law and that of the data.

    LinearModel: :func:`rfcore.theory.linear.kl`.  ConditionalModel: means over classes,
    :func:`rfcore.theory.conditional.kl`.  With d the explicit 1/d correction is added.
    Raises ValueError for another kind of question, and for a d where no correction is known.

    >>> model = rf.LinearModel(gamma=0.5, noise_variance=0.5)
    >>> [round(rf.theory.kl(model, d).generated_to_data, 4) for d in (None, 64)]
    [0.1022, 0.1029]
    """
    if isinstance(model, ConditionalModel):
        return conditional.kl(model, d)
    if isinstance(model, LinearModel):
        return linear.kl(model, d)
    raise refuse("model", model, "a LinearModel or a ConditionalModel")


def mode_curves(model: Question, tau: npt.ArrayLike) -> ModeCurves:
    """Response, train and test loss of each mode of the covariance at training times tau, at d = infinity.

    RandomFeatureModel: :func:`rfcore.theory.modes.random_feature_modes`.  LinearModel:
    :func:`rfcore.theory.modes.linear_modes`; math.inf is allowed.  Modes are in the order of the eigenvalues
    of the question.  Along any other direction e the values are their averages with weights (e . u_k)^2.
    tau: times >= 0 of any shape.

    Raises ValueError for another kind of question and for times that are not allowed.

    >>> model = rf.LinearModel(0.5, 1.0, covariance=rf.Covariance([4.0, 0.25]))
    >>> print(rf.theory.mode_curves(model, [0.0, math.inf]).mean.round(3).tolist())
    [[1.0, 1.0], [0.755, 0.162]]
    """
    if isinstance(model, LinearModel):
        return linear_modes(model, tau)
    if isinstance(model, RandomFeatureModel):
        return random_feature_modes(model, tau)
    raise refuse("model", model, KNOWN)


def optimal_stopping(model: Question) -> OptimalStopping:
    """The stopping time of gradient flow with the lowest test loss, at d = infinity; inf if none helps.

    LinearModel: :func:`rfcore.theory.linear_filters.optimal_stopping`.  RandomFeatureModel:
    :func:`rfcore.theory.stopping.random_feature_stopping`.
    Raises ValueError for another kind of question.

    >>> model = rf.LinearModel(gamma=2.0, noise_variance=0.1)
    >>> rf.theory.optimal_stopping(model).test < rf.theory.minimizer(model).test
    True
    """
    if isinstance(model, LinearModel):
        return linear_stopping(model)
    if isinstance(model, RandomFeatureModel):
        return random_feature_stopping(model)
    raise refuse("model", model, KNOWN)
