"""Pictures from files: formats written byte by byte here, arrays computed by hand, damage refused."""

import gzip
import os
import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rfcore import _folder, _idx, datasets

RNG = np.random.default_rng(5)
DIGITS = RNG.integers(0, 256, (12, 28, 28), dtype=np.uint8)
CLASSES = RNG.integers(0, 10, 12, dtype=np.uint8)


def idx(array):
    header = struct.pack(">I", 0x800 + array.ndim) + b"".join(struct.pack(">I", k) for k in array.shape)
    return header + array.tobytes()


@pytest.fixture
def mnist_folder(tmp_path):
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(DIGITS)))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(CLASSES))
    return tmp_path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("RFCORE_QUIET", "1")
    return tmp_path / "cache"


# --- idx files


def test_mnist_is_padded_left_alone_or_resized(mnist_folder):
    grey = DIGITS / 127.5 - 1
    data = datasets.mnist(mnist_folder, tests=4)
    assert data.images.shape == (12, 1, 32, 32) and data.images.dtype == np.float32
    np.testing.assert_allclose(data.images[:, 0, 2:-2, 2:-2], grey, atol=1e-6)
    frame = np.ones((32, 32), bool)
    frame[2:-2, 2:-2] = False
    assert (data.images[:, 0, frame] == -1).all()
    np.testing.assert_array_equal(data.labels, CLASSES)
    bare = datasets.mnist(mnist_folder, size=28, tests=4)
    np.testing.assert_allclose(bare.images[:, 0], grey, atol=1e-6)
    # 16/28 = 4/7: repeat each pixel 4 times, average over squares of 7
    small = datasets.mnist(mnist_folder, size=16, tests=4)
    fine = grey.repeat(4, axis=1).repeat(4, axis=2).reshape(12, 16, 7, 16, 7)
    np.testing.assert_allclose(small.images[:, 0], fine.mean(axis=(2, 4)), atol=1e-6)


def test_mnist_finds_its_files(mnist_folder):
    by_file = datasets.mnist(mnist_folder / "t10k-images-idx3-ubyte.gz", tests=4)
    assert by_file.sha256 == datasets.mnist(mnist_folder, tests=4).sha256
    (mnist_folder / "train-images-idx3-ubyte").write_bytes(idx(DIGITS[::-1]))
    first = datasets.mnist(mnist_folder, size=28, tests=4)
    np.testing.assert_allclose(first.images[:, 0], DIGITS[::-1] / 127.5 - 1, atol=1e-6)
    assert first.labels is None


@pytest.mark.parametrize(
    "content, complaint",
    [
        (idx(DIGITS)[:-1], "length of bad = 9423"),
        (idx(DIGITS) + b"\0", "length of bad = 9425"),
        (b"\0\0\x09\x03" + idx(DIGITS)[4:], "header of bad = '00000903'"),
        (idx(CLASSES), "header of bad = '00000801'"),
        (b"", "header of bad = ''"),
        (gzip.compress(idx(DIGITS))[:-40], "bad is damaged"),
        (gzip.compress(idx(DIGITS))[:-4] + b"\1\2\3\4", "bad is damaged"),
        (idx(DIGITS[:, 1:]), r"size of the pictures in bad = \(27, 28\)"),
    ],
    # Not the bytes: compressed ones hold the second in which they were made, and workers compare names.
    ids=["short", "long", "kind", "labels", "empty", "cut", "checksum", "lower"],
)
def test_damaged_idx_files_are_refused_by_name(tmp_path, content, complaint):
    (tmp_path / "bad").write_bytes(content)
    with pytest.raises(ValueError, match=complaint):
        datasets.mnist(tmp_path / "bad", tests=4)


def test_wrong_labels_sizes_and_places_are_refused(mnist_folder, tmp_path):
    (mnist_folder / "t10k-labels-idx1-ubyte").write_bytes(idx(CLASSES[:-1]))
    with pytest.raises(ValueError, match="number of labels = 11"):
        datasets.mnist(mnist_folder, tests=4)
    (mnist_folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(ValueError, match="size = 20"):
        datasets.mnist(mnist_folder, size=20)
    with pytest.raises(ValueError, match="tests = 12"):
        datasets.mnist(mnist_folder / "t10k-images-idx3-ubyte.gz", size=28, tests=12)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="path = "):
        datasets.mnist(tmp_path / "empty")


