"""Writes chapters/provenance.md: what is stored under data/, where it comes from, and what it says.

    python -m tools.provenance

Everything on the page is computed from the stored files; loading them verifies their checksums.
"""

import sys
from pathlib import Path
from typing import Any

from rfcore import results
from tools.run_notebooks import ROOT
from tools.validation_fit import markdown
from tools.validation_report import report

PAGE = ROOT / "chapters" / "provenance.md"
COMMAND = "python -m tools.provenance"
# Files that people or chapters write: what they are, and how to renew them.
OTHERS = {
    "chapter-times.json": ("how long each chapter runs", "`python -m tools.chapter_times`"),
    "course.toml": (
        "which chapter needs which, goals and courses, from which the page for teachers is made",
        "hand",
    ),
    "margins.json": (
        "how far each check of each chapter is from failing, under eight seeds",
        "`make margins`",
    ),
    "claims": ("the claims of the sources, from which the register of claims is made", "hand"),
}
HEAD = """(provenance)=
# Stored results

Most numbers of this book are computed when a chapter runs. Some take too long for that; they are stored,
with where they come from. `rf.results.load(name)` returns the arrays and this information after it has
recomputed the checksum, and `rf.results.verify()` checks all files."""
RULE = """## Theory against simulation

The theory is exact at $d=\\infty$. At finite $d$ the mean over draws may differ from it by a correction of
order $1/d$, and by the error of the mean. So the rule is: $|\\text{mean}-\\text{theory}-C/d|$ is at most 3
standard errors, with one constant $C$ per quantity, fitted to $d=64, 128, 256$. The laws of the covariance
are such that $d$ eigenvalues follow them exactly at each $d$: nothing else is left over.

"Inside" is the share of numbers (quantities times dimensions) inside 2 and inside 3 standard errors, and
$\\chi^2$ per degree of freedom should be near one. Standard errors from few draws are uncertain
themselves, and a constant is fitted: the last line of a table says what exact agreement would give.
Quantities of one setting come from the same draws and are not independent."""

ORIGINS = """## Where each file comes from"""


def page() -> str:
    """The text of the page.  Raises ValueError for a file under data/ that nothing describes."""
    found = _contents().items()
    files = "\n".join(f"- `{name}`: {about.rstrip('.')}. Renewed by {how}." for name, (about, how) in found)
    parts = [HEAD, f"In the folder `data/`:\n\n{files}", RULE, report(), ORIGINS]
    parts += [_papers(results.load(name)) for name in results.names()]
    return "\n\n".join(parts) + "\n"


def _contents() -> dict[str, tuple[str, str]]:
    """What is under data/: about and command of each file or folder, sorted."""
    found = {}
    for path in sorted(results.FOLDER.iterdir()):
        if path.name.startswith("."):
            continue
        if path.suffix == ".npz":
            papers = results.load(path.stem).provenance
            if "about" not in papers:
                raise ValueError(
                    f"the provenance of data/{path.name} has no 'about': say there what it holds"
                )
            found[path.name] = papers["about"], f"`{papers['command']}`"
        elif path.name in OTHERS:
            found[path.name] = OTHERS[path.name]
        else:
            raise ValueError(f"data/{path.name} is not described: say in tools/provenance.py what it is")
    return found


def _papers(stored: results.Stored) -> str:
    """The provenance of one stored result."""
    papers: dict[str, Any] = dict(stored.provenance)
    versions = ", ".join(f"{name} {version}" for name, version in papers["versions"].items())
    sizes = [f"{name} {'×'.join(map(str, array.shape)) or 'scalar'}" for name, array in stored.arrays.items()]
    numbers = sum(array.size for array in stored.arrays.values())
    arrays = ", ".join(sorted(sizes)) if len(sizes) <= 10 else f"{len(sizes)} arrays, {numbers} numbers"
    rows = [
        ["command", f"`{papers['command']}`"],
        ["seeds", str(papers["seed"])],
        ["arrays", arrays],
        ["run", f"{papers['date']}, {_duration(papers['seconds'])} by the clock on one {papers['device']}"],
        ["source", f"commit `{papers['commit']}`"],
        ["with", f"Python {papers['python']}, {versions}, {papers['platform']}"],
        ["SHA-256", f"`{stored.sha256}`"],
    ]
    return f"### {stored.name}\n\n{markdown(['', ''], rows)}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def main() -> int:
    text = page()
    temporary = Path(f"{PAGE}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(PAGE)
    print(f"{PAGE.relative_to(ROOT)}: {len(text)} characters")
    return 0


if __name__ == "__main__":
    sys.exit(main())
