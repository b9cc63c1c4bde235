"""The comparison of outputs can fail: a stored digit or verdict that is changed turns it red."""

import os
import re
import subprocess
import sys
from xml.etree import ElementTree

import nbformat
import pytest

from tools.run_notebooks import QUIET, ROOT, chapters
from tools.run_tests import NBVAL, SANITIZE

FASTEST = "04-stieltjes-transform"
# What is changed in the stored output, in a cell of its own each.
CHANGES = {
    "measured error": (r"(?m)^measured \S+$", "measured 4.2e-20"),
    "digit": (r"tolerance \d", "tolerance 7"),
    "verdict": (r" holds ", " fails "),
}


def spoil(notebook):
    """Makes the changes, each in the first cell that allows it and has none yet: kind of change by cell."""
    spoilt = {}
    for kind, (pattern, replacement) in CHANGES.items():
        for k, cell in enumerate(notebook.cells):
            texts = [o for o in cell.get("outputs", []) if re.search(pattern, o.get("text", ""))]
            if k in spoilt or not texts or "nbval-ignore-output" in cell.metadata.get("tags", []):
                continue
            old = texts[0].text
            texts[0].text = re.sub(pattern, replacement, old, count=1)
            if texts[0].text != old:
                spoilt[k] = kind
                break
    assert sorted(spoilt.values()) == sorted(CHANGES)
    return spoilt


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    """The kinds of change that failed in a copy of one chapter; a cell that was not changed is 'none'."""
    folder = tmp_path_factory.mktemp("copy")
    chapter = next(path for path in chapters() if path.stem == FASTEST)
    notebook = nbformat.read(chapter, as_version=4)
    spoilt = spoil(notebook)
    nbformat.write(notebook, folder / "copy.ipynb")
    report = folder / "report.xml"
    sanitize = [SANITIZE[0], str(ROOT / SANITIZE[1])]
    command = [sys.executable, "-m", "pytest", "-q", *NBVAL, *sanitize, f"--junitxml={report}", str(folder)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, **QUIET}, capture_output=True)
    cases = list(ElementTree.parse(report).iter("testcase"))
    code = [k for k, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    assert len(cases) == len(code), "a test for each code cell"
    bad = [k for k, case in zip(code, cases, strict=True) if any(c.tag in ("failure", "error") for c in case)]
    return [spoilt.get(k, "none") for k in bad]


def test_changed_digits_and_verdicts_fail_and_nothing_else_does(failed):
    assert sorted(failed) == ["digit", "verdict"]


def test_the_measured_error_may_differ(failed):
    assert "measured error" not in failed
