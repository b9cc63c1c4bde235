"""The front page: its commands print what it shows, its picture is what they draw, its links lead on."""

import re
import shlex

import numpy as np
import pytest

from rfcore import _command_line as line
from tools import readme
from tools.run_notebooks import ROOT

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"-?\d+\.\d+")


def test_its_commands_print_what_it_shows(monkeypatch):
    monkeypatch.setenv("RFCORE_QUIET", "1")
    assert readme.BLOCK.search(TEXT)
    assert readme.renewed(TEXT) == TEXT


def test_a_changed_output_is_noticed_and_a_failing_command_is_no_output(monkeypatch):
    command = "python -m rfcore experiment"
    assert readme.renewed(f"```console\n$ {command}\nold\n```\n").startswith(
        f"```console\n$ {command}\nrandom"
    )
    monkeypatch.setattr(readme, "rfcore", lambda words: 2)
    with pytest.raises(RuntimeError, match="python -m rfcore experiment: exit status 2"):
        readme.renewed(f"```console\n$ {command}\n```\n")


def test_the_commands_that_it_names_are_understood():
    found = re.findall(r"(?m)^(?:\$|   ) (python -m rfcore [^#\n]*)", TEXT)
    assert len(found) >= 6
    for command in found:
        words = [word for word in shlex.split(command)[3:] if word != "--help"]
        if words != ["sweep"]:
            line.parser().parse_args(words)


def test_its_picture_is_drawn_by_the_command_and_has_ink_for_day_and_night(monkeypatch):
    monkeypatch.setenv("RFCORE_QUIET", "1")
    stored = (ROOT / "assets" / "losses.svg").read_text(encoding="utf-8")
    assert "prefers-color-scheme:dark" in stored and "(assets/losses.svg)" in TEXT
    drawn = readme.picture()
    assert NUMBER.sub("x", drawn) == NUMBER.sub("x", stored)  # the same but for round-off
    old, new = (np.array(NUMBER.findall(text), dtype=float) for text in (stored, drawn))
    np.testing.assert_allclose(new, old, atol=0.05)  # of a point, 1/72 inch
    assert "http" not in re.sub(r'(xmlns\S*|"http://www\.w3\.org\S*)', "", drawn)


def test_its_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert len(links) >= 5
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []
