"""Sweeps, by the real Optuna: rows, pruning, going on after a kill, several processes, and what is refused."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np
import optuna
import pytest

import made_up_training
from digit_recognizer import cli
from digit_recognizer.competition import download
from digit_recognizer.data import sources
from digit_recognizer.errors import InputError, RunError
from digit_recognizer.recipes.recipe import RECIPES, change
from digit_recognizer.report import leaderboard
from digit_recognizer.tracking import compare, run_dir, run_session
from digit_recognizer.training import ensemble, network
from digit_recognizer.training.tuning import study as studies
from digit_recognizer.training.tuning import sweep
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


def sweep_file(file, n_trials, data=None, hours=None):
    """What `digits sweep` does."""
    chosen = sweep.read_space(file)
    source = download.find_or_download(data)
    return sweep.sweep(chosen, n_trials, ensemble.Data(source, *sources.read(source)), hours)


def write_space(text=SPACE, name="faster.toml"):
    Path(name).write_text(text)
    return Path(name)


def rows():
    """The trials' rows in the ledger, the oldest first."""
    with run_session.ledger() as book:
        return book.runs()[::-1]


def states(name="faster"):
    return [record["state"] for record in studies.study_results(name).trials]


def params(name="faster"):
    return [record["params"] for record in studies.study_results(name).trials]


@pytest.fixture
def quick(workplace, monkeypatch):
    """Networks are made up instead of trained."""
    monkeypatch.setattr(network, "train_network", made_up_training.train_member)
    return workplace


