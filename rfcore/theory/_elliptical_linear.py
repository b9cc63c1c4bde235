"""Traces of a linear denoiser trained on elliptical data: kappa from the scale law, the rest as before."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rfcore._scale import ScaleLaw
from rfcore.model import LinearModel
from rfcore.theory._scaled_kappa import ScaledKappa

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Load:
    """At one c: kappa, dkappa/dc, delta, mbar = c/kappa, chi, and the residual of the equation for delta."""

    kappa: float
    slope: float
    delta: float
    mbar: float
    chi: float
    residual: float


def load(model: LinearModel, scale: ScaleLaw, c: float) -> Load:
    """Solve the elliptical equations at c > 0."""
    law = ScaledKappa(model.covariance, scale, model.gamma)
    point = np.array([c])
    delta = law.delta(point)
    kappa = float(law.kappa(delta, point)[0])
    lam, w = model.covariance.eigenvalues, model.covariance.weights
    mbar = c / kappa
    residual = abs(float(delta[0]) * mbar / (model.gamma * float(w @ (lam / (lam + kappa)))) - 1)
    slope, chi = float(law.slope(delta, point)[0]), float(law.chi(delta)[0])
    return Load(kappa, slope, float(delta[0]), mbar, chi, residual)


def scaled_variance(model: LinearModel, scale: ScaleLaw) -> Floats:
    """n Var(u_j . D u_k) at leading order, (K, K).

    With A_k = lambda_k/(lambda_k + kappa)^2 and D = (kappa/c)^2 df2/n,

        (kappa^4/c^2) {chi/(1 - chi D) (1 + delta_jk) A_j A_k + (chi - mbar^2)/(1 - chi D)^2 delta_jk A_k^2}

    The last term comes from the fluctuation of the drawn scales.
    """
    at = load(model, scale, model.c)
    lam, w = model.covariance.eigenvalues, model.covariance.weights
    a = lam / (lam + at.kappa) ** 2
    spread = 1 - at.chi * model.gamma * float(w @ (lam / (lam + at.kappa)) ** 2) / at.mbar**2
    answer = at.chi / spread * np.outer(a, a)
    answer[np.diag_indices(lam.size)] += (at.chi / spread + (at.chi - at.mbar**2) / spread**2) * a**2
    return np.asarray(at.kappa**2 / at.mbar**2 * answer)
