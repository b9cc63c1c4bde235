"""What every chapter promises, read from the notebook file."""

import ast
import re

import nbformat
import pytest
import yaml

from tools.run_notebooks import METADATA, ROOT, chapters
from tools.set_repository import without_install

CHAPTERS = pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
TRAINED = {"13-unet-memorization"}  # where the slider shows a network that is trained on the page
EMPTY_WORDS = ("plot of", "a plot of", "figure showing", "a figure showing", "image of", "graph of")
STYLE = (ROOT / "rfcore" / "book" / "slider.css").read_text(encoding="utf-8").strip()
LABEL = re.compile(r"\$\$[ \t]*\(([\w:.-]+)\)|:label:[ \t]*(eq-[\w:.-]+)")


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def tags(cell):
    return cell.metadata.get("tags", [])


def images(cell):
    return [o for o in cell.outputs if any(key.startswith("image/") for key in o.get("data", {}))]


@CHAPTERS
def test_every_cell_was_run_in_order_in_one_fresh_kernel(path):
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))


@CHAPTERS
def test_no_cell_failed_or_warned(path):
    for cell in code_cells(path):
        for output in cell.outputs:
            assert output.output_type != "error", cell.source
            assert output.get("name") != "stderr", f"{cell.source}\n\n{output.get('text')}"


@CHAPTERS
def test_figures_have_their_own_cell_and_say_what_is_seen(path):
    for cell in code_cells(path):
        if not images(cell):
            continue
        assert len(images(cell)) == 1, f"one figure per cell:\n{cell.source}"
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        assert len(alt.split()) >= 6, f"alternative text {alt!r} for:\n{cell.source}"
        assert not alt.lower().startswith(EMPTY_WORDS), alt


@CHAPTERS
def test_cells_are_short_and_show_what_they_end_in(path):
    for cell in code_cells(path):
        assert len(cell.source.splitlines()) <= 25, cell.source
        assert not cell.source.rstrip().endswith(";"), cell.source
        assert "rcParams" not in cell.source, "the style of figures lives in rfcore.book"


@CHAPTERS
def test_first_code_cell_imports_and_no_more(path):
    source = without_install(code_cells(path)[0].source)
    assert all(isinstance(part, ast.Import | ast.ImportFrom) for part in ast.parse(source).body), source


@CHAPTERS
def test_live_cells_store_nothing_and_sliders_are_self_contained(path):
    for cell in code_cells(path):
        if "remove-output" in tags(cell):
            assert not cell.outputs, cell.source
        for output in cell.outputs:
            html = output.get("data", {}).get("text/html", "")
            if "rf-slider" in html:
                assert STYLE in html, f"{path.name} has a slider of an older style: run it again"
                ignored = "nbval-ignore-output" in tags(cell)
                assert ignored == (path.stem in TRAINED), f"is it compared?\n{cell.source}"
                assert not re.search(r"""(src|href)=["']?(https?:)?//""", html), cell.source
                assert len(html) <= 150_000, f"{len(html)} bytes:\n{cell.source}"


@CHAPTERS
def test_live_functions_that_draw_return_their_figure(path):
    code = ast.parse("\n".join(without_install(cell.source) for cell in code_cells(path)))
    defined = {node.name: node for node in ast.walk(code) if isinstance(node, ast.FunctionDef)}
    calls = [
        node for node in ast.walk(code) if isinstance(node, ast.Call) and ast.unparse(node.func) == "live"
    ]
    for drawn in [defined[ast.unparse(call.args[0])] for call in calls]:
        if "panels(" in ast.unparse(drawn):  # which closes the figure: it is shown as what is returned
            assert isinstance(drawn.body[-1], ast.Return), ast.unparse(drawn)


@CHAPTERS
def test_labelled_equations_are_referred_to_or_checked(path):
    text = "\n".join(cell.source for cell in read(path).cells)
    labels = [a or b for a, b in LABEL.findall(text)]
    assert len(labels) == len(set(labels)), "a label stands twice"
    everything = "\n".join(c.source for p in chapters() for c in read(p).cells)
    everything += "\n".join(
        p.read_text(encoding="utf-8") for p in (*ROOT.glob("chapters/*.md"), ROOT / "intro.md")
    )
    for label in labels:
        times = len(re.findall(rf"(?<![\w.-]){re.escape(label)}(?![\w-])", everything))
        assert times >= 2, f"{label} is neither referred to nor checked: drop its label, or check it"


@CHAPTERS
def test_file_is_small_and_has_no_trace_of_the_machine(path):
    assert path.stat().st_size < 1_500_000
    notebook = read(path)
    assert notebook.metadata == METADATA
    ids = [cell.id for cell in notebook.cells]
    assert len(ids) == len(set(ids))


def test_contents_list_every_chapter():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    listed = {entry["file"] for part in toc["parts"] for entry in part["chapters"]}
    present = {f"chapters/{p.stem}" for p in ROOT.glob("chapters/*") if p.suffix in (".ipynb", ".md")}
    assert listed == present
