"""Stored results: arrays, where they come from and a checksum, in one file.

``data/NAME.npz`` is numpy's own format with one more member, ``provenance.json``.  It is written in one
step (a reader sees the old file or the new one, never half of one), the same contents give the same
bytes, and loading recomputes the SHA-256 and never executes anything.  A file that is damaged is refused by
name, with the command that computes it again (kept in ``.commands.json`` beside the files).
"""

import contextlib
import datetime
import hashlib
import importlib.metadata
import io
import json
import os
import platform
import re
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore._commands import PAPERS, announce, renewal
from rfcore.checks import nonnegative, refuse

__all__ = ["Stored", "load", "names", "provenance", "save", "survey", "verify"]
SHARED = "share/rfcore"  # where an installed package keeps the book's results, below sys.prefix


def _folder() -> Path:
    """The repository's ``data``, or what an installed package brought with it."""
    beside = Path(__file__).resolve().parent.parent / "data"
    if not (beside / ".commands.json").exists():
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            for file in importlib.metadata.files("rfcore") or ():
                if file.parent.as_posix().endswith(SHARED):
                    return Path(str(file.locate())).resolve().parent
    return beside


FOLDER = _folder()
REQUIRED = ("command", "seed", "device", "commit", "versions", "seconds")
NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
EPOCH = (1980, 1, 1, 0, 0, 0)  # a fixed date inside the file: the same contents give the same bytes


@dataclass(frozen=True, eq=False)
class Stored:
    """A stored result.

    name : without ending;  arrays : by name, read-only;  provenance : by name, see :func:`provenance`
    sha256 : covers arrays and provenance

    >>> result = rf.results.load("features-digits")
    >>> sorted(result.provenance)[:3], len(result.sha256)
    (['about', 'accuracy_on_its_own_pictures', 'accuracy_on_pictures_never_seen'], 64)
    """

    name: str
    arrays: Mapping[str, npt.NDArray[Any]]
    provenance: Mapping[str, Any]
    sha256: str


def provenance(command: str, seed: Any, seconds: float, device: str = "cpu", **more: Any) -> dict[str, Any]:
    """Where a result comes from: what :func:`save` asks for, and platform, Python version and date.

    Parameters
    ----------
    command : what to type to compute the result again
    seed : the seed, or the rule by which all seeds follow
    seconds : wall time of the computation
    more : whatever else a reader needs, as plain JSON values (settings, the meaning of axes)

    The platform is the system and the processor's family; no host, user or path is recorded.

    Returns a dictionary for :func:`save`.  Raises ValueError unless seconds >= 0.

    >>> facts = rf.results.provenance("python -m rfcore experiment x", seed=0, seconds=1.5)
    >>> sorted(facts)
    ['command', 'commit', 'date', 'device', 'platform', 'python', 'seconds', 'seed', 'versions']
    """
    names = ("numpy", "scipy", "torch")
    return {
        "command": command,
        "seed": seed,
        "device": device,
        "commit": _commit(),
        "versions": {name: importlib.metadata.version(name) for name in names if _installed(name)},
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "seconds": nonnegative("seconds", seconds),
        **more,
    }


def save(
    name: str, arrays: Mapping[str, npt.ArrayLike], provenance: Mapping[str, Any], folder: str | Path = FOLDER
) -> Stored:
    """Write ``folder/NAME.npz`` in one step, and return what a later :func:`load` will return.

    name : small letters, digits and hyphens;  arrays : numbers or fixed-length text, no objects;
    provenance : JSON values with at least command, seed, device, commit, versions and seconds.

    Raises ValueError for anything else, before anything is written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     facts = rf.results.provenance("by hand", seed=0, seconds=0.0)
    ...     saved = rf.results.save("one", {"x": np.arange(3)}, facts, folder)
    ...     saved.sha256 == rf.results.load("one", folder).sha256
    True
    """
    folder = Path(folder)
    path = _path(name, folder)
    held = {_key(key): _plain(key, value) for key, value in arrays.items()}
    if missing := [key for key in REQUIRED if key not in provenance]:
        raise ValueError(f"provenance has no {', '.join(missing)}, which is not allowed: see provenance()")
    try:
        papers = json.loads(json.dumps(dict(provenance), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"provenance is not plain JSON, which is not allowed: {error}") from None
    sha256 = _checksum(held, papers)
    folder.mkdir(parents=True, exist_ok=True)
    announce({name: str(papers["command"])}, folder)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        _write(temporary, held, {**papers, "sha256": sha256})
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return _stored(name, held, papers, sha256)


def load(name: str, folder: str | Path = FOLDER) -> Stored:
    """Read a stored result and verify its checksum; nothing in the file is ever executed.

    name : without ending;  folder : where the file is, the book's data if left out

    Raises FileNotFoundError naming what there is, and ValueError, which says how to compute the result again,
    if the file is damaged or was changed.

    >>> rf.results.load("features-digits").provenance["command"]
    'python -m rfcore.images._features'
    """
    folder = Path(folder)
    path = _path(name, folder)
    if not path.exists():
        raise FileNotFoundError(f"no stored result {name!r}: there is {', '.join(names(folder)) or 'none'}")
    try:
        held, papers = _read(path)
        sha256 = papers.pop("sha256")
        found = _checksum(held, papers)
    except Exception as error:  # a damaged file can make a reader of zip files stumble over anything
        raise ValueError(f"{path.name} is damaged: {_line(error)}; {renewal(path)}") from None
    if found != sha256:
        wrong = f"its SHA-256 is {found}, recorded is {sha256}"
        raise ValueError(f"{path.name} is damaged: {wrong}; {renewal(path)}")
    return _stored(name, held, papers, sha256)


def verify(name: str | None = None, folder: str | Path = FOLDER) -> tuple[str, ...]:
    """Recompute the checksum of one stored result, or of all.

    name : without ending, None for all;  folder : where the files are, the book's data if left out

    Returns the names that were verified.

    Raises ValueError that lists every file which is damaged, FileNotFoundError for an unknown name.

    >>> rf.results.verify("features-digits")
    ('features-digits',)
    """
    wanted = names(folder) if name is None else (name,)
    complaints = []
    for each in wanted:
        try:
            load(each, folder)
        except ValueError as error:
            complaints.append(str(error))
    if complaints:
        raise ValueError("; ".join(complaints))
    return wanted


def survey(folder: str | Path = FOLDER) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Recompute every checksum in a folder and its subfolders: what holds, and what does not.

    Names are relative to ``folder``: ``images/curves``.  Every file ``.npz`` has to be a stored result.
    Raises FileNotFoundError if there is no such folder.

    Returns two lists of names: the files that hold, and a complaint for each of the others.

    >>> good, bad = rf.results.survey()
    >>> "features-digits" in good, bad
    (True, ())
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"folder = {str(folder)!r} is not there")
    good, complaints = [], []
    for path in sorted(folder.rglob("*.npz")):
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        where = path.relative_to(folder)
        if not NAME.fullmatch(path.stem):
            complaints.append(
                f"{where.as_posix()} is no stored result: names are small letters, digits, hyphens"
            )
            continue
        try:
            load(path.stem, path.parent)
            good.append(where.with_suffix("").as_posix())
        except ValueError as error:
            inside = "" if len(where.parts) == 1 else f"{where.parent.as_posix()}/"
            complaints.append(inside + str(error))
    return tuple(good), tuple(complaints)


