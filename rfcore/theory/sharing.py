"""When classes should have a model each, and when they should share one."""

import dataclasses
import math

import numpy as np
from scipy.optimize import brentq

from rfcore.checks import refuse
from rfcore.conditional import ConditionalModel
from rfcore.model import LinearModel
from rfcore.theory import _rank
from rfcore.theory.conditional import kl

LARGEST = 1e7  # samples per dimension beyond which no crossing is looked for


@dataclasses.dataclass(frozen=True)
class Sharing:
    """What decides between one linear denoiser for K classes and one for each.

    gap : Jensen gap J of the log-determinant, half of it per dimension; >= 0
    crossing : n*/d of all samples beyond which separate matrices have the lower KL(data || generated)
    leading : (K - 1)/(4 J), what the crossing tends to as J -> 0; inf for equal classes, as is crossing

    >>> import dataclasses
    >>> print([field.name for field in dataclasses.fields(rf.theory.Sharing)])
    ['gap', 'crossing', 'leading']
    """

    gap: float
    crossing: float
    leading: float


def sharing(model: ConditionalModel) -> Sharing:
    """The Jensen gap of the classes, and the number of samples from which on it pays to separate them.

        J = (1/2) [tr log Sigma_pool - sum_k pi_k tr log Sigma_k] ,    n* ~ (K - 1) d/(4 J) for J -> 0

    with tr divided by d.  The crossing is found on the exact divergences of both readouts, at the noise and
    ridge of ``model.base``; its gamma and ``model.readout`` do not matter.  J and the leading order are
    those of c -> 0.

    Returns Sharing.
    Raises ValueError for another kind of question and where a covariance is singular, RuntimeError if the
    curves do not cross below 1e7 samples per dimension, as at strong noise.
    Source: chapter 17 of the book.

    >>> laws = rf.Covariance([0.5, 2.0]), rf.Covariance([2.0, 0.5])
    >>> model = rf.ConditionalModel(rf.LinearModel(0.1, 1e-9), (0.5, 0.5), laws)
    >>> found = rf.theory.sharing(model)
    >>> print(f"J = {found.gap:.3f}, n* = {found.crossing:.2f} d, leading order {found.leading:.2f} d")
    J = 0.112, n* = 5.67 d, leading order 2.24 d
    """
    if not isinstance(model, ConditionalModel) or not isinstance(model.base, LinearModel):
        raise refuse("model", model, "a ConditionalModel of a LinearModel")
    if not all(_rank.positive(law).all() for law in model.covariances):
        raise refuse("covariances", "singular", "laws without zero eigenvalues")
    base = model.base
    pair = [dataclasses.replace(model, readout=readout) for readout in ("separate", "shared")]
    share = pair[0].covariances[0].weights
    logs = model.pi @ (np.log(model.eigenvalues) @ share)
    gap = max(float(np.log(pair[1].pooled.eigenvalues) @ share - logs) / 2, 0.0)
    if gap < 1e-14:
        return Sharing(gap, math.inf, math.inf)

    def excess(log_n: float) -> float:
        gamma = math.exp(-log_n)
        both = [kl(dataclasses.replace(m, base=dataclasses.replace(base, gamma=gamma))) for m in pair]
        return both[0].data_to_generated - both[1].data_to_generated

    leading = (len(model.weights) - 1) / (4 * gap)
    low, high = math.log(1.001 / min(model.weights)), math.log(LARGEST)
    if excess(low) <= 0 or excess(high) >= 0:
        raise RuntimeError(f"no crossing between n/d = {math.exp(low):.3g} and {LARGEST:.3g}")
    crossing = float(brentq(excess, low, high, xtol=1e-10))
    return Sharing(gap, math.exp(crossing), leading)
