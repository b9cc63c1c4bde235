"""The reference: every public name is explained, its example runs, and the pages are what the sources say."""

import ast
import builtins
import doctest
import importlib
import inspect
import math
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import rfcore as rf
from tools import api, public
from tools.docstrings import markdown
from tools.run_notebooks import ROOT
from tools.verdicts import notebooks

NAMES = public.everything()
EACH = pytest.mark.parametrize("name", NAMES, ids=lambda name: name.qualified)
# Rooms whose names compute what the theory speaks of: there a source is due.
SOURCED = (*public.ROOMS["model"], "theory", "simulation", "diffusion", "images")
# What is the same wherever it occurs, and stands in the head of the reference.
EVERYWHERE = {
    "model",
    "d",
    "draws",
    "seed",
    "device",
    "features",
    "how",
    "x",
    "ax",
    "color",
    "label",
    "args",
    "kwargs",
}
REFERS = re.compile(
    r"(Parameters|parameters and errors|parameters) (and bounds )?as in|Raises (what|as|ValueError as)\s+:"
)
FREE = (*public.ROOMS["model"], "theory", "diffusion")  # rooms that need no torch
PARSER = doctest.DocTestParser()


def examples(doc):
    """The examples of a docstring that are run."""
    return [e for e in PARSER.get_examples(doc) if not e.options.get(doctest.SKIP)]


def problems(name, sourced):
    """What the docstring of a public name leaves out."""
    wrong, doc = [], name.doc
    if not name.summary:
        wrong.append("no words")
    if not examples(doc):
        wrong.append("no example that runs")
    if name.kind != "function":
        return wrong
    if "Raises" not in doc:
        wrong.append("does not say what it raises")
    elif not REFERS.search(doc):
        wrong += [f"raises {error} and does not say so" for error in name.raised if error not in doc]
    documented = name.returns in ("None", "") or "Returns" in doc
    if not documented and not re.search(r"[A-Z]\w+", name.returns.replace("Array", "").replace("Any", "")):
        wrong.append("does not say what it returns")
    if not REFERS.search(doc) and not name.signature.startswith("rf.book."):
        silent = [a for a in name.arguments if a not in EVERYWHERE and not re.search(rf"\b{a}\b", doc)]
        wrong += [f"does not say what {a} is" for a in silent]
    if (
        name.module in SOURCED
        and name.name != "progress"
        and name.qualified not in sourced
        and not re.search(r"Source\b", doc)
    ):
        wrong.append("names no source, and no chapter uses it")
    return wrong


@pytest.fixture(scope="module")
def reference():
    return api.Reference(notebooks())


@pytest.fixture(scope="module")
def pages(reference):
    return api.pages(reference)


@pytest.fixture(scope="module")
def sourced(reference):
    """Names that a chapter uses, and the twins of such names and of those that name a source."""
    used = {name for name, chapters in reference.uses.items() if chapters}
    twins = {n.name for n in NAMES if n.module == "theory" and ("Source" in n.doc or n.qualified in used)}
    return used | {n.qualified for n in NAMES if n.module == "simulation" and n.name in twins}


@EACH
def test_the_docstring_says_what_a_caller_needs(name, sourced):
    assert problems(name, sourced) == []


@pytest.mark.parametrize(
    "spoil, word",
    [
        (lambda doc: "", "no words"),
        (lambda doc: doc.replace(">>>", ">>"), "example"),
        (lambda doc: doc.replace("Raises", "Gives"), "raises"),
        (lambda doc: doc.replace("ValueError", "an error"), "ValueError"),
        (lambda doc: doc.replace("Returns", "Gives"), "returns"),
        (lambda doc: re.sub(r"\bt_next\b", "t'", doc), "t_next"),
        (lambda doc: doc.replace("Source", "From"), "source"),
    ],
)
def test_what_is_missing_is_found(spoil, word):
    name = next(n for n in NAMES if n.qualified == "diffusion.reverse_kernel")
    assert problems(name, ()) == []
    assert any(word in complaint for complaint in problems(replace(name, doc=spoil(name.doc)), ()))


def run(doc, name):
    """Runs the examples of a docstring as a reader would, after the three imports; their number."""
    test = PARSER.get_doctest(doc, {"math": math, "np": np, "rf": rf}, name, None, 0)
    runner = doctest.DocTestRunner(verbose=False)
    report = []
    runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)
    return len(test.examples)


