"""Linear denoisers: theory against drawn training sets, for `tools.validate`.

Two tables: losses, divergences and kappa; and the moments of denoiser and sampling map.  As for random
features the limit laws are such that diag(quantiles(d)) has exactly the limit law at every d in DRAWS.
Where the theory states the 1/d correction, the corrected value has a column of its own, marked "+1/d", in
which nothing is fitted.
"""

import dataclasses
import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

import rfcore as rf
from rfcore.simulation import linear_draws
from tools import validation_features
from tools.validation_store import Row

Array = npt.NDArray[np.float64]
Values = dict[str, tuple[float, float]]  # a number and its standard error (simulation), or 0 (theory)
GAMMAS = (0.1, 0.5, 1.0, 2.0, 8.0)
COVARIANCES = ("isotropic", "power-law", "patches")
DRAWS = {64: 320, 128: 160, 256: 80}
FIRST = 12  # draws that the tests repeat
CORRECTED = " +1/d"
LEVELS = ((0.1, 0.0), (1.0, 0.0), (0.1, 0.4))  # noise variance and ridge
TAU = np.array([0.1, 0.3, 1, 3, 10, 30, 100])
END = 1e9  # a training time at which everything has relaxed to round-off
INTERVALS = ((math.inf, 0.0), (5.0, 0.3))  # start and end variance of the sampling map
SEED_RULE = "1000 k for setting number k in the order of the table; draw i is child i of that seed"


@dataclasses.dataclass(frozen=True)
class Setting:
    """One question without its noise level, its number, and the d at which it is simulated."""

    number: int
    covariance: str
    gamma: float
    d: int

    @property
    def key(self) -> str:
        return f"{self.covariance} gamma={self.gamma:g} d={self.d}"

    @property
    def seed(self) -> int:
        return 1000 * self.number

    def model(self, noise: float, ridge: float = 0.0) -> rf.LinearModel:
        return rf.LinearModel(self.gamma, noise, covariance(self.covariance), ridge)


@functools.cache
def covariance(name: str) -> rf.Covariance:
    """The limit law; "power-law" is lambda_k ~ 1/k, 64 atoms of equal weight."""
    return rf.Covariance.power_law(1, 64) if name == "power-law" else validation_features.covariance(name)


def settings() -> Iterator[Setting]:
    """All settings, small dimensions first."""
    questions = [(law, gamma) for law in COVARIANCES for gamma in GAMMAS]
    for d in DRAWS:
        for number, (law, gamma) in enumerate(questions):
            yield Setting(number, law, gamma, d)


class Losses:
    """Train and test loss along gradient flow and at its end, score error, KL both ways, kappa."""

    NAME = "validation-linear-losses"
    ABOUT = (
        "Linear denoisers: loss curves, end of training, Kullback-Leibler divergences and renormalised noise "
        "over drawn training sets at d = 64, 128, 256, beside the theory."
    )
    SETTINGS = {
        "gammas": list(GAMMAS), "levels (noise variance, ridge)": [list(level) for level in LEVELS],
        "tau": TAU.tolist(), "draws": {str(d): count for d, count in DRAWS.items()}, "first": FIRST,
    }  # fmt: skip

    @staticmethod
    def simulated(s: Setting, draws: int) -> Values:
        found: Values = {}
        for z, ridge in LEVELS:
            model, label = s.model(z, ridge), f"z={z:g} ridge={ridge:g}"
            curves = rf.simulation.loss_curves(model, np.append(TAU, END), s.d, draws, s.seed)
            for loss in ("train", "test", "score_error"):
                values, errors = getattr(curves, loss), getattr(curves.standard_error, loss)
                for tau, value, error in zip([*TAU, math.inf], values, errors, strict=True):
                    found[f"{loss} {label} tau={tau:g}"] = value, error
                found[f"{loss} {label} tau=inf{CORRECTED}"] = values[-1], errors[-1]
            kl = rf.simulation.kl(model, s.d, draws, s.seed)
            for way in ("generated_to_data", "data_to_generated"):
                measured = getattr(kl, way), getattr(kl.standard_error, way)
                found[f"KL {way} {label}"] = found[f"KL {way} {label}{CORRECTED}"] = measured
        p = linear_draws.population(s.model(1.0), s.d)
        spectra = np.concatenate([b.values.numpy() for b in linear_draws.batches(p, draws, s.seed)])
        for z in sorted({z for z, _ in LEVELS}):
            # kappa (1 - gamma df1/d) = z with df1 = Tr S (S + z)^-1, which is measured.
            kappa = z / (1 - s.gamma * np.mean(spectra / (spectra + z), axis=1))
            found[f"kappa z={z:g}"] = kappa.mean(), kappa.std(ddof=1) / math.sqrt(draws)
        return found

    @staticmethod
    def theory(s: Setting) -> Values:
        found: Values = {}
        for z, ridge in LEVELS:
            model, label = s.model(z, ridge), f"z={z:g} ridge={ridge:g}"
            curves = rf.theory.loss_curves(model, TAU)
            end, near = rf.theory.minimizer(model), rf.theory.minimizer(model, s.d)
            for loss in ("train", "test", "score_error"):
                for tau, value, error in zip(TAU, getattr(curves, loss), curves.error, strict=True):
                    found[f"{loss} {label} tau={tau:g}"] = value, error
                found[f"{loss} {label} tau=inf"] = getattr(end, loss), end.error
                found[f"{loss} {label} tau=inf{CORRECTED}"] = getattr(near, loss), near.error
            plain, corrected = rf.theory.kl(model), rf.theory.kl(model, s.d)
            for way in ("generated_to_data", "data_to_generated"):
                found[f"KL {way} {label}"] = getattr(plain, way), 0.0
                found[f"KL {way} {label}{CORRECTED}"] = getattr(corrected, way), 0.0
        for z in sorted({z for z, _ in LEVELS}):
            kappa = rf.theory.renormalized_noise(covariance(s.covariance), s.gamma, np.array(z))
            found[f"kappa z={z:g}"] = float(kappa), 0.0
        return found


