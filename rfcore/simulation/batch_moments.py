r"""Exact mean of stochastic descent over its batches, at finite d, for any features.

S of the N = n m rows are drawn with replacement.  The first and second moments of the weights close:
with Q = (1/N) sum_r E|u_r|^2 phi_r phi_r^T, u_r = B phi_r + xi_r/sqrt(Delta), and G the whole gradient,

    E B' = that of the whole loss,     E G_batch^T G_batch = (1 - 1/S) E G^T G + Q/S
"""

import math

import numpy as np
import numpy.typing as npt
import torch

from rfcore.answers import LossCurves
from rfcore.checks import of_kind, refuse
from rfcore.descent import Descent, whole_steps
from rfcore.simulation.features import draws, moments
from rfcore.simulation.optimizers import batch_size, quadratic_losses
from rfcore.simulation.setting import setting


def expected_loss_curves(
    question: Descent, steps: npt.ArrayLike, d: int, seed: int, features: str = "nonlinear"
) -> LossCurves:
    """Mean over all batches of ``loss_curves(question, steps, d, seed, features)``, O(p^3 + N p^2) a step.

    Raises ValueError at noise_draws = math.inf, for averaged weights and for nesterov.
    Source: chapter 16 of the book.

    >>> model = rf.RandomFeatureModel(psi_p=2, psi_n=2, t=0.1, noise_draws=2)
    >>> question = rf.Descent(model, step=0.1, batch=0.5)
    >>> rf.simulation.expected_loss_curves(question, [0, 5], d=8, seed=0).train.shape
    (2,)
    """
    of_kind("question", question, Descent)
    if question.model.noise_draws == math.inf:
        raise refuse(
            "noise_draws", question.model.noise_draws, "an integer >= 1, to have a finite set of rows"
        )
    if question.average:
        raise refuse("average", question.average, "0 here")
    if question.nesterov:
        raise refuse("nesterov", True, "False")
    k = whole_steps(steps)
    s, m = setting(question.model, d, seed, features), moments(question.model, d, seed, features)
    phi, xi = (torch.cat(part) for part in zip(*draws(s), strict=True))
    h, beta, mu, size = question.h, question.momentum, question.model.ridge, batch_size(question, d)
    U, v, target = m.U, m.V.T / math.sqrt(m.delta), xi / math.sqrt(m.delta)
    square, power = v.T @ v, (target**2).sum(dim=1)
    forward = (1 + beta - h * mu) * torch.eye(len(U), dtype=U.dtype) - h * U
    mean = last = torch.zeros_like(v)
    now, cross, before = (torch.zeros_like(U) for _ in range(3))  # E B^T B, E B^T B_last, E B_last^T B_last
    wanted, seen = set(k.ravel().tolist()), {}
    for step in range(int(k.max(initial=0)) + 1):
        if step:
            own = power + ((phi @ now) * phi).sum(dim=1) + 2 * ((phi @ mean.T) * target).sum(dim=1)
            Q = phi.T @ (own[:, None] * phi) / len(phi)
            mixed = U @ (mean.T @ v)
            noise = (Q - U @ now @ U - mixed - mixed.T - square) / size
            ahead = forward @ cross
            push = forward @ (mean.T @ v) - beta * last.T @ v
            after = forward @ now @ forward - beta * (ahead + ahead.T) + beta**2 * before
            after += h**2 * (square + noise) - h * (push + push.T)
            after = (after + after.T) / 2  # round-off in the antisymmetric part would grow
            cross, before = forward @ now - beta * cross.T - h * v.T @ mean, now
            now, mean, last = after, mean @ forward - beta * last - h * v, mean
        if step in wanted:
            seen[step] = quadratic_losses(m, now, mean)
    table = np.array([seen[each] for each in k.ravel().tolist()]).reshape(-1, 5).T
    train, test, empirical, score, error = (row.reshape(k.shape) for row in table)
    return LossCurves(np.asarray(question.step * k, np.float64), train, test, empirical, score, error)
