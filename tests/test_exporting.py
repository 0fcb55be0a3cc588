"""`digits export`: one file for all networks of a run, written once it says what they say."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from digit_recognizer import blending, engines, exporting, pipeline
from digit_recognizer.errors import InputError, RunError
from digit_recognizer.exporting import Job, export
from digit_recognizer.labelling import Job as Labelling
from digit_recognizer.labelling import predict
from digit_recognizer.models import MODELS
from digit_recognizer.recipes import RECIPES, change
from tiny import tiny

TEST = Path("data/sample/test.csv")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "lenet5", tiny("lenet5"))
        patch.chdir(tmp_path_factory.mktemp("finished"))
        for name, settings in {"one": {}, "two": {"folds": 2, "tta": "shift"}}.items():
            recipe = change(RECIPES["quick"], {"epochs": 1, **settings})
            pipeline.run(pipeline.Job("mine", recipe, Path("sample"), run_name=name))
        blending.blend(["one", "two"], weights="equal")
        return Path.cwd()


@pytest.fixture
def trained(finished, tmp_path, monkeypatch, tiny_lenet5):
    """A copy to work in, of two finished runs and their blend."""
    monkeypatch.chdir(shutil.copytree(finished, tmp_path / "copy"))


@pytest.mark.parametrize(("format", "file"), [("keras", "a.keras"), ("onnx", "a.onnx"), ("litert", "a.tflite")])
@pytest.mark.parametrize("run", ["two", "blend"])
def test_a_file_is_written_and_checked_on_the_rows_of_test_csv(trained, run, format, file):
    result = export(Job(run, format, Path(file)))
    content = Path(file).read_bytes()
    assert (result["bytes"], result["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert (result["rows"], result["other_labels"]) == (597, 0)  # the sample has no 1,000
    assert 0 < result["largest_difference"] < 1e-5


@pytest.mark.parametrize(("format", "file"), [("onnx", "a.onnx"), ("litert", "a.tflite")])
def test_a_file_labels_what_its_run_labelled(trained, format, file, capsys):
    exporting.show(export(Job("one", format, Path(file))))
    assert "the same labels; no probability differs by more than" in capsys.readouterr().out
    result = predict(Labelling(TEST, file, Path("out.csv")))
    assert (result["run"], result["engine"]) == (file, {"onnx": "onnxruntime", "litert": "litert"}[format])
    [submission] = Path("submissions").glob("*-one/submission.csv")
    assert Path("out.csv").read_bytes() == submission.read_bytes()
    with pytest.raises(InputError, match="leave --engine out"):
        predict(Labelling(TEST, file, Path("out.csv"), engine="keras"))


def test_bytes_are_smaller_and_told_where_they_label_otherwise(trained, monkeypatch, capsys):
    whole = export(Job("one", "litert", Path("a.tflite")))
    small = export(Job("one", "litert", Path("b.tflite"), int8=True))
    assert small["bytes"] < whole["bytes"]
    assert whole["largest_difference"] < small["largest_difference"] < 0.1
    exporting.show(small | {"other_labels": 3})
    assert "the same labels but for 3; no probability" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"run": "nosuch"}, "there is no run 'nosuch'"),
        ({"output": Path("a.tflite")}, "a name that ends in .onnx"),
        ({"output": Path("nowhere/a.onnx")}, "there is no folder nowhere"),
        ({"int8": True}, "--int8 is for --to litert"),
        ({"data": Path("nowhere")}, "nowhere: not found"),
    ],
)
def test_wrong_words_are_refused_and_nothing_is_written(trained, changed, message):
    with pytest.raises(InputError, match=message):
        export(Job(**{"run": "one", "format": "onnx", "output": Path("a.onnx"), **changed}))
    assert not Path("a.onnx").exists()


@pytest.mark.parametrize("wrong", [np.nan, "another digit"])
def test_a_file_that_labels_otherwise_is_not_written(trained, monkeypatch, wrong):
    made = engines.of_content

    def broken(content, format):
        engine = made(content, format)
        return lambda pixels: engine(pixels) * wrong if wrong is np.nan else np.roll(engine(pixels), 1, axis=1)

    monkeypatch.setattr(engines, "of_content", broken)
    with pytest.raises(RunError, match=r"a.onnx: not written, as it labels .* of 597 rows of .*test.csv otherwise"):
        export(Job("one", "onnx", Path("a.onnx")))
    assert not Path("a.onnx").exists()
