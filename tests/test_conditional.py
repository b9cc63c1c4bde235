"""Conditional models: theory against single-class theory, theory against drawn data, bad input."""

import dataclasses
import math

import numpy as np
import pytest

import rfcore as rf

T, S = rf.theory, rf.simulation
LOW, HIGH = rf.Covariance(np.linspace(0.2, 1, 12)), rf.Covariance(np.linspace(3, 0.5, 12))
LINEAR = rf.LinearModel(0.25, 0.1)
NET = rf.RandomFeatureModel(psi_p=4, psi_n=4, t=0.1)
TAU = np.array([0.3, 3.0, 30.0, 300.0])


def conditional(base, readout="separate", weights=(0.3, 0.7), laws=(LOW, HIGH)):
    return rf.ConditionalModel(base, weights, laws, readout)


@pytest.mark.parametrize("ridge", [0.0, 0.05])
@pytest.mark.parametrize("base", [LINEAR, NET])
def test_equal_classes_share_the_answer_of_one_class(base, ridge):
    """K equal classes with one readout are one class: K + 1 equations against the closed ones of one law."""
    base = dataclasses.replace(base, covariance=HIGH, ridge=ridge)
    model = rf.ConditionalModel(base, (0.2, 0.3, 0.5), (), "shared")
    one, end = T.loss_curves(base, TAU), T.minimizer(base)
    for curves, last in zip(T.class_loss_curves(model, TAU), T.class_minimizers(model), strict=True):
        for name in ("train", "test", "empirical", "score_error"):
            error = 1e-10 / (base.delta if base is not LINEAR and hasattr(base, "delta") else 0.05)
            np.testing.assert_allclose(getattr(curves, name), getattr(one, name), atol=error)
            np.testing.assert_allclose(getattr(last, name), getattr(end, name), atol=error)


def test_equal_classes_share_the_divergences_of_one_class():
    base = dataclasses.replace(LINEAR, covariance=HIGH)
    found, one = T.kl(rf.ConditionalModel(base, (0.2, 0.8), (), "shared")), T.kl(base)
    assert found.generated_to_data == pytest.approx(one.generated_to_data, abs=1e-13)
    assert found.data_to_generated == pytest.approx(one.data_to_generated, abs=1e-13)


@pytest.mark.parametrize("base", [LINEAR, NET])
def test_separate_readouts_are_single_classes_on_slower_clocks(base):
    model = conditional(base)
    found = T.class_loss_curves(model, TAU)
    for k, (w, law) in enumerate(zip((0.3, 0.7), (LOW, HIGH), strict=True)):
        size = {"gamma": 0.25 / w} if base is LINEAR else {"psi_n": 4 * w}
        alone = dataclasses.replace(base, covariance=law, **size)
        np.testing.assert_array_equal(found[k].test, T.loss_curves(alone, w * TAU).test)
        np.testing.assert_array_equal(found[k].tau, TAU)
    mean = 0.3 * found[0].train + 0.7 * found[1].train
    np.testing.assert_allclose(T.loss_curves(model, TAU).train, mean, rtol=1e-14)


def test_the_shared_log_determinant_integrates_the_trace():
    """d/dc of the KL of a shared denoiser, by central differences, against tr Sigma_k^-1 - tr Q."""
    laws = (LOW, LOW)
    c, step = 0.3, 1e-4

    def forward(value):
        model = conditional(rf.LinearModel(0.6, value), "shared", laws=laws)
        return T.class_kls(model)[0].generated_to_data

    slope = 2 * (forward(c + step) - forward(c - step)) / (2 * step)
    inverse = float(LOW.weights @ (1 / LOW.eigenvalues))
    kappa = float(T.renormalized_noise(LOW, 0.6, c))
    trace = kappa / c * float(LOW.weights @ (1 / (LOW.eigenvalues + kappa)))
    assert slope == pytest.approx(inverse - trace, rel=1e-6)


