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

SMALLEST = "04-stieltjes-transform"  # the chapter that runs fastest


def changed(path, pattern, replacement):
    """The notebook with one stored line of output changed."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if "nbval-ignore-output" in cell.metadata.get("tags", []):
            continue
        for output in cell.get("outputs", []):
            text = output.get("text", "")
            if re.search(pattern, text):
                output.text = re.sub(pattern, replacement, text, count=1)
                assert output.text != text
                return notebook
    raise AssertionError(f"{path.name} prints nothing like {pattern}")


@pytest.fixture(scope="module")
def failures(tmp_path_factory):
    """How many cells failed in copies of one chapter, by the kind of change made to the copy."""
    folder = tmp_path_factory.mktemp("copies")
    chapter = next((path for path in chapters() if path.stem == SMALLEST), None)
    if chapter is None:
        pytest.skip(f"chapters/{SMALLEST}.ipynb is not there")
    copies = {
        "measured": changed(chapter, r"measured \S+", "measured 4.2e-20"),
        "digit": changed(chapter, r"tolerance \d", "tolerance 7"),
        "verdict": changed(chapter, r" holds ", " fails "),
    }
    for name, notebook in copies.items():
        nbformat.write(notebook, folder / f"{name}.ipynb")
    report = folder / "report.xml"
    sanitize = [SANITIZE[0], str(ROOT / SANITIZE[1])]
    command = [sys.executable, "-m", "pytest", "-q", *NBVAL, *sanitize, f"--junitxml={report}", str(folder)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, **QUIET}, capture_output=True)
    result = dict.fromkeys(copies, 0)
    for case in ElementTree.parse(report).iter("testcase"):
        name = next(name for name in copies if name in case.get("classname", "") + case.get("name", ""))
        result[name] += any(child.tag in ("failure", "error") for child in case)
    return result


def test_an_unchanged_chapter_passes_whatever_error_it_measured(failures):
    assert failures["measured"] == 0


@pytest.mark.parametrize("change", ["digit", "verdict"])
def test_one_changed_output_is_caught(failures, change):
    assert failures[change] == 1
