"""The questions: frozen value objects that say everything about a problem and compute nothing."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rfcore._scale import ScaleLaw
from rfcore.checks import choice, nonnegative, positive, refuse, whole
from rfcore.covariance import Covariance

if TYPE_CHECKING:
    from rfcore.gaussian import GaussianConstants, ScaleConstants

__all__ = ["ACTIVATIONS", "LinearModel", "RandomFeatureModel"]
Array = npt.NDArray[np.float64]
Activation = str | Callable[[Array], Array]
ACTIVATIONS = ("tanh", "relu", "erf", "sin", "identity")
"""The activations with a name; any callable on arrays will do as well.

>>> rf.model.ACTIVATIONS
('tanh', 'relu', 'erf', 'sin', 'identity')
"""


@dataclass(frozen=True)
class RandomFeatureModel:
    """A random-feature score model trained by denoising score matching at one diffusion time.

    s_A(x) = (A/sqrt p) sigma(W x/sqrt d), trained on n points with m noise draws each.

    Parameters
    ----------
    psi_p, psi_n : float > 0, the ratios p/d and n/d
    t : float > 0, diffusion time; signal e^-t, noise variance Delta = 1 - e^-2t
    covariance : Covariance, the law of the eigenvalues of the data covariance
    activation : "tanh", "relu", "erf", "sin", "identity", or a callable on arrays.  Its mean under
        the Gaussian law of its argument is subtracted (only relu, of the built-in ones, has one)
    noise_draws : integer >= 1 or math.inf, the m of the train loss
    ridge : float >= 0, the mu of B = -(1/sqrt Delta) V^T (U + mu)^-1
    scale : ScaleLaw of elliptical data x = sqrt(tau) Sigma^(1/2) z; None, the default, is tau = 1

    Raises ValueError naming the parameter, its value and what is allowed.
    Source: Bonnaire et al. (2025), sec. 3; George et al. (2025) for m = 1.

    >>> model = rf.RandomFeatureModel(psi_p=64, psi_n=8, t=0.01)
    >>> round(model.delta, 4)
    0.0198
    >>> rf.RandomFeatureModel(psi_p=-1, psi_n=8, t=0.01)
    Traceback (most recent call last):
        ...
    ValueError: psi_p = -1 is not allowed: a finite number > 0
    """

    psi_p: float
    psi_n: float
    t: float
    covariance: Covariance = Covariance.isotropic()
    activation: Activation = "tanh"
    noise_draws: float = math.inf
    ridge: float = 0.0
    scale: ScaleLaw | None = None

    def __post_init__(self) -> None:
        for name in ("psi_p", "psi_n", "t"):
            object.__setattr__(self, name, positive(name, getattr(self, name)))
        object.__setattr__(self, "ridge", nonnegative("ridge", self.ridge))
        if not isinstance(self.covariance, Covariance):
            raise refuse("covariance", self.covariance, "a Covariance, for instance Covariance.from_data(X)")
        if not callable(self.activation):
            choice("activation", self.activation, ACTIVATIONS)
        object.__setattr__(self, "noise_draws", _noise_draws(self.noise_draws))
        _scale(self.scale)

    @cached_property
    def delta(self) -> float:
        """Delta = 1 - exp(-2t), the noise variance (not the standard deviation)."""
        return -math.expm1(-2 * self.t)

    @cached_property
    def constants(self) -> "GaussianConstants":
        """The constants a, b, v2, s2 of the Gaussian equivalence, see :mod:`rfcore.gaussian`.

        With a scale law every scale has its own, see :attr:`scale_constants`, and ValueError is raised.
        """
        from rfcore.gaussian import constants

        if self.scale is not None:
            raise refuse("scale", self.scale, "None here: this answer is known for Gaussian data only")

        return constants(self.activation, self.covariance.variance, self.t)

    @cached_property
    def scale_constants(self) -> "ScaleConstants":
        """The constants at each atom of the scale law (one atom, tau = 1, without a law)."""
        from rfcore.gaussian import scale_constants

        law = ScaleLaw(np.ones(1)) if self.scale is None else self.scale
        return scale_constants(self.activation, self.covariance.variance, self.t, law)


def _scale(value: Any) -> None:
    if value is not None and not isinstance(value, ScaleLaw):
        raise refuse("scale", value, "None or a ScaleLaw, for instance ScaleLaw.student(5)")


def _noise_draws(value: Any) -> float:
    if isinstance(value, float | np.floating) and math.isinf(value) and value > 0:
        return math.inf
    try:
        return whole("noise_draws", value)
    except ValueError:
        raise refuse("noise_draws", value, "an integer >= 1, or math.inf") from None


@dataclass(frozen=True)
class LinearModel:
    """A linear denoiser trained at one noise level: noise of variance z is added to the data.

    Parameters
    ----------
    gamma : float > 0, the ratio d/n
    noise_variance : float > 0, z; in the variance-preserving clock a = 1/(1 + z), b = z/(1 + z)
    covariance : Covariance, the law of the eigenvalues of the data covariance
    ridge : float >= 0; the denoiser is S (S + c)^-1 with c = noise_variance + ridge
    scale : ScaleLaw of elliptical data x = sqrt(tau) Sigma^(1/2) z; None, the default, is tau = 1

    Raises ValueError naming the parameter, its value and what is allowed.
    Source: Merger and Goldt (2025); Wang, Zavatone-Veth and Pehlevan (2026).

    >>> model = rf.LinearModel(gamma=0.5, noise_variance=1.0, ridge=0.25)
    >>> model.c, model.signal, model.noise
    (1.25, 0.5, 0.5)
    """

    gamma: float
    noise_variance: float
    covariance: Covariance = Covariance.isotropic()
    ridge: float = 0.0
    scale: ScaleLaw | None = None

    def __post_init__(self) -> None:
        for name in ("gamma", "noise_variance"):
            object.__setattr__(self, name, positive(name, getattr(self, name)))
        object.__setattr__(self, "ridge", nonnegative("ridge", self.ridge))
        if not isinstance(self.covariance, Covariance):
            raise refuse("covariance", self.covariance, "a Covariance, for instance Covariance.from_data(X)")
        _scale(self.scale)

    @property
    def c(self) -> float:
        """c = noise_variance + ridge, what is added to the sample covariance."""
        return self.noise_variance + self.ridge

    @property
    def signal(self) -> float:
        """a = 1/(1 + z), the share of the data in the variance-preserving clock."""
        return 1 / (1 + self.noise_variance)

    @property
    def noise(self) -> float:
        """b = z/(1 + z), the share of the noise in the variance-preserving clock."""
        return self.noise_variance / (1 + self.noise_variance)
