"""A network learns what others say, and from none that knows the rows it is judged by."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from digit_recognizer import pipeline
from digit_recognizer.competition import notebook
from digit_recognizer.data import sources
from digit_recognizer.data.images import to_images
from digit_recognizer.errors import InputError
from digit_recognizer.evaluation.prediction import evaluate, log_probabilities
from digit_recognizer.models.registry import MODELS
from digit_recognizer.recipes.recipe import RECIPES, change
from digit_recognizer.tracking import run_dir
from digit_recognizer.tracking.run_session import ledger
from digit_recognizer.training import distillation
from digit_recognizer.training.augmented_model import opinion
from digit_recognizer.training.cross_validation import NetworkSpec
from digit_recognizer.training.fit import fit
from digit_recognizer.training.parallel.config import IN_PROCESS
from digit_recognizer.training.tuning import sweep
from tiny import tiny

RECIPE = change(RECIPES["quick"], {"batch_size": 32, "epochs": 1, "folds": 2})
ROWS = np.arange(10)


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A teacher of two folds and a student of the same; the student's record, and who was built, in order."""
    folder = tmp_path_factory.mktemp("taught")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for model in ("lenet5", "lenet-28"):
            patch.setitem(MODELS, model, tiny(model))
        pipeline.run(pipeline.RunConfig("quick", RECIPE, Path("sample"), run_name="old"))
        student = replace(RECIPE, model="lenet-28", teacher="old")
        heard, network = [], distillation.Teacher.network
        patch.setattr(distillation.Teacher, "network", lambda self: heard.append(self.folder.name) or network(self))
        result = pipeline.run(pipeline.RunConfig("quick", student, Path("sample"), run_name="young"))
        yield folder, result, tuple(heard)


@pytest.fixture
def train_table(workplace):
    return sources.read(sources.sample_source())[0]


def held_out(rows):
    return NetworkSpec("lenet5-seed0", RECIPE, None, np.arange(0), np.asarray(rows, int), True)


def teacher(rows):
    return distillation.Teacher("lenet5", Path("nowhere"), np.asarray(rows, int), "--seed 0 --folds 3", {})


def test_a_run_keeps_its_teachers_full_name(taught):
    folder, result, _ = taught
    recipe = json.loads((folder / "submissions" / result["run"] / "recipe.json").read_text())
    assert recipe["teacher"].endswith("-old")
    assert recipe["teacher"] != "old"


def test_in_each_fold_only_the_network_that_never_saw_its_held_out_rows_is_heard(taught):
    *_, heard = taught
    to_be_checked, of_each_fold = heard[:2], heard[2:]
    assert to_be_checked == of_each_fold == ("lenet5-seed0-fold1", "lenet5-seed0-fold2")


def test_a_teacher_says_what_its_run_said(taught, train_table, monkeypatch):
    folder, *_ = taught
    monkeypatch.chdir(folder)
    with ledger() as book:
        _, teachers = distillation.load_teachers(book, replace(RECIPE, teacher="old"), book.run("old")["train_hash"])
    for one in teachers:
        rows, log_p, _ = run_dir.read_probabilities(one.folder)
        found = log_probabilities(one.network(), to_images(train_table.pixels[rows]))
        np.testing.assert_allclose(found, log_p, atol=1e-4)


def test_no_teacher_knows_the_rows_its_student_is_judged_by():
    knows, ignorant, partly = teacher([]), teacher(ROWS), teacher(ROWS[:5])
    assert distillation.teachers_of(held_out(ROWS[3:8]), [knows, partly, ignorant]) == [ignorant]
    with pytest.raises(InputError, match="no network of the teacher has left out all rows"):
        distillation.teachers_of(held_out(ROWS), [knows, partly])


def test_a_student_judged_by_no_rows_learns_from_those_that_saw_all_or_else_from_every_one():
    knows, partly = teacher([]), teacher(ROWS[:5])
    assert distillation.teachers_of(held_out([]), [knows, partly]) == [knows]
    assert distillation.teachers_of(held_out([]), [partly]) == [partly]


@pytest.mark.parametrize(("rows", "unseen"), [([], False), (ROWS, True)])
def test_teachers_are_called_ignorant_only_where_rows_are_held_out(workplace, capsys, rows, unseen):
    pipeline._announce(replace(RECIPE, teacher="old"), [held_out(rows)], [teacher(rows)], None, IN_PROCESS)
    out = capsys.readouterr().out
    assert "Taught by networks of old" in out
    assert ("never saw" in out) == unseen


