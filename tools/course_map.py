"""The map of the chapters as a drawing: boxes that are links, lines from a chapter to those that need it."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Point = tuple[float, float]
WIDE, HIGH, ACROSS, DOWN, MARGIN = 76, 38, 88, 62, 11  # a box, the distances between boxes, the border
STYLE = """<style>
.rf-map { display: block; width: 100%; max-width: 34rem; margin: 1.2rem auto; font-family: inherit; }
.rf-map a { text-decoration: none; }
.rf-map rect { fill: var(--rf-tint, #f6f8fb); stroke: var(--pst-color-border, #c9c9c9); }
.rf-map text { fill: var(--pst-color-text-base, #1f2328); font-size: 10.5px; text-anchor: middle; }
.rf-map .rf-number { font-weight: 700; fill: var(--pst-color-link, #0b57b8); }
.rf-map path { fill: none; stroke: var(--pst-color-text-muted, #59636e); stroke-width: 1.3; }
.rf-map a:is(:hover, :focus-visible) rect { stroke: var(--pst-color-link, #0b57b8); stroke-width: 2.5; }
.rf-map a:focus-visible { outline: none; }
HOVER
</style>"""


@dataclass(frozen=True)
class Node:
    """One chapter: number, file and title, one or two lines for its box, column and row, what it needs."""

    number: int
    file: str
    title: str
    label: tuple[str, ...]
    place: tuple[int, int]
    needs: tuple[int, ...]
    helps: tuple[int, ...] = ()

    @property
    def left(self) -> float:
        return MARGIN + ACROSS * self.place[0]

    @property
    def top(self) -> float:
        return 4 + DOWN * self.place[1]

    @property
    def middle(self) -> float:
        return self.left + WIDE / 2


def before(nodes: Mapping[int, Node], number: int) -> set[int]:
    """All chapters that have to be read first.  Raises ValueError on a cycle."""
    found: set[int] = set()
    waiting = list(nodes[number].needs)
    while waiting:
        one = waiting.pop()
        if one == number:
            raise ValueError(f"chapter {number} needs itself")
        if one not in found:
            found.add(one)
            waiting += nodes[one].needs
    return found


def drawn(nodes: Mapping[int, Node]) -> list[tuple[int, int]]:
    """The lines of the map: what a chapter needs, without what these need already."""
    lines = []
    for number, node in nodes.items():
        indirect = set().union(*(before(nodes, one) for one in node.needs)) if node.needs else set()
        lines += [(one, number) for one in node.needs if one not in indirect]
    return lines


def crosses(path: Sequence[Point], nodes: Mapping[int, Node]) -> bool:
    """Whether a line of horizontal and vertical pieces runs through a box."""
    for (x0, y0), (x1, y1) in zip(path, path[1:], strict=False):
        left, right, top, bottom = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)
        for node in nodes.values():
            if left < node.left + WIDE and right > node.left and top < node.top + HIGH and bottom > node.top:
                return True
    return False


def route(start: Node, end: Node, nodes: Mapping[int, Node], aside: float = 0.0) -> list[Point]:
    """Down from one box to the other, in the nearest free lane.  Raises ValueError if there is none."""
    gap = DOWN - HIGH
    first, last = start.top + HIGH + gap / 2 + aside, end.top - gap / 2 + aside
    if end.place[1] == start.place[1] + 1:
        last = first
    between = [MARGIN + ACROSS * k - (ACROSS - WIDE) / 2 for k in range(5)]
    lanes = [start.middle, end.middle, *(x + aside for x in between)]
    lanes.sort(key=lambda x: abs(x - start.middle) + abs(x - end.middle))
    for x in lanes:
        path = [(start.middle, start.top + HIGH), (start.middle, first), (x, first), (x, last)]
        path += [(end.middle, last), (end.middle, end.top)]
        if not crosses(path, nodes):
            return path
    raise ValueError(f"no way from chapter {start.number} to chapter {end.number}: move a box")


def smooth(path: Sequence[Point], radius: float = 6.0) -> str:
    """The path with round corners, as the d of an SVG path."""
    corners = [a for a, b in zip(path, path[1:], strict=False) if a != b] + [path[-1]]
    pieces = [f"M{corners[0][0]:g} {corners[0][1]:g}"]
    for (x0, y0), (x, y), (x1, y1) in zip(corners, corners[1:], corners[2:], strict=False):
        before_, after = abs(x - x0) + abs(y - y0), abs(x1 - x) + abs(y1 - y)
        r = min(radius, before_ / 2, after / 2)
        in_ = (x - r * (x - x0) / before_, y - r * (y - y0) / before_)
        out = (x + r * (x1 - x) / after, y + r * (y1 - y) / after)
        pieces.append(f"L{in_[0]:g} {in_[1]:g}Q{x:g} {y:g} {out[0]:g} {out[1]:g}")
    return "".join(pieces) + f"L{corners[-1][0]:g} {corners[-1][1]:g}"


def box(node: Node) -> str:
    """One chapter as a link."""
    lines = [f'<tspan class="rf-number">{node.number}</tspan> {html.escape(node.label[0])}']
    lines += [html.escape(line) for line in node.label[1:]]
    top = node.top + HIGH / 2 + (4 if len(lines) == 1 else -2.5)
    words = " ".join(
        f'<text x="{node.middle:g}" y="{top + 13 * k:g}">{line}</text>' for k, line in enumerate(lines)
    )
    shape = f'<rect x="{node.left:g}" y="{node.top:g}" width="{WIDE}" height="{HIGH}" rx="4"/>'
    return f'<a href="{node.file}.html" id="map-{node.number}">{shape}{words}</a>'


def svg(nodes: Mapping[int, Node]) -> str:
    """The whole map, self-contained."""
    lines, hover = [], []
    starts = sorted({start for start, _ in drawn(nodes)})
    for start, end in drawn(nodes):
        aside = (starts.index(start) % 3 - 1) * 3.0
        path = smooth(route(nodes[start], nodes[end], nodes, aside))
        lines.append(f'<path class="rf-from-{start} rf-to-{end}" d="{path}" marker-end="url(#rf-arrow)"/>')
    for number in nodes:
        touched = ", ".join(
            f".rf-map:has(#map-{number}:{how}) .rf-{way}-{number}"
            for how in ("hover", "focus-visible")
            for way in ("from", "to")
        )
        hover.append(f"{touched} {{ stroke: var(--pst-color-link, #0b57b8); stroke-width: 2.6; }}")
    width = 2 * MARGIN + 3 * ACROSS + WIDE
    height = 8 + DOWN * max(node.place[1] for node in nodes.values()) + HIGH
    arrow = (
        '<defs><marker id="rf-arrow" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="5" markerHeight="5" '
        'orient="auto"><path d="M0 0L8 4L0 8z" style="fill:context-stroke;stroke:none"/></marker></defs>'
    )
    head = f'<svg class="rf-map" viewBox="0 0 {width} {height}" role="group" aria-labelledby="rf-map-title">'
    title = '<title id="rf-map-title">Which chapter needs which; the list below says the same</title>'
    style = STYLE.replace("HOVER", "\n".join(hover))
    return "\n".join(
        [style, head, title, arrow, *lines, *(box(node) for node in nodes.values()), "</svg>", ""]
    )
