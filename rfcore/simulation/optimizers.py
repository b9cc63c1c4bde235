"""Descent in steps at finite d: exact filters of the whole loss, and runs with mini-batches."""

import numpy as np
import numpy.typing as npt
import torch

from rfcore.answers import LossCurves
from rfcore.descent import Descent, whole_steps
from rfcore.simulation.dynamics import Flow, filtered, flow
from rfcore.simulation.features import moments
from rfcore.simulation.setting import Tensor

Array = npt.NDArray[np.float64]


def loss_curves(
    question: Descent,
    steps: npt.ArrayLike,
    d: int,
    seed: int,
    features: str = "nonlinear",
    device: str = "cpu",
    x: npt.ArrayLike | None = None,
    x_test: npt.ArrayLike | None = None,
) -> LossCurves:
    """Losses after ``steps`` steps (any shape) of one draw at dimension d; arguments as in ``moments``.

    batch = math.inf: the filter g_k(lambda) = (1 - r_k(lambda + mu))/(lambda + mu) by its recursion at each
    eigenvalue of U.  A step beyond the edge of stability is answered as it is: the losses grow.

    Raises ValueError for steps that are no whole numbers >= 0.
    """
    k = whole_steps(steps)
    f = flow(moments(question.model, d, seed, features, device, x, x_test), question.model.ridge)
    g, reach = _filters(question, f, k.ravel())
    train, test, empirical, score, error = (v.reshape(k.shape) for v in filtered(f, g, reach))
    return LossCurves(np.asarray(question.step * k, np.float64), train, test, empirical, score, error)


def _filters(question: Descent, f: Flow, steps: npt.NDArray[np.int64]) -> tuple[Tensor, Array]:
    """g_k at the eigenvalues (T, p), and its value at curvature 0, (T,).

    Not by (1 - r)/x, which cancels at small x: g moves as the weights do, with the gradient x g - 1.
    """
    x = np.append((f.eigenvalues + f.ridge).cpu().numpy(), 0.0)
    rows = {0: np.zeros_like(x)}
    wanted = set(steps.tolist())
    now = last = mean = rows[0]
    for k in range(1, int(steps.max(initial=0)) + 1):
        ahead = now + question.momentum * (now - last)
        slope = x * (ahead if question.nesterov else now) - 1
        now, last = ahead - question.h * slope, now
        mean = question.average * mean + (1 - question.average) * now
        if k in wanted:
            rows[k] = mean
    table = np.stack([rows[k] for k in steps.tolist()])
    return torch.as_tensor(table[:, :-1], device=f.eigenvalues.device), table[:, -1]
