"""Sweeps: killed at any moment they lose nothing and repeat nothing, here and on a cluster made by hand."""

import contextlib
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from rfcore import _cluster, results, sweep
from rfcore._command_line import main
from rfcore._commands import INDEX
from rfcore._points import points_of, task_of
from tests import sweep_tasks as tasks
from tools.run_notebooks import ROOT

LIMIT = 120  # seconds after which something hangs
SLOW = "tests.sweep_tasks:slow"
CHANGES = ("seconds", "date", "commit")  # what another run may say differently


@pytest.fixture(autouse=True)
def log(tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEP_LOG", str(tmp_path / "calls.txt"))
    monkeypatch.setenv("RFCORE_QUIET", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(ROOT)


def contents(folder):
    """All that the results of a folder say, except when and how fast they were computed."""
    found = {}
    for name in results.names(folder):
        stored = results.load(name, folder)
        papers = {key: value for key, value in stored.provenance.items() if key not in CHANGES}
        found[name] = (papers, {key: (a.dtype, a.shape, a.tobytes()) for key, a in stored.arrays.items()})
    return found


def plan_file(tmp_path, points, seconds):
    path = tmp_path / "plan.toml"
    grid = f"[grid]\nk = {list(range(points))}\nseconds = {seconds}\n"
    path.write_text(f'experiment = "{SLOW}"\n{grid}', encoding="utf-8")
    return path


def start(*words):
    command = [sys.executable, "-m", "rfcore", "sweep", *map(str, words)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, preexec_fn=_heed_interrupts, **pipes)


def _heed_interrupts():
    """As in a terminal, also where these tests run in the background of a shell, which ignores Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def until(condition, what):
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, f"waited too long until {what}"
        time.sleep(0.005)


def runs(process):
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    return False


@pytest.mark.parametrize(("workers", "kills"), [(0, 4), (2, 2)])
def test_a_sweep_that_is_killed_at_random_instants_loses_nothing_and_repeats_nothing(
    tmp_path, workers, kills
):
    rng, points, seconds = random.Random(workers), 12, 0.04
    plan, folder, calm = plan_file(tmp_path, points, seconds), tmp_path / "killed", tmp_path / "calm"
    for kill in range(kills):
        stored, before = set(results.names(folder)), len(tasks.calls())
        process = start(plan, "--workers", workers, "--folder", folder)
        # The instant is random on the clock of the sweep, not of a machine that may be busy.
        more = rng.randint(0 if kill else 1, points // kills - 1)
        enough = len(stored) + more
        until(lambda n=enough: len(results.names(folder)) >= n, "results are stored")
        time.sleep(rng.uniform(0, 0.5 if more == 0 else 2 * seconds))
        process.kill()
        process.communicate(timeout=LIMIT)
        until(lambda: not any(runs(each) for _, each in tasks.calls()), "the workers have ended")
        assert stored <= set(results.names(folder))
        names = {k: point.name for k, point in enumerate(_points(points, seconds))}
        assert not stored & {names[k] for k, _ in tasks.calls()[before:]}
    stored, before = set(results.names(folder)), len(tasks.calls())
    assert 0 < len(stored) < points
    out, err = start(plan, "--workers", workers, "--folder", folder).communicate(timeout=LIMIT)
    assert err == "" and f"{len(stored)} were stored, {points - len(stored)} computed, 0 failed" in out
    assert len(tasks.calls()) - before == points - len(stored)
    sweep.run(SLOW, {"k": range(points), "seconds": seconds}, calm, workers=0)
    assert contents(folder) == contents(calm)
    assert len(contents(folder)) == points
    assert {path.name for path in folder.iterdir()} == {path.name for path in calm.iterdir()}


def _points(points, seconds):
    return points_of(task_of(SLOW), {"k": range(points), "seconds": seconds})


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and two workers as anyone starts them, on ports that are free; gives the address."""
    file = tmp_path / "scheduler.json"
    common = ["--scheduler-file", str(file), "--no-dashboard"]
    with contextlib.ExitStack() as stack:

        def dask(*words):
            command = [sys.executable, "-m", "dask", *words, *common]
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, **quiet
            )
            stack.callback(process.wait, LIMIT)
            stack.callback(process.kill)
            return process

        scheduler = dask("scheduler", "--host", "127.0.0.1", "--port", "0")
        until(lambda: file.exists() and file.stat().st_size, "the scheduler is there")
        for _ in range(2):
            dask("worker", "--nthreads", "1", "--no-nanny", "--host", "127.0.0.1")
        yield json.loads(file.read_text())["address"], scheduler


def test_two_workers_started_by_hand_run_the_same_sweep_and_a_lost_scheduler_is_noticed(tmp_path, cluster):
    address, scheduler = cluster
    plan, folder = plan_file(tmp_path, 12, 0.1), tmp_path / "remote"
    out, err = start(plan, "--scheduler", address, "--folder", folder).communicate(timeout=LIMIT)
    assert err == "" and "12 computed, 0 failed" in out
    assert len({process for _, process in tasks.calls()}) == 2 and len(tasks.calls()) == 12
    sweep.run(SLOW, {"k": range(12), "seconds": 0.1}, tmp_path / "here", workers=0)
    assert contents(folder) == contents(tmp_path / "here")

    plan, folder = plan_file(tmp_path, 200, 0.2), tmp_path / "lost"
    process = start(plan, "--scheduler", address, "--folder", folder)
    until(lambda: results.names(folder), "a first result is stored")
    scheduler.kill()
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 2 and err.count("\n") == 1 and "the scheduler is lost" in err
    assert results.verify(folder=folder) == results.names(folder) != ()


def test_a_scheduler_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(_cluster, "REACHING", 0.5)
    with pytest.raises(ConnectionError, match="scheduler = 'tcp://127.0.0.1:9'"):
        sweep.run(SLOW, {"k": 0}, tmp_path / "x", scheduler="tcp://127.0.0.1:9")
    with pytest.raises(ConnectionError, match="scheduler = 'nonsense'"):
        sweep.run(SLOW, {"k": 0}, tmp_path / "x", scheduler="nonsense")


def test_a_point_that_kills_its_process_is_reported_and_the_others_are_stored(tmp_path):
    plan = tmp_path / "plan.toml"
    plan.write_text('experiment = "tests.sweep_tasks:dies_at_two"\ngrid.k = [0, 2, 1]')
    process = start(plan, "--workers", 1, "--folder", tmp_path / "runs")
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 1 and "2 computed, 1 failed" in out
    assert err.count("\n") == 1 and "the process died" in err and "dies_at_two k=2" in err
    stored = [results.load(name, tmp_path / "runs") for name in results.names(tmp_path / "runs")]
    assert {int(each.arrays["k"]) for each in stored} == {0, 1}


def test_without_dask_the_way_out_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ModuleNotFoundError, match="workers = 0"):
        sweep.run(SLOW, {"k": 0}, tmp_path / "x")


