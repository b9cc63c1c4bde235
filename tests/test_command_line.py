"""The command line: what people type, what they are told, and damaged files by name with the way out."""

import contextlib
import io
import pickle
import shlex
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from rfcore import _command_line as line
from rfcore import results, sweep
from rfcore._cli import losses, spectrum
from rfcore._commands import INDEX, announce, read
from rfcore._experiments import EXPERIMENTS
from tools.run_notebooks import ROOT

COMMANDS = ("spectrum", "losses", "experiment", "sweep", "verify")
SMALL = ["psi_p=2", "psi_n=2", "d=8", "taus=3"]


@pytest.fixture(autouse=True)
def quiet(tmp_path, monkeypatch):
    monkeypatch.setenv("RFCORE_QUIET", "1")
    monkeypatch.setenv("SWEEP_LOG", str(tmp_path / "calls.txt"))
    monkeypatch.chdir(tmp_path)


def typed(words, capsys):
    """Exit status, stdout and stderr of ``python -m rfcore words``."""
    try:
        status = line.main(shlex.split(words) if isinstance(words, str) else words)
    except SystemExit as stop:
        status = stop.code
    said = capsys.readouterr()
    return status, said.out, said.err


def cut(path, share):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])


def flip(path):
    """One bit of the last array's numbers."""
    whole = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        last = max(archive.infolist(), key=lambda member: member.header_offset)
        whole[last.header_offset + 30 + len(last.filename) + last.compress_size // 2] ^= 1
    path.write_bytes(whole)


class Bomb:
    """Unpickled, it leaves a file."""

    def __reduce__(self):
        return open, ("exploded", "w")


def pickled(path):
    path.write_bytes(pickle.dumps(Bomb()))


def pickled_inside(path):
    np.savez(path, x=np.array([Bomb()], dtype=object))


DAMAGES = {
    "flipped": flip,
    "cut in half": lambda path: cut(path, 0.5),
    "cut to the end of its index": lambda path: cut(path, 0.999),
    "cut to a stump": lambda path: cut(path, 0.01),
    "empty": lambda path: cut(path, 0),
    "a pickle": pickled,
    "a pickle inside": pickled_inside,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_refused_by_name_with_the_command_that_repairs_it(tmp_path, capsys, damage):
    folder = tmp_path / "my runs"
    (name,) = sweep.run(
        "random-feature-losses", {"d": 8, "psi_p": 2, "psi_n": 2, "taus": 3}, folder, workers=0
    ).names
    path, before = folder / f"{name}.npz", dict(results.load(name, folder).arrays)
    assert typed(["verify", str(folder)], capsys)[0] == 0
    DAMAGES[damage](path)
    status, out, err = typed(["verify", str(folder)], capsys)
    assert status == 1 and err.count("\n") == 1 and "0 results verified" in out
    assert err.startswith(f"rfcore: {name}.npz is damaged: ")
    command = err.strip().partition("to compute it again: ")[2]
    assert command.startswith("python -m rfcore experiment random-feature-losses psi_p=2.0")
    status, out, err = typed(shlex.split(command)[3:], capsys)
    assert status == 0 and f"{path} is damaged and computed again" in err
    after = results.load(name, folder).arrays
    assert {key: a.tobytes() for key, a in before.items()} == {key: a.tobytes() for key, a in after.items()}
    assert typed(["verify", str(folder)], capsys)[0] == 0
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("damage", "known"), [(flip, True), (lambda path: cut(path, 0.5), True), (pickled, False)]
)
def test_without_the_list_of_commands_the_damaged_file_itself_is_asked(tmp_path, damage, known):
    papers = results.provenance("make it so", 0, 1.0)
    results.save("x", {"x": np.random.default_rng(0).normal(size=2000)}, papers, tmp_path)
    (tmp_path / INDEX).unlink()
    damage(tmp_path / "x.npz")
    with pytest.raises(ValueError, match="again: make it so$" if known else "is not recorded$"):
        results.load("x", tmp_path)


def test_what_a_file_says_cannot_reach_the_terminal(tmp_path):
    papers = {**results.provenance("x", 0, 1.0), "command": "\x1b[2Jpython"}
    results.save("x", {"x": np.zeros(9)}, papers, tmp_path)
    cut(tmp_path / "x.npz", 0.9)
    with pytest.raises(ValueError, match="is not recorded$"):
        results.load("x", tmp_path)


def test_commands_are_remembered_and_a_damaged_list_is_started_anew(tmp_path):
    announce({"a": "one", "b": "two"}, tmp_path)
    written = (tmp_path / INDEX).stat().st_mtime_ns
    announce({"b": "two"}, tmp_path)
    assert (tmp_path / INDEX).stat().st_mtime_ns == written and read(tmp_path) == {"a": "one", "b": "two"}
    announce({"b": "three"}, tmp_path)
    assert read(tmp_path) == {"a": "one", "b": "three"}
    for text in ("{", "[]", '{"a": 3}'):
        (tmp_path / INDEX).write_text(text)
        assert read(tmp_path) == {}
    announce({"c": "four"}, tmp_path)
    assert read(tmp_path) == {"c": "four"}


def test_the_stored_results_of_the_book_are_verified_and_their_commands_are_listed(capsys):
    status, out, err = typed("verify", capsys)
    assert status == 0 and err == ""
    assert f"{len(results.names())} results verified" in out
    commands = {name: results.load(name).provenance["command"] for name in results.names()}
    assert read(results.FOLDER).items() >= commands.items(), f"data/{INDEX} is to be committed as well"


@pytest.mark.parametrize("name", results.names())
def test_each_mutated_result_of_the_book_is_noticed(tmp_path, monkeypatch, capsys, name):
    copy = tmp_path / "data"
    copy.mkdir()
    for each in (*(f"{n}.npz" for n in results.names()), INDEX):
        shutil.copy(results.FOLDER / each, copy)
    flip(copy / f"{name}.npz")
    monkeypatch.setattr(results, "FOLDER", copy)
    status, out, err = typed("verify", capsys)
    assert status == 1 and f"data: {len(results.names()) - 1} results verified" in out
    command = read(copy)[name]
    assert err.startswith(f"rfcore: {name}.npz is damaged") and err.strip().endswith(command)


def test_verify_goes_into_subfolders_and_knows_its_own(tmp_path, capsys):
    papers = results.provenance("make it so", 0, 1.0)
    for name, folder in (
        ("a", tmp_path / "x"),
        ("b", tmp_path / "x" / "y"),
        ("c", tmp_path / "x" / ".hidden"),
    ):
        results.save(name, {"x": 1}, papers, folder)
    assert results.survey(tmp_path / "x") == (("a", "y/b"), ())
    np.savez(tmp_path / "x" / "y" / "Other.npz", x=1)
    cut(tmp_path / "x" / "y" / "b.npz", 0.5)
    status, out, err = typed("verify x", capsys)
    other, damaged = err.strip().split("\n")
    assert status == 1 and "x: 1 result verified" in out
    assert (
        "y/Other.npz is no stored result" in other
        and "y/b.npz is damaged" in damaged
        and damaged.endswith("make it so")
    )


def test_an_experiment_is_computed_once(tmp_path, capsys):
    status, out, err = typed(
        ["experiment", "random-feature-losses", *SMALL[:2], "--folder", "f", *SMALL[2:]], capsys
    )
    assert status == 0 and err == "" and "computed\n" in out and "theory_train (3,)" in out
    status, out, _ = typed(["experiment", "random-feature-losses", *SMALL, "--folder", "f"], capsys)
    assert status == 0 and "stored already\n" in out and len(results.names(tmp_path / "f")) == 1


def test_a_failing_experiment_shows_where(capsys):
    status, _, err = typed("experiment tests.sweep_tasks:fails_at_two k=2", capsys)
    assert status == 1 and "Traceback" in err and err.endswith("\nrfcore: ZeroDivisionError: k is two\n")
    status, _, err = typed("experiment random-feature-losses d=-3", capsys)
    assert status == 1 and err == "rfcore: ValueError: d = -3 is not allowed: an integer >= 1\n"


def test_a_sweep_counts_and_lists_its_failures(tmp_path, capsys):
    plan = tmp_path / "mine.toml"
    plan.write_text('experiment = "tests.sweep_tasks:fails_at_two"\n[[grid]]\nk = [1, 2]\n[[grid]]\nk = 3\n')
    status, out, err = typed("sweep mine.toml --workers 0", capsys)
    assert status == 1 and out == "3 points in runs/mine: 0 were stored, 2 computed, 1 failed\n"
    assert err.count("\n") == 1 and "ZeroDivisionError: k is two; alone: python -m rfcore experiment" in err
    plan.write_text('experiment = "tests.sweep_tasks:fails_at_two"\nfolder = "runs/mine"\ngrid.k = [1, 3]')
    status, out, err = typed("sweep mine.toml --workers 0", capsys)
    assert status == 0 and err == "" and "2 were stored, 0 computed, 0 failed" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("unknown", "'spectrum', 'losses', 'experiment', 'sweep', 'verify'"),
        ("experiment unknown", "one of 'random-feature-losses', 'image-training'"),
        ("experiment random-feature-losses k=3", "no parameter 'k': it has psi_p, psi_n"),
        ("experiment random-feature-losses d", "name=value"),
        ("experiment random-feature-losses d=3 d=4", "d is given twice"),
        ("experiment random-feature-losses d=x", "d = 'x' is not allowed: a whole number"),
        ("experiment random-feature-losses --fast", "'--fast' is not understood"),
        ("sweep", "FILE.toml|NAME"),
        ("sweep unknown", "a TOML file, or one of "),
        ("sweep none.toml", "sweep = 'none.toml'"),
        ("sweep digits --workers -1", "an integer >= 0"),
        ("sweep digits extra", "'extra' is not understood"),
        ("verify nowhere", "folder = 'nowhere' is not there"),
    ],
)
def test_what_is_not_understood_is_answered_in_one_line(capsys, words, told):
    status, out, err = typed(words, capsys)
    assert status == 2 and err.count("\n") == 1 and told in err
    assert "Traceback" not in out + err


