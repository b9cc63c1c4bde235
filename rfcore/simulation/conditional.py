"""Conditional models at finite d: K classes of drawn or real data, one readout each or one for all."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore.answers import LossCurves, Minimizer
from rfcore.checks import Array, finite_array, of_kind, refuse, whole
from rfcore.conditional import ConditionalModel
from rfcore.covariance import Covariance
from rfcore.model import LinearModel, RandomFeatureModel
from rfcore.simulation import _conditional_linear as pooled
from rfcore.simulation import dynamics, linear
from rfcore.simulation.features import Moments, of_setting
from rfcore.simulation.setting import setting, tensor
from rfcore.theory.conditional import mean_curves, mean_kl, mean_minimizer
from rfcore.theory.linear import KL

Data = Sequence[npt.ArrayLike] | None


def realized(model: ConditionalModel, d: int) -> ConditionalModel:
    """The question that a simulation at dimension d asks: whole n_k = round(pi_k n) and p = round(psi_p d).

    Shared readouts: covariances with the atoms that occur at d, in the same order for all classes.
    """
    counts = sizes(model, d)
    n = sum(counts)
    if isinstance(model.base, LinearModel):
        base: LinearModel | RandomFeatureModel = dataclasses.replace(model.base, gamma=d / n)
    else:
        base = dataclasses.replace(model.base, psi_p=round(model.base.psi_p * d) / d, psi_n=n / d)
    laws = model.covariances
    if model.readout == "shared":
        atoms = np.bincount(pooled.atoms(model, d), minlength=laws[0].weights.size)
        present = atoms > 0
        laws = tuple(Covariance(law.eigenvalues[present], atoms[present] / d) for law in laws)
    weights = tuple(k / n for k in counts)
    return dataclasses.replace(model, base=base, weights=weights, covariances=laws)


def sizes(model: ConditionalModel, d: int) -> tuple[int, ...]:
    """n_k = round(pi_k n), the number of points of each class at dimension d."""
    of_kind("model", model, ConditionalModel)
    ratio = 1 / model.base.gamma if isinstance(model.base, LinearModel) else model.base.psi_n
    n = ratio * whole("d", d)
    counts = tuple(round(w * n) for w in model.weights)
    if min(counts) < 1:
        raise refuse("weights", min(model.weights), f"at least {0.5 / n:.3g} at d = {d}, so that n_k >= 1")
    return counts


def class_loss_curves(
    model: ConditionalModel, tau: npt.ArrayLike, d: int, *args: Any, **kwargs: Any
) -> tuple[LossCurves, ...]:
    """Losses of each class at times tau of the common training, at dimension d.

    LinearModel, ``(model, tau, d, draws, seed, x=None)``: means over training sets, with standard errors.
    RandomFeatureModel, ``(model, tau, d, seed, features="nonlinear", device="cpu", x=None, x_test=None)``:
    one draw, the first layer common to all classes.

    x : K data sets, for a LinearModel (N_k, d) to take training sets from, each class about its own mean;
        for a RandomFeatureModel the training points (n_k, d), with test points x_test
    tau : times >= 0 of any shape

    Returns one LossCurves for each class.
    Raises ValueError for sizes that do not fit, and for times that are negative or not finite.

    >>> linear = rf.LinearModel(gamma=0.2, noise_variance=0.1)
    >>> model = rf.ConditionalModel(linear, weights=(0.25, 0.75))
    >>> for curves in rf.simulation.class_loss_curves(model, [1.0, 10.0], d=40, draws=50, seed=0):
    ...     print(curves.test.round(2))
    [0.96 0.95]
    [0.93 0.95]
    """
    of_kind("model", model, ConditionalModel)
    times = finite_array("tau", tau)
    if times.size and times.min() < 0:
        raise refuse("tau", float(times.min()), "numbers >= 0")
    if isinstance(model.base, LinearModel):
        return _linear_curves(model, times, d, *args, **kwargs)
    parts = class_moments(model, d, *args, **kwargs)
    weights = realized(model, d).weights
    if model.readout == "separate":
        ridge = model.base.ridge
        return tuple(
            dataclasses.replace(dynamics.loss_curves(m, w * times, ridge), tau=times)
            for m, w in zip(parts, weights, strict=True)
        )
    answers = (dynamics.loss_curves(m, times, model.base.ridge) for m in mixed(parts, weights))
    return tuple(dataclasses.replace(a, train=a.empirical) for a in answers)


def loss_curves(model: ConditionalModel, tau: npt.ArrayLike, d: int, *args: Any, **kwargs: Any) -> LossCurves:
    """The mean of :func:`class_loss_curves` with weights n_k/n."""
    return mean_curves(class_loss_curves(model, tau, d, *args, **kwargs), realized(model, d).weights)


def class_minimizers(model: ConditionalModel, d: int, *args: Any, **kwargs: Any) -> tuple[Minimizer, ...]:
    """Losses of each class at tau = infinity; parameters as in :func:`class_loss_curves`, without tau.

    Returns one Minimizer for each class.
    Raises ValueError for sizes that do not fit.

    >>> linear = rf.LinearModel(gamma=0.2, noise_variance=0.1)
    >>> model = rf.ConditionalModel(linear, weights=(0.25, 0.75))
    >>> ends = rf.simulation.class_minimizers(model, d=40, draws=50, seed=0)
    >>> print([f"{end.test:.2f}" for end in ends])
    ['1.61', '0.96']
    """
    of_kind("model", model, ConditionalModel)
    if isinstance(model.base, LinearModel):
        return _linear_ends(model, d, *args, **kwargs)
    parts = class_moments(model, d, *args, **kwargs)
    if model.readout == "separate":
        return tuple(dynamics.minimizer(m, model.base.ridge) for m in parts)
    answers = (dynamics.minimizer(m, model.base.ridge) for m in mixed(parts, realized(model, d).weights))
    return tuple(dataclasses.replace(a, train=a.empirical) for a in answers)


def minimizer(model: ConditionalModel, d: int, *args: Any, **kwargs: Any) -> Minimizer:
    """The mean of :func:`class_minimizers` with weights n_k/n."""
    return mean_minimizer(class_minimizers(model, d, *args, **kwargs), realized(model, d).weights)


def class_kls(model: ConditionalModel, d: int, draws: int, seed: int, x: Data = None) -> tuple[KL, ...]:
    """KL divergences per dimension of each class, mean over training sets; see the twin in theory.

    Parameters as in :func:`class_loss_curves`.
    Returns one KL for each class.
    Raises ValueError for another kind of question, and for sizes that do not fit.

    >>> linear = rf.LinearModel(gamma=0.2, noise_variance=0.1)
    >>> model = rf.ConditionalModel(linear, weights=(0.25, 0.75))
    >>> found = rf.simulation.class_kls(model, d=40, draws=50, seed=0)
    >>> print([f"{each.generated_to_data:.3f}" for each in found])
    ['0.205', '0.062']
    """
    of_kind("model", model, ConditionalModel)
    if not isinstance(model.base, LinearModel):
        raise refuse(
            "base", type(model.base).__name__, "a LinearModel: only there the generated law is known"
        )
    if model.readout == "separate":
        return tuple(
            linear.kl(m, d, draws, _seed(seed, k), x=None if x is None else x[k])
            for k, m in enumerate(realized(model, d).classes)
            if isinstance(m, LinearModel)
        )
    return pooled.kls(model, d, sizes(model, d), draws, seed, x)


def kl(model: ConditionalModel, d: int, draws: int, seed: int, x: Data = None) -> KL:
    """The mean of :func:`class_kls` with weights n_k/n."""
    return mean_kl(class_kls(model, d, draws, seed, x), realized(model, d).weights)


def class_moments(
    model: ConditionalModel,
    d: int,
    seed: int,
    features: str = "nonlinear",
    device: str = "cpu",
    x: Data = None,
    x_test: Data = None,
) -> tuple[Moments, ...]:
    """The matrices of each class, all with the first layer of ``seed``."""
    real = realized(dataclasses.replace(model, readout="separate", label=0.0), d)
    if (x is None) != (x_test is None):
        raise ValueError("one of x, x_test is missing, which is not allowed: give both or neither")
    spectra = _spectra(model, d)
    if model.label and features != "nonlinear":
        raise refuse("features", features, "'nonlinear' with a label input")
    first: Any = None
    parts = []
    for k, each in enumerate(real.classes):
        assert isinstance(each, RandomFeatureModel)
        mine, fresh = (None if part is None else part[k] for part in (x, x_test))
        if mine is None:
            rng = np.random.default_rng([whole("seed", seed, least=0), 17, k])
            mine = rng.standard_normal((round(each.psi_n * d), d)) * np.sqrt(spectra[k])
        s = setting(each, d, _seed(seed, k), features, device, mine, fresh)
        first = setting(each, d, seed, features, device, mine, fresh).M if first is None else first
        s = dataclasses.replace(s, M=first, spectrum=tensor(spectra[k], device))
        if model.label:
            rng = np.random.default_rng([seed, 18, k])
            s = dataclasses.replace(s, shift=tensor(model.label * rng.standard_normal(len(first)), device))
        parts.append(of_setting(s))
    return tuple(parts)


def mixed(parts: Sequence[Moments], weights: Sequence[float]) -> tuple[Moments, ...]:
    """Moments of one readout for all classes: U and V of all points, the others of class k."""

    def mean(name: str) -> Any:
        return sum(w * getattr(m, name) for w, m in zip(weights, parts, strict=True))

    U, V, n = mean("U"), mean("V"), sum(m.psi_n for m in parts)
    error = max(m.error for m in parts)
    return tuple(dataclasses.replace(m, U=U, V=V, Ue=m.U, Ve=m.V, psi_n=n, error=error) for m in parts)


def _spectra(model: ConditionalModel, d: int) -> Array:
    """Eigenvalues of Sigma_k along common directions (shared readout), or ascending, (K, d)."""
    if model.readout == "shared":
        return model.eigenvalues[:, pooled.atoms(model, d)]
    return np.stack([law.quantiles(d) for law in model.covariances])


def _linear_curves(
    model: ConditionalModel, times: Array, d: int, draws: int, seed: int, x: Data = None
) -> tuple[LossCurves, ...]:
    if model.readout == "shared":
        return pooled.curves(model, times, d, sizes(model, d), draws, seed, x)
    real = realized(model, d)
    answers = []
    for k, (each, w) in enumerate(zip(real.classes, real.weights, strict=True)):
        assert isinstance(each, LinearModel)
        data = None if x is None else x[k]
        answer = linear.loss_curves(each, w * times, d, draws, _seed(seed, k), x=data)
        answers.append(dataclasses.replace(answer, tau=times))
    return tuple(answers)


def _linear_ends(
    model: ConditionalModel, d: int, draws: int, seed: int, x: Data = None
) -> tuple[Minimizer, ...]:
    if model.readout == "shared":
        found = pooled.curves(model, np.array([math.inf]), d, sizes(model, d), draws, seed, x)
        return tuple(pooled.end(curves) for curves in found)
    return tuple(
        linear.minimizer(each, d, draws, _seed(seed, k), x=None if x is None else x[k])
        for k, each in enumerate(realized(model, d).classes)
        if isinstance(each, LinearModel)
    )


def _seed(seed: int, k: int) -> int:
    """A seed of its own for each class."""
    return int(np.random.SeedSequence([whole("seed", seed, least=0), k]).generate_state(1)[0])
