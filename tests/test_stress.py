"""The stress tool: a question can be repeated, and a broken law is reported and fails the run."""

import dataclasses
import math

import numpy as np
import pytest

import rfcore as rf
from tests.laws import Report
from tools import stress


def test_a_question_can_be_repeated_from_its_expression() -> None:
    for index in range(40):
        model = stress.question(np.random.default_rng([0, index]))
        again = eval(stress.expression(model), {"rf": rf, "math": math})
        np.testing.assert_allclose(again.covariance.weights, model.covariance.weights, rtol=3e-16)
        assert dataclasses.replace(again, covariance=model.covariance) == model
        np.testing.assert_array_equal(again.covariance.eigenvalues, model.covariance.eigenvalues)


def test_questions_depend_on_seed_and_index_alone() -> None:
    first, again, other = (stress.question(np.random.default_rng(key)) for key in ([0, 7], [0, 7], [1, 7]))
    assert first == again != other


def test_a_run_without_failures(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("RFCORE_QUIET", "1")
    monkeypatch.setattr("sys.argv", ["stress", "--questions", "3", "--seed", "3"])
    assert stress.main() == 0
    out = capsys.readouterr().out
    assert "3 questions (seed 3)" in out
    assert "0 with a broken law" in out


@pytest.mark.parametrize("raises", [False, True])
def test_a_failure_is_printed_with_its_question(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], raises: bool
) -> None:
    def broken(*_: object) -> Report:
        if raises:
            raise ArithmeticError("no answer")
        report = Report()
        report.law("some law", [0.0, math.nan], 1e-3, [1.0, 2.0])
        return report

    monkeypatch.setenv("RFCORE_QUIET", "1")
    monkeypatch.setattr(stress, "violations", broken)
    monkeypatch.setattr("sys.argv", ["stress", "--only", "5"])
    assert stress.main() == 1
    out = capsys.readouterr().out
    assert stress.expression(stress.question(np.random.default_rng([0, 5]))) in out
    assert ("ArithmeticError: no answer" if raises else "some law: nan > 0.001") in out
