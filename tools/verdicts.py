"""What checks the book has: verdicts stored in the chapters, functions of the tests, stored comparisons.

A reference to a check is `chapter#label` ("03-random-features#eq-duhamel"), `tests/file.py::function`, or
`data/name` for a stored result.
"""

import ast
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import nbformat
import yaml
from nbformat import NotebookNode

from rfcore import results
from tools.margins import FILE, verdicts
from tools.run_notebooks import ROOT, chapters


@dataclass(frozen=True)
class Verdict:
    """One check of a chapter: what it printed, and the largest share of its tolerance over eight seeds."""

    chapter: str
    label: str
    tolerance: float
    error: float
    worst: float | None


def anchor(label: str) -> str:
    """The id of a verdict on its page: where a link to it leads."""
    return "check-" + re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")


def notebooks() -> dict[str, NotebookNode]:
    """The chapters of the book as they are stored, by file name without ending."""
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    listed = {entry["file"] for part in contents["parts"] for entry in part["chapters"]}
    return {
        path.stem: nbformat.read(path, as_version=4)
        for path in chapters()
        if f"chapters/{path.stem}" in listed
    }


def checks(books: Mapping[str, NotebookNode]) -> dict[str, Verdict]:
    """Every verdict that is stored in the chapters, by reference."""
    margins = json.loads(FILE.read_text(encoding="utf-8"))
    found = {}
    for chapter, book in books.items():
        known = margins.get(chapter, {}).get("checks", {})
        for label, (tolerance, error) in verdicts(book).items():
            worst = known.get(label, {}).get("ratio")
            found[f"{chapter}#{label}"] = Verdict(chapter, label, tolerance, error, worst)
    return found


def collected() -> dict[str, str]:
    """Every test function that pytest collects, by reference: the first line of its docstring, or ''.

    Read from the source, not run: functions test_* of the files tests/test_*.py.
    """
    found = {}
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                words = (ast.get_docstring(node) or "").split("\n")[0]
                found[f"tests/{path.name}::{node.name}"] = words
    return found


def stored() -> list[str]:
    """The stored results, by reference."""
    return [f"data/{name}" for name in results.names()]


def missing(references: Iterable[str], known: Iterable[str]) -> list[str]:
    """The references that lead nowhere."""
    names = set(known)
    return [reference for reference in references if reference not in names]


def title(book: NotebookNode) -> str:
    """The heading of a chapter."""
    text = "\n".join(cell.source for cell in book.cells if cell.cell_type == "markdown")
    match = re.search(r"(?m)^# (.+)$", text)
    if not match:
        raise ValueError("a chapter has no heading")
    return match[1]


def place(chapter: str) -> str:
    """How a text names a chapter: by its number, which is that of its file, or by its name."""
    number = re.match(r"(\d\d)-", chapter)
    return f"chapter {int(number[1])}" if number else chapter


def size(number: float) -> str:
    """An error or a tolerance in few characters, which no line break separates: 0.02, 3e−14, 0."""
    text = re.sub(r"e([+-])0*(\d)", r"e\1\2", f"{number:.2g}") if number else "0"
    return text.replace("-", "\N{MINUS SIGN}")


def line(reference: str, known: Mapping[str, Verdict]) -> str:
    """One check as a line of Markdown: a link to the verdict, its error and tolerance; or what else it is."""
    if "::" in reference:
        file, function = reference.removeprefix("tests/").split("::")
        words = function.removeprefix("test_").replace("_", " ")
        return f'<span class="rf-test">test</span> {words} <span class="rf-quiet">({file})</span>'
    if reference.startswith("data/"):
        name = reference.removeprefix("data/")
        link = f'<a href="provenance.html#{name}">{name}</a>'
        return f'<span class="rf-test">stored</span> {link}'
    found = known[reference]
    target = f"{found.chapter}.html#{anchor(found.label)}"
    label = found.label.replace("<", "&lt;").replace("$", "&#36;")
    seeds = (
        ""
        if found.worst is None
        else f"; eight seeds: up to {max(1, round(100 * found.worst))}\N{NO-BREAK SPACE}%"
    )
    numbers = f"error {size(found.error)} of {size(found.tolerance)} allowed{seeds}"
    return f'{place(found.chapter)}: <a href="{target}">{label}</a> <span class="rf-quiet">({numbers})</span>'
