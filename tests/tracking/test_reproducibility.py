"""A rerun compared with its original, on made-up log-probabilities and on a run of the built-in sample."""

import json
from pathlib import Path

import numpy as np
import pytest

from digit_recognizer import cli, pipeline
from digit_recognizer.evaluation.prediction import average_log_p
from digit_recognizer.recipes.recipe import RECIPES, change
from digit_recognizer.tracking import reproducibility, run_dir, run_session
from digit_recognizer.utils import environment

LABELS = np.arange(200) % 10
RECIPE = change(RECIPES["quick"], {"epochs": 1})


def said(labels, seed=0):
    """(n, 10) log-probabilities that are sure of these labels."""
    noise = np.random.default_rng(seed).random((len(labels), 10))
    return average_log_p([noise + 9 * np.eye(10)[labels]])


def others(labels, n):
    """The same labels but for the first `n`."""
    return np.where(np.arange(len(labels)) < n, (labels + 1) % 10, labels)


@pytest.fixture(autouse=True)
def _a_clean_tree(monkeypatch):
    """The code of these tests is no other than that of a moment ago."""
    monkeypatch.setattr(environment, "code", lambda: "0123456789ab")


@pytest.fixture
def first():
    """An original of 200 held-out and 2,000 test rows, made here and now."""
    facts = environment.current_environment()
    run = {**facts, "name": "first", "device": "cpu", "recipe": "{}"}
    run |= {key: json.dumps(facts[key]) for key in ("versions", "settings")}
    return reproducibility.Original(run, np.arange(200), said(LABELS), said(np.arange(2000) % 10))


def checked(first, log_p, test_log_p, device="cpu"):
    found = reproducibility.check(first, first.rows, log_p, test_log_p, {"device": device})
    return found["same_bits"], found["different"], found["expected"]


def test_the_same_bits_are_told_from_the_same_labels(first):
    assert checked(first, first.log_p, first.test_log_p) == (True, 0, True)
    assert checked(first, first.log_p, np.nextafter(first.test_log_p, 0)) == (False, 0, True)
    assert checked(first, np.nextafter(first.log_p, 0), first.test_log_p) == (False, 0, True)
    found = reproducibility.check(first, first.rows + 1, first.log_p, first.test_log_p, {"device": "cpu"})
    assert not found["same_bits"]


def test_labels_that_differ_are_counted(first):
    labels = others(first.test_log_p.argmax(axis=1), 3)
    found = reproducibility.check(first, first.rows, first.log_p, said(labels, seed=1), {"device": "cpu"})
    assert (found["different"], found["n"]) == (3, 2000)
    assert found["verdict"] == (
        "Compared with first: 3 of 2,000 test labels differ (same code, versions, CPU, threads and settings)."
    )


def test_the_same_bits_are_expected_where_nothing_changed_and_a_cpu_computes(first, monkeypatch):
    assert checked(first, first.log_p, first.test_log_p, device="gpu") == (True, 0, False)
    assert checked(first, first.log_p, first.test_log_p, device="cpu and gpu") == (True, 0, False)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    found = reproducibility.check(first, first.rows, first.log_p, first.test_log_p, {"device": "cpu"})
    assert (found["expected"], found["changes"]) == (False, ["TF_ENABLE_ONEDNN_OPTS unset -> 0"])
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
    monkeypatch.setattr(environment, "code", lambda: "another")
    assert checked(first, first.log_p, first.test_log_p) == (True, 0, False)


def test_files_that_were_changed_and_a_run_that_went_on_elsewhere_are_told(first, monkeypatch):
    monkeypatch.setattr(environment, "code", lambda: "0123456789ab+")
    run = {**first.run, "code": "0123456789ab+"}
    [told] = run_session.environment_diff(run, {"device": "cpu"})
    assert "files were changed" in told
    run = {**first.run, "settings": json.dumps({"resumed with": "threads 9 -> 2"})}
    monkeypatch.setattr(environment, "code", lambda: "0123456789ab")
    assert run_session.environment_diff(run, {"device": "cpu"}) == []
    assert run_session.changes_at_resumes(run) == ["resumed with threads 9 -> 2"]


def test_a_repetition_is_checked_bit_by_bit_and_told(workplace, tiny_lenet5, capsys):
    whole = pipeline.run(pipeline.RunConfig("quick", RECIPE, Path("sample"), run_name="first"))

    capsys.readouterr()

    def repeat(code):
        with pytest.raises(SystemExit, match=code):
            cli.main(["run", "--like", "first", "--check", "--json", "--name", "again"])
        out, err = capsys.readouterr()
        return json.loads(out)["check"] if out else " ".join(err.split())

    assert repeat("0")["verdict"] == (
        f"Compared with {whole['run']}: the same bits (same code, versions, CPU, threads and settings)."
    )
    with run_session.ledger() as book:
        assert (book.run("1")["device"], json.loads(book.run("1")["settings"])) == ("cpu", {})
        book.update_run(1, threads=99)
    assert repeat("0")["changes"] == [f"threads 99 -> {environment.threads()}"]

    folder = Path("submissions", whole["run"])
    rows, log_p, test_log_p = run_dir.read_probabilities(folder)
    with run_session.ledger() as book:
        book.update_run(1, threads=environment.threads())
    run_dir.write_probabilities(folder, rows, log_p, np.nextafter(test_log_p, -100))
    assert "does not reproduce" in repeat("1")
    Path(folder, "probabilities.npz").unlink()
    assert "Without --check the run is repeated all the same" in repeat("2")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--check"], "name that by --like RUN"),
        (["--check", "--like", "x", "--seed", "3"], "leave out --seed"),
        (["--check", "--like", "x", "--set", "shift=3"], "leave out --set"),
        (["--check", "--resume", "x"], "name that by --like RUN"),
        (["--check", "--like", "x"], "the ledger is empty"),
    ],
)
def test_what_cannot_be_checked_is_refused(workplace, capsys, words, message):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["run", *words])
    assert message in " ".join(capsys.readouterr().err.split())
