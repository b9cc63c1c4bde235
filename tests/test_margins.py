"""Every check of every chapter has a recorded margin: eight seeds, all below a third of its tolerance."""

import json

import nbformat
import pytest

from tools.margins import COMMAND, FILE, SHIFTS, fingerprint, verdicts
from tools.run_notebooks import chapters

CHAPTERS = pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)


@CHAPTERS
def test_every_verdict_has_an_honest_margin(path):
    notebook = nbformat.read(path, as_version=4)
    record = json.loads(FILE.read_text(encoding="utf-8")).get(path.stem)
    refresh = f"run `{COMMAND} {path.stem}`"
    assert record, f"{path.stem} has no recorded margins: {refresh}"
    assert record["sha256"] == fingerprint(notebook), f"the code of {path.stem} has changed: {refresh}"
    stored = {label: tolerance for label, (tolerance, _) in verdicts(notebook).items()}
    assert stored, f"{path.stem} checks nothing"
    assert stored == {label: check["tolerance"] for label, check in record["checks"].items()}, refresh
    for label, check in record["checks"].items():
        assert len(check["errors"]) == len(SHIFTS), f"{label} was not checked with every seed"
        assert max(check["errors"]) < check["tolerance"] / 3, f"{label} is too close to its tolerance"


@CHAPTERS
def test_stored_errors_belong_to_the_recorded_run(path):
    """The page shows the error of seed shift 0: of the size recorded, round-off aside."""
    record = json.loads(FILE.read_text(encoding="utf-8"))[path.stem]["checks"]
    for label, (tolerance, error) in verdicts(nbformat.read(path, as_version=4)).items():
        assert abs(error - record[label]["errors"][0]) <= 0.1 * tolerance, label
