"""The answers: frozen results, the same for theory (d = infinity) and simulation (finite d).

Plain numpy data, no torch; losses are dimensionless, the zero score has loss 1.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LossCurves:
    """Losses along gradient flow dA/dtau = -d^2 grad L_train from A = 0, arrays of the shape of ``tau``.

    train : loss on the training points with the m noise draws that are trained on (without penalty)
    test : loss on fresh points with fresh noise
    empirical : loss on the training points with fresh noise (= train at m = infinity)
    score_error : (1/d) E||s_A - s*||^2, the distance to the exact score; nan where that is not known
    error : estimate of the numerical error of the losses (not of the distance between d and infinity)
    standard_error : the same losses' standard errors where they are means over draws, else None
    """

    tau: Array
    train: Array
    test: Array
    empirical: Array
    score_error: Array
    error: Array
    standard_error: "LossCurves | None" = None

    @property
    def gap(self) -> Array:
        """Generalisation gap, test - train."""
        return self.test - self.train


@dataclass(frozen=True)
class Minimizer:
    """The losses of :class:`LossCurves` at tau = infinity (minimum norm where U is singular)."""

    train: float
    test: float
    empirical: float
    score_error: float
    error: float
    standard_error: "Minimizer | None" = None

    @property
    def gap(self) -> float:
        """Generalisation gap, test - train."""
        return self.test - self.train