def test_help_and_the_list_of_experiments(capsys):
    for words in ("", "--help", *(f"{command} --help" for command in COMMANDS)):
        status, out, err = typed(words, capsys)
        assert status == 0 and err == "" and "  python -m rfcore " in out
        assert max(map(len, out.split("\n"))) <= 100
    status, out, _ = typed("experiment", capsys)
    assert status == 0 and all(f"{name}\n" in out for name in EXPERIMENTS) and "psi_p=8.0" in out


def test_the_examples_of_the_help_are_understood():
    examples = []
    for text in (line.ABOUT, spectrum.ABOUT, losses.ABOUT, line.EXPERIMENT, line.SWEEP, line.VERIFY):
        examples += [
            each.split("  # ")[0].strip() for each in text.split("\n") if each.startswith("  python -m")
        ]
    assert len(examples) >= 20
    grammar = line.parser()
    for example in examples:
        words = shlex.split(example.partition("   ")[0])[3:]
        with contextlib.redirect_stderr(io.StringIO()) as err:
            grammar.parse_args(words)
        assert err.getvalue() == ""


def test_the_command_needs_neither_torch_nor_dask_to_verify():
    script = (
        "import sys; from rfcore._command_line import main; status = main(['verify']); import rfcore.sweep; "
        "sys.exit(status or 'torch' in sys.modules or 'distributed' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True).returncode == 0


def test_the_module_runs():
    run = subprocess.run([sys.executable, "-m", "rfcore", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0 and run.stdout.startswith("usage: python -m rfcore")
