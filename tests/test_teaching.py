"""The pages for teachers: map, courses, misconceptions, exam, and the self-tests of the students."""

import copy
import importlib
import re
import subprocess
import sys
from xml.etree import ElementTree

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup

from tools import chapter_times, course
from tools.course_map import DOWN, HIGH, WIDE, Node, before, crosses, drawn, route
from tools.run_notebooks import ROOT
from tools.statements import EQUATION
from tools.verdicts import anchor, checks, notebooks

LABEL = re.compile(r"(?m)^:label:[ \t]*([\w:.-]+)|^\(([\w-]+)\)=[ \t]*$")
ROLE = re.compile(r"\{(?:eq|ref|prf:ref|numref)\}`(?:[^`<]*<)?([\w:.-]+)>?`")
PAGE = re.compile(r"\]\((\d\d)-[\w-]+\.ipynb\)")
FOLDED = re.compile(r"(?ms)^:::\{dropdown\} ([^\n]+)\n(.*?)^:::$")
OPTION = re.compile(r"([A-D])\. \S")
QUESTION = re.compile(r"(?m)^## (\d+)\. (.+)$")
WORDS = "zero one two three four five six seven eight nine ten eleven twelve".split()
SELF_TESTS = pytest.mark.parametrize("part", range(1, 6))


@pytest.fixture(scope="module")
def data():
    return course.load()


@pytest.fixture(scope="module")
def book(data):
    return course.collected(data)


@pytest.fixture(scope="module")
def nodes(book):
    return {number: chapter.node for number, chapter in book.items()}


