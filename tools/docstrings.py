"""Docstrings as Markdown: parameters become lists, indented formulas stay as they are, names become links.

A docstring here is plain text.  Paragraphs are separated by empty lines; `name : meaning` describes a
parameter or field; what is indented by four is a formula; `>>>` begins an example; "Returns", "Raises" and
"Source:" begin what they say.
"""

import re
from collections.abc import Callable, Collection, Iterator

Link = Callable[[str], str | None]  # from a dotted name to the address of its entry
SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|$~^])")
MARK = re.compile(r"``(?P<code>[^`]+)``|:\w+:`[~!]?(?P<role>[^`]+)`")
LABELS = ("Returns", "Raises", "Source:")
LABEL = re.compile(r"(?:(?<=[.;)]) +|^)(?=(?:Returns|Raises|Source:)\s)")


def escaped(text: str) -> str:
    """Plain text, so that Markdown shows it as it stands."""
    return SPECIAL.sub(r"\\\1", text)


def inline(text: str, link: Link) -> str:
    """One paragraph of plain text: code in double backticks, names that are known as links."""
    parts, last = [], 0
    for match in MARK.finditer(text):
        parts.append(escaped(text[last : match.start()]))
        name = match["code"] or match["role"]
        shown = name.removeprefix("rfcore.")
        goal = link(name)
        parts.append(f"[`{shown}`]({goal})" if goal else f"`{shown}`")
        last = match.end()
    return "".join(parts) + escaped(text[last:])


def paragraphs(doc: str) -> Iterator[list[str]]:
    """The paragraphs; one also ends where the text changes between examples, formulas and prose."""
    block: list[str] = []
    for line in doc.split("\n"):
        kind = kind_of(line, block)
        labelled = kind == "text" and line.startswith(LABELS)
        if block and (not line.strip() or labelled or kind != kind_of(block[-1], block[:-1])):
            yield block
            block = []
        if line.strip():
            block.append(line)
    if block:
        yield block


def kind_of(line: str, before: list[str]) -> str:
    """Of what kind a line is, after the lines of its paragraph."""
    if line.startswith(">>> ") or (before and before[0].startswith(">>> ")):
        return "example"
    return "formula" if line.startswith("    ") and not before_is_text(before) else "text"


def before_is_text(before: list[str]) -> bool:
    return bool(before) and not before[0].startswith("    ")


def entries(lines: list[str], names: Collection[str]) -> list[tuple[str, list[str]]] | None:
    """`name : meaning` by line, several in a line after `;` or `,`; None if this is no such list.

    A meaning has several parts where a choice is described: the lines that are indented by four begin one,
    those that are indented by eight continue it.
    """
    head = "|".join(sorted((re.escape(name) for name in names), key=len, reverse=True)) or "(?!)"
    known = rf"(?:{head})(?: ?(?:\([^()]*\)|(?:,|=) ?(?:{head})))*(?= ?:)"
    # A word that is none of them, as the parts of an answer, has a space before its colon, as no prose has.
    begin = re.compile(rf"(?:^|[;,.]\s+)({known}|\w+(?:, \w+)*(?= :)) ?: +")
    if not begin.match(lines[0]):
        return None
    items: list[tuple[str, list[str]]] = []
    for line in lines:
        found = [] if line.startswith(" ") else list(begin.finditer(line))
        if found and found[0].start() == 0:
            ends = [*(match.start() for match in found[1:]), len(line)]
            items += [(m[1], [line[m.end() : e].strip()]) for m, e in zip(found, ends, strict=True)]
        else:
            items[-1][1].append(line)
    return [(name, parts(text)) for name, text in items]


def parts(lines: list[str]) -> list[str]:
    """The meaning of one entry, in one part or more."""
    choice = any(line.startswith("        ") for line in lines)
    found = lines[:1]
    for line in lines[1:]:
        if choice and line.startswith("    ") and not line.startswith("     "):
            found.append(line.strip())
        else:
            found[-1] += " " + line.strip()
    return found


def text_block(lines: list[str], names: Collection[str], link: Link) -> Iterator[str]:
    """A paragraph of text: a list of entries, or prose, with its labelled sentences apart."""
    found = entries(lines, names)
    if found:
        lines, labelled = [], []
        for name, told in found:
            last, *more = LABEL.split(told[-1])
            shown = [inline(part, link) for part in (*told[:-1], last)]
            if len(shown) > 1:
                lines += [f"- `{name}`:", *(f"  - {choice}" for choice in shown)]
            else:
                lines += [f"- `{name}`: {shown[0]}"]
            labelled += more
        yield "\n".join(lines) + "\n"
        yield from (prose(part, link) for part in labelled)
        return
    for part in LABEL.split(" ".join(line.strip() for line in lines)):
        if part.strip():
            yield prose(part.strip(), link)


def prose(text: str, link: Link) -> str:
    for word in LABELS:
        if text.startswith(word + " "):
            return f"**{word}** {inline(text[len(word) :].strip(), link)}\n"
    return inline(text, link) + "\n"


def markdown(doc: str, names: Collection[str], link: Link) -> str:
    """A docstring as Markdown; ``names`` are those of the parameters or fields."""
    out = []
    for lines in paragraphs(doc):
        if lines[0].startswith(">>> "):
            out.append("```pycon\n" + "\n".join(lines) + "\n```\n")
        elif lines[0].startswith("    "):
            out.append("```text\n" + "\n".join(line[4:].rstrip() for line in lines) + "\n```\n")
        else:
            if len(lines) > 1 and set(lines[1]) == {"-"}:
                lines = lines[2:]
            out += text_block(lines, names, link)
    return "\n".join(out)
