"""The registers: every claim and every labelled equation has a check that exists, and the pages say so."""

import copy
import importlib
import re
from dataclasses import replace

import pytest

from tools import claims, statements
from tools.claims import STATUS
from tools.margins import VERDICT
from tools.run_notebooks import ROOT
from tools.verdicts import anchor, checks, collected, notebooks, stored

DOCUMENTS = (
    "seminar-slides",
    "derivation-note",
    "learning-curves-talk",
    "linear-diffusion-talk",
    "consistency-summary",
)


@pytest.fixture(scope="module")
def books():
    return notebooks()


@pytest.fixture(scope="module")
def known(books):
    return [*checks(books), *collected(), *stored()]


@pytest.fixture(scope="module")
def register():
    return claims.sources()


@pytest.fixture(scope="module")
def labelled(books):
    return [s for chapter, book in books.items() for s in statements.found(chapter, book)]


def listed():
    return statements.load(statements.FILE.read_text(encoding="utf-8"))


def without(books, chapter, label):
    """The chapters, with one verdict taken out of a stored output."""
    spoilt = copy.deepcopy(books)
    for cell in spoilt[chapter].cells:
        for output in cell.get("outputs", []):
            if "text" in output:
                output.text = VERDICT.sub(lambda m: "" if m[1] == label else m[0], output.text)
    return spoilt


def test_every_claim_has_a_check_and_nothing_is_forgotten(register, known):
    assert claims.problems(register, known) == []


def test_every_label_has_a_check_or_is_a_definition_and_not_both(labelled, known):
    assert statements.problems(labelled, known, listed()) == []


def test_the_documents_are_there_and_their_parts_are_listed(register):
    items = {source.key: source.items for source in register}
    assert tuple(key for key in items if items[key]) == DOCUMENTS
    assert {f"Eq. {k}" for k in range(1, 27)} <= set(items["derivation-note"])
    assert {f"section {k}" for k in range(1, 14)} <= set(items["derivation-note"])
    sections = {item.split()[0] for item in items["seminar-slides"]}
    assert {f"3.{k}" for k in range(1, 12)} | {f"2.{k}" for k in range(1, 5)} <= sections
    assert {"1.1", "1.2", "1.3", "4.1", "4.2", "4.3"} <= sections


def test_only_what_needs_trained_networks_is_open(register):
    for source in register:
        for claim in source.claims:
            assert claim.status != "open" or re.search(r"trained .*networks", claim.needs), claim.id


def test_sources_are_in_the_bibliography(register):
    keys = set(re.findall(r"(?m)^@\w+\{([\w-]+),", (ROOT / "references.bib").read_text(encoding="utf-8")))
    for source in register:
        text = " ".join([source.about, *(f"{c.place} {c.says} {c.book}" for c in source.claims)])
        cited = {key for group in re.findall(r"\{cite\}`([^`]+)`", text) for key in group.split(",")}
        assert cited and cited <= keys, source.key


def test_the_pages_are_what_the_generator_makes_now():
    for path, text in claims.pages().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is stale: python -m tools.claims"


def test_numbers_on_the_page_are_those_of_the_chapters(books):
    page = claims.pages()[ROOT / "chapters" / "claims.md"]
    found = checks(books)["03-random-features#eq-duhamel"]
    link = f'<a href="03-random-features.html#{anchor(found.label)}">{found.label}</a>'
    line = next(row for row in page.splitlines() if link in row)
    numbers = re.search(r"error (\S+) of (\S+) allowed", line.replace("\N{MINUS SIGN}", "-")).groups()
    error, allowed = (float(number) for number in numbers)
    assert error == pytest.approx(found.error, rel=0.05) and allowed == pytest.approx(found.tolerance)


def test_links_lead_to_one_verdict_each(books):
    for chapter in books:
        labels = [name.split("#", 1)[1] for name in checks({chapter: books[chapter]})]
        anchors = [anchor(label) for label in labels]
        twice = [label for label, name in zip(labels, anchors, strict=True) if anchors.count(name) > 1]
        assert not twice, f"{chapter}: these cannot be told apart: {twice}"


def test_a_removed_check_is_noticed(books, register, labelled):
    spoilt = without(books, "03-random-features", "eq-duhamel")
    left = [*checks(spoilt), *collected(), *stored()]
    assert any("03-random-features#eq-duhamel" in line for line in claims.problems(register, left))
    assert any("eq-filter" in line for line in statements.problems(labelled, left, listed()))
    spoilt = without(books, "08-bulks", "eq-lambda3")
    left = [*checks(spoilt), *collected(), *stored()]
    wrong = statements.problems(labelled, left, listed())
    assert any(line.startswith("eq-lambda3 ") and "no check" in line for line in wrong)


def test_a_removed_test_is_noticed(register, known):
    gone = "tests/test_derivations.py::test_replica_saddle_is_the_resolvent"
    assert gone in known
    assert any(gone in line for line in claims.problems(register, [name for name in known if name != gone]))


def spoil(register, **changes):
    source = register[0]
    first = replace(source.claims[0], **changes)
    return [replace(source, claims=(first, *source.claims[1:])), *register[1:]]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"checks": ()}, "has no check"),
        ({"checks": ("03-random-features#nothing",)}, "no such check"),
        ({"status": "certain"}, "is none of"),
        ({"status": "open", "needs": "trained image networks."}, "has no checks"),
        ({"items": ()}, "nothing is said of 1.1 forward"),
        ({"items": ("9.9",)}, "9.9 is no item"),
        ({"status": "erratum", "book": ""}, "says what is right"),
        ({"id": "reverse"}, "two claims of one name"),
    ],
)
def test_a_bad_claim_is_noticed(register, known, changes, words):
    assert any(words in line for line in claims.problems(spoil(register, **changes), known))


def test_a_label_without_check_and_a_definition_with_one_are_noticed(labelled, known):
    register = listed()
    extra = statements.Statement("03-random-features", "eq-nowhere", "equation")
    assert any("eq-nowhere" in x for x in statements.problems([*labelled, extra], known, register))
    both = replace(register, definitions={**register.definitions, "eq-duhamel": ("definition", "it is not")})
    assert any("is a definition and has checks" in x for x in statements.problems(labelled, known, both))
    lost = replace(register, named={**register.named, "eq-lost": ["errata#flow"]})
    assert any("in no chapter" in x for x in statements.problems(labelled, known, lost))


def test_every_status_is_explained_and_used_on_the_page(register):
    page = claims.claims_page(register, checks(notebooks()))
    used = {claim.status for source in register for claim in source.claims}
    assert used == set(STATUS)
    for status, meaning in STATUS.items():
        assert meaning in page and f"rf-is-{status}" in page


def test_the_extension_marks_verdicts_as_the_links_expect(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "_ext")
    extension = importlib.import_module("rfbook")
    label = "eq-a, m = 1 &lt; 2"
    twice = f"<pre><span></span>{label} holds (tolerance 0.1)\n{label} holds (tolerance 0.1)\n</pre>"
    body = extension.mark_verdicts(twice)
    assert body.count(f'id="{anchor("eq-a, m = 1 < 2")}"') == 1
