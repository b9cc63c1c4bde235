"""How each stored result is computed again: remembered beside the files, to renew one that is damaged.

``FOLDER/.commands.json`` maps names to commands.  Where it says nothing, the first bytes of the damaged file
may: the provenance is written there.  What is found is shown to people, never executed.
"""

import json
import os
import shlex
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

INDEX = ".commands.json"
PAPERS = "provenance.json"
ALONE = "python -m rfcore experiment "
HEADER = struct.Struct("<4s5H3I2H")  # of a member of a zip file: signature, ..., lengths of name and extra


def announce(commands: Mapping[str, str], folder: Path) -> None:
    """Remember how the results of these names are computed; in one step, and only if something is new."""
    known = read(folder)
    if all(known.get(name) == command for name, command in commands.items()):
        return
    text = json.dumps({**known, **commands}, indent=0, sort_keys=True) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{INDEX}.{os.getpid()}.tmp"
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(folder / INDEX)
    finally:
        temporary.unlink(missing_ok=True)


def read(folder: Path) -> dict[str, str]:
    """What is remembered; nothing if that file is missing or damaged itself."""
    try:
        found = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: command for name, command in found.items() if _command(command)}


def renewal(path: Path) -> str:
    """The end of a complaint about ``path``: how to compute it again."""
    command = read(path.parent).get(path.stem) or _salvaged(path)
    if command is None:
        return "how it was computed is not recorded"
    return f"to compute it again: {shown(command, path.parent)}"


def shown(command: str, folder: Path) -> str:
    """The command as it is to be typed here: one experiment alone has to be told the folder."""
    return f"{command} --folder {shlex.quote(str(folder))}" if command.startswith(ALONE) else command


def _salvaged(path: Path) -> str | None:
    """The command in the first member of a file of which perhaps only the beginning is left."""
    try:
        with path.open("rb") as file:
            signature, *_, length, extra = HEADER.unpack(file.read(HEADER.size))
            name = file.read(length)
            file.seek(extra, os.SEEK_CUR)
            packed = file.read(1 << 20)
        if signature != b"PK\x03\x04" or name != PAPERS.encode():
            return None
        text = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, 1 << 20)
        command = json.loads(text)["command"]
    except Exception:  # anything may stand in a damaged file
        return None
    return command if _command(command) else None


def _command(text: Any) -> bool:
    """One line that can be printed: no control characters reach a terminal."""
    return isinstance(text, str) and text.isprintable()
