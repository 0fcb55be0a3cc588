"""The Python API: its examples, in the docstrings and in the README, and its results and errors."""

import inspect
import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbclient import NotebookClient

import digit_recognizer as dr
import tiny
from digit_recognizer.models.registry import MODELS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A workspace with two cross-validated runs of a tiny network."""
    settings = {name: {"folds": 2, "shift": shift} for name, shift in (("one", 0), ("two", 1))}
    with tiny.finished(tmp_path_factory.mktemp("api"), settings) as workspace:
        yield workspace


@pytest.fixture
def tiny_data(workspace, tiny_lenet5):
    return dr.load_data("sample", workspace)


def test_a_trained_run_has_metrics_history_predictions_and_files(workspace, tiny_data, capfd):
    run = dr.train(tiny_data, "quick", epochs=2, name="mine", workspace=workspace)
    assert capfd.readouterr() == ("", "")
    assert run.name.endswith("-mine")
    assert run.folder == workspace.submissions / run.name
    assert (run.validation.n, run.validation.interval[0] < run.validation.accuracy) == (120, True)
    assert run.validation.log_loss > 0
    assert isinstance(run.history, pd.DataFrame)
    assert list(run.history["epoch"]) == [1, 2]
    assert run.submission.read_text().startswith("ImageId,Label\n1,")
    images = tiny_data.test.pixels.reshape(-1, 28, 28)
    probabilities = run.predict(images)
    assert probabilities.shape == (597, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(run.predict(images / 255), probabilities)
    labels = pd.read_csv(run.submission)["Label"]
    np.testing.assert_array_equal(probabilities.argmax(axis=1), labels)
    assert dr.open_run("mine", workspace).predict(images[:1]).shape == (1, 10)


def test_nothing_is_written_outside_the_workspace(workspace, tiny_data, tmp_path):
    def outside():
        inside = (workspace.folder, Path.home() / ".keras")  # Keras writes its settings when it is first imported
        return {path for path in tmp_path.rglob("*") if not {path, *path.parents}.intersection(inside)}

    before = outside()
    dr.train(tiny_data, "quick", epochs=1, workspace=workspace)
    assert outside() == before


def test_a_notebook_shows_the_metrics_learning_curves_and_challenging_digits_of_a_run(runs):
    run = dr.open_run("one", runs)
    shown = run._repr_html_()
    assert all(f">{value}<" in shown for value in ("validation accuracy", "1,200", f"{run.validation.accuracy:.4f}"))
    assert re.findall(r'<img alt="([^"]*)"[^>]* src="data:image/png;base64,\w', shown) == [
        "Learning curves",
        "Challenging digits",
    ]
    assert not re.search(r"https?://", shown)
    assert repr(run) == f"<Run {run.name}: accuracy {run.validation.accuracy:.4f}>"


def test_runs_are_compared_blended_scored_and_listed(runs):
    one, two = dr.open_run("one", runs), dr.open_run("two", runs)
    found = dr.compare(one, "two")
    assert (found.n, found.first) == (1200, one.name)
    assert "significant, p = " in found.verdict or "no difference" in found.verdict
    blend = dr.blend([one, two], "equal", name="both")
    assert blend.workspace == runs
    assert list(blend.history.columns[:2]) == ["network", "epoch"]
    assert blend.record.blend_weights == {one.name: 0.5, two.name: 0.5}
    with pytest.raises(dr.InputError, match="is a blend of"):
        _ = blend.recipe
    [graded] = dr.score(blend, runs.data / "sample/answers.csv").files
    assert graded.score.n == 597
    assert set(dr.leaderboard(runs)["name"]) == {"one", "two", "both"}
    assert set(dr.leaderboard(str(runs.folder))["name"]) == {"one", "two", "both"}


def test_custom_recipes_and_models_are_trained(workspace, tiny_data):
    def build(dropout=0.0):
        return tiny.tiny("lenet-28").build(dropout=dropout)

    dr.register_model("mine", input_size=28)(build)
    try:
        run = dr.train(tiny_data, dr.Recipe("mine", epochs=1), workspace=workspace)
        assert run.recipe.model == "mine"
        assert run.predict(tiny_data.test.pixels[:3]).shape == (3, 10)
        with pytest.raises(dr.InputError, match="already"):
            dr.register_model("mine")
        with pytest.raises(dr.InputError, match="at least 28"):
            dr.register_model("small", input_size=20)
        with pytest.raises(dr.InputError, match="batch_norm is for built-in models with ReLUs, not for mine"):
            dr.Recipe("mine", batch_norm=True)
        with pytest.raises(dr.InputError, match="exists in this process only"):
            dr.train(tiny_data, dr.Recipe("mine", epochs=1, seeds=2), workers=2, workspace=workspace)
    finally:
        del MODELS["mine"]
    assert "mine" not in dr.list_models()


def test_models_are_built_by_name():
    assert dr.create_model("lenet-28").count_params() == 44_426
    with pytest.raises(dr.InputError, match="no model 'lenet6'"):
        dr.create_model("lenet6")
    with pytest.raises(dr.InputError, match="dropout"):
        dr.create_model("lenet5", dropout=1.5)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 27, 28), np.uint8), r"received \(2, 27, 28\)"),
        (np.full((2, 28, 28), 255.5), "received float64 from 255.5 to 255.5"),
        (np.full((2, 28, 28), 256), "received int64 from 256 to 256"),
        (np.full((2, 28, 28), np.nan), "received NaN or infinity"),
        (np.full((2, 28, 28), "7"), "received <U1"),
    ],
)
def test_images_of_another_shape_range_or_dtype_are_refused(runs, images, message):
    with pytest.raises(dr.InputError, match=message):
        dr.open_run("one", runs).predict(images)


def test_a_prediction_of_inverted_images_warns(runs, tiny_data):
    with pytest.warns(UserWarning, match="inverted"):
        dr.open_run("one", runs).predict(255 - tiny_data.test.pixels)


def test_wrong_names_are_refused(workspace, tiny_data):
    with pytest.raises(dr.InputError, match="Did you mean lenet5"):
        dr.train(tiny_data, "lenet", workspace=workspace)
    with pytest.raises(dr.InputError, match="no field 'epoch'"):
        dr.train(tiny_data, "quick", epoch=3, workspace=workspace)
    with pytest.raises(dr.InputError, match=str(workspace.submissions)):
        dr.open_run("last", workspace)
    assert not workspace.submissions.exists()


def test_every_public_name_is_documented():
    assert set(dr.__all__) <= set(dir(dr))
    for name in dr.__all__:
        assert getattr(dr, name).__doc__ or name == "RECIPES"
    with pytest.raises(AttributeError):
        _ = dr.nothing


def example_of(function):
    """The code of the example in a docstring, inline or as a block."""
    inline, block = re.fullmatch(r".*Example:(?: `(.*)`|\n\n(.*))", inspect.getdoc(function), re.DOTALL).groups()
    return inline or textwrap.dedent(block)


TINY_LENET5 = """\
import digit_recognizer as dr, tiny
from digit_recognizer.models.registry import MODELS
MODELS["lenet5"] = tiny.tiny("lenet5")"""


def test_the_examples_of_the_docstrings_run(workspace, monkeypatch):
    """In a process whose current folder is the workspace; the last one, an upload of the sample, is refused."""
    functions = (dr.load_data, dr.train, dr.open_run, dr.Run, dr.Run.predict, dr.predict, dr.compare, dr.blend)
    functions += (dr.leaderboard, dr.score, dr.list_models, dr.create_model, dr.register_model)
    classes = (dr.Recipe, dr.Augmentation, dr.Workspace, dr.InputError, dr.RunError)
    code = [TINY_LENET5, *map(example_of, functions + classes), "print(labels.shape)", example_of(dr.submit)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")]))
    command = [sys.executable, "-W", "error", "-c", "\n".join(code)]
    done = subprocess.run(command, cwd=workspace.folder, capture_output=True, text=True)
    assert done.stdout.endswith("\n(597,)\n"), done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("digit_recognizer.errors.InputError: ")
    assert "sample is not Kaggle's" in last


def test_importing_the_package_loads_none_of_its_modules(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    code = "import sys, digit_recognizer; print([m for m in sys.modules if m.startswith('digit_recognizer.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


PROGRESS = """\
from digit_recognizer.utils.console import ConsoleReporter
with ConsoleReporter().status() as show:
    show("training")"""


CELLS = (
    "run",
    PROGRESS,
    'other = dr.train(data, "quick", epochs=1, name="other", progress=True)',
    "dr.compare(run, other)",
    "dr.blend([run, other])",
    'dr.score(run.submission, answers="data/sample/answers.csv")',
    "dr.leaderboard()",
    "run.history",
)


def rows_of(html):
    """The rows of a DataFrame in HTML, by its columns, none of which may be left out."""
    columns = re.findall(r"<th>([a-z_]+)</th>", html)
    rows = re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    return [dict(zip(columns, re.findall(r"<td>(.*?)</td>", row), strict=True)) for row in rows]


def test_a_notebook_runs_the_code_of_the_readme_and_shows_its_results_without_escape_codes(tmp_path, monkeypatch):
    kernel = tmp_path / "jupyter/kernels/python3/kernel.json"
    kernel.parent.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel.write_text(json.dumps({"argv": command, "display_name": "Python 3", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(kernel.parents[2]))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    folder = tmp_path / "work"
    folder.mkdir()
    [block] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    notebook = nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_code_cell, (block, *CELLS))])
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    assert "\\u001b" not in json.dumps(notebook)  # ipykernel sets FORCE_COLOR
    assert {path.name for path in folder.iterdir()} == {"data", "submissions"}

    outputs = {cell.source: cell.outputs for cell in notebook.cells}
    lines = ["".join(output.text for output in outputs[code]) for code in (block, PROGRESS, CELLS[2])]
    assert re.fullmatch(r"0\.\d+ \(0\.\d+, 0\.\d+\)\n", lines[0])
    assert lines[1] == "training\n"
    assert re.search(r"^epoch 1/1 .*validation: ", lines[2], re.MULTILINE)

    workspace = dr.Workspace(folder)
    run, other, blend = (dr.open_run(name, workspace) for name in ("mine", "other", "blend"))
    shown = {code: outputs[code][0].data for code in ("run", *CELLS[3:])}
    compared, blended, graded, board, history = (shown[code] for code in CELLS[3:])
    assert "validation accuracy" in shown["run"]["text/html"]
    assert compared["text/plain"] == repr(dr.compare(run, other, workspace))
    difference = float(re.search(r"difference=([^,]+)", compared["text/plain"])[1])
    assert difference == pytest.approx(other.validation.accuracy - run.validation.accuracy)
    assert blended["text/plain"] == repr(blend)
    assert f"<b>{blend.name}</b>" in blended["text/html"]
    labels, answers = (pd.read_csv(file)["Label"] for file in (run.submission, folder / "data/sample/answers.csv"))
    assert f"correct={(labels == answers).sum()}, n=597" in graded["text/plain"]
    best = {row["name"]: float(row["accuracy"]) for row in rows_of(board["text/html"])}
    accuracies = {one.record.short_name: one.validation.accuracy for one in (run, other, blend)}
    assert best == pytest.approx(accuracies, abs=1e-6)
    epochs = {int(row["epoch"]): float(row["loss"]) for row in rows_of(history["text/html"])}
    assert epochs == pytest.approx(dict(zip((1, 2, 3), run.history["loss"], strict=True)), abs=1e-6)
