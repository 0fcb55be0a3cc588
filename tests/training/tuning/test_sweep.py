"""Sweeps with Optuna: rows, pruning, continuing after a kill, several processes, and invalid input."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
import optuna
import pytest

import stub_training
from digit_recognizer import cli
from digit_recognizer.competition.download import find_or_download
from digit_recognizer.data.dataset import read_dataset
from digit_recognizer.data.sources import find
from digit_recognizer.errors import InputError, RunError
from digit_recognizer.recipes.catalog import RECIPES
from digit_recognizer.recipes.recipe import change
from digit_recognizer.report.leaderboard import leaderboard
from digit_recognizer.tracking.compare import compare_runs_or_files
from digit_recognizer.tracking.run_dir import read_predictions
from digit_recognizer.tracking.run_record import short_name
from digit_recognizer.tracking.run_session import status
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.training import network
from digit_recognizer.training.tuning import results, study, sweep
from digit_recognizer.utils.reporter import SILENT, Reporter
from finished_runs import write_data

ROOT = Path(__file__).resolve().parents[3]
SPACE = """
base = "plain-lenet-28"
epochs = 2
folds = 2
[space]
learning_rate = { low = 0.0001, high = 0.1, log = true }
shift = { low = 0, high = 2 }
"""
SAMPLE = Path("sample")


class Study:
    """A study of a workspace: its file, its sweeps, its trials and their rows in the ledger."""

    def __init__(self, workspace, name="faster"):
        self.workspace, self.name = workspace, name
        self.file = workspace.folder / f"{name}.toml"
        self.journal = workspace.sweeps / f"{name}.journal"

    def write(self, text=SPACE):
        """Write the file of its space."""
        self.file.write_text(text)
        return self

    def sweep(self, n_trials, data=SAMPLE, hours=None, reporter=SILENT):
        """As `digits sweep` does."""
        space = sweep.read_space(self.file)
        dataset = read_dataset(find_or_download(data, self.workspace.data))
        return sweep.sweep(space, n_trials, dataset, self.workspace, hours, reporter=reporter)

    def rows(self):
        """The runs of the ledger, the oldest first."""
        with self.workspace.existing_ledger() as ledger:
            return ledger.runs()[::-1]

    def statuses(self):
        return [status(run) for run in self.rows()]

    def trials(self):
        return results.study_results(self.workspace.sweeps, self.name).trials

    def states(self):
        return [trial.state for trial in self.trials()]

    def params(self):
        return [trial.params for trial in self.trials()]

    def load(self):
        """The study as Optuna has it."""
        return results._load(self.workspace.sweeps, self.name)

    def importance(self):
        return results.importance(self.workspace.sweeps, self.name)

    def other(self, name):
        """Another study of the same workspace."""
        return Study(self.workspace, name)


class Recorder(Reporter):
    """Records the texts."""

    def __init__(self):
        self.texts = []

    def info(self, text):
        self.texts.append(text)


def cut_train(workspace, stop):
    """Write the data with only lines[:stop] of train.csv."""
    write_data(workspace)
    file = workspace.data / "train.csv"
    file.write_bytes(b"".join(file.read_bytes().splitlines(True)[:stop]))


def abandon(self, trial):
    """In place of `_Sweep.run_trial`: leaves a trial as a killed process does."""


@pytest.fixture
def faster(workspace, monkeypatch):
    """A study whose networks are stubs instead of trained; its file is written."""
    monkeypatch.setattr(network, "train_network", stub_training.train_network)
    return Study(workspace).write()


# Trained


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A study of two trained trials, without answers, and the result of its sweep."""
    workspace = Workspace(tmp_path_factory.mktemp("sweep"))
    write_data(workspace)
    (workspace.folder / "elsewhere/answers.csv").unlink()
    faster = Study(workspace).write(SPACE.replace("epochs = 2", "epochs = 1"))
    return faster, faster.sweep(2, data=None)


def test_each_trial_is_a_row_with_its_recipe_and_its_networks(swept):
    faster, _ = swept
    for number, (run, trial) in enumerate(zip(faster.rows(), faster.trials(), strict=True)):
        assert (run.kind, run.status, run.estimate, run.n) == ("trial", "done", "out-of-fold", 1200)
        assert short_name(run.name) == f"faster-{number}"
        assert run.recipe_name == "faster"
        recipe = change(RECIPES["plain-lenet-28"], {"epochs": 1, "folds": 2, **trial.params})
        assert run.recipe_fields == json.loads(json.dumps(asdict(recipe)))
        with faster.workspace.existing_ledger() as ledger:
            assert [network.fold for network in ledger.networks(run.id)] == [1, 2]


