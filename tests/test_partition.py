"""The partition function: exact moments, its law at large size, and drawn matrices, one against the other."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

import rfcore as rf

TWO = rf.Covariance([0.5, 1.5])
PLAIN = rf.RandomFeatureModel(psi_p=3, psi_n=2, t=0.1, covariance=TWO)
QUESTIONS = [
    PLAIN,
    rf.RandomFeatureModel(psi_p=1, psi_n=3, t=0.3, activation="relu"),
    rf.RandomFeatureModel(psi_p=2, psi_n=1, t=0.05, covariance=rf.Covariance.low_rank(0.5)),
    rf.RandomFeatureModel(psi_p=1.5, psi_n=1.5, t=0.2, activation="identity"),
]
IDS = [f"{m.activation}, psi_p={m.psi_p:g}, psi_n={m.psi_n:g}" for m in QUESTIONS]


def standard_errors(drawn: np.ndarray, replicas: int, log_value: float) -> float:
    """How many standard errors the mean of Z^k over the draws is off."""
    value = np.exp(replicas * drawn - log_value)
    return float((value.mean() - 1) / (value.std(ddof=1) / math.sqrt(value.size)))


@pytest.mark.parametrize("model", QUESTIONS, ids=IDS)
@pytest.mark.parametrize("z", [-1.0, -0.1])
def test_exact_moments_are_those_of_drawn_matrices(model: rf.RandomFeatureModel, z: float) -> None:
    drawn = rf.simulation.log_partition(model, z, d=4, seed=5, draws=20_000)
    for replicas in (1, 2):
        moment = rf.theory.replicated_moment(model, z, 4, replicas)
        assert moment.error < 1e-6
        assert abs(standard_errors(drawn, replicas, moment.log_value)) < 3.5


def test_one_neuron_one_sample_one_dimension() -> None:
    """E Z by a double integral over the weight and the feature, which knows of no Wishart matrix."""
    model, z = rf.RandomFeatureModel(psi_p=1, psi_n=1, t=0.4), -0.3
    c = model.constants
    alpha2 = math.exp(-0.8) * c.a**2

    def value(g: float, m: float) -> float:
        u = (alpha2 * m**2 + c.v2) * g**2 + c.b**2 * m**2 + c.s2
        return math.exp(-(g**2 + m**2) / 2) / (2 * math.pi) / math.sqrt(u - z)

    exact = 4 * integrate.dblquad(value, 0, 12, 0, 12, epsabs=1e-11, epsrel=1e-11)[0]
    moment = rf.theory.replicated_moment(model, z, d=1, replicas=1)
    assert moment.error < 1e-8
    assert moment.log_value == pytest.approx(math.log(exact), abs=1e-9)


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("model", QUESTIONS[:3], ids=IDS[:3])
def test_law_is_right_up_to_one_over_p(model: rf.RandomFeatureModel, replicas: int) -> None:
    """Exact moment minus law falls by a factor of two when the size doubles."""
    z, gap = -0.3, []
    for d in (32, 64, 128):
        exact = rf.theory.replicated_moment(model, z, d, replicas)
        gap.append(exact.log_value - rf.theory.log_partition(model, z, d).log_moment(replicas))
        assert exact.error < 1e-8
    assert abs(gap[0]) < 1 / 32
    np.testing.assert_allclose(np.array(gap[:-1]) / gap[1:], 2, rtol=0.06)


@pytest.mark.parametrize("m", [1, 3, math.inf])
def test_mean_and_variance_of_drawn_matrices(m: float) -> None:
    model = rf.RandomFeatureModel(psi_p=3, psi_n=2, t=0.1, covariance=TWO, noise_draws=m)
    z, d, draws = np.array([-1.0, -0.05]), 40, 1500
    drawn = rf.simulation.log_partition(model, z, d, 3, draws)
    law = rf.theory.log_partition(model, z, d)
    assert np.all(np.abs(drawn.mean(0) - law.mean) < 4 * np.sqrt(law.variance / draws) + 0.5 / law.p)
    # The variance of a normal variable is measured to sqrt(2/draws); the rest is O(1/p).
    np.testing.assert_allclose(
        drawn.var(0, ddof=1) / law.variance, 1, atol=4 * math.sqrt(2 / draws) + 2 / law.p
    )


def test_variance_of_marchenko_pastur() -> None:
    """Identity, infinite data: U = M M^T, whose log det has the variance -2 log(1 - psi_p q^2 h^2)."""
    psi, z = 2.0, -0.4
    model = rf.RandomFeatureModel(psi_p=psi, psi_n=1e7, t=0.2, activation="identity")
    root = math.sqrt((z + psi - 1) ** 2 - 4 * psi * z)
    q = (1 - psi - z - root) / (2 * psi * z)
    q = q if q > 0 else (1 - psi - z + root) / (2 * psi * z)
    known = -math.log(1 - psi * q**2 / (1 + psi * q) ** 2) / 2
    law = rf.theory.log_partition(model, z, d=10)
    assert float(law.variance) == pytest.approx(known, rel=1e-5)


@settings(derandomize=True, deadline=None, max_examples=25)
@given(
    st.floats(-1, 2),
    st.floats(-1, 2),
    st.floats(0.01, 2),
    st.floats(-3, 1),
    st.sampled_from([1, 2, 7, math.inf]),
)
def test_variance_is_positive_and_decreases_away_from_the_spectrum(
    log_p: float, log_n: float, t: float, log_z: float, m: float
) -> None:
    model = rf.RandomFeatureModel(10**log_p, 10**log_n, t, TWO, noise_draws=m)
    z = -(10**log_z) * np.array([1.0, 2.0, 1e6])
    law = rf.theory.log_partition(model, z, d=100)
    assert np.all(law.variance[:2] > 0) and law.variance[0] > law.variance[1]
    assert law.variance[2] < 1e-4  # far away U does not matter, and Z is a number
    np.testing.assert_allclose(law.mean, -law.p * law.action / 2 + law.variance / 2, rtol=1e-12)


def test_draws_are_those_of_their_seed_and_of_one_matrix_each(monkeypatch: pytest.MonkeyPatch) -> None:
    z = np.array([-1.0, -2.0, -1e8])
    values = rf.simulation.log_partition(PLAIN, z, 3, 7, 6)
    assert values.shape == (6, 3) and len(np.unique(values[:, 0])) == 6
    np.testing.assert_array_equal(values, rf.simulation.log_partition(PLAIN, z, 3, 7, 6))
    assert np.all(values != rf.simulation.log_partition(PLAIN, z, 3, 8, 6))
    assert np.all(values[:, 0] > values[:, 1])
    np.testing.assert_allclose(values[:, 2], -9 / 2 * math.log(1e8), rtol=1e-6)  # far away U does not matter
    monkeypatch.setattr("rfcore.simulation.partition.BATCH", 1)  # one matrix per batch
    one_by_one = rf.simulation.log_partition(PLAIN, -1.0, 3, 9, 400)
    assert one_by_one.shape == (400,) and len(np.unique(one_by_one)) == 400


def test_log_moment_is_quadratic() -> None:
    law = rf.theory.log_partition(PLAIN, [-1.0, -0.1], 16)
    np.testing.assert_allclose(law.log_moment(0), 0)
    np.testing.assert_allclose(law.log_moment(1), -law.p * law.action / 2 + law.variance)
    np.testing.assert_allclose(law.log_moment(2) - 2 * law.log_moment(1), law.variance)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rf.theory.log_partition(PLAIN, 0.1, 8), "z = 0.1 is not allowed"),
        (lambda: rf.theory.log_partition(PLAIN, -1, 0), "d = 0 is not allowed"),
        (lambda: rf.theory.replicated_moment(PLAIN, 0.0, 8, 1), "z = 0.0 is not allowed"),
        (lambda: rf.theory.replicated_moment(PLAIN, -1, 8, 3), "replicas = 3 is not allowed: 1 or 2"),
        (lambda: rf.theory.replicated_moment(PLAIN, -1, 8, 0), "replicas = 0 is not allowed"),
        (
            lambda: rf.theory.replicated_moment(rf.RandomFeatureModel(1, 1, 1, noise_draws=2), -1, 8, 1),
            "noise_draws = 2 is not allowed: math.inf",
        ),
        (
            lambda: rf.theory.replicated_moment(rf.RandomFeatureModel(3, 1, 1), -1, 1, 2),
            r"min\(p, n\) = 1 is not allowed",
        ),
        (
            lambda: rf.theory.log_partition(rf.RandomFeatureModel(0.1, 1, 1), -1, 2),
            "psi_p = 0.1 is not allowed",
        ),
        (lambda: rf.simulation.log_partition(PLAIN, [-1, 1], 8, 0, 1), "z = 1.0 is not allowed"),
        (lambda: rf.simulation.log_partition(PLAIN, -1, 8, 0, 0), "draws = 0 is not allowed"),
        (lambda: rf.simulation.log_partition(PLAIN, -1, 8, -1, 5), "seed = -1 is not allowed"),
        (lambda: rf.simulation.log_partition(PLAIN, -1, 8, 0, 5, "no"), "device = 'no' is not allowed"),
    ],
)
def test_bad_input(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
