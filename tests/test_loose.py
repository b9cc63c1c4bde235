"""Installing without pins: pins lie within the bounds, results travel with the package, verdicts compare."""

import ast
import importlib.metadata
import json
import re
import sys
import tomllib

import nbformat
import pytest
from packaging.requirements import Requirement

from rfcore import results
from tools import loose
from tools.run_notebooks import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PIN = re.compile(r"(?m)^([\w.-]+)==(\S+)$")


def bounds():
    """All bounds, by name of the package."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    wanted = [*PROJECT["project"]["dependencies"], *(line for extra in extras for line in extra)]
    return [(r.name.lower(), r.specifier) for r in map(Requirement, wanted) if r.name != "rfcore"]


def test_every_pin_lies_within_its_bound_and_every_bound_has_a_pin():
    pins = {name.lower(): version for name, version in PIN.findall((ROOT / "requirements.txt").read_text())}
    for name, specifier in bounds():
        assert pins[name] in specifier, name
        assert "==" not in str(specifier), f"{name} is pinned: other environments have other versions"


class File:
    """A file that an installed package lists."""

    def __init__(self, root, name):
        self.root, self.parent = root, (root / name).parent
        self.place = root / name

    def locate(self):
        return self.place


def test_an_installed_package_finds_the_results_that_came_with_it(monkeypatch, tmp_path):
    shared = tmp_path / results.SHARED
    shared.mkdir(parents=True)
    files = [File(tmp_path, "lib/rfcore/results.py"), File(tmp_path, f"{results.SHARED}/a.npz")]
    assert results._folder() == ROOT / "data"
    monkeypatch.setattr(results, "__file__", str(tmp_path / "lib" / "rfcore" / "results.py"))
    monkeypatch.setattr(importlib.metadata, "files", lambda name: files)
    assert results._folder() == shared
    monkeypatch.setattr(importlib.metadata, "files", lambda name: None)
    assert results._folder() == tmp_path / "lib" / "data"


def test_all_results_are_in_the_package():
    patterns = PROJECT["tool"]["setuptools"]["data-files"][results.SHARED]
    packed = {path for pattern in patterns for path in ROOT.glob(pattern)}
    assert packed >= {*results.FOLDER.glob("*.npz"), results.FOLDER / ".commands.json"}
    assert json.loads((results.FOLDER / ".commands.json").read_text(encoding="utf-8"))


def book(*texts):
    cells = [nbformat.v4.new_code_cell("", outputs=[nbformat.v4.new_output("stream", text=t)]) for t in texts]
    return nbformat.v4.new_notebook(cells=cells)


@pytest.mark.parametrize(
    "fresh, changed",
    [
        ("eq-a holds (tolerance 1e-09)\nmeasured 2.0e-12\n", []),
        ("eq-a holds (tolerance 1e-06)\nmeasured 3.1e-12\n", ["eq-a"]),
        ("eq-b holds (tolerance 1e-09)\nmeasured 3.1e-12\n", ["eq-a", "eq-b"]),
        ("", ["eq-a"]),
    ],
)
def test_another_verdict_is_found_and_another_error_is_none(fresh, changed):
    stored = book("eq-a holds (tolerance 1e-09)\nmeasured 3.1e-12\n")
    assert loose.differences(stored, book(fresh)) == changed


def test_the_package_alone_has_all_its_files_and_works_without_torch(tmp_path):
    try:
        python = loose.alone(tmp_path)
    except loose.NO_ENVIRONMENT as error:
        pytest.skip(f"no environment could be made: {error}")
    (site,) = python.parent.parent.rglob("site-packages")
    ours = [path.relative_to(ROOT) for path in (ROOT / "rfcore").rglob("*") if path.is_file()]
    wanted = [path for path in ours if "__pycache__" not in path.parts]
    assert {path.suffix for path in wanted} >= {".py", ".css", ".js", ".toml"}
    assert [path for path in wanted if not (site / path).exists()] == []
    installed = {path.name for path in (python.parent.parent / results.SHARED).iterdir()}
    assert installed >= {path.name for path in results.FOLDER.glob("*.npz")}


def test_the_install_line_leaves_alone_what_is_there():
    for requirement in map(Requirement, PROJECT["project"]["dependencies"]):
        assert {bound.operator for bound in requirement.specifier} == {">="}, requirement


def test_chapters_import_what_is_declared_and_nothing_else():
    names = {"torch", "numpy", "scipy", "rfcore", *sys.stdlib_module_names}
    for path in sorted((ROOT / "chapters").glob("*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        code = [ast.parse(re.sub(r"(?m)^\s*%.*$", "pass", c.source)) for c in cells if c.cell_type == "code"]
        for node in (node for tree in code for node in ast.walk(tree)):
            found = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            found += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in found} <= names, path.name


def test_where_pip_cannot_install_it_says_so_and_ends(monkeypatch, capsys):
    def fail(*arguments):
        raise loose.NoEnvironmentError("no network")

    monkeypatch.setattr(loose.venv, "create", lambda *a, **k: None)
    monkeypatch.setattr(loose, "install", fail)
    monkeypatch.setattr(loose.sys, "argv", ["loose"])
    assert loose.main() == 0
    assert "skipped: no environment could be made: no network" in capsys.readouterr().out
