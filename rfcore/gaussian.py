r"""Gaussian equivalence: Hermite coefficients of an activation and the constants a, b, v2, s2.

With eta, xi independent standard Gaussians, Gamma = e^-2t sigma_x^2 + Delta (a variance) and
f(eta, xi) = sigma(e^-t sigma_x eta + sqrt(Delta) xi) - c_0, where the mean c_0 = E sigma(Gamma^1/2 eta)
is subtracted,

    a  = E[eta f]/(e^-t sigma_x)                     b  = E[xi f] = sqrt(Delta) a
    v2 = E_eta[(E_xi f)^2] - a^2 e^-2t sigma_x^2     s2 = E[f^2] - a^2 e^-2t sigma_x^2 - v2 - b^2

In terms of the Hermite coefficients c_k of y -> sigma(Gamma^1/2 y) and rho = e^-2t sigma_x^2/Gamma:
a = c_1/Gamma^1/2, v2 = sum_{k>=2} c_k^2 rho^k, s2 = sum_{k>=2} c_k^2 (1 - rho^k).  The differences
cancel almost completely at large t (v2) or small t (s2), so no constant is formed by them.

Source: Bonnaire et al. (2025), sec. 3 and appendix; Goldt et al. (2022) for the equivalence.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from rfcore import _quadrature as quadrature
from rfcore._activations import CLOSED, EPS, FUNCTIONS, Function, Mixture, checked
from rfcore._moments import callable_constants, find_breaks, project, tanh_constants, too_rough
from rfcore._scale import ScaleLaw
from rfcore.checks import choice, finite_array, positive, whole

__all__ = [
    "GaussianConstants",
    "HermiteExpansion",
    "constants",
    "function",
    "hermite_coefficients",
    "sample_constants",
]
Array = npt.NDArray[np.float64]
Activation = str | Function


@dataclass(frozen=True)
class GaussianConstants:
    """The constants of the Gaussian equivalence.

    a, b : of the linear part, on the data and on the noise, b = sqrt(Delta) a
    v2, s2 : variances v^2 and s^2 of the rest, of the sample and of the noise draw
    mean : E sigma, which is subtracted;  error : estimate of the largest relative error

    sigma(M x_t) - mean is replaced by e^-t a M x + sqrt(v2) omega_nu + b M xi + sqrt(s2) omega_nu,j
    with independent standard Gaussian omegas: omega_nu is shared by the noise draws j of a sample.

    >>> constants = rf.RandomFeatureModel(psi_p=64, psi_n=8, t=0.01).constants
    >>> print(f"{constants.a:.3f} {constants.b:.3f} {constants.v2:.4f} {constants.s2:.5f}")
    0.606 0.085 0.0255 0.00187
    """

    a: float
    b: float
    v2: float
    s2: float
    mean: float = 0.0
    error: float = 0.0


@dataclass(frozen=True, eq=False)
class ScaleConstants:
    """The constants of samples of scale tau_k, arrays (K,), and the weights of a scale law.

    alpha2 = e^-2t a^2 tau: the square of the gain of z in sqrt(tau) Sigma^(1/2) z.  ``mean`` is the one
    number that is subtracted from all features, E_tau E sigma; ``own_mean`` (K,) is E sigma at each scale.
    """

    weights: Array
    a: Array
    alpha2: Array
    b: Array
    v2: Array
    s2: Array
    own_mean: Array
    mean: float
    error: float


@dataclass(frozen=True)
class HermiteExpansion:
    """sigma(scale y) = sum_k c_k h_k(y), h_k orthonormal under the standard Gaussian.

    coefficients : (order + 1,) the c_k
    theta_1 : second moment E[(sigma(scale y) - c_0)^2], the sum of all c_k^2 with k >= 1
    error : estimated error of each c_k, relative to sqrt(E sigma(scale y)^2)

    >>> series = rf.gaussian.hermite_coefficients("relu", scale=1.0, order=4)
    >>> print(series.coefficients[:3].round(3), round(series.theta_1, 3), round(series.theta_2, 3))
    [0.399 0.5   0.282] 0.341 0.25
    """

    coefficients: Array
    theta_1: float
    error: float

    @property
    def theta_2(self) -> float:
        """Square of the coefficient of the linear regression on y: c_1^2."""
        return float(self.coefficients[1] ** 2)


def function(activation: Activation) -> Function:
    """The activation as a callable on float64 arrays (its mean is not subtracted).

    Returns a function of an array that gives an array of the same shape.  Source: the constants of chapter 5.
    Raises ValueError for a name that is not in :data:`rfcore.model.ACTIVATIONS`; the function raises it
    where a callable gives another shape or values that are not finite.

    >>> rf.gaussian.function("relu")(np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    if callable(activation):
        return checked(activation)
    return FUNCTIONS[choice("activation", activation, tuple(FUNCTIONS))]


def constants(activation: Activation, variance: float, t: float) -> GaussianConstants:
    """The constants a, b, v2, s2 of ``activation`` at data variance sigma_x^2 and diffusion time t.

    Parameters
    ----------
    activation : "tanh", "relu", "erf", "sin", "identity", or a callable that maps an array to an
        array of the same shape.  Its mean c_0 is subtracted: adding a number to it changes nothing
    variance : sigma_x^2 = tr Sigma/d > 0
    t : diffusion time > 0

    Raises ValueError for bad numbers, and for a callable that returns another shape or values that
    are not finite, has no linear part (a = 0, as for every even function), or is too rough for the
    quadrature (estimated relative error above 1e-8).

    Source: Bonnaire et al. (2025), sec. 3.

    >>> constants = rf.gaussian.constants("relu", variance=1.0, t=0.5)
    >>> print(f"{constants.a:.3f}")  # of relu: 1/2 at every variance
    0.500
    """
    variance, t = positive("variance", variance), positive("t", t)
    if not callable(activation):
        choice("activation", activation, tuple(FUNCTIONS))
    elif activation.__hash__ is None:  # cannot be remembered
        return _constants.__wrapped__(activation, variance, t)
    return _constants(activation, variance, t)


def sample_constants(activation: Activation, x: npt.ArrayLike, t: float) -> tuple[Array, ...]:
    """a, b, v2, s2 of every sample of x (n, d), four arrays (n,): the constants at variance |x|^2/d.

    Given a sample, the pre-activations of a random first layer are exactly Gaussian over neurons, with
    variance |x|^2/d.  For Gaussian data all |x|^2/d are close to sigma_x^2; for real data they are not.
    Raises ValueError as :func:`constants` does; in particular no sample may be zero.

    Returns a, b, v2, s2, (n,) each.

    >>> a, b, v2, s2 = rf.gaussian.sample_constants("tanh", [[1.0, 1.0], [3.0, 1.0]], t=0.01)
    >>> print(a.round(3))
    [0.606 0.334]
    """
    variances = np.mean(finite_array("x", x, ndim=2) ** 2, axis=1)
    found = [constants(activation, variance, t) for variance in variances]
    return tuple(np.array([getattr(c, name) for c in found]) for name in ("a", "b", "v2", "s2"))


def scale_constants(activation: Activation, variance: float, t: float, law: ScaleLaw) -> ScaleConstants:
    """The constants at every atom of a scale law: given tau, the arguments have variance e^-2t tau sigma_x^2
    + Delta, so that tau sigma_x^2 takes the place of sigma_x^2 in :func:`constants`.
    """
    found = [constants(activation, variance * float(tau), t) for tau in law.values]
    a, b, v2, s2, own = (np.array([getattr(c, f) for c in found]) for f in ("a", "b", "v2", "s2", "mean"))
    alpha2 = math.exp(-2 * t) * a**2 * law.values
    mean, error = float(law.weights @ own), max(c.error for c in found)
    return ScaleConstants(law.weights, a, alpha2, b, v2, s2, own, mean, error)


def hermite_coefficients(activation: Activation, scale: float, order: int) -> HermiteExpansion:
    """c_0..c_order of y -> sigma(scale y) in orthonormal Hermite polynomials.

    scale > 0, order >= 1.  The h_k obey sqrt(k+1) h_{k+1} = y h_k - sqrt(k) h_{k-1}.
    Raises ValueError as :func:`constants` does, except that c_1 may vanish.

    >>> print(rf.gaussian.hermite_coefficients("erf", scale=1.0, order=3).coefficients[1::2].round(4))
    [ 0.6515 -0.1773]
    """
    scale, order = positive("scale", scale), whole("order", order)
    f = function(activation)
    # h_k oscillates with wavelength 2 pi/sqrt(k), out to |y| = 2 sqrt(k), where the weight is tiny.
    reach = 13.0
    breaks = [x / scale for x in find_breaks(f, reach * scale, activation)]
    results = []
    for level in (0, 1):
        width = min(1.0, 1 / scale, 4 / math.sqrt(order)) / 2**level
        y, w = quadrature.panels(quadrature.graded_edges(width, breaks, width, reach))
        values = f(scale * y)
        c = project(values, y, w, order)
        results.append((c, float(w @ (values - c[0]) ** 2)))
    (coarse, _), (c, theta_1) = results
    size = math.sqrt(theta_1 + c[0] ** 2)
    error = float(np.max(np.abs(coarse - c))) / size if size > 0 else 0.0
    if error > 1e-8:
        raise too_rough(activation, error)
    c.flags.writeable = False
    return HermiteExpansion(c, theta_1, max(error, 4 * EPS))


@lru_cache(maxsize=1024)
def _constants(activation: Activation, variance: float, t: float) -> GaussianConstants:
    m = Mixture(variance, t)
    if callable(activation):
        found = callable_constants(checked(activation), m, activation)
    else:
        found = tanh_constants(m) if activation == "tanh" else CLOSED[activation](m)
    b = math.sqrt(m.delta) * found.a
    return GaussianConstants(found.a, b, found.v2, found.s2, found.mean, found.error)
