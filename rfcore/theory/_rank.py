"""Which eigenvalues of a covariance are zero: exactly, or by the round-off of the data they come from."""

import numpy as np
import numpy.typing as npt

from rfcore.covariance import Covariance


def positive(covariance: Covariance) -> npt.NDArray[np.bool_]:
    """True where an atom is above K eps times the largest, the round-off of K eigenvalues, (K,)."""
    lam = covariance.eigenvalues
    return np.asarray(lam > lam.max() * lam.size * np.finfo(float).eps)
