"""Labelled equations and statements of the chapters, and what checks each of them."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nbformat import NotebookNode

from tools.run_notebooks import ROOT

FILE = ROOT / "data" / "claims" / "statements.toml"
EQUATION = re.compile(r"\$\$[ \t]*\(([\w:.-]+)\)|:label:[ \t]*(eq-[\w:.-]+)")
STATEMENT = re.compile(r"(?ms)^:::+\{prf:(\w+)\}[^\n]*\n:label:[ \t]*([\w:.-]+)[ \t]*\n(.*?)^:::+[ \t]*$")


@dataclass(frozen=True)
class Statement:
    """A labelled equation (kind "equation") or theorem, proposition, ...; the equations inside it."""

    chapter: str
    label: str
    kind: str
    inside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Register:
    """What the data file says, by label: why it needs no check, or checks of another name."""

    definitions: Mapping[str, tuple[str, str]]
    named: Mapping[str, list[str]]
    twice: list[str] = field(default_factory=list)


def load(text: str) -> Register:
    """The register of statements from its TOML text."""
    data = tomllib.loads(text)
    entries = [*data.get("definition", []), *data.get("checked", [])]
    labels = [entry["label"] for entry in entries]
    return Register(
        {e["label"]: (e.get("word", "definition"), e["reason"]) for e in data.get("definition", [])},
        {e["label"]: e["by"] for e in data.get("checked", [])},
        sorted({label for label in labels if labels.count(label) > 1}),
    )


def found(chapter: str, book: NotebookNode) -> list[Statement]:
    """All labelled equations and statements of one chapter, in the order of the text."""
    text = "\n".join(cell.source for cell in book.cells if cell.cell_type == "markdown")
    marks = [(m.start(), Statement(chapter, m[1] or m[2], "equation")) for m in EQUATION.finditer(text)]
    for m in STATEMENT.finditer(text):
        inside = tuple(a or b for a, b in EQUATION.findall(m[3]))
        marks.append((m.start(), Statement(chapter, m[2], m[1], inside)))
    return [statement for _, statement in sorted(marks, key=lambda mark: mark[0])]


def own(label: str, chapter: str, known: Iterable[str]) -> list[str]:
    """The checks of the same chapter in whose name the label stands as a word."""
    word = re.compile(rf"(?<![\w-]){re.escape(label)}(?![\w-])")
    return [name for name in known if name.startswith(f"{chapter}#") and word.search(name.split("#", 1)[1])]


def evidence(statement: Statement, known: Iterable[str], register: Register) -> list[str]:
    """References to the checks of a statement: of its name, named in the register, or of its equations."""
    names = list(known)
    direct = own(statement.label, statement.chapter, names) + register.named.get(statement.label, [])
    parts = [
        reference
        for label in statement.inside
        for reference in own(label, statement.chapter, names) + register.named.get(label, [])
    ]
    return list(dict.fromkeys(direct or parts))


def problems(statements: Iterable[Statement], known: Iterable[str], register: Register) -> list[str]:
    """What is wrong: a statement with neither check nor definition, or both; an entry that leads nowhere."""
    names, seen, wrong = list(known), set(), []
    for statement in statements:
        label = statement.label
        seen.add(label)
        defined = label in register.definitions or statement.kind == "definition"
        shown = own(label, statement.chapter, names) + register.named.get(label, [])
        if defined and shown:
            wrong.append(f"{label} ({statement.chapter}) is a definition and has checks: {shown}")
        if not defined and not evidence(statement, names, register):
            wrong.append(f"{label} ({statement.chapter}) has no check and is no definition")
        if label in register.definitions and statement.kind == "definition":
            wrong.append(f"{label} is a prf:definition, it need not be listed")
    wrong += [f"{label} is listed twice" for label in register.twice]
    listed = [*register.definitions, *register.named]
    wrong += [f"{label} is listed and is in no chapter" for label in listed if label not in seen]
    cited = [(label, reference) for label, by in register.named.items() for reference in by]
    wrong += [f"{label}: no such check: {reference}" for label, reference in cited if reference not in names]
    return wrong
