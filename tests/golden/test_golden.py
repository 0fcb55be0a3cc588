"""Stored ledgers, run folders and JSON output stay readable, and new ones keep their format.

The tests use only the command line and files, on the folder `workspace/` written by make_golden.py. Keys and columns
may be added; stored ones must remain, with their types.
"""

import csv
import json
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from golden.outside import (
    COMMAND,
    ENVIRONMENT,
    HERE,
    differences,
    digits,
    entry,
    files_of,
    fits,
    form,
    kaggle,
    printed,
    run_folder,
    work_in,
)

VALUES, FORMS, EXPECTED = (json.loads((HERE / f"{name}.json").read_text()) for name in ("values", "forms", "expected"))
BOARD = VALUES["leaderboard --all --json"]


@pytest.fixture(scope="session")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    work_in(folder)
    return folder


@pytest.fixture
def workspace(stored, tmp_path):
    """A copy of the stored folder, with data."""
    return Path(shutil.copytree(stored, tmp_path / "work"))


def hash_of(file):
    return sha256(file.read_bytes()).hexdigest()


def columns(file):
    return file.read_text().splitlines()[0].split(",")


def arrays(file):
    """The arrays of an npz as {name: (shape, type)}; of texts, whose length varies, the type alone."""
    with np.load(file, allow_pickle=False) as found:
        return {
            name: (array.shape, array.dtype.str) if array.dtype.kind != "U" else "U" for name, array in found.items()
        }


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize("command", VALUES)
def test_json_of_the_stored_ledger_and_study_has_the_stored_values(command, workspace):
    """Except the command in `again`, whose options were renamed."""
    found = printed(workspace, command)
    if isinstance(found, dict) and "again" in found:
        found["again"] = found["again"].replace("--from-run", "--like")
    assert not differences(VALUES[command], found)


@pytest.mark.parametrize("command", [slow(own) if own.startswith("run --like") else own for own in FORMS])
def test_json_has_the_keys_and_types_it_had(command, workspace):
    """It may have more keys."""
    with kaggle(workspace) as stand_in:
        found = form(printed(workspace, command, **stand_in.environment))
    assert fits(FORMS[command], found), found


def test_stopped_and_killed_runs_are_interrupted(workspace):
    status = {run["name"]: run["status"] for run in printed(workspace, "leaderboard --all --json")}
    assert status["stopped"] == status["killed"] == "interrupted"


def test_a_failed_run_is_listed_and_shown_with_its_error(workspace):
    """The stored ledger has none; here its stopped run failed instead."""
    with closing(sqlite3.connect(workspace / "submissions/ledger.sqlite")) as connection, connection:
        error = "submission.csv: No space left on device"
        connection.execute("UPDATE runs SET status = 'failed', error = ? WHERE name LIKE '%-stopped'", [error])
    status = {run["name"]: run["status"] for run in printed(workspace, "leaderboard --all --json")}
    assert status == {run["name"]: run["status"] for run in BOARD} | {"stopped": "failed"}
    assert "stopped" not in {run["name"] for run in printed(workspace, "leaderboard --json")}
    before, found = VALUES["show stopped --json"], printed(workspace, "show stopped --json")
    assert not differences(before | {"status": "failed", "error": error}, found)
    assert error in digits(workspace, "show stopped")


@pytest.mark.parametrize("name", ["single", "folds", "blended", "uploaded", "rates-0", "rates-1"])
def test_a_stored_submission_has_the_hash_in_the_ledger(name, workspace):
    known = printed(workspace, f"show {name} --json")["submission_hash"]
    assert hash_of(run_folder(workspace, name) / "submission.csv") == known


@pytest.mark.parametrize("name", ["single", slow("folds")])
def test_a_new_run_writes_the_files_of_the_stored_one(name, workspace):
    """With the same arrays, columns and keys; there may be more files, columns and keys."""
    first = run_folder(workspace, name)
    digits(workspace, f"run --like {name} --name again")
    again = run_folder(workspace, "again")
    assert set(EXPECTED["files"][name]) <= files_of(again)
    for file in files_of(first):
        before, now = first / file, again / file
        if before.suffix == ".npz":
            assert arrays(now) == arrays(before)
        elif before.suffix == ".json":
            assert fits(*(form(json.loads(path.read_text())) for path in (before, now)))
        else:
            assert columns(now)[: len(columns(before))] == columns(before)


