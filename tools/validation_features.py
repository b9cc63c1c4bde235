"""Random features: theory against the true network and its Gaussian twin, for `tools.validate`.

The limit laws are chosen so that diag(quantiles(d)) has *exactly* the limit law at every d in
DIMENSIONS: one atom, two atoms, or 64 atoms of equal weight (each then stands d/64 times).  What is left
between simulation and theory is the randomness of one draw and the finite-size correction, nothing else.

psi_p = 4, psi_n = 3/2 keep away from the peaks p = n m (n m/p = 3/8, 3/4, 15/8 for m = 1, 2, 5) and from the
hard edge p = n + d, where the corrections are not of order 1/d.
"""

import dataclasses
import functools
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

import rfcore as rf
from rfcore.simulation import dynamics
from tools.validation_store import Row, summary

Array = npt.NDArray[np.float64]
NAME = "validation-features"
PSI_P, PSI_N, T = 4.0, 1.5, 0.1
RIDGES = (0.0, 0.01)
SEEDS = {64: 40, 128: 20, 256: 10}
LARGE = {512: 6}  # for two settings that converge slowly
DRAWS = (1, 2, 5, math.inf)
ACTIVATIONS = ("tanh", "relu", "erf")
COVARIANCES = ("isotropic", "two-level", "patches")
TWIN = ("tanh",)  # activations for which the Gaussian twin is simulated too
TAU = np.array([0.1, 1, 3, 10, 30, 1e2, 3e2, 1e3, 3e3, 1e4, 1e5, 1e6])
Z = np.array([-0.01, -0.1, -1, 0.1 + 0.1j, 1 + 0.5j, 5 + 2j])
LOSSES = ("train", "test", "empirical", "score_error")
SETTINGS = {
    "psi_p": PSI_P, "psi_n": PSI_N, "t": T, "ridges": list(RIDGES), "tau": TAU.tolist(),
    "z": [str(z) for z in Z], "seeds": {str(d): count for d, count in SEEDS.items()},
}  # fmt: skip
ABOUT = (
    "Random features: losses at 13 training times with and without ridge, resolvent and Kolmogorov distance "
    "of the spectrum, of true networks and their Gaussian twins at d = 64 to 512, beside the theory."
)
SEED_RULE = "1000 k + 0, 1, ... for setting number k in the order of the table, the same for network and twin"


@dataclasses.dataclass(frozen=True)
class Setting:
    """One question without its ridge, its number, and how and at which d it is simulated."""

    number: int
    covariance: str
    activation: str
    draws: float
    features: str
    d: int

    @property
    def key(self) -> str:
        who = "network" if self.features == "nonlinear" else "twin"
        return f"{who} {self.covariance} {self.activation} m={self.draws:g} d={self.d}"

    def model(self, ridge: float = 0.0) -> rf.RandomFeatureModel:
        law = covariance(self.covariance)
        return rf.RandomFeatureModel(PSI_P, PSI_N, T, law, self.activation, self.draws, ridge)

    def seeds(self) -> range:
        return range(1000 * self.number, 1000 * self.number + (SEEDS | LARGE)[self.d])


@functools.cache
def covariance(name: str) -> rf.Covariance:
    """The limit law: sigma_x^2 = 1, and quantiles(64 k) has exactly this law."""
    if name == "isotropic":
        return rf.Covariance.isotropic()
    if name == "two-level":
        return rf.Covariance([0.5, 1.5])
    # 256 eigenvalues of 16 x 16 patches of photographs, averaged four by four.
    values = np.sort(rf.datasets.patches().covariance.eigenvalues).reshape(64, 4).mean(axis=1)
    return rf.Covariance(values / values.mean())


def settings() -> Iterator[Setting]:
    """All settings, small dimensions first."""
    questions = [(c, a, m) for c in COVARIANCES for a in ACTIVATIONS for m in DRAWS]
    for d in SEEDS:
        for number, (law, activation, draws) in enumerate(questions):
            yield Setting(number, law, activation, draws, "nonlinear", d)
            if activation in TWIN:
                yield Setting(number, law, activation, draws, "gaussian", d)
    for d in LARGE:
        for number, (law, activation, draws) in enumerate(questions):
            if law == "patches" and activation in ("tanh", "relu") and draws == math.inf:
                yield Setting(number, law, activation, draws, "nonlinear", d)


