r"""One readout for K classes with the label as an input, at the end of training, m = infinity.

Feature i of a point of class k is sigma(W_i x/sqrt d + w h_ik) with h_ik ~ N(0, 1): its slope a_k(h), and the
variances v_k^2(h), s_k^2(h) of what is not linear, depend on the feature.  With D_k = diag_i a_k(h_i) and
V = sqrt(Delta) sum_k pi_k D_k M the second moment is U = sum_k pi_k U_k with the covariances

    C_g,k = e^-2t D_k M Sigma_k M^T D_k + v_k^2 (of a sample)
    C_h,k = Delta D_k M M^T D_k + s_k^2 (of the noise)

Leaving out a column of M couples the classes by the K x K matrix Q_kl = (1/d) sum_i a_ik a_il R_ii:

    kappa = diag_k pi_k (Delta + chi_k e^-2t lambda_k)
    G = Q (1 + kappa Q)^-1 ,   H = <kappa (1 + Q kappa)^-1>
    R_ii = 1/(rho_i + a_i^T H a_i) ,   rho_i = -z + sum_k pi_k (s_ik^2 + chi_k v_ik^2)
    1/chi_k = 1 + (psi_p E v_k^2 R_ii + e^-2t <lambda_k G_kk>)/psi_n

with E over features, < > over directions.  Then (1/d) tr V_k^T R V = Delta sum_l pi_l <G_kl>, and
T[B] = (1/d) tr V^T R B R V is minus the derivative of (1/d) tr V^T R V with respect to a source eps B of U.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rfcore._activations import FUNCTIONS, Function
from rfcore.checks import refuse
from rfcore.conditional import ConditionalModel
from rfcore.model import RandomFeatureModel

Floats = npt.NDArray[np.float64]
SMOOTH = ("tanh", "erf", "sin", "identity")
REACH, NODES, MOST = 6.0, 49, 3  # the grid of h of each class, and the number of classes
STEP, TOLERANCE, SWEEPS = 1e-3, 1e-14, 20_000


@dataclass(frozen=True, eq=False)
class Labelled:
    """Numbers of a question: types of features (F,) with weights, and per type the constants (F, K)."""

    psi_p: float
    psi_n: float
    delta: float
    signal: float
    pi: Floats
    lam: Floats
    w: Floats
    share: Floats
    a: Floats
    v2: Floats
    s2: Floats


def labelled(model: ConditionalModel) -> Labelled:
    """Collect the numbers; the law of h is a trapezoidal grid, spectrally accurate for smooth a(h)."""
    base = model.base
    assert isinstance(base, RandomFeatureModel)
    classes = len(model.weights)
    if classes > MOST:
        raise refuse("number of classes", classes, f"at most {MOST} with a label input")
    h = np.linspace(-REACH, REACH, NODES)
    bell = np.exp(-(h**2) / 2)
    bell /= bell.sum()
    if base.activation not in SMOOTH:
        raise refuse("activation", base.activation, f"one of {', '.join(SMOOTH)} with a label input")
    plain = FUNCTIONS[str(base.activation)]
    tables = [_constants(plain, law.variance, base.t, model.label * h) for law in model.covariances]
    index = np.array(list(itertools.product(range(NODES), repeat=classes)))
    share = np.prod(bell[index], axis=1)
    a, v2, s2 = (np.stack([tables[k][j][index[:, k]] for k in range(classes)], axis=1) for j in range(3))
    keep = share > 1e-14
    lam, w = model.eigenvalues, model.covariances[0].weights
    rest = (share[keep] / share[keep].sum(), a[keep], v2[keep], s2[keep])
    signal = float(np.exp(-2 * base.t))
    return Labelled(base.psi_p, base.psi_n, base.delta, signal, model.pi, lam, w, *rest)


def losses(model: ConditionalModel) -> tuple[Floats, Floats, float]:
    """Train and test loss of each class (K,) of the ridge minimiser, and an estimate of their error."""
    m, ridge = labelled(model), model.base.ridge
    classes = m.pi.size
    chi, g, residual = _solved(m, -ridge, np.zeros(classes), np.zeros(classes))
    cross = m.delta * g @ m.pi
    rows, error = np.empty((2, classes)), 0.0
    for k, part in itertools.product(range(classes), range(2)):
        slopes = [_slope(m, -ridge, k, part, step) for step in (STEP, STEP / 2)]
        rows[part, k] = (4 * slopes[1] - slopes[0]) / 3  # Richardson: the error is of fourth order
        error = max(error, abs(slopes[1] - slopes[0]) * STEP)
    first = 1 - 2 * cross
    return first + chi**2 * rows[0] + rows[1], first + rows[0] + rows[1], max(error, residual)


def _slope(m: Labelled, z: float, k: int, part: int, step: float) -> float:
    """T[C_g,k] (part 0) or T[C_h,k] (part 1) by a central difference in the source."""
    values = []
    for sign in (1, -1):
        source = np.zeros((2, m.pi.size))
        source[part, k] = sign * step * float(m.pi.min())
        _, g, _ = _solved(m, z, source[0], source[1])
        values.append(m.delta * float(m.pi @ g @ m.pi))
    return -(values[0] - values[1]) / (2 * step * float(m.pi.min()))


def _solved(m: Labelled, z: float, sample: Floats, noise: Floats) -> tuple[Floats, Floats, float]:
    """chi (K,), <G> (K, K) and the residual at z <= 0, with sources sum_k sample_k C_g,k + noise_k C_h,k."""
    one = np.eye(m.pi.size)
    chi, q = np.ones(m.pi.size), one * 1e-3
    change = np.inf
    for _ in range(SWEEPS):
        kappa = (m.pi * m.delta + noise * m.delta)[:, None] + ((m.pi * chi + sample) * m.signal)[
            :, None
        ] * m.lam
        inner = one + np.einsum("kl,la->akl", q, kappa)  # 1 + Q kappa
        g = np.linalg.solve(inner, np.broadcast_to(q, inner.shape))
        h = np.einsum("a,ka,akl->kl", m.w, kappa, np.linalg.inv(inner))
        rho = -z + m.s2 @ (m.pi + noise) + m.v2 @ (m.pi * chi + sample)
        r = m.share / (rho + np.einsum("fk,kl,fl->f", m.a, h, m.a))
        new_q = m.psi_p * (m.a * r[:, None]).T @ m.a
        own = m.signal * np.einsum("a,ka,akk->k", m.w, m.lam, g)
        new_chi = 1 / (1 + (m.psi_p * (m.v2.T @ r) + own) / m.psi_n)
        change = max(
            float(np.max(abs(new_q - q)) / np.max(abs(new_q))), float(np.max(abs(new_chi / chi - 1)))
        )
        q, chi = new_q, new_chi
        if change < TOLERANCE:
            break
    else:
        if change > 1e-9:
            raise RuntimeError(f"the equations with a label input have not converged (change {change:.1e})")
    return chi, np.einsum("a,akl->kl", m.w, g), change


def _constants(plain: Function, variance: float, t: float, shift: Floats) -> Floats:
    """a, v^2, s^2 of x -> sigma(x + shift) for each shift, (3, N): trapezoidal rule in eta and xi.

    Spectrally accurate for smooth sigma.  Absolute errors are of the size of round-off, which is what counts:
    a saturated feature has constants near 0.
    """
    grid = np.linspace(-9.0, 9.0, 145)
    bell = np.exp(-(grid**2) / 2)
    bell /= bell.sum()
    signal, delta = np.exp(-2 * t) * variance, -np.expm1(-2 * t)
    argument = np.sqrt(signal) * grid[:, None] + np.sqrt(delta) * grid
    rows = []
    for each in shift:
        f = plain(argument + each)
        f = f - bell @ f @ bell
        given = f @ bell
        a = float(bell @ (given * grid)) / np.sqrt(signal)
        v2 = float(bell @ given**2) - a**2 * signal
        s2 = float(bell @ (f - given[:, None]) ** 2 @ bell) - a**2 * delta
        rows.append((a, max(v2, 0.0), max(s2, 0.0)))
    return np.array(rows).T
