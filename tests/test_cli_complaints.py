"""The commands spectrum and losses where something is missing, or not understood."""

import math
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest

import rfcore as rf
from rfcore import _command_line as line
from rfcore._cli import question, spectra
from tests.prompt import said
from tests.test_command_line import typed
from tools.run_notebooks import ROOT

DEFAULT = rf.RandomFeatureModel(psi_p=64, psi_n=8, t=0.01)


@pytest.fixture(autouse=True)
def quiet(tmp_path, monkeypatch):
    monkeypatch.setenv("RFCORE_QUIET", "1")
    monkeypatch.chdir(tmp_path)


def isolated(words, *missing):
    """The command in a process of its own where modules are missing."""
    script = f"import sys; sys.modules |= dict.fromkeys({missing!r})\n"
    script += "from rfcore._command_line import main; status = main(sys.argv[1:])\n"
    script += "assert not sys.modules.get('torch'); sys.exit(status)"
    return subprocess.run(
        [sys.executable, "-c", script, *shlex.split(words)], cwd=ROOT, capture_output=True, text=True
    )


def test_the_theory_needs_neither_torch_nor_matplotlib_nor_real_data(capsys):
    for words in ("spectrum", "losses"):
        run = isolated(words, "torch", "matplotlib", "sklearn", "PIL", "platformdirs")
        assert run.returncode == 0 and run.stderr == "" and run.stdout == said(words, capsys)


@pytest.mark.parametrize(
    ("words", "missing", "told"),
    [
        ("losses --simulate 8", "torch", "--simulate needs torch (pip install torch)"),
        ("spectrum --plot a.png", "matplotlib", "--plot needs matplotlib (pip install matplotlib)"),
        ("spectrum --covariance digits", "sklearn", "--covariance digits needs sklearn"),
    ],
)
def test_what_is_missing_is_named_with_the_way_to_get_it(words, missing, told):
    run = isolated(words, missing)
    assert run.returncode == 2 and run.stderr.count("\n") == 1 and told in run.stderr and run.stdout == ""


def test_a_reader_who_has_seen_enough_is_no_error():
    command = f"{sys.executable} -m rfcore spectrum | head -1; exit ${{PIPESTATUS[0]}}"
    run = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0 and run.stderr == "" and run.stdout.startswith("tanh network")


