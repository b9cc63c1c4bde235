"""Losses after any number of steps of descent, exactly, at d = infinity."""

from dataclasses import fields, replace

import numpy as np
import numpy.typing as npt

from rfcore.answers import LossCurves
from rfcore.checks import refuse
from rfcore.descent import Descent, whole_steps
from rfcore.theory._continuation import TOLERANCE
from rfcore.theory._equations import parameters
from rfcore.theory._steps import Complex, Contour, circle, early, talbot_steps
from rfcore.theory._traces import Pair, Solved, all_pairs, solved, t_cross, t_empirical, t_test, t_train
from rfcore.theory.dynamics import IDENTITY, lowest_loss
from rfcore.theory.support import support

Floats = npt.NDArray[np.float64]
FINE, COARSE = 24, 20
EARLY_FINE, EARLY_COARSE = (3, 11), (2, 8)  # points per step, and digits given to the radius
CHUNK = 120_000  # pairs of points in memory at once
ROUND_OFF = 1e-14


def loss_curves(question: Descent, steps: npt.ArrayLike) -> LossCurves:
    """Train, test and empirical loss and score error after ``steps`` steps (any shape), whole loss per step.

    L_train = 1 - (1/d) tr V^T ((1 - r_k^2)/U) V and L_test as for gradient flow with r_k(U) in place of
    exp(-c tau U): polynomials of U, summed over a contour; with a ridge in z = x - mu and a penalty term.

    Returns LossCurves with ``tau`` = eta steps; ``error`` is the largest change between two contours plus
    round-off and the solver's.  Raises ValueError for steps that are no whole numbers >= 0, and for a step
    size beyond the edge of stability.
    Source: chapter 16 of the book.
    """
    k = whole_steps(steps)
    stable(question)
    flat = k.ravel()
    distinct = np.unique(flat[flat > 0])
    values = np.ones((4, distinct.size))
    done = early(question)
    last = done
    while last > 0:  # circles for (last/2, last], so that none has far more points than its steps need
        here = (distinct <= last) & (distinct > last // 2)
        if here.any():
            rules = [circle(question, distinct[here], *rule) for rule in (EARLY_FINE, EARLY_COARSE)]
            values[:, here] = _compared(question, rules)
        last //= 2
    fast = question.h * (_top(question) + question.model.ridge) > 1
    for j in np.flatnonzero(distinct > done):
        rules = [talbot_steps(question, int(distinct[j]), points, fast) for points in (FINE, COARSE)]
        values[:, j] = _compared(question, rules)[:, 0]
    table = np.concatenate([np.array([[1.0], [1.0], [1.0], [0.0]]), values], axis=1)
    train, test, empirical, error = table[:, np.searchsorted(distinct, flat) + (flat > 0)].reshape(
        4, *k.shape
    )
    score = (test - lowest_loss(question.model)) / question.model.delta
    return LossCurves(np.asarray(question.step * k, np.float64), train, test, empirical, score, error)


def stable(question: Descent) -> None:
    """Refuse a step size at which the largest eigenvalue diverges."""
    top = _top(question) + question.model.ridge
    if question.h * top >= question.edge:
        most = question.edge / top * question.step / question.h
        raise refuse("step", question.step, f"below {most:.6g}, the edge of stability")


def _top(question: Descent) -> float:
    """The largest eigenvalue of U."""
    return support(question.model).bulks[-1].right


def _compared(question: Descent, rules: list[Contour]) -> Floats:
    """Train, test, empirical by the first contour, and the error estimate: (4, K)."""
    (fine, residual), (coarse, _) = (_losses(question, rule) for rule in rules)
    if residual > TOLERANCE:
        raise RuntimeError(f"the resolvent has not converged on the contour (residual {residual:.1e})")
    size = np.sum(np.abs(rules[0].weights), axis=1)
    error = np.max(np.abs(fine - coarse), axis=0) + (residual + ROUND_OFF) * size
    return np.concatenate([fine, error[None]])


def _losses(question: Descent, rule: Contour) -> tuple[Floats, float]:
    """Train, test, empirical loss (3, K) and the solver's residual."""
    model, o = question.model, rule.weights
    par = parameters(model)
    z = rule.z - model.ridge
    at = solved(par, z)
    squares = np.zeros((3, len(o)))
    rows = max(1, CHUNK // (z.size * par.lam.size))
    for i in range(0, z.size, rows):
        # Kernels are symmetric: pairs beyond the diagonal blocks count twice.
        part, rest = slice(i, i + rows), slice(i, None)
        beyond = _rows(at, rest)
        upper, mixed = (all_pairs(par, _rows(at, part), other) for other in (beyond, beyond.conj()))
        kernels = [
            (_t_own(upper, z[rest]), _t_own(mixed, z[rest].conj())),
            (t_test(upper), t_test(mixed)),
        ]
        twice = np.where(np.arange(z.size - i) < rows, 1.0, 2.0)
        if par.eps:
            kernels.append((t_empirical(upper), t_empirical(mixed)))
        for k, (a, b) in enumerate(kernels):
            squares[k] += _double(o[:, part], o[:, rest] * twice, a, b)
    own, cross = (2 * np.real(o @ trace(par, at)) for trace in (t_train, t_cross))
    train, test = 1 - 2 * own + squares[0], 1 - 2 * cross + squares[1]
    empirical = 1 - 2 * cross + squares[2] if par.eps else train
    return np.stack([train, test, empirical]), float(at.residual.max())


def _t_own(two: Pair, z: Complex) -> Complex:
    """(1/d) tr V^T R_1 U R_2 V = T_1(z_1) + z_2 (1/d) tr V^T R_1 R_2 V."""
    return np.asarray(t_train(two.par, two.first) + z * two.t2(IDENTITY))


def _double(left: Complex, right: Complex, upper: Complex, mixed: Complex) -> Floats:
    """Double sum over part of the first contour and all of the second, for each row of weights."""
    both = (left @ upper) * right + (left @ mixed) * np.conj(right)
    return np.asarray(2 * np.real(both.sum(axis=1)))


def _rows(at: Solved, part: slice) -> Solved:
    return replace(at, **{f.name: getattr(at, f.name)[part] for f in fields(at)})
