"""400 points of the density: ours against iteration of the equations and against plain continuation.

Both rivals are vectorised over the points and written from the equations of chapter 4 as one would
write them down; neither uses rfcore's solver.  Iteration never reaches the axis: it is compared at
Im z = 1e-3 x with ours at the same z, and the note says how much that height smooths the density.
"""

import math
import time

import numpy as np
import numpy.typing as npt

import rfcore as rf
from benchmarks import best_of

Array = npt.NDArray[np.complex128]
Floats = npt.NDArray[np.float64]
HEIGHT = 1e-3  # Im z/x for the iteration
TOLERANCE = 1e-9  # relative update at which it stops; its error is some hundred times that
LAWS = {"2 atoms": rf.Covariance([0.5, 1.5]), "200 atoms": rf.Covariance.power_law(1.0, 200)}


class Equations:
    """The closed equations of one question, as functions of (u, chi_1, chi_2) at z."""

    def __init__(self, model: rf.RandomFeatureModel) -> None:
        c, law = model.constants, model.covariance
        self.psi_p, self.psi_n, self.eps = model.psi_p, model.psi_n, 1 / model.noise_draws
        self.v2, self.s2, self.b2 = c.v2, c.s2, c.b**2
        self.alpha2 = math.exp(-2 * model.t) * c.a**2
        self.lam, self.w = law.eigenvalues[:, None], law.weights

    def averages(self, u: Array, x1: Array, x2: Array) -> tuple[Array, Array, Array, Array]:
        """zeta, t_C, t_D/m and <kappa h>."""
        zeta = self.eps * x1 + (1 - self.eps) * x2
        kappa = zeta * self.b2 + x1 * self.alpha2 * self.lam
        h = 1 / (1 + kappa * u)
        t_c = u * (self.v2 + self.alpha2 * (self.w @ (self.lam * h))) / self.psi_n
        t_d = self.eps * u * (self.s2 + self.b2 * (self.w @ h)) / self.psi_n
        return zeta, t_c, t_d, self.w @ (kappa * h)

    def iterate(self, z: Array, tolerance: float, most: int = 200_000) -> tuple[Array, int]:
        """Damped fixed-point iteration of q from -1/z; a point leaves when its update is small."""
        q, x1, x2 = -1 / z, np.ones_like(z), np.ones_like(z)
        active = np.arange(z.size)
        for step in range(1, most + 1):
            at, u = z[active], self.psi_p * q[active]
            zeta, t_c, t_d, sources = self.averages(u, x1[active], x2[active])
            new = 1 / (x1[active] * self.v2 + zeta * self.s2 - at + sources)
            change = 0.5 * (new - q[active])
            q[active] += change
            x1[active] = 0.5 * (x1[active] + 1 / (1 + t_c + t_d))
            x2[active] = 0.5 * (x2[active] + 1 / (1 + t_d))
            active = active[np.abs(change) > tolerance * np.abs(q[active])]
            if not active.size:
                return q, step
        return q, most

    def newton(self, x: Array, z: Array) -> Array:
        """One Newton step for x = (u, chi_1, chi_2), (3, N)."""
        u, x1, x2 = x
        e, e1, b2, alpha2 = self.eps, 1 - self.eps, self.b2, self.alpha2
        zeta, t_c, t_d, _ = self.averages(u, x1, x2)
        h = 1 / (1 + (zeta * b2 + x1 * alpha2 * self.lam) * u)
        h1, h2 = self.w @ h, h * h
        s0, s1, s2 = self.w @ h2, self.w @ (self.lam * h2), self.w @ (self.lam**2 * h2)
        f = np.stack(
            [
                (u * (x1 * self.v2 + zeta * self.s2 - z) + 1 - h1) / self.psi_p - 1,
                x1 * (1 + t_c + t_d) - 1,
                x2 * (1 + t_d) - 1,
            ]
        )
        # d<f h>/d chi_a = -u <f h^2 d kappa/d chi_a> with d kappa = e b2 + alpha2 lambda, and e1 b2.
        k1, k2 = e * b2 * s0 + alpha2 * s1, e1 * b2 * s0
        kappa_h2 = zeta * b2 * s0 + x1 * alpha2 * s1
        du_c, du_d = (self.v2 + alpha2 * s1) / self.psi_n, e * (self.s2 + b2 * s0) / self.psi_n
        d1 = -u * u * (alpha2 * (e * b2 * s1 + alpha2 * s2) + e * b2 * k1) / self.psi_n
        d2 = -u * u * (alpha2 * e1 * b2 * s1 + e * b2 * k2) / self.psi_n
        dd1, dd2 = -u * u * e * b2 * k1 / self.psi_n, -u * u * e * b2 * k2 / self.psi_n
        jacobian = np.array(
            [
                [
                    (x1 * self.v2 + zeta * self.s2 - z + kappa_h2) / self.psi_p,
                    u * (self.v2 + e * self.s2 + k1) / self.psi_p,
                    u * (e1 * self.s2 + k2) / self.psi_p,
                ],
                [x1 * (du_c + du_d), 1 + t_c + t_d + x1 * d1, x1 * d2],
                [x2 * du_d, x2 * dd1, 1 + t_d + x2 * dd2],
            ]
        )
        step = np.linalg.solve(jacobian.transpose(2, 0, 1), f.T[:, :, None])[:, :, 0].T
        return np.asarray(x - step)

    def descend(self, x: Floats, top: float, ratio: float = 0.7, steps: int = 4) -> Array:
        """Newton at Im z = top, top ratio, ... down to 1e-9 x, then on the axis; q at x + i0."""
        z = x + 1j * top
        state = np.stack([-self.psi_p / z, np.ones_like(z), np.ones_like(z)])
        height = top
        while height > 1e-9 * x[0]:
            at = x + 1j * np.maximum(height, 1e-9 * x)
            for _ in range(steps):
                state = self.newton(state, at)
            height *= ratio
        for _ in range(30):
            state = self.newton(state, x + 0j)
        return np.asarray(state[0] / self.psi_p)


