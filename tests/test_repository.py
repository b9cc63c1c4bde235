"""The repository's address: one place, one command, nothing left over when it is removed."""

import json
import shutil
import subprocess
import sys

import pytest
import yaml

from tools.run_notebooks import ROOT
from tools.set_repository import apply, current, out_of_date, without_install

URL = "https://github.com/someone/some-book"
KEPT = ("_config.yml", "CITATION.cff", "README.md", "pyproject.toml")


@pytest.fixture
def copy(tmp_path):
    for name in KEPT:
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "chapters", tmp_path / "chapters", ignore=shutil.ignore_patterns(".*"))
    apply(tmp_path, "")
    return tmp_path


def texts(root):
    return {path.name: path.read_text(encoding="utf-8") for path in root.rglob("*") if path.is_file()}


def test_everything_agrees_with_the_address():
    assert out_of_date(ROOT, current(ROOT)) == []


def test_setting_it_reaches_every_place_and_changes_no_output(copy):
    before = {path.name: json.loads(path.read_text()) for path in copy.glob("chapters/*.ipynb")}
    apply(copy, URL)
    assert current(copy) == URL
    settings = yaml.safe_load((copy / "_config.yml").read_text(encoding="utf-8"))
    assert settings["repository"]["url"] == URL
    assert settings["html"]["use_repository_button"] is True
    assert settings["launch_buttons"]["colab_url"].startswith("https://")
    assert f"repository-code: {URL}\n" in (copy / "CITATION.cff").read_text(encoding="utf-8")
    assert "mybinder.org/v2/gh/someone/some-book/" in (copy / "README.md").read_text(encoding="utf-8")
    for path in copy.glob("chapters/*.ipynb"):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        title = next("".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "markdown")
        first = next("".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code")
        assert f"/github/someone/some-book/blob/main/chapters/{path.name})" in title
        assert f"%pip install -q git+{URL}\n" in first
        was = before[path.name]["cells"]
        assert [c.get("outputs") for c in notebook["cells"]] == [c.get("outputs") for c in was]
        old_first = next("".join(c["source"]) for c in was if c["cell_type"] == "code")
        assert without_install(first) == old_first


def test_setting_it_twice_is_setting_it_once_and_unsetting_restores_every_byte(copy):
    unset = texts(copy)
    assert apply(copy, URL)
    once = texts(copy)
    assert apply(copy, URL) == []
    apply(copy, "https://github.com/another/name")
    apply(copy, URL)
    assert texts(copy) == once
    apply(copy, "")
    assert texts(copy) == unset
    assert "github.com" not in unset["_config.yml"] + unset["CITATION.cff"] + unset["README.md"]


def test_an_address_that_is_none_is_refused():
    command = [sys.executable, str(ROOT / "tools" / "set_repository.py"), "http://example.org/x"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2
    assert "url = 'http://example.org/x' is not allowed" in result.stderr
