"""What the tests of the command line share: a command typed, a file read back."""

import csv

import numpy as np

from tests.test_command_line import typed


def said(words, capsys):
    """What a command prints that succeeds and complains about nothing."""
    status, out, err = typed(words, capsys)
    assert status == 0 and err == "", err
    return out


def numbers(path):
    """The columns of a csv file."""
    with path.open() as file:
        head, *rows = list(csv.reader(file))
    return {name: np.array([float(row[k]) for row in rows if row[k]]) for k, name in enumerate(head)}
