"""`digits blend`: the average of finished runs."""

import numpy as np
import pytest

from digit_recognizer import cli
from digit_recognizer.blending import blend_runs
from digit_recognizer.data import submission
from digit_recognizer.errors import InputError
from digit_recognizer.evaluation import blend_weights
from digit_recognizer.evaluation.prediction import average_log_p
from digit_recognizer.report.leaderboard import leaderboard
from digit_recognizer.tracking import run_dir
from digit_recognizer.tracking.compare import train_table_of
from finished_runs import make_finished_run, write_data


@pytest.fixture
def three(workspace):
    """The test answers, and the names of two runs that complement each other and one that guesses."""
    answers = write_data(workspace)
    return answers, [
        make_finished_run(workspace, name, answers, strength, seed)
        for seed, (name, strength) in enumerate([("a", 3), ("b", 3), ("c", 0)])
    ]


def record(workspace, word):
    with workspace.existing_ledger() as ledger:
        return ledger.run(word)


def test_a_greedy_blend_beats_its_runs_and_ignores_a_guessing_one(three, workspace):
    answers, names = three
    result = blend_runs(names, workspace)
    assert result.runs[names[2]] < 0.1
    best = max(row.accuracy for row in leaderboard(workspace) if row.run in names)
    assert result.validation.accuracy > best + 0.02
    assert result.validation.n == 1200
    blend = record(workspace, "last")
    assert (blend.name, blend.kind, blend.estimate) == (result.run, "blend", "out-of-fold")
    labels = submission.parse(workspace.newest_submission.read_bytes(), "submission.csv")
    assert (labels == answers).mean() > best


def test_the_validation_is_nested_and_the_test_labels_use_weights_of_all_rows(three, workspace):
    _, names = three
    result = blend_runs(names, workspace)
    parts = [run_dir.read_predictions(workspace.submissions / name) for name in names]
    labels = train_table_of([record(workspace, names[0])], None).labels
    nested = blend_weights.nested(blend_weights.greedy, [part.log_p for part in parts], labels)
    assert result.validation.accuracy == (nested.argmax(axis=1) == labels).mean()
    weights = blend_weights.greedy([part.log_p for part in parts], labels)
    blend = run_dir.read_predictions(workspace.submissions / result.run)
    expected = average_log_p([part.test_log_p for part in parts], weights)
    np.testing.assert_allclose(blend.test_log_p, expected, rtol=1e-5)


def test_equal_weights_without_held_out_rows_have_no_validation(three, workspace):
    answers, names = three
    full = make_finished_run(workspace, "full", answers, rows=np.arange(0))
    result = blend_runs([names[0], full], workspace, "equal")
    assert list(result.runs.values()) == [0.5, 0.5]
    assert "validation" not in result.to_json()
    with pytest.raises(InputError, match="share no held-out rows"):
        blend_runs([names[0], full], workspace)


def test_a_blend_in_a_blend_is_replaced_by_its_runs(three, workspace):
    _, names = three
    inner = blend_runs(names[:2], workspace, "equal", "inner")
    outer = blend_runs([inner.run, names[2]], workspace, name="outer")
    assert list(outer.runs) == names  # their predictions do not depend on the labels they are validated on
    assert outer.submission_sha256 == blend_runs(names, workspace).submission_sha256
    rows = {row.name: row for row in leaderboard(workspace)}
    assert rows["inner"].differences == "equal blend of 0.50 a + 0.50 b"


def test_a_blend_of_one_run_or_of_unfinished_runs_is_refused(three, workspace):
    _, names = three
    with pytest.raises(InputError, match="two different runs"):
        blend_runs([names[0], names[0]], workspace)
    with workspace.existing_ledger() as ledger:
        ledger.update_run(ledger.run(names[1]).id, status="failed")
    with pytest.raises(InputError, match="is failed"):
        blend_runs(names[:2], workspace)
    with pytest.raises(InputError, match="greedy or equal"):
        blend_runs([names[0], names[2]], workspace, "best")


def test_the_probabilities_of_another_run_are_refused(three, workspace):
    _, names = three
    first, second = (workspace.submissions / name / "probabilities.npz" for name in names[:2])
    second.write_bytes(first.read_bytes())
    with pytest.raises(InputError, match=rf"{names[1]}.*does not match the submission"):
        blend_runs(names, workspace)
    np.savez(second, held_out_rows=np.arange(3), held_out_log_p=np.zeros((3, 10)), test_log_p=np.zeros(7))
    with pytest.raises(InputError, match="does not match the submission"):
        blend_runs(names, workspace)


def test_too_few_common_rows_are_refused(three, workspace):
    answers, _ = three
    some = make_finished_run(workspace, "some", answers, seed=7, rows=np.arange(0, 600))
    others = make_finished_run(workspace, "others", answers, seed=8, rows=np.arange(580, 1180))
    with pytest.raises(InputError, match="share only 20 held-out rows of 600"):
        blend_runs([some, others], workspace)


def test_the_command_prints_the_weights_and_replaces_a_blend_by_its_runs(three, workspace, capfd):
    _, names = three
    inner = blend_runs(names[:2], workspace, "equal", "inner")
    with pytest.raises(SystemExit):
        cli.main(["blend", inner.run, names[2]])
    out = " ".join(capfd.readouterr().out.split())
    assert f"{inner.run} is a blend" in out
    assert all(f"{name} 0." in out for name in names)
