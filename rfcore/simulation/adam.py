"""Adam on the random-feature model at finite d, with the preconditioner that it makes for itself."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from rfcore.answers import LossCurves
from rfcore.checks import nonnegative, positive, refuse
from rfcore.descent import Descent, whole_steps
from rfcore.model import RandomFeatureModel
from rfcore.simulation.features import Moments, moments
from rfcore.simulation.optimizers import batch_size, quadratic_losses, row_source
from rfcore.simulation.setting import Tensor, setting

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AdamRun:
    """One run, at T numbers of steps.

    curves : losses; its ``tau`` are numbers of steps
    weights : B = A/sqrt(p), (T, d, p)
    preconditioner : P = sqrt(v_hat) + epsilon of each weight, (T, d, p), in units of the gradient
        B U + V^T/sqrt(Delta); a step is B - rate m_hat/P
    moments : the matrices of the draw

    >>> model = rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1)
    >>> run = rf.simulation.adam(model, rate=1e-3, steps=[0, 10, 20], d=8, seed=0)
    >>> run.weights.shape, run.curves.tau
    ((3, 8, 32), array([ 0., 10., 20.]))
    """

    curves: LossCurves
    weights: Array
    preconditioner: Array
    moments: Moments


def adam(
    model: RandomFeatureModel,
    rate: float,
    steps: npt.ArrayLike,
    d: int,
    seed: int,
    batch: float = math.inf,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    noise: int = 0,
) -> AdamRun:
    """Adam with bias correction from B = 0, on the whole loss or on S = round(batch d) rows per step.

    Parameters
    ----------
    rate : float > 0, the step of each weight of B where gradients have one sign
    steps : numbers of steps at which to record, one axis
    batch : rows as in :class:`rfcore.Descent`
    beta_1, beta_2 : in [0, 1);  epsilon : >= 0
    noise : which sequence of mini-batches, for runs that differ in nothing else

    Source: Kingma and Ba (2015), algorithm 1.

    Raises ValueError for numbers outside these ranges and sizes that do not fit.

    >>> model = rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1)
    >>> run = rf.simulation.adam(model, rate=1e-3, steps=[0, 20], d=8, seed=0)
    >>> bool(run.curves.train[1] < run.curves.train[0])
    True
    """
    question = Descent(model, positive("rate", rate), batch=batch)
    for name, value in (("beta_1", beta_1), ("beta_2", beta_2)):
        if nonnegative(name, value) >= 1:
            raise refuse(name, value, "a number in [0, 1)")
    nonnegative("epsilon", epsilon)
    k = np.atleast_1d(whole_steps(steps))
    s, m = setting(model, d, seed), moments(model, d, seed)
    rows = None if batch == math.inf else row_source(s)
    size = 0 if batch == math.inf else batch_size(question, d)
    generator = np.random.default_rng([seed, noise, 5])
    target = m.V.T / math.sqrt(m.delta)
    B, first, second, P = (torch.zeros_like(target) for _ in range(4))
    wanted = set(k.tolist())
    seen: dict[int, tuple[tuple[float, ...], Array, Array]] = {}
    for step in range(int(k.max(initial=0)) + 1):
        if step:
            if rows is None:
                slope = B @ m.U + target
            else:
                phi, xi = rows(generator, size)
                slope = (B @ phi.T + xi.T / math.sqrt(m.delta)) @ phi / size
            slope = slope + model.ridge * B
            first = beta_1 * first + (1 - beta_1) * slope
            second = beta_2 * second + (1 - beta_2) * slope**2
            P = torch.sqrt(second / (1 - beta_2**step)) + epsilon
            B = B - rate / (1 - beta_1**step) * first / P
        if step in wanted:
            seen[step] = (quadratic_losses(m, B.T @ B, B), B.cpu().numpy(), P.cpu().numpy())
    losses = np.array([seen[each][0] for each in k.tolist()]).T
    curves = LossCurves(k.astype(np.float64), *losses)
    weights, preconditioner = (np.stack([seen[each][i] for each in k.tolist()]) for i in (1, 2))
    return AdamRun(curves, weights, preconditioner, m)


def preconditioned(second: Tensor | Array, diagonal: Array) -> tuple[Array, Array]:
    """Eigenvalues (ascending) and modes of P^-1 U: a mode w e of errors e (p,) decays as 1 - rate eigenvalue.

    second : U (p, p);  diagonal : P (p,).  Rows w_k of the second answer obey w_k P^-1 U = lambda_k w_k, from
    P^-1/2 U P^-1/2 = Q Lambda Q^T, w_k = q_k^T P^1/2.

    Returns (p,) and (p, p).  Raises nothing for a symmetric U and P > 0.
    Source: chapter 16 of the book.

    >>> values, modes = rf.simulation.preconditioned(np.diag([1.0, 4.0]), np.array([1.0, 2.0]))
    >>> print(values, modes.shape)
    [1. 2.] (2, 2)
    """
    root = np.sqrt(diagonal)
    matrix = np.asarray(second) / root[:, None] / root
    eigenvalues, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.asarray(eigenvalues), np.asarray(vectors.T * root)


def relaxation(run: AdamRun, rate: float, scalar: bool = False) -> tuple[Array, Array]:
    """How far each mode of P^-1 U relaxes from the first to the last record: predicted and measured, (p,).

    predicted : rate * steps * eigenvalue, with 1/P averaged over the records of each output, or over all
        weights if ``scalar``
    measured : -log of the regression of the last amplitude on the first, over outputs; nan where nothing
        of it is left

    Amplitudes are of the distance to the least-squares solution.  Both are means over outputs.

    run : of :func:`adam`;  rate : its rate

    Returns (p,) each.  Raises nothing for a run with two records or more.  Source: chapter 16 of the book.

    >>> model = rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1)
    >>> run = rf.simulation.adam(model, rate=1e-4, steps=[50, 60], d=8, seed=0)
    >>> predicted, measured = rf.simulation.relaxation(run, rate=1e-4)
    >>> predicted.shape
    (32,)
    """
    m, p = run.moments, run.weights.shape[2]
    U = m.U.cpu().numpy()
    best = -np.linalg.lstsq(U, m.V.cpu().numpy(), rcond=None)[0].T / math.sqrt(m.delta)
    inverse = np.mean(1 / run.preconditioner, axis=0)
    steps = run.curves.tau[-1] - run.curves.tau[0]
    power, common, predicted = np.zeros((3, p))
    for i, now in enumerate(inverse):
        eigenvalues, modes = preconditioned(U, np.full(p, 1 / inverse.mean()) if scalar else 1 / now)
        first, last = (modes @ (run.weights[k, i] - best[i]) for k in (0, -1))
        power += first**2
        common += first * last
        predicted += rate * steps * eigenvalues * first**2
    ratio = common / power
    return predicted / power, -np.log(np.where(ratio > 0, ratio, np.nan))
