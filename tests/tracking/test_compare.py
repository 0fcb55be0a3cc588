"""Comparison of two runs on the same rows, and of two files without answers."""

from pathlib import Path

import numpy as np
import pytest

from digit_recognizer.data import submission
from digit_recognizer.errors import InputError
from digit_recognizer.evaluation.significance import McNemar, difference_interval
from digit_recognizer.tracking import compare
from finished_runs import make_finished_run, write_data


@pytest.fixture
def answers(workspace):
    return write_data(workspace)


def test_a_better_run_is_distinguished_from_noise(workspace, answers):
    weak, strong, as_strong = (
        make_finished_run(workspace, name, answers, strength, seed)
        for name, strength, seed in (("a", 1, 1), ("b", 4, 2), ("c", 4, 3))
    )
    found = compare.compare_runs_or_files(weak, strong, workspace)
    assert found.n == 1200
    assert found.difference == (found.only_second - found.only_first) / 1200 > 0
    assert found.interval[0] > 0
    assert f"b: +{found.only_second - found.only_first} of 1,200 images correct, significant, p" in found.verdict
    assert "correct, not significant, p" in compare.compare_runs_or_files(strong, as_strong, workspace).verdict
    assert "a: -" in compare.compare_runs_or_files(strong, weak, workspace).verdict
    assert "b: +0 of 1,200" in compare.compare_runs_or_files(strong, strong, workspace).verdict


def test_only_rows_that_both_held_out_count(workspace, answers):
    one = make_finished_run(workspace, "one", answers, rows=np.arange(0, 600))
    two = make_finished_run(workspace, "two", answers, seed=1, rows=np.arange(500, 1200))
    assert compare.compare_runs_or_files(one, two, workspace).n == 100


def test_runs_without_common_rows_cannot_be_compared(workspace, answers):
    none = make_finished_run(workspace, "full", answers, rows=np.arange(0))
    some = make_finished_run(workspace, "some", answers, rows=np.arange(10))
    others = make_finished_run(workspace, "others", answers, rows=np.arange(10, 20))
    with pytest.raises(InputError, match=r"share no held-out rows.*`folds` 5"):
        compare.compare_runs_or_files(none, some, workspace)
    with pytest.raises(InputError, match="share no held-out rows"):
        compare.compare_runs_or_files(some, others, workspace)


def test_runs_of_other_data_cannot_be_compared(workspace, answers):
    one, two = make_finished_run(workspace, "one", answers), make_finished_run(workspace, "two", answers)
    with workspace.open_ledger() as ledger:
        ledger.update_run(ledger.run(two).id, train_hash="another")
    with pytest.raises(InputError, match="trained on different"):
        compare.compare_runs_or_files(one, two, workspace)
    with workspace.open_ledger() as ledger:
        ledger.update_run(ledger.run(one).id, train_hash="another")
    with pytest.raises(InputError, match=r"the train\.csv of the runs, another"):
        compare.compare_runs_or_files(one, two, workspace)


def test_two_files_differ_in_rows_and_their_scores_within_bounds(workspace, answers):
    changed = answers.copy()
    changed[[3, 7]] = (changed[[3, 7]] + 1) % 10
    first, second, short = (str(workspace.folder / name) for name in ("a.csv", "b.csv", "short.csv"))
    for file, labels in ((first, answers), (second, changed), (short, answers[:9])):
        Path(file).write_bytes(submission.render(labels))
    found = compare.compare_runs_or_files(first, second, workspace)
    assert (found.differ, found.rows) == (2, (4, 8))
    assert found.most_private == 2 / 597
    assert found.most_public == 2 / 149
    assert "same labels" in compare.compare_runs_or_files(first, first, workspace).verdict
    with pytest.raises(InputError, match="files for the same"):
        compare.compare_runs_or_files(first, short, workspace)
    with pytest.raises(InputError, match="two runs or two files"):
        compare.compare_runs_or_files(first, "last", workspace)


def test_the_interval_of_a_difference_has_its_nominal_coverage():
    rng = np.random.default_rng(0)
    n, first, second = 2000, 0.010, 0.016  # fractions that only one predicts correctly
    covered = 0
    for only_first, only_second, _ in rng.multinomial(n, [first, second, 1 - first - second], 2000):
        low, high = difference_interval(McNemar(int(only_first), int(only_second), 1.0), n)
        covered += low <= second - first <= high
    assert 0.93 < covered / 2000 < 0.975


def test_files_of_one_row_can_be_compared(tmp_path):
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for label, file in enumerate(files):
        file.write_bytes(submission.render(np.array([label])))
    assert compare.compare_files(*files).most_public == 1


def test_an_unfinished_run_or_one_without_its_files_is_refused(workspace, answers):
    one, two = make_finished_run(workspace, "one", answers), make_finished_run(workspace, "two", answers, seed=1)
    (workspace.submissions / two / "probabilities.npz").unlink()
    with pytest.raises(InputError, match=f"{two}/probabilities.npz: not found.*Repeat"):
        compare.compare_runs_or_files(one, two, workspace)
    with workspace.open_ledger() as ledger:
        ledger.update_run(ledger.run(two).id, status="interrupted")
    with pytest.raises(InputError, match=f"{two} is interrupted; only a finished"):
        compare.compare_runs_or_files(one, two, workspace)


def test_the_expected_public_difference_includes_the_standard_error_of_the_estimate(workspace, answers):
    few = np.arange(100)
    found = compare.compare_runs_or_files(
        make_finished_run(workspace, "a", answers, rows=few),
        make_finished_run(workspace, "b", answers, seed=1, rows=few),
        workspace,
    )
    assert found.public_standard_error > (found.interval[1] - found.interval[0]) / 2 / 1.96
    assert "standard error" in found.board
    with workspace.open_ledger() as ledger:
        for name in ("a", "b"):
            ledger.update_run(ledger.run(name).id, source="sample")
    assert compare.compare_runs_or_files("a", "b", workspace).board == ""
