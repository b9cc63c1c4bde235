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
    """
    if isinstance(model, LinearModel):
        return linear_stopping(model)
    if isinstance(model, RandomFeatureModel):
        return random_feature_stopping(model)
    raise refuse("model", model, KNOWN)