def test_stopped_by_hand_or_by_a_matrix_that_does_not_fit(monkeypatch, capsys):
    def stop(*arguments):
        raise KeyboardInterrupt

    def burst(*arguments):
        raise RuntimeError("no memory\n  for this")

    monkeypatch.setattr(spectra, "answer", stop)
    assert typed("spectrum", capsys) == (130, "", "rfcore: stopped\n")
    monkeypatch.setattr(spectra, "answer", burst)
    assert typed("spectrum", capsys) == (1, "", "rfcore: no memory for this\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--psi-p -1", "argument --psi-p: '-1' is not allowed: a finite number > 0"),
        ("--psi-n inf", "argument --psi-n: 'inf' is not allowed: a finite number > 0"),
        ("--t zero", "argument --t: 'zero' is not allowed"),
        ("--ridge=-0.1", "argument --ridge: '-0.1' is not allowed: a finite number >= 0"),
        ("--activation gelu", "argument --activation: 'gelu' is not allowed: one of 'tanh', 'relu'"),
        ("--noise-draws 1.5", "argument --noise-draws: '1.5' is not allowed: an integer >= 1, or inf"),
        ("--gamma 0", "argument --gamma: '0' is not allowed"),
        ("--gamma 2 --psi-p 3", "--psi-p belongs to a network, --gamma to a linear denoiser"),
        ("--simulate 1.5", "argument --simulate: '1.5' is not allowed: an integer >= 1"),
        ("--simulate 8 --draws 0", "argument --draws: '0' is not allowed: an integer >= 1"),
        ("--simulate 8 --seed -1", "argument --seed: '-1' is not allowed: an integer >= 0"),
        ("--simulate 10000", "--simulate = 10000 is not allowed: at most 256, for 16384 features"),
        ("--gamma 0.001 --simulate 1000", "1000000 samples of 1000 numbers are too many"),
        ("--simulate 4 --psi-n 0.01", "psi_n = 0.01 is not allowed: at least 0.125 at d = 4"),
        ("--seed 3", "--seed is for --simulate D"),
        ("--draws 3", "--draws is for --simulate D"),
        ("--out a.txt", "argument --out: 'a.txt' is not allowed: a file .csv, .npz"),
        ("--out none/a.csv", "there is no folder none"),
        ("--plot a.jpg", "argument --plot: 'a.jpg' is not allowed: a file .png, .pdf, .svg"),
        ("--covariance gauss", "--covariance = 'gauss' is not allowed: isotropic, power-law:EXPONENT"),
        ("--covariance power-law", "is not allowed: power-law:1.5, any exponent >= 0"),
        ("--covariance low-rank:2", "is not allowed: low-rank:0.2, in (0, 1]"),
        ("--covariance none.npy", "--covariance = 'none.npy' is not allowed: a file that is there"),
        ("--covariance words.csv", "--covariance: words.csv cannot be read"),
        ("--covariance holes.npy", "holes.npy: a number = nan is not allowed: finite numbers only"),
        ("--covariance empty.csv", "--covariance: empty.csv cannot be read: it is empty"),
        ("--covariance one.npy", "one.npy: x has shape (1, 5), which is not allowed: at least 2 samples"),
        ("--out /proc/a.csv", "/proc/a.csv cannot be written: "),
        ("--covariance row.npy", "row.npy has float64 (3,), which is not allowed"),
        ("--covariance complex.npy", "complex.npy has complex128 (2, 2), which is not allowed"),
        ("--covariance many.npz", "it has a, b, and none of them is named covariance or x or images"),
        ("--covariance zero.npy", "at least one"),
        ("--covariance damaged.npz", "--covariance: damaged.npz cannot be read"),
        ("extra", "'extra' is not understood"),
        ("--psi 3", "'--psi' is not understood"),
    ],
)
def test_what_is_not_understood_is_answered_in_one_line(capsys, words, told):
    with open("words.csv", "w") as file:
        file.write("a,b\n1,two\n")
    np.save("holes.npy", np.array([[1.0, math.nan], [2.0, 3.0]]))
    open("empty.csv", "w").close()
    np.save("one.npy", np.ones((1, 5)))
    np.save("row.npy", np.ones(3))
    np.save("complex.npy", np.eye(2) * 1j)
    np.save("zero.npy", np.zeros((3, 2)))
    np.savez("many.npz", a=np.eye(2), b=np.eye(2))
    with open("damaged.npz", "wb") as file:
        file.write(b"PK\x03\x04 and no more")
    for command in ("spectrum", "losses"):
        status, out, err = typed(f"{command} {words}", capsys)
        assert status == 2 and out == "" and err.count("\n") == 1 and told in err, err


@pytest.mark.parametrize("text", ["1", "1:5", "5:1", "0:1e3", "1:inf", "a:b", "1:2:3", "1e-300:1e300"])
def test_training_times_are_a_decade_or_more(capsys, text):
    status, _, err = typed(f"losses --tau {text}", capsys)
    assert status == 2 and f"argument --tau: '{text}' is not allowed: 1:1e6" in err and err.count("\n") == 1


def test_defaults_of_the_help_are_those_of_the_commands():
    given = line.parser().parse_args(["spectrum"])
    model, about = question.build(given)
    assert model == DEFAULT and about == "isotropic, variance 1"
    text = re.sub(r"\s+", " ", next(iter(line.parser()._actions[1].choices.values())).format_help())
    for name, value in (*question.NETWORK.items(), *question.LINEAR.items()):
        if not isinstance(value, str):
            assert re.search(rf"{question.option(name)} [A-Z] [^-]*\({value:g}\)", text), name
