"""A rerun compared with its original, on random log-probabilities and on a run of the built-in sample."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from digit_recognizer import cli, pipeline
from digit_recognizer.evaluation.prediction import average_log_p
from digit_recognizer.recipes.catalog import RECIPES
from digit_recognizer.recipes.recipe import change
from digit_recognizer.tracking import reproducibility, run_dir, run_session
from digit_recognizer.tracking.ledger import open_ledger
from digit_recognizer.tracking.run_dir import Predictions
from digit_recognizer.tracking.run_record import RunHeader
from digit_recognizer.training.run_plan import NewRun
from digit_recognizer.utils import environment

LABELS = np.arange(200) % 10
RECIPE = change(RECIPES["quick"], {"epochs": 1})


def log_p_of(labels, seed=0):
    """Return (n, 10) log-probabilities with a high confidence in these labels."""
    noise = np.random.default_rng(seed).random((len(labels), 10))
    return average_log_p([noise + 9 * np.eye(10)[labels]])


def others(labels, n):
    """Return the labels with the first `n` changed."""
    return np.where(np.arange(len(labels)) < n, (labels + 1) % 10, labels)


def header(device="cpu"):
    """Return the header of a run that starts now."""
    return RunHeader("run", "quick", {}, "data", "folder", "1-a", "1-b", device=device)


@pytest.fixture(autouse=True)
def _a_clean_tree(monkeypatch):
    """Replace the commit, so that edits during the tests do not change it."""
    monkeypatch.setattr(environment, "code", lambda: "0123456789ab")


@pytest.fixture
def first(tmp_path):
    """An original of 200 held-out and 2,000 test rows, made in this environment."""
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.start_run(name="first", **header().columns())
        run = ledger.run("first")
    return reproducibility.Original(run, Predictions(np.arange(200), log_p_of(LABELS), log_p_of(np.arange(2000) % 10)))


def verified(first, device="cpu", **changed):
    """The reproduction of a rerun whose predictions are the original's, but for the `changed` ones."""
    return reproducibility.verify(first, replace(first.predictions, **changed), header(device))


def outcome(first, device="cpu", **changed):
    found = verified(first, device, **changed)
    return found.same_bits, found.different, found.expected


def test_the_same_bits_are_distinguished_from_the_same_labels(first):
    own = first.predictions
    assert outcome(first) == (True, 0, True)
    assert outcome(first, test_log_p=np.nextafter(own.test_log_p, 0)) == (False, 0, True)
    assert outcome(first, log_p=np.nextafter(own.log_p, 0)) == (False, 0, True)
    assert not verified(first, rows=own.rows + 1).same_bits


def test_labels_that_differ_are_counted(first):
    labels = others(first.predictions.test_log_p.argmax(axis=1), 3)
    found = verified(first, test_log_p=log_p_of(labels, seed=1))
    assert (found.different, found.n) == (3, 2000)
    assert found.verdict == (
        "Compared with first: 3 of 2,000 test labels differ (same code, versions, CPU, threads and settings)."
    )


def test_the_same_bits_are_expected_where_nothing_changed_and_a_cpu_computes(first, monkeypatch):
    assert outcome(first, device="gpu") == (True, 0, False)
    assert outcome(first, device="cpu and gpu") == (True, 0, False)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    found = verified(first)
    assert (found.expected, found.changes) == (False, ("TF_ENABLE_ONEDNN_OPTS unset -> 0",))
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
    monkeypatch.setattr(environment, "code", lambda: "another")
    assert outcome(first) == (True, 0, False)


def test_uncommitted_changes_and_changes_at_resumes_are_reported(first, monkeypatch):
    monkeypatch.setattr(environment, "code", lambda: "0123456789ab+")
    run = replace(first.run, code="0123456789ab+")
    [difference] = reproducibility.environment_diff(run, header())
    assert "uncommitted changes" in difference
    run = replace(first.run, settings={"resumed with": "threads 9 -> 2"})
    monkeypatch.setattr(environment, "code", lambda: "0123456789ab")
    assert reproducibility.environment_diff(run, header()) == []
    assert run_session.changes_at_resumes(run) == ["resumed with threads 9 -> 2"]


def test_a_rerun_is_compared_bit_by_bit(workspace, tiny_lenet5, capsys):
    original = pipeline.run(pipeline.RunConfig(NewRun("quick", RECIPE, "first"), Path("sample")), workspace)

    capsys.readouterr()

    def repeat(code):
        with pytest.raises(SystemExit, match=code):
            cli.main(["run", "--from-run", "first", "--verify", "--json", "--name", "again"])
        out, err = capsys.readouterr()
        return json.loads(out)["check"] if out else " ".join(err.split())

    assert repeat("0")["verdict"] == (
        f"Compared with {original.run}: the same bits (same code, versions, CPU, threads and settings)."
    )
    with workspace.open_ledger() as ledger:
        assert (ledger.run("1").device, ledger.run("1").settings) == ("cpu", {})
        ledger.update_run(1, threads=99)
    assert repeat("0")["changes"] == [f"threads 99 -> {environment.threads()}"]

    folder = workspace.submissions / original.run
    found = run_dir.read_predictions(folder)
    with workspace.open_ledger() as ledger:
        ledger.update_run(1, threads=environment.threads())
    run_dir.write_predictions(folder, replace(found, test_log_p=np.nextafter(found.test_log_p, -100)))
    assert "does not reproduce" in repeat("1")
    (folder / "probabilities.npz").unlink()
    assert "Without --verify the run is repeated without this check" in repeat("2")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--verify"], "add --from-run RUN"),
        (["--verify", "--from-run", "x", "--seed", "3"], "leave out --seed"),
        (["--verify", "--from-run", "x", "--set", "shift=3"], "leave out --set"),
        (["--verify", "--resume", "x"], "add --from-run RUN"),
        (["--verify", "--from-run", "x"], "no ledger there"),
    ],
)
def test_verify_is_refused_without_a_run_to_repeat(workspace, capsys, words, message):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["run", *words])
    assert message in " ".join(capsys.readouterr().err.split())
    assert not workspace.submissions.exists()
