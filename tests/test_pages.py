"""The built pages as files: they ask the network for nothing, and their links lead somewhere."""

import re
from functools import cache
from urllib.parse import unquote, urldefrag

import pytest
from bs4 import BeautifulSoup

from tools.build_book import PAGES

pytestmark = [
    pytest.mark.built,
    pytest.mark.skipif(not (PAGES / "index.html").exists(), reason="the book is not built: make book"),
    pytest.mark.xdist_group("files"),  # one worker, so that each page is parsed once
]
EACH = pytest.mark.parametrize("page", sorted(PAGES.rglob("*.html")), ids=lambda p: p.stem)
LOADED = {"script": "src", "link": "href", "img": "src", "source": "src", "iframe": "src", "object": "data"}
OUTSIDE = re.compile(r"^(https?:)?//", re.IGNORECASE)


@cache
def soup(page):
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


@cache
def anchors(page):
    return {tag.get("id") for tag in soup(page).find_all(id=True)} | {
        tag.get("name") for tag in soup(page).find_all("a", attrs={"name": True})
    }


@EACH
def test_page_loads_nothing_from_elsewhere(page):
    for tag, attribute in LOADED.items():
        for element in soup(page).find_all(tag):
            assert not OUTSIDE.match(element.get(attribute) or ""), str(element)[:200]


def test_styles_load_nothing_from_elsewhere():
    for sheet in PAGES.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8", errors="replace")
        assert not re.search(r"""(url\(|@import)\s*["']?(https?:)?//""", text), sheet


@EACH
def test_links_within_the_book_resolve(page):
    for link in soup(page).find_all("a", href=True):
        target, fragment = urldefrag(link["href"])
        if re.match(r"^[a-z]+:", target) or target.startswith("//"):
            continue
        goal = (page.parent / unquote(target)).resolve() if target else page
        assert goal.exists(), f"{link['href']} ({link.get_text().strip()})"
        if fragment and goal.suffix == ".html":
            assert unquote(fragment) in anchors(goal) or fragment == "top", link["href"]


@EACH
def test_ids_are_unique_and_pictures_described(page):
    ids = [tag["id"] for tag in soup(page).select("article [id]")]
    assert len(ids) == len(set(ids)), sorted({i for i in ids if ids.count(i) > 1})
    for picture in soup(page).select("article img"):
        assert picture.get("alt", "").strip() or picture.get("role") == "presentation", str(picture)[:200]
    assert len(soup(page).select("article h1")) <= 1


PICTURES = "article .cell_output img, article figure img, article svg[role=img]"
CHAPTERS = sorted((PAGES / "chapters").glob("[0-9][0-9]-*.html"))
SHARED = re.compile(r"/(_static|mathjax)/")
LIMIT = 1_500_000


@EACH
def test_no_box_waits_for_a_kernel(page):
    """The twins of the interactive figures need a kernel: the page shows their code and no empty widget."""
    assert not soup(page).select('[type*="jupyter.widget"], .jupyter-widgets, .output.widget')


@EACH
def test_page_is_light(page):
    """A page with the pictures that it loads, without what all pages share."""
    weight = page.stat().st_size
    for picture in soup(page).find_all("img", src=True):
        source = picture["src"]
        if not source.startswith("data:"):
            file = (page.parent / unquote(source)).resolve()
            weight += 0 if SHARED.search(file.as_posix()) else file.stat().st_size
    assert weight < LIMIT, f"{weight / 1e6:.2f} MB"


@EACH
def test_pictures_are_described_by_what_is_seen(page):
    """A sentence for each, no two alike, and none that names the kind of picture instead."""
    words = [(p.get("alt") or p.get("aria-label") or "").strip() for p in soup(page).select(PICTURES)]
    for text in words:
        assert 40 <= len(text) <= 900, text
        assert not re.match(r"(?i)(a |an |the )?(plot|figure|image|picture|graph|chart)s?\b( of)?", text), (
            text
        )
    assert len(words) == len(set(words)), [text for text in words if words.count(text) > 1]


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda p: p.stem)
def test_chapter_says_what_stands_behind_it(page):
    """A link each to the statements, the claims, the errata, the stored results and the notebook."""
    (box,) = soup(page).select("article aside.rf-trust")
    targets = {urldefrag(a["href"])[0] for a in box.find_all("a")}
    assert {"statements.html", "claims.html", "errata.html", "provenance.html"} <= targets
    assert any(target.endswith(f"{page.stem}.ipynb") for target in targets)
    assert f"{len(soup(page).select('.rf-holds'))} checks" in box.get_text()
    section = urldefrag(box.find("a")["href"])[1]
    heading = soup(PAGES / "chapters" / "statements.html").find(id=section).find("h2").get_text()
    assert heading.startswith(f"Chapter {int(page.stem[:2])}:")
    used = set(re.findall(r'rf\.results\.load\("([\w-]+)"\)', soup(page).get_text()))
    assert used <= {urldefrag(a["href"])[1] for a in box.select('a[href^="provenance"]')}
