"""`digits predict`: any number of images labelled by a run, killed and gone on with, with bad rows set aside."""

import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

import tiny
from digit_recognizer import blending
from digit_recognizer.data import stream
from digit_recognizer.errors import InputError, RunError
from digit_recognizer.inference import predict_file
from digit_recognizer.inference.predict_file import PredictConfig
from digit_recognizer.tracking import run_dir, run_session
from seen_from_outside import digits, started, until

SEVERAL = {"folds": 2, "full": True, "tta": "shift"}
TEST = Path("data/sample/test.csv")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with two finished runs of tiny networks: `one`, and `several`, two folds and a network of all rows."""
    with tiny.finished(tmp_path_factory.mktemp("finished"), {"one": {}, "several": SEVERAL}):
        return Path.cwd()


@pytest.fixture
def trained(finished, tmp_path, monkeypatch, tiny_lenet5):
    """A copy of it to work in."""
    monkeypatch.chdir(shutil.copytree(finished, tmp_path / "copy"))


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(stream, "_BLOCK", 60_000)


def submission_of(run):
    with run_session.ledger() as book:
        return (run_dir.folder_of(book.run(run)) / "submission.csv").read_bytes()


def rows_of(path):
    return path.read_bytes().splitlines()


def test_test_csv_gets_the_labels_of_the_submission(trained, small):
    for run in ("one", "several"):
        result = predict_file.predict_file(PredictConfig(TEST, run, Path("out.csv")))
        assert Path("out.csv").read_bytes() == submission_of(run)
        assert (result["rows"], result["bad"]) == (597, 0)
        assert result["limit"] in result["busy"]
    blending.blend(["one", "several"], weights="equal")
    predict_file.predict_file(PredictConfig(TEST, "last", Path("out.csv")))
    assert Path("out.csv").read_bytes() == submission_of("last")
    assert not list(Path().glob("*.partial"))


@pytest.mark.parametrize("engine", ["keras", "onnxruntime", "litert"])
def test_probabilities_stand_beside_the_labels(trained, engine):
    result = predict_file.predict_file(
        PredictConfig(TEST, "several", Path("out.csv"), probabilities=True, engine=engine)
    )
    assert result["engine"] == engine
    header, *lines = rows_of(Path("out.csv"))
    assert header == b"ImageId,Label,p0,p1,p2,p3,p4,p5,p6,p7,p8,p9"
    values = np.array([line.split(b",")[2:] for line in lines], float)
    with run_session.ledger() as book:
        _, _, test_log_p = run_session.probabilities(book.run("several"))
    assert np.abs(values - np.exp(test_log_p)).max() < 2e-6
    assert {len(line.split(b",")[2]) for line in lines} == {len("0.123456")}


def growing(job):
    """The files in which output and aside of a job grow."""
    return [*predict_file._files(job, predict_file._labeller(job)).values()]


@pytest.mark.parametrize("torn", [b"", b"1", b"12,"])
@pytest.mark.parametrize("kept", [0, 1, 200, 597])
def test_what_is_left_of_a_killed_one_is_gone_on_with(trained, small, torn, kept):
    job = PredictConfig(TEST, "one", Path("out.csv"))
    [partial] = growing(job)
    whole = submission_of("one")
    partial.write_bytes(b"".join(whole.splitlines(keepends=True)[: kept + 1]) + torn)
    Path("out.csv.0123456789ab.partial").touch()  # of another input
    result = predict_file.predict_file(job)
    assert Path("out.csv").read_bytes() == whole
    assert (result["began_after_row"], result["rows"]) == (kept, 597)
    assert not list(Path().glob("*.partial"))


def test_what_one_engine_began_another_does_not_go_on_with(trained, small):
    [partial] = growing(PredictConfig(TEST, "one", Path("out.csv"), engine="keras"))
    partial.write_bytes(b"".join(submission_of("one").splitlines(keepends=True)[:201]))
    assert (
        predict_file.predict_file(PredictConfig(TEST, "one", Path("out.csv"), engine="litert"))["began_after_row"] == 0
    )
    assert not partial.exists()


def with_bad_rows():
    """test.csv with three bad rows, and their numbers."""
    lines = TEST.read_bytes().splitlines(keepends=True)
    for row, text in {5: b"oops\n", 300: b'"' + lines[300], 597: lines[597][:-1] + b",1\n"}.items():
        lines[row] = text
    Path("bad.csv").write_bytes(b"".join(lines))
    return [5, 300, 597]


def test_a_bad_row_stops_with_its_number_or_is_set_aside(trained, small):
    numbers = with_bad_rows()
    with pytest.raises(InputError, match=r"bad.csv: line 6: expected 784 values, received 1. .*--skip-bad"):
        predict_file.predict_file(PredictConfig(Path("bad.csv"), "one", Path("out.csv")))
    assert not Path("out.csv").exists()
    job = PredictConfig(Path("bad.csv"), "one", Path("out.csv"), skip_bad=Path("aside.csv"))
    assert predict_file.predict_file(job)["bad"] == 3
    good = submission_of("one").splitlines()
    assert rows_of(Path("out.csv")) == [line for row, line in enumerate(good) if row not in numbers]
    header, *aside = rows_of(Path("aside.csv"))
    assert header == b"row,fault,content"
    assert [int(line.split(b",")[0]) for line in aside] == numbers
    before = Path("aside.csv").read_bytes()
    output, aside = growing(job)
    output.write_bytes(b"\n".join(rows_of(Path("out.csv"))[:250]) + b"\n2")
    aside.write_bytes(before[:-3])  # torn, and with a row too many
    result = predict_file.predict_file(job)
    assert (result["rows"], result["bad"], result["began_after_row"]) == (594, 3, 250)
    assert Path("aside.csv").read_bytes() == before
    assert rows_of(Path("out.csv")) == [line for row, line in enumerate(good) if row not in numbers]
    output.write_bytes(b"\n".join(rows_of(Path("out.csv"))[:250]) + b"\n")  # and of the bad rows nothing is left
    assert predict_file.predict_file(job)["began_after_row"] == 0
    assert Path("aside.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"source": Path("gone.csv")}, "gone.csv: not found"),
        (
            {"source": Path("data/sample/train.csv"), "output": Path("data/sample/train.csv")},
            "-o data/sample/train.csv: the same file as INPUT",
        ),
        ({"output": Path("nowhere/out.csv")}, "there is no folder nowhere"),
        ({"output": Path("data")}, "expected the name of a file"),
        ({"run": "nosuch"}, "nosuch"),
        ({"run": "gone.onnx"}, "gone.onnx: cannot be read"),
        ({"skip_bad": Path("out.csv")}, "the same file as -o"),
    ],
)
def test_wrong_words_are_refused_and_nothing_is_written(trained, changed, message):
    before = sorted(Path().rglob("*"))
    with pytest.raises(InputError, match=message):
        predict_file.predict_file(PredictConfig(**{"source": TEST, "run": "one", "output": Path("out.csv"), **changed}))
    assert sorted(Path().rglob("*")) == before


def test_lost_weights_and_a_full_disk_are_told(trained, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(predict_file, "_lines", full)
        with pytest.raises(RunError, match=r"out.csv: cannot be written \(No space left.*goes on"):
            predict_file.predict_file(PredictConfig(TEST, "one", Path("out.csv")))
    predict_file.predict_file(PredictConfig(TEST, "one", Path("out.csv")))
    with run_session.ledger() as book:
        (run_dir.folder_of(book.run("one")) / "weights.npz").unlink()
    with pytest.raises(InputError, match=r"weights.npz is gone"):
        predict_file.predict_file(PredictConfig(TEST, "one", Path("out.csv")))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL")
def test_a_killed_command_typed_again_ends_with_the_same_bytes(tmp_path):
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
    assert digits(tmp_path, *words, "whole.csv") == 0
    assert (tmp_path / "killed.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert (tmp_path / "whole.csv").read_bytes().count(b"\n") == 120 * 597 + 1
