"""A network learns the predictions of teachers, but of none that was trained on its held-out rows."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from digit_recognizer import pipeline
from digit_recognizer.competition import notebook
from digit_recognizer.data.csv_reader import CsvFile, read_train
from digit_recognizer.data.images import to_images
from digit_recognizer.data.sample import write_sample
from digit_recognizer.errors import InputError
from digit_recognizer.evaluation.metrics import evaluate
from digit_recognizer.evaluation.prediction import log_probabilities
from digit_recognizer.models.registry import MODELS
from digit_recognizer.recipes.catalog import RECIPES
from digit_recognizer.recipes.recipe import change
from digit_recognizer.tracking.run_dir import read_predictions
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.training import distillation
from digit_recognizer.training.augmented_model import average_probabilities
from digit_recognizer.training.cross_validation import NetworkSpec
from digit_recognizer.training.fit import fit
from digit_recognizer.training.run_plan import NewRun
from digit_recognizer.training.tuning import sweep
from digit_recognizer.utils.arrays import read_arrays
from digit_recognizer.utils.reporter import SILENT
from tiny import tiny

RECIPE = change(RECIPES["quick"], {"batch_size": 32, "epochs": 1, "folds": 2})
ROWS = np.arange(10)


def train(workspace, recipe, name=None):
    return pipeline.run(pipeline.RunConfig(NewRun("quick", recipe, name), Path("sample")), workspace, SILENT)


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A workspace with a teacher of two folds and its student; the student's result; the teachers built, in order."""
    workspace = Workspace(tmp_path_factory.mktemp("taught"))
    with pytest.MonkeyPatch.context() as patch:
        for model in ("lenet5", "lenet-28"):
            patch.setitem(MODELS, model, tiny(model))
        train(workspace, RECIPE, "old")
        student = replace(RECIPE, model="lenet-28", teacher="old")
        built, build = [], distillation.Teacher.build
        patch.setattr(distillation.Teacher, "build", lambda self: built.append(self.folder.name) or build(self))
        result = train(workspace, student, "young")
        yield workspace, result, tuple(built)


@pytest.fixture(scope="module")
def train_table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder)
    return read_train(CsvFile(folder / "train.csv"))


def held_out(rows):
    return NetworkSpec("lenet5-seed0", RECIPE, None, np.arange(0), np.asarray(rows, int), True)


def teacher(rows):
    return distillation.Teacher("lenet5", Path("nowhere"), np.asarray(rows, int), {})


def test_a_run_stores_the_full_name_of_its_teacher(taught):
    _, result, _ = taught
    recipe = json.loads((result.submission.parent / "recipe.json").read_text())
    assert recipe["teacher"].endswith("-old")
    assert recipe["teacher"] != "old"


def test_each_fold_learns_only_from_the_network_not_trained_on_its_held_out_rows(taught):
    *_, built = taught
    assert built == ("lenet5-seed0-fold1", "lenet5-seed0-fold2")


def test_a_teacher_predicts_what_its_run_predicted(taught, train_table):
    workspace, *_ = taught
    with workspace.existing_ledger() as ledger:
        old = ledger.run("old")
        _, teachers = distillation.load_teachers(ledger, replace(RECIPE, teacher="old"), old.train_hash)
    assert len(teachers) == 2
    for one in teachers:
        predictions = read_predictions(one.folder)
        found = log_probabilities(one.build(), to_images(train_table.pixels[predictions.rows]))
        np.testing.assert_allclose(found, predictions.log_p, atol=1e-4)


def test_no_teacher_was_trained_on_the_held_out_rows_of_its_student():
    on_all, on_none, on_half = teacher([]), teacher(ROWS), teacher(ROWS[:5])
    assert distillation.teachers_of(held_out(ROWS[3:8]), [on_all, on_half, on_none]) == [on_none]
    with pytest.raises(InputError, match="each network of the teacher was trained on rows"):
        distillation.teachers_of(held_out(ROWS), [on_all, on_half])


def test_a_student_without_held_out_rows_learns_from_teachers_without_them_or_else_from_all():
    on_all, on_half = teacher([]), teacher(ROWS[:5])
    assert distillation.teachers_of(held_out([]), [on_all, on_half]) == [on_all]
    assert distillation.teachers_of(held_out([]), [on_half]) == [on_half]