def test_the_objective_is_the_out_of_fold_accuracy_on_train_csv(swept):
    faster, _ = swept
    train = read_dataset(find(None, faster.workspace.data)).train
    for trial in faster.trials():
        found = read_predictions(faster.workspace.submissions / trial.run)
        assert found.rows.tolist() == list(range(1200))
        assert trial.value == np.mean(found.log_p.argmax(axis=1) == train.labels)
    assert not list(faster.workspace.folder.rglob("answers.csv"))


def test_a_trial_writes_a_run_without_plots_and_does_not_replace_the_newest_submission(swept):
    faster, _ = swept
    for trial in faster.trials():
        names = {path.name for path in (faster.workspace.submissions / trial.run).iterdir()}
        assert names == {"submission.csv", "probabilities.npz", "recipe.json", "result.json", "members"}
    assert not faster.workspace.newest_submission.exists()


def test_trials_are_listed_and_compared_like_runs(swept):
    faster, result = swept
    listed = leaderboard(faster.workspace, recipe="faster")
    assert listed[0].run == result.best.run
    assert listed[0].accuracy == result.best.value
    assert compare_runs_or_files("faster-0", "faster-1", faster.workspace).n == 1200


def test_repeating_the_command_does_nothing_and_returns_the_same(swept):
    faster, result = swept
    assert faster.sweep(2, data=None) == result
    assert len(faster.rows()) == 2
    assert result.trials == {"complete": 2}
    assert result.again == f"digits run --from-run {result.best.run} --seed 1"


# Stubs


def test_a_line_for_each_trial_and_json_alone_on_stdout(faster, capfd):
    with pytest.raises(SystemExit) as leave:
        cli.main(["sweep", str(faster.file), "--trials", "3", "--data", "sample", "--json"])
    assert leave.value.code == 0
    out, err = capfd.readouterr()
    result = json.loads(out)
    assert result["trials"] == {"complete": 3}
    assert result["again"].startswith("digits run --from-run ")
    lines = [line for line in err.splitlines() if line.startswith("trial ")]
    assert len(lines) == 3
    assert lines[0].startswith("trial 0: accuracy 0.")
    assert "learning_rate 0.0" in lines[0]
    assert lines[0].endswith("(best so far)")


def test_the_best_trial_has_the_highest_accuracy_or_the_lowest_loss(faster):
    best = faster.sweep(6).best
    assert best.value == max(trial.value or 0 for trial in faster.trials())
    surer = faster.other("surer").write('objective = "loss"\n' + SPACE)
    lowest = surer.sweep(6).best
    assert lowest.value == min(trial.value or 9 for trial in surer.trials())
    assert lowest.value == next(run.loss for run in surer.rows() if run.name == lowest.run)


def test_importances_sum_to_one_and_are_sorted(faster):
    faster.sweep(12)
    found = faster.importance()
    assert list(found) == ["learning_rate", "shift"]
    assert sum(found.values()) == pytest.approx(1)
    assert found["learning_rate"] > 0.8


def test_unpromising_trials_are_pruned_rows_without_a_folder_and_count(faster):
    result = faster.sweep(15)
    assert sum(result.trials.values()) == 15
    pruned = [row for row in faster.rows() if row.status == "pruned"]
    assert len(pruned) == result.trials["pruned"] > 0
    assert not any((faster.workspace.submissions / row.name).exists() for row in pruned)
    assert faster.states()[: study._STARTUP] == ["complete"] * study._STARTUP
    assert len(leaderboard(faster.workspace)) == result.trials["complete"]


def test_a_trial_that_diverges_is_a_failed_row_and_the_sweep_goes_on(faster, monkeypatch):
    monkeypatch.setattr(stub_training, "DIVERGES", 0.01)
    result = faster.sweep(6)
    assert sum(result.trials.values()) == 6
    assert result.trials["diverged"] == Counter(row.status for row in faster.rows())["diverged"] > 0


