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
