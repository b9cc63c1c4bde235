"""One file that holds all of a run: written in one step, checked on loading, never executed."""

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import torch

SCHEMA = "rfcore/training/1"
_DIGEST = hashlib.sha256().digest_size


def write(path: Path, payload: dict[str, Any]) -> None:
    """Replace the file by this state; whoever reads meanwhile sees the old one or the new one."""
    buffer = io.BytesIO()
    torch.save({"schema": SCHEMA, **payload}, buffer)
    content = buffer.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content + hashlib.sha256(content).digest())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read(path: Path) -> dict[str, Any]:
    """The state in the file.  Raises ValueError that names a file which is damaged or is none of ours."""
    content = path.read_bytes()
    body, digest = content[:-_DIGEST], content[-_DIGEST:]
    advice = "delete it, and the run starts again"
    if hashlib.sha256(body).digest() != digest:
        raise ValueError(f"{path.name} is damaged or is no state of a run (SHA-256 differs): {advice}")
    try:
        payload: dict[str, Any] = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
        schema = payload["schema"]
    except Exception as error:  # the checksum is right, so it was made to be something else
        kind = type(error).__name__
        raise ValueError(f"{path.name} is no state of a run ({kind} on reading): {advice}") from None
    if schema != SCHEMA:
        raise ValueError(f"{path.name} has schema {schema!r}, not {SCHEMA!r}: {advice}")
    return payload
