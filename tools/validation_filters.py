"""Filters, best choices and generated laws of linear denoisers, for `tools.validate`: the third table."""

import math

import numpy as np

import rfcore as rf
from tools.validation_linear import DRAWS, FIRST, GAMMAS, INTERVALS, Setting, Values, chosen, modes

NOISE = (0.1, 1.0)
TAU = np.array([3.0, 30.0])
POWER = 0.25


class Filters:
    """Oracle filter, best stopping time and best c, flow by mode, generated covariance, stopped sampler."""

    NAME = "validation-linear-filters"
    ABOUT = (
        "Linear denoisers: loss of the oracle filter, at the best stopping time and at the best ridge, "
        "gradient flow by mode, generated covariance, stopped samplers and a power of the covariance, over "
        "drawn training sets at d = 64, 128, 256, beside the theory."
    )
    SETTINGS = {
        "gammas": list(GAMMAS), "noise variances": list(NOISE), "tau": TAU.tolist(), "power": POWER,
        "intervals (start, end)": [[str(x) for x in pair] for pair in INTERVALS],
        "draws": {str(d): count for d, count in DRAWS.items()}, "first": FIRST,
    }  # fmt: skip

    @staticmethod
    def simulated(s: Setting, draws: int) -> Values:
        found: Values = {}
        sized = {"d": s.d, "draws": draws, "seed": s.seed}
        for z in NOISE:
            oracle = rf.simulation.oracle_filter(s.model(z), **sized)
            found[f"oracle loss z={z:g}"] = oracle.loss, oracle.standard_error
            stop = rf.simulation.optimal_stopping(s.model(z), **sized)
            found[f"best stopping loss z={z:g}"] = stop.test, stop.standard_error
            best = rf.simulation.optimal_noise(s.model(z), **sized)
            found[f"best ridge loss z={z:g}"] = best.test.value, _known(best.test.standard_error)
        for way in ("generated_to_data", "data_to_generated"):
            least = getattr(best, way)
            found[f"least KL {way}"] = least.value, _known(least.standard_error)
        flow = rf.simulation.mode_curves(s.model(NOISE[0]), TAU, **sized)
        if flow.standard_error is None:
            raise RuntimeError(f"the modes of {s.key} have no standard error")
        found |= _modes(s, "flow", flow.mean, flow.standard_error.mean)
        sampler = rf.simulation.stopped_sampler(s.model(NOISE[0]), TAU, INTERVALS[1][0], **sized)
        spread = sampler.standard_error
        if spread is None:
            raise RuntimeError(f"the stopped sampler of {s.key} has no standard error")
        found |= _modes(s, "stopped sampler variance", sampler.variance, spread.variance)
        for way in ("generated_to_data", "data_to_generated"):
            for tau, value, error in zip(TAU, getattr(sampler, way), getattr(spread, way), strict=True):
                found[f"stopped sampler KL {way} tau={tau:g}"] = value, error
        for start, end in INTERVALS:
            moments = rf.simulation.generated_covariance(s.model(1.0), start, end, **sized)
            found |= chosen(s, f"generated {start:g} to {end:g}", moments, moments.standard_error)
        moments = rf.simulation.power_moments(s.model(1.0), POWER, **sized)
        return found | chosen(s, "power", moments, moments.standard_error)

    @staticmethod
    def theory(s: Setting) -> Values:
        found: Values = {}
        for z in NOISE:
            oracle, stop = rf.theory.oracle_filter(s.model(z)), rf.theory.optimal_stopping(s.model(z))
            best = rf.theory.optimal_noise(s.model(z))
            found[f"oracle loss z={z:g}"] = oracle.loss, oracle.error
            found[f"best stopping loss z={z:g}"] = stop.test, stop.error
            found[f"best ridge loss z={z:g}"] = best.test.value, oracle.error
        for way in ("generated_to_data", "data_to_generated"):
            found[f"least KL {way}"] = getattr(best, way).value, oracle.error
        flow = rf.theory.mode_curves(s.model(NOISE[0]), TAU)
        found |= _modes(s, "flow", flow.mean, np.full(flow.mean.shape, flow.error))
        sampler = rf.theory.stopped_sampler(s.model(NOISE[0]), TAU, INTERVALS[1][0])
        error = np.full(sampler.variance.shape, sampler.error)
        found |= _modes(s, "stopped sampler variance", sampler.variance, error)
        for way in ("generated_to_data", "data_to_generated"):
            for tau, value in zip(TAU, getattr(sampler, way), strict=True):
                found[f"stopped sampler KL {way} tau={tau:g}"] = value, sampler.error
        for start, end in INTERVALS:
            moments = rf.theory.generated_covariance(s.model(1.0), start, end)
            found |= chosen(s, f"generated {start:g} to {end:g}", moments)
        return found | chosen(s, "power", rf.theory.power_moments(s.model(1.0), POWER))


def _known(error: float | None) -> float:
    return math.nan if error is None else error


def _modes(s: Setting, label: str, values: np.ndarray, errors: np.ndarray) -> Values:
    """Numbers at each time (T, K) for the modes that are looked at."""
    return {
        f"{label} {name} tau={tau:g}": (values[row, k], errors[row, k])
        for name, k in modes(s.covariance).items()
        for row, tau in enumerate(TAU)
    }
