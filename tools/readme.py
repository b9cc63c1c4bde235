"""Writes what README.md shows: the output of its commands, and its picture.

    python -m tools.readme

A command stands after a dollar sign in a block of its own, its output below it.  A test compares both with
what they are now.
"""

import contextlib
import io
import os
import re
import shlex
import sys
import tempfile
from pathlib import Path

from rfcore._command_line import main as rfcore
from tools.run_notebooks import QUIET, ROOT

BLOCK = re.compile(r"(?m)^```console\n\$ (python -m rfcore .*)\n((?:.*\n)*?)```$")
PICTURE = "losses --psi-p 16 --psi-n 8 --t 0.1 --simulate 64"
# The house style is drawn on white.  Seen at night the ink is light and the paper dark; the curves stay.
INK, PAPER = "#262626", "#ffffff"
STYLE = (
    f":root{{--ink:{INK};--paper:{PAPER}}}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--paper:#0d1117}}"
)


def printed(command: str) -> str:
    """What ``python -m rfcore ...`` prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = rfcore(shlex.split(command)[3:])
    if status:
        raise RuntimeError(f"{command}: exit status {status}")
    return out.getvalue()


def renewed(text: str) -> str:
    """The README with the output of its commands as it is now."""
    return BLOCK.sub(lambda found: f"```console\n$ {found[1]}\n{printed(found[1])}```", text)


def picture() -> str:
    """The picture of the first page, for light and dark pages."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "losses.svg")
        printed(f"python -m rfcore {PICTURE} --plot {path}")
        text = path.read_text(encoding="utf-8")
    text = re.sub(r"(?s) <metadata>.*?</metadata>\n", "", text)
    for name, color in (("ink", INK), ("paper", PAPER)):
        text = text.replace(color, f"var(--{name},{color})")
    return text.replace('<style type="text/css">', f'<style type="text/css">{STYLE}', 1)


def main() -> int:
    os.environ.update(QUIET)
    readme = ROOT / "README.md"
    for path, text in (
        (readme, renewed(readme.read_text(encoding="utf-8"))),
        (ROOT / "assets" / "losses.svg", picture()),
    ):
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
