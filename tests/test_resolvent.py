"""The resolvent against public values, a fixed-point iteration, slow continuation and a drawn matrix."""

import math

import numpy as np
import pytest

import rfcore as rf
from rfcore.theory._equations import newton, parameters
from rfcore.theory.resolvent import atom_mass
from tools.stress import question

TWO = rf.Covariance([0.5, 1.5], [0.5, 0.5])
QUESTIONS = [
    rf.RandomFeatureModel(psi_p=8, psi_n=4, t=0.01, covariance=TWO),
    rf.RandomFeatureModel(psi_p=64, psi_n=8, t=0.01),
    rf.RandomFeatureModel(psi_p=0.3, psi_n=20, t=0.5, activation="relu", noise_draws=1),
    rf.RandomFeatureModel(psi_p=5, psi_n=0.2, t=0.1, covariance=TWO, noise_draws=3),
    rf.RandomFeatureModel(
        psi_p=30, psi_n=300, t=2.0, covariance=rf.Covariance.power_law(1.0, 40), noise_draws=50
    ),
    rf.RandomFeatureModel(
        psi_p=4, psi_n=2, t=0.1, covariance=rf.Covariance.low_rank(0.25), activation="identity"
    ),
]
IDS = [f"psi_p={m.psi_p:g}, m={m.noise_draws:g}" for m in QUESTIONS]


def test_public_values() -> None:
    z = np.array([1 + 0.5j, 5 + 1j, 0.1 + 0.05j, -0.5, -0.01])
    q = [-0.6810133 + 0.4491999j, -0.1893655 + 0.0632582j, -6.9324605 + 5.8621820j, 1.7375012581, 50.28937417]
    answer = rf.theory.resolvent(QUESTIONS[0], z)
    assert answer.converged.all() and answer.residual.max() < 1e-14
    np.testing.assert_allclose(answer.q, q, rtol=0, atol=6e-8)


@pytest.mark.parametrize("model", QUESTIONS, ids=IDS)
def test_fixed_point_iteration(model: rf.RandomFeatureModel) -> None:
    """Iterating the equations as a map of the upper half plane needs no Newton step and no branch."""
    c, eps = model.constants, 1 / model.noise_draws
    lam, w = model.covariance.eigenvalues, model.covariance.weights
    alpha2, ratio = math.exp(-2 * model.t) * c.a**2, model.psi_p / model.psi_n
    scale = (c.v2 + c.s2 + alpha2 * model.covariance.variance + c.b**2) * (1 + model.psi_p)
    z = scale * np.array([0.3 + 0.5j, 1 + 1j, -0.2 + 0.7j])[:, None]
    q, r, s = -1 / z, -model.covariance.variance / z, -1 / z
    for _ in range(4000):
        t_c, t_d = ratio * (c.v2 * q + alpha2 * r), ratio * (c.s2 * q + c.b**2 * s)
        chi_1, chi_2 = 1 / (1 + t_c + eps * t_d), 1 / (1 + eps * t_d)
        zeta = eps * chi_1 + (1 - eps) * chi_2
        kappa = zeta * c.b**2 + chi_1 * alpha2 * lam
        h = 1 / (1 + kappa * model.psi_p * q)
        new_q = 1 / (chi_1 * c.v2 + zeta * c.s2 - z + (kappa * h) @ w[:, None])
        q = (q + new_q) / 2
        r, s = q * ((lam * h) @ w[:, None]), q * (h @ w[:, None])
    answer = rf.theory.resolvent(model, z)
    for ours, theirs in ((answer.q, q), (answer.r, r), (answer.s, s)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11)


@pytest.mark.parametrize("model", QUESTIONS, ids=IDS)
def test_real_axis_by_vertical_continuation(model: rf.RandomFeatureModel) -> None:
    """The arc and a slow descent from large Im z meet in the same branch, in bulks and in gaps."""
    par = parameters(model)
    c = model.constants
    top = 4 * ((2 * par.alpha2 * par.lam.max() + c.b**2) * (1 + math.sqrt(model.psi_p)) ** 2 + c.v2 + c.s2)
    z = par.floor + np.geomspace(1e-4, top, 25)
    y = z - par.floor
    height = 1e3 * top
    state = np.ones((3, z.size), dtype=complex)
    state[0] = -model.psi_p / (y + 1j * height)
    while height > 1e-13:
        for _ in range(4):
            state = state * (1 + newton(par, state, y + 1j * height)[0])
        height *= 0.85
    for _ in range(20):
        step = newton(par, state, y + 0j)[0]
        state = state * (1 + np.where(np.abs(step) < 0.3, step, 0))
    np.testing.assert_allclose(rf.theory.resolvent(model, z).q, state[0] / model.psi_p, rtol=1e-7)