def test_a_student_of_other_rows_is_refused_before_anything_is_written(taught, monkeypatch):
    folder, *_ = taught
    monkeypatch.chdir(folder)
    before = sorted(Path("submissions").iterdir())
    with pytest.raises(InputError, match="--seed"):
        pipeline.run(pipeline.RunConfig("quick", replace(RECIPE, seed=9, teacher="old"), Path("sample")))
    assert sorted(Path("submissions").iterdir()) == before


def test_a_teacher_must_be_known_finished_and_of_the_same_data(taught, monkeypatch, tmp_path):
    folder, *_ = taught
    monkeypatch.chdir(shutil.copytree(folder, tmp_path / "copy"))
    with ledger() as book:
        run = book.run("old")
        for name, data, message in (
            ("nobody", run["train_hash"], "teacher: there is no run 'nobody'"),
            ("old", "other", "another train.csv"),
        ):
            with pytest.raises(InputError, match=message):
                distillation.load_teachers(book, replace(RECIPE, teacher=name), data)
        book.update_run(run["id"], kind="blend")
        with pytest.raises(InputError, match="no networks of its own"):
            distillation.load_teachers(book, replace(RECIPE, teacher="old"), run["train_hash"])
        book.update_run(run["id"], kind="run", status="failed")
        with pytest.raises(InputError, match="is failed"):
            distillation.load_teachers(book, replace(RECIPE, teacher="old"), run["train_hash"])


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_bytes(file.read_bytes()[:-99])])
def test_lost_or_damaged_weights_are_told(taught, damage, tmp_path):
    folder, *_ = taught
    [source, *_] = sorted(folder.glob("submissions/*-old/members/*"))
    copy = shutil.copytree(source, tmp_path / "member")
    damage(copy / "weights.npz")
    with pytest.raises(InputError, match=r"is gone|cannot be read"):
        run_dir.read_arrays(copy / "weights.npz")


def test_the_weights_of_another_network_are_told():
    with pytest.raises(InputError, match="not the weights of lenet5"):
        teacher(ROWS).network()


def test_teacher_and_student_see_digits_of_one_size(taught, monkeypatch):
    folder, *_ = taught
    monkeypatch.chdir(folder)
    with ledger() as book, pytest.raises(InputError, match='both need fit = "pad"'):
        distillation.load_teachers(book, replace(RECIPE, fit="resize", teacher="old"), book.run("old")["train_hash"])


def test_sweeps_and_notebooks_have_no_teacher(workplace, tmp_path):
    Path("taught.toml").write_text('teacher = "old"\n[space]\nshift = [0, 1]\n')
    with pytest.raises(InputError, match="a sweep trains without"):
        sweep.read_space(Path("taught.toml"))
    with pytest.raises(InputError, match="no trained networks"):
        notebook.write_notebook(tmp_path / "taught.ipynb", "quick", replace(RECIPE, teacher="old"))
    assert [file.name for file in workplace.iterdir()] == ["taught.toml"]


def test_a_student_learns_what_its_labels_do_not_say(train_table):
    images, labels = to_images(train_table.pixels), train_table.labels
    recipe = replace(RECIPE, epochs=6, folds=0)
    expert = fit(recipe, images, labels).model
    expert.trainable = False
    nonsense = np.random.default_rng(0).permutation(labels)
    alone, with_expert = (fit(recipe, images, nonsense, teachers=teachers).model for teachers in ([], [expert]))
    assert evaluate(log_probabilities(alone, images), labels).accuracy < 0.5
    assert evaluate(log_probabilities(with_expert, images), labels).accuracy > 0.9


def test_networks_for_other_sizes_see_the_middle_or_paper_around():
    images = np.random.default_rng(0).random((3, 32, 32, 1)).astype("float32")
    small, large = MODELS["lenet-28"].build(), MODELS["lenet5"].build()
    expected = keras.ops.softmax(small(images[:, 2:30, 2:30]))
    np.testing.assert_allclose(opinion([small], images), expected, atol=1e-6)
    padded = np.pad(images[:, 2:30, 2:30], ((0, 0), (2, 2), (2, 2), (0, 0)))
    np.testing.assert_allclose(opinion([large], images[:, 2:30, 2:30]), keras.ops.softmax(large(padded)), atol=1e-6)
