"""The idx format of the MNIST files, plain or compressed, and resizing by areas."""

import gzip
import struct
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rfcore.checks import refuse

Array = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
FILES = ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte")


def read_idx(path: Path, axes: int) -> Bytes:
    """The array of unsigned bytes in an idx file, gzip-compressed or not.

    The file is a big-endian header, 0x00000800 + axes and the size of each axis, and then the bytes.
    Raises ValueError that names the file when header or length are not what they must be.
    """
    content = path.read_bytes()
    try:
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path.name} is damaged: {error}") from None
    header = 4 + 4 * axes
    if len(content) < header or struct.unpack(">I", content[:4])[0] != 0x800 + axes:
        raise refuse(f"header of {path.name}", content[:4].hex(), f"{0x800 + axes:08x} and {axes} sizes")
    shape = struct.unpack(f">{axes}I", content[4:header])
    if len(content) - header != int(np.prod(shape, dtype=np.int64)):
        raise refuse(f"length of {path.name}", len(content), f"{header} + {' x '.join(map(str, shape))}")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def images_file(path: Path) -> Path:
    """``path`` itself, or in a folder the first there is of :data:`FILES`, each plain or .gz."""
    if path.is_file():
        return path
    candidates = [path / (name + end) for name in FILES for end in ("", ".gz")]
    found = [each for each in candidates if each.is_file()]
    if not found:
        allowed = f"an idx file of images, or a folder with {' or '.join(FILES)}, plain or .gz"
        raise refuse("path", str(path), allowed)
    return found[0]


def labels_file(images: Path) -> Path | None:
    """The file of labels beside a file of images, plain or .gz; None where there is none."""
    name = images.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
    for each in (images.with_name(name), images.with_name(name + ".gz")):
        if each.is_file() and each != images:
            return each
    return None


@cache
def area_matrix(old: int, new: int) -> Array:
    """Matrix (new, old) that resizes by areas: row k averages [k, k + 1) old/new, rows sum to 1."""
    edges = np.arange(new + 1) * (old / new)
    pixels = np.arange(old)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.asarray(np.maximum(overlap, 0) * (new / old))


def resized(pictures: Array, height: int, width: int) -> Array:
    """Pictures (..., H, W) resized by areas to (..., height, width)."""
    rows, columns = area_matrix(pictures.shape[-2], height), area_matrix(pictures.shape[-1], width)
    return np.asarray(rows @ pictures @ columns.T)
