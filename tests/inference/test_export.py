"""`digits export`: one file for all networks of a run, written once it says what they say."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tiny
from digit_recognizer import blending, cli
from digit_recognizer.errors import InputError, RunError
from digit_recognizer.inference import engines
from digit_recognizer.inference import export as exporting
from digit_recognizer.inference.export import ExportConfig, export_run
from digit_recognizer.inference.predict_file import PredictConfig as Labelling
from digit_recognizer.inference.predict_file import predict_file
from seen_from_outside import ENVIRONMENT

TEST = Path("data/sample/test.csv")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    with tiny.finished(tmp_path_factory.mktemp("finished"), {"one": {}, "two": {"folds": 2, "tta": "shift"}}):
        blending.blend(["one", "two"], weights="equal")
        return Path.cwd()


@pytest.fixture
def trained(finished, tmp_path, monkeypatch, tiny_lenet5):
    """A copy to work in, of two finished runs and their blend."""
    monkeypatch.chdir(shutil.copytree(finished, tmp_path / "copy"))


@pytest.mark.parametrize(("format", "file"), [("keras", "a.keras"), ("onnx", "a.onnx"), ("litert", "a.tflite")])
@pytest.mark.parametrize("run", ["two", "blend"])
def test_a_file_is_written_and_checked_on_the_rows_of_test_csv(trained, run, format, file):
    result = export_run(ExportConfig(run, format, Path(file)))
    content = Path(file).read_bytes()
    assert (result["bytes"], result["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert (result["rows"], result["other_labels"]) == (597, 0)  # the sample has no 1,000
    assert 0 < result["largest_difference"] < 1e-5


@pytest.mark.parametrize(("format", "file"), [("onnx", "a.onnx"), ("litert", "a.tflite")])
def test_a_file_labels_what_its_run_labelled(trained, format, file, capsys):
    exporting.show(export_run(ExportConfig("one", format, Path(file))))
    assert "the same labels; no probability differs by more than" in capsys.readouterr().out
    [submission] = Path("submissions").glob("*-one/submission.csv")
    elsewhere = Path("elsewhere")
    elsewhere.mkdir()
    for path in (Path(file), TEST):
        shutil.copy(path, elsewhere)
    code = (
        f"import sys; from digit_recognizer.inference.predict_file import Job, Path, predict\n"
        f"assert predict(Job(Path('test.csv'), '{file}', Path('out.csv')))['run'] == '{file}'\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=elsewhere, env=ENVIRONMENT, check=True)
    assert {path.name for path in elsewhere.iterdir()} == {file, "test.csv", "out.csv"}  # neither runs nor a ledger
    assert (elsewhere / "out.csv").read_bytes() == submission.read_bytes()
    with pytest.raises(InputError, match="leave --engine out"):
        predict_file(Labelling(TEST, file, Path("out.csv"), engine="keras"))


def test_bytes_are_smaller_and_told_where_they_label_otherwise(trained, capsys):
    whole = export_run(ExportConfig("one", "litert", Path("a.tflite")))
    small = export_run(ExportConfig("one", "litert", Path("b.tflite"), int8=True))
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
        export_run(ExportConfig(**{"run": "one", "format": "onnx", "output": Path("a.onnx"), **changed}))
    assert not Path("a.onnx").exists()


def test_other_data_than_the_runs_is_refused(trained):
    other = Path(shutil.copytree("data/sample", "other"))
    (other / "sample.json").unlink()
    for name in ("test.csv", "train.csv"):
        lines = (other / name).read_bytes().splitlines(keepends=True)
        (other / name).write_bytes(b"".join(lines[:-1]))
    with pytest.raises(InputError, match=r"test.csv: expected the test.csv of run .*--data"):
        export_run(ExportConfig("one", "onnx", Path("a.onnx"), data=other))
    assert not Path("a.onnx").exists()


@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize("wrong", [np.nan, "another digit"])
def test_a_file_that_labels_otherwise_is_not_written(trained, monkeypatch, wrong, int8):
    made = engines.predictor_of_content

    def broken(content, format):
        engine = made(content, format)
        return lambda pixels: engine(pixels) * wrong if wrong is np.nan else np.roll(engine(pixels), 1, axis=1)

    monkeypatch.setattr(engines, "predictor_of_content", broken)
    with pytest.raises(RunError, match=r"a.tflite: not written, as it labels .* of 597 rows of .*test.csv otherwise"):
        export_run(ExportConfig("one", "litert", Path("a.tflite"), int8=int8))
    assert not Path("a.tflite").exists()


def test_the_command_prints_what_it_wrote_and_predict_never_writes_over_it(trained, capfd):
    with pytest.raises(SystemExit) as leave:
        cli.main(["export", "one", "--to", "onnx", "-o", "a.onnx", "--json"])
    assert leave.value.code == 0
    assert json.loads(capfd.readouterr().out)["sha256"] == hashlib.sha256(Path("a.onnx").read_bytes()).hexdigest()
    before = Path("a.onnx").read_bytes()
    with pytest.raises(SystemExit) as leave:
        cli.main(["predict", str(TEST), "--run", "a.onnx", "-o", "a.onnx"])
    assert leave.value.code == 2
    assert "--run a.onnx: the same file as -o" in " ".join(capfd.readouterr().err.split())
    assert Path("a.onnx").read_bytes() == before