class Maps:
    """Mean and variance of denoiser and sampling map by mode, agreement of splits."""

    NAME = "validation-linear-maps"
    ABOUT = (
        "Linear denoisers: mean and variance of denoiser and sampling map by mode, and agreement of splits, "
        "over drawn training sets at d = 64, 128, 256, beside the theory."
    )
    SETTINGS = {
        "gammas": list(GAMMAS), "intervals (start, end)": [[str(x) for x in pair] for pair in INTERVALS],
        "draws": {str(d): count for d, count in DRAWS.items()}, "first": FIRST,
    }  # fmt: skip

    @staticmethod
    def simulated(s: Setting, draws: int) -> Values:
        found: Values = {}
        for z, ridge in LEVELS[:2]:
            moments = rf.simulation.denoiser_moments(s.model(z, ridge), s.d, draws, s.seed)
            found |= chosen(s, f"denoiser z={z:g}", moments, moments.standard_error)
        model = s.model(1.0)
        for start, end in INTERVALS:
            label = f"{start:g} to {end:g}"
            moments = rf.simulation.sampling_map_moments(model, start, end, d=s.d, draws=draws, seed=s.seed)
            found |= chosen(s, f"map {label}", moments, moments.standard_error)
            split = rf.simulation.split_agreement(model, start, end, d=s.d, draws=draws // 2, seed=s.seed)
            found[f"agreement {label}"] = float(split), split.standard_error
        return found

    @staticmethod
    def theory(s: Setting) -> Values:
        found: Values = {}
        for z, ridge in LEVELS[:2]:
            found |= chosen(s, f"denoiser z={z:g}", rf.theory.denoiser_moments(s.model(z, ridge)))
        model = s.model(1.0)
        for start, end in INTERVALS:
            label = f"{start:g} to {end:g}"
            found |= chosen(s, f"map {label}", rf.theory.sampling_map_moments(model, start, end))
            found[f"agreement {label}"] = rf.theory.split_agreement(model, start, end), 0.0
        return found


def modes(law: str) -> dict[str, int]:
    """The atoms that are looked at: lowest, middle and top eigenvalue."""
    order = np.argsort(covariance(law).eigenvalues)
    places = {"low": 0, "middle": order.size // 2, "top": order.size - 1} if order.size > 1 else {"top": 0}
    return {name: int(order[place]) for name, place in places.items()}


def chosen(
    s: Setting, label: str, moments: rf.theory.MapMoments, errors: rf.theory.MapMoments | None = None
) -> Values:
    """Mean of the modes that are looked at, and variances of some pairs of them."""
    at = modes(s.covariance)
    pairs = [(j, j) for j in at] + ([("low", "middle"), ("low", "top")] if "low" in at else [])
    found: Values = {}
    for name, k in at.items():
        found[f"{label} mean {name}"] = moments.mean[k], 0.0 if errors is None else errors.mean[k]
    for j, k in pairs:
        place = at[j], at[k]
        error = 0.0 if errors is None else errors.scaled_variance[place]
        found[f"{label} variance {j} {k}"] = moments.scaled_variance[place], error
    return found


class Part:
    """What `tools.validate` asks of a part, for one of the tables."""

    SEED_RULE = SEED_RULE
    settings = staticmethod(settings)

    def __init__(self, table: Any) -> None:
        self.table, self.NAME, self.SETTINGS, self.ABOUT = table, table.NAME, table.SETTINGS, table.ABOUT

    def columns(self) -> list[str]:
        """Names of the quantities: those of a law with several atoms; an isotropic law has fewer."""
        return list(self.table.theory(Setting(0, "patches", 0.5, 64)))

    def row(self, s: Setting) -> Row:
        columns = self.columns()
        full, first = (self.table.simulated(s, draws) for draws in (DRAWS[s.d], FIRST))
        want = self.table.theory(s)
        if set(full) != set(want) or not set(want) <= set(columns):
            raise RuntimeError(f"simulation and theory of {s.key} answer different questions")
        mean, error, check, theory, numerical = (
            np.array([values.get(name, (math.nan, math.nan))[part] for name in columns])
            for values, part in ((full, 0), (full, 1), (first, 0), (want, 0), (want, 1))
        )
        floor = 1e-11 * np.maximum(1, np.abs(theory))
        return Row(s.key, DRAWS[s.d], mean, error, check, theory, numerical + floor)
