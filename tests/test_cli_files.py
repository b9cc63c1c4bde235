"""The data that the commands read, and the files and pictures that they leave behind."""

import io
import sys

import numpy as np
import pytest

import rfcore as rf
from rfcore._cli import covariance, files, sketch
from tests.prompt import said
from tests.test_command_line import Bomb


@pytest.fixture(autouse=True)
def quiet(tmp_path, monkeypatch):
    monkeypatch.setenv("RFCORE_QUIET", "1")
    monkeypatch.chdir(tmp_path)


def test_a_file_is_a_covariance_if_it_is_square_and_symmetric_else_samples(tmp_path):
    x = np.random.default_rng(0).normal(size=(20, 3))
    square, sigma = np.random.default_rng(1).normal(size=(3, 3)), np.diag([1.0, 2.0, 3.0])
    np.save("x.npy", x)
    np.save("square.npy", square)
    np.save("sigma.npy", sigma)
    np.save("images.npy", (x.reshape(20, 3, 1) * 20).astype(np.int8))
    np.savez("one.npz", whatever=x)
    np.savez("many.npz", labels=np.arange(20), x=x)
    np.savetxt("plain.csv", x, delimiter=",", fmt="%.17g")
    np.savetxt("head.csv", x, delimiter=",", fmt="%.17g", header="a,b,c", comments="")
    for name in ("x.npy", "one.npz", "many.npz", "plain.csv", "head.csv"):
        law, about = covariance.read(name)
        assert law == rf.Covariance.from_data(x) and f"{name}, 20 samples, d = 3" in about
    law, about = covariance.read("sigma.npy")
    assert law == rf.Covariance.from_matrix(sigma) and "a covariance matrix, d = 3, variance 2" in about
    assert covariance.read("square.npy")[0] == rf.Covariance.from_data(square)
    assert covariance.read("images.npy")[0].eigenvalues.size == 3


def test_the_words_for_data_and_laws_of_too_many_eigenvalues():
    assert covariance.read("isotropic")[0] == rf.Covariance.isotropic()
    assert covariance.read("power-law:1.5")[0] == rf.Covariance.power_law(1.5)
    assert covariance.read("low-rank:0.2")[0] == rf.Covariance.low_rank(0.2)
    assert covariance.read("digits")[0] == rf.datasets.digits().covariance
    np.save("wide.npy", np.diag(np.arange(1.0, 301)))
    law, about = covariance.read("wide.npy")
    assert law.eigenvalues.size <= 256 and law.variance == pytest.approx(150.5)
    assert f"merged to 256 eigenvalues (error {law.error:.0e})" in about


def test_nothing_in_a_file_is_executed(tmp_path):
    np.save("bomb.npy", np.array([[Bomb()]], dtype=object))
    np.savez("bomb.npz", x=np.array([[Bomb()]], dtype=object))
    for name in ("bomb.npy", "bomb.npz"):
        with pytest.raises(ValueError, match="cannot be read: .*allow_pickle=False"):
            covariance.read(name)
    assert not (tmp_path / "exploded").exists()


def test_pictures_have_the_house_style_and_the_same_bytes(tmp_path, capsys):
    starts = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}
    for command in ("spectrum --psi-p 2 --psi-n 2 --t 0.3", "losses --psi-p 2 --psi-n 2 --t 0.3"):
        for ending, start in starts.items():
            said(f"{command} --simulate 12 --plot a.{ending}", capsys)
            assert (tmp_path / f"a.{ending}").read_bytes().startswith(start)
        svg = (tmp_path / "a.svg").read_text()
        assert rf.book.COLORS[0] in svg and rf.book.COLORS[1] in svg  # a line, and points
        said(f"{command} --simulate 12 --plot a.svg", capsys)
        assert (tmp_path / "a.svg").read_text() == svg
    assert len(list(tmp_path.iterdir())) == 3


def test_a_file_is_written_in_one_step_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    files.write_numbers(path, {"x": [1.0]}, "one")

    def fails(file, **arrays):
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(files.np, "savez_compressed", fails)
    with pytest.raises(OSError, match="no space"):
        files.write_numbers(path, {"x": [2.0]}, "two")
    monkeypatch.undo()
    with np.load(path) as archive:
        assert archive["x"] == [1.0]
    assert [each.name for each in tmp_path.iterdir()] == ["a.npz"]


def test_a_picture_in_the_terminal_has_its_lines_and_circles_where_they_belong():
    x = np.geomspace(1, 100, 50)
    curve = sketch.Curve(x, np.linspace(0, 1, 50), "up")
    circle = sketch.Curve(np.array([10.0]), np.array([0.5]), circles=True)
    drawn = sketch.sketch([circle, curve], "title", 0, 1, "x").split("\n")
    rows = [row[8 : 8 + sketch.WIDE].ljust(sketch.WIDE) for row in drawn[1 : 1 + sketch.HIGH]]
    assert drawn[1].endswith(" up") and rows[sketch.HIGH // 2][sketch.WIDE // 2 - 1 :][:2].count("o") == 1
    columns = ["".join(row[k] for row in rows) for k in range(sketch.WIDE)]
    heights = [len(column) - len(column.lstrip()) for column in columns]
    assert heights == sorted(heights, reverse=True) and heights[0] == sketch.HIGH - 1 and heights[-1] == 0
    assert [drawn[-1].index(f"1e{k}") - 8 for k in (0, 1, 2)] == pytest.approx([0, 31.5, 63], abs=0.5)


def test_the_terminal_is_drawn_on_for_people_and_on_request(capsys, monkeypatch):
    assert "\u2502" not in said("losses --gamma 0.5", capsys)
    assert "\u2502" in said("losses --gamma 0.5 --text-plot", capsys)
    rows = said("spectrum --gamma 0.5 --simulate 20 --text-plot", capsys).split("\u2502")[1:-1]
    assert sum("o" in row for row in rows) > 4

    class Terminal(io.StringIO):
        encoding = "utf-8"

        def isatty(self):
            return True

    for encoding, drawn in (("utf-8", True), ("ascii", False)):
        terminal = Terminal()
        terminal.encoding = encoding
        monkeypatch.setattr(sys, "stdout", terminal)
        assert sketch.wanted(None) is drawn and sketch.wanted(False) is False
        monkeypatch.undo()
