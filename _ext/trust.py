"""The box at the end of each chapter: its checks, the claims it decides, errata, stored results, notebook."""

import html
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # `tools` is not installed

from nbformat import NotebookNode  # noqa: E402
from pybtex.database import parse_file  # noqa: E402

from rfcore import results  # noqa: E402
from tools import claims, verdicts  # noqa: E402

HOLDS = 'class="rf-holds"'
MATH = re.compile(r"\$([^$]+)\$")
CITED = re.compile(r"\{cite\}`(\w+)`")


@cache
def _books() -> dict[str, NotebookNode]:
    return verdicts.notebooks()


@cache
def _references() -> dict[str, Any]:
    return dict(parse_file(str(ROOT / "references.bib")).entries)


@cache
def _register() -> list[claims.Source]:
    return claims.sources()


@cache
def _checks() -> dict[str, verdicts.Verdict]:
    return verdicts.checks(_books())


def text(words: str) -> str:
    """Plain words with formulas between dollars, as HTML."""
    formula = r'<span class="math notranslate nohighlight">\\(\1\\)</span>'
    named = CITED.sub(lambda mark: _paper(mark[1]), words)
    return MATH.sub(formula, html.escape(named, quote=False))


def _paper(key: str) -> str:
    """Authors and year of a reference."""
    entry = _references()[key]
    names = [" ".join(person.last_names) for person in entry.persons["author"]]
    authors = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
    return f"{authors} ({entry.fields['year']})"


def link(target: str, words: str) -> str:
    return f'<a class="reference internal" href="{target}">{words}</a>'


def _place(c: claims.Claim) -> str:
    """Where a claim stands in the register."""
    return f"claims.html#claim-{c.source}-{c.id}"


def _decided(chapter: str) -> list[str]:
    """By source: the places of the claims that a check of this chapter decides, linked."""
    lines = []
    for source in _register():
        found = [c for c in source.claims if any(r.startswith(f"{chapter}#") for r in c.checks)]
        places = [c.place for c in found]
        links = []
        for c in found:  # where one place makes two claims, their names tell them apart
            name = f" ({c.id.replace('-', ' ')})" if places.count(c.place) > 1 else ""
            links.append(link(_place(c), text(c.place) + name))
        if links:
            lines.append(f"{html.escape(source.name)}: {'; '.join(links)}")
    return lines


def _errata(chapter: str) -> list[str]:
    """The corrections of sources that this chapter takes part in, linked to where the errata check them."""
    found = []
    for source in _register():
        for c in source.claims:
            if c.status == "erratum" and any(r.startswith(f"{chapter}#") for r in c.checks):
                shown = [r.removeprefix("errata#") for r in c.checks if r.startswith("errata#")]
                target = f"errata.html#{verdicts.anchor(shown[0])}" if shown else _place(c)
                found.append(link(target, f"{html.escape(source.name)}, {text(c.place)}"))
    return found


def _stored(book: NotebookNode) -> list[str]:
    """The names of stored results that stand in the code of a chapter."""
    code = "\n".join(cell.source for cell in book.cells if cell.cell_type == "code")
    return [name for name in results.names() if f'"{name}"' in code]


def _margin(chapter: str) -> str:
    """How near the checks of the chapter come to failing."""
    worst = [v.worst for v in _checks().values() if v.chapter == chapter and v.worst is not None]
    if not worst:
        return ""
    share = max(1, round(100 * max(worst)))
    return f" Under eight seeds, the largest error was {share}\N{NO-BREAK SPACE}% of what its check allows."


def box(chapter: str, body: str) -> str:
    """The box as HTML, for the page of this chapter."""
    book = _books()[chapter]
    heading = f"{verdicts.place(chapter).capitalize()}: {verdicts.title(book)}"
    section = f"statements.html#{nodes.make_id(heading)}"
    checks, notebook = link(section, f"{body.count(HOLDS)} checks"), f"../_sources/chapters/{chapter}.ipynb"
    decided, errata = _decided(chapter), _errata(chapter)
    stored = [link(f"provenance.html#{name}", f"<code>{name}</code>") for name in _stored(book)]
    lines = [
        f"{checks} on this page, each against an independent computation.{_margin(chapter)}",
        f"It decides {link('claims.html', 'claims')} of: {'. '.join(decided)}."
        if decided
        else f"No {link('claims.html', 'claim')} of the sources is decided here.",
        f"{link('errata.html', 'Errata')} of the sources that it touches: {'; '.join(errata)}."
        if errata
        else f"No {link('errata.html', 'erratum')} of the sources rests on it.",
        f"{link('provenance.html', 'Stored results')}: {', '.join(stored)}. All else is computed here."
        if stored
        else f"Nothing is a {link('provenance.html', 'stored result')}: all is computed here.",
        f'To run or change it: <a href="{notebook}" download>the notebook</a>. Its seeds are fixed, and its '
        "outputs are compared at every change of the book.",
    ]
    items = "\n".join(f"<li>{line}</li>" for line in lines)
    return (
        '<aside class="rf-trust slides-skip" aria-label="What stands behind this chapter">\n'
        f'<p class="rf-trust-title">What stands behind this chapter</p>\n<ul>\n{items}\n</ul>\n</aside>\n'
    )


def append(chapter: str, body: str) -> str:
    """The page with the box at its end, inside the outermost section."""
    head, end, tail = body.rpartition("</section>")
    return head + box(chapter, body) + end + tail
