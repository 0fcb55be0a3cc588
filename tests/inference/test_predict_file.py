"""`digits predict`: labels for any number of images, resumed after a kill, with bad rows written to a file."""

import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import tiny
from digit_recognizer import blending
from digit_recognizer.data import stream
from digit_recognizer.data.csv_reader import CsvFile, read_test
from digit_recognizer.errors import InputError, RunError
from digit_recognizer.inference import predict_file as predicting
from digit_recognizer.inference.predict_file import PredictConfig, predict_file
from digit_recognizer.tracking import run_dir
from digit_recognizer.utils.reporter import Reporter
from seen_from_outside import digits, started, until

SEVERAL = {"folds": 2, "full": True, "tta": "shift"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A workspace with two finished runs of tiny networks: `one`, and `several`: two folds, and all rows."""
    with tiny.finished(tmp_path_factory.mktemp("finished"), {"one": {}, "several": SEVERAL}) as workspace:
        return workspace


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(stream, "_BLOCK", 60_000)


@pytest.fixture
def test(trained):
    """The sample's test.csv."""
    return trained.data / "sample/test.csv"


@pytest.fixture
def out(trained):
    """The output file."""
    return trained.folder / "out.csv"


def record_of(workspace, run):
    with workspace.existing_ledger() as ledger:
        return ledger.run(run)


def submission_of(workspace, run):
    return (record_of(workspace, run).folder / "submission.csv").read_bytes()


def rows_of(path):
    return path.read_bytes().splitlines()


def test_test_csv_gets_the_labels_of_the_submission(trained, test, out, small_blocks):
    for run in ("one", "several"):
        result = predict_file(PredictConfig(test, run, out), trained)
        assert out.read_bytes() == submission_of(trained, run)
        assert (result.rows, result.bad) == (597, 0)
        assert result.limit in result.busy
    blending.blend_runs(["one", "several"], trained, weights="equal")
    predict_file(PredictConfig(test, "last", out), trained)
    assert out.read_bytes() == submission_of(trained, "last")
    assert not list(trained.folder.glob("*.partial"))


@pytest.mark.parametrize("runtime", ["keras", "onnxruntime"])
def test_probabilities_are_written_beside_the_labels(trained, test, out, runtime):
    result = predict_file(PredictConfig(test, "several", out, probabilities=True, runtime=runtime), trained)
    assert result.engine == runtime
    header, *lines = rows_of(out)
    assert header == b"ImageId,Label,p0,p1,p2,p3,p4,p5,p6,p7,p8,p9"
    values = np.array([line.split(b",")[2:] for line in lines], float)
    test_log_p = run_dir.run_predictions(record_of(trained, "several")).test_log_p
    assert np.abs(values - np.exp(test_log_p)).max() < 2e-6
    assert {len(line.split(b",")[2]) for line in lines} == {len("0.123456")}


class Warnings(Reporter):
    def __init__(self):
        self.texts = []

    def warning(self, text):
        self.texts.append(text)


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        (lambda pixels: pixels, None),
        (lambda pixels: 255 - pixels, "inverted?"),
        (lambda pixels: pixels.reshape(-1, 28, 28).transpose(0, 2, 1), "transposed or rotated?"),
        (lambda pixels: pixels > 127, "scaled 0 to 1?"),
    ],
)
def test_images_that_look_wrong_are_labelled_with_a_warning(trained, test, out, change, warning):
    pixels = read_test(CsvFile(test)).pixels
    source = trained.folder / "images.npy"
    np.save(source, np.ascontiguousarray(change(pixels), np.uint8))
    reporter = Warnings()
    predict_file(PredictConfig(source, "one", out), trained, reporter)
    assert [text.count(warning or "") for text in reporter.texts] == ([1] if warning else [])


def test_an_input_that_changes_while_it_is_read_is_an_error(trained, test, out, small_blocks):
    source = trained.folder / "growing.csv"
    source.write_bytes(test.read_bytes())

    class Growing(Reporter):
        @contextmanager
        def rows(self, n_bytes):
            def on_rows(done, n_rows):
                with source.open("ab") as file:
                    file.write(b"0" + b",0" * 783 + b"\n")

            yield on_rows

    with pytest.raises(RunError, match="changed while it was read"):
        predict_file(PredictConfig(source, "one", out), trained, Growing())
    assert not out.exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a pipe in the file system is POSIX's")
def test_a_pipe_is_refused(trained, out):
    os.mkfifo(trained.folder / "pipe.csv")
    with pytest.raises(InputError, match=r"pipe\.csv: expected a file, received a folder or a device"):
        predict_file(PredictConfig(trained.folder / "pipe.csv", "one", out), trained)


def test_an_output_that_is_a_link_is_replaced(trained, test, out):
    other = trained.folder / "other.csv"
    other.write_text("mine")
    out.symlink_to(other)
    predict_file(PredictConfig(test, "one", out), trained)
    assert other.read_text() == "mine"
    assert not out.is_symlink()


def partial_files(config, workspace):
    """The partial files of output and rejects."""
    predictor = predicting._predictor(config, workspace)
    return [*predicting._files(config, predictor, stream.fingerprint(config.source)).values()]


@pytest.mark.parametrize("incomplete", [b"", b"1", b"12,"])
@pytest.mark.parametrize("kept", [0, 1, 200, 597])
def test_a_killed_command_is_resumed_after_its_last_complete_row(trained, test, out, small_blocks, incomplete, kept):
    config = PredictConfig(test, "one", out)
    [partial] = partial_files(config, trained)
    complete = submission_of(trained, "one")
    partial.write_bytes(b"".join(complete.splitlines(keepends=True)[: kept + 1]) + incomplete)
    out.with_name("out.csv.0123456789ab.partial").touch()  # of another input
    result = predict_file(config, trained)
    assert out.read_bytes() == complete
    assert (result.began_after_row, result.rows) == (kept, 597)
    assert not list(trained.folder.glob("*.partial"))