def columns() -> list[str]:
    """Names of the quantities: losses at each ridge and time, the resolvent, the Kolmogorov distance."""
    times = [f"{tau:g}" for tau in TAU] + ["inf"]
    losses = [f"{loss} mu={ridge:g} tau={tau}" for ridge in RIDGES for loss in LOSSES for tau in times]
    points = [
        f"{part} q({z.real:g}{z.imag:+g}i)" for z in Z for part in ("Re", "Im") if z.imag or part == "Re"
    ]
    return [*losses, *points, "Kolmogorov distance"]


def measure(s: Setting, seed: int) -> tuple[Array, Array]:
    """All quantities of one draw, and their numerical errors."""
    moments = rf.simulation.moments(s.model(), s.d, seed, s.features)
    flow = dynamics.flow(moments)
    values, errors = [], []
    for ridge in RIDGES:  # one eigendecomposition for both
        ridged = dataclasses.replace(flow, ridge=ridge)
        curves, end = dynamics.curves(ridged, TAU), dynamics.end(ridged)
        values += [np.append(getattr(curves, loss), getattr(end, loss)) for loss in LOSSES]
        error = np.append(curves.error, end.error)
        errors += [error, error, error, error / moments.delta]
    eigenvalues = flow.eigenvalues.numpy()
    spectrum = [
        *_parts(np.mean(1 / (eigenvalues[:, None] - Z), axis=0)),
        kolmogorov(_quantiles(s.model()), eigenvalues),
    ]
    return np.concatenate([*values, spectrum]), np.concatenate([*errors, np.full(len(spectrum), 1e-12)])


@functools.lru_cache(maxsize=2)
def theory(model: rf.RandomFeatureModel) -> tuple[Array, Array]:
    """All quantities at d = infinity, and their numerical errors."""
    values: list[Array] = []
    errors: list[Array] = []
    for ridge in RIDGES:
        question = dataclasses.replace(model, ridge=ridge)
        curves, end = rf.theory.loss_curves(question, TAU), rf.theory.minimizer(question)
        for loss in LOSSES:
            values.append(np.append(getattr(curves, loss), getattr(end, loss)))
            scale = model.delta if loss == "score_error" else 1.0
            errors.append(np.append(curves.error, max(end.error, 1e-12)) / scale)
    answer = rf.theory.resolvent(model, Z)
    if not answer.converged.all():
        raise RuntimeError(f"the resolvent has not converged for {model!r}")
    spectrum = np.append(_parts(answer.q), 0.0)
    return np.concatenate([*values, spectrum]), np.concatenate([*errors, np.full(spectrum.size, 1e-12)])


@functools.lru_cache(maxsize=2)
def _quantiles(model: rf.RandomFeatureModel) -> Array:
    return rf.theory.quantiles(model, 20_000)


def kolmogorov(limit: Array, eigenvalues: Array) -> float:
    """Largest difference between the fractions below x of eigenvalues, measured, and of many quantiles.

    Round-off at the lowest quantile, where the atom is if there is one, is no difference: what is within
    1e-9 of it is moved onto it.  Both arguments ascend.
    """
    near = np.abs(eigenvalues - limit[0]) <= 1e-9 * max(eigenvalues[-1], 1e-300)
    x = np.sort(np.where(near, limit[0], eigenvalues))
    at, below = (np.searchsorted(limit, x, side=side) / limit.size for side in ("right", "left"))
    up, down = (np.searchsorted(x, x, side=side) / x.size for side in ("right", "left"))
    return float(max(np.max(np.abs(up - at)), np.max(np.abs(down - below))))


def row(s: Setting) -> Row:
    """All seeds of one setting."""
    model = s.model()
    values, errors = zip(*(measure(s, seed) for seed in s.seeds()), strict=True)
    want, error = theory(model)
    return summary(s.key, values, want, error + np.max(errors, axis=0))


def _parts(q: npt.NDArray[np.complex128]) -> list[float]:
    return [
        float(x) for z, value in zip(Z, q, strict=True) for x in (value.real, value.imag)[: 1 + bool(z.imag)]
    ]
