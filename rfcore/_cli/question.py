"""The options that say what is asked, and the question they make."""

import argparse
import math
from collections.abc import Callable
from typing import Any

from rfcore import checks
from rfcore._cli.covariance import WORDS, read
from rfcore._cli.report import progress
from rfcore.model import ACTIVATIONS, LinearModel, RandomFeatureModel

NETWORK: dict[str, Any] = {
    "psi_p": 64.0,
    "psi_n": 8.0,
    "t": 0.01,
    "activation": "tanh",
    "noise_draws": math.inf,
}
LINEAR: dict[str, Any] = {"gamma": 0.5, "noise_variance": 1.0}
DRAWS = 20  # simulations of a linear denoiser: small matrices
MOST_FEATURES = 16384  # of a simulation: its matrices of p x p numbers want 2 GB each
MOST_NUMBERS = 1 << 28  # of a simulated training set, n x d


def add_options(parser: argparse.ArgumentParser) -> None:
    """What is asked; the defaults are those of the book's first figure."""
    network = parser.add_argument_group("a random-feature network (what is asked if nothing else is said)")
    network.add_argument("--psi-p", type=positive, metavar="X", help="features per dimension, p/d (64)")
    network.add_argument("--psi-n", type=positive, metavar="X", help="samples per dimension, n/d (8)")
    network.add_argument("--t", type=positive, metavar="X", help="diffusion time (0.01)")
    network.add_argument("--activation", type=_activation, metavar="NAME", help=f"{', '.join(ACTIVATIONS)}")
    network.add_argument("--noise-draws", type=_draws, metavar="M", help="noise draws per sample (inf)")
    linear = parser.add_argument_group("a linear denoiser instead")
    linear.add_argument("--gamma", type=positive, metavar="X", help="dimensions per sample, d/n (0.5)")
    linear.add_argument("--noise-variance", type=positive, metavar="X", help="of the noise to remove (1)")
    both = parser.add_argument_group("for both")
    both.add_argument("--ridge", type=nonnegative, metavar="X", default=0.0, help="penalty on weights (0)")
    both.add_argument("--covariance", metavar="DATA", default="isotropic", help=f"{WORDS}, or a file")
    finite = parser.add_argument_group("a simulation next to the theory")
    finite.add_argument("--simulate", type=count, metavar="D", help="at dimension D (needs torch)")
    finite.add_argument("--draws", type=count, metavar="K", help="simulations to average (1; linear 20)")
    finite.add_argument("--seed", type=seed, metavar="S", default=0, help="of the simulation (0)")


def build(given: argparse.Namespace) -> tuple[Any, str]:
    """The question, and what its data are, in words."""
    if given.simulate is None and (given.draws or given.seed):
        raise ValueError(f"{'--draws' if given.draws else '--seed'} is for --simulate D, which is not given")
    network, linear = ([k for k in names if getattr(given, k) is not None] for names in (NETWORK, LINEAR))
    if network and linear:
        one, other = option(network[0]), option(linear[0])
        raise ValueError(f"{one} belongs to a network, {other} to a linear denoiser: give one or the other")
    defaults, kind = (LINEAR, LinearModel) if linear else (NETWORK, RandomFeatureModel)
    said = {k: default if (v := getattr(given, k)) is None else v for k, default in defaults.items()}
    law, about = read(given.covariance)
    return kind(**said, ridge=given.ridge, covariance=law), about


def realized(model: Any, given: argparse.Namespace) -> tuple[Any, str, int]:
    """The question to answer, with whole p and n if it is simulated; the sizes in words; how many draws."""
    d, network = given.simulate, isinstance(model, RandomFeatureModel)
    if d is None:
        return model, "", 0
    import_torch()
    from rfcore import simulation

    p, n = (round(model.psi_p * d), round(model.psi_n * d)) if network else (0, round(d / model.gamma))
    if p > MOST_FEATURES:
        most = f"at most {int(MOST_FEATURES / model.psi_p)}, for {MOST_FEATURES} features; here {p}"
        raise checks.refuse("--simulate", d, most)
    if n * d > MOST_NUMBERS or d > MOST_FEATURES:
        raise checks.refuse("--simulate", d, f"less: {n} samples of {d} numbers are too many")
    real = simulation.realized(model, d)
    sizes = f"d = {d}, {f'p = {p}, ' if network else ''}n = {n}"
    draws = given.draws or (1 if network else DRAWS)
    progress(f"simulating {sizes}{f', {draws} times' if draws > 1 else ''}")
    return real, sizes, draws


def heading(model: Any, about: str, sizes: str) -> str:
    """What is answered."""
    network = isinstance(model, RandomFeatureModel)
    kind = f"{model.activation} network" if network else "linear denoiser"
    names = [name for name in (NETWORK if network else LINEAR) if name != "activation"]
    shown = [f"{name.replace('_', '-')} {getattr(model, name):.6g}" for name in [*names, "ridge"]]
    drawn = f"\nsimulation: {sizes}" if sizes else ""
    return f"{kind}: {', '.join(shown)}\ndata: {about}{drawn}"


def import_torch() -> None:
    """Raises a ModuleNotFoundError that says what to do."""
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        raise ModuleNotFoundError("--simulate needs torch (pip install torch); the theory does not") from None


def option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _typed(check: Callable[[str, Any], Any], convert: Callable[[str], Any]) -> Callable[[str], Any]:
    """A type for argparse, which says itself which option it was."""

    def typed(text: str) -> Any:
        try:
            value = convert(text)
        except ValueError:
            value = text
        try:
            return check("", value)
        except ValueError as error:
            allowed = str(error).partition("is not allowed: ")[2]
            raise argparse.ArgumentTypeError(f"{text!r} is not allowed: {allowed}") from None

    return typed


def _least(least: int) -> Callable[[str, Any], int]:
    return lambda name, value: checks.whole(name, value if isinstance(value, int) else str(value), least)


def _choose(name: str, value: Any) -> str:
    return checks.choice(name, value, ACTIVATIONS)


def _noise(name: str, value: Any) -> float:
    if value == math.inf:
        return math.inf
    if not isinstance(value, float) or not value.is_integer() or value < 1:
        raise checks.refuse(name, value, "an integer >= 1, or inf")
    return int(value)


positive = _typed(checks.positive, float)
nonnegative = _typed(checks.nonnegative, float)
count = _typed(_least(1), int)
seed = _typed(_least(0), int)
_activation = _typed(_choose, str)
_draws = _typed(_noise, float)
