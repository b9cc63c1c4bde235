"""Patches of the two photographs that scikit-learn ships, and the exact covariance of all of them."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
LUMINANCE = np.array([0.299, 0.587, 0.114])


def photographs() -> list[Array]:
    """The two photographs as luminance in [-1, 1], rounded to float32 as the pictures are, (427, 640)."""
    from sklearn.datasets import load_sample_images

    colours: list[Any] = load_sample_images().images
    grey = [(colour.astype(np.float64) @ LUMINANCE / 127.5 - 1).astype(np.float32) for colour in colours]
    return [photo.astype(np.float64) for photo in grey]


def cut(photo: Array, size: int, stride: int) -> Array:
    """Every ``stride``-th patch in each direction, as rows (., size^2)."""
    windows = np.lib.stride_tricks.sliding_window_view(photo, (size, size))
    return np.array(windows[::stride, ::stride].reshape(-1, size * size))


def patch_covariance(photos: list[Array], size: int) -> Array:
    """Covariance of all overlapping patches without their brightness, (size^2, size^2)."""
    d = size * size
    parts = [_patch_moments(photo, size) for photo in photos]
    count = sum(part[0] for part in parts)
    mean = np.sum([part[1] for part in parts], axis=0) / count
    second = np.sum([part[2] for part in parts], axis=0) / count
    project = np.eye(d) - 1 / d
    sigma = project @ (second - np.outer(mean, mean)) @ project
    return np.asarray((sigma + sigma.T) / 2)


def _patch_moments(photo: Array, size: int) -> tuple[int, Array, Array]:
    """Number, sum (size^2,) and sum of outer products (size^2, size^2) of all overlapping patches.

    Pixels in rows a and a + delta of a patch meet in photograph rows r and r + delta, r = a, a + 1, ...:
    so the products are formed once per pair of photograph rows, and each a takes a window of the
    running sum over r.  That is ``size`` times cheaper than a sum over patches.
    """
    height, width = photo.shape
    rows, columns = height - size + 1, width - size + 1
    strips = np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(photo, size, axis=1))
    second = np.empty((size, size, size, size))
    for delta in range(size):
        products = strips[: height - delta].transpose(0, 2, 1) @ strips[delta:]
        running = np.concatenate([np.zeros((1, size, size)), np.cumsum(products, axis=0)])
        for a in range(size - delta):
            block = running[a + rows] - running[a]
            second[a, :, a + delta, :] = block
            second[a + delta, :, a, :] = block.T
    total = np.lib.stride_tricks.sliding_window_view(photo, (rows, columns)).sum(axis=(2, 3))
    return rows * columns, total.reshape(-1), second.reshape(size**2, size**2)