def test_another_runtime_starts_over(trained, test, out, small_blocks):
    [partial] = partial_files(PredictConfig(test, "one", out, runtime="keras"), trained)
    partial.write_bytes(b"".join(submission_of(trained, "one").splitlines(keepends=True)[:201]))
    assert predict_file(PredictConfig(test, "one", out, runtime="onnxruntime"), trained).began_after_row == 0
    assert not partial.exists()


def with_bad_rows(test, bad):
    """Write test.csv with three bad rows; their numbers."""
    lines = test.read_bytes().splitlines(keepends=True)
    for row, text in {5: b"=1+1\n", 300: b'"' + lines[300], 597: lines[597][:-1] + b",1\n"}.items():
        lines[row] = text
    bad.write_bytes(b"".join(lines))
    return [5, 300, 597]


def test_a_bad_row_is_an_error_or_is_written_to_the_rejects(trained, test, out, small_blocks):
    bad, rejects = trained.folder / "bad.csv", trained.folder / "rejects.csv"
    numbers = with_bad_rows(test, bad)
    with pytest.raises(InputError, match=r"bad.csv: line 6: expected 784 values, received 1. .*`rejects`"):
        predict_file(PredictConfig(bad, "one", out), trained)
    assert not out.exists()
    config = PredictConfig(bad, "one", out, rejects=rejects)
    assert predict_file(config, trained).bad == 3
    good = submission_of(trained, "one").splitlines()
    assert rows_of(out) == [line for row, line in enumerate(good) if row not in numbers]
    header, *lines = rows_of(rejects)
    assert header == b"row,fault,content"
    assert [int(line.split(b",")[0]) for line in lines] == numbers
    assert lines[0].endswith(b",'=1+1")  # no formula
    before = rejects.read_bytes()
    partial_output, partial_rejects = partial_files(config, trained)
    partial_output.write_bytes(b"\n".join(rows_of(out)[:250]) + b"\n2")
    partial_rejects.write_bytes(before[:-3])  # incomplete, and with a row too many
    result = predict_file(config, trained)
    assert (result.rows, result.bad, result.began_after_row) == (594, 3, 250)
    assert rejects.read_bytes() == before
    assert rows_of(out) == [line for row, line in enumerate(good) if row not in numbers]
    partial_output.write_bytes(b"\n".join(rows_of(out)[:250]) + b"\n")  # without the rejects
    assert predict_file(config, trained).began_after_row == 0
    assert rejects.read_bytes() == before


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"source": Path("gone.csv")}, "gone.csv: not found"),
        (
            {"source": Path("data/sample/train.csv"), "output": Path("data/sample/train.csv")},
            "`output` .*data/sample/train.csv: the same file as `source`",
        ),
        ({"output": Path("nowhere/out.csv")}, "there is no folder .*nowhere"),
        ({"output": Path("data")}, "expected a file"),
        ({"run": "nosuch"}, "nosuch"),
        ({"run": Path("gone.onnx")}, "gone.onnx: cannot be read"),
        ({"run": Path("gone.keras")}, "gone.keras: expected a run or an .onnx file.*may hold code"),
        ({"run": "gone.tflite"}, "there is no run 'gone.tflite'"),
        ({"rejects": Path("out.csv")}, "the same file as `output`"),
    ],
)
def test_wrong_arguments_are_refused_and_nothing_is_written(trained, test, out, changed, message):
    own = {key: trained.folder / value if isinstance(value, Path) else value for key, value in changed.items()}
    config = {"source": test, "run": "one", "output": out, **own}
    before = sorted(trained.folder.rglob("*"))
    with pytest.raises(InputError, match=message):
        predict_file(PredictConfig(**{**config, "run": str(config["run"])}), trained)
    assert sorted(trained.folder.rglob("*")) == before


def test_missing_weights_and_a_full_disk_are_reported(trained, test, out, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    config = PredictConfig(test, "one", out)
    with monkeypatch.context() as patch:
        patch.setattr(predicting, "_lines", full)
        with pytest.raises(RunError, match=r"out.csv: cannot be written \(No space left.*continues"):
            predict_file(config, trained)
    predict_file(config, trained)
    (record_of(trained, "one").folder / "weights.npz").unlink()
    with pytest.raises(InputError, match=r"weights.npz: not found"):
        predict_file(config, trained)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL")
def test_a_killed_and_repeated_command_writes_the_same_bytes(tmp_path):
    assert digits(tmp_path, "run", "--data", "sample", "--recipe", "quick", "--epochs", "1") == 0
    assert digits(tmp_path, "export", "last", "--to", "onnx", "-o", "a.onnx") == 0  # starts soonest
    header, *lines = (tmp_path / "data/sample/test.csv").read_bytes().splitlines(keepends=True)
    (tmp_path / "many.csv").write_bytes(header + b"".join(lines) * 120)
    words = ["predict", "many.csv", "--run", "a.onnx", "-o"]
    with started(tmp_path, *words, "killed.csv") as process:
        until(lambda: any(path.stat().st_size > 100 for path in tmp_path.glob("*.partial")))
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed.csv").exists()
    assert digits(tmp_path, *words, "killed.csv") == 0
    assert digits(tmp_path, *words, "uninterrupted.csv") == 0
    assert (tmp_path / "killed.csv").read_bytes() == (tmp_path / "uninterrupted.csv").read_bytes()
    assert (tmp_path / "uninterrupted.csv").read_bytes().count(b"\n") == 120 * 597 + 1
