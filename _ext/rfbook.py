"""The book's small Sphinx extension: chapter numbers from file names, and one script kept off the pages."""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx_external_toc.collectors import TocTreeCollectorWithStyles

CHAPTER = re.compile(r"chapters/(\d\d)-")


def drop_thebe(app: Sphinx, config: Any) -> None:
    """sphinx-thebe writes its inline script twice even when switched off: an error in the console."""
    for listener in list(app.events.listeners["env-before-read-docs"]):
        if listener.handler.__name__ == "init_thebe_core":
            app.disconnect(listener.id)


def number_by_file(env: BuildEnvironment) -> None:
    """chapters/08-bulks is chapter 8, whether or not chapters 6 and 7 are there.

    Runs after Sphinx has counted the chapters and before it numbers figures, equations and theorems,
    which take their first number from here.
    """
    for document, numbers in env.toc_secnumbers.items():
        match = CHAPTER.match(document)
        if not match:
            continue
        chapter = int(match.group(1))
        env.toc_secnumbers[document] = {a: (chapter, *n[1:]) for a, n in numbers.items()}
        title = env.titles[document]
        if "secnumber" in title:
            title["secnumber"] = [chapter, *title["secnumber"][1:]]
        for reference in env.tocs[document].findall(nodes.reference):
            if reference.get("secnumber"):
                reference["secnumber"] = [chapter, *reference["secnumber"][1:]]


def number_after_counting(app: Sphinx, config: Any) -> None:
    """Lets `number_by_file` follow the collector that counts the sections."""
    count = TocTreeCollectorWithStyles.assign_section_numbers
    if getattr(count, "by_file", False):
        return

    def assign_section_numbers(self: TocTreeCollectorWithStyles, env: BuildEnvironment) -> list[str]:
        rewritten: list[str] = count(self, env)
        number_by_file(env)
        return rewritten

    assign_section_numbers.by_file = True  # type: ignore[attr-defined]
    TocTreeCollectorWithStyles.assign_section_numbers = assign_section_numbers


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", drop_thebe, priority=900)
    app.connect("config-inited", number_after_counting, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
