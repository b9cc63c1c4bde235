r"""Gradient flow of the random-feature score model at all times, from one eigendecomposition of U.

dA/dtau = -d^2 grad L_train with L_train(B) = c_0 + (Delta/d) Tr B U B^T + (2 sqrt(Delta)/d) Tr B V and
B = A/sqrt(p) has, from A = 0 and with ridge mu, the solution

    B_tau = -(1/sqrt(Delta)) V^T g_tau(U + mu),   g_tau(x) = (1 - exp(-c tau x))/x,   c = 2 Delta/psi_p

Any loss 1 + (Delta/d) Tr B K B^T + (2 sqrt(Delta)/d) Tr B K_V is then, in the eigenbasis U = Q Lambda Q^T,

    c_0 - (2/d) sum_k g_k (Q^T V K_V^T Q)_kk + (1/d) sum_kl g_k g_l (Q^T V V^T Q)_kl (Q^T K Q)_kl

Source: Bonnaire et al. (2025), sec. 3; chapter 3 of the book.

>>> drawn = rf.simulation.moments(rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1), d=8, seed=0)
>>> rf.simulation.dynamics.minimizer(drawn).train < 1
True
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from rfcore.answers import LossCurves, Minimizer
from rfcore.checks import Array, finite_array, nonnegative, refuse
from rfcore.simulation.features import Moments
from rfcore.simulation.setting import Tensor


@dataclass(frozen=True)
class Flow:
    """The moments in the eigenbasis of U: eigenvalues, basis, and the coefficients of each loss."""

    moments: Moments
    ridge: float
    eigenvalues: Tensor
    basis: Tensor
    projected: Tensor  # Q^T V
    linear: dict[str, Tensor]
    quadratic: dict[str, Tensor]

    @property
    def rate(self) -> float:
        """c = 2 Delta/psi_p."""
        return 2 * self.moments.delta / self.moments.psi_p

    @property
    def round_off(self) -> float:
        """Size of the round-off of eigenvalues."""
        return 2e-16 * math.sqrt(self.eigenvalues.numel()) * float(self.eigenvalues.abs().max())


def flow(moments: Moments, ridge: float = 0.0) -> Flow:
    """Diagonalise U once (O(p^3)); the losses at T times then cost O(T p^2)."""
    m, ridge = moments, nonnegative("ridge", ridge)
    eigenvalues, basis = torch.linalg.eigh(m.U)
    projected = basis.T @ m.V
    outer = projected @ projected.T
    parts = {"test": (m.Ut, m.Vt), "empirical": (m.Ue, m.Ve)}
    if m.Ue is m.U:
        del parts["empirical"]
    linear = {"train": torch.diagonal(outer)}
    quadratic = {}
    for name, (second, first) in parts.items():
        linear[name] = (projected * (basis.T @ first)).sum(dim=1)
        quadratic[name] = outer * (basis.T @ second @ basis)
    return Flow(m, ridge, torch.clamp(eigenvalues, min=0), basis, projected, linear, quadratic)


def filters(f: Flow, tau: Array) -> Tensor:
    """g_tau(lambda + mu) for each time and eigenvalue, (T, p); tau = inf is allowed.

    On the kernel of U + mu it is c tau, and 0 at tau = inf: there V has no component but round-off.
    """
    x = f.eigenvalues + f.ridge
    x = torch.where(x > max(f.round_off, 1e-300), x, 0)
    c_tau = f.rate * torch.as_tensor(tau, device=x.device)[:, None]
    at_kernel = torch.where(torch.isinf(c_tau), 0.0, c_tau)
    safe = torch.where(x > 0, x, 1)
    return torch.where(x > 0, -torch.expm1(-c_tau * safe) / safe, at_kernel)


def readout(moments: Moments, tau: float, ridge: float = 0.0) -> Tensor:
    """The trained weights A (d, p) at time tau >= 0 (math.inf for the minimiser)."""
    return weights(flow(moments, ridge), tau)


def weights(f: Flow, tau: float) -> Tensor:
    """The same from moments that are diagonalised already."""
    g = filters(f, np.atleast_1d(_times(tau, endless=True)))[0]
    scale = math.sqrt(g.numel() / f.moments.delta)
    return -scale * (f.projected * g[:, None]).T @ f.basis.T


def train_drops(moments: Moments) -> tuple[Array, Array]:
    """Eigenvalues of U (p,), ascending, and the drop |v_k|^2/(d lambda_k) of the train loss due to each.

    Without ridge L_train(tau) = L_train(0) - sum_k drop_k (1 - exp(-4 Delta lambda_k tau/psi_p)); an
    eigenvalue 0 removes nothing.
    """
    f = flow(moments)
    x = torch.where(f.eigenvalues > f.round_off, f.eigenvalues, math.inf)
    drops = f.linear["train"] / x / f.projected.shape[1]
    return f.eigenvalues.cpu().numpy(), drops.cpu().numpy()


def losses(moments: Moments, A: Tensor) -> tuple[float, float]:
    """Train and test loss of any weights A (d, p), from the quadratic forms."""
    d, p = A.shape
    B = A / math.sqrt(p)

    def quadratic(second: Tensor, first: Tensor, constant: float) -> float:
        square = moments.delta * float(((B @ second) * B).sum())
        return constant + (square + 2 * math.sqrt(moments.delta) * float((B * first.T).sum())) / d

    return quadratic(moments.U, moments.V, moments.noise_power), quadratic(moments.Ut, moments.Vt, 1.0)


def loss_curves(moments: Moments, tau: npt.ArrayLike, ridge: float = 0.0) -> LossCurves:
    """All losses at times tau (any shape, finite, >= 0)."""
    return curves(flow(moments, ridge), tau)


def curves(f: Flow, tau: npt.ArrayLike) -> LossCurves:
    """The same from moments that are diagonalised already."""
    times = _times(tau)
    train, test, empirical, score, error = (v.reshape(times.shape) for v in _losses(f, times.ravel()))
    return LossCurves(times, train, test, empirical, score, error)


def minimizer(moments: Moments, ridge: float = 0.0) -> Minimizer:
    """All losses at tau = infinity: ridge minimiser, or for ridge = 0 the minimum-norm one."""
    return end(flow(moments, ridge))


def end(f: Flow) -> Minimizer:
    """The same from moments that are diagonalised already."""
    train, test, empirical, score, error = (float(v[0]) for v in _losses(f, np.array([math.inf])))
    return Minimizer(train, test, empirical, score, error)


def _losses(f: Flow, tau: Array) -> tuple[Array, Array, Array, Array, Array]:
    return filtered(f, filters(f, tau), f.rate * tau)


def filtered(f: Flow, g: Tensor, reach: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Train, test, empirical loss, score error, error of B = -V^T g(U)/sqrt(Delta), for T filters g (T, p).

    reach : (T,), the slope of g at the kernel of U, c tau for gradient flow; it enters the error only
    """
    m, d = f.moments, f.projected.shape[1]

    def fresh(name: str) -> Tensor:
        return 1 + (((g @ f.quadratic[name]) * g).sum(dim=1) - 2 * g @ f.linear[name]) / d

    train = m.noise_power + ((f.eigenvalues * g**2 - 2 * g) @ f.linear["train"]) / d
    test = fresh("test")
    empirical = fresh("empirical") if "empirical" in f.quadratic else train
    error = _error(f, reach, g, test, torch.maximum(train, empirical))
    score = (test - m.best) / m.delta
    return tuple(v.cpu().numpy() for v in (train, test, empirical, score, error))  # type: ignore[return-value]


