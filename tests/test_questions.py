"""Every public verb says so when it is asked the wrong kind of question."""

import inspect

import pytest

import rfcore as rf

BASE = rf.RandomFeatureModel(4, 4, 0.1)
QUESTIONS = [
    BASE,
    rf.LinearModel(0.5, 0.1),
    rf.ConditionalModel(BASE, (0.5, 0.5)),
    rf.Descent(BASE, 0.1),
    "a sentence",
    3,
]
# What else a verb must be given.
GIVEN = {
    "z": -0.1, "x": [1.0], "tau": [1.0, 2.0], "steps": [1, 2], "size": 10, "d": 10, "draws": 2, "seed": 0,
    "replicas": 1, "start_variance": 1.0, "direction": 1.0, "point": 1.0, "q": 1.0, "chi_1": 1.0,
    "start": 0.1, "end": 1.0, "alpha": 0.5, "w": [-1.0], "order": [1.0] * 5, "rate": 0.01,
    "layers": 2, "sets": 2,
}  # fmt: skip


def asked():
    for room in (rf.theory, rf.simulation):
        for name in room.__all__:
            verb = getattr(room, name)
            if not inspect.isfunction(verb):
                continue
            first = next(iter(inspect.signature(verb).parameters.values()))
            if first.name in ("model", "question") and "Callable" not in str(first.annotation):
                yield pytest.param(verb, id=f"{room.__name__.split('.')[1]}.{name}")


VERBS = list(asked())


def test_there_are_verbs_in_both_rooms():
    assert len(VERBS) > 50


@pytest.mark.parametrize("verb", VERBS)
def test_a_wrong_question_is_refused_by_name(verb):
    first, *others = inspect.signature(verb).parameters.values()
    handed_on = [p for p in others if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    more = {p.name: GIVEN[p.name] for p in others if p.default is p.empty and p not in handed_on}
    if handed_on:
        more |= {name: GIVEN[name] for name in ("d", "seed")}
    for question in QUESTIONS:
        try:
            verb(question, **more)
        except ValueError:
            continue
        except TypeError:  # a question that the verb knows, and options that are not for it
            assert handed_on
        assert isinstance(question, rf.RandomFeatureModel | rf.LinearModel | rf.ConditionalModel | rf.Descent)
    with pytest.raises(ValueError, match=f"^{first.name} = 3 is not allowed: "):
        verb(3, **more)