def test_ctrl_c_closes_the_row_and_exits_with_130(faster, monkeypatch):
    faster.sweep(1)

    def interrupted(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(network, "train_network", interrupted)
        with pytest.raises(SystemExit) as leave:
            cli.main(["sweep", str(faster.file), "--trials", "2", "--data", "sample"])
    assert leave.value.code == 130
    assert faster.statuses() == ["done", "interrupted"]
    faster.sweep(2)
    assert faster.states() == ["complete", "interrupted", "complete"]
    assert not list(faster.workspace.sweeps.glob("*.worker"))


def test_an_error_of_the_machine_ends_the_sweep(faster, monkeypatch):
    def full(*arguments):
        raise OSError("no space left on device")

    monkeypatch.setattr(network, "train_network", full)
    with pytest.raises(OSError, match="no space"):
        faster.sweep(3)
    assert faster.states() == ["interrupted"]
    assert faster.statuses() == ["failed"]


def test_a_study_in_parts_draws_the_same_values_as_at_once(faster):
    faster.sweep(5)
    again = faster.other("again").write()
    for n_trials in (1, 3, 5):
        again.sweep(n_trials)
    assert again.params() == faster.params()
    assert len({trial["learning_rate"] for trial in faster.params()}) == 5


def test_no_trial_starts_after_the_hours(faster):
    assert faster.sweep(3, hours=0).trials == {}


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("high = 2", "high = 3", "high: was 2, is 3"),
        ("epochs", 'objective = "loss"\nepochs', "objective: was accuracy, is loss"),
    ],
)
def test_a_study_does_not_continue_with_a_changed_file(faster, before, after, words):
    faster.sweep(1)
    with pytest.raises(InputError, match=f"{words}.*under another name for a new study"):
        faster.write(SPACE.replace(before, after, 1)).sweep(2)
    assert len(faster.rows()) == len(faster.states()) == 1


def test_a_study_does_not_continue_on_other_data(faster):
    faster.sweep(1)
    cut_train(faster.workspace, -1)
    with pytest.raises(InputError, match=r"train\.csv: was"):
        faster.sweep(2, data=faster.workspace.data)


def test_invalid_input_writes_nothing(faster, capfd):
    faster.write("[space]\nshift = { low = 3, high = 0 }")
    with pytest.raises(SystemExit) as leave:
        cli.main(["sweep", str(faster.file), "--trials", "1"])
    assert leave.value.code == 2
    cut_train(faster.workspace, 100)
    with pytest.raises(InputError, match="30 folds need as many rows of each digit"):
        faster.write(SPACE.replace("folds = 2", "folds = 30")).sweep(1, data=None)
    assert not faster.workspace.submissions.exists()


def test_without_optuna_the_error_names_the_command_that_installs_it(faster, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SystemExit) as leave:
        cli.main(["sweep", str(faster.file), "--trials", "1", "--data", "sample"])
    assert leave.value.code == 1
    assert 'pip install "optuna>=4"' in capfd.readouterr().err
    assert 'sweep = ["optuna>=4"]' in (ROOT / "pyproject.toml").read_text()
    assert not faster.workspace.submissions.exists()


def test_the_error_for_an_unknown_study_lists_those_found(faster):
    faster.sweep(1)
    assert faster.importance() == {}
    [trial] = faster.load().get_trials()
    same = optuna.trial.create_trial(params=trial.params, distributions=trial.distributions, value=trial.value)
    faster.load().add_trial(same)
    assert faster.importance() == {}
    with pytest.raises(InputError, match=r"no study 'slower'.*found: faster"):
        faster.other("slower").importance()


def test_an_incomplete_last_line_of_the_journal_is_removed(faster):
    faster.sweep(1)
    with faster.journal.open("ab") as file:
        file.write(b'{"op_code":4,"work')
    faster.sweep(2)
    assert faster.states() == ["complete", "complete"]


def test_a_damaged_journal_is_an_error(faster):
    faster.sweep(1)
    faster.journal.write_bytes(b"rubbish\n" + faster.journal.read_bytes())
    with pytest.raises(RunError, match=r"faster\.journal: not a journal"):
        faster.sweep(2)


def test_a_study_whose_recipe_lacks_a_new_field_continues(faster):
    faster.sweep(1)
    of_optuna = faster.load()
    begun = of_optuna.user_attrs["begun"]
    begun["recipe"].pop("dropout")
    of_optuna.set_user_attr("begun", begun)
    assert faster.sweep(2).trials == {"complete": 2}


