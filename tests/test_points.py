"""Points of a grid: equal questions have one name, and the command asks the same question again."""

import shlex

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import rfcore as rf
from rfcore._points import combinations, decoded, parsed, point_of, points_of, task_of
from tests import sweep_tasks as tasks

SLOW = "tests.sweep_tasks:slow"


def test_the_name_is_that_of_the_question():
    """Defaults, order, numpy's numbers and whole floats do not change a question; everything else does."""
    task = task_of(SLOW)
    same = [{"k": 1}, {"seconds": 0, "k": np.int64(1)}, {"k": 1, "seconds": np.float64(0)}]
    assert len({point_of(task, each).name for each in same}) == 1
    others = [{"k": 2}, {"k": 1, "seconds": 1e-300}]
    assert len({point_of(task, each).name for each in [same[0], *others]}) == 3
    anything = task_of(tasks.anything)
    values = [1, 1.0, True, "1", [1], [[1]], None, np.inf, "inf", rf.RandomFeatureModel(2, 2, 0.1)]
    assert len({point_of(anything, {"a": value}).name for value in values}) == len(values)


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NUMBERS = st.integers() | st.floats(allow_nan=False) | st.booleans()
QUESTIONS = st.builds(
    rf.RandomFeatureModel,
    st.floats(0.1, 10),
    st.floats(0.1, 10),
    st.floats(0.1, 1),
    covariance=st.integers(1, 3).map(lambda k: rf.Covariance.power_law(1.0, k)),
    noise_draws=st.sampled_from([1, np.inf]),
)
VALUES = NUMBERS | WORDS | st.lists(NUMBERS | WORDS, max_size=3) | QUESTIONS


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.dictionaries(st.sampled_from("abcde"), VALUES))
def test_the_command_asks_the_same_question(arguments):
    task = task_of(tasks.anything)
    point = point_of(task, arguments)
    assert point.command.isprintable()
    *head, word = (words := shlex.split(point.command))[:5]
    assert head == ["python", "-m", "rfcore", "experiment"]
    again = point_of(task_of(word), parsed(words[5:]))
    assert again.name == point.name and again.plain == point.plain


def test_grids():
    assert combinations({"a": [1, 2], "b": ["x", "y"], "c": 0}) == [
        {"a": a, "b": b, "c": 0} for a in (1, 2) for b in ("x", "y")
    ]
    task = task_of(tasks.anything)
    model = rf.RandomFeatureModel(2, 2, 0.1)
    assert points_of(task, [model])[0].arguments["a"] == model
    assert len(points_of(task, {"a": [1, 1, 2]})) == 2
    assert decoded(
        {"type": "rfcore.model:LinearModel", "gamma": 0.5, "noise_variance": 1.0}
    ) == rf.LinearModel(0.5, 1.0)
