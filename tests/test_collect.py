"""Sweeps stored for the chapters: every point's arrays, in the order of the plan, and what is missing."""

import numpy as np
import pytest

import rfcore as rf
from rfcore import results, sweep
from tools import collect

PLAN = 'experiment = "random-feature-losses"\n[grid]\npsi_n = [4.0, 2.0]\nd = 16\ntaus = 3\n'


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    (tmp_path / "tiny.toml").write_text(PLAN, encoding="utf-8")
    monkeypatch.setattr(sweep, "PLANS", tmp_path)
    monkeypatch.setitem(collect.ABOUT, "tiny", "two small runs")
    return tmp_path


def test_a_collected_sweep_holds_its_points_in_order(tiny):
    plan = sweep.read_plan("tiny")
    swept = rf.sweep.run(plan.experiment, list(plan.points), tiny / "runs", workers=0)
    stored, missing = collect.collect("tiny", tiny / "runs", tiny / "data")
    assert not missing
    assert [point["psi_n"] for point in stored.provenance["points"]] == [4.0, 2.0]
    for k, run in enumerate(swept.load()):
        for name, values in run.arrays.items():
            np.testing.assert_array_equal(stored.arrays[f"{name}_{k}"], values)
    assert results.verify("tiny", tiny / "data") == ("tiny",)

    (tiny / "runs" / f"{swept.names[0]}.npz").unlink()
    fewer, missing = collect.collect("tiny", tiny / "runs", tiny / "data")
    assert list(missing) == [swept.names[0]]
    assert [point["psi_n"] for point in fewer.provenance["points"]] == [2.0]
    assert fewer.provenance["missing"] == 1


def test_an_empty_folder_is_refused_with_the_command_that_fills_it(tiny):
    with pytest.raises(FileNotFoundError, match="rfcore sweep tiny"):
        collect.collect("tiny", tiny / "runs", tiny / "data")