@pytest.mark.parametrize("readout", ["separate", "shared"])
def test_linear_losses_and_divergences_of_drawn_data(readout):
    model, d, draws = conditional(LINEAR, readout), 60, 60
    real = S.realized(model, d)
    pairs = [
        *zip(S.class_loss_curves(model, TAU, d, draws, 0), T.class_loss_curves(real, TAU), strict=True),
        *zip(S.class_minimizers(model, d, draws, 0), T.class_minimizers(real), strict=True),
    ]
    for drawn, exact in pairs:
        for name in ("train", "test", "score_error"):
            error = 5 * getattr(drawn.standard_error, name) + 0.4 / d * (10 if name == "score_error" else 1)
            assert np.all(abs(getattr(drawn, name) - getattr(exact, name)) < error), name
    for drawn, exact in zip(S.class_kls(model, d, draws, 0), T.class_kls(real), strict=True):
        for name in ("generated_to_data", "data_to_generated"):
            error = 5 * getattr(drawn.standard_error, name) + 0.5 / d
            assert abs(getattr(drawn, name) - getattr(exact, name)) < error, name


@pytest.mark.parametrize("features", ["gaussian", "nonlinear"])
@pytest.mark.parametrize("readout", ["separate", "shared"])
def test_networks_on_drawn_classes(readout, features):
    """The error at d = 120 is that of a finite network: a few per cent, as for one class."""
    laws = (rf.Covariance([0.5, 2.0]), rf.Covariance([3.0, 1.0]))
    model = conditional(NET, readout, laws=laws)
    tau = np.geomspace(1, 1e5, 6)
    exact = T.class_loss_curves(S.realized(model, 120), tau)
    drawn = S.class_loss_curves(model, tau, 120, 1, features)
    for a, b in zip(drawn, exact, strict=True):
        np.testing.assert_allclose(a.train, b.train, rtol=0.03)
        np.testing.assert_allclose(a.test, b.test, rtol=0.05)
    last = zip(S.class_minimizers(model, 120, 1, features), T.class_minimizers(model), strict=True)
    assert all(a.test == pytest.approx(b.test, rel=0.05) for a, b in last)


def test_a_shared_network_trains_the_mean_loss():
    """The losses of the classes average to the train loss of the flow of U = sum pi_k U_k, which falls."""
    model = conditional(NET, "shared", laws=(rf.Covariance([0.5]), rf.Covariance([2.0])))
    train = S.loss_curves(model, np.geomspace(1, 1e5, 12), 40, 2).train
    assert np.all(np.diff(train) < 1e-12)
    parts = S.conditional.class_moments(model, 40, 2)
    whole = S.conditional.mixed(parts, (0.3, 0.7))[0]
    direct = S.dynamics.loss_curves(whole, np.geomspace(1, 1e5, 12)).train
    np.testing.assert_allclose(train, direct, rtol=1e-11)


def test_a_weak_label_is_no_label_and_a_label_moves_towards_separate():
    laws = (rf.Covariance([0.5]), rf.Covariance([2.0]))
    ends = []
    for label in (0.0, 1e-6, 1.0):
        model = rf.ConditionalModel(NET, (0.5, 0.5), laws, "shared", label)
        ends.append(S.minimizer(model, 50, 3).train)
    separate = S.minimizer(rf.ConditionalModel(NET, (0.5, 0.5), laws), 50, 3).train
    assert ends[1] == pytest.approx(ends[0], abs=1e-6)
    assert separate < ends[2] < ends[0]


@pytest.mark.parametrize("ridge", [0.0, 0.05])
def test_a_faint_label_is_a_shared_readout_in_other_equations(ridge):
    """K x K equations with sources, differentiated numerically, against the two-point formulas."""
    base = dataclasses.replace(NET, ridge=ridge)
    laws = (rf.Covariance([0.5, 2.0], [0.3, 0.7]), rf.Covariance([3.0, 1.0], [0.3, 0.7]))
    found, exact = (
        T.class_minimizers(rf.ConditionalModel(base, (0.3, 0.7), laws, "shared", label))
        for label in (1e-5, 0)
    )
    for a, b in zip(found, exact, strict=True):
        assert (a.train, a.test) == pytest.approx((b.train, b.test), abs=1e-7)
        assert a.error < 1e-7


