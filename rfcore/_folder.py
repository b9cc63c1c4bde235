"""A folder of pictures as one array of grey squares, made once and kept in the user's cache."""

import hashlib
import os
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore._idx import resized
from rfcore._patches import LUMINANCE
from rfcore.checks import refuse
from rfcore.progress import progress

Array = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
ENDINGS = (".bmp", ".jpeg", ".jpg", ".png", ".pgm", ".ppm", ".tif", ".tiff", ".webp")
RULE = "luminance, resize by areas, centre crop, 1"  # part of the hash: another rule makes other caches
DEPTH_8 = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr")


def listing(root: Path) -> list[Path]:
    """All pictures below a folder by their endings, in natural order: 2.png comes before 10.png."""
    if not root.is_dir():
        raise refuse("path", str(root), "a folder with pictures")
    files = [
        each
        for each in root.rglob("*")
        if each.suffix.lower() in ENDINGS and each.is_file() and not each.name.startswith(".")
    ]
    if not files:
        raise refuse("path", str(root), f"a folder with pictures ({', '.join(ENDINGS)})")
    return sorted(files, key=lambda each: _natural(each.relative_to(root).as_posix()))


def squares(root: Path, size: int) -> Bytes:
    """Every picture of the folder as a grey square, uint8 (N, size, size); from the cache where it is there.

    The cache is found by a hash of the list of files (names, lengths, dates) and of ``size``.
    """
    files = listing(root)
    kept = _cache_file(root, files, size)
    try:
        with kept.open("rb") as stored, np.load(stored, allow_pickle=False) as archive:
            return np.asarray(archive["images"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass  # no cache, or a damaged one: make it
    grey = np.stack([square(each, size) for each in progress(files, "pictures")])
    kept.parent.mkdir(parents=True, exist_ok=True)
    temporary = kept.with_name(f".{kept.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            np.savez(file, images=grey)
        temporary.replace(kept)
    finally:
        temporary.unlink(missing_ok=True)
    return grey


def square(path: Path, size: int) -> Bytes:
    """One picture: luminance, shorter side resized to ``size`` by areas, centre crop, rounded to bytes.

    Turned upright where the camera says how it was held; transparency is ignored.
    Raises ValueError that names a file which is no picture of 8 bits per channel.
    """
    grey = _luminance(path)
    short = min(grey.shape)
    height, width = (round(side * size / short) for side in grey.shape)
    small = resized(grey, height, width)
    top, left = (height - size) // 2, (width - size) // 2
    return np.rint(small[top : top + size, left : left + size]).astype(np.uint8)


def _luminance(path: Path) -> Array:
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            picture: Any = ImageOps.exif_transpose(file)
            if picture.mode not in DEPTH_8:
                raise refuse(f"mode of {path.name}", picture.mode, f"one of {', '.join(DEPTH_8)}")
            if picture.mode in ("1", "L", "LA"):
                return np.asarray(picture.convert("L"), dtype=np.float64)
            return np.asarray(np.asarray(picture.convert("RGB"), dtype=np.float64) @ LUMINANCE)
    except (OSError, SyntaxError) as error:
        raise ValueError(f"{path.name} is not a picture that can be read: {error}") from None


def _natural(name: str) -> tuple[list[str | int], str]:
    parts = re.split(r"(\d+)", name)
    return [int(part) if k % 2 else part for k, part in enumerate(parts)], name


def _cache_file(root: Path, files: list[Path], size: int) -> Path:
    from platformdirs import user_cache_path

    digest = hashlib.sha256(f"{RULE} {size}\n".encode())
    for each in files:
        facts = each.stat()
        digest.update(f"{each.relative_to(root).as_posix()} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    return user_cache_path("rfcore") / f"folder-{digest.hexdigest()}.npz"
