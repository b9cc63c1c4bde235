"""Stored results: what goes in comes out, damage is noticed, nothing is executed, writing is one step."""

import dataclasses
import getpass
import json
import platform
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from rfcore import results
from rfcore._commands import INDEX

PAPERS = results.provenance("python -m something", 0, 1.5, meaning="a table")
DTYPES = st.sampled_from(["f8", "c16", "i4", "u1", "?", "U3"])


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(array=DTYPES.flatmap(lambda kind: arrays(kind, array_shapes(min_dims=0, max_dims=3, min_side=0))))
def test_what_is_saved_is_loaded(tmp_path, array):
    saved = results.save("some-thing", {"x": array, "y": array.T}, PAPERS, tmp_path)
    loaded = results.load("some-thing", tmp_path)
    for found in (saved, loaded):
        assert found.arrays["x"].dtype == array.dtype and found.arrays["x"].shape == array.shape
        assert found.arrays["x"].tobytes() == np.ascontiguousarray(array).tobytes()
        np.testing.assert_array_equal(found.arrays["y"], array.T)
        assert not found.arrays["x"].flags.writeable
    assert dict(loaded.provenance) == dict(saved.provenance) == PAPERS
    assert loaded.sha256 == saved.sha256
    assert {path.name for path in tmp_path.iterdir()} == {"some-thing.npz", INDEX}


def test_the_same_contents_give_the_same_bytes_in_any_order(tmp_path):
    x, y = np.arange(3.0), np.array(["a", "bc"])
    results.save("one", {"x": x, "y": y}, PAPERS, tmp_path)
    results.save("two", {"y": y, "x": x}, dict(reversed(PAPERS.items())), tmp_path)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_numpy_and_unzip_read_the_file_without_us(tmp_path):
    results.save("plain", {"x": np.arange(3.0)}, PAPERS, tmp_path)
    with np.load(tmp_path / "plain.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["x"], np.arange(3.0))
    with zipfile.ZipFile(tmp_path / "plain.npz") as archive:
        assert json.loads(archive.read("provenance.json"))["command"] == PAPERS["command"]


def test_the_checksum_covers_values_types_names_and_provenance(tmp_path):
    variants = [
        ({"x": np.arange(3.0)}, PAPERS),
        ({"x": np.arange(3.0) + [0, 0, 1e-15]}, PAPERS),
        ({"x": np.arange(3)}, PAPERS),
        ({"x": np.arange(3.0)[None]}, PAPERS),
        ({"y": np.arange(3.0)}, PAPERS),
        ({"x": np.arange(3.0)}, {**PAPERS, "seed": 1}),
    ]
    assert len({results.save("x", *variant, tmp_path).sha256 for variant in variants}) == len(variants)


def test_every_damaged_byte_is_noticed(tmp_path):
    """Flip each byte in turn: either the loading fails, or the byte carries nothing and all is the same."""
    good = results.save("x", {"x": np.arange(4.0)}, PAPERS, tmp_path)
    path = tmp_path / "x.npz"
    whole = path.read_bytes()
    noticed = 0
    for place in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        try:
            found = results.load("x", tmp_path)
        except ValueError as error:
            assert "x.npz is damaged" in str(error)
            noticed += 1
            continue
        assert found.sha256 == good.sha256
        np.testing.assert_array_equal(found.arrays["x"], good.arrays["x"])
    assert noticed > 0.5 * len(whole) / 3
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="x.npz is damaged"):
        results.load("x", tmp_path)


def test_a_changed_number_with_a_valid_archive_is_noticed(tmp_path):
    results.save("x", {"x": np.arange(4.0)}, PAPERS, tmp_path)
    other = results.save("other", {"x": np.arange(4.0) + 1}, PAPERS, tmp_path)
    with zipfile.ZipFile(tmp_path / "x.npz") as a, zipfile.ZipFile(tmp_path / "other.npz") as b:
        papers, numbers = a.read("provenance.json"), b.read("x.npy")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as forged:
        forged.writestr("provenance.json", papers)
        forged.writestr("x.npy", numbers)
    with pytest.raises(ValueError, match="SHA-256"):
        results.load("x", tmp_path)
    with pytest.raises(ValueError, match="x.npz"):
        results.verify(folder=tmp_path)
    assert results.verify("other", tmp_path) == ("other",)
    assert other.name == "other"


