"""What a command leaves behind: numbers and pictures, each written in one step."""

import argparse
import csv
import io
import os
from collections.abc import Callable, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from rfcore._cli.report import progress

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NUMBERS, PICTURES = (".csv", ".npz"), (".png", ".pdf", ".svg")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Where to write, and what to draw."""
    group = parser.add_argument_group("what is left behind")
    group.add_argument("--out", type=_ending(NUMBERS), metavar="FILE", help="the numbers: .csv or .npz")
    group.add_argument("--plot", type=_ending(PICTURES), metavar="FILE", help="a picture: .png, .pdf, .svg")
    group.add_argument(
        "--text-plot",
        action=argparse.BooleanOptionalAction,
        help="a picture in the terminal (as a rule; not in a pipe)",
    )


def prepare(plot: Path | None) -> None:
    """Complain about a missing matplotlib before anything long is computed."""
    if plot is not None:
        try:
            import matplotlib  # noqa: F401
        except ModuleNotFoundError:
            raise ModuleNotFoundError("--plot needs matplotlib (pip install matplotlib)") from None


def write_numbers(path: Path, columns: Mapping[str, npt.ArrayLike], command: str) -> None:
    """``.csv``: a head line and columns, short ones end in empty fields.  ``.npz``: arrays, and the command.

    Numbers in text are exact: each is the shortest that reads back as the same float64.
    """
    arrays = {name: np.asarray(values) for name, values in columns.items()}

    def write(file: BinaryIO) -> None:
        if path.suffix == ".npz":
            # Every array is plain numbers or text: nothing to unpickle.
            np.savez_compressed(file, allow_pickle=False, **arrays, command=np.array(command))
            return
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        table = csv.writer(text, lineterminator="\n")
        table.writerow(arrays)
        table.writerows(zip_longest(*(a.ravel().tolist() for a in arrays.values()), fillvalue=""))
        text.flush()
        text.detach()

    _in_one_step(path, write)


def write_picture(path: Path, figure: "Figure") -> None:
    """The same picture gives the same bytes: no date, no random names."""
    import matplotlib

    metadata: dict[str, Any] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix, {})
    with matplotlib.rc_context({"svg.hashsalt": "rfcore"}):
        _in_one_step(
            path, lambda file: figure.savefig(file, format=path.suffix[1:], dpi=200, metadata=metadata)
        )


def _in_one_step(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """A reader sees the old file or the new one, never half of one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        progress(f"wrote {path}")
    except OSError as error:
        raise OSError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)


def _ending(allowed: tuple[str, ...]) -> Callable[[str], Path]:
    def path(text: str) -> Path:
        found = Path(text)
        if found.suffix not in allowed or found.is_dir():
            raise argparse.ArgumentTypeError(f"{text!r} is not allowed: a file {', '.join(allowed)}")
        if not found.parent.is_dir():
            raise argparse.ArgumentTypeError(f"{text!r} is not allowed: there is no folder {found.parent}")
        return found

    return path