def names(folder: str | Path = FOLDER) -> tuple[str, ...]:
    """The names of all stored results, sorted.

    Returns them without the ending.  Raises nothing: a folder that is not there has none.

    >>> "features-digits" in rf.results.names()
    True
    """
    return tuple(sorted(path.stem for path in Path(folder).glob("*.npz") if NAME.fullmatch(path.stem)))


def _path(name: str, folder: Path) -> Path:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise refuse("name", name, "small letters, digits and hyphens")
    return folder / f"{name}.npz"


def _key(key: str) -> str:
    if not isinstance(key, str) or not key.isidentifier():
        raise refuse("name of an array", key, "an identifier")
    return key


def _plain(key: str, value: npt.ArrayLike) -> npt.NDArray[Any]:
    array = np.array(value, order="C")
    if array.dtype.kind not in "biufcUS":
        raise refuse(f"dtype of {key}", str(array.dtype), "numbers, booleans or fixed-length text")
    return array


def _checksum(arrays: Mapping[str, npt.NDArray[Any]], papers: Mapping[str, Any]) -> str:
    """SHA-256 of the provenance and of every array's name, type, shape and bytes."""
    inventory = {
        key: [array.dtype.str, list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]
        for key, array in arrays.items()
    }
    text = json.dumps({"provenance": papers, "arrays": inventory}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _write(path: Path, arrays: Mapping[str, npt.NDArray[Any]], papers: Mapping[str, Any]) -> None:
    with path.open("wb") as file:
        with zipfile.ZipFile(file, "w") as archive:
            text = json.dumps(papers, indent=1, sort_keys=True) + "\n"
            archive.writestr(_member(PAPERS), text.encode())
            for key in sorted(arrays):
                buffer = io.BytesIO()
                np.lib.format.write_array(buffer, arrays[key], allow_pickle=False)
                archive.writestr(_member(f"{key}.npy"), buffer.getvalue())
        file.flush()
        os.fsync(file.fileno())


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, EPOCH)
    member.compress_type = zipfile.ZIP_DEFLATED
    return member


def _read(path: Path) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    with zipfile.ZipFile(path) as archive:
        papers = json.loads(archive.read(PAPERS))
        members = [name for name in archive.namelist() if name != PAPERS]
        arrays = {
            member.removesuffix(".npy"): np.lib.format.read_array(
                io.BytesIO(archive.read(member)), allow_pickle=False
            )
            for member in members
        }
    return arrays, papers


def _stored(name: str, arrays: dict[str, npt.NDArray[Any]], papers: Mapping[str, Any], sha256: str) -> Stored:
    for array in arrays.values():
        array.flags.writeable = False
    return Stored(name, MappingProxyType(arrays), MappingProxyType(dict(papers)), sha256)


def _line(error: Exception) -> str:
    """What an error says, as one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _commit() -> str:
    """The commit of the source, with a mark when the package differs from it; unknown without git."""
    root = FOLDER.parent

    def git(*arguments: str) -> str | None:
        try:
            run = subprocess.run(
                ["git", "--no-optional-locks", *arguments],
                cwd=root,
                capture_output=True,
                text=True,
                check=False,
            )
        except OSError:
            return None
        return run.stdout.strip() if run.returncode == 0 else None

    head = git("rev-parse", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no", "--", "rfcore")
    return "unknown" if not head else head + (" with changes in rfcore" if changed else "")
