"""Real data: bundled with scikit-learn (no download), or yours from a path; splits, and three controls.

Random matrix theory sees data through the covariance Sigma alone.  Real pictures have more: their norm
varies from picture to picture, they come in classes, their pixels are not Gaussian.  :func:`controls`
returns three data sets with the same Sigma, so that one theory line serves all three and the
differences say which part of that structure matters.
"""

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rfcore._controls import (
    Controls,
    NormStatistics,
    controls,
    equalising_map,
    gaussian_classes,
    norm_statistics,
)
from rfcore._cosines import Cosines, cosines
from rfcore._dataset import Dataset, Subset, centred, from_pictures, permutation
from rfcore._folder import squares
from rfcore._idx import images_file, labels_file, read_idx, resized
from rfcore._patches import cut, patch_covariance, photographs
from rfcore.checks import refuse, whole

__all__ = [
    "Controls",
    "Cosines",
    "Dataset",
    "NormStatistics",
    "Subset",
    "array_file",
    "controls",
    "cosines",
    "digits",
    "equalising_map",
    "folder",
    "gaussian_classes",
    "mnist",
    "norm_statistics",
    "patches",
]
Array = npt.NDArray[np.float64]
_STRIDE = 4
_MNIST_SEED = 20260103


@cache
def digits() -> Dataset:
    """Handwritten digits of scikit-learn: 1,797 pictures of 8 x 8, d = 64, ten classes, 512 of them held out.

    The population is the set of all 1,797: a training set of n is drawn from it *without* replacement,
    so that comparisons with n independent draws want n much smaller.  Sigma is singular: three pixels
    are the same in every picture.

    Raises nothing.

    >>> digits = rf.datasets.digits()
    >>> digits.x.shape, digits.covariance.eigenvalues.shape
    ((1797, 64), (64,))
    """
    from sklearn.datasets import load_digits

    raw = load_digits()
    images = (raw.images / 8 - 1).astype(np.float32)[:, None]
    return from_pictures("digits", images, permutation(len(images)), 512, raw.target.astype(np.int64))


