r"""Stochastic gradient descent at d = infinity: a deterministic equation for the loss.

S = batch * d rows per step, drawn with replacement.  The mean of the weights moves as without noise.  A step
made at loss L_j adds independent noise of covariance h^2 L_j U/(S Delta) per output, which later steps shrink
by y_i(U): y_0 = 1, y_1 = 1 + beta - h (x + mu), y_{i+1} = y_1 y_i - beta y_{i-1}.  Hence, K = U or Ut,

    L_k = L_k(without noise) + sum_{j<k} K_{k-1-j} L_j^train
    K_i = (h^2 psi_p/batch) int x y_i(x)^2 (1/p) tr[K delta(x - U)] dx

Solved here node by node of a quadrature over the bulks, at a cost that grows as the number of steps.
Source: Paquette et al. (2025) for least squares; chapter 16 of the book for this model.
"""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rfcore.answers import LossCurves
from rfcore.checks import of_kind, refuse
from rfcore.descent import Descent, whole_steps
from rfcore.model import RandomFeatureModel
from rfcore.theory import descent
from rfcore.theory._equations import Parameters, parameters
from rfcore.theory._traces import solved, t_train
from rfcore.theory.dynamics import lowest_loss
from rfcore.theory.support import support

Floats = npt.NDArray[np.float64]
NODES = (300, 200)  # per bulk; the difference is the error estimate


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Nodes x (N,) and what they weigh: eigenvalues (1/p), V V^T/d, and the traces of Ut and Ue over p."""

    x: Floats
    mass: Floats
    drive: Floats
    test: Floats
    empirical: Floats


def loss_curves(question: Descent, steps: npt.ArrayLike) -> LossCurves:
    """Losses after ``steps`` steps (any shape) with S = batch * d rows per step.

    With ``average`` the losses are those of the averaged weights; the noise is always that of the weights
    themselves.  ``error`` adds that of the quadrature over the spectrum.

    Raises what :func:`rfcore.theory.descent.loss_curves` raises, and ValueError where the noise grows without
    bound (batch <= critical_batch).
    Source: chapter 16 of the book.
    """
    k = whole_steps(steps)
    least = critical_batch(question)
    if question.batch <= least:
        raise refuse("batch", question.batch, f"above {least:.6g}, the critical batch at this step")
    mean = descent.loss_curves(dataclasses.replace(question, batch=math.inf), k)
    fine, coarse = (_noise(question, _spectrum(question.model, points), k) for points in NODES)
    train, test, empirical = (
        a + b for a, b in zip((mean.train, mean.test, mean.empirical), fine, strict=True)
    )
    error = mean.error + np.max(np.abs(fine - coarse), axis=0)
    score = (test - lowest_loss(question.model)) / question.model.delta
    return LossCurves(mean.tau, train, test, empirical, score, error)


def critical_batch(question: Descent) -> float:
    """The ratio S/d at which the train loss no longer settles, for this step and momentum.

        psi_p (h/(1 - beta)) int rho(dx) x^2/(x + mu) (1 + beta)/(2 (1 + beta) - h (x + mu))

    At a larger batch the train loss ends at L(without noise)/(1 - critical/batch).  For small steps it is
    psi_p h tr U/(2 p (1 - beta)).  Raises ValueError beyond the edge of stability.
    Source: chapter 16 of the book.

    question : its batch does not enter.  Returns one number.

    >>> question = rf.Descent(rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1, noise_draws=2), step=0.1)
    >>> print(f"{rf.theory.critical_batch(question):.4f}")
    0.0072
    """
    of_kind("question", question, Descent)
    if question.nesterov:
        raise refuse(
            "nesterov", True, "False: the noise of the extrapolated point is not that of the loss L_k"
        )
    descent.stable(question)
    at = _spectrum(question.model, NODES[0])
    h, beta, y = question.h, question.momentum, at.x + question.model.ridge
    safe = np.where(y > 0, y, 1.0)
    gain = at.x**2 / safe * (1 + beta) / (2 * (1 + beta) - h * y)
    return float(question.model.psi_p * h / (1 - beta) * (at.mass @ gain))


def _noise(question: Descent, at: Spectrum, steps: npt.NDArray[np.int64]) -> Floats:
    """What the noise adds to train, test and empirical loss at the steps asked for, (3, ...)."""
    h, beta, gamma, model = question.h, question.momentum, question.average, question.model
    y = at.x + model.ridge
    safe = np.where(y > 0, y, 1.0)
    scale = h**2 * model.psi_p / question.batch
    weights = scale * at.x * np.stack([at.mass * at.x, at.test, at.empirical])
    forward = 1 + beta - h * y
    # Covariances of noise now (0), one step before (1), and its average (2), in units of scale * x.
    c00, c01, c11, c02, c12, c22 = np.zeros((6, y.size))
    wanted = set(steps.ravel().tolist())
    answer, loss = {0: np.zeros(3)}, 1.0
    plain = dataclasses.replace(question, average=0.0, batch=math.inf)
    for k, r in enumerate(plain.residuals(y, int(steps.max(initial=0)))):
        if k:
            c02, c12 = forward * c02 - beta * c12, c02
            old = c00
            c00 = forward * (forward * c00 - 2 * beta * c01) + beta**2 * c11 + loss
            c01, c11 = forward * old - beta * c01, old
            c22 = gamma**2 * c22 + 2 * gamma * (1 - gamma) * c02 + (1 - gamma) ** 2 * c00
            c02, c12 = gamma * c02 + (1 - gamma) * c00, gamma * c12 + (1 - gamma) * c01
        g = (1 - r) / safe
        loss = 1 + float(at.drive @ (at.x * g**2 - 2 * g)) + float(weights[0] @ c00)
        if k in wanted:
            answer[k] = weights @ c22
    table = np.stack([answer[k] for k in steps.ravel().tolist()], axis=1)
    return table.reshape(3, *steps.shape)


def _spectrum(model: RandomFeatureModel, points: int) -> Spectrum:
    """Quadrature over all bulks, and the atom at s^2 (one at 0 has no noise)."""
    par = parameters(model)
    whole = support(model)
    parts = [_bulk(par, *bulk.nodes(points)) for bulk in whole.bulks]
    if whole.atom is not None and whole.atom.location > 0:
        row = (whole.atom.location, *(whole.atom.mass * f for f in (1.0, 0.0, par.v2 + par.s2, par.s2)))
        parts.append(tuple(np.array([f]) for f in row))
    return Spectrum(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _bulk(par: Parameters, x: Floats, dx: Floats) -> tuple[Floats, ...]:
    """Density times dx of each measure at nodes x of a bulk.

    (1/p) tr Ut R = (v^2 + s^2) q + b^2 s + alpha^2 r, and with t_C = (1/n) tr C_g R
    (1/p) tr Ue R = s^2 q + b^2 s + (n/p) t_C (1 - chi_1 t_C): a sample's overlap with itself is reduced.
    """
    at = solved(par, x.astype(np.complex128))
    r = at.u * (at.h @ par.powers[1])
    noise, sample = par.s2 * at.u + par.b2 * at.psi_s, par.v2 * at.u + par.alpha2 * r
    own = sample * (1 - at.chi_1 * sample / par.psi_n)
    traces = (at.u / par.psi_p, t_train(par, at), (noise + sample) / par.psi_p, (noise + own) / par.psi_p)
    return (x, *(np.asarray(f.imag * dx / math.pi) for f in traces))
