"""The claims register: makes two appendix pages from data/claims and from what the checks printed.

    python -m tools.claims            writes chapters/claims.md and chapters/statements.md

One TOML file per source says what the source claims, where, with which status, and which checks of this
book decide.  Errors and tolerances are read from the stored outputs of the chapters and from
data/margins.json.
"""

import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from tools import statements
from tools.run_notebooks import ROOT
from tools.verdicts import Verdict, checks, collected, line, missing, notebooks, place, stored, title

FOLDER = ROOT / "data" / "claims"
STATUS = {
    "proved": "with a proof in this book, or a theorem that is quoted; the check is a test of the proof",
    "derived": "by heuristic steps, without a bound on the error; checked against an independent computation",
    "measured": "seen in a computation or on data; no derivation",
    "conjectured": "used, and tested, in the hope that it is true in general",
    "erratum": "the source is wrong here, or true only with a restriction; the corrected form is checked",
    "open": "not reached yet: nothing in this book decides it",
}
FIELDS = {"id", "place", "items", "status", "says", "book", "checks", "needs"}


@dataclass(frozen=True)
class Claim:
    """What a source says, in our words, and what decides."""

    source: str
    id: str
    place: str
    status: str
    says: str
    book: str
    items: tuple[str, ...]
    checks: tuple[str, ...]
    needs: str


@dataclass(frozen=True)
class Source:
    """A document or paper: how the book calls it, the parts of it that claims must cover, its claims."""

    key: str
    name: str
    about: str
    items: tuple[str, ...]
    claims: tuple[Claim, ...]


def read(path: Path) -> Source:
    """One source from its TOML file."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    claims = tuple(claim(path.stem, entry) for entry in data["claim"])
    return Source(path.stem, data["name"], data["about"].strip(), tuple(data.get("items", [])), claims)


def claim(source: str, entry: Mapping[str, Any]) -> Claim:
    unknown = set(entry) - FIELDS
    if unknown:
        raise ValueError(f"{source}, {entry.get('id')}: unknown fields {sorted(unknown)}")
    return Claim(
        source,
        entry["id"],
        entry["place"],
        entry["status"],
        entry["says"].strip(),
        entry.get("book", "").strip(),
        tuple(entry.get("items", [])),
        tuple(entry.get("checks", [])),
        entry.get("needs", "").strip(),
    )


def sources() -> list[Source]:
    """All sources: the five documents first, then the papers, each in the order of their files' `order`."""
    paths = [path for path in FOLDER.glob("*.toml") if path != statements.FILE]
    order = {path: tomllib.loads(path.read_text(encoding="utf-8"))["order"] for path in paths}
    return [read(path) for path in sorted(paths, key=lambda path: order[path])]


def problems(register: Iterable[Source], known: Iterable[str]) -> list[str]:
    """What is wrong with the register: a claim without evidence, a check that is not there, a gap."""
    names, wrong = set(known), []
    ids: Counter[str] = Counter()
    for source in register:
        covered = [item for c in source.claims for item in c.items]
        wrong += [f"{source.key}: nothing is said of {item}" for item in source.items if item not in covered]
        wrong += [f"{source.key}: {item} is no item of it" for item in covered if item not in source.items]
        for c in source.claims:
            name = f"{source.key}, {c.id}"
            ids[f"{source.key}-{c.id}"] += 1
            if c.status not in STATUS:
                wrong.append(f"{name}: status {c.status!r} is none of {', '.join(STATUS)}")
            if c.status == "open" and (c.checks or not c.needs):
                wrong.append(f"{name}: an open claim has no checks and says what it needs")
            if c.status != "open" and (c.needs or not c.checks):
                wrong.append(f"{name}: has no check")
            if c.status == "erratum" and not c.book:
                wrong.append(f"{name}: an erratum says what is right")
            wrong += [f"{name}: no such check: {reference}" for reference in missing(c.checks, names)]
    return wrong + [f"{name}: two claims of one name" for name, count in ids.items() if count > 1]


