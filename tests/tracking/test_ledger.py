"""The ledger: what is written is found again, by several processes, across versions, and never half."""

import multiprocessing
import sqlite3

import pytest

from digit_recognizer.errors import InputError, RunError
from digit_recognizer.tracking import ledger

RUN = {
    "kind": "run",
    "recipe_name": "lenet5",
    "recipe": {"epochs": 3},
    "seed": 0,
    "data": "data",
    "source": "folder",
    "train_hash": "1-a",
    "test_hash": "1-b",
    "versions": {"keras": "3"},
    "cpu": "a CPU",
    "threads": 2,
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "submissions" / "ledger.sqlite"


def test_a_run_is_entered_when_it_starts_and_closed_when_it_ends(path):
    with ledger.open_ledger(path) as book:
        number = book.start_run(name="20261121-093005-mine", **RUN)
    with ledger.open_ledger(path) as book:
        assert book.run("last")["status"] == "running"
        book.finish_run(number, "done", n=100, correct=99, loss=0.1)
        run = book.run("mine")
    assert (run["status"], run["n"], run["correct"], run["recipe"]) == ("done", 100, 99, '{"epochs": 3}')
    assert run["started"] <= run["finished"]


def test_a_run_is_found_by_name_number_or_unique_part(path):
    with ledger.open_ledger(path) as book:
        numbers = [book.start_run(name=name, **RUN) for name in ("a-one", "a-two0", "a")]
        assert book.run("two")["id"] == numbers[1]
        assert book.run(str(numbers[0]))["name"] == "a-one"
        assert book.run("a")["name"] == "a"
        assert book.run("last")["name"] == "a"
        with pytest.raises(InputError, match=r"'a-' means 2 runs: 2 \(a-two0\), 1 \(a-one\)"):
            book.run("a-")
        with pytest.raises(InputError, match="no run 'b'"):
            book.run("b")
        with pytest.raises(InputError, match="no run '0'"):
            book.run("0")


def test_the_short_name_of_a_run_is_enough_though_another_name_holds_it(path):
    with ledger.open_ledger(path) as book:
        number = book.start_run(name="20261121-093005-mem", **RUN)
        book.start_run(name="20261121-093006-mem2", **RUN)
        assert book.run("mem")["id"] == number


def test_an_entry_is_kept_once_whoever_writes_it(path):
    entry = {"hash": "f" * 64, "file": "a.csv", "description": "", "public_score": None, "error": ""}
    with ledger.open_ledger(path) as book:
        sending = book.begin_submission(hash="f" * 64, file="a.csv", description="", status="UNKNOWN")
        assert book.keep_submission(ref=7, status="PENDING", **entry) == sending
        assert book.keep_submission(ref=7, status="COMPLETE", **entry) == sending
        assert book.keep_submission(ref=8, status="PENDING", **entry) != sending
        assert [row["ref"] for row in book.submissions()] == [7, 8]
        lost, sent_again = (
            book.begin_submission(hash="e" * 64, file="b.csv", description="", status=status)
            for status in ("LOST", "CREATING")
        )
        assert book.keep_submission(ref=9, status="PENDING", **entry | {"hash": "e" * 64}) == sent_again > lost


def test_members_belong_to_their_run_and_keep_their_order(path):
    member = {"model": "lenet5", "seed": 0, "weights": 61_706, "train_n": 9, "train_accuracy": 1.0, "train_loss": 0.1}
    with ledger.open_ledger(path) as book:
        number = book.start_run(name="mine", **RUN)
        for fold in (1, 2):
            book.add_member(number, name=f"lenet5-seed0-fold{fold}", fold=fold, seconds=1.5, **member)
        assert [row["fold"] for row in book.members(number)] == [1, 2]
        with pytest.raises(RunError, match="FOREIGN KEY"), ledger.open_ledger(path) as other:
            other.add_member(number + 1, name="nobody's", seconds=1.0, **member)


def test_each_state_of_a_submission_is_kept_once(path):
    with ledger.open_ledger(path) as book:
        number = book.begin_submission(hash="f" * 64, file="a.csv", description="", status="CREATING")
        for status in ("PENDING", "PENDING", "COMPLETE"):
            book.update_submission(number, status=status, ref=7)
        assert [row["status"] for row in book.submission_states(number)] == ["CREATING", "PENDING", "COMPLETE"]
        assert book.submissions("f" * 64)[0]["status"] == "COMPLETE"
        assert book.submissions("0" * 64) == []


def test_a_run_shows_the_score_of_its_file_on_the_board_and_offline(path):
    with ledger.open_ledger(path) as book:
        number = book.start_run(name="mine", **RUN)
        book.finish_run(number, "done", submission_hash="f" * 64)
        entry = book.begin_submission(hash="f" * 64, file="a.csv", description="", status="CREATING")
        book.update_submission(entry, status="COMPLETE", public_score=0.995)
        for correct in (7, 8):
            book.add_score(hash="f" * 64, file="a.csv", answers_hash="e" * 64, n=10, correct=correct)
        run = book.run("mine")
    assert (run["public_score"], run["test_correct"], run["test_n"]) == (0.995, 8, 10)


def test_a_failing_transaction_leaves_nothing(path):
    with ledger.open_ledger(path) as book:
        number = book.begin_submission(hash="f" * 64, file="a.csv", description="", status="CREATING")
        with pytest.raises(sqlite3.Error):
            book.update_submission(number, status=None)
        with pytest.raises(sqlite3.Error):
            book.begin_submission(hash="f" * 64, file="a.csv", description="", status=None)
        assert len(book.submissions()) == 1
        assert [row["status"] for row in book.submission_states(number)] == ["CREATING"]


def test_a_row_that_another_program_edited_is_read_as_it_is(path):
    with ledger.open_ledger(path) as book:
        number = book.start_run(name="mine", **RUN)
    with sqlite3.connect(path) as other:
        other.execute("UPDATE runs SET seed = 9")
    with ledger.open_ledger(path) as book:
        book.finish_run(number, "done")
        assert book.run("mine")["seed"] == 9


def test_names_that_no_text_can_hold_are_kept_in_pythons_notation(path):
    with ledger.open_ledger(path) as book:
        book.start_run(name="mine", **RUN | {"data": "data\udcff"})
        assert book.run("mine")["data"] == "data\\udcff"


def write_runs(path, start):
    for number in range(start, start + 20):
        with ledger.open_ledger(path) as book:
            book.start_run(name=f"run-{number}", **RUN)


def test_several_processes_may_begin_and_write_one_ledger_together(path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=write_runs, args=(path, 100 * start)) for start in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    with ledger.open_ledger(path) as book:
        assert len(book.runs()) == 80


def test_what_is_no_ledger_is_told_with_a_cure(path):
    path.parent.mkdir()
    path.write_bytes(b"this is no database, " * 100)
    with pytest.raises(RunError, match="move it away"), ledger.open_ledger(path):
        pass
