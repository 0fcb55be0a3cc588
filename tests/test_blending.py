"""`digits blend`: a committee of finished runs."""

import numpy as np
import pytest

from digit_recognizer import blending
from digit_recognizer.data import submission
from digit_recognizer.errors import InputError
from digit_recognizer.evaluation import blend_weights
from digit_recognizer.evaluation.prediction import average_log_p
from digit_recognizer.report import leaderboard
from digit_recognizer.tracking import run_dir
from digit_recognizer.tracking.run_session import ledger
from finished_runs import finish_run, write_data


@pytest.fixture
def three(workplace):
    """Two runs that complement each other and one that only guesses."""
    answers = write_data()
    return answers, [
        finish_run(name, answers, s, seed) for seed, (name, s) in enumerate([("a", 3), ("b", 3), ("c", 0)])
    ]


def test_a_greedy_blend_beats_its_runs_and_leaves_the_guesser_out(three):
    answers, names = three
    result = blending.blend(names)
    assert result["runs"][names[2]] < 0.1
    best = max(row["accuracy"] for row in leaderboard.leaderboard() if row["run"] in names)
    assert result["validation"]["accuracy"] > best + 0.02
    assert result["validation"]["n"] == 1200
    with ledger() as book:
        entered = book.run("last")
    assert (entered["name"], entered["kind"], entered["estimate"]) == (result["run"], "blend", "out-of-fold")
    labels = submission.parse((run_dir.SUBMISSIONS / "submission.csv").read_bytes(), "submission.csv")
    assert (labels == answers).mean() > best


def test_the_estimate_is_the_nested_one_and_the_test_labels_are_by_all_rows(three):
    _, names = three
    result = blending.blend(names)
    kept = [run_dir.read_probabilities(run_dir.SUBMISSIONS / name) for name in names]
    labels = blending.train_table_of([ledger_row(names[0])], None).labels
    honest = blend_weights.nested(blend_weights.greedy, [log_p for _, log_p, _ in kept], labels)
    assert result["validation"]["accuracy"] == (honest.argmax(axis=1) == labels).mean()
    weights = blend_weights.greedy([log_p for _, log_p, _ in kept], labels)
    _, _, test_log_p = run_dir.read_probabilities(run_dir.SUBMISSIONS / result["run"])
    np.testing.assert_allclose(test_log_p, average_log_p([test for _, _, test in kept], weights), rtol=1e-5)


def ledger_row(name):
    with ledger() as book:
        return book.run(name)


def test_equal_weights_need_no_held_out_rows_but_then_there_is_no_estimate(three):
    answers, names = three
    full = finish_run("full", answers, rows=np.arange(0))
    result = blending.blend([names[0], full], "equal")
    assert list(result["runs"].values()) == [0.5, 0.5]
    assert "validation" not in result
    with pytest.raises(InputError, match="full held out none"):
        blending.blend([names[0], full])


def test_of_a_blend_in_a_blend_the_runs_are_weighed_anew(three):
    _, names = three
    inner = blending.blend(names[:2], "equal", "inner")
    outer = blending.blend([inner["run"], names[2]], name="outer")
    assert list(outer["runs"]) == names  # whose probabilities know no label of the rows they are judged by
    assert outer["submission_sha256"] == blending.blend(names)["submission_sha256"]
    rows = {run_dir.short_name(row["run"]): row for row in leaderboard.leaderboard()}
    assert rows["inner"]["differences"] == "equal blend of 0.50 a + 0.50 b"


def test_a_blend_of_one_run_or_of_unfinished_ones_is_refused(three):
    _, names = three
    with pytest.raises(InputError, match="two different runs"):
        blending.blend([names[0], names[0]])
    with ledger() as book:
        book.update_run(book.run(names[1])["id"], status="failed")
    with pytest.raises(InputError, match="is failed"):
        blending.blend(names[:2])
    with pytest.raises(InputError, match="greedy or equal"):
        blending.blend([names[0], names[2]], "best")


def test_the_probabilities_of_another_run_are_refused(three):
    _, names = three
    first, second = (run_dir.SUBMISSIONS / name / "probabilities.npz" for name in names[:2])
    second.write_bytes(first.read_bytes())
    with pytest.raises(InputError, match=rf"{names[1]}.*not what run {names[1]} wrote"):
        blending.blend(names)
    np.savez(second, held_out_rows=np.arange(3), held_out_log_p=np.zeros((3, 10)), test_log_p=np.zeros(7))
    with pytest.raises(InputError, match="not what run"):
        blending.blend(names)


def test_too_few_common_rows_are_refused(three):
    answers, _ = three
    some = finish_run("some", answers, seed=7, rows=np.arange(0, 600))
    others = finish_run("others", answers, seed=8, rows=np.arange(580, 1180))
    with pytest.raises(InputError, match="share only 20 held-out rows of 600"):
        blending.blend([some, others])


def test_a_blend_that_is_one_run_again_says_so(three, capfd):
    _, names = three
    result = blending.blend([names[0], names[2]])
    blending.show(result | {"runs": {names[0]: 1.0, names[2]: 0.0}})
    assert "that run again" in capfd.readouterr().out
    blending.show(result | {"runs": {names[0]: 0.8, names[2]: 0.2}})
    assert "that run again" not in capfd.readouterr().out