def test_the_label_as_an_input_against_drawn_networks():
    laws = (rf.Covariance([0.5]), rf.Covariance([2.0]))
    model = rf.ConditionalModel(NET, (0.4, 0.6), laws, "shared", 1.0)
    drawn = zip(S.class_minimizers(model, 120, 4), T.class_minimizers(S.realized(model, 120)), strict=True)
    for a, b in drawn:
        assert (a.train, a.test) == pytest.approx((b.train, b.test), rel=0.05)


def test_given_classes_have_their_own_means_and_rests():
    """Real data: with all but one point in training the test loss is that of the point left out, any mean."""
    rng = np.random.default_rng(0)
    data = [rng.standard_normal((9, 3)) + 5, rng.standard_normal((9, 3)) - 5]
    model = rf.ConditionalModel(rf.LinearModel(3 / 16, 0.5), (0.5, 0.5), (), "shared")
    drawn = S.class_minimizers(model, 3, 200, 0, x=data)
    moved = S.class_minimizers(model, 3, 200, 0, x=[x + 1 for x in data])
    assert drawn[0].test == pytest.approx(moved[0].test, rel=1e-12)
    assert math.isnan(drawn[0].score_error)
    assert S.class_kls(model, 3, 5, 0, data)[0].generated_to_data > 0


def test_times_are_read_off_curves():
    """Curves made of two exponentials, with the times known."""
    tau = np.geomspace(1e-2, 1e4, 97)
    slow = 0.4 * (1 - np.exp(-tau / 1000))
    curves = rf.theory.loss_curves(NET, tau)
    made = dataclasses.replace(
        curves, test=0.5 + 0.5 * np.exp(-tau) + slow, train=0.5 + 0.5 * np.exp(-tau) - slow
    )
    end = dataclasses.replace(rf.theory.minimizer(NET), train=0.1, test=0.9)
    found = T.class_times([made], [end])
    assert found.learn[0] == pytest.approx(math.log(2), rel=0.02)
    assert found.memorize[0] == pytest.approx(1000 * math.log(2), rel=0.02)
    low = float(np.min(made.test))
    assert 1 < found.stop[0] < 20 and low < 0.51
    assert np.isnan(T.class_times([dataclasses.replace(made, train=made.test)], [end]).memorize[0])


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: rf.ConditionalModel("net", (1.0,)), "base"),
        (lambda: rf.ConditionalModel(NET, (0.5, 0.6)), "sum of weights"),
        (lambda: rf.ConditionalModel(NET, (1.5, -0.5)), "weights"),
        (lambda: rf.ConditionalModel(NET, (0.5, 0.5), (LOW,)), "covariances"),
        (lambda: rf.ConditionalModel(NET, (1.0,), (), "some"), "readout"),
        (lambda: conditional(NET, "shared", laws=(LOW, rf.Covariance([1.0]))), "covariances"),
        (lambda: conditional(dataclasses.replace(NET, noise_draws=2), "shared"), "noise_draws"),
        (lambda: rf.ConditionalModel(NET, (1.0,), label=1.0), "label"),
        (lambda: rf.ConditionalModel(LINEAR, (1.0,), (), "shared", 1.0), "label"),
        (lambda: T.class_loss_curves(conditional(NET), [-1.0]), "tau"),
        (lambda: T.loss_curves(rf.ConditionalModel(NET, (1.0,), (), "shared", 1.0), [1.0]), "label"),
        (
            lambda: T.minimizer(
                rf.ConditionalModel(dataclasses.replace(NET, activation="relu"), (1.0,), (), "shared", 1.0)
            ),
            "activation",
        ),
        (lambda: T.minimizer(rf.ConditionalModel(NET, (0.25,) * 4, (), "shared", 1.0)), "number of classes"),
        (lambda: T.class_kls(conditional(NET)), "base"),
        (lambda: T.minimizer(conditional(LINEAR, "shared"), 60), "d"),
        (lambda: S.class_minimizers(conditional(NET, weights=(0.001, 0.999)), 20, 0), "weights"),
        (lambda: S.class_kls(conditional(NET), 20, 2, 0), "base"),
        (lambda: S.minimizer(conditional(LINEAR, "shared"), 3, 2, 0, x=[np.ones((3, 3))] * 2), "shape of x"),
    ],
)
def test_bad_input_is_refused_by_name(make, named):
    with pytest.raises(ValueError, match=rf"(?s)^{named}.* not allowed"):
        make()
