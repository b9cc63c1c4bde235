"""The writer of outputs: writes only what ran cleanly, the same bytes each time, and no live parts."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tools.run_notebooks import METADATA, execute, run


@pytest.fixture
def notebook(tmp_path):
    """Writes a notebook of the given cells (source, or source and tags) and gives its path."""

    def write(*cells):
        made = new_notebook(metadata={"language_info": {"name": "python", "version": "3.0"}})
        for k, cell in enumerate(cells):
            source, tags = (cell, []) if isinstance(cell, str) else cell
            made.cells.append(new_code_cell(source, id=f"c{k}", metadata={"tags": tags} if tags else {}))
        nbformat.write(made, tmp_path / "chapter.ipynb")
        return tmp_path / "chapter.ipynb"

    return write


def test_outputs_are_stored_and_a_second_run_changes_nothing(notebook):
    path = notebook(
        "print('one')\nprint('two')",
        ("import ipywidgets\nipywidgets.IntSlider()", ["remove-output"]),
        "import os\n(os.environ['OMP_NUM_THREADS'], os.environ['RFCORE_QUIET'])",
    )
    assert run(path)
    first = path.read_bytes()
    stored = nbformat.read(path, as_version=4)
    assert stored.metadata == METADATA
    assert [cell.execution_count for cell in stored.cells] == [1, 2, 3]
    assert [output.text for output in stored.cells[0].outputs] == ["one\ntwo\n"]
    assert stored.cells[1].outputs == []
    assert stored.cells[2].outputs[0].data["text/plain"] == "('1', '1')"
    changed = path.stat().st_mtime_ns
    assert run(path)
    assert path.read_bytes() == first
    assert path.stat().st_mtime_ns == changed


@pytest.mark.parametrize(
    "source, complaint",
    [("1/0", "ZeroDivisionError"), ("import warnings\nwarnings.warn('careful')", "wrote to stderr")],
)
def test_what_fails_or_warns_is_not_written(notebook, source, complaint, capsys):
    path = notebook("print(1)", source)
    before = path.read_bytes()
    assert not run(path)
    assert path.read_bytes() == before
    assert complaint in capsys.readouterr().err
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_seeds_shift_by_the_environment_and_nothing_is_written(notebook):
    path = notebook("from rfcore.book import seed\nprint(seed(3))")
    before = path.read_bytes()
    made = execute(path, {"RFCORE_SEED_SHIFT": "2"})
    assert made.cells[0].outputs[0].text == "2003\n"
    assert path.read_bytes() == before
