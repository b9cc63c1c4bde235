"""Linear pencils: the operator-valued equation against closed forms, the solver, and drawn matrices."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rfcore as rf
from rfcore.simulation.pencil import draw_pencil
from rfcore.theory import _traces as traces
from rfcore.theory._equations import parameters
from rfcore.theory.operator_valued import Pencil, covariance_map, response, semicircle, step, two_point
from rfcore.theory.pencil import loss_pencil, pencil, pencil_traces, solve_pencil

TWO = rf.Covariance([0.5, 1.5], [0.5, 0.5])
QUESTIONS = [
    rf.RandomFeatureModel(psi_p=3, psi_n=2, t=0.1, covariance=TWO),
    rf.RandomFeatureModel(psi_p=3, psi_n=2, t=0.1, covariance=TWO, noise_draws=1),
    rf.RandomFeatureModel(psi_p=0.5, psi_n=4, t=0.5, activation="relu", noise_draws=3),
    rf.RandomFeatureModel(psi_p=8, psi_n=4, t=0.01, covariance=rf.Covariance.power_law(1.0).compressed(12)),
    rf.RandomFeatureModel(psi_p=2, psi_n=3, t=0.1, covariance=rf.Covariance.low_rank(0.25), noise_draws=2),
]
IDS = [f"psi_p={m.psi_p:g}, m={m.noise_draws:g}" for m in QUESTIONS]
QUESTION = pytest.mark.parametrize("model", QUESTIONS, ids=IDS)


def entry(i: int, j: int, blocks: int, value: float = 1.0) -> np.ndarray:
    c = np.zeros((blocks, blocks))
    c[i, j] = value
    return c


def marchenko_pastur(ratio: float) -> Pencil:
    return Pencil([ratio, 1.0], np.diag([0.0, -1.0]), [entry(0, 1, 2)])


def squares() -> Pencil:
    """X X^T + X^T X with one square X in two places."""
    return Pencil([1.0, 1.0, 1.0], np.diag([0.0, -1.0, -1.0]), [entry(0, 1, 3) + entry(2, 0, 3)])


def twisted() -> Pencil:
    """X X + X^T X^T: the same places, tied by off-diagonal constants."""
    constant = -(entry(1, 2, 3) + entry(2, 1, 3))
    return Pencil([1.0, 1.0, 1.0], constant, [entry(0, 1, 3) + entry(2, 0, 3)])


def rotated(form: Pencil) -> Pencil:
    """The same matrix in a basis that mixes the last two blocks: eta is no longer diagonal."""
    mix = np.eye(form.size.size)
    mix[-2:, -2:] = np.array([[0.8, -0.6], [0.6, 0.8]])
    constant = mix @ form.constant @ mix.T
    return Pencil(form.size, (constant + constant.T) / 2, [mix @ c @ mix.T for c in form.gaussian])


@pytest.mark.parametrize("ratio", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("z", [-0.7, 0.4 + 0.2j, 5 - 1e-3j])
def test_two_blocks_are_marchenko_pastur(ratio: float, z: complex) -> None:
    plus, minus = (1 + ratio**0.5) ** 2, (1 - ratio**0.5) ** 2
    root = np.sqrt(z - plus + 0j) * np.sqrt(z - minus + 0j)
    expected = (1 - ratio - z + root) / (2 * ratio * z)
    answer = semicircle(marchenko_pastur(ratio), z)
    assert answer.converged
    np.testing.assert_allclose(answer.g[0, 0], expected, rtol=1e-11)


def test_one_block_is_the_semicircle() -> None:
    """(X + X^T)/sqrt 2 has entries of variance 1/d: q = 1/(-z - q)."""
    z = np.array([[0.3j, 1 + 0.01j], [-3 + 0.5j, 1.9 - 0.2j]])
    form = Pencil([1.0], np.zeros((1, 1)), [[[math.sqrt(0.5)]]])
    exact = (-z + np.sqrt(z - 2) * np.sqrt(z + 2)) / 2
    np.testing.assert_allclose(semicircle(form, z).g[..., 0, 0], exact, rtol=1e-11)


def test_shared_matrix_gives_free_poisson_of_rate_two() -> None:
    """X X^T and X^T X are free: q = 1/(-z + 2/(1 + q))."""
    z = np.array([-1.0, 2 + 0.3j, 5 + 0.05j])
    q = semicircle(squares(), z).g[:, 0, 0]
    np.testing.assert_allclose(q * (-z + 2 / (1 + q)), 1, rtol=1e-11)


@pytest.mark.parametrize("form", [squares(), twisted(), rotated(twisted()), marchenko_pastur(0.5)])
def test_drawn_blocks_approach_the_solution(form: Pencil) -> None:
    """The distance of one draw is O(1/d); the bound is ten times what the theory of fluctuations allows."""
    z, d = 0.4 + 1.0j, 240
    drawn = draw_pencil(form, d, seed=3)
    error = drawn.traces(drawn.inverse(z)) - semicircle(form, z).g
    assert np.abs(error).max() < 20 / d


def test_basis_of_the_blocks_does_not_matter() -> None:
    z = 0.7 + 0.05j
    one, other = semicircle(twisted(), z), semicircle(rotated(twisted()), z)
    assert one.g[0, 0] == pytest.approx(other.g[0, 0], rel=1e-11)
    assert one.rate < 1


@QUESTION
@pytest.mark.parametrize("z", [-2.0, -0.05, 0.5 + 0.5j, 2 - 0.1j, 0.1 + 1e-4j])
def test_pencil_is_the_resolvent(model: rf.RandomFeatureModel, z: complex) -> None:
    solution, answer = solve_pencil(model, z), rf.theory.resolvent(model, z)
    expected = np.array([answer.q, answer.r, answer.s])
    expected = np.conj(expected) if np.imag(z) < 0 and expected[0].imag > 0 else expected
    np.testing.assert_allclose([solution.q, solution.r, solution.s], expected, rtol=1e-11)


@pytest.mark.parametrize("form", [pencil, loss_pencil])
@QUESTION
def test_corner_of_the_inverse_is_the_resolvent_of_the_drawn_matrix(model, form) -> None:
    """U from the drawn Gaussian blocks, explicitly; the corner of L^-1 by inversion: equal at finite d."""
    d, z, eps = 8, 0.3 + 0.2j, 1 / model.noise_draws
    if model.covariance.eigenvalues.size > 3:
        model = dataclasses.replace(model, covariance=TWO)
    drawn, c = draw_pencil(form(model), d, seed=1), model.constants
    names, big = drawn.pencil.names, drawn.matrix
    first = drawn.named(big, "y_0", "y_2")  # M
    one = np.eye(len(first))
    u = c.s2 * one + c.b**2 * first @ first.T if eps == 0 else 0 * one
    for group in ("y_1", "y_4"):
        inner = drawn.named(big, "y_3", group)
        if "y_5" in names:
            inner = inner + c.b * drawn.named(big, "y_5", group)
        vectors = drawn.named(big, "y_0", group) + first @ inner
        u = u + vectors @ vectors.T
    corner = drawn.block(drawn.inverse(z), 0, 0)
    np.testing.assert_allclose(corner, np.linalg.inv(u - z * one), rtol=1e-9, atol=1e-11)


@QUESTION
def test_loss_traces_of_the_pencil_are_those_of_the_solver(model: rf.RandomFeatureModel) -> None:
    """T_1, T_x and T_2 at two points, against the leave-one-out formulas of theory._traces."""
    par = parameters(model)
    points = (-0.3 + 0j, 0.5 + 0.2j)
    a, b = (traces.solved(par, np.array(z)) for z in points)
    got, back = pencil_traces(model, *points), pencil_traces(model, *points[::-1])
    for answer, exact in ((got, a), (back, b)):
        assert answer.train == pytest.approx(complex(traces.t_train(par, exact)), rel=1e-10)
        assert answer.cross == pytest.approx(complex(traces.t_cross(par, exact)), rel=1e-10)
        expected = traces.pair(par, a, b).t2((par.v2 + par.s2, par.b2, par.alpha2))
        assert answer.test == pytest.approx(complex(expected), rel=1e-10)
        slope = (got.train - back.train) / (points[0] - points[1])  # R_1 R_2 = (R_1 - R_2)/(z_1 - z_2)
        assert answer.norm == pytest.approx(slope, rel=1e-10)


@QUESTION
@pytest.mark.parametrize("ridge", [1e-3, 0.3])
def test_losses_of_the_ridge_minimizer(model: rf.RandomFeatureModel, ridge: float) -> None:
    t = pencil_traces(model, -ridge)
    got = [1 - t.train - ridge * t.norm, 1 - 2 * t.cross + t.test]
    end = rf.theory.minimizer(dataclasses.replace(model, ridge=ridge))
    np.testing.assert_allclose(np.array(got), [end.train, end.test], rtol=1e-8)


@pytest.mark.parametrize("form", [twisted(), rotated(squares()), pencil(QUESTIONS[1])])
def test_two_point_function_is_a_derivative(form: Pencil) -> None:
    """At z_1 = z_2 it is minus the derivative of g along the constant part, by central differences."""
    z, h = 0.5 + 0.5j, 1e-5
    source = np.zeros_like(form.constant)
    source[0, 0], source[-1, -1] = 1.0, 0.5
    shifted = [dataclasses.replace(form, constant=form.constant + s * h * source) for s in (1, -1)]
    up, down = (semicircle(f, z).g for f in shifted)
    answer = semicircle(form, z)
    np.testing.assert_allclose(two_point(answer, answer, source), (down - up) / (2 * h), rtol=1e-6, atol=1e-8)


def test_two_point_function_of_a_drawn_pencil() -> None:
    form, d, points = rotated(twisted()), 240, (0.4 + 1.0j, -0.6 + 0.8j)
    drawn = draw_pencil(form, d, seed=5)
    source = np.diag([1.0, 0.3, -0.5])
    one, two = (drawn.inverse(z) for z in points)
    got = drawn.traces(one @ np.kron(source, np.eye(d)) @ two)
    expected = two_point(*(semicircle(form, z) for z in points), source)
    assert np.abs(got - expected).max() < 20 / d


def test_covariance_map_is_the_mean_over_the_gaussian_matrices() -> None:
    """E L G L for a fixed G (x) 1, by drawing; the crossed terms are of order 1/d."""
    form, d = rotated(twisted()), 60
    g = np.array([[1.0, 0.2, -0.3], [0.4, -0.5, 0.1], [0.7, 0.6, 0.8]])
    silent = dataclasses.replace(form, constant=0 * form.constant)
    mean = np.zeros((3, 3))
    for k in range(40):
        drawn = draw_pencil(silent, d, seed=k)
        mean += drawn.traces(drawn.matrix @ np.kron(g, np.eye(d)) @ drawn.matrix) / 40
    np.testing.assert_allclose(mean, covariance_map(form, g), atol=6 / d)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.floats(0.3, 5),
    st.floats(0.3, 5),
    st.floats(-2, 20),
    st.floats(1e-4, 2),
    st.sampled_from([1, 3, math.inf]),
)
def test_solution_is_unique_and_stable(psi_p: float, psi_n: float, x: float, height: float, m: float) -> None:
    """The Perron matrix |g_ij|^2 F_jk has spectral radius below one, and bounds the rate of the iteration."""
    form = pencil(rf.RandomFeatureModel(psi_p, psi_n, 0.2, TWO, noise_draws=m))
    z = np.asarray(x + 1j * height)
    answer = semicircle(form, z)
    own = np.diag(answer.g).imag
    flow = np.array([np.diag(covariance_map(form, np.diag(e))) for e in np.eye(own.size)]).T
    perron = np.abs(answer.g) ** 2 @ flow
    assert own.min() > 0
    radius = np.abs(np.linalg.eigvals(perron)).max()
    assert answer.rate <= radius * (1 + 1e-9) < 1
    seen = height * np.abs(answer.g[:, 0]) ** 2
    np.testing.assert_allclose(own - perron @ own, seen, rtol=1e-6, atol=1e-9 * own.max())


def test_rate_is_the_rate_of_the_plain_iteration() -> None:
    form, z = marchenko_pastur(2.0), np.asarray(2 + 0.1j)
    answer, g = semicircle(form, z), 1j * np.eye(2)
    errors = []
    for _ in range(200):
        g = step(form, z, g)
        errors.append(np.abs(g - answer.g).max())
    measured = (errors[160] / errors[100]) ** (1 / 60)
    assert measured == pytest.approx(float(answer.rate), rel=1e-3)
    matrix = response(form, answer.g, answer.g)
    assert np.abs(np.linalg.eigvals(matrix)).max() == pytest.approx(float(answer.rate), rel=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": [1.0, -1.0]}, "size"),
        ({"constant": [[0.0, 1.0], [1.0, 0.0]]}, "between blocks of one size"),
        ({"constant": [[0.0, 1.0], [0.0, 0.0]]}, "symmetric"),
        ({"gaussian": [np.eye(2)]}, "one shape of X"),
        ({"gaussian": [np.eye(3)]}, "shapes"),
        ({"z_block": 2}, "z_block"),
    ],
)
def test_bad_pencils_are_refused(change: dict, message: str) -> None:
    good = {"size": [2.0, 1.0], "constant": np.diag([0.0, -1.0]), "gaussian": [entry(0, 1, 2)], "z_block": 0}
    with pytest.raises(ValueError, match=message):
        Pencil(**{**good, **change})


def test_bad_points_and_sizes_are_refused() -> None:
    form = marchenko_pastur(0.5)
    for z in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match="z = .* is not allowed"):
            semicircle(form, z)
    with pytest.raises(RuntimeError, match="not converged"):
        semicircle(form, (1 + math.sqrt(0.5)) ** 2 + 1e-14j, steps=1)  # one step is no start at an edge
    with pytest.raises(ValueError, match="d = 3 is not allowed"):
        draw_pencil(form, 3, seed=0)
    one, other = semicircle(form, 1j), semicircle(marchenko_pastur(0.5), 1j)
    with pytest.raises(ValueError, match="different pencils"):
        two_point(one, other, np.eye(2))
    with pytest.raises(ValueError, match="shapes"):
        two_point(one, one, np.eye(3))
    with pytest.raises(ValueError, match="source .* between blocks of one size"):
        two_point(one, one, entry(0, 1, 2))
    with pytest.raises(ValueError, match="at least one point"):
        semicircle(form, [])
    with pytest.raises(ValueError, match="shape of g"):
        covariance_map(form, np.eye(3))
