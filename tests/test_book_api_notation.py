"""Every name in the code column of the notation page exists."""

import re
from pathlib import Path

import numpy as np
import pytest

import rfcore as rf

PAGE = (Path(__file__).parent.parent / "chapters" / "notation.md").read_text(encoding="utf-8")
ROWS = [line.split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
PLAIN = {"d", "n", "p", "x"}  # numbers and arrays of the reader's own


def code_names():
    cells = [row[1] for row in ROWS if len(row) == 3]
    return sorted({name for cell in cells for name in re.findall(r"`([^`]+)`", cell)} - PLAIN)


@pytest.fixture(scope="module")
def objects():
    model = rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1)
    linear = rf.LinearModel(gamma=0.5, noise_variance=0.2)
    return {
        "rf": rf,
        "model": model,
        "form": rf.theory.pencil(model),
        "at": rf.theory.semicircle(rf.theory.pencil(model), 1j),
        "law": model.covariance,
        "c": model.constants,
        "R": rf.theory.resolvent(model, 1j),
        "spectrum": rf.theory.support(model),
        "curves": rf.theory.loss_curves(model, [1.0]),
        "modes": rf.theory.mode_curves(model, [1.0]),
        "run": rf.simulation.moments(model, 20, seed=0),
        "score": rf.diffusion.EmpiricalScore(np.eye(3)),
        "linear": linear,
        "classes": rf.ConditionalModel(linear, (0.25, 0.75)),
        "scales": rf.ScaleLaw.student(5),
        "world": rf.CurvedManifold(0.5, 0.2),
        "third": rf.theory.third_bulk(model),
        "times": rf.theory.timescales(model),
        "descent": rf.Descent(model, 1.0),
        "end": rf.theory.wide_minimizer(model),
    }


def test_the_page_has_its_tables():
    assert len(code_names()) > 40


@pytest.mark.parametrize("name", code_names())
def test_the_name_exists(objects, name):
    assert eval(name, {"__builtins__": {}}, objects) is not None
