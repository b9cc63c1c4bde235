"""The question of conditional generation: one model per class, or one for all of them."""

import dataclasses
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rfcore.checks import Array, choice, finite_array, nonnegative, refuse
from rfcore.covariance import Covariance
from rfcore.model import LinearModel, RandomFeatureModel

READOUTS = ("separate", "shared")


@dataclass(frozen=True)
class ConditionalModel:
    """K classes of centred data, class k with n_k = pi_k n points of covariance Sigma_k, trained together.

        L = (1/(dn)) sum over all n points = sum_k pi_k L_k

    readout "separate": one readout A_k (or matrix W_k) per class on common features.  The loss is a sum of K
    problems with n_k points each; under gradient flow on L class k runs on the clock pi_k tau.
    readout "shared": one A (or W) for all classes; of the class it only knows the mean.

    Parameters
    ----------
    base : RandomFeatureModel or LinearModel; psi_n = n/d or gamma = d/n speak of *all* points
    weights : pi_k, (K,) numbers > 0 with sum 1 (to 1e-9; then normalised)
    covariances : K laws, empty: that of ``base`` for each.  With a shared readout atom i of every law is
        the same direction (the Sigma_k commute): the laws must have the same weights, in the same order

    label : strength w >= 0 of a label input, with a shared readout: feature i of a point of class k is
        sigma(W_i x/sqrt d + w h_ik), h_ik ~ N(0, 1) drawn once.  Theory answers the end of training

    Means over classes are taken with the weights pi_k.  Class means do not enter: K directions of d.
    Raises ValueError naming the parameter, its value and what is allowed.
    Source: chapter 17 of the book.

    >>> linear = rf.LinearModel(gamma=0.2, noise_variance=0.1)
    >>> model = rf.ConditionalModel(linear, weights=(0.25, 0.75))
    >>> print([round(each.gamma, 3) for each in model.classes])
    [0.8, 0.267]
    """

    base: RandomFeatureModel | LinearModel
    weights: tuple[float, ...]
    covariances: tuple[Covariance, ...] = ()
    readout: str = "separate"
    label: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.base, RandomFeatureModel | LinearModel):
            raise refuse("base", self.base, "a RandomFeatureModel or a LinearModel")
        w = finite_array("weights", self.weights, ndim=1)
        if w.size == 0 or w.min() <= 0:
            raise refuse("weights", w.tolist(), "at least one number, each > 0")
        if abs(w.sum() - 1) > 1e-9:
            raise refuse("sum of weights", float(w.sum()), "1")
        object.__setattr__(self, "weights", tuple(float(value) for value in w / w.sum()))
        laws = tuple(self.covariances) or (self.base.covariance,) * w.size
        if len(laws) != w.size or not all(isinstance(law, Covariance) for law in laws):
            raise refuse("covariances", self.covariances, f"{w.size} of Covariance, one per class")
        object.__setattr__(self, "covariances", laws)
        object.__setattr__(self, "label", nonnegative("label", self.label))
        if choice("readout", self.readout, READOUTS) == "shared":
            self._check_shared()
        elif self.label:
            raise refuse("label", self.label, "0 with separate readouts")
        if self.label and isinstance(self.base, LinearModel):
            raise refuse("label", self.label, "0 for a LinearModel, which has no features to shift")

    def _check_shared(self) -> None:
        first = self.covariances[0].weights
        if any(not np.array_equal(law.weights, first) for law in self.covariances):
            raise ValueError("covariances have different weights, which is not allowed with a shared readout")
        if self.base.scale is not None:
            raise refuse("scale", self.base.scale, "None with a shared readout: Gaussian data only")
        if isinstance(self.base, RandomFeatureModel) and self.base.noise_draws != math.inf:
            raise refuse("noise_draws", self.base.noise_draws, "math.inf with a shared readout")

    @cached_property
    def classes(self) -> tuple[RandomFeatureModel | LinearModel, ...]:
        """The problem of each class alone: gamma_k = gamma/pi_k, or psi_n,k = pi_k psi_n."""
        return tuple(_alone(self.base, w, law) for w, law in zip(self.weights, self.covariances, strict=True))

    @property
    def pi(self) -> Array:
        """The weights as an array (K,)."""
        return np.array(self.weights)

    @property
    def eigenvalues(self) -> Array:
        """lambda_ki, (K, atoms), of laws with common weights."""
        return np.stack([law.eigenvalues for law in self.covariances])

    @cached_property
    def pooled(self) -> Covariance:
        """Sigma_pool = sum_k pi_k Sigma_k, for laws with common weights."""
        self._check_shared()
        return Covariance(self.pi @ self.eigenvalues, self.covariances[0].weights)


def _alone(
    base: RandomFeatureModel | LinearModel, weight: float, law: Covariance
) -> RandomFeatureModel | LinearModel:
    if isinstance(base, LinearModel):
        return dataclasses.replace(base, gamma=base.gamma / weight, covariance=law)
    return dataclasses.replace(base, psi_n=base.psi_n * weight, covariance=law)
