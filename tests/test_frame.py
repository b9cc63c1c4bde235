"""The files around the book: the README's example, the pins, the extension, the table of benchmarks."""

import doctest
import importlib
import importlib.metadata
import math
import re
import subprocess
import sys
import tomllib

import pytest

import benchmarks.__main__ as table
import rfcore
from benchmarks import best_of
from tools.run_notebooks import ROOT
from tools.run_tests import COUNT

PIN = re.compile(r"(?m)^([\w.-]+)==(\S+)$")


def pins(name):
    return dict(PIN.findall((ROOT / name).read_text(encoding="utf-8")))


def test_the_examples_of_readme_and_package_print_what_they_say():
    for result in (doctest.testfile(str(ROOT / "README.md"), module_relative=False), doctest.testmod(rfcore)):
        assert result.attempted > 0
        assert result.failed == 0


def test_pins_are_exact_portable_and_shared_with_binder():
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert len(pins("requirements.txt")) == len(text.split("\n")) - 1
    assert "+" not in text and "/" not in text
    assert pins("binder/requirements.txt").items() <= pins("requirements.txt").items()


def test_installed_versions_are_the_pinned_ones():
    for name, version in pins("requirements.txt").items():
        installed = importlib.metadata.version(name).split("+")[0]
        assert installed == version, f"{name} {installed}: the stored outputs were made with {version}"


def test_the_theory_needs_no_torch_and_the_pins_meet_the_bounds():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert not [name for name in project["dependencies"] if "torch" in name]
    script = "import sys, rfcore; rfcore.theory; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


@pytest.fixture
def extension(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "_ext")  # as Sphinx does
    return importlib.import_module("rfbook")


def test_verdicts_link_to_what_they_check(extension):
    printed = "eq-a holds (tolerance 1e-09)\nmeasured 3.1e-12\n"
    printed += "eq-a, m = 1 holds (tolerance 0.1)\neq-b holds (tolerance 0.02)\n"
    page = f'<div id="equation-eq-a"></div><pre><span></span>{printed}</pre>'
    context = {"body": page + "<p>so it holds (tolerance 1e-09) here</p>"}
    extension.polish(None, "page", "", context, None)
    body = context["body"]
    assert '<span class="rf-holds"><a href="#equation-eq-a">eq-a</a> holds</span> (tolerance 1e-09)\n' in body
    assert '<span class="rf-holds"><a href="#equation-eq-a">eq-a</a>, m = 1 holds</span>' in body
    assert '<span class="rf-measured">measured 3.1e-12\n</span>' in body
    assert '<span class="rf-holds">eq-b holds</span> (tolerance 0.02)\n' in body
    assert body.endswith("<p>so it holds (tolerance 1e-09) here</p>")


def test_a_formula_stays_with_its_bracket_and_its_stop(extension):
    formula = '<span class="math notranslate nohighlight">x</span>'
    context = {"body": f"<p>({formula}), and {formula} alone</p>"}
    extension.polish(None, "page", "", context, None)
    assert context["body"] == f'<p><span class="rf-nobr">({formula}),</span> and {formula} alone</p>'


def test_the_imports_of_a_chapter_are_folded_and_no_other_code(extension):
    cell = (
        '<div class="cell_input docutils container">\n<div class="highlight-python notranslate">'
        '<div class="highlight"><pre><span></span><span class="kn">import</span> x\n'
        "</pre></div>\n</div>\n</div>"
    )
    for page, folded in (("chapters/01-score-sdes", 1), ("intro", 0)):
        context = {"body": f"{cell}<p>Text.</p>{cell}"}
        extension.polish(None, page, "", context, None)
        assert context["body"].count("</div></details>") == folded
        first, second = context["body"].split("<p>Text.</p>")
        assert ('<details class="rf-imports">' in first) == bool(folded) and "<details" not in second


def test_benchmark_rows_and_the_timer():
    row = {"name": "x", "ours_ms": 2.0, "other_ms": math.nan, "ratio": math.nan, "note": "alone"}
    assert table.line(row).split() == ["x", "2.00", "alone"]
    calls = []
    assert best_of(lambda: calls.append(0), repeat=3) >= 0
    assert len(calls) == 4


def test_totals_are_read_from_the_last_line_of_pytest():
    assert COUNT.findall("1 failed, 12 passed, 3 skipped, 2 errors in 4.5s") == [
        ("1", "failed"),
        ("12", "passed"),
        ("3", "skipped"),
        ("2", "errors"),
    ]


def test_a_group_of_tests_stays_with_one_worker(tmp_path):
    """Pages are parsed, and browsers started, once a group; not every pytest and xdist do that."""
    (tmp_path / "test_group.py").write_text(
        "import time, pytest\n@pytest.mark.xdist_group('one')\n@pytest.mark.parametrize('k', range(6))\n"
        "def test_it(k): time.sleep(0.1)\n"
    )
    command = [sys.executable, *"-m pytest -v -n 2 --dist loadgroup -p no:cacheprovider".split()]
    done = subprocess.run([*command, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True)
    workers = re.findall(r"\[(gw\d)\].* PASSED", done.stdout)
    assert len(workers) == 6 and len(set(workers)) == 1, done.stdout