@pytest.fixture
def own_cache(monkeypatch, tmp_path):
    """The example with a folder of pictures keeps its squares in the user's cache: not in this one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("RFCORE_QUIET", "1")


@EACH
def test_the_example_prints_what_it_says(name, own_cache):
    assert run(name.doc, name.qualified) > 0
    for member in name.members if name.kind == "class" else ():
        run(member.doc, f"{name.qualified}.{member.name}")


@pytest.mark.parametrize("module", ["", *(m for modules in public.ROOMS.values() for m in modules)])
def test_the_examples_of_the_rooms_print_what_they_say(module):
    path = public.file_of(module) if module else public.PACKAGE / "__init__.py"
    run(ast.get_docstring(public.tree(path)) or "", module)


def test_every_room_is_there_and_what_is_read_is_what_is_imported():
    assert {*rf.__all__} <= {*public.top(), *(m for modules in public.ROOMS.values() for m in modules)}
    assert len({name.qualified for name in NAMES}) == len({name.anchor for name in NAMES}) == len(NAMES)
    for name in NAMES:
        module = importlib.import_module(f"rfcore.{name.module}")
        assert name.name in getattr(module, "__all__", public.top())
        value = getattr(module, name.name)
        if name.kind == "constant":
            continue
        assert inspect.getdoc(inspect.unwrap(value)) == inspect.cleandoc(name.doc), name.qualified
        if name.kind == "function":
            assert tuple(inspect.signature(value).parameters) == name.arguments


@EACH
def test_the_errors_it_names_exist(name):
    for word in re.findall(r"\b[A-Z]\w*(?:Error|Failed)\b", name.doc):
        assert hasattr(builtins, word) or any(n.name == word for n in NAMES), word


def test_the_pages_are_those_that_the_generator_makes(pages):
    for path, text in pages.items():
        assert path.read_text(encoding="utf-8") == text, "run: python -m tools.api"


def test_links_between_the_pages_lead_to_entries(pages):
    pages = {path.name: text for path, text in pages.items()}
    entries = {name: set(re.findall(r"(?m)^\((api-[\w-]+)\)=$", text)) for name, text in pages.items()}
    assert sum(map(len, entries.values())) == len(NAMES) + len(public.ROOMS)  # no two of one name
    for text in pages.values():
        assert set(re.findall(r"\]\(#([\w-]+)\)", text)) <= set().union(*entries.values())
        assert set(re.findall(r"\]\((api[\w-]*\.md)\)", text)) <= set(pages)


def test_no_role_and_no_known_name_is_left_without_its_link(pages):
    for path, text in pages.items():
        assert not re.search(r":(func|class|meth|data|mod):", text), path.name


def test_what_chapters_use_is_found_through_aliases():
    code = """
import rfcore as rf
from rfcore.book import check as verify
from rfcore import theory
import rfcore.simulation as sim
x = rf.Covariance.power_law(1.0)
verify("eq", theory.kl(rf.LinearModel(1, 1)), sim.loss_curves(x)[0].test)
kl.theory.density
"""
    found = api.used(ast.parse(code))
    assert {"Covariance", "book.check", "theory.kl", "LinearModel", "simulation.loss_curves"} <= found
    assert "theory.density" not in found


def test_a_docstring_becomes_markdown():
    doc = """The a_b of x, see :func:`kl` and ``other``.

    E = <x^2> * 2

n, d : sizes;  kind : "one", the first
        way
    "two", the second
Raises ValueError for n < 1.  Source: Someone (2025).

>>> 1 + 1
2
"""
    text = markdown(doc, ("n", "d", "kind"), {"kl": "page.md#kl"}.get)
    assert "The a\\_b of x, see [`kl`](page.md#kl) and `other`." in text
    assert "```text\nE = <x^2> * 2\n```" in text
    assert '- `n, d`: sizes\n- `kind`:\n  - "one", the first way\n  - "two", the second' in text
    assert "**Raises** ValueError for n \\< 1." in text and "**Source:** Someone (2025)." in text
    assert "```pycon\n>>> 1 + 1\n2\n```" in text


def test_theory_and_the_process_work_where_torch_cannot_be_imported():
    """Every example of the rooms that need no torch, in a process in which importing it fails."""
    script = f"""
import doctest, math, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "sklearn", "PIL", "matplotlib", "distributed"):
            raise ImportError(name + " is not there")
sys.meta_path.insert(0, Blocked())
import numpy as np
import rfcore as rf
from tools import public
number = 0
for name in public.everything():
    if name.module in {FREE!r} and "datasets" not in name.doc:
        test = doctest.DocTestParser().get_doctest(
            name.doc, dict(math=math, np=np, rf=rf), name.qualified, None, 0)
        found = doctest.DocTestRunner().run(test)
        assert found.failed == 0, name.qualified
        number += found.attempted
assert number > 200, number
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
