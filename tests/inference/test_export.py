"""`digits export` writes all networks of a run to one file, after checking its predictions."""

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
from digit_recognizer.inference.export import export_run
from digit_recognizer.inference.predict_file import PredictConfig, predict_file
from seen_from_outside import ENVIRONMENT


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A workspace with two finished runs and their blend."""
    settings = {"one": {}, "two": {"folds": 2, "tta": "shift"}}
    with tiny.finished(tmp_path_factory.mktemp("finished"), settings) as workspace:
        blending.blend_runs(["one", "two"], workspace, weights="equal")
        return workspace


def sample_test(workspace):
    return workspace.data / "sample/test.csv"


@pytest.mark.parametrize(("format", "file"), [("keras", "a.keras"), ("onnx", "a.onnx")])
@pytest.mark.parametrize("run", ["two", "blend"])
def test_a_file_is_written_and_checked_on_the_rows_of_test_csv(trained, run, format, file):
    result = export_run(run, trained, format, trained.folder / file)
    content = (trained.folder / file).read_bytes()
    assert (result.bytes, result.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert (result.rows, result.other_labels) == (597, 0)  # the sample has no 1,000
    assert 0 < result.largest_difference < 1e-5


def test_a_file_predicts_the_labels_of_its_run(trained, tmp_path, capsys):
    file = trained.folder / "a.onnx"
    with pytest.raises(SystemExit) as leave:
        cli.main(["export", "one", "--to", "onnx", "-o", str(file)])
    assert leave.value.code == 0
    assert "same labels, probabilities within" in " ".join(capsys.readouterr().out.split())
    [submission] = trained.submissions.glob("*-one/submission.csv")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for path in (file, sample_test(trained)):
        shutil.copy(path, elsewhere)
    code = (
        "import sys; from digit_recognizer.inference.predict_file import Path, PredictConfig, Workspace, predict_file\n"
        f"config = PredictConfig(Path('test.csv'), '{file.name}', Path('out.csv'))\n"
        f"assert predict_file(config, Workspace()).run == '{file.name}'\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=elsewhere, env=ENVIRONMENT, check=True)
    assert {path.name for path in elsewhere.iterdir()} == {file.name, "test.csv", "out.csv"}  # no runs, no ledger
    assert (elsewhere / "out.csv").read_bytes() == submission.read_bytes()
    with pytest.raises(InputError, match="leave `runtime` out"):
        predict_file(
            PredictConfig(sample_test(trained), str(file), trained.folder / "out.csv", runtime="keras"), trained
        )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"word": "nosuch"}, "there is no run 'nosuch'"),
        ({"output": Path("a.keras")}, "a name that ends in .onnx"),
        ({"output": Path("nowhere/a.onnx")}, "there is no folder .*nowhere"),
        ({"data": Path("nowhere")}, "nowhere: not found"),
    ],
)
def test_wrong_arguments_are_refused_and_nothing_is_written(trained, changed, message):
    own = {key: trained.folder / value if isinstance(value, Path) else value for key, value in changed.items()}
    before = sorted(trained.folder.rglob("*"))
    with pytest.raises(InputError, match=message):
        export_run(
            **{"word": "one", "workspace": trained, "format": "onnx", "output": trained.folder / "a.onnx", **own}
        )
    assert sorted(trained.folder.rglob("*")) == before


def test_data_that_differs_from_the_runs_is_refused(trained):
    other = Path(shutil.copytree(trained.data / "sample", trained.folder / "other"))
    (other / "sample.json").unlink()
    for name in ("test.csv", "train.csv"):
        lines = (other / name).read_bytes().splitlines(keepends=True)
        (other / name).write_bytes(b"".join(lines[:-1]))
    with pytest.raises(InputError, match=r"test.csv: expected the test.csv of run .*`data`"):
        export_run("one", trained, "onnx", trained.folder / "a.onnx", data=other)
    assert not (trained.folder / "a.onnx").exists()


@pytest.mark.parametrize("wrong", [np.nan, "another digit"])
def test_a_file_with_other_labels_is_not_written(trained, monkeypatch, wrong):
    made = engines.predictor_of_content

    def broken(content, format):
        predict = made(content, format)
        return lambda pixels: predict(pixels) * wrong if wrong is np.nan else np.roll(predict(pixels), 1, axis=1)

    monkeypatch.setattr(engines, "predictor_of_content", broken)
    with pytest.raises(RunError, match=r"a.onnx: not written: .* of 597 labels of .*test.csv differ from the run's"):
        export_run("one", trained, "onnx", trained.folder / "a.onnx")
    assert not (trained.folder / "a.onnx").exists()


def test_export_prints_the_hash_of_the_file_and_predict_does_not_overwrite_it(trained, capfd):
    file = trained.folder / "a.onnx"
    with pytest.raises(SystemExit) as leave:
        cli.main(["export", "one", "--to", "onnx", "-o", str(file), "--json"])
    assert leave.value.code == 0
    assert json.loads(capfd.readouterr().out)["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    before = file.read_bytes()
    with pytest.raises(SystemExit) as leave:
        cli.main(["predict", str(sample_test(trained)), "--run", str(file), "-o", str(file)])
    assert leave.value.code == 2
    assert f"--run {file}: the same file as --output" in " ".join(capfd.readouterr().err.split())
    assert file.read_bytes() == before
