"""Maps of linear denoisers at d = infinity: public values, drawn data, sum rules, powers."""

import math

import numpy as np
import pytest

import rfcore as rf
from tests.linear_cases import LAM, LAW, Array, ask, draws


def power(s: Array, start: float, end: float) -> Array:
    """((S + end)/(S + start))^(1/2), or (S + end)^(1/2)."""
    x, u = np.linalg.eigh(s)
    x = np.maximum(x, 0)
    f = np.sqrt(x + end) if math.isinf(start) else np.sqrt((x + end) / (x + start))
    return np.asarray((u * f[:, None, :]) @ np.swapaxes(u, 1, 2))


@pytest.mark.parametrize(("start", "end"), [(math.inf, 0.4), (5.0, 0.3)])
def test_sampling_map_against_draws(start: float, end: float) -> None:
    n = 90
    maps = power(draws(n, 400, seed=4), start, end)
    moments = rf.theory.sampling_map_moments(ask(n, 0.5), start, end)
    assert moments.error < 1e-12
    np.testing.assert_allclose(np.einsum("nii->ni", maps).mean(0), moments.mean, rtol=0.02)
    for j, k in ((30, 30), (10, 50)):
        assert n * maps[:, j, k].var() == pytest.approx(moments.scaled_variance[j, k], rel=0.3)
    half = maps.reshape(2, 200, 60, 60)
    agreement = np.einsum("nij,nij->", half[0], half[1]) / np.einsum("nij,nij->", maps, maps) * 2
    assert agreement == pytest.approx(rf.theory.split_agreement(ask(n, 0.5), start, end), rel=0.01)


@pytest.mark.parametrize("n", [40, 90])
def test_sum_rules(n: int) -> None:
    """m_k^2 + sum_j Var_kj = E[f^2]_kk between leading-order formulas, so without the crossed term."""
    model = ask(n, 0.5)
    for start, total in ((math.inf, LAM), (5.0, None)):
        moments = rf.theory.sampling_map_moments(model, start)
        variance = moments.scaled_variance / n
        variance[np.diag_indices(60)] /= 2
        if total is None:
            total = LAM / (LAM + rf.theory.renormalized_noise(LAW, 60 / n, 5.0))
        np.testing.assert_allclose(moments.mean**2 + variance.sum(1), total, rtol=1e-10)


MAPS = {  # modes 0, 30, 59; variances of (30, 30) and (0, 59)
    40: {
        "denoiser": ([0.1529140975, 0.5016486208, 0.6435164039], 0.0048396445, 0.0011505011),
        "root": ([0.258135911, 0.9825988135, 1.4423269026], 0.0251567624, 0.0049481215),
        "from 5": ([0.1015395876, 0.3496785521, 0.4745484880], None, None),
        "5 to 0.3": ([0.2966997578], 0.0012365873, None),
        "agreement": (0.5979806167, 0.6404990728),
    },
    90: {
        "denoiser": ([0.2608235720, 0.6630303469, 0.7791797379], 0.0015143404, 0.0005031722),
        "root": ([0.4487707422, 1.1814662468, 1.6240205196], 0.0097959989, 0.0020166722),
        "from 5": ([0.1900773387, 0.4448294252, 0.5602976114], None, None),
        "5 to 0.3": ([0.3157970080], 0.0006003656, None),
        "agreement": (0.8416158060, 0.8887991509),
    },
}


@pytest.mark.parametrize("n", [40, 90])
def test_public_values_of_the_maps(n: int) -> None:
    model, values = ask(n, 0.5), MAPS[n]
    for name, moments in (
        ("denoiser", rf.theory.denoiser_moments(model)),
        ("root", rf.theory.sampling_map_moments(model, math.inf)),
        ("root", rf.theory.power_moments(model, 0.5)),
        ("from 5", rf.theory.sampling_map_moments(model, 5.0)),
        ("5 to 0.3", rf.theory.sampling_map_moments(model, 5.0, 0.3)),
    ):
        mean, own, other = values[name]
        np.testing.assert_allclose(moments.mean[[0, 30, 59]][: len(mean)], mean, rtol=1e-8)
        for value, j, k in ((own, 30, 30), (other, 0, 59)):
            if value is not None:
                assert moments.scaled_variance[j, k] / n == pytest.approx(value, rel=1e-7)
    got = [rf.theory.split_agreement(model, start) for start in (math.inf, 5.0)]
    np.testing.assert_allclose(got, values["agreement"], rtol=1e-8)


def test_power_against_the_spectrum() -> None:
    """S^alpha by its integral against the average over eigenvalues; the sum rule in every mode."""
    for law, gamma in ((LAW, 1.5), (rf.Covariance([0.0, 0.01, 4.0]), 0.8)):
        model = rf.LinearModel(gamma=gamma, noise_variance=1.0, covariance=law)
        rule, w = rf.theory.spectral_rule(law, gamma), law.weights
        for alpha in (0.02, 0.5, 0.97):
            moments = rf.theory.power_moments(model, alpha)
            assert moments.error < 1e-14
            np.testing.assert_allclose(moments.mean, rule.modes(rule.x**alpha, 0.0), rtol=1e-11, atol=1e-15)
            # sum over j of Var_kj, without the crossed term: n Var summed with weights d w_j.
            single = moments.scaled_variance / (1 + np.eye(law.eigenvalues.size))
            total = moments.mean**2 + gamma * single @ w
            np.testing.assert_allclose(total, rule.modes(rule.x ** (2 * alpha), 0.0), rtol=1e-11, atol=1e-15)


def test_generated_covariance_is_a_sum_over_the_map() -> None:
    """E f(S)^2 from the moments of the map f, by the sum rule, times T."""
    for start, end in ((5.0, 0.3), (math.inf, 0.3)):
        model = ask(90, 0.5)
        moments = rf.theory.sampling_map_moments(model, start, end)
        single = moments.scaled_variance / (1 + np.eye(60)) / 90
        total = (moments.mean**2 + single.sum(1)) * (1 if math.isinf(start) else start)
        exact = rf.theory.generated_covariance(model, start, end)
        np.testing.assert_allclose(total, exact.mean, rtol=1e-10)
        assert np.all(exact.mean > (1 if math.isinf(start) else start) * moments.mean**2)