def test_pickled_objects_are_neither_saved_nor_loaded(tmp_path):
    with pytest.raises(ValueError, match="dtype of x"):
        results.save("x", {"x": np.array([{}], dtype=object)}, PAPERS, tmp_path)
    np.savez(tmp_path / "x.npz", x=np.array([{}], dtype=object))
    with zipfile.ZipFile(tmp_path / "x.npz", "a") as archive:
        archive.writestr("provenance.json", json.dumps({**PAPERS, "sha256": "0"}))
    with pytest.raises(ValueError, match="damaged.*pickle"):
        results.load("x", tmp_path)


def test_a_failed_write_leaves_the_old_result(tmp_path, monkeypatch):
    old = results.save("x", {"x": np.zeros(3)}, PAPERS, tmp_path)

    def interrupted(path, *_):
        path.write_bytes(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(results, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        results.save("x", {"x": np.ones(3)}, PAPERS, tmp_path)
    assert results.load("x", tmp_path).sha256 == old.sha256
    assert {path.name for path in tmp_path.iterdir()} == {"x.npz", INDEX}


def test_results_cannot_be_changed_by_their_reader(tmp_path):
    stored = results.save("x", {"x": np.zeros(3)}, PAPERS, tmp_path)
    with pytest.raises(ValueError, match="read-only"):
        stored.arrays["x"][0] = 1
    with pytest.raises(TypeError):
        stored.provenance["seed"] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        stored.name = "y"


def test_the_saved_arrays_are_copies(tmp_path):
    x = np.zeros(3)
    stored = results.save("x", {"x": x}, PAPERS, tmp_path)
    x[0] = 1
    assert stored.arrays["x"][0] == 0 and x.flags.writeable


def test_provenance_says_with_what_but_not_where():
    papers = results.provenance("do", [1, 2], 3.0, "cuda", note="n")
    assert set(results.REQUIRED) <= set(papers)
    assert papers["device"] == "cuda" and papers["note"] == "n"
    assert papers["versions"]["numpy"] == np.__version__
    text = json.dumps(papers)
    assert platform.node() not in text and str(results.FOLDER.parent) not in text
    assert f"/{getpass.getuser()}" not in text


def test_an_unknown_name_says_what_there_is(tmp_path):
    results.save("known", {"x": 1}, PAPERS, tmp_path)
    with pytest.raises(FileNotFoundError, match="known"):
        results.load("unknown", tmp_path)
    with pytest.raises(FileNotFoundError, match="none"):
        results.load("unknown", tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "arrays_", "papers", "named"),
    [
        ("Upper", {"x": 1}, PAPERS, "name"),
        ("../x", {"x": 1}, PAPERS, "name"),
        ("", {"x": 1}, PAPERS, "name"),
        ("x", {"no name": 1}, PAPERS, "name of an array"),
        ("x", {"x": 1}, {"command": "do"}, "provenance has no seed, device"),
        ("x", {"x": 1}, {**PAPERS, "note": {1, 2}}, "provenance is not plain JSON"),
        ("x", {"x": 1}, {**PAPERS, "note": float("nan")}, "provenance is not plain JSON"),
    ],
)
def test_bad_input_is_named_and_writes_nothing(tmp_path, name, arrays_, papers, named):
    with pytest.raises(ValueError, match=named):
        results.save(name, arrays_, papers, tmp_path)
    assert not list(tmp_path.iterdir())


def test_all_stored_results_of_the_book_hold():
    assert results.verify() == results.names()


def test_the_module_needs_no_torch():
    script = "import sys, rfcore; rfcore.results; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
