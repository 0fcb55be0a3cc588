"""Text in files that other programs open."""

import pytest

from digit_recognizer.utils.text import escape_formula


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@sum", "\t=1", "\r=1", "\n=1", "＝1+1"])
def test_a_formula_becomes_text(cell):
    assert escape_formula(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "a note", "1-1", -1.5, None])
def test_other_cells_stay(cell):
    assert escape_formula(cell) == cell
