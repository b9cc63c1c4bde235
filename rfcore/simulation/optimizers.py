"""Descent in steps at finite d: exact filters of the whole loss, and runs with mini-batches."""

import math
from collections.abc import Callable
from typing import Unpack

import numpy as np
import numpy.typing as npt
import torch

from rfcore.answers import LossCurves
from rfcore.checks import refuse
from rfcore.descent import Descent, whole_steps
from rfcore.simulation.dynamics import Flow, filtered, flow
from rfcore.simulation.features import Moments, draws, moments, sample_parts
from rfcore.simulation.noise import pointwise
from rfcore.simulation.options import DrawOptions
from rfcore.simulation.setting import Setting, Tensor, setting, tensor

Array = npt.NDArray[np.float64]
Rows = Callable[[np.random.Generator, int], tuple[Tensor, Tensor]]


def loss_curves(
    question: Descent,
    steps: npt.ArrayLike,
    d: int,
    seed: int,
    features: str = "nonlinear",
    **how: Unpack[DrawOptions],
) -> LossCurves:
    """Losses after ``steps`` steps (any shape) of one draw at dimension d; arguments as in ``moments``.

    batch = math.inf: the filter g_k(lambda) = (1 - r_k(lambda + mu))/(lambda + mu) by its recursion at each
    eigenvalue of U.  A step beyond the edge of stability is answered as it is: the losses grow.
    Else one run with S = round(batch d) rows per step.  m = infinity: S indices of training points with
    replacement, each with fresh noise; finite m: S of the n m rows with replacement.

    Raises ValueError for steps that are no whole numbers >= 0, and for a batch below one row.
    """
    k = whole_steps(steps)
    s = setting(question.model, d, seed, features, **how)
    m = moments(question.model, d, seed, features, **how)
    if question.batch == math.inf:
        f = flow(m, question.model.ridge)
        g, reach = _filters(question, f, k.ravel())
        losses: tuple[Array, ...] = filtered(f, g, reach)
    else:
        losses = _run(question, s, m, k.ravel(), np.random.SeedSequence(seed).spawn(5)[4])
    train, test, empirical, score, error = (v.reshape(k.shape) for v in losses)
    return LossCurves(np.asarray(question.step * k, np.float64), train, test, empirical, score, error)


def batch_size(question: Descent, d: int) -> int:
    """S = round(batch d), at least 1."""
    size = round(question.batch * d)
    if size < 1:
        raise refuse(
            "batch", question.batch, f"at least {0.5 / d:.3g} at d = {d}, so that round(batch d) >= 1"
        )
    return size


def _run(
    question: Descent, s: Setting, m: Moments, steps: npt.NDArray[np.int64], source: np.random.SeedSequence
) -> tuple[Array, ...]:
    """One run: B <- B + beta (B - B_last) - h (u^T phi/S + mu B), u = B phi + xi/sqrt(Delta)."""
    size, rows, generator = batch_size(question, s.M.shape[1]), row_source(s), np.random.default_rng(source)
    now = last = mean = torch.zeros_like(s.M.T)
    wanted, seen = set(steps.tolist()), {}
    for k in range(int(steps.max(initial=0)) + 1):
        if k:
            phi, xi = rows(generator, size)
            slope = (now @ phi.T + xi.T / math.sqrt(m.delta)) @ phi / size + question.model.ridge * now
            now, last = now + question.momentum * (now - last) - question.h * slope, now
            mean = question.average * mean + (1 - question.average) * now
        if k in wanted:
            seen[k] = quadratic_losses(m, mean.T @ mean, mean)
    return tuple(np.array([seen[k] for k in steps.tolist()]).reshape(-1, 5).T)


def quadratic_losses(m: Moments, second: Tensor, first: Tensor) -> tuple[float, float, float, float, float]:
    """Train, test, empirical loss, score error, round-off of B (d, p) with E B^T B = second, E B = first."""
    d, delta = first.shape[0], m.delta

    def loss(constant: float, U: Tensor, V: Tensor) -> float:
        linear = 2 * math.sqrt(delta) * float((first * V.T).sum())
        return constant + (delta * float((second * U).sum()) + linear) / d

    train, test = loss(m.noise_power, m.U, m.V), loss(1.0, m.Ut, m.Vt)
    empirical = train if m.Ue is m.U else loss(1.0, m.Ue, m.Ve)
    error = float(second.trace()) * delta / d * (m.error + 1e-15 * float(torch.linalg.norm(m.Ut)))
    return train, test, empirical, (test - m.best) / delta, error


def row_source(s: Setting) -> Rows:
    """How to draw S rows (phi, xi) with replacement: of the n m there are, or fresh at m = infinity."""
    if s.model.noise_draws < math.inf:
        phi, xi = (torch.cat(part) for part in zip(*draws(s), strict=True))

        def stored(generator: np.random.Generator, size: int) -> tuple[Tensor, Tensor]:
            index = torch.as_tensor(generator.integers(len(phi), size=size))
            return phi[index], xi[index]

        return stored
    if s.model.scale is not None:
        raise refuse("scale", s.model.scale, "None here: fresh rows are drawn for Gaussian data only")
    n, d = s.x.shape
    c = s.model.constants
    activate = pointwise(s.model.activation, c.mean)
    shared = next(sample_parts(s, n)) if s.features == "gaussian" else None

    def fresh(generator: np.random.Generator, size: int) -> tuple[Tensor, Tensor]:
        index = torch.as_tensor(generator.integers(n, size=size))
        xi = tensor(generator.standard_normal((size, d)), s.M.device)
        if shared is None:
            return activate((s.signal * s.x[index] + s.width * xi) @ s.M.T), xi
        own = tensor(generator.standard_normal((size, len(s.M))), s.M.device)
        return shared[index] + c.b * xi @ s.M.T + math.sqrt(c.s2) * own, xi

    return fresh


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