def test_a_student_with_other_splits_is_refused_before_anything_is_written(taught):
    workspace, *_ = taught
    before = sorted(workspace.submissions.iterdir())
    with pytest.raises(InputError, match="Set seed, and folds or validation"):
        train(workspace, replace(RECIPE, seed=9, teacher="old"))
    assert sorted(workspace.submissions.iterdir()) == before


def test_a_teacher_must_be_known_finished_and_of_the_same_data(taught, tmp_path):
    workspace, *_ = taught
    copy = Workspace(shutil.copytree(workspace.folder, tmp_path / "copy"))
    with copy.existing_ledger() as ledger:
        run = ledger.run("old")
        for name, data, message in (
            ("nobody", run.train_hash, "teacher: there is no run 'nobody'"),
            ("old", "other", r"another train\.csv"),
        ):
            with pytest.raises(InputError, match=message):
                distillation.load_teachers(ledger, replace(RECIPE, teacher=name), data)
        ledger.update_run(run.id, kind="blend")
        with pytest.raises(InputError, match="no networks of its own"):
            distillation.load_teachers(ledger, replace(RECIPE, teacher="old"), run.train_hash)
        ledger.update_run(run.id, kind="run", status="failed")
        with pytest.raises(InputError, match="is failed"):
            distillation.load_teachers(ledger, replace(RECIPE, teacher="old"), run.train_hash)


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_bytes(file.read_bytes()[:-99])])
def test_missing_or_damaged_weights_are_refused(taught, damage, tmp_path):
    workspace, *_ = taught
    [source, *_] = sorted(workspace.submissions.glob("*-old/members/*"))
    copy = shutil.copytree(source, tmp_path / "member")
    damage(copy / "weights.npz")
    with pytest.raises(InputError, match=r"not found|damaged"):
        read_arrays(copy / "weights.npz")


def test_the_weights_of_another_network_are_refused():
    with pytest.raises(InputError, match="not the weights of lenet5"):
        teacher(ROWS).build()


def test_teacher_and_student_need_digits_of_the_same_size(taught):
    workspace, *_ = taught
    student = replace(RECIPE, fit="resize", teacher="old")
    with workspace.existing_ledger() as ledger, pytest.raises(InputError, match='both need fit = "pad"'):
        distillation.load_teachers(ledger, student, ledger.run("old").train_hash)


def test_sweeps_and_notebooks_have_no_teacher(workspace):
    space = workspace.folder / "taught.toml"
    space.write_text('teacher = "old"\n[space]\nshift = [0, 1]\n')
    with pytest.raises(InputError, match="sweeps do not support a teacher"):
        sweep.read_space(space)
    with pytest.raises(InputError, match="no trained networks"):
        notebook.write_notebook(workspace.folder / "taught.ipynb", "quick", replace(RECIPE, teacher="old"))
    assert list(workspace.folder.iterdir()) == [space]


def test_a_student_learns_from_its_teacher_despite_wrong_labels(train_table):
    images, labels = to_images(train_table.pixels), train_table.labels
    recipe = replace(RECIPE, epochs=6, folds=0)
    expert, _ = fit(recipe, images, labels)
    expert.trainable = False
    nonsense = np.random.default_rng(0).permutation(labels)
    alone, with_expert = (fit(recipe, images, nonsense, teachers=teachers)[0] for teachers in ([], [expert]))
    assert evaluate(log_probabilities(alone, images), labels).accuracy < 0.5
    assert evaluate(log_probabilities(with_expert, images), labels).accuracy > 0.9


def test_images_are_cropped_or_padded_to_the_size_of_the_teacher():
    images = np.random.default_rng(0).random((3, 32, 32, 1)).astype("float32")
    small, large = MODELS["lenet-28"].build(), MODELS["lenet5"].build()
    expected = keras.ops.softmax(small(images[:, 2:30, 2:30]))
    np.testing.assert_allclose(average_probabilities([small], images), expected, atol=1e-6)
    padded = np.pad(images[:, 2:30, 2:30], ((0, 0), (2, 2), (2, 2), (0, 0)))
    np.testing.assert_allclose(
        average_probabilities([large], images[:, 2:30, 2:30]), keras.ops.softmax(large(padded)), atol=1e-6
    )