def compare(name: str, model: rf.RandomFeatureModel) -> list[dict[str, object]]:
    """The two rows of one question."""
    x = np.geomspace(3e-3, 60, 400)
    equations = Equations(model)
    exact = rf.theory.resolvent(model, x)
    if not exact.converged.all():
        raise RuntimeError(f"no answer at some point of {model!r}")
    ours = best_of(lambda: rf.theory.density(model, x))

    z = x * (1 + 1j * HEIGHT)
    slow, count = equations.iterate(z, TOLERANCE)
    there = best_of(lambda: rf.theory.resolvent(model, z))
    error = np.max(np.abs(slow / rf.theory.resolvent(model, z).q - 1))
    other = best_of(lambda: equations.iterate(z, TOLERANCE), repeat=5 if count < 2000 else 1)
    bulk = exact.q.imag > 1e-3 * np.abs(exact.q)
    smoothed = np.median(np.abs(slow.imag / exact.q.imag - 1)[bulk])
    iteration = (
        f"damped iteration, {count} steps, error {error:.0e}; as a density off by {smoothed:.0%} (smoothing)"
    )

    top = 300 * float(x[-1])
    down = equations.descend(x, top)
    lost = int(np.sum(np.abs(down / exact.q - 1) > 1e-8))
    start = time.perf_counter()
    equations.descend(x, top)
    descent = best_of(lambda: equations.descend(x, top), repeat=5 if time.perf_counter() - start < 1 else 1)
    plain = (
        f"plain Newton continuation, ratio .7, to the axis; {lost} of 400 points lost, the rest within 1e-8"
    )
    plain = f"Newton down from large Im z, ratio .7; {lost} of 400 points lost, the rest within 1e-8"
    height = f"q at x(1 + {HEIGHT:g}i), {name}"
    title = f"density on the axis, {name}"
    return [
        {"name": height, "ours_ms": there, "other_ms": other, "ratio": other / there, "note": iteration},
        {"name": title, "ours_ms": ours, "other_ms": descent, "ratio": descent / ours, "note": plain},
    ]


def run() -> list[dict[str, object]]:
    """Two atoms and two hundred, m = infinity and m = 5."""
    rows = []
    for draws in (math.inf, 5):
        for atoms, law in LAWS.items():
            model = rf.RandomFeatureModel(64, 8, 0.01, law, noise_draws=draws)
            rows += compare(f"{atoms}, m = {draws:g}", model)
    return rows