# --- resizing


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.integers(1, 40), st.integers(1, 40))
def test_resizing_by_areas_is_exact(old, new):
    """Against whole numbers: split each old pixel in `new` parts, average groups of `old` parts."""
    weights = _idx.area_matrix(old, new)
    parts = np.kron(np.eye(new), np.ones(old)) @ np.kron(np.eye(old), np.ones((new, 1))) / old
    np.testing.assert_allclose(weights, parts, atol=1e-13)


# --- folders


def photo(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def by_hand(pixels, size):
    """Luminance, areas by whole numbers, centre crop, rounding: with fractions, one pixel at a time."""
    colours = pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)
    h, w = colours.shape[:2]
    height, width = round(h * size / min(h, w)), round(w * size / min(h, w))
    top, left = (height - size) // 2, (width - size) // 2
    out = np.empty((size, size), int)
    for a in range(size):
        for b in range(size):
            total = Fraction(0)
            for i, share_i in shares(a + top, h, height):
                for j, share_j in shares(b + left, w, width):
                    r, g, blue = (int(v) for v in colours[i, j])
                    total += share_i * share_j * Fraction(299 * r + 587 * g + 114 * blue, 1000)
            out[a, b] = round(total)
    return out


def shares(k, old, new):
    """Old pixels under new pixel k, each with its share of it."""
    left, right = Fraction(k * old, new), Fraction((k + 1) * old, new)
    for i in range(old):
        overlap = min(right, Fraction(i + 1)) - max(left, Fraction(i))
        if overlap > 0:
            yield i, overlap / (right - left)


def test_a_folder_against_squares_computed_by_hand(tmp_path, cache):
    """Twelve pictures: colour, grey, portrait, landscape, JPEG, palette, subfolder, natural order."""
    root = tmp_path / "img"
    shapes = [(8, 8, 3), (10, 7, 3), (7, 11, 3), (9, 9), (12, 8), (8, 13, 3), (5, 6, 3), (4, 4), (23, 16, 3)]
    pixels = [RNG.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]
    for k, each in enumerate(pixels):
        photo(root / f"{k + 1}.png", each)
    photo(root / "10.jpg", np.full((12, 18), 77, np.uint8), quality=100)
    photo(root / "12" / "a.png", pixels[0])
    Image.fromarray(pixels[3]).convert("P").save(root / "11.PNG")
    (root / "list_attr.txt").write_text("not a picture")
    (root / "._1.png").write_bytes(b"not a picture either")
    data = datasets.folder(root, size=4, tests=3)
    expected = [by_hand(each, 4) for each in pixels]
    expected += [np.full((4, 4), 77), by_hand(pixels[3], 4), by_hand(pixels[0], 4)]
    assert data.name == "img" and data.images.shape == (12, 1, 4, 4) and data.labels is None
    np.testing.assert_array_equal(np.rint((data.images[:, 0] + 1) * 127.5), expected)


def test_pictures_are_turned_upright(tmp_path, cache):
    pixels = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held so that the stored picture must turn clockwise
    photo(tmp_path / "a.png", pixels, exif=exif)
    np.testing.assert_array_equal(_folder.square(tmp_path / "a.png", 3), by_hand(np.rot90(pixels, -1), 3))


def test_the_cache_is_used_and_follows_the_files(tmp_path, cache, monkeypatch):
    root = tmp_path / "img"
    for k in range(3):
        photo(root / f"{k}.png", np.full((4, 4), 10 * k, np.uint8))
    first = datasets.folder(root, size=4, tests=1)
    calls = []
    decode = _folder.square
    monkeypatch.setattr(_folder, "square", lambda *a: calls.append(a) or decode(*a))
    assert datasets.folder(root, size=4, tests=1).sha256 == first.sha256 and not calls
    assert len(list(cache.rglob("*.npz"))) == 1 and not list(cache.rglob("*.tmp"))
    # another size, another date, one more file: each is another list
    datasets.folder(root, size=2, tests=1)
    assert len(calls) == 3
    photo(root / "0.png", np.full((4, 4), 99, np.uint8))
    os.utime(root / "0.png", ns=(1, 1))
    assert datasets.folder(root, size=4, tests=1).images[0, 0, 0, 0] == np.float32(99 / 127.5 - 1)
    photo(root / "3.png", np.full((4, 4), 5, np.uint8))
    assert len(datasets.folder(root, size=4, tests=1).images) == 4