def card(c: Claim, known: Mapping[str, Verdict]) -> list[str]:
    """One claim as Markdown."""
    head = f'<span class="rf-status rf-is-{c.status}">{c.status}</span> {c.place}'
    lines = [":::{container} rf-claim", f":name: claim-{c.source}-{c.id}", "", head, "", c.says, ""]
    if c.book:
        lines += [f"*Here:* {c.book}", ""]
    if c.needs:
        lines += [f"*Needs:* {c.needs}", ""]
    lines += [f"- {line(reference, known)}" for reference in c.checks]
    return [*lines, ":::", ""]


def tally(claims: Iterable[Claim]) -> str:
    counts = Counter(c.status for c in claims)
    words = {"erratum": "errata", "open": "not reached yet"}
    names = {key: words.get(key, key) if (key, counts[key]) != ("erratum", 1) else key for key in STATUS}
    return ", ".join(f"{counts[key]} {names[key]}" for key in STATUS if counts[key])


def claims_page(register: list[Source], known: Mapping[str, Verdict]) -> str:
    """The page of the claims."""
    everything = [c for source in register for c in source.claims]
    text = (FOLDER / "head.md").read_text(encoding="utf-8").strip()
    lines = [*text.splitlines(), "", f"**{len(everything)} claims: {tally(everything)}.**", ""]
    for source in register:
        lines.append(f"- {source.name}: {len(source.claims)} ({tally(source.claims)})")
    lines += ["", "What the words mean:", ""]
    for status, meaning in STATUS.items():
        lines += [f'<span class="rf-status rf-is-{status}">{status}</span>', f": {meaning}", ""]
    for source in register:
        lines += [f"## {source.name}", "", source.about, ""]
        for c in source.claims:
            if c.status != "open":
                lines += card(c, known)
    waiting = [c for c in everything if c.status == "open"]
    names = {source.key: source.name for source in register}
    lines += [
        "## Not reached yet",
        "",
        f"{len(waiting)} claims that nothing in this book decides so far.",
        "",
    ]
    for key in dict.fromkeys(c.source for c in waiting):
        lines += [f"### {names[key]}: open", ""]
        for c in waiting:
            if c.source == key:
                lines += card(c, known)
    return "\n".join(lines).rstrip() + "\n"


def statements_page(books: Mapping[str, NotebookNode], known: Mapping[str, Verdict]) -> str:
    """The page of the labelled equations and statements."""
    register = statements.load(statements.FILE.read_text(encoding="utf-8"))
    names, counts, body = [*known, *collected(), *stored()], Counter[str](), []
    for chapter, book in books.items():
        entries = statements.found(chapter, book)
        if entries:
            body += [f"## {place(chapter).capitalize()}: {title(book)}", ""]
        for s in entries:
            role = "eq" if s.kind == "equation" else "prf:ref"
            body += [":::{container} rf-claim", "", f"{{{role}}}`{s.label}`", ""]
            if s.label in register.definitions or s.kind == "definition":
                word, reason = register.definitions.get(s.label, ("definition", "as its heading says"))
                counts[word] += 1
                body += [f'<span class="rf-status rf-is-definition">{word}</span> {reason}', ""]
            else:
                counts["checked"] += 1
                body += [
                    f"- {line(reference, known)}" for reference in statements.evidence(s, names, register)
                ]
            body += [":::", ""]
    text = (FOLDER / "head-statements.md").read_text(encoding="utf-8").strip()
    kinds = ", ".join(f"{number} {word}{'' if word == 'checked' else 's'}" for word, number in counts.items())
    total = f"**{counts.total()} labels: {kinds}.**"
    return "\n".join([*text.splitlines(), "", total, "", *body]).rstrip() + "\n"


def pages() -> dict[Path, str]:
    """The pages as they must be now."""
    books = notebooks()
    known = checks(books)
    return {
        ROOT / "chapters" / "claims.md": claims_page(sources(), known),
        ROOT / "chapters" / "statements.md": statements_page(books, known),
    }


def main() -> int:
    books = notebooks()
    known = checks(books)
    names = [*known, *collected(), *stored()]
    register = statements.load(statements.FILE.read_text(encoding="utf-8"))
    labelled = [s for chapter, book in books.items() for s in statements.found(chapter, book)]
    wrong = problems(sources(), names) + statements.problems(labelled, names, register)
    print("\n".join(wrong) or "every claim and every label is accounted for")
    if not wrong:
        for path, text in pages().items():
            path.write_text(text, encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
