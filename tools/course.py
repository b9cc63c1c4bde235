"""The page for teachers: the map of the chapters, what each is good for, and the courses.

    python -m tools.course     writes chapters/teaching-map.html and the marked parts of chapters/teaching.md

Everything between a line `% begin NAME` and the line `% end NAME` of the page is made from data/course.toml,
from the chapters' titles and exercises, and from data/chapter-times.json.  The rest is written by hand.
"""

import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import nbformat

from tools import chapter_times
from tools.course_map import Node, svg
from tools.run_notebooks import ROOT, chapters

DATA = ROOT / "data" / "course.toml"
PAGE = ROOT / "chapters" / "teaching.md"
MAP = ROOT / "chapters" / "teaching-map.html"
EXERCISE = re.compile(r"(?m)^:::+\{exercise\}[^\n]*\n:label:[ \t]*([\w-]+)")
PART = re.compile(r"(?s)(^% begin (\w+)\n)(.*?)(^% end \2$)", re.MULTILINE)


@dataclass(frozen=True)
class Chapter:
    """What the page says of one chapter; exercises as labels; processor seconds, None if not measured."""

    node: Node
    goals: tuple[str, ...]
    exercises: tuple[str, ...]
    seconds: float | None


def load() -> dict[str, Any]:
    """The data file as it stands."""
    return tomllib.loads(DATA.read_text(encoding="utf-8"))


def collected(data: Mapping[str, Any]) -> dict[int, Chapter]:
    """The chapters by number: the data file, the notebooks and the measured times put together."""
    times = {name: entry["seconds"] for name, entry in chapter_times.load().items()}
    found = {}
    paths = {int(path.stem[:2]): path for path in chapters() if path.stem[:2].isdigit()}
    for entry in data["chapter"]:
        path = paths[entry["number"]]
        cells = nbformat.read(path, as_version=4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        title = next(line[2:].strip() for line in text.splitlines() if line.startswith("# "))
        node = Node(
            entry["number"], path.stem, title, tuple(entry["label"]),
            (entry["place"][0], entry["place"][1]), tuple(entry["needs"]), tuple(entry["helps"]),
        )  # fmt: skip
        labels = tuple(EXERCISE.findall(text))
        found[node.number] = Chapter(node, tuple(entry["goals"]), labels, times.get(path.stem))
    return found


def link(chapter: Chapter) -> str:
    return f"[{chapter.node.number}]({chapter.node.file}.ipynb)"


def links(book: Mapping[int, Chapter], numbers: list[int] | tuple[int, ...]) -> str:
    return ", ".join(link(book[number]) for number in numbers)


def duration(seconds: float | None) -> str:
    """Seconds for people: to ten, or in minutes."""
    if seconds is None:
        return "not measured"
    if seconds < 90:
        return f"{max(10, round(seconds, -1)):.0f} s"
    return f"{seconds / 60:.1f} min"


def exercise(book: Mapping[int, Chapter], label: str) -> str:
    """The exercise as a link that shows its number.  Raises ValueError if there is none of that name."""
    if not any(label in chapter.exercises for chapter in book.values()):
        raise ValueError(f"{label} is no exercise of any chapter")
    return f"{{ref}}`{label}`"


def chapter_list(book: Mapping[int, Chapter]) -> str:
    """For each chapter what it needs, how long it runs, what one can do afterwards."""
    lines = []
    for chapter in book.values():
        node = chapter.node
        needs = f"Needs {links(book, node.needs)}." if node.needs else "Needs no other chapter."
        helps = f" Helpful: {links(book, node.helps)}." if node.helps else ""
        lines.append(
            f"**{node.number} [{node.title}]({node.file}.ipynb).** {needs}{helps} "
            f"Running time: {duration(chapter.seconds)}. Afterwards you can {'; '.join(chapter.goals)}."
        )
    return "\n\n".join(lines)


def week(book: Mapping[int, Chapter], number: int, entry: Mapping[str, Any]) -> str:
    """One week of a course."""
    word = "chapter" if len(entry["chapters"]) == 1 else "chapters"
    live = [f"chapter {link(book[k])} ({duration(book[k].seconds)})" for k in entry["live"]]
    rows = [f"*Lecture {k + 1}.* {text}" for k, text in enumerate(entry["lectures"])]
    rows += [
        f"*Run in class:* {', '.join(live) or 'nothing; the sliders need no kernel'}.",
        f"*Homework:* {', '.join(exercise(book, label) for label in entry['homework'])}.",
        f"*Reading:* {{cite}}`{','.join(entry['reading'])}`.",
    ]
    head = f"**Week {number}. {entry['title']}**, {word} {links(book, entry['chapters'])}"
    return "\n".join([head, "", *(f"- {row}" for row in rows)])


def courses(data: Mapping[str, Any], book: Mapping[int, Chapter]) -> str:
    """All courses, week by week."""
    parts = []
    for course in data["course"]:
        weeks = [week(book, k + 1, entry) for k, entry in enumerate(course["week"])]
        left = f"Left out: chapters {links(book, course['left_out'])}." if course["left_out"] else ""
        parts.append("\n\n".join([f"### {course['name']}", f"{course['about']} {left}".strip(), *weeks]))
    return "\n\n".join(parts)


def pages() -> dict[str, str]:
    """What the two files must contain: the map, and the page with its marked parts renewed."""
    data = load()
    book = collected(data)
    known = [chapter.seconds for chapter in book.values() if chapter.seconds is not None]
    made = {
        "chapters": chapter_list(book),
        "courses": courses(data, book),
        "times": f"The {len(known)} chapters together take {duration(sum(known))} of one processor.",
    }
    text = PART.sub(lambda m: f"{m[1]}{made[m[2]]}\n{m[4]}", PAGE.read_text(encoding="utf-8"))
    return {MAP.name: svg({number: chapter.node for number, chapter in book.items()}), PAGE.name: text}


def main() -> int:
    for name, text in pages().items():
        path = ROOT / "chapters" / name
        temporary = path.with_suffix(f"{path.suffix}.tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
        print(f"chapters/{name}: {len(text)} characters")
    return 0


if __name__ == "__main__":
    sys.exit(main())
