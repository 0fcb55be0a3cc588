"""The figures that `digits recipes` prints are those of docs/benchmarks.md."""

import re
from pathlib import Path

import pytest

from digit_recognizer.recipes.catalog import NOTES, RECIPES

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md").read_text(encoding="utf-8")


def number(text):
    return float(text.replace(",", ""))


def measured(name):
    """The accuracy, number of seeds and minutes from start to submission of a recipe's first row."""
    row = next(line for line in TEXT.splitlines() if line.startswith(f"| `{name}` | "))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    if name == "committee":  # its row has three networks, with label smoothing, which the recipe no longer has
        right = re.search(r"([\d,]+) of the 42,000 rows are correct", TEXT)[1]
        return round(number(right) / 42_000, 4), 1, number(re.search(r"([\d.]+) minutes for 15", TEXT)[1])
    accuracy = float(re.match(r"[\d.]+", cells[3])[0])
    return accuracy, int(cells[4]), round(number(cells[11]) / 60, 1)


def test_every_recipe_has_a_note():
    assert list(NOTES) == list(RECIPES)


@pytest.mark.parametrize("name", NOTES)
def test_notes_of_recipes_are_the_measured_figures(name):
    note = NOTES[name]
    assert (note.accuracy, note.n, note.minutes) == measured(name)