def test_a_damaged_cache_is_made_again(tmp_path, cache):
    root = tmp_path / "img"
    photo(root / "0.png", np.full((4, 4), 200, np.uint8))
    photo(root / "1.png", np.full((4, 4), 100, np.uint8))
    first = datasets.folder(root, size=4, tests=1)
    (kept,) = cache.rglob("*.npz")
    content = kept.read_bytes()
    for damaged in (content[: len(content) // 2], b"", content.replace(bytes([200] * 16), bytes([9] * 16))):
        kept.write_bytes(damaged)
        assert datasets.folder(root, size=4, tests=1).sha256 == first.sha256
        assert kept.read_bytes() == content


def test_folders_that_are_none_are_refused(tmp_path, cache):
    with pytest.raises(ValueError, match="a folder with pictures"):
        datasets.folder(tmp_path / "nowhere")
    (tmp_path / "img").mkdir()
    with pytest.raises(ValueError, match="a folder with pictures"):
        datasets.folder(tmp_path / "img")
    photo(tmp_path / "img" / "fine.png", RNG.integers(0, 256, (30, 30), np.uint8))
    (tmp_path / "img" / "torn.png").write_bytes((tmp_path / "img" / "fine.png").read_bytes()[:500])
    with pytest.raises(ValueError, match=r"torn\.png is not a picture"):
        datasets.folder(tmp_path / "img", size=4, tests=1)
    (tmp_path / "img" / "torn.png").unlink()
    photo(tmp_path / "img" / "deep.png", np.zeros((4, 4), np.uint16))
    with pytest.raises(ValueError, match=r"mode of deep\.png"):
        datasets.folder(tmp_path / "img", size=4, tests=1)


# --- numpy files


@pytest.mark.parametrize("shape", [(9, 4, 5), (9, 3, 4, 5)])
def test_numpy_files(tmp_path, shape):
    images, order = RNG.integers(0, 256, shape, dtype=np.uint8), RNG.permutation(9).astype(np.int32)
    np.savez(tmp_path / "some.npz", images=images, order=order, labels=np.arange(9, dtype=np.uint8))
    data = datasets.array_file(tmp_path / "some.npz", tests=3)
    np.testing.assert_allclose(data.images.reshape(shape), images / 127.5 - 1, atol=1e-6)
    np.testing.assert_array_equal(data.train(2, split=1), order[2:4])
    np.testing.assert_array_equal(data.test, order[6:])
    np.testing.assert_array_equal(data.labels, np.arange(9))
    assert data.name == "some"


@pytest.mark.parametrize(
    "arrays, complaint",
    [
        ({"pictures": DIGITS}, "images in bad.npz = None"),
        ({"images": DIGITS / 255.0}, "images in bad.npz = ..float64"),
        ({"images": DIGITS, "order": np.zeros(12, int)}, "order in bad.npz"),
        ({"images": DIGITS, "labels": np.zeros(11, int)}, "labels in bad.npz"),
        ({"images": np.array([{}], dtype=object)}, "bad.npz is not an .npz file that can be read"),
    ],
)
def test_numpy_files_that_will_not_do(tmp_path, arrays, complaint):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(ValueError, match=complaint):
        datasets.array_file(tmp_path / "bad.npz", tests=2)


# --- subsets


def test_subsets_are_disjoint_nested_and_refuse_to_overlap(mnist_folder):
    data = datasets.mnist(mnist_folder, tests=4)
    parts = [data.train(4, split) for split in (0, 1)]
    assert set(parts[0]) | set(parts[1]) | set(data.test) == set(range(12))
    assert set(data.train(3)) < set(parts[0])
    for n, split in ((9, 0), (5, 1), (4, 2)):
        with pytest.raises(ValueError, match=f"n = {n}"):
            data.subset(n, split)


def test_the_two_scales(mnist_folder):
    data = datasets.mnist(mnist_folder, tests=4)
    plain, paper = data.subset(4, 1), data.subset(4, 1, "paper")
    np.testing.assert_array_equal(plain.train, data.images[data.train(4, 1)])
    np.testing.assert_array_equal(plain.test_labels, CLASSES[data.test])
    padded = np.pad(DIGITS / 255, ((0, 0), (2, 2), (2, 2)))
    mean = padded[data.train(4, 1)].mean()
    assert paper.mean == pytest.approx(mean, abs=1e-7)
    np.testing.assert_allclose(paper.train[:, 0], padded[data.train(4, 1)] - mean, atol=1e-6)
    np.testing.assert_allclose(paper.test[:, 0], padded[data.test] - mean, atol=1e-6)
    for part in (plain, paper):
        np.testing.assert_allclose(part.pictures(part.train), plain.train, atol=1e-6)
        assert part.train.dtype == part.test.dtype == np.float32
    with pytest.raises(ValueError, match="scale = 'unit'"):
        data.subset(4, 0, "unit")