def text(stem):
    cells = nbformat.read(ROOT / "chapters" / f"{stem}.ipynb", as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


@pytest.fixture(scope="module")
def texts(nodes):
    return {number: text(node.file) for number, node in nodes.items()}


def labels_of(words):
    return {a or b for pattern in (LABEL, EQUATION) for a, b in pattern.findall(words)}


@pytest.fixture(scope="module")
def home(texts):
    """The chapter of every label."""
    return {label: number for number, words in texts.items() for label in labels_of(words)}


def linked(words, home):
    """The chapters to which a text leads, by a link or by a reference to a label."""
    return {int(number) for number in PAGE.findall(words)} | {
        home[label] for label in ROLE.findall(words) if label in home
    }


def test_every_chapter_is_on_the_map_once(nodes):
    present = {int(path.stem[:2]) for path in (ROOT / "chapters").glob("[0-9][0-9]-*.ipynb")}
    assert set(nodes) == present
    assert len({node.place for node in nodes.values()}) == len(nodes), "two boxes in one place"


def test_what_a_chapter_needs_comes_before_it_and_is_linked_in_its_text(nodes, texts, home):
    for number, node in nodes.items():
        assert number not in before(nodes, number)
        assert not set(node.needs) & set(node.helps)
        for one in (*node.needs, *node.helps):
            assert one < number or one in node.helps
            assert one in linked(texts[number], home), f"chapter {number} has no link to chapter {one}"
        for one in node.needs:
            assert nodes[one].place[1] < node.place[1], "arrows lead downwards"


def test_a_cycle_is_noticed(nodes):
    bad = dict(nodes)
    bad[1] = Node(1, "a", "A", ("A",), (0, 0), (9,))
    with pytest.raises(ValueError, match="needs itself"):
        before(bad, 9)


def test_lines_imply_all_that_is_needed_and_run_through_no_box(nodes):
    lines = drawn(nodes)
    reach = {number: {number} for number in nodes}
    for number in sorted(nodes, key=lambda n: nodes[n].place[1]):
        for start, end in lines:
            if end == number:
                reach[number] |= reach[start]
    for number, node in nodes.items():
        assert set(node.needs) <= reach[number]
        assert reach[number] - {number} == before(nodes, number)
    for start, end in lines:
        path = route(nodes[start], nodes[end], nodes)
        assert not crosses(path, nodes)
        assert path[0][1] == nodes[start].top + HIGH and path[-1][1] == nodes[end].top


def test_a_line_through_a_box_is_noticed(nodes):
    node = nodes[1]
    through = [(node.middle, node.top - DOWN), (node.middle, node.top + DOWN)]
    beside = [(node.left - 1, node.top), (node.left - 1, node.top + HIGH)]
    assert crosses(through, nodes) and not crosses(beside, nodes)


def test_the_drawing_has_a_link_and_readable_words_for_every_chapter(nodes):
    drawing = course.MAP.read_text(encoding="utf-8")
    root = ElementTree.fromstring(drawing[drawing.index("<svg") :])
    boxes = [element for element in root if element.tag == "a"]
    assert [box.get("href") for box in boxes] == [f"{node.file}.html" for node in nodes.values()]
    for box, node in zip(boxes, nodes.values(), strict=True):
        words = " ".join("".join(line.itertext()) for line in box.iter("text"))
        assert words == f"{node.number} {' '.join(node.label)}"
        for line in box.iter("text"):
            assert 5.7 * len("".join(line.itertext())) <= WIDE, "too long for its box"
    assert root.get("aria-labelledby") == root[0].get("id")


def test_the_page_is_what_the_generator_makes_now():
    for name, made in course.pages().items():
        stored = (ROOT / "chapters" / name).read_text(encoding="utf-8")
        assert stored == made, f"{name} is stale: python -m tools.course"


def test_running_times_are_measured(nodes):
    times = chapter_times.load()
    for node in nodes.values():
        assert 1 < times[node.file]["seconds"] < 180, node.file
    page = course.PAGE.read_text(encoding="utf-8")
    by_hand = course.PART.sub("", page)
    assert not re.search(r"\d (s|min)\b", by_hand), "a time that is not measured"


def test_only_the_work_of_a_child_is_counted_and_not_its_sleep():
    before = chapter_times.processor_seconds()
    subprocess.run([sys.executable, "-S", "-c", "import time; time.sleep(0.8)"], check=True)
    asleep = chapter_times.processor_seconds()
    busy = "import time\nwhile time.process_time() < 0.4: pass"
    subprocess.run([sys.executable, "-S", "-c", busy], check=True)
    assert asleep - before < 0.4 <= chapter_times.processor_seconds() - asleep


def test_courses_cover_every_chapter_and_name_what_exists(data, nodes, book):
    keys = set(re.findall(r"(?m)^@\w+\{([\w-]+),", (ROOT / "references.bib").read_text(encoding="utf-8")))
    assert [len(one["week"]) for one in data["course"]][:2] == [5, 10]
    assert data["course"][1]["left_out"] == []
    for one in data["course"]:
        taught = {number for week in one["week"] for number in week["chapters"]}
        assert taught | set(one["left_out"]) == set(nodes), one["name"]
        assert not taught & set(one["left_out"]), one["name"]
        for week in one["week"]:
            assert len(week["lectures"]) == 2
            assert set(week["live"]) <= set(week["chapters"])
            assert set(week["reading"]) <= keys
            for label in week["homework"]:
                assert course.exercise(book, label)
                owner = next(n for n, chapter in book.items() if label in chapter.exercises)
                assert owner in week["chapters"], f"{label} is not of a chapter of its week"
    with pytest.raises(ValueError, match="no exercise"):
        course.exercise(book, "ex-nowhere")


def test_a_course_meets_a_chapter_after_what_it_needs(data, nodes):
    """Within a course, of the chapters that it has at all; the shortest ones lean on what is left out."""
    for one in data["course"]:
        week_of = {}
        for k, week in enumerate(one["week"]):
            for number in week["chapters"]:
                week_of.setdefault(number, k)
        for number, k in week_of.items():
            for need in nodes[number].needs:
                assert week_of.get(need, k) <= k, f"{one['name']}: {number} before {need}"


def test_misconceptions_lead_to_the_cell_that_refutes_them():
    page = course.PAGE.read_text(encoding="utf-8")
    section = page[page.index("## What they will get wrong") : page.index("## In the lecture room")]
    wrong = re.findall(r'(?m)^\*\*"[^"]+"\*\* (.+)$', section)
    assert len(wrong) >= 12 and "Seventeen" in section and len(wrong) == 17
    for entry in wrong:
        assert re.search(r"\]\(|\{eq\}|\{prf:ref\}|<a href", entry), entry
    known = {(name.split("#")[0], anchor(name.split("#", 1)[1])) for name in checks(notebooks())}
    for chapter, place in re.findall(r'<a href="([\w-]+)\.html#([\w-]+)">', page):
        assert (chapter, place) in known, f"{chapter} has no verdict {place}"


def test_predictions_come_before_the_slider():
    page = course.PAGE.read_text(encoding="utf-8")
    section = page[page.index("## What to move") : page.index("## What they will get wrong")]
    entries = re.findall(r"(?m)^\*\*Chapter \[\d+\].+$", section)
    assert len(entries) >= 10
    for entry in entries:
        assert 0 < entry.index("*Ask:*") < entry.index("*They see:*"), entry


@SELF_TESTS
def test_self_test_stands_at_the_end_of_its_part_and_has_no_number(part):
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    k = next(k for k, one in enumerate(toc) if {"file": f"chapters/self-test-{part}"} in one["chapters"])
    assert len(toc[k]["chapters"]) == 1 and "numbered" not in toc[k]
    assert toc[k - 1]["numbered"] and toc[k - 1]["caption"].lower() in text(f"self-test-{part}").lower()


@SELF_TESTS
def test_every_question_is_answered_and_every_option_explained(part, home):
    words = text(f"self-test-{part}")
    names = [(int(number), name) for number, name in QUESTION.findall(words)]
    assert [number for number, _ in names] == list(range(1, len(names) + 1))
    assert 8 <= len(names) <= 12
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    k = next(k for k, one in enumerate(toc) if {"file": f"chapters/self-test-{part}"} in one["chapters"])
    own = {int(entry["file"].split("/")[1][:2]) for entry in toc[k - 1]["chapters"]}
    kinds = []
    for question in re.split(r"(?m)^## ", words)[1:]:
        answers = FOLDED.findall(question)
        options = [title for title, _ in answers if OPTION.match(title)]
        if options:
            assert [title[0] for title in options] == list("ABCD"), question
            right = [body for _, body in answers if body.startswith("**Yes")]
            wrong = [body for _, body in answers if body.startswith("**No")]
            assert (len(right), len(wrong)) == (1, 3), question
            for body in wrong:
                assert len(body.split()) >= 4, f"why is it wrong? {body}"
        else:
            assert len(answers) == 1, question
        assert linked(question, home) & own, f"leads to no chapter of its part:\n{question}"
        kinds.append("options" if options else answers[0][0])
    assert {"options", "Answer", "The wrong step"} <= set(kinds)


@SELF_TESTS
def test_self_test_begins_with_what_a_score_means(part):
    cells = nbformat.read(ROOT / "chapters" / f"self-test-{part}.ipynb", as_version=4).cells
    head = cells[0].source
    count = len(QUESTION.findall(text(f"self-test-{part}")))
    best = re.search(r"(?m)^- \*(?:\w+ or )?(\w+) right", head)
    assert WORDS.index(best[1].lower()) == count
    assert WORDS.index(re.search(r"(\w+) questions on chapters", head)[1].lower()) == count


def folded_cells(stem):
    cells = nbformat.read(ROOT / "chapters" / f"{stem}.ipynb", as_version=4).cells
    return [cell for cell in cells if cell.cell_type == "code"]


@pytest.mark.parametrize("stem", [*(f"self-test-{part}" for part in range(1, 6)), "teaching-exam"])
def test_computations_are_folded_and_decide_something(stem):
    for cell in folded_cells(stem):
        assert "hide-cell" in cell.metadata.get("tags", []), cell.source
        assert cell.metadata["mystnb"]["code_prompt_show"], cell.source
    for cell in folded_cells(stem)[1:]:
        assert "check(" in cell.source or "print(" in cell.source, cell.source
        printed = "".join(output.get("text", "") for output in cell.outputs)
        assert "holds" in printed or printed.strip().endswith("True"), cell.source


def exam():
    """The questions of the exam page: name, kind, points, body."""
    found = []
    for part in re.split(r"(?m)^## ", text("teaching-exam"))[1:]:
        name, points = re.match(r"([CDN]\d)\.", part)[1], int(re.search(r"\*\((\d+) points;", part)[1])
        found.append((name, name[0], points, part))
    return found


def test_exam_has_three_kinds_and_every_scheme_adds_up():
    questions = exam()
    assert len(questions) >= 12
    assert {kind for _, kind, _, _ in questions} == set("CDN")
    for name, _, points, part in questions:
        (title, solution), *more = FOLDED.findall(part)
        assert title == "Solution and points" and not more
        given = sum(int(number) for number in re.findall(r"\((\d+) points?[,)]", solution))
        assert given == points, f"{name}: {given} of {points}"
        assert re.search(r"\]\((\d\d)-|\{prf:ref\}|\{eq\}", part), name


def test_exams_have_forty_points_of_questions_that_exist():
    points = {name: number for name, _, number, _ in exam()}
    sets = re.findall(r"(?m)^- \*[^*]+:\* ((?:[CDN]\d(?:, )?)+)\.$", text("teaching-exam"))
    assert len(sets) == 3
    for names in sets:
        assert sum(points[name] for name in names.split(", ")) == 40, names


def test_every_check_of_a_derivation_or_computation_is_named_after_it():
    cells = folded_cells("teaching-exam")[1:]
    told = {name for name, kind, _, _ in exam() if kind in "DN"}
    run = {name for cell in cells for name in re.findall(r'check\("([DN]\d), ', cell.source)}
    assert told - run <= {"D6"}, "these have no check"


def test_the_readiness_check_has_ten_questions_and_ten_answers():
    page = course.PAGE.read_text(encoding="utf-8")
    section = page[page.index("## Are they ready?") : page.index("## Which chapter needs which")]
    asked, answered = section.split(":::{dropdown}")
    assert [int(k) for k in re.findall(r"(?m)^(\d+)\. ", asked)] == list(range(1, 11))
    assert [int(k) for k in re.findall(r"(?:^|(?<=\s))(\d+)\. (?=[^\n])", answered)] == list(range(1, 11))


def test_a_chapter_without_exercise_of_that_name_is_noticed(book):
    spoilt = copy.copy(book)
    spoilt.pop(1)
    with pytest.raises(ValueError, match="ex-sde-ve is no exercise"):
        course.exercise(spoilt, "ex-sde-ve")


def test_every_chapter_says_under_its_title_what_it_needs_and_is_good_for(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "_ext")
    goals = importlib.import_module("goals")
    for number, chapter in course.collected(course.load()).items():
        said = BeautifulSoup(goals.announce(number, "<h1>Title</h1>\n<p>Text</p>"), "html.parser")
        assert [tag.name for tag in said.find_all(recursive=False)] == ["h1", "p", "p"]
        line = said.find("p")
        needed = {link["href"] for link in line.find_all("a")}
        assert {int(href[:2]) for href in needed} == set(chapter.node.needs)
        assert all((ROOT / "chapters" / href.replace(".html", ".ipynb")).exists() for href in needed)
        assert line.get_text().count("Afterwards you can") == 1
        assert len(line.get_text().split(";")) == len(chapter.goals)
