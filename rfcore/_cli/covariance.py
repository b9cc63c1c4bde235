"""``--covariance``: a word, or a file with data or with their covariance."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore.checks import finite_array, refuse
from rfcore.covariance import Covariance

Array = npt.NDArray[np.float64]
WORDS = "isotropic, power-law:EXPONENT, low-rank:FRACTION, digits, patches"
FILES = """A file for --covariance is .npy, .npz or .csv. A square symmetric array is taken for a
covariance matrix, the rows of any other for samples, taken as they are: give them the
scale on which the network sees them. Nothing in a file is executed."""
ENDINGS = (".npy", ".npz", ".csv")
ATOMS = 256  # a law of more is merged to as many: it costs as much time as it has atoms
SYMMETRIC = 1e-10  # of the largest entry: what counts as symmetric in Covariance.from_matrix


def read(text: str) -> tuple[Covariance, str]:
    """The law that a word or a file stands for, and a line about it."""
    law, about = _word(text) or _file(text)
    small = law.compressed(ATOMS)
    merged = "" if small is law else f", merged to {ATOMS} eigenvalues (error {small.error:.0e})"
    return small, f"{about}, variance {small.variance:.4g}{merged}"


def _word(text: str) -> tuple[Covariance, str] | None:
    word, colon, value = text.partition(":")
    if word in ("digits", "patches") and not colon:
        data = _real(word)
        return data.covariance, f"{word}, d = {data.x.shape[1]}"
    if word == "isotropic" and not colon:
        return Covariance.isotropic(), "isotropic"
    if word in ("power-law", "low-rank"):
        try:
            number = float(value)
            law = Covariance.power_law(number) if word == "power-law" else Covariance.low_rank(number)
        except ValueError:
            allowed = "power-law:1.5, any exponent >= 0" if word == "power-law" else "low-rank:0.2, in (0, 1]"
            raise refuse("--covariance", text, allowed) from None
        about = f"eigenvalues k^-{number:g}" if word == "power-law" else f"{number:g} of all directions"
        return law, f"{word}, {about}"
    return None


def _real(word: str) -> Any:
    from rfcore import datasets

    try:
        return datasets.digits() if word == "digits" else datasets.patches()
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"--covariance {word} needs {error.name} (pip install scikit-learn Pillow)"
        ) from None


def _file(text: str) -> tuple[Covariance, str]:
    path = Path(text)
    if path.suffix not in ENDINGS:
        raise refuse("--covariance", text, f"{WORDS}, or a file {', '.join(ENDINGS)}")
    if not path.is_file():
        raise refuse("--covariance", text, "a file that is there")
    try:
        raw = _csv(path) if path.suffix == ".csv" else _numpy(path)
    except Exception as error:  # a damaged file can make a reader stumble over anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"--covariance: {path.name} cannot be read: {reason}") from None
    if raw.dtype.kind not in "biuf" or raw.ndim < 2 or raw.size == 0:
        found = f"{raw.dtype} {raw.shape}"
        raise ValueError(f"--covariance: {path.name} has {found}, which is not allowed: rows of real numbers")
    try:
        return _law(path.name, finite_array("a number", raw).reshape(len(raw), -1))
    except ValueError as error:
        raise ValueError(f"--covariance: {path.name}: {error}") from None


def _law(name: str, array: Array) -> tuple[Covariance, str]:
    """A square symmetric array is a covariance matrix; the rows of any other are samples."""
    rows, d = array.shape
    if rows == d and np.max(np.abs(array - array.T)) <= SYMMETRIC * np.max(np.abs(array)):
        return Covariance.from_matrix(array), f"{name}, a covariance matrix, d = {d}"
    return Covariance.from_data(array), f"{name}, {rows} samples, d = {d}"


def _numpy(path: Path) -> npt.NDArray[Any]:
    """The array of an .npy file; of an .npz file the only one, or that named covariance, x or images."""
    with path.open("rb") as opened:
        found: Any = np.load(opened, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found
        names = found.files if len(found.files) == 1 else ("covariance", "x", "images")
        for name in names:
            if name in found.files:
                return np.asarray(found[name])
        held = ", ".join(found.files) or "nothing"
        raise ValueError(f"it has {held}, and none of them is named {' or '.join(names)}")


def _csv(path: Path) -> Array:
    """Numbers between commas; a first line that is none is a head line."""
    lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    if not lines:
        raise ValueError("it is empty")
    try:
        np.loadtxt(lines[:1], delimiter=",")
        head = 0
    except ValueError:
        head = 1
    return np.asarray(np.loadtxt(lines[head:], delimiter=",", ndmin=2), dtype=np.float64)