def test_failures_do_not_stop_the_others_and_are_tried_again(tmp_path):
    for _ in range(2):
        with pytest.raises(
            sweep.SweepFailed, match="1 of 4 points failed.*ZeroDivisionError: k is two"
        ) as failed:
            sweep.run(tasks.fails_at_two, {"k": range(4)}, tmp_path / "x", workers=0)
        (failure,) = failed.value.swept.failures
        assert failure.point == {"k": 2} and "fails_at_two k=2 --folder" in failure.command
        assert "ZeroDivisionError" in failure.details
    assert len(failed.value.swept.skipped) == 3 and len(tasks.calls()) == 3


def test_what_is_no_array_is_a_failure(tmp_path):
    for function, said in ((tasks.no_arrays, "dtype of x"), (tasks.a_list, "answer of .*a_list = 'list'")):
        with pytest.raises(sweep.SweepFailed, match=said):
            sweep.run(function, {"k": 1}, tmp_path / "x", workers=0)
    assert results.names(tmp_path / "x") == ()


def test_a_damaged_or_a_foreign_result_is_left_alone_and_named(tmp_path):
    grid, folder = {"k": range(4)}, tmp_path / "x"
    names = sweep.run(SLOW, grid, folder, workers=0).names
    (folder / f"{names[1]}.npz").write_bytes(b"not what it was")
    (folder / f"{names[2]}.npz").write_bytes((folder / f"{names[3]}.npz").read_bytes())
    with pytest.raises(sweep.SweepFailed) as failed:
        sweep.run(SLOW, grid, folder, workers=0)
    damaged, foreign = failed.value.swept.failures
    assert f"{names[1]}.npz is damaged" in damaged.reason and "k=1" in damaged.reason
    assert f"{names[2]}.npz holds another point" in foreign.reason and "k=2" in foreign.reason
    assert (folder / f"{names[1]}.npz").read_bytes() == b"not what it was"
    assert len(failed.value.swept.skipped) == 2 and len(tasks.calls()) == 4
    for failure in (damaged, foreign):
        assert main(shlex.split(failure.command)[3:]) == 0
    assert len(sweep.run(SLOW, grid, folder, workers=0).skipped) == 4