def _error(f: Flow, slopes: Array, g: Tensor, test: Tensor, train: Tensor) -> Tensor:
    """First-order estimate of the error of the losses.

    An error E of U moves B by about B E min(c tau, 1/(lambda_min + mu)), and a loss by at most
    2 sqrt(loss Delta ||Ut||/d) times that (Cauchy-Schwarz), besides (Delta/d) ||B||^2 ||E||.  ||E|| is
    the bound of the series plus round-off.
    """
    m, d = f.moments, f.projected.shape[1]
    size = m.error + f.round_off
    B2 = (g**2 @ f.linear["train"]) / m.delta
    x = f.eigenvalues + f.ridge
    lowest = float(x[x > f.round_off][0]) if bool((x > f.round_off).any()) else math.inf
    reach = torch.clamp(torch.as_tensor(slopes, device=g.device), max=1 / lowest)
    loss = torch.maximum(test, train).clamp(min=0)
    slope = 2 * torch.sqrt(loss * m.delta / d * float(torch.linalg.norm(m.Ut)))
    return 2e-16 * math.sqrt(g.shape[1]) + (m.delta / d * B2 + slope * torch.sqrt(B2) * reach) * size


def _times(tau: npt.ArrayLike, endless: bool = False) -> Array:
    if endless and tau == math.inf:
        return np.array(math.inf)
    times = finite_array("tau", tau)
    if times.size and times.min() < 0:
        raise refuse("tau", float(times.min()), "finite numbers >= 0")
    return times
