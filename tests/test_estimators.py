"""Training times from curves whose crossings are known, and from samples whose law is known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import linregress
from scipy.stats import t as student

from rfcore.images import estimators as es

Array = np.ndarray
QUICK = settings(derandomize=True, deadline=None, max_examples=25)
GRID = np.r_[0, np.geomspace(50, 5000, 40)]


def histories(middle: float, width: float, m: int, seed: int, tau: Array = GRID) -> Array:
    """Ratios (K, m): sample i is a copy from its own time on, whose log is logistic about log(middle)."""
    rng = np.random.default_rng(seed)
    start = math.log(middle) + width * rng.logistic(size=m)
    with np.errstate(divide="ignore"):
        return np.where(np.log(tau)[:, None] >= start, 0.1, 0.9)


def sigmoid_time(middle: float, width: float, q: float) -> float:
    """Where f_mem = 1/(1 + exp(-(log tau - log middle)/width)) is q."""
    return middle * (q / (1 - q)) ** width


# --- f_mem


@pytest.mark.parametrize("q", [0.1, 0.5])
def test_tau_mem_of_a_sigmoid(q: float) -> None:
    """Forty experiments of 400 samples: unbiased, and the interval holds the truth as often as it says."""
    exact = sigmoid_time(600, 0.3, q)
    found = [es.tau_mem(GRID, histories(600, 0.3, 400, seed), q, resamples=100) for seed in range(40)]
    values = np.log([each.value for each in found])
    assert abs(values.mean() - math.log(exact)) < 4 * values.std() / math.sqrt(40) + 0.01
    inside = sum(each.low <= exact <= each.high for each in found)
    assert inside >= 34  # 38 expected; 34 or fewer have probability 0.05
    spread = np.mean([np.log(each.high / each.low) for each in found]) / 3.92
    assert spread == pytest.approx(values.std(), rel=0.35)


def test_times_at_higher_levels_are_later() -> None:
    ratios = histories(600, 0.4, 200, seed=1)
    times = [es.tau_mem(GRID, ratios, q, resamples=10).value for q in (0.01, 0.1, 0.5)]
    assert times == sorted(times) and times[0] < times[2]
    assert es.tau_mem(GRID, ratios, 0.1, ratio=0.05, resamples=10).bound == ">"  # no ratio is below 0.05


def test_censored_times_are_bounds() -> None:
    never, always = np.full((41, 30), 0.9), np.full((41, 30), 0.1)
    late, early = (es.tau_mem(GRID, each, resamples=50) for each in (never, always))
    assert (late.bound, late.value, str(late)) == (">", GRID[-1], "> 5e+03") and late.low == math.inf
    assert (early.bound, early.value, early.low) == ("<=", GRID[1], 0) and early.censored
    # A level that only some resamples reach: the interval is open above.
    some = np.where(np.arange(30) < 3, np.linspace(1, 0.2, 41)[:, None], 0.9)
    edge = es.tau_mem(GRID, some, q=0.1, resamples=200)
    assert not edge.censored and edge.high == math.inf and edge.low < edge.value


def test_interpolation_is_linear_in_log_tau() -> None:
    tau = np.array([0, 10, 1000])
    ratios = np.where(np.arange(10) < np.array([0, 1, 9])[:, None], 0.1, 0.9)
    assert es.tau_mem(tau, ratios, 0.5, resamples=9).value == pytest.approx(100)
    assert es.tau_mem(tau, ratios, 0.3, resamples=9).value == pytest.approx(10 ** (1 + 2 * 0.25))


@QUICK
@given(st.lists(st.floats(0, 1), min_size=2, max_size=12))
def test_monotone_is_the_projection(values: list[float]) -> None:
    """The isotonic fit is max over starts of min over ends of means of the curve (minimax formula)."""
    y = np.array(values)
    exact = [
        max(min(y[a:b].mean() for b in range(k + 1, y.size + 1)) for a in range(k + 1)) for k in range(y.size)
    ]
    assert np.allclose(es.monotone(y), exact, atol=1e-12)


# --- other times


def test_tau_gen_of_a_known_curve() -> None:
    """D = 1 + (T/tau)^2: 1.25 times its least value at about 2T; copies at the end do not count."""
    tau = np.r_[0, np.geomspace(10, 1e5, 400)]
    distance = np.r_[1e4, 1 + (100 / tau[1:]) ** 2]
    memorized = np.where(tau > 2e4, 0.5, 0)
    least = 1 + (100 / tau[memorized == 0].max()) ** 2
    exact = 100 / math.sqrt(1.25 * least - 1)
    assert es.tau_gen(tau, distance, memorized).value == pytest.approx(exact, rel=1e-4)
    copies = np.where(tau > 2e4, 0.1, distance)  # a memoriser may score less than any honest network
    assert es.tau_gen(tau, copies, memorized).value == pytest.approx(exact, rel=1e-4)
    assert es.tau_gen(tau, copies, 0 * memorized).value > 2e4


def test_tau_gen_of_a_distance_that_still_falls_is_a_bound() -> None:
    """Copies appear before the distance has levelled off: how good the samples could get is not known."""
    tau, distance = np.array([0, 10, 100, 1000, 10_000]), np.array([1e4, 1e3, 100, 10, 1])
    found = es.tau_gen(tau, distance, [0, 0, 0, 0.2, 0.9], error=0.01 * distance)
    assert (found.bound, found.value, found.high) == (">", 100, math.inf)
    level = es.tau_gen(tau, [1e4, 1e3, 100, 90, 80], np.zeros(5))
    assert not level.censored and 10 < level.value < 100 + 1e-9


def test_tau_gen_interval_follows_the_errors() -> None:
    """d log D/d log tau = -slope at the crossing: an error e of D moves the time by e/slope."""
    tau = np.geomspace(10, 1e4, 16)
    distance = np.where(tau < 1000, (1000 / tau) ** 2, 1.0)
    found = es.tau_gen(tau, distance, np.zeros(16), error=0.02 * distance)
    exact = es.tau_gen(tau, distance, np.zeros(16))
    assert math.isnan(exact.low) and exact.value == found.value and exact.replicates.size == 0
    # The level moves by the least of six values at the floor, the point by its neighbours: 0.01 to 0.02.
    spread = np.std(np.log(found.replicates))
    assert 0.005 < spread < 0.02 and found.low < found.value < 1.1 * found.high


def test_tau_gap() -> None:
    """Test loss 1, train loss 1 - 0.1 log_10 tau: the relative gap is 0.1 at tau = 10."""
    tau = np.r_[0, np.geomspace(1, 1e4, 30)]
    train = np.r_[1.0, 1 - 0.1 * np.log10(tau[1:])]
    found = es.tau_gap(tau, train, np.ones(31), error=np.full(31, 0.005))
    assert found.value == pytest.approx(10, rel=1e-12)
    # An error 0.005 is 0.05 decades, times less than one: the first of several noisy points crosses.
    assert 10 / 10**0.2 < found.low < 10 < found.high * 1.05 < 10 * 10**0.2
    assert es.tau_gap(tau, train, np.ones(31), level=0.5).bound == ">"
    assert es.tau_gap(tau, train - 0.2, np.ones(31)).bound == "<="


@QUICK
@given(st.floats(0.5, 3.5), st.floats(0.1, 5))
def test_tau_over_of_a_parabola_is_exact(middle: float, bend: float) -> None:
    tau = np.r_[0, np.geomspace(1, 1e4, 13)]
    loss = np.r_[9.0, 1 + bend * (np.log10(tau[1:]) - middle) ** 2]
    found = es.tau_over(tau, loss, error=np.full(14, 1e-3), resamples=100)
    assert found.value == pytest.approx(10**middle, rel=1e-9)
    assert found.low <= found.value <= found.high


def test_tau_over_at_the_ends() -> None:
    tau = np.r_[0, np.geomspace(50, 2000, 6)]
    assert str(es.tau_over(tau, np.r_[0.1, np.arange(6)])) == "<= 50"
    assert es.tau_over(tau, np.r_[9, -np.arange(6.0)]).bound == ">"


# --- laws in n


def drawn(n: float, seed: int, exponent: float = 1.0, start: float = 30) -> es.Time:
    tau = np.geomspace(20, 2e5, 60)
    return es.tau_mem(tau, histories(start * n**exponent, 0.3, 300, seed, tau), resamples=100, seed=seed)


@pytest.mark.parametrize("exponent", [0.0, 1.0])
def test_slope_of_a_known_law(exponent: float) -> None:
    n = [16, 32, 64, 128, 256]
    start = 30 if exponent else 600
    found = es.scaling(n, [drawn(size, 7 * k, exponent, start) for k, size in enumerate(n)])
    assert found.low < exponent < found.high and found.fit_low < exponent < found.fit_high
    assert found.points == 5 and found.censored == 0 and found.lost == 0
    assert abs(found.slope - exponent) < 0.1 and found.high - found.low < 0.25
    assert found.scale * 64**found.slope == pytest.approx(
        sigmoid_time(start * 64**exponent, 0.3, 0.1), rel=0.1
    )


def test_slope_interval_covers() -> None:
    """Thirty experiments: the bootstrap interval holds the true slope about as often as it says."""
    n = [16, 64, 256]
    found = [es.scaling(n, [drawn(size, 10 * s + k) for k, size in enumerate(n)], seed=s) for s in range(30)]
    assert sum(each.low <= 1 <= each.high for each in found) >= 25
    slopes = np.array([each.slope for each in found])
    assert abs(slopes.mean() - 1) < 4 * slopes.std() / math.sqrt(30) + 0.01


def test_seeds_widen_the_interval() -> None:
    """Three initialisations for each n: their luck, a factor of two, shows in both intervals."""
    n, width = np.repeat([16, 64, 256], 3), []
    for luck in (np.ones(3), np.array([0.5, 1.0, 2.0])):
        times = [
            drawn(size * each, 5 * k) for k, (size, each) in enumerate(zip(n, np.tile(luck, 3), strict=True))
        ]
        found = es.scaling(n, times)
        assert found.points == 9 and found.low < 1 < found.high and found.fit_low < 1 < found.fit_high
        width.append((found.high - found.low, found.fit_high - found.fit_low))
    assert width[1][0] > 1.5 * width[0][0] and width[1][1] > 2 * width[0][1]


def test_line_against_scipy() -> None:
    rng = np.random.default_rng(8)
    n = np.geomspace(10, 1000, 7)
    plain = [
        es.Time(3 * size**0.8 * math.exp(0.2 * rng.standard_normal()), "", 0, 0, np.empty(0)) for size in n
    ]
    found, exact = es.scaling(n, plain), linregress(np.log(n), np.log([each.value for each in plain]))
    assert found.slope == pytest.approx(exact.slope) and found.scale == pytest.approx(
        math.exp(exact.intercept)
    )
    reach = student.ppf(0.975, 5) * exact.stderr
    assert (found.fit_low, found.fit_high) == pytest.approx((exact.slope - reach, exact.slope + reach))


def test_censored_times_are_left_out() -> None:
    times = [drawn(size, k) for k, size in enumerate((16, 32, 64))]
    late = es.tau_mem(GRID, np.full((41, 9), 0.9))
    with_bound, without = es.scaling([16, 32, 64, 500], [*times, late]), es.scaling([16, 32, 64], times)
    assert with_bound.censored == 1 and with_bound.slope == without.slope
    with pytest.raises(ValueError, match="times"):
        es.scaling([16, 500], [times[0], late])


def test_slope_without_replicates() -> None:
    plain = [es.Time(3.0 * n, "", math.nan, math.nan, np.empty(0)) for n in (2, 4, 8)]
    found = es.scaling([2, 4, 8], plain)
    assert found.slope == pytest.approx(1) and found.scale == pytest.approx(3) and math.isnan(found.low)
    assert math.isnan(es.scaling([2, 4], plain[:2]).fit_low)


def test_collapse_finds_the_exponent() -> None:
    """Curves that are one function of tau/n: score near 0 at exponent 1, large away from it."""
    tau, n = np.r_[0, np.geomspace(20, 2e5, 60)], [16, 64, 256]
    curves = [(histories(30 * size, 0.4, 500, k, tau) < 1 / 3).mean(axis=1) for k, size in enumerate(n)]
    one = es.collapse_score([tau] * 3, n, curves)
    assert one.score < 0.01 and one.error < 0.05
    for exponent in (0.5, 1.5):
        assert es.collapse_score([tau] * 3, n, curves, exponent).score > 10 * one.score
    assert es.collapse_score([tau] * 3, n, curves, 0).score == pytest.approx(1)
    # Increasing curves that do not depend on n do not collapse in tau/n.
    same = [(histories(900, 0.4, 500, k, tau) < 1 / 3).mean(axis=1) for k in range(3)]
    assert es.collapse_score([tau] * 3, n, same).score > 10


def test_error_of_the_collapse_is_its_spread() -> None:
    """Curves of six n, each moved by its own luck: the jackknife against forty experiments."""
    tau, n, found = np.geomspace(20, 2e5, 40), 16 * 2 ** np.arange(6), []
    for seed in range(40):
        luck = np.exp(0.3 * np.random.default_rng(seed).standard_normal(6))
        curves = [1 / (1 + (30 * size * each / tau) ** 2) for size, each in zip(n, luck, strict=True)]
        found.append(es.collapse_score([tau] * 6, n, curves))
    stated = np.mean([each.error for each in found])
    assert 0.7 < stated / np.std([each.score for each in found], ddof=1) < 1.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: es.tau_mem([1, 1], np.ones((2, 3))), "tau"),
        (lambda: es.tau_mem([-1, 1], np.ones((2, 3))), "tau"),
        (lambda: es.tau_mem([0, 1], np.ones((3, 3))), "ratios"),
        (lambda: es.tau_mem([0, 1], np.full((2, 3), np.nan)), "ratios"),
        (lambda: es.tau_mem([0, 1], np.ones((2, 3)), q=1.5), "q"),
        (lambda: es.tau_gen([0, 1], [1, 0], [0, 0]), "distance"),
        (lambda: es.tau_gen([0, 1], [1, 2], [1, 1]), "memorized"),
        (lambda: es.tau_gen([0, 1], [1, 2], [0, 0], factor=1), "factor"),
        (lambda: es.tau_gen([0, 1], [1, 2], [0, 0], error=[1, -1]), "error"),
        (lambda: es.tau_gap([0, 1], [1, 2], [0, 1]), "test"),
        (lambda: es.tau_gap([0, 1], [1, 2, 3], [1, 1]), "train"),
        (lambda: es.tau_over([0, 1, 2], [1, 2, 3]), "tau"),
        (lambda: es.scaling([1, 2], []), "n"),
        (lambda: es.collapse_score([[1, 2]], [1], [[0, 1]]), "n"),
        (lambda: es.collapse_score([[1, 2]] * 2, [1, 2], [[0, 1], [0]]), "tau, memorized"),
        (lambda: es.collapse_score([[1, 2]] * 2, [1, 2], [[0, 0], [0, 0]]), "memorized"),
    ],
)
def test_bad_input(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]