# Processes

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])}


def sweep_process(study, n_processes, n_trials):
    """`digits sweep` in another process, whose networks wait until `n_processes` train."""
    command = [sys.executable, str(ROOT / "tests" / "stub_training.py"), str(n_processes)]
    words = ["sweep", str(study.file), "--trials", str(n_trials), "--data", "sample"]
    environment = {**ENVIRONMENT, "DIGITS_WORKSPACE": str(study.workspace.folder)}
    folder = study.workspace.folder
    return subprocess.Popen([*command, *words], cwd=folder, env=environment, stdout=subprocess.DEVNULL)


def test_the_trial_of_a_living_process_stays_running_and_that_of_a_killed_one_is_interrupted(faster):
    with sweep_process(faster, 9, n_trials=2) as process:
        try:
            while not list(faster.workspace.folder.glob("*.training")):
                assert process.poll() is None
                time.sleep(0.02)
            assert faster.sweep(1).trials == {"running": 1}
        finally:
            process.kill()
    assert faster.statuses() == ["interrupted"]
    result = faster.sweep(2)
    assert faster.states() == ["interrupted", "complete", "complete"]
    assert faster.statuses() == ["interrupted", "done", "done"]
    assert faster.sweep(2) == result
    assert not list(faster.workspace.sweeps.glob("*.worker"))


def test_a_trial_that_its_worker_closes_before_it_ends_keeps_its_state(faster, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sweep._Sweep, "run_trial", abandon)
        faster.sweep(1)

    def close_and_end(path):
        faster.load().tell(0, 0.5)
        return False

    monkeypatch.setattr(study, "is_alive", close_and_end)
    faster.sweep(2)
    assert faster.states() == ["complete", "complete"]


class RecordingTrial:
    """Records the values that are reported to Optuna."""

    def __init__(self):
        self.values = {}

    def report(self, value, step):
        self.values[step] = value

    def should_prune(self):
        return True


@pytest.mark.parametrize(
    ("n_epochs", "expected"),
    [
        (2, [1, 1, 1, 1, 1, 2]),
        (3, [1, 1, 1, 2, 2, 2, 3]),
        (10, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (25, [2, 5, 7, 10, 12, 15, 17, 20, 22, 25]),
    ],
)
def test_a_tenth_of_a_training_has_the_value_of_the_last_epoch_until_then(n_epochs, expected):
    trial = RecordingTrial()
    pruned = [study.report(trial, epoch, epoch, n_epochs) for epoch in range(1, n_epochs + 1)]
    assert list(trial.values) == list(range(11 - len(expected), 11))
    assert list(trial.values.values()) == expected
    assert sum(pruned) == len(set(expected))


def test_no_values_are_tried_twice_and_a_space_without_new_ones_ends_the_sweep(faster):
    dimensions = "shift = { low = 0, high = 3 }\nlearning_rate = { low = 0.001, high = 0.005, step = 0.001 }\n"
    faster.write(SPACE.split("[space]")[0] + "[space]\n" + dimensions)
    first, second = Recorder(), Recorder()
    result = faster.sweep(30, reporter=first)
    assert (
        len(faster.params()) == len(faster.rows()) == len({str(study._rounded(own)) for own in faster.params()}) == 20
    )
    assert sum(result.trials.values()) == 20
    assert "No other values are left" in first.texts[-1]
    assert faster.sweep(20, reporter=second) == result
    assert not any("No other" in text for text in second.texts)


def test_a_setting_that_a_model_does_not_support_is_an_error_before_the_first_trial(faster):
    faster.write('base = "lenet5"\n[space]\nmodel = ["lenet5-1998", "lenet5"]\n')
    with pytest.raises(InputError, match="contains model lenet5-1998: batch_norm"):
        faster.sweep(1)
    assert not faster.workspace.sweeps.exists()


def test_two_processes_share_the_trials_of_a_study(faster):
    both = [sweep_process(faster, 2, n_trials=7) for _ in range(2)]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    trials = faster.load().get_trials()
    assert len(trials) == len(faster.rows()) == 7
    assert len({trial.user_attrs["worker"] for trial in trials}) == 2
    assert len({str(trial.params) for trial in trials}) == 7
    assert {row.status for row in faster.rows()} <= {"done", "pruned"}
