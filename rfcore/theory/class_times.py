"""When each class is learnt and when it is memorised, read off loss curves."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rfcore.answers import LossCurves, Minimizer

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ClassTimes:
    """Training times of the K classes, (K,) each; nan where a level is not crossed on the grid.

    learn : the test loss has done half of its way from 1 to its lowest value
    memorize : the train loss is half-way between the lowest test loss and its own end
    stop : the test loss is lowest (on the grid)

    >>> import dataclasses
    >>> print([field.name for field in dataclasses.fields(rf.theory.ClassTimes)])
    ['learn', 'memorize', 'stop']
    """

    learn: Floats
    memorize: Floats
    stop: Floats


def class_times(curves: Sequence[LossCurves], ends: Sequence[Minimizer]) -> ClassTimes:
    """Times from curves on a common ascending grid tau > 0 and the losses at tau = infinity.

    Crossings are interpolated linearly in log tau: 8 points a decade give them to about one per cent.
    ``ends`` may be those of theory or of a simulation: whatever the curves run to.

    Returns ClassTimes.
    Raises ValueError if there are not as many curves as ends.
    Source: chapter 17 of the book.

    >>> model = rf.ConditionalModel(rf.RandomFeatureModel(16, 8, 0.1), weights=(0.2, 0.8))
    >>> curves = rf.theory.class_loss_curves(model, np.geomspace(0.1, 1e6, 57))
    >>> times = rf.theory.class_times(curves, rf.theory.class_minimizers(model))
    >>> print(times.learn.round(1), times.memorize.round(-2))
    [11.2  3. ] [1200.  700.]
    """
    rows = []
    for c, end in zip(curves, ends, strict=True):
        k = int(np.argmin(c.test))
        lowest = float(c.test[k])
        learn = _crossing(c.tau[: k + 1], c.test[: k + 1], (1 + lowest) / 2)
        rows.append((learn, _crossing(c.tau, c.train, (lowest + end.train) / 2), float(c.tau[k])))
    table = np.array(rows)
    return ClassTimes(table[:, 0], table[:, 1], table[:, 2])


def _crossing(tau: Floats, values: Floats, level: float) -> float:
    """First time at which values fall below the level."""
    below = np.flatnonzero(values < level)
    if not below.size or below[0] == 0:
        return float("nan")
    k = int(below[0])
    share = (values[k - 1] - level) / (values[k - 1] - values[k])
    x = np.log(tau)
    return float(np.exp(x[k - 1] + share * (x[k] - x[k - 1])))