def test_a_new_checkpoint_has_the_arrays_of_the_stored_one(workspace):
    [stored] = run_folder(workspace, "stopped").glob("checkpoint-*.npz")
    command = [*COMMAND, "run", "--like", "stopped", "--name", "again"]
    with subprocess.Popen(command, cwd=workspace, env=ENVIRONMENT, stdout=subprocess.DEVNULL) as process:
        while not any(workspace.glob("submissions/*-again/checkpoint-*.npz")):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    [new, *_] = run_folder(workspace, "again").glob("checkpoint-*.npz")
    assert arrays(new) == arrays(stored)
    with np.load(stored) as before, np.load(new) as now:
        assert now["names"].tolist() == before["names"].tolist()
        assert str(now["training"]) == str(before["training"])


def test_a_stored_checkpoint_is_resumed_to_the_stored_submission(workspace):
    """The stored seconds of its epochs show that they were not trained again."""
    folder = run_folder(workspace, "stopped")
    with np.load(folder / "checkpoint-7.npz") as checkpoint:
        before = [epoch["seconds"] for epoch in json.loads(str(checkpoint["history"]))]
    digits(workspace, "run --resume stopped")
    assert hash_of(folder / "submission.csv") == EXPECTED["resumed"]
    with (folder / "history.csv").open() as file:
        after = [float(row["seconds"]) for row in csv.DictReader(file)]
    assert after[:-1] == before


def test_blending_the_stored_runs_gives_the_stored_submission(workspace):
    blended = printed(workspace, "blend single folds --json")
    assert blended["submission_sha256"] == hash_of(run_folder(workspace, "blended") / "submission.csv")


def test_stored_weights_give_the_stored_labels(workspace):
    digits(workspace, "predict data/sample/test.csv --run single -o labels.csv")
    assert hash_of(workspace / "labels.csv") == hash_of(run_folder(workspace, "single") / "submission.csv")


def test_the_report_of_the_stored_ledger_names_its_finished_runs(workspace):
    digits(workspace, "report")
    page = (workspace / "submissions/report.html").read_text()
    assert not [run["run"] for run in BOARD if run["status"] == "done" and run["name"] not in page]


@pytest.mark.slow
def test_a_stored_study_continues_with_one_more_trial(workspace):
    journal = workspace / "submissions/sweeps/rates.journal"
    before = journal.read_bytes()
    assert printed(workspace, "sweep rates.toml --trials 3 --json")["trials"] == {"complete": 3}
    assert journal.read_bytes().startswith(before)
    rows = {run["run"]: run for run in printed(workspace, "leaderboard --all --json")}
    assert len(rows) == len(BOARD) + 1
    assert not differences(BOARD, [rows[run["run"]] for run in BOARD])


def test_an_entry_has_the_stored_description(workspace):
    with kaggle(workspace) as stand_in:
        digits(workspace, "submit first.csv --message kept", **stand_in.environment)
    assert stand_in.entries[-1].description == f"kept run first sha {hash_of(workspace / 'first.csv')[:12]}"


def test_without_a_ledger_an_uploaded_file_is_found_by_its_description(workspace):
    file = workspace / "first.csv"
    shutil.rmtree(workspace / "submissions")
    with kaggle(workspace) as stand_in:
        description = f"from elsewhere run other sha {hash_of(file)[:12]}"
        stand_in.entries.append(entry(description, file.read_bytes(), stand_in.answers))
        digits(workspace, "submit first.csv", code=None, **stand_in.environment)
        assert "ListSubmissions" in stand_in.requests
        assert len(stand_in.entries) == 1
        digits(workspace, "submit first.csv --again", **stand_in.environment)
        assert len(stand_in.entries) == 2


def test_a_file_uploaded_according_to_the_stored_ledger_is_not_uploaded_again(workspace):
    file = run_folder(workspace, "uploaded").relative_to(workspace) / "submission.csv"
    with kaggle(workspace) as stand_in:
        stand_in.entries.clear()  # even if Kaggle does not list it
        digits(workspace, f"submit {file}", code=None, **stand_in.environment)
        assert not stand_in.entries
        digits(workspace, f"submit {file} --again", **stand_in.environment)
        assert len(stand_in.entries) == 1
