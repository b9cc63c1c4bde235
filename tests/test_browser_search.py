"""The search box finds the symbols of the notation page by name, with the pages opened as files."""

import json
import re
from urllib.parse import quote

import pytest

from tools.browser import DESKTOP, chromium, find
from tools.build_book import PAGES
from tools.run_notebooks import ROOT

pytestmark = [
    pytest.mark.built,
    pytest.mark.skipif(not (PAGES / "index.html").exists(), reason="the book is not built: make book"),
    pytest.mark.skipif(find() is None, reason="no Chromium was found (apt-get install chromium)"),
    pytest.mark.xdist_group("search"),
]
# What a reader types, and a chapter that must be among the answers.
ASKED = [
    ("psi_p", "03-random-features"),
    ("tau_mem", "09-timescales"),
    ("τ_mem", "09-timescales"),
    ("tau_gen", "09-timescales"),
    ("f_mem", "13-unet-memorization"),
    ("kappa", "04-stieltjes-transform"),
    ("Delta_t", "01-score-sdes"),
    ("q(z)", "04-stieltjes-transform"),
    ("Stieltjes", "04-stieltjes-transform"),
    ("delta_lambda", "08-bulks"),
    ("E_score", "10-learning-curves"),
]
SEARCHED = """new Promise(done => {const start = Date.now(); const look = () => {
  const words = document.querySelector("#search-results .search-summary")?.textContent ?? "";
  const links = [...document.querySelectorAll("#search-results li a")].map(a => a.href);
  const ready = /finished|found|did not match/i.test(words);
  if ((ready && links.length === window.count) || Date.now() - start > 20000) done(links);
  else {window.count = links.length; setTimeout(look, 250);}}; look()})"""


@pytest.fixture(scope="module")
def tab():
    with chromium() as page:
        page.show_on(DESKTOP)
        yield page


def ask(tab, words):
    """The pages that the search answers with, by name."""
    tab.open((PAGES / "search.html").as_uri() + f"?q={quote(words)}")
    links = tab.run(SEARCHED)
    return {re.sub(r".*/|\.html.*", "", link) for link in links}


@pytest.mark.parametrize(("words", "chapter"), ASKED)
def test_search_finds_the_chapter(tab, words, chapter):
    assert chapter in ask(tab, words)
    assert not tab.complaints


def names():
    """The symbols with an index on the notation page, as one would type them."""
    text = (ROOT / "chapters" / "notation.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| $")]
    plain = " ".join(rows).replace("\\text", "").replace("\\mathrm", "")
    return sorted({f"{a}_{b}" for a, b in re.findall(r"([A-Za-z]+)_\{?\\?([A-Za-z0-9]+)", plain)})


def test_search_knows_every_symbol_of_the_notation(tab):
    """Looked up in the index that the page loads, by the words that its own search makes of them."""
    tab.open((PAGES / "search.html").as_uri() + "?q=psi_p")
    tab.run(SEARCHED)
    found = tab.run(
        "(() => {const index = Search._index, stem = new Stemmer(); return "
        + json.dumps(names())
        + """.map(word => {const hit = index.terms[stem.stemWord(word.toLowerCase())];
        return [word, (hit === undefined ? [] : [].concat(hit)).map(k => index.docnames[k])]})})()"""
    )
    for word, pages in found:
        assert "chapters/notation" in pages, word
        assert any(re.match(r"chapters/\d\d-", page) for page in pages), f"{word} is in no chapter"
