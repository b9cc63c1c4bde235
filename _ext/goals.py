"""The line under the title of a chapter: what it needs, and what its reader can do afterwards."""

from functools import cache

from trust import link, text  # first: it makes `tools` known

from tools import course


@cache
def _chapters() -> dict[int, course.Chapter]:
    return course.collected(course.load())


def _numbers(chapters: tuple[int, ...]) -> str:
    """Links to chapters by their numbers."""
    links = [link(f"{_chapters()[k].node.file}.html", str(k)) for k in chapters]
    return " and ".join([", ".join(links[:-1]), links[-1]] if len(links) > 1 else links)


def line(number: int) -> str:
    """Needs and goals as HTML."""
    chapter = _chapters()[number]
    needs = chapter.node.needs
    before = f"Needs chapter{'s' if len(needs) > 1 else ''} {_numbers(needs)}. " if needs else ""
    *goals, last = chapter.goals
    after = f"Afterwards you can {'; '.join([*goals, f'and {last}'] if goals else [last])}."
    return f'<p class="rf-goals">{before}{text(after)}</p>\n'


def announce(number: int, body: str) -> str:
    """The page with the line under its title."""
    head, title, rest = body.partition("</h1>\n")
    return head + title + line(number) + rest if title else body