def test_remains_of_a_kill_in_the_middle_of_writing_are_removed(tmp_path):
    (name,) = (point.name for point in points_of(task_of(SLOW), {"k": 1}))
    remains = tmp_path / f".{name}.npz.4711.tmp"
    remains.write_bytes(b"half of")
    sweep.run(SLOW, {"k": 1}, tmp_path, workers=0)
    assert not remains.exists() and results.names(tmp_path) == (name,)


def test_unfinished_work_is_kept_until_the_result_is_stored(tmp_path):
    with pytest.raises(sweep.SweepFailed, match="half done"):
        sweep.run(tasks.in_two_parts, {"k": 1}, tmp_path, workers=0)
    (stored,) = sweep.run(tasks.in_two_parts, {"k": 1}, tmp_path, workers=0).load()
    assert stored.arrays["half"] == "half of it" and dict(stored.provenance["point"]) == {"k": 1}
    assert {path.name for path in tmp_path.iterdir()} == {f"{stored.name}.npz", INDEX}


def test_provenance_says_what_to_type_and_no_path(tmp_path):
    (stored,) = sweep.run(SLOW, {"k": 3}, tmp_path, workers=0).load()
    assert (
        stored.provenance["command"] == "python -m rfcore experiment tests.sweep_tasks:slow k=3 seconds=0.0"
    )
    assert str(tmp_path) not in json.dumps(dict(stored.provenance))
    np.testing.assert_array_equal(stored.arrays["x"], np.random.default_rng(3).normal(size=40))


@pytest.mark.parametrize(
    ("experiment", "grid", "named"),
    [
        ("unknown", {"k": 1}, "experiment = 'unknown'.*'random-feature-losses'"),
        ("tests.sweep_tasks:none", {"k": 1}, "experiment = 'tests.sweep_tasks:none'"),
        ("no.such.module:f", {"k": 1}, "experiment = 'no.such.module:f'"),
        (SLOW, {"k": []}, "grid has no points"),
        (SLOW, {}, "needs k"),
        (SLOW, {"k": "x"}, "k = 'x' is not allowed: a whole number"),
        (SLOW, {"k": 1, "seconds": "x"}, "seconds = 'x' is not allowed: a number"),
        ("random-feature-losses", {"activation": 3}, "activation = 3 is not allowed: text"),
        ("image-training", {"compile": 1}, "compile = 1 is not allowed: true or false"),
        (SLOW, {"k": 1, "other": 2}, "no parameter 'other': it has k, seconds"),
        (SLOW, [3], "point = 3"),
        (tasks.anything, {"a": {1}}, "a = {1}"),
        (lambda k: {}, {"k": 1}, "command = None"),
    ],
)
def test_bad_input_is_named_and_writes_nothing(tmp_path, experiment, grid, named):
    with pytest.raises(ValueError, match=named):
        sweep.run(experiment, grid, tmp_path / "x", workers=0)
    assert not (tmp_path / "x").exists()


def test_a_function_without_a_name_runs_when_its_command_is_given(tmp_path):
    (stored,) = sweep.run(lambda k: {"k": k}, {"k": 1}, tmp_path, workers=0, command="by hand").load()
    assert stored.provenance["command"] == "by hand"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("experiment = ", "is not TOML"),
        ("[grid]\nk = 1", "is not a sweep"),
        ('experiment = "x"\ngrid = 3', "is not a sweep"),
        ('experiment = "x"\nworkers = 3', "has 'workers'"),
        ('experiment = "x"\n[grid]\nk = {type = "os:system"}', "type = 'os:system'"),
    ],
)
def test_bad_plans_are_named(tmp_path, text, named):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=named):
        sweep.read_plan(path)


def test_the_plans_that_come_with_the_package_ask_what_can_be_asked():
    for path in sweep.PLANS.glob("*.toml"):
        plan = sweep.read_plan(path.stem)
        assert len(points_of(task_of(plan.experiment), plan.points)) == len(plan.points) >= 1
        assert plan.folder.as_posix() == f"runs/{path.stem}"
    with pytest.raises(ValueError, match="random-feature-losses"):
        sweep.read_plan("unknown")


def test_an_interrupted_sweep_says_how_to_go_on(tmp_path):
    process = start(plan_file(tmp_path, 3, 30), "--workers", 0, "--folder", tmp_path / "x")
    until(tasks.calls, "the first point runs")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 130 and err.count("\n") == 1 and "goes on" in err