@cache
def patches(size: int = 16) -> Dataset:
    """Grey patches of natural pictures, size x size, from the two photographs that scikit-learn ships.

    ``images`` are the disjoint patches (2,080 at size 16), a quarter of them held out.  Sigma is the exact
    covariance of *all* overlapping patches (515,000 at size 16); ``population`` holds every fourth of
    them in each direction.

    ``x`` has the brightness of each patch removed (its own mean over pixels), then the mean over patches.
    Brightness alone carries nine tenths of the variance of raw patches: one direction as strong as all
    others together, for which no law at d = infinity holds, not even for Gaussian data.  Without it the
    spectrum is a power law; Sigma has one zero eigenvalue, the constant patch.

    The held-out patches come from the same two photographs, and patches next to each other are correlated:
    this is real data, not independent draws.

    Raises ValueError for a size below 2, or so large that too few patches are left.

    >>> patches = rf.datasets.patches(size=8)
    >>> patches.images.shape[1:], patches.x.shape[1]
    ((1, 8, 8), 64)
    """
    s = whole("size", size, least=2)
    photos = photographs()
    if s > min(photos[0].shape) // 4:
        raise refuse("size", size, f"at most {min(photos[0].shape) // 4}, or too few patches are left")
    tiles = np.concatenate([cut(photo, s, s) for photo in photos])
    dense = np.concatenate([cut(photo, s, _STRIDE) for photo in photos])
    x, mean = centred(_without_brightness(tiles))
    population, _ = centred(_without_brightness(dense))
    images = tiles.reshape(-1, 1, s, s).astype(np.float32)
    sigma = patch_covariance(photos, s)
    return Dataset("patches", images, x, mean, permutation(len(x)), len(x) // 4, sigma, population)


def mnist(path: str | Path, size: int = 32, tests: int = 1808) -> Dataset:
    """Handwritten digits from files in the idx format of MNIST, plain or .gz.

    path : the file of images, or a folder with the files as published; of a training and a test file the
        training file is taken.  Labels come from the file beside it, where there is one
    size : 32 pads 28 x 28 with a frame of background, 28 leaves the pictures alone, 16 resizes by areas.
        With the frame Sigma is singular: never invert it without a floor
    tests : number of held-out pictures; 1,808 leave 8,192 of the 10,000 in the published test file

    Raises ValueError for a file whose header or length is wrong, or whose labels are not as many.

    >>> import pathlib, struct, tempfile
    >>> pixels = np.zeros((40, 28, 28), dtype=np.uint8)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "train-images-idx3-ubyte")
    ...     _ = path.write_bytes(struct.pack(">4i", 2051, 40, 28, 28) + pixels.tobytes())
    ...     rf.datasets.mnist(path, tests=8).images.shape
    (40, 1, 32, 32)
    """
    if size not in (16, 28, 32):
        raise refuse("size", size, "16, 28 or 32")
    file = images_file(Path(path))
    raw = read_idx(file, axes=3)
    if raw.shape[1:] != (28, 28):
        raise refuse(f"size of the pictures in {file.name}", raw.shape[1:], "(28, 28)")
    if size == 32:
        raw = np.pad(raw, ((0, 0), (2, 2), (2, 2)))
    grey = resized(raw.astype(np.float64), 16, 16) if size == 16 else raw
    beside = labels_file(file)
    labels = None if beside is None else read_idx(beside, axes=1).astype(np.int64)
    if labels is not None and len(labels) != len(raw):
        raise refuse("number of labels", len(labels), f"{len(raw)}, the number of pictures")
    return from_pictures("mnist", _unit(grey), permutation(len(raw), _MNIST_SEED), tests, labels)


def folder(path: str | Path, size: int = 32, tests: int = 2048) -> Dataset:
    """Any folder of pictures (for instance CelebA's img_align_celeba) as grey squares, d = size^2.

    path : of the folder;  size : side of the squares;  tests : number of held-out pictures

    Each picture: luminance 0.299 R + 0.587 G + 0.114 B, shorter side resized to ``size`` by areas, centre
    crop, rounded to bytes.  Files are taken in natural order of their names, subfolders included.

    The squares are computed once and kept in the user's cache folder, under a hash of the list of files
    (names, lengths, dates) and of ``size``.  Memory: 12 bytes per pixel of all squares.
    Raises ValueError for a folder without pictures, and names a file that cannot be read as one.

    >>> import pathlib, tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for k in range(12):
    ...         Image.new("RGB", (20, 30), (20 * k, 5 * k, 0)).save(pathlib.Path(folder, f"{k}.png"))
    ...     rf.datasets.folder(folder, size=8, tests=4).images.shape
    (12, 1, 8, 8)
    """
    root, side = Path(path), whole("size", size)
    grey = squares(root, side)
    return from_pictures(root.resolve().name, _unit(grey), permutation(len(grey)), tests)


def array_file(path: str | Path, tests: int = 2048) -> Dataset:
    """Pictures from a numpy ``.npz`` file.

    images : uint8 (N, H, W) or (N, C, H, W)
    labels : (N,) integers, may be left out
    order : (N,), a permutation; left out, a fixed one is drawn

    path : of the file;  tests : number of held-out pictures.  Nothing in the file is ever executed.

    Raises ValueError for a file that is no ``.npz`` file or has other arrays.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "grey.npz")
    ...     np.savez(path, images=np.arange(40 * 16, dtype=np.uint8).reshape(40, 4, 4))
    ...     rf.datasets.array_file(path, tests=8).images.shape
    (40, 1, 4, 4)
    """
    file = Path(path)
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in ("images", "labels", "order") if key in archive}
    except Exception as error:  # a damaged file can make a reader of zip files stumble over anything
        raise ValueError(f"{file.name} is not an .npz file that can be read: {error}") from None
    images = arrays.get("images")
    if images is None or images.dtype != np.uint8 or images.ndim not in (3, 4):
        found = None if images is None else (str(images.dtype), images.shape)
        raise refuse(f"images in {file.name}", found, "uint8 (N, H, W) or (N, C, H, W)")
    order = arrays.get("order", permutation(len(images))).astype(np.int64)
    if not np.array_equal(np.sort(order), np.arange(len(images))):
        raise ValueError(f"order in {file.name} is not allowed: a permutation of its {len(images)} pictures")
    labels = arrays.get("labels")
    if labels is not None and (labels.shape != (len(images),) or labels.dtype.kind not in "iu"):
        raise refuse(
            f"labels in {file.name}", (str(labels.dtype), labels.shape), f"integers ({len(images)},)"
        )
    classes = None if labels is None else labels.astype(np.int64)
    return from_pictures(file.stem, _unit(images), order, tests, classes)


def _unit(grey: npt.NDArray[np.uint8] | Array) -> npt.NDArray[np.float32]:
    """Bytes (N, H, W) or (N, C, H, W) as pictures in [-1, 1] with an axis of channels."""
    values = (grey / 127.5 - 1).astype(np.float32)
    return values if values.ndim == 4 else values[:, None]


def _without_brightness(x: Array) -> Array:
    return np.asarray(x - x.mean(axis=1, keepdims=True))
