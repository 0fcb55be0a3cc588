"""Text in files that other programs open."""

from typing import TypeVar

Cell = TypeVar("Cell")

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # also full-width


def escape_formula(cell: Cell) -> Cell | str:
    """Returns text that a spreadsheet would evaluate as a formula with an apostrophe in front, others unchanged."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell
