"""The book's Sphinx extension: chapters numbered by file name, verdicts linked to what they check."""

import html
import re
from typing import Any

from docutils import nodes
from goals import announce
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx_external_toc.collectors import TocTreeCollectorWithStyles
from symbols import name_symbols
from trust import append

CHAPTER = re.compile(r"chapters/(\d\d)-")
REPEATED_IDS = re.compile(r' id="(?:proof|exercise|solution)-content"')
# Without role="list", whose children would have to be list items; they have a role of their own.
CITATIONS = '<div class="citation-list">'
# A line of output, at the start of a block or of a line.
VERDICT = re.compile(r"(?m)(?:(?<=<span></span>)|^)(\S[^<>\n]*) holds \(tolerance ([0-9.e+-]+)\)$")
# An inline formula with the bracket before it and the stop after it: a line should not break there.
FORMULA = re.compile(r'([(\[“‘]?)(<span class="math notranslate nohighlight">[^<]*</span>)([.,;:!?)\]’”]*)')
# The first code cell of a chapter, which has imports and no more.
IMPORTS = re.compile(
    r'(?s)(<div class="cell_input docutils container">\n<div class="highlight-python notranslate">'
    r'<div class="highlight"><pre><span></span><span class="kn">(?:import|from)<'
    r".*?</pre></div>\n</div>\n</div>)"
)
FOLDED = r'<details class="rf-imports"><summary>Imports</summary>\1</details>'
MEASURED = re.compile(r"(?m)^(measured [0-9.e+-]+\n)")
# Code whose figures are pictures or shaded maps.
PICTURES = re.compile(r"image_grid|imshow|pcolormesh|cmap")
PROJECT = {
    "type": "javascript",
    "javascript": "rfProject.button()",
    "icon": "fas fa-person-chalkboard",
    "text": "Project",
    "tooltip": "Project as slides (p)",
    "classes": "rf-project-button",
}


def drop_thebe(app: Sphinx, config: Any) -> None:
    """Keeps sphinx-thebe, unused here, off the pages: its script comes twice, an error in the console."""
    unwanted = {"env-before-read-docs": "init_thebe_core", "doctree-resolved": "update_thebe_context"}
    for event, name in unwanted.items():
        for listener in list(app.events.listeners[event]):
            if listener.handler.__name__ == name:
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


def link_verdict(body: str, label: str, tolerance: str) -> str:
    """One verdict as HTML: its label, or its first word, leads to the equation or statement of that name."""
    for name in (label, label.split(",")[0].split()[0]):
        plain = html.unescape(name)
        for anchor in (f"equation-{plain}", plain):
            if f'id="{anchor}"' in body:
                linked = f'<a href="#{anchor}">{name}</a>{label[len(name) :]}'
                return f'<span class="rf-holds">{linked} holds</span> (tolerance {tolerance})'
    return f'<span class="rf-holds">{label} holds</span> (tolerance {tolerance})'


def anchor(label: str) -> str:
    """The id of a verdict, to which the claims register links."""
    return "check-" + re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")


def mark_verdicts(body: str) -> str:
    """All verdicts of a page, linked; the first of each name gets an id."""
    seen: set[str] = set()

    def mark(match: re.Match[str]) -> str:
        name = anchor(html.unescape(match[1]))
        here = "" if name in seen else f'<span class="rf-anchor" id="{name}"></span>'
        seen.add(name)
        return here + link_verdict(body, match[1], match[2])

    return VERDICT.sub(mark, body)


def polish(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Marks verdicts, folds imports, and mends the markup: ids once a page, roles that fit."""
    body = context.get("body")
    if not body:
        return
    body = REPEATED_IDS.sub("", body).replace('<div role="list" class="citation-list">', CITATIONS)
    # Folded cells: the name that is read out is the text that is seen.
    body = body.replace('<summary aria-label="Toggle hidden content">', "<summary>")
    body = FORMULA.sub(lambda m: f'<span class="rf-nobr">{m[0]}</span>' if m[1] or m[3] else m[0], body)
    if CHAPTER.match(page):
        body = IMPORTS.sub(FOLDED, body, count=1)
    body = mark_verdicts(body)
    body = MEASURED.sub(r'<span class="rf-measured">\1</span>', body)
    if chapter := CHAPTER.match(page):
        body = announce(int(chapter[1]), append(page.split("/")[1], body))
    context["body"] = body


def mark_pictures(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Names the images that are not line plots, whose black and white must not change places in the dark."""
    for cell in doctree.findall(nodes.container):
        if cell.get("nb_element") != "cell_code":
            continue
        code = "\n".join(block.astext() for block in cell.findall(nodes.literal_block))
        for image in cell.findall(nodes.image) if PICTURES.search(code) else ():
            image["classes"].append("rf-pictures")


def offer_slides(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """The button in the header of a chapter that shows it as slides; after the theme has made its own."""
    if CHAPTER.match(page):
        context["header_buttons"].insert(0, PROJECT)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", drop_thebe, priority=900)
    app.connect("config-inited", number_after_counting, priority=900)
    app.connect("doctree-resolved", name_symbols)
    app.connect("doctree-resolved", mark_pictures)
    app.connect("html-page-context", polish)
    app.connect("html-page-context", offer_slides, priority=900)
    return {"version": "2", "parallel_read_safe": True, "parallel_write_safe": True}
