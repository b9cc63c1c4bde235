"""Training that is stopped, killed or damaged goes on bit for bit, or says why not."""

import os
import pickle
from dataclasses import replace

import pytest
import torch

from rfcore import images
from rfcore.images import _run
from tests.training_runs import DATA, KINDS, TINY, probe, same


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_stopped_after_every_step_ends_bit_for_bit_the_same(tmp_path, kind):
    question, state = replace(TINY, **kind), tmp_path / "run.pt"
    whole = images.train(question, DATA, measure=probe)
    for done in range(1, 13):
        part = images.train(question, DATA, measure=probe, state=state, limit=0)
        assert part.steps == done and part.finished == (done == 12)
    same(whole, part)
    assert [path.name for path in tmp_path.iterdir()] == ["run.pt"]


def test_a_run_killed_in_the_middle_goes_on_from_its_checkpoint(tmp_path):
    state, calls = tmp_path / "run.pt", []

    def failing(network, tau):
        calls.append(tau)
        if tau == 12 and len(calls) < 5:
            raise KeyboardInterrupt
        return probe(network, tau)

    with pytest.raises(KeyboardInterrupt):
        images.train(TINY, DATA, measure=failing, state=state)
    answer = images.train(TINY, DATA, measure=failing, state=state)
    same(images.train(TINY, DATA, measure=probe), answer)
    assert calls == [0, 3, 6, 12, 12]


def test_long_ways_between_checkpoints_are_saved_too(tmp_path, monkeypatch):
    monkeypatch.setattr(_run, "SAVE_EVERY", 0.0)
    written = []
    monkeypatch.setattr(_run._state, "write", lambda path, payload: written.append(payload["step"]))
    images.train(TINY, DATA, state=tmp_path / "run.pt")
    assert written == list(range(13))


def test_a_finished_run_is_only_read(tmp_path):
    state = tmp_path / "run.pt"
    first = images.train(TINY, DATA, measure=probe, state=state)
    content, date = state.read_bytes(), os.stat(state).st_mtime_ns
    again = images.train(TINY, DATA, measure=None, state=state)
    same(first, again)
    assert state.read_bytes() == content and os.stat(state).st_mtime_ns == date
    assert again.finished and not again.network.training


def test_a_write_that_fails_leaves_the_state_before(tmp_path, monkeypatch):
    state = tmp_path / "run.pt"
    images.train(TINY, DATA, state=state, limit=0)
    content = state.read_bytes()

    def fail(self, target):
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(type(state), "replace", fail)
        with pytest.raises(OSError, match="no space"):
            images.train(TINY, DATA, state=state, limit=0)
    assert state.read_bytes() == content and [path.name for path in tmp_path.iterdir()] == ["run.pt"]
    same(images.train(TINY, DATA), images.train(TINY, DATA, state=state))


@pytest.mark.parametrize("place", [0, 40, 0.3, 0.6, 0.9, -1])
def test_a_damaged_state_is_refused_by_name(tmp_path, place):
    state = tmp_path / "run.pt"
    images.train(replace(TINY, steps=1), DATA, state=state)
    content = bytearray(state.read_bytes())
    content[place if isinstance(place, int) else int(place * len(content))] ^= 1
    state.write_bytes(content)
    with pytest.raises(ValueError, match=r"run\.pt is damaged"):
        images.train(replace(TINY, steps=1), DATA, state=state)
    state.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"run\.pt is damaged"):
        images.train(replace(TINY, steps=1), DATA, state=state)


def test_a_state_is_never_executed(tmp_path):
    import hashlib
    import io

    class Harmful:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    buffer = io.BytesIO()
    torch.save({"schema": "rfcore/training/1", "step": Harmful()}, buffer)
    for content in (buffer.getvalue(), pickle.dumps(Harmful())):
        (tmp_path / "run.pt").write_bytes(content + hashlib.sha256(content).digest())
        with pytest.raises(ValueError, match=r"run\.pt"):
            images.train(TINY, DATA, state=tmp_path / "run.pt")
    assert not (tmp_path / "executed").exists()


def test_a_state_of_another_question_or_other_data_is_refused(tmp_path):
    state = tmp_path / "run.pt"
    images.train(TINY, DATA, state=state, limit=0)
    with pytest.raises(ValueError, match=r"question in run\.pt"):
        images.train(replace(TINY, seed=1), DATA, state=state)
    other = replace(DATA, images=-DATA.images)
    with pytest.raises(ValueError, match=r"data in run\.pt"):
        images.train(TINY, other, state=state)
