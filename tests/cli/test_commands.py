"""The commands as they are typed: what they print, what they refuse, their exit codes, what they do not load."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from digit_recognizer import cli
from digit_recognizer.data.sample import write_sample
from digit_recognizer.models.registry import MODELS
from digit_recognizer.recipes.recipe import RECIPES
from digit_recognizer.tracking import ledger
from digit_recognizer.tracking.run_session import hash_of

ROOT = Path(__file__).resolve().parents[2]
SAMPLE_FILES = ("train.csv", "test.csv", "sample_submission.csv", "answers.csv", "sample.json")


@pytest.fixture
def digits(workplace, capfd):
    """Call `digits` as the shell would: (exit code, stdout, stderr)."""

    def call(*words, command=cli.digits):
        with pytest.raises(SystemExit) as leave:
            cli.main([str(word) for word in words], command=command)
        return leave.value.code, *capfd.readouterr()

    return call


@pytest.fixture
def sample(workplace):
    write_sample(Path("data/sample"))
    return Path("data/sample")


def test_help_names_every_command(digits):
    code, out, _ = digits("--help")
    assert code == 0
    for command in ("run", "download", "score", "submit", "sweep", "models", "recipes", "bundle", "doctor"):
        assert f"  {command} " in out


def test_models_are_listed_and_json_says_the_same(digits):
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


def test_recipes_are_listed_and_one_can_be_saved_and_used(digits):
    _, table, _ = digits("recipes")
    assert all(name in table for name in RECIPES)
    _, toml, _ = digits("recipes", "lenet5")
    Path("mine.toml").write_text(toml)
    code, out, err = digits("run", "--recipe-file", "mine.toml", "--data", "nowhere")
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
        (("run", "--fit", "crop"), "pad, resize"),
        (("run", "--name", "a/b"), "letters, digits"),
        (("run", "--recipe-file", "none.toml"), "none.toml"),
        (("run", "--recipe", "lenet5", "--recipe-file", "a.toml"), "one of them"),
        (("run", "--data", "nowhere"), "nowhere: not found"),
        (("run", "--recipe", ""), "no recipe ''"),
        (("run", "--name", ""), "letters, digits"),
        (("run", "--data", "sample", "--submit"), "No Kaggle credentials"),
        (("run", "--message", "hello"), "add --submit"),
        (("download",), "No Kaggle credentials"),
        (("run", "--sumbit"), "--submit"),
        (("models", "resnet"), "no model 'resnet'"),
        (("recipes", "best"), "no recipe 'best'"),
        (("score", "a.csv"), "--answers"),
        (("score", "a.csv", "--answers", "b.csv"), "b.csv: cannot be read"),
        (("submit",), "FILE"),
        (("submit", "a.csv"), "a.csv: cannot be read"),
        (("run", "--validation", "10"), "0.1 for 10 %"),
        (("run", "--validation", "0.2", "--folds", "3"), "held out once"),
        (("trian",), "trian"),
    ],
)
def test_wrong_words_are_refused_with_exit_code_2_in_few_lines_and_nothing_written(words, message, digits):
    code, _, err = digits(*words)
    assert code == 2
    assert message in err
    assert len(err.splitlines()) <= 4
    assert {path.name for path in Path().rglob("*")} <= {"data", "sample", *SAMPLE_FILES}


def test_a_part_is_held_out_only_without_folds(digits):
    Path("mine.toml").write_text("folds = 3\n")
    words = ("run", "--recipe-file", "mine.toml", "--validation", "0.2", "--data", "nowhere")
    assert "each row is held out once" in " ".join(digits(*words)[2].split())
    assert "nowhere: not found" in digits(*words, "--folds", "0")[2]


def test_bad_data_is_refused_before_training_and_nothing_is_written(digits, sample):
    lines = (sample / "train.csv").read_text().splitlines(keepends=True)
    folder = Path("mine")
    folder.mkdir()
    (folder / "test.csv").write_bytes((sample / "test.csv").read_bytes())
    (folder / "train.csv").write_text("".join([*lines[:5], lines[5].replace(",0,", ",300,", 1), *lines[6:]]))
    code, _, err = digits("run", "--data", folder)
    assert code == 2
    assert "line 6" in err
    assert "300" in err
    assert "Traceback" not in err
    assert not Path("submissions").exists()


def test_answers_of_another_test_set_are_refused_before_training(digits, sample):
    Path("answers.csv").write_text("ImageId,Label\n1,7\n")
    code, out, err = digits("run", "--data", "sample", "--answers", "answers.csv")
    assert code == 2
    assert "answers.csv" in err
    assert "Training" not in out
    assert not Path("submissions").exists()


def test_score_reports_accuracy_interval_and_confusions(digits, sample):
    answers = (sample / "answers.csv").read_text().splitlines()
    wrong = [answers[0], *(line[:-1] + "0" if line.endswith("7") else line for line in answers[1:])]
    Path("mine.csv").write_text("\n".join(wrong) + "\n")
    n, n_wrong = len(answers) - 1, sum(line.endswith(",7") for line in answers)
    code, out, _ = digits("score", "mine.csv", "--answers", sample / "answers.csv", "--wrong", "wrong.csv")
    assert code == 0
    assert f"{n - n_wrong} of {n} right" in out
    assert f"7 labelled 0: {n_wrong}" in out
    assert len(Path("wrong.csv").read_text().splitlines()) == 1 + n_wrong
    _, out, _ = digits("score", "mine.csv", "--answers", sample / "answers.csv", "--json")
    scored = json.loads(out)["files"][0]
    assert scored["correct"] == n - n_wrong
    assert scored["digits"]["7"] == {"precision": None, "recall": 0.0}


def test_two_files_are_compared(digits, sample):
    answers = (sample / "answers.csv").read_text()
    Path("one.csv").write_text(answers.replace(",9\n", ",4\n"))
    Path("two.csv").write_text(answers)
    _, out, _ = digits("score", "one.csv", "two.csv", "--answers", "two.csv")
    assert "two.csv has" in out
    assert "hardly chance" in out
    _, out, _ = digits("score", "two.csv", "two.csv", "--answers", "two.csv")
    assert "hold the same labels" in out
    lines = answers.splitlines()
    for name, row in (("one.csv", 1), ("two.csv", 2)):  # each wrong in another row
        wrong = [*lines[:row], f"{row},{(int(lines[row][-1]) + 1) % 10}", *lines[row + 1 :], ""]
        Path(name).write_text("\n".join(wrong))
    _, out, _ = digits("score", "one.csv", "two.csv", "--answers", sample / "answers.csv")
    assert "Neither wins" in out
    assert "only the first has right: 1; only the second: 1" in " ".join(out.split())


def test_a_score_is_kept_where_there_is_a_ledger_and_begins_none(digits, sample):
    words = ("score", sample / "answers.csv", "--answers", sample / "answers.csv")
    digits(*words)
    assert not Path("submissions").exists()
    with ledger.open_ledger(Path("submissions/ledger.sqlite")):
        pass
    digits(*words)
    with ledger.open_ledger(Path("submissions/ledger.sqlite")) as book:
        [kept] = book.scores(hash_of(sample / "answers.csv"))
    assert (kept["correct"], kept["n"], kept["answers_hash"]) == (597, 597, kept["hash"])
    Path("submissions/ledger.sqlite").write_bytes(b"no ledger")
    code, out, err = digits(*words)
    assert (code, "597 of 597 right" in " ".join(out.split()), "cannot be used" in err) == (1, True, True)


def test_score_says_what_answers_may_be_when_given_test_csv(digits, sample):
    code, _, err = digits("score", sample / "answers.csv", "--answers", sample / "test.csv")
    assert code == 2
    assert "expected answers" in err


def test_the_answers_of_other_images_are_told_as_such(digits, sample):
    Path("short.csv").write_text("ImageId,Label\n1,7\n2,3\n")
    code, _, err = digits("score", sample / "answers.csv", "--answers", "short.csv")
    assert code == 2
    assert "597 rows, but short.csv has 2" in " ".join(err.split())
    _, _, err = digits("score", "short.csv", "--answers", sample / "answers.csv")
    assert "Unable to find 595 required key values" in " ".join(err.split())


def test_the_wrong_rows_are_not_written_to_a_folder_that_is_not_there(digits, sample):
    answers = sample / "answers.csv"
    code, _, err = digits("score", answers, "--answers", answers, "--wrong", "nowhere/w.csv")
    assert code == 2
    assert "there is no folder nowhere" in " ".join(err.split())


def test_the_faults_of_both_files_are_told_together(digits, sample):
    for name in ("train.csv", "test.csv"):
        data = (sample / name).read_text()
        (sample / name).write_text(data.replace(",0,", ",300,", 1))
    (sample / "sample.json").unlink()
    _, _, err = digits("run", "--data", sample)
    assert err.count("received '300'") == 2


def test_swapped_files_are_told_as_such(digits, sample):
    folder = Path("mine")
    folder.mkdir()
    for name, content in (("train.csv", "test.csv"), ("test.csv", "train.csv")):
        (folder / name).write_bytes((sample / content).read_bytes())
    _, _, err = digits("run", "--data", folder)
    assert "give each file its name" in " ".join(err.split())


def test_a_reader_that_leaves_early_sees_no_error_and_the_score_is_kept(workplace, sample):
    with ledger.open_ledger(Path("submissions/ledger.sqlite")):
        pass
    command = [sys.executable, "-c", "from digit_recognizer.cli import main; main()", "score"]
    command += [*[sample / "answers.csv"] * 40, "--answers", sample / "answers.csv"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1
    with ledger.open_ledger(Path("submissions/ledger.sqlite")) as book:
        assert book.scores(hash_of(sample / "answers.csv"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is Linux's")
def test_what_cannot_be_printed_is_told_as_an_error(workplace):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-c", "from digit_recognizer.cli import main; main()", "models"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        told = subprocess.run(command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True)
    assert told.returncode == 1
    assert told.stderr.startswith("Error: ")
    assert "No space left" in told.stderr


def test_the_answers_are_never_overwritten(digits, sample):
    before = (sample / "answers.csv").read_bytes()
    words = ("score", sample / "answers.csv", "--answers", sample / "answers.csv", "--wrong", sample / "answers.csv")
    code, _, err = digits(*words)
    assert code == 2
    assert "overwritten" in err
    assert (sample / "answers.csv").read_bytes() == before


def test_answers_may_be_a_labelled_kaggle_csv(digits, sample):
    labels = [line.split(",", 1)[0] for line in (sample / "train.csv").read_text().splitlines()[1:]]
    rows = "".join(f"{row},{label}\n" for row, label in enumerate(labels, start=1))
    Path("mine.csv").write_text("ImageId,Label\n" + rows)
    code, out, _ = digits("score", "mine.csv", "--answers", sample / "train.csv")
    assert code == 0
    assert "accuracy 1.00000" in out


@pytest.mark.parametrize(
    ("output", "message"), [("README.md", "ends in .html"), ("nowhere/report.html", "no folder nowhere")]
)
def test_a_report_goes_only_to_a_page_in_a_folder_that_is_there(digits, monkeypatch, output, message):
    monkeypatch.setattr("digit_recognizer.report.gather.gather", lambda runs, data, studies: {})
    code, _, err = digits("report", "-o", output)
    assert code == 2
    assert message in err
    assert not Path(output).exists()


def test_doctor_reads_the_data_it_is_given(digits):
    code, out, _ = digits("doctor", "--data", "sample")
    assert code == 0
    assert "1,200 labelled and 597 test images" in " ".join(out.split())
    code, out, _ = digits("doctor", "--data", "nowhere.zip")
    assert code == 1
    assert "nowhere.zip: not found" in out


def test_doctor_without_anything_names_the_cures_and_asks_nobody(digits):
    code, out, _ = digits("doctor")
    assert code == 0
    assert "digits download" in out
    assert "access_token" in out


@pytest.mark.parametrize(
    ("words", "exit_code"),
    [
        (["--help"], 0),
        (["models"], 0),
        (["recipes"], 0),
        (["bundle"], 0),
        (["run", "--help"], 0),
        (["score", "answers.csv", "--answers", "answers.csv"], 0),
        (["submit", "answers.csv"], 2),  # too few rows
        (["sweep", "answers.csv", "--trials", "3"], 2),  # no TOML
    ],
)
def test_quick_commands_load_neither_keras_nor_tensorflow_nor_kaggle(words, exit_code, workplace):
    Path("answers.csv").write_text("ImageId,Label\n1,7\n2,3\n")
    code = (
        "import sys; from digit_recognizer.cli import main\n"
        f"try: main({words})\n"
        f"except SystemExit as leave: assert leave.code == {exit_code}\n"
        "loaded = {'keras', 'tensorflow', 'kaggle', 'sklearn', 'matplotlib', 'optuna'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals for one process")
def test_ctrl_c_ends_a_run_in_order_and_the_command_that_goes_on_is_told(workplace):
    """SIGTERM does as well: promise 13."""
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
    [run] = (file for file in Path("submissions").iterdir() if file.name != "ledger.sqlite")
    assert f"digits run --resume {run.name}" in out
    assert {file.name.split("-")[0] for file in run.iterdir()} == {"checkpoint"}
    with ledger.open_ledger(Path("submissions/ledger.sqlite")) as book:
        assert book.run("last")["status"] == "interrupted"


CLOSED_TERMINAL = """
import os, sys
pid, terminal = os.forkpty()
if pid == 0:
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
told = b""
while b"epoch" not in told:
    told += os.read(terminal, 1000)
os.close(terminal)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals")
def test_a_closed_terminal_interrupts_a_run_in_order(workplace):
    command = [sys.executable, "-c", CLOSED_TERMINAL, ROOT / "run_pipeline.py", "--data=sample", "--epochs=100"]
    assert subprocess.run(command, check=False, timeout=100).returncode == 143
    with ledger.open_ledger(Path("submissions/ledger.sqlite")) as book:
        run = book.run("last")
    assert (run["status"], run["error"]) == ("interrupted", "")
    assert list(Path("submissions").glob("*/checkpoint-*.npz"))