@pytest.mark.parametrize("model", [QUESTIONS[0], QUESTIONS[3]], ids=[IDS[0], IDS[3]])
def test_one_drawn_matrix(model: rf.RandomFeatureModel) -> None:
    """q of a drawn Gaussian-equivalent matrix: a trace of a resolvent fluctuates by O(1/(p eta))."""
    values = rf.simulation.eigenvalues(model, d=150, seed=3, features="gaussian")
    z = np.array([0.5 + 0.5j, 2 + 1j, -0.3 + 0j])
    drawn = np.mean(1 / (values[None, :] - z[:, None]), axis=1)
    np.testing.assert_allclose(rf.theory.resolvent(model, z).q, drawn, rtol=1e-2)


@pytest.mark.parametrize(("number", "left", "right"), [(797, 0.57879, 0.58008), (1631, 1441.38, 1482.71)])
def test_no_real_root_is_taken_inside_a_bulk(number: int, left: float, right: float) -> None:
    """Narrow bulks of laws with hundreds of atoms, where a real root lies next to the complex pair."""
    model = question(np.random.default_rng([0, number]))
    q = rf.theory.resolvent(model, np.linspace(left, right, 801)).q
    assert np.all(q.imag > 1e-9 * np.abs(q))


def test_next_to_an_edge() -> None:
    """A point just inside an edge, where Newton's method may land on the conjugate root."""
    model = question(np.random.default_rng([12, 7230]))
    answer = rf.theory.resolvent(model, 0.033497315921462226 * (1 + 1e-12 * np.arange(-2, 3)))
    assert answer.converged.all() and np.all(answer.q.imag >= 0)


def test_conjugation_and_shape() -> None:
    z = np.array([[1 + 0.5j, 2 - 0.1j], [-1 + 0j, 3 + 0j]])
    answer = rf.theory.resolvent(QUESTIONS[0], z)
    mirrored = rf.theory.resolvent(QUESTIONS[0], np.conj(z))
    assert answer.q.shape == z.shape
    np.testing.assert_array_equal(answer.q[0], np.conj(mirrored.q[0]))
    assert rf.theory.resolvent(QUESTIONS[0], 1 + 1j).q.shape == ()
    assert answer.q[1, 1].imag > 0, "real z means from above"


@pytest.mark.parametrize(
    ("model", "mass"),
    [(QUESTIONS[1], 55 / 64), (QUESTIONS[2], 0.0), (QUESTIONS[3], 0.88), (QUESTIONS[5], 0.75)],
)
def test_atom_is_the_residue(model: rf.RandomFeatureModel, mass: float) -> None:
    """The rank rule against the residue of q at the lowest point of the spectrum."""
    assert atom_mass(model) == pytest.approx(mass, abs=1e-15)
    location = model.constants.s2 if math.isinf(model.noise_draws) else 0.0
    eta = 1e-9
    residue = (-1j * eta * rf.theory.resolvent(model, location + 1j * eta).q).real
    assert residue == pytest.approx(mass, abs=1e-4)


def test_density_integrates_to_the_continuous_mass() -> None:
    model = QUESTIONS[1]
    total = 0.0
    for left, right in ((0.0035, 0.0105), (0.088, 0.37), (9.5, 46.0)):
        theta = (np.arange(4000) + 0.5) * math.pi / 4000
        middle, half = (math.log(left) + math.log(right)) / 2, (math.log(right) - math.log(left)) / 2
        x = np.exp(middle + half * np.cos(theta))
        total += float(np.sum(rf.theory.density(model, x) * x * half * np.sin(theta)) * math.pi / 4000)
    assert total == pytest.approx(1 - atom_mass(model), abs=1e-5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rf.theory.resolvent(QUESTIONS[0], math.nan), "z = "),
        (lambda: rf.theory.resolvent(QUESTIONS[0], "here"), "z = 'here'"),
        (lambda: rf.theory.resolvent(QUESTIONS[1], QUESTIONS[1].constants.s2), "atom"),
        (lambda: rf.theory.resolvent(QUESTIONS[3], 0.0), "atom"),
        (
            lambda: rf.theory.resolvent(rf.RandomFeatureModel(psi_p=6, psi_n=2, t=0.1, noise_draws=3), 0.0),
            "hard edge",
        ),
        (lambda: rf.theory.density(QUESTIONS[0], [1.0, -2.0]), "x = -2.0"),
        (lambda: rf.theory.density(QUESTIONS[0], [math.inf]), "x = inf"),
    ],
)
def test_bad_input(call: object, words: str) -> None:
    with pytest.raises(ValueError, match="not allowed") as caught:
        call()  # type: ignore[operator]
    assert words in str(caught.value)
