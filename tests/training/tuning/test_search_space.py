"""The file of a sweep: its content, and its errors."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from digit_recognizer.errors import InputError
from digit_recognizer.recipes.catalog import RECIPES
from digit_recognizer.training.tuning import search_space
from digit_recognizer.training.tuning.search_space import Range

REFERENCE = (Path(__file__).resolve().parents[3] / "docs" / "reference.md").read_text(encoding="utf-8")


@pytest.fixture
def load(tmp_path):
    """Loads a space from a file with this text."""

    def of(text, name="faster.toml"):
        (tmp_path / name).write_text(text)
        return search_space.load(tmp_path / name)

    return of


def test_the_settings_of_a_recipe_and_a_space_are_read(load):
    found = load(
        'base = "plain-lenet5"\nepochs = 4\nobjective = "loss"\n[space]\n'
        "learning_rate = { low = 0.003, high = 0.03, log = true }\nshift = { low = 0, high = 3 }\n"
        "dropout = { low = 0, high = 0.5, step = 0.1 }\nbatch_size = [128, 256]\nbatch_norm = [true, false]\n"
    )
    assert (found.name, found.objective) == ("faster", "loss")
    assert found.recipe == replace(RECIPES["plain-lenet5"], epochs=4, folds=3)
    assert found.dimensions == {
        "learning_rate": Range(0.003, 0.03, log=True),
        "shift": Range(0, 3),
        "dropout": Range(0.0, 0.5, 0.1),
        "batch_size": (128, 256),
        "batch_norm": (True, False),
    }
    assert isinstance(found.dimensions["shift"].low, int)
    assert isinstance(found.dimensions["dropout"].low, float)


def test_the_example_in_the_reference_is_a_space(load):
    [example] = re.findall(r"```toml\n(.*?)```", REFERENCE, re.DOTALL)
    assert load(example).dimensions


def test_accuracy_and_three_folds_are_the_defaults(load):
    found = load("[space]\nshift = [0, 1]\n")
    assert (found.objective, found.recipe.folds) == ("accuracy", 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[space]\nlearning_rat = [0.1, 0.2]", "no field 'learning_rat'. Did you mean learning_rate"),
        ("[space]\nlearning_rat = 0.1", "Did you mean learning_rate"),
        ("epoch = 3\n[space]\nshift = [0, 1]", "Did you mean epochs"),
        ("[space]\nlearning_rate = { low = 0.1, high = 20 }", "learning_rate must be from 1e-09 to 10; received 20"),
        ("[space]\nshift = [0, 9]", "shift must be from 0 to 8; received 9"),
        ("[space]\nmodel = ['lenet5', 'lenet-6']", "model must be one of"),
        ("[space]\nlearning_rate = { low = 0.03, high = 0.003 }", "low <= high.* got \\(low=0.03, high=0.003"),
        ("[space]\nshift = { low = 0, high = 2.5 }", "shift must be a whole number; received 2.5"),
        ("[space]\nshift = { low = 0 }", "expected low and high, optionally step or log, received low"),
        ("[space]\nshift = { low = 0, high = 3, stride = 1 }", "received low, high, stride"),
        ("[space]\nshift = { low = 0, high = 3, step = 2 }", "expected high = low \\+ a multiple of step"),
        ("[space]\nshift = { low = 0, high = 3, step = 1.5 }", "shift must be a whole number; received 1.5"),
        ("[space]\ndropout = { low = 0, high = 0.5, step = 0 }", "dropout: `step > 0` must hold"),
        ("[space]\ndropout = { low = 0, high = 0.5, log = true }", "`low > 0` must hold for `log=True`"),
        ("[space]\ndropout = { low = 0.1, high = 0.5, log = 1 }", "log: expected true or false, received 1"),
        ("[space]\nbatch_size = { low = 1, high = 9, log = true, step = 2 }", "step is 1 when `log` argument is True"),
        ("[space]\nfit = { low = 'pad', high = 'resize' }", "expected a list of values, received a range"),
        ("[space]\nbatch_norm = { low = false, high = true }", "expected a list of values, received a range"),
        ("[space]\nbatch_size = [128]", "expected two different values or more, received \\[128\\]"),
        ("[space]\nbatch_size = [128, 128]", "expected two different values or more"),
        ("[space]\nbatch_size = 128", "Set a value that does not vary outside"),
        ("[space]\nseed = [1, 2]", "seed: expected a field of the training"),
        ("[space]\nfolds = [3, 5]", "folds: expected a field of the training"),
        ("[space]\ntta = ['none', 'shift']", "tta: expected a field of the training"),
        ("[space]\nloss = ['map', 'cross-entropy']", "contains loss map: label_smoothing is for the cross-entropy"),
        (
            "[space]\nwarm_up = [0.1, 0.2]\nschedule = ['constant', 'triangle']",
            "contains warm_up 0.1, schedule",
        ),
        ("", "expected a table \\[space\\] of the fields to vary, received nothing"),
        ("space = 3", "received 3"),
        ("folds = 0\n[space]\nshift = [0, 1]", "folds: expected 2 or more, received 0"),
        ("folds = 1\n[space]\nshift = [0, 1]", "folds must be 0"),
        ("objective = 'speed'\n[space]\nshift = [0, 1]", "expected accuracy or loss, received 'speed'"),
        ("[space", "not TOML in UTF-8"),
    ],
)
def test_an_invalid_space_is_refused_with_file_and_reason(load, tmp_path, text, message):
    with pytest.raises(InputError, match=message) as refused:
        load(text)
    assert str(refused.value).startswith(f"{tmp_path / 'faster.toml'}: ")


def test_a_file_whose_name_cannot_name_a_study_is_refused(load):
    with pytest.raises(InputError, match=r"Rename it, for example to my-space\.toml"):
        load("[space]\nshift = [0, 1]\n", "my space.toml")


@pytest.mark.parametrize(
    ("dimensions", "n"),
    [
        ("shift = { low = 0, high = 3 }\nbatch_size = [64, 128]", 8),
        ("epochs = { low = 2, high = 10, step = 4 }", 3),
        ("dropout = { low = 0.1, high = 0.3, step = 0.1 }", 3),
        ("batch_size = { low = 1, high = 20000 }", None),
        ("dropout = { low = 0.1, high = 0.3 }\nshift = [0, 1]", None),
    ],
)
def test_combinations_are_listed_unless_there_are_too_many(load, dimensions, n):
    found = search_space.combinations(load(f'base = "plain-lenet5"\n[space]\n{dimensions}\n'))
    assert (found and len({str(values) for values in found})) == n
