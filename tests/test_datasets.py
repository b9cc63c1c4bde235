"""Real data: counts and facts, splits, the covariance by brute force, controls against their definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcore import _patches, datasets

NAMES = ("digits", "patches")
QUICK = settings(derandomize=True, deadline=None, max_examples=25)


@pytest.fixture(scope="module", params=NAMES)
def data(request: pytest.FixtureRequest) -> datasets.Dataset:
    return getattr(datasets, request.param)()


def test_counts() -> None:
    digits, patches = datasets.digits(), datasets.patches()
    assert digits.images.shape == (1797, 1, 8, 8) and digits.x.shape == (1797, 64)
    assert patches.images.shape == (2080, 1, 16, 16) and patches.x.shape == (2080, 256)
    assert np.array_equal(np.bincount(digits.labels), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    assert patches.labels is None


def test_pictures_and_vectors(data: datasets.Dataset) -> None:
    assert data.images.dtype == np.float32 and data.x.dtype == np.float64
    assert data.images.min() >= -1 and data.images.max() <= 1
    assert np.abs(data.x.mean(axis=0)).max() < 1e-14
    assert np.abs(data.population.mean(axis=0)).max() < 1e-14
    # x + mean differs from the picture at most by one number per picture, its brightness.
    rest = data.images.reshape(len(data.x), -1) - (data.x + data.mean)
    assert np.ptp(rest, axis=1).max() < 1e-6
    with pytest.raises(ValueError, match="read-only"):
        data.x[0, 0] = 0


def test_digits_keep_their_brightness() -> None:
    data = datasets.digits()
    assert np.abs(data.images.reshape(1797, 64) - data.x - data.mean).max() < 1e-14


def test_patches_tile_the_photographs() -> None:
    from sklearn.datasets import load_sample_image

    images = datasets.patches().images
    for k, name in enumerate(("china.jpg", "flower.jpg")):
        tiles = images[k * 1040 : (k + 1) * 1040, 0].reshape(26, 40, 16, 16)
        red, green, blue = np.moveaxis(load_sample_image(name)[:416].astype(float), 2, 0)
        grey = (0.299 * red + 0.587 * green + 0.114 * blue) / 127.5 - 1
        assert np.abs(tiles.transpose(0, 2, 1, 3).reshape(416, 640) - grey).max() < 1e-6


@pytest.mark.parametrize("size", [2, 5])
def test_patch_covariance_by_brute_force(size: int) -> None:
    photos = _patches.photographs()
    windows = [np.lib.stride_tricks.sliding_window_view(p, (size, size)).reshape(-1, size**2) for p in photos]
    rows = np.concatenate(windows)
    rows = rows - rows.mean(axis=1, keepdims=True)
    exact = np.cov(rows.T, bias=True)
    # Round-off of running sums over 427 rows of 640 products.
    assert np.abs(datasets.patches(size).sigma - exact).max() < 1e-12


def test_covariance_of_the_dense_sample() -> None:
    """Every 16th patch against the exact covariance of all of them: one sampling error, about 4 per cent."""
    data = datasets.patches()
    sample = data.population.T @ data.population / len(data.population)
    assert np.linalg.norm(sample - data.sigma) < 0.05 * np.linalg.norm(data.sigma)


def test_covariance_law(data: datasets.Dataset) -> None:
    law = data.covariance
    assert law.eigenvalues.size == data.x.shape[1]
    assert law.variance == pytest.approx(np.trace(data.sigma) / data.x.shape[1], rel=1e-12)
    zero = law.eigenvalues < 1e-12 * law.eigenvalues.max()
    assert zero.sum() == {"digits": 3, "patches": 1}[data.name]


def test_order_is_a_permutation(data: datasets.Dataset) -> None:
    assert np.array_equal(np.sort(data.order), np.arange(len(data.x)))
    assert np.array_equal(data.order, np.random.default_rng(0).permutation(len(data.x)))


@QUICK
@given(n=st.integers(1, 400), name=st.sampled_from(NAMES))
def test_splits_are_disjoint_and_miss_the_test_set(n: int, name: str) -> None:
    data = getattr(datasets, name)()
    count = min((len(data.x) - data.tests) // n, 5)
    everything = np.concatenate([data.train(n, k) for k in range(count)] + [data.test])
    assert everything.size == count * n + data.tests
    assert np.unique(everything).size == everything.size
    assert np.array_equal(data.train(n), data.train(max(n // 2, 1) + n // 2 + 1)[:n])


def test_too_few_samples(data: datasets.Dataset) -> None:
    most = len(data.x) - data.tests
    assert data.train(most).size == most
    with pytest.raises(ValueError, match=rf"n = {most + 1} is not allowed.*{most}"):
        data.train(most + 1)
    with pytest.raises(ValueError, match=r"here split = 1"):
        data.train(most // 2 + 1, split=1)


def test_controls(data: datasets.Dataset) -> None:
    three = datasets.controls(data, 300, split=1, seed=3)
    assert np.array_equal(three.raw, data.x[data.train(300, 1)])
    norms = np.sum(three.equalised**2, axis=1)
    assert np.abs(norms / np.trace(data.sigma) - 1).max() < 1e-12
    assert not np.array_equal(three.gaussian, datasets.controls(data, 300, 1, seed=4).gaussian)
    assert np.array_equal(three.gaussian, datasets.controls(data, 300, 1, seed=3).gaussian)


def test_equalised_population_has_the_same_covariance(data: datasets.Dataset) -> None:
    transform, error = datasets.equalising_map(data)
    y = data.population @ transform.T
    y *= np.sqrt(np.trace(data.sigma)) / np.linalg.norm(y, axis=1, keepdims=True)
    measured = np.linalg.norm(y.T @ y / len(y) - data.sigma) / np.linalg.norm(data.sigma)
    assert measured == pytest.approx(error, rel=1e-6) and error <= 1e-3


def test_gaussian_control_has_covariance_sigma(data: datasets.Dataset) -> None:
    """For Gaussian rows of known mean E |S - Sigma|_F^2 = ((tr Sigma)^2 + tr Sigma^2)/n."""
    sigma, n = data.sigma, 1000
    x = datasets.controls(data, n, seed=1).gaussian
    expected = (np.trace(sigma) ** 2 + np.sum(sigma**2)) / n
    assert np.sum((x.T @ x / n - sigma) ** 2) == pytest.approx(expected, rel=0.25)


def test_gaussian_classes_have_the_moments_of_their_class() -> None:
    data, n = datasets.digits(), 1200
    draws = np.concatenate([datasets.gaussian_classes(data, n, seed=k) for k in range(40)])
    labels = np.tile(data.labels[data.train(n)], 40)
    for c in (0, 7):
        rows, made = data.x[data.labels == c], draws[labels == c]
        spread = np.cov(rows.T, bias=True)
        # Mean and covariance of m Gaussian draws: errors of squared size tr/m and (tr^2 + tr of square)/m.
        m = len(made)
        assert np.sum((made.mean(axis=0) - rows.mean(axis=0)) ** 2) < 3 * np.trace(spread) / m
        error = np.sum((np.cov(made.T, bias=True) - spread) ** 2)
        assert error < 1.5 * (np.trace(spread) ** 2 + np.sum(spread**2)) / m


def test_norm_statistics_of_gaussian_data(data: datasets.Dataset) -> None:
    root = np.linalg.cholesky(data.sigma + 1e-14 * np.eye(len(data.sigma)))
    x = np.random.default_rng(5).standard_normal((20_000, len(root))) @ root.T
    found = datasets.norm_statistics(x, data.sigma)
    assert abs(found.variance - found.gaussian) < 4 * found.error
    assert found.error < 0.05 * found.gaussian
    assert found.mean == pytest.approx(data.covariance.variance, abs=4 * np.sqrt(found.gaussian / len(x)))


def test_norms_of_real_data() -> None:
    """Patches differ in contrast: norms spread far more than Gaussian ones.  Digits have less spread."""
    patches, digits = datasets.patches(), datasets.digits()
    assert datasets.norm_statistics(patches.x, patches.sigma).ratio > 20
    assert datasets.norm_statistics(digits.x, digits.sigma).ratio < 0.4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: datasets.digits().train(0), "n = 0"),
        (lambda: datasets.digits().train(1.5), "n = 1.5"),
        (lambda: datasets.digits().train(3, split=-1), "split = -1"),
        (lambda: datasets.patches(1), "size = 1"),
        (lambda: datasets.patches(107), "size = 107 .* at most 106"),
        (lambda: datasets.patches(16.5), "size = 16.5"),
        (lambda: datasets.controls(datasets.digits(), 1286), "n = 1286"),
        (lambda: datasets.gaussian_classes(datasets.patches(), 5), "dataset = 'patches'"),
        (lambda: datasets.norm_statistics(np.zeros((1, 2)), np.eye(2)), "at least 2"),
        (lambda: datasets.norm_statistics(np.zeros((3, 2)), np.eye(3)), "sigma has shape"),
        (lambda: datasets.norm_statistics(np.full((3, 2), np.nan), np.eye(2)), "finite"),
    ],
)
def test_bad_input(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]
