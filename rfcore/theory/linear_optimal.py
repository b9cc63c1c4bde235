"""The best c for each yardstick: test loss, and the two directions of the KL divergence."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

from rfcore.checks import of_kind
from rfcore.model import LinearModel
from rfcore.theory import _rank
from rfcore.theory._gaussian_only import gaussian_only
from rfcore.theory._kappa import real_kappa
from rfcore.theory.linear import kl, minimizer
from rfcore.theory.linear_spectrum import spectral_rule


@dataclasses.dataclass(frozen=True)
class Optimum:
    """The best c, the value of the yardstick there, and the condition for it relative to its terms.

    c : math.inf where more is always better; nan where the yardstick is infinite at every c
    value : of the yardstick at c;  residual : of the condition, relative to its terms
    standard_error : of the value over draws, for a simulation

    >>> best = rf.theory.optimal_noise(rf.LinearModel(gamma=0.5, noise_variance=0.1)).test
    >>> print(f"c = {best.c:.4f}, loss {best.value:.4f}", abs(best.residual) < 1e-9)
    c = 0.6806, loss 0.9223 True
    """

    c: float
    value: float
    residual: float
    standard_error: float | None = None


@dataclasses.dataclass(frozen=True)
class OptimalNoise:
    """The best c = noise variance + ridge by three yardsticks, see :func:`optimal_noise`.

    test : the test loss;  generated_to_data, data_to_generated : the KL divergences per dimension

    >>> best = rf.theory.optimal_noise(rf.LinearModel(gamma=0.5, noise_variance=0.1))
    >>> print(f"{best.test.c:.3f} {best.generated_to_data.c:.3f} {best.data_to_generated.c:.3f}")
    0.681 0.333 0.500
    """

    test: Optimum
    generated_to_data: Optimum
    data_to_generated: Optimum


def optimal_noise(model: LinearModel) -> OptimalNoise:
    """Minimise test loss (at the noise variance z of the question), KL(gen||data) and KL(data||gen) over c.

        test loss          E[(xi + z)/(x + c)^3] = E[1/(x + c)^2],   xi(x) = |kappa(-x - i0)|^2/x
        KL(gen || data)    (kappa/c) tr R = tr Sigma^-1
        KL(data || gen)    (kappa/c) kappa' tr[Sigma R^2] = tr R

    For Sigma = 1 and small gamma these are c = z + 3 gamma/(1 + z), gamma, and 2 gamma: the two directions of
    the KL divergence differ by a factor of two.  The question's own ridge does not enter, and for the
    divergences nor does z.  Where Sigma is singular they are infinite: ask ``restricted(model)``.
    Source: chapter 11 of the book.

    Raises nothing for a valid question.

    >>> best = rf.theory.optimal_noise(rf.LinearModel(gamma=0.01, noise_variance=0.1))
    >>> print(f"{best.generated_to_data.c:.4f} {best.data_to_generated.c:.4f}")  # gamma, 2 gamma
    0.0099 0.0195
    """
    of_kind("model", model, LinearModel)
    gaussian_only(model)
    law, gamma = model.covariance, model.gamma
    lam, w = law.eigenvalues, law.weights
    rule = spectral_rule(law, gamma)
    share, null, z = w @ rule.weights, float(w @ rule.zero), model.noise_variance
    held = (rule.null_energy + z) * null if null > 0 else 0.0

    def test(c: float) -> tuple[float, float]:
        level = rule.x + c
        return float(share @ ((rule.energy + z) / level**3)) + held / c**3, float(
            share @ (1 / level**2)
        ) + null / c**2

    def parts(c: float) -> tuple[float, float, float]:
        kappa = float(real_kappa(law, gamma, np.array(c)))
        inverse = 1 / (lam + kappa)
        slope = 1 / (1 - gamma * float(w @ (lam * inverse) ** 2))
        return kappa / c, float(w @ inverse), slope * float(w @ (lam * inverse**2))

    def forward(c: float) -> tuple[float, float]:
        ratio, plain, _ = parts(c)
        return float(w @ (1 / lam)), ratio * plain

    def backward(c: float) -> tuple[float, float]:
        ratio, plain, squared = parts(c)
        return ratio * squared, plain

    def at(c: float) -> LinearModel:
        return dataclasses.replace(model, noise_variance=c, ridge=0.0)

    best = balance(test, z)
    value = minimizer(dataclasses.replace(model, ridge=max(best[0] - z, 0.0))).test
    if not np.all(_rank.positive(law)):
        never = Optimum(math.nan, math.inf, 0.0)
        return OptimalNoise(Optimum(best[0], value, best[1]), never, never)
    first, second = balance(forward, law.variance), balance(backward, law.variance)
    return OptimalNoise(
        Optimum(best[0], value, best[1]),
        Optimum(first[0], kl(at(first[0])).generated_to_data, first[1]),
        Optimum(second[0], kl(at(second[0])).data_to_generated, second[1]),
    )


def balance(sides: Callable[[float], tuple[float, float]], start: float) -> tuple[float, float]:
    """c where the two sides of a condition agree, and their relative difference there.

    Left above right pushes c up for the test loss and KL(data||gen), and down for KL(gen||data): the sign
    changes once, so the bracket grows from ``start`` in both directions.
    """

    def difference(log_c: float) -> float:
        left, right = sides(math.exp(log_c))
        return math.log(left / right)

    low = high = math.log(start)
    for _ in range(60):
        if difference(low) * difference(high) < 0:
            break
        low, high = low - 1, high + 1
    else:
        raise ArithmeticError(f"no best c between {math.exp(low):.1e} and {math.exp(high):.1e}")
    log_c = float(brentq(difference, low, high, xtol=1e-14, rtol=1e-14))
    return math.exp(log_c), abs(difference(log_c))