# Trained


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Two trials, trained, where no answers are: their folder and the record of the sweep."""
    folder = tmp_path_factory.mktemp("sweep")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_data()
        Path("elsewhere/answers.csv").unlink()
        result = sweep_file(write_space(SPACE.replace("epochs = 2", "epochs = 1")), 2)
    return folder, result


@pytest.fixture
def at_swept(swept, monkeypatch):
    monkeypatch.chdir(swept[0])
    return swept[1]


def test_each_trial_is_a_row_with_its_recipe_and_its_networks(at_swept):
    for number, (row, trial) in enumerate(zip(rows(), studies.study_results("faster").trials, strict=True)):
        assert (row["kind"], row["status"], row["estimate"], row["n"]) == ("trial", "done", "out-of-fold", 1200)
        assert run_dir.short_name(row["name"]) == f"faster-{number}"
        assert row["recipe_name"] == "faster"
        recipe = change(RECIPES["plain-lenet-28"], {"epochs": 1, "folds": 2, **trial["params"]})
        assert json.loads(row["recipe"]) == json.loads(json.dumps(asdict(recipe)))
        with run_session.ledger() as book:
            assert [member["fold"] for member in book.members(row["id"])] == [1, 2]


def test_the_objective_is_the_out_of_fold_accuracy_on_train_csv(at_swept):
    train_table, _ = sources.read(sources.find(None))
    for trial in studies.study_results("faster").trials:
        held_out, log_p, _ = run_dir.read_probabilities(run_dir.SUBMISSIONS / trial["run"])
        assert held_out.tolist() == list(range(1200))
        assert trial["value"] == np.mean(log_p.argmax(axis=1) == train_table.labels)
    assert not list(Path().rglob("answers.csv"))


def test_a_trial_leaves_a_run_without_pictures_and_the_newest_submission_is_not_its(at_swept):
    for trial in studies.study_results("faster").trials:
        names = {path.name for path in (run_dir.SUBMISSIONS / trial["run"]).iterdir()}
        assert names == {"submission.csv", "probabilities.npz", "recipe.json", "result.json", "members"}
    assert not Path("submissions/submission.csv").exists()


def test_trials_are_listed_and_compared_as_runs_are(at_swept):
    listed = leaderboard.leaderboard(recipe="faster")
    assert listed[0]["run"] == at_swept["best"]["run"]
    assert listed[0]["accuracy"] == at_swept["best"]["value"]
    assert compare.compare_two("faster-0", "faster-1")["n"] == 1200


def test_the_same_command_again_does_nothing_and_says_the_same(at_swept, capfd):
    assert sweep_file(Path("faster.toml"), 2) == at_swept
    assert len(rows()) == 2
    assert at_swept["trials"] == {"complete": 2}
    assert at_swept["again"] == f"digits run --like {at_swept['best']['run']} --seed 1"


# Made up


def test_a_line_for_each_trial_and_json_alone_on_stdout(quick, capfd):
    with pytest.raises(SystemExit) as leave:
        cli.main(["sweep", str(write_space()), "--trials", "3", "--data", "sample", "--json"])
    assert leave.value.code == 0
    out, err = capfd.readouterr()
    result = json.loads(out)
    assert result["trials"] == {"complete": 3}
    assert result["again"].startswith("digits run --like ")
    lines = [line for line in err.splitlines() if line.startswith("trial ")]
    assert len(lines) == 3
    assert lines[0].startswith("trial 0: accuracy 0.")
    assert "learning_rate 0.0" in lines[0]
    assert lines[0].endswith("(best so far)")


def test_the_best_trial_is_that_of_the_highest_accuracy_or_the_lowest_loss(quick):
    best = sweep_file(write_space(), 6, data=SAMPLE)["best"]
    assert best["value"] == max(trial["value"] or 0 for trial in studies.study_results("faster").trials)
    lowest = sweep_file(write_space('objective = "loss"\n' + SPACE, "surer.toml"), 6, data=SAMPLE)["best"]
    assert lowest["value"] == min(trial["value"] or 9 for trial in studies.study_results("surer").trials)
    assert lowest["value"] == next(row["loss"] for row in rows() if row["name"] == lowest["run"])


def test_importance_adds_up_to_one_and_knows_what_matters(quick):
    sweep_file(write_space(), 12, data=SAMPLE)
    found = studies.importance("faster")
    assert list(found) == ["learning_rate", "shift"]
    assert sum(found.values()) == pytest.approx(1)
    assert found["learning_rate"] > 0.8


def test_unpromising_trials_are_pruned_rows_without_a_folder_and_count(quick):
    result = sweep_file(write_space(), 15, data=SAMPLE)
    assert sum(result["trials"].values()) == 15
    pruned = [row for row in rows() if row["status"] == "pruned"]
    assert len(pruned) == result["trials"]["pruned"] > 0
    assert not any((run_dir.SUBMISSIONS / row["name"]).exists() for row in pruned)
    assert states()[: studies._STARTUP] == ["complete"] * studies._STARTUP
    assert len(leaderboard.leaderboard()) == result["trials"]["complete"]


def test_a_trial_that_diverges_is_a_failed_row_and_the_sweep_goes_on(quick, monkeypatch):
    monkeypatch.setattr(made_up_training, "DIVERGES", 0.01)
    result = sweep_file(write_space(), 6, data=SAMPLE)
    assert sum(result["trials"].values()) == 6
    assert result["trials"]["diverged"] == Counter(row["status"] for row in rows())["diverged"] > 0


def test_ctrl_c_closes_the_row_and_leaves_with_130(quick, monkeypatch):
    sweep_file(write_space(), 1, data=SAMPLE)

    def interrupted(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(network, "train_network", interrupted)
        with pytest.raises(SystemExit) as leave:
            cli.main(["sweep", "faster.toml", "--trials", "2", "--data", "sample"])
    assert leave.value.code == 130
    assert [row["status"] for row in rows()] == ["done", "interrupted"]
    sweep_file(Path("faster.toml"), 2, data=SAMPLE)
    assert states() == ["complete", "interrupted", "complete"]
    assert not list(studies.SWEEPS.glob("*.worker"))


def test_what_is_wrong_with_the_machine_ends_the_sweep(quick, monkeypatch):
    def full(*arguments):
        raise OSError("no space left on device")

    monkeypatch.setattr(network, "train_network", full)
    with pytest.raises(OSError, match="no space"):
        sweep_file(write_space(), 3, data=SAMPLE)
    assert states() == ["interrupted"]
    assert [row["status"] for row in rows()] == ["failed"]


def test_a_study_in_pieces_draws_what_it_would_have_drawn_at_once(quick):
    sweep_file(write_space(), 5, data=SAMPLE)
    again = write_space(name="again.toml")
    for n_trials in (1, 3, 5):
        sweep_file(again, n_trials, data=SAMPLE)
    assert params("again") == params("faster")
    assert len({trial["learning_rate"] for trial in params()}) == 5


def test_no_trial_is_begun_after_its_hours(quick):
    assert sweep_file(write_space(), 3, hours=0, data=SAMPLE)["trials"] == {}


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("high = 2", "high = 3", "high: then 2, now 3"),
        ("epochs", 'objective = "loss"\nepochs', "objective: then accuracy, now loss"),
    ],
)
def test_a_study_is_not_gone_on_with_when_its_file_says_something_else(quick, before, after, words):
    sweep_file(write_space(), 1, data=SAMPLE)
    with pytest.raises(InputError, match=f"{words}.*under another name for a new study"):
        sweep_file(write_space(SPACE.replace(before, after, 1)), 2, data=SAMPLE)
    assert len(rows()) == len(states()) == 1


def test_a_study_is_not_gone_on_with_on_other_data(quick):
    sweep_file(write_space(), 1, data=SAMPLE)
    write_data()
    Path("data/train.csv").write_bytes(b"".join(Path("data/train.csv").read_bytes().splitlines(True)[:-1]))
    with pytest.raises(InputError, match=r"train\.csv: then"):
        sweep_file(Path("faster.toml"), 2, data=Path("data"))


def test_what_is_refused_writes_nothing(quick, capfd):
    with pytest.raises(SystemExit) as leave:
        cli.main(["sweep", str(write_space("[space]\nshift = { low = 3, high = 0 }")), "--trials", "1"])
    assert leave.value.code == 2
    write_data()
    Path("data/train.csv").write_bytes(b"".join(Path("data/train.csv").read_bytes().splitlines(True)[:100]))
    with pytest.raises(InputError, match="30 folds need as many rows of each digit"):
        sweep_file(write_space(SPACE.replace("folds = 2", "folds = 30")), 1)
    assert not Path("submissions").exists()


def test_without_optuna_one_line_says_how_to_get_it(quick, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SystemExit) as leave:
        cli.main(["sweep", str(write_space()), "--trials", "1", "--data", "sample"])
    assert leave.value.code == 1
    assert 'pip install "optuna>=4"' in capfd.readouterr().err
    assert 'sweep = ["optuna>=4"]' in (ROOT / "pyproject.toml").read_text()
    assert not Path("submissions").exists()


def test_an_unknown_study_is_told_with_those_there(quick):
    sweep_file(write_space(), 1, data=SAMPLE)
    assert studies.importance("faster") == {}
    [trial] = studies._load("faster").get_trials()
    same = optuna.trial.create_trial(params=trial.params, distributions=trial.distributions, value=trial.value)
    studies._load("faster").add_trial(same)
    assert studies.importance("faster") == {}
    with pytest.raises(InputError, match=r"no study 'slower'.*Those there: faster"):
        studies.importance("slower")


def test_half_a_line_at_the_end_of_the_journal_is_cut_off(quick):
    sweep_file(write_space(), 1, data=SAMPLE)
    with Path("submissions/sweeps/faster.journal").open("ab") as file:
        file.write(b'{"op_code":4,"work')
    sweep_file(Path("faster.toml"), 2, data=SAMPLE)
    assert states() == ["complete", "complete"]


def test_a_damaged_journal_is_told_as_such(quick):
    sweep_file(write_space(), 1, data=SAMPLE)
    journal = Path("submissions/sweeps/faster.journal")
    journal.write_bytes(b"rubbish\n" + journal.read_bytes())
    with pytest.raises(RunError, match=r"faster\.journal: not a journal"):
        sweep_file(Path("faster.toml"), 2, data=SAMPLE)


def test_a_study_begun_before_recipes_had_some_field_goes_on(quick):
    sweep_file(write_space(), 1, data=SAMPLE)
    study = studies._load("faster")
    begun = study.user_attrs["begun"]
    begun["recipe"].pop("dropout")
    study.set_user_attr("begun", begun)
    assert sweep_file(Path("faster.toml"), 2, data=SAMPLE)["trials"] == {"complete": 2}


# Processes

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])}


def digits(n_processes, *words):
    """`digits` in a process of its own, whose networks wait until so many processes are at theirs."""
    command = [sys.executable, str(ROOT / "tests" / "made_up_training.py"), str(n_processes), *words]
    return subprocess.Popen([*command, "--data", "sample"], env=ENVIRONMENT, stdout=subprocess.DEVNULL)


def test_the_trial_of_a_living_process_is_left_to_it_and_that_of_a_killed_one_tried_again(quick):
    file = write_space()
    with digits(9, "sweep", str(file), "--trials", "2") as process:
        while not list(Path().glob("*.training")):
            assert process.poll() is None
            time.sleep(0.02)
        assert sweep_file(file, 1, data=SAMPLE)["trials"] == {"running": 1}
        process.kill()
    assert [row["status"] for row in rows()] == ["running"]
    [lost] = params()
    result = sweep_file(file, 2, data=SAMPLE)
    assert states() == ["interrupted", "complete", "complete"]
    assert params()[1] == lost != params()[2]
    assert [row["status"] for row in rows()] == ["interrupted", "done", "done"]
    assert sweep_file(file, 2, data=SAMPLE) == result
    assert not list(studies.SWEEPS.glob("*.worker"))


def test_a_trial_that_was_lost_twice_is_given_up(quick, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sweep, "_try", lambda *_: None)  # as if killed on the way
        for _ in range(2):
            sweep_file(write_space(), 1, data=SAMPLE)
    sweep_file(Path("faster.toml"), 1, data=SAMPLE)
    assert states() == ["interrupted", "interrupted", "complete"]
    assert params()[0] == params()[1] != params()[2]


def test_a_trial_killed_after_its_row_was_closed_is_told_and_not_tried_again(quick, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sweep, "_try", sweep._train)  # all but telling
        patch.setattr(studies, "is_alive", lambda path: True)
        sweep_file(write_space(), 1, data=SAMPLE)
    assert states() == ["running"]
    sweep_file(Path("faster.toml"), 1, data=SAMPLE)
    [trial] = studies.study_results("faster").trials
    [row] = rows()
    assert (trial["state"], trial["value"]) == ("complete", row["correct"] / row["n"])


def test_a_trial_killed_after_its_row_was_closed_as_pruned_is_not_tried_again(quick, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sweep, "_try", prune)
        patch.setattr(studies, "is_alive", lambda path: True)
        sweep_file(write_space(), 1, data=SAMPLE)
    assert states() == ["running"]
    sweep_file(Path("faster.toml"), 1, data=SAMPLE)
    assert states() == ["pruned"]


def prune(study, data, trial, *_):
    """As a trial that is pruned, up to the closing of its row."""
    facts = ensemble.facts("trial", "faster", study.space.recipe, data)
    with suppress(run_session.Pruned), run_session.open_run(study.ledger, "faster-0", **facts) as entry:
        trial.set_user_attr("run", entry.name)
        raise run_session.Pruned


class Noted:
    """What Optuna is told of a trial."""

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
    noted = Noted()
    told = [studies.report(noted, epoch, epoch, n_epochs) for epoch in range(1, n_epochs + 1)]
    assert list(noted.values) == list(range(11 - len(expected), 11))
    assert list(noted.values.values()) == expected
    assert sum(told) == len(set(expected))


def test_nothing_is_tried_twice_and_a_space_that_is_used_up_ends_the_sweep(quick, capfd):
    axes = "shift = { low = 0, high = 3 }\nlearning_rate = { low = 0.001, high = 0.005, step = 0.001 }\n"
    file = write_space(SPACE.split("[space]")[0] + "[space]\n" + axes)
    result = sweep_file(file, 30, data=SAMPLE)
    assert len(params()) == len(rows()) == len({str(studies._rounded(own)) for own in params()}) == 20
    assert sum(result["trials"].values()) == 20
    assert "No other values are left" in capfd.readouterr().out
    assert sweep_file(file, 20, data=SAMPLE) == result
    assert "No other" not in capfd.readouterr().out


def test_a_value_that_was_lost_twice_is_not_drawn_again(quick, monkeypatch):
    file = write_space(SPACE.split("[space]")[0] + "[space]\nshift = [0, 1]\n")
    with monkeypatch.context() as patch:
        patch.setattr(sweep, "_try", lambda *_: None)  # as if killed on the way
        for _ in range(2):
            sweep_file(file, 1, data=SAMPLE)
    sweep_file(file, 2, data=SAMPLE)
    assert states() == ["interrupted", "interrupted", "complete"]


def test_a_setting_that_a_model_refuses_is_told_before_the_first_trial(quick):
    file = write_space('base = "lenet5"\n[space]\nmodel = ["lenet5-1998", "lenet5"]\n')
    with pytest.raises(InputError, match="holds model lenet5-1998: batch_norm"):
        sweep_file(file, 1, data=SAMPLE)
    assert not studies.SWEEPS.exists()


def test_two_processes_share_the_trials_of_a_study(quick):
    both = [digits(2, "sweep", str(write_space()), "--trials", "7") for _ in range(2)]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    trials = studies._load("faster").get_trials()
    assert len(trials) == len(rows()) == 7
    assert len({trial.user_attrs["worker"] for trial in trials}) == 2
    assert len({str(trial.params) for trial in trials}) == 7
    assert {row["status"] for row in rows()} <= {"done", "pruned"}
