"""The commands: what they print, what they refuse, their exit codes, and which packages they do not import."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import click
import pytest

from digit_recognizer import cli
from digit_recognizer.data.sample import write_sample
from digit_recognizer.models.registry import MODELS
from digit_recognizer.recipes.catalog import RECIPES
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.utils.environment import backend

ROOT = Path(__file__).resolve().parents[2]
SAMPLE_FILES = ("train.csv", "test.csv", "sample_submission.csv", "answers.csv", "sample.json")


def sha256_of(file):
    return sha256(file.read_bytes()).hexdigest()


@pytest.fixture
def digits(workspace, capfd):
    """Calls `digits` as the shell does: (exit code, stdout, stderr)."""

    def call(*words):
        with pytest.raises(SystemExit) as leave:
            cli.main([str(word) for word in words])
        return leave.value.code, *capfd.readouterr()

    return call


@pytest.fixture
def sample(workspace):
    write_sample(workspace.data / "sample")
    return workspace.data / "sample"


def test_help_names_every_command(digits):
    code, out, _ = digits("--help")
    assert code == 0
    for command in ("run", "download", "score", "submit", "sweep", "models", "recipes", "notebook", "doctor"):
        assert f"  {command} " in out


def test_models_are_listed_as_a_table_and_as_json(digits):
    _, table, _ = digits("models")
    _, out, _ = digits("models", "--json")
    rows = json.loads(out)
    assert [row["name"] for row in rows] == list(MODELS)
    assert all(row["name"] in table and f"{row['weights']:,}" in table for row in rows)


def test_layers_of_a_model_have_the_papers_names(digits):
    _, out, _ = digits("models", "lenet5", "--json")
    assert [row["layer"] for row in json.loads(out)] == ["c1", "s2", "c3", "s4", "flatten", "c5", "f6", "output"]
    _, table, _ = digits("models", "lenet5-1998")
    assert "1,516" in table


def test_recipes_are_listed_and_one_can_be_saved_and_used(digits, workspace):
    _, table, _ = digits("recipes")
    assert all(name in table for name in RECIPES)
    _, toml, _ = digits("recipes", "lenet5")
    file = workspace.folder / "mine.toml"
    file.write_text(toml)
    code, out, err = digits("run", "--recipe-file", file, "--data", workspace.folder / "nowhere")
    assert (code, out) == (2, "")
    assert "nowhere: not found" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "--recipe", "lenet"), "Did you mean lenet5"),
        (("run", "--model", "lenet-5"), "Did you mean lenet5"),
        (("run", "--set", "epoch=3"), "Did you mean epochs"),
        (("run", "--epochs", "many"), "whole number"),
        (("run", "--validation", "2"), "from 0 to 0.9"),
        (("run", "--resize", "crop"), "pad, resize"),
        (("run", "--name", "a/b"), "letters, digits"),
        (("run", "--recipe-file", "FOLDER/none.toml"), "none.toml"),
        (("run", "--recipe", "lenet5", "--recipe-file", "FOLDER/a.toml"), "use only one of"),
        (("run", "--data", "FOLDER/nowhere"), "nowhere: not found"),
        (("run", "--recipe", ""), "no recipe ''"),
        (("run", "--name", ""), "letters, digits"),
        (("run", "--data", "sample", "--submit"), "No Kaggle credentials"),
        (("run", "--message", "hello"), "add --submit"),
        (("download",), "No Kaggle credentials"),
        (("run", "--sumbit"), "--submit"),
        (("models", "resnet"), "no model 'resnet'"),
        (("recipes", "best"), "no recipe 'best'"),
        (("score", "FOLDER/a.csv"), "--answers"),
        (("score", "FOLDER/a.csv", "--answers", "FOLDER/b.csv"), "b.csv: cannot be read"),
        (("submit",), "FILE"),
        (("submit", "FOLDER/a.csv"), "a.csv: cannot be read"),
        (("run", "--validation", "10"), "must be from 0 to 0.9"),
        (("run", "--validation", "0.2", "--folds", "3"), "holds out each row once"),
        (("trian",), "trian"),
    ],
)
def test_wrong_arguments_are_refused_with_exit_code_2_and_nothing_is_written(words, message, digits, workspace):
    code, _, err = digits(*(word.replace("FOLDER", str(workspace.folder)) for word in words))
    assert code == 2
    assert message in err
    assert len(err.splitlines()) <= 4
    assert {path.name for path in workspace.folder.rglob("*")} <= {"data", "sample", *SAMPLE_FILES}


def test_validation_and_folds_cannot_be_combined(digits, workspace):
    file = workspace.folder / "mine.toml"
    file.write_text("folds = 3\n")
    words = ("run", "--recipe-file", file, "--validation", "0.2", "--data", workspace.folder / "nowhere")
    assert "holds out each row once" in " ".join(digits(*words)[2].split())
    assert "nowhere: not found" in digits(*words, "--folds", "0")[2]


def test_bad_data_is_refused_before_training_and_nothing_is_written(digits, sample, workspace):
    lines = (sample / "train.csv").read_text().splitlines(keepends=True)
    folder = workspace.folder / "mine"
    folder.mkdir()
    (folder / "test.csv").write_bytes((sample / "test.csv").read_bytes())
    (folder / "train.csv").write_text("".join([*lines[:5], lines[5].replace(",0,", ",300,", 1), *lines[6:]]))
    code, _, err = digits("run", "--data", folder)
    assert code == 2
    assert "line 6" in err
    assert "300" in err
    assert "Traceback" not in err
    assert not workspace.submissions.exists()


def test_answers_of_another_test_set_are_refused_before_training(digits, sample, workspace):
    file = workspace.folder / "answers.csv"
    file.write_text("ImageId,Label\n1,7\n")
    code, out, err = digits("run", "--data", "sample", "--answers", file)
    assert code == 2
    assert "answers.csv" in err
    assert "Training" not in out
    assert not workspace.submissions.exists()


def test_score_reports_accuracy_interval_and_confusions(digits, sample, workspace):
    answers = (sample / "answers.csv").read_text().splitlines()
    mine, errors = workspace.folder / "mine.csv", workspace.folder / "errors.csv"
    wrong = [answers[0], *(line[:-1] + "0" if line.endswith("7") else line for line in answers[1:])]
    mine.write_text("\n".join(wrong) + "\n")
    n, n_wrong = len(answers) - 1, sum(line.endswith(",7") for line in answers)
    code, out, _ = digits("score", mine, "--answers", sample / "answers.csv", "--errors", errors)
    assert code == 0
    assert f"{n - n_wrong} of {n} correct" in out
    assert f"true 7, predicted 0: {n_wrong}" in out
    assert len(errors.read_text().splitlines()) == 1 + n_wrong
    _, out, _ = digits("score", mine, "--answers", sample / "answers.csv", "--json")
    scored = json.loads(out)["files"][0]
    assert scored["correct"] == n - n_wrong
    assert scored["digits"]["7"] == {"precision": None, "recall": 0.0}


def test_two_files_are_compared(digits, sample, workspace):
    answers = (sample / "answers.csv").read_text()
    one, two = workspace.folder / "one.csv", workspace.folder / "two.csv"
    one.write_text(answers.replace(",9\n", ",4\n"))
    two.write_text(answers)
    _, out, _ = digits("score", one, two, "--answers", two)
    flat = " ".join(out.split())
    assert "two.csv predicts" in flat
    assert "correctly: significant, p =" in flat
    lines = answers.splitlines()
    for file, row in ((one, 1), (two, 2)):  # each wrong in another row
        wrong = [*lines[:row], f"{row},{(int(lines[row][-1]) + 1) % 10}", *lines[row + 1 :], ""]
        file.write_text("\n".join(wrong))
    _, out, _ = digits("score", one, two, "--answers", sample / "answers.csv")
    assert "Both files have the same number of correct rows." in out
    assert "Correct only in the first: 1; only in the second: 1" in " ".join(out.split())


def test_a_score_is_stored_in_an_existing_ledger_and_creates_none(digits, sample, workspace):
    answers = sample / "answers.csv"
    words = ("score", answers, "--answers", answers)
    digits(*words)
    assert not workspace.submissions.exists()
    with workspace.open_ledger():
        pass
    digits(*words)
    with workspace.existing_ledger() as ledger:
        [kept] = ledger.scores(sha256_of(answers))
    assert (kept.correct, kept.n, kept.answers_hash) == (597, 597, kept.hash)
    workspace.ledger_file.write_bytes(b"no ledger")
    code, out, err = digits(*words)
    assert (code, "597 of 597 correct" in " ".join(out.split()), "cannot be used" in err) == (1, True, True)
    workspace.ledger_file.write_bytes(b"")
    (workspace.submissions / "20260101-000000-mine").mkdir()
    code, out, err = digits(*words)
    assert (code, "597 of 597 correct" in " ".join(out.split()), "missing or empty" in err) == (2, True, True)


def test_answers_without_labels_are_refused_with_the_expected_formats(digits, sample):
    code, _, err = digits("score", sample / "answers.csv", "--answers", sample / "test.csv")
    assert code == 2
    assert "expected answers" in err


def test_answers_to_other_images_are_recognised(digits, sample, workspace):
    short = workspace.folder / "short.csv"
    short.write_text("ImageId,Label\n1,7\n2,3\n")
    code, _, err = digits("score", sample / "answers.csv", "--answers", short)
    assert code == 2
    assert "answers.csv: expected 2 rows" in " ".join(err.split())
    _, _, err = digits("score", short, "--answers", sample / "answers.csv")
    assert "short.csv: expected 597 rows" in " ".join(err.split())


def test_wrong_rows_are_not_written_to_a_missing_folder(digits, sample, workspace):
    answers, nowhere = sample / "answers.csv", workspace.folder / "nowhere"
    code, _, err = digits("score", answers, "--answers", answers, "--errors", nowhere / "w.csv")
    assert code == 2
    assert f"there is no folder {nowhere}" in " ".join(err.split())


def test_swapped_files_are_recognised(digits, sample, workspace):
    folder = workspace.folder / "mine"
    folder.mkdir()
    for name, content in (("train.csv", "test.csv"), ("test.csv", "train.csv")):
        (folder / name).write_bytes((sample / content).read_bytes())
    _, _, err = digits("run", "--data", folder)
    assert "rename the files" in " ".join(err.split())


def test_a_closed_pipe_causes_no_error_message_and_the_score_is_stored(workspace, sample):
    with workspace.open_ledger():
        pass
    command = [sys.executable, "-c", "from digit_recognizer.cli import main; main()", "score"]
    command += [*[sample / "answers.csv"] * 40, "--answers", sample / "answers.csv"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1
    with workspace.existing_ledger() as ledger:
        assert ledger.scores(sha256_of(sample / "answers.csv"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is Linux's")
def test_a_full_output_device_is_an_error(workspace):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-c", "from digit_recognizer.cli import main; main()", "models"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        done = subprocess.run(command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert "No space left" in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="closed streams are the shell's")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_harm_no_file(workspace, closed):
    command = f'"$0" -c "from digit_recognizer.cli import main; main()" leaderboard --json {closed}'
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with workspace.open_ledger():
        pass
    done = subprocess.run(["sh", "-c", command, sys.executable], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ("[]\n" if closed == "2>&-" else "")
    with workspace.existing_ledger() as ledger:  # checks its structure
        assert ledger.runs() == []


def test_a_fault_of_the_program_is_one_line_with_the_traceback_in_a_file(capfd):
    def fail():
        raise KeyError("missing")

    with pytest.raises(SystemExit, match="1"):
        cli.main([], command=click.Command("broken", callback=fail))
    _, err = capfd.readouterr()
    assert len(err.splitlines()) == 1
    [file] = re.findall(r"unexpected KeyError: 'missing'. The details are in (\S+); please report them", err)
    assert "in fail\n" in Path(file).read_text()


@pytest.mark.skipif(os.name != "posix", reason="accounts without an entry are those of containers")
def test_the_backend_is_known_without_a_home_folder(monkeypatch):
    def unknown(uid):
        raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", unknown)
    for name in ("HOME", "KERAS_BACKEND", "KERAS_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert backend() == "tensorflow"


def test_the_answers_are_never_overwritten(digits, sample):
    before = (sample / "answers.csv").read_bytes()
    words = ("score", sample / "answers.csv", "--answers", sample / "answers.csv", "--errors", sample / "answers.csv")
    code, _, err = digits(*words)
    assert code == 2
    assert "overwritten" in err
    assert (sample / "answers.csv").read_bytes() == before


def test_answers_may_be_a_labelled_kaggle_csv(digits, sample, workspace):
    labels = [line.split(",", 1)[0] for line in (sample / "train.csv").read_text().splitlines()[1:]]
    rows = "".join(f"{row},{label}\n" for row, label in enumerate(labels, start=1))
    mine = workspace.folder / "mine.csv"
    mine.write_text("ImageId,Label\n" + rows)
    code, out, _ = digits("score", mine, "--answers", sample / "train.csv")
    assert code == 0
    assert "accuracy 1.00000" in out


@pytest.mark.parametrize(
    ("output", "message"), [("README.md", "ends in .html"), ("nowhere/report.html", "no folder FOLDER/nowhere")]
)
def test_a_report_is_written_only_to_an_html_file_in_an_existing_folder(
    digits, workspace, monkeypatch, output, message
):
    monkeypatch.setattr("digit_recognizer.report.page.gather", lambda workspace, words, data, studies: {})
    file = workspace.folder / output
    code, _, err = digits("report", "-o", file)
    assert code == 2
    assert message.replace("FOLDER", str(workspace.folder)) in err
    assert not file.exists()


@pytest.mark.parametrize(
    "words",
    [
        *(("leaderboard",), ("plan",), ("report",), ("show", "last"), ("compare", "a", "b"), ("blend", "a", "b")),
        *(("run", "--from-run", "a"), ("run", "--resume", "a"), ("export", "a", "--to", "onnx", "-o", "a.onnx")),
    ],
)
def test_a_command_without_its_ledger_names_the_folder_and_creates_none(words, digits, workspace):
    code, out, err = digits(*words)
    assert (code, out) == (2, "")
    assert f"{workspace.submissions}: no ledger there" in err
    assert not list(workspace.folder.iterdir())


def test_the_workspace_is_an_option_of_all_commands(digits, sample, workspace, tmp_path):
    other = Workspace(tmp_path / "other")
    with other.open_ledger():
        pass
    answers = sample / "answers.csv"
    code, _, _ = digits("--workspace", other.folder, "score", answers, "--answers", answers)
    assert code == 0
    assert not workspace.submissions.exists()
    with other.existing_ledger() as ledger:
        assert ledger.scores(sha256_of(answers))


def test_run_pipeline_takes_the_workspace_too(workspace, tmp_path):
    command = [sys.executable, ROOT / "run_pipeline.py", "--workspace", tmp_path / "other", "--resume", "last"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"{tmp_path / 'other' / 'submissions'}: no ledger there" in done.stderr
    assert not list(workspace.folder.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--like", "a"),
        ("run", "--like", "a", "--check"),
        ("run", "--fit=pad", "--full", "--cluster", "tcp://a:1"),
        ("predict", "a.csv", "--run", "a", "-o", "b.csv", "--skip-bad", "c.csv", "--engine", "keras"),
        ("submit", "a.csv", "--again"),
        ("score", "a.csv", "--answers", "b.csv", "--wrong", "c.csv"),
        ("bundle", "--recipe", "none"),
    ],
)
def test_earlier_names_of_options_and_commands_still_work(words, digits, workspace):
    code, _, err = digits(*words)
    assert code == 2
    assert "No such option" not in err
    assert "No such command" not in err


def test_doctor_checks_the_data_of_its_option(digits, workspace):
    code, out, _ = digits("doctor", "--data", "sample")
    assert code == 0
    assert "1,200 labelled and 597 test images" in " ".join(out.split())
    code, out, _ = digits("doctor", "--data", workspace.folder / "nowhere.zip")
    assert code == 1
    assert "nowhere.zip: not found" in out


def test_doctor_without_data_and_credentials_names_the_remedies(digits):
    code, out, _ = digits("doctor")
    assert code == 0
    assert "download`, or put train.csv" in out
    assert "access_token" in out


@pytest.mark.parametrize(
    ("words", "exit_code"),
    [
        (["--help"], 0),
        (["models"], 0),
        (["recipes"], 0),
        (["notebook"], 0),
        (["run", "--help"], 0),
        (["score", "answers.csv", "--answers", "answers.csv"], 0),
        (["submit", "answers.csv"], 2),  # too few rows
        (["sweep", "answers.csv", "--trials", "3"], 2),  # no TOML
    ],
)
def test_quick_commands_load_neither_keras_nor_tensorflow_nor_kaggle(words, exit_code, workspace):
    (workspace.folder / "answers.csv").write_text("ImageId,Label\n1,7\n2,3\n")
    code = (
        "import sys; from digit_recognizer.cli import main\n"
        f"try: main({words})\n"
        f"except SystemExit as leave: assert leave.code == {exit_code}\n"
        "loaded = {'keras', 'tensorflow', 'kaggle', 'sklearn', 'matplotlib', 'optuna'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=workspace.folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals for one process")
def test_ctrl_c_interrupts_a_run_and_prints_the_command_that_resumes_it(workspace):
    """SIGTERM is tested by promise 13."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    command = [sys.executable, str(ROOT / "run_pipeline.py"), "--data", "sample", "--epochs", "500"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        signal.signal(signal.SIGINT, before)
        for line in process.stdout:
            if line.startswith("epoch"):
                break
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err.strip()) == (130, "Interrupted.")
    [run] = (file for file in workspace.submissions.iterdir() if file.name != "ledger.sqlite")
    assert f" run --resume {run.name}" in out
    assert {file.name.split("-")[0] for file in run.iterdir()} == {"checkpoint"}
    with workspace.existing_ledger() as ledger:
        assert ledger.run("last").status == "interrupted"


CLOSED_TERMINAL = """
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored, also by children
pid, terminal = os.forkpty()
if pid == 0:
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
printed = b""
while b"epoch" not in printed:
    printed += os.read(terminal, 1000)
os.close(terminal)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals")
def test_a_closed_terminal_interrupts_a_run(workspace):
    command = [sys.executable, "-c", CLOSED_TERMINAL, ROOT / "run_pipeline.py", "--data=sample", "--epochs=100"]
    assert subprocess.run(command, check=False, timeout=100).returncode == 143
    with workspace.existing_ledger() as ledger:
        run = ledger.run("last")
    assert (run.status, run.error) == ("interrupted", "")
    assert list(workspace.submissions.glob("*/checkpoint-*.npz"))
