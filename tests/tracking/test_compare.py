"""`digits compare`: two runs on the same rows, two files without answers."""

import numpy as np
import pytest

from digit_recognizer.data import submission
from digit_recognizer.errors import InputError
from digit_recognizer.evaluation.metrics import McNemar, difference_interval
from digit_recognizer.tracking import compare
from digit_recognizer.tracking.run_session import ledger
from finished_runs import finish_run, write_data


@pytest.fixture
def answers(workplace):
    return write_data()


def test_a_better_run_is_told_from_noise(answers):
    weak, strong, as_strong = (
        finish_run(*own) for own in (("a", answers, 1, 1), ("b", answers, 4, 2), ("c", answers, 4, 3))
    )
    found = compare.compare_two(weak, strong)
    assert found["n"] == 1200
    assert found["difference"] == (found["only_second"] - found["only_first"]) / 1200 > 0
    assert found["interval"][0] > 0
    assert "hardly chance" in found["verdict"]
    assert f"gain of {found['only_second'] - found['only_first']} images in 1,200" in found["verdict"]
    assert "could be chance" in compare.compare_two(strong, as_strong)["verdict"]
    assert "loss of" in compare.compare_two(strong, weak)["verdict"]
    assert "no difference" in compare.compare_two(strong, strong)["verdict"]


def test_only_rows_that_both_held_out_count(answers):
    one = finish_run("one", answers, rows=np.arange(0, 600))
    two = finish_run("two", answers, seed=1, rows=np.arange(500, 1200))
    assert compare.compare_two(one, two)["n"] == 100


def test_runs_without_common_rows_cannot_be_compared(answers):
    none = finish_run("full", answers, rows=np.arange(0))
    some = finish_run("some", answers, rows=np.arange(10))
    others = finish_run("others", answers, rows=np.arange(10, 20))
    with pytest.raises(InputError, match=r"full held out none.*--folds 5"):
        compare.compare_two(none, some)
    with pytest.raises(InputError, match="each held out others"):
        compare.compare_two(some, others)


def test_runs_of_other_data_cannot_be_compared(answers):
    one, two = finish_run("one", answers), finish_run("two", answers)
    with ledger() as book:
        book.update_run(book.run(two)["id"], train_hash="another")
    with pytest.raises(InputError, match="trained on different"):
        compare.compare_two(one, two)
    with ledger() as book:
        book.update_run(book.run(one)["id"], train_hash="another")
    with pytest.raises(InputError, match="of the runs, another"):
        compare.compare_two(one, two)


def test_two_files_differ_by_rows_and_at_most_by_so_much(answers, workplace):
    changed = answers.copy()
    changed[[3, 7]] = (changed[[3, 7]] + 1) % 10
    for name, labels in (("a.csv", answers), ("b.csv", changed), ("short.csv", answers[:9])):
        (workplace / name).write_bytes(submission.render(labels))
    found = compare.compare_two("a.csv", "b.csv")
    assert (found["differ"], found["rows"]) == (2, [4, 8])
    assert found["most_private"] == 2 / 597
    assert found["most_public"] == 2 / 149
    assert "same labels" in compare.compare_two("a.csv", "a.csv")["verdict"]
    with pytest.raises(InputError, match="files for the same"):
        compare.compare_two("a.csv", "short.csv")
    with pytest.raises(InputError, match="two runs or two files"):
        compare.compare_two("a.csv", "last")


def test_the_interval_of_a_difference_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    n, first, second = 2000, 0.010, 0.016  # parts that only one has right
    covered = 0
    for only_first, only_second, _ in rng.multinomial(n, [first, second, 1 - first - second], 2000):
        low, high = difference_interval(McNemar(int(only_first), int(only_second), 1.0), n)
        covered += low <= second - first <= high
    assert 0.93 < covered / 2000 < 0.975


@pytest.mark.parametrize(
    ("gain", "p", "words"),
    [
        (12, 0.21, "gain of 12 images in 42,000 for b: could be chance, p = 0.21"),
        (1, 1.0, "gain of 1 image in 42,000 for b: could be chance, p = 1"),
        (-90, 1e-5, "loss of 90 images in 42,000 for b: hardly chance, p = 1e-05"),
        (0, 1.0, "no difference: both have the same number of 42,000 images right"),
    ],
)
def test_the_verdict_is_one_plain_sentence(gain, p, words):
    assert compare.verdict("b", gain, 42_000, p) == words


def test_files_of_one_row_can_be_compared(tmp_path):
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for label, file in enumerate(files):
        file.write_bytes(submission.render(np.array([label])))
    assert compare.compare_two(*map(str, files))["most_public"] == 1


def test_a_run_that_did_not_finish_or_lost_its_files_is_told_as_such(answers):
    one, two = finish_run("one", answers), finish_run("two", answers, seed=1)
    (compare.run_dir.SUBMISSIONS / two / "probabilities.npz").unlink()
    with pytest.raises(InputError, match=f"{two}/probabilities.npz is gone.*Repeat"):
        compare.compare_two(one, two)
    with ledger() as book:
        book.update_run(book.run(two)["id"], status="interrupted")
    with pytest.raises(InputError, match=f"{two} is interrupted; only a finished"):
        compare.compare_two(one, two)


def test_what_is_expected_of_the_board_holds_the_doubt_of_the_estimate(answers):
    few = np.arange(100)
    found = compare.compare_two(finish_run("a", answers, rows=few), finish_run("b", answers, seed=1, rows=few))
    assert found["public_standard_error"] > (found["interval"][1] - found["interval"][0]) / 2 / 1.96
    assert "standard error" in found["board"]
    with ledger() as book:
        for name in ("a", "b"):
            book.update_run(book.run(name)["id"], source="sample")
    assert compare.compare_two("a", "b")["board"] == ""
