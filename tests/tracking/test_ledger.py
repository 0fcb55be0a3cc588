"""The ledger: reading, writing by several processes, and transactions."""

import multiprocessing
import shutil
import sqlite3

import pytest

from digit_recognizer.errors import InputError, RunError
from digit_recognizer.tracking.ledger import open_ledger

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


def test_a_run_is_inserted_when_it_starts_and_closed_when_it_ends(path):
    with open_ledger(path) as ledger:
        number = ledger.start_run(name="20261121-093005-mine", **RUN)
    with open_ledger(path) as ledger:
        assert ledger.run("last").status == "running"
        ledger.finish_run(number, "done", n=100, correct=99, loss=0.1)
        run = ledger.run("mine")
    assert (run.status, run.n, run.correct, run.recipe_fields) == ("done", 100, 99, {"epochs": 3})
    assert run.started <= run.finished


def test_a_run_is_found_by_name_id_or_unique_part(path):
    with open_ledger(path) as ledger:
        numbers = [ledger.start_run(name=name, **RUN) for name in ("a-one", "a-two0", "a")]
        assert ledger.run("two").id == numbers[1]
        assert ledger.run(str(numbers[0])).name == "a-one"
        assert ledger.run("a").name == "a"
        assert ledger.run("last").name == "a"
        with pytest.raises(InputError, match=r"'a-' matches 2 runs: 2 \(a-two0\), 1 \(a-one\)"):
            ledger.run("a-")
        with pytest.raises(InputError, match="no run 'b'"):
            ledger.run("b")
        with pytest.raises(InputError, match="no run '0'"):
            ledger.run("0")


def test_an_exact_short_name_has_priority_over_parts_of_names(path):
    with open_ledger(path) as ledger:
        number = ledger.start_run(name="20261121-093005-mem", **RUN)
        ledger.start_run(name="20261121-093006-mem2", **RUN)
        assert ledger.run("mem").id == number


def test_an_entry_has_one_row(path):
    entry = {"hash": "f" * 64, "file": "a.csv", "description": "", "public_score": None, "error": ""}
    with open_ledger(path) as ledger:
        sending = ledger.begin_submission(hash="f" * 64, file="a.csv", description="", status="UNKNOWN")
        assert ledger.upsert_submission(ref=7, status="PENDING", **entry) == sending
        assert ledger.upsert_submission(ref=7, status="COMPLETE", **entry) == sending
        assert ledger.upsert_submission(ref=8, status="PENDING", **entry) != sending
        assert [row.ref for row in ledger.submissions()] == [7, 8]
        lost, sent_again = (
            ledger.begin_submission(hash="e" * 64, file="b.csv", description="", status=status)
            for status in ("LOST", "CREATING")
        )
        assert ledger.upsert_submission(ref=9, status="PENDING", **entry | {"hash": "e" * 64}) == sent_again > lost


def test_networks_belong_to_their_run_and_keep_their_order(path):
    network = {"model": "lenet5", "seed": 0, "weights": 61_706, "train_n": 9, "train_accuracy": 1.0, "train_loss": 0.1}
    with open_ledger(path) as ledger:
        number = ledger.start_run(name="mine", **RUN)
        for fold in (1, 2):
            ledger.add_network(number, name=f"lenet5-seed0-fold{fold}", fold=fold, seconds=1.5, **network)
        assert [row.fold for row in ledger.networks(number)] == [1, 2]
        with pytest.raises(RunError, match="FOREIGN KEY"), open_ledger(path) as other:
            other.add_network(number + 1, name="other", seconds=1.0, **network)


def test_a_finished_run_stays_finished(path):
    with open_ledger(path) as one, open_ledger(path) as other:
        number = one.start_run(name="20261121-093005-mine", **RUN)
        one.finish_run(number, "interrupted")
        assert other.reopen_run(number, threads=1)
        assert one.run("mine").status == "running"
        other.finish_run(number, "done", n=100, correct=99, loss=0.1)
        one.finish_run(number, "failed", error="a second process")
        assert not one.reopen_run(number, threads=3)
        run = one.run("mine")
    assert (run.status, run.error, run.threads) == ("done", "", 1)


def test_a_copy_of_the_file_alone_has_an_upload_that_creates_an_entry(path, tmp_path):
    with open_ledger(path) as ledger:
        number = ledger.begin_submission(hash="a" * 64, file="x.csv", description="", status="UPLOADING")
        ledger.update_submission(number, status="CREATING")
        shutil.copyfile(path, tmp_path / "copy.sqlite")  # without the write-ahead log beside it
    with open_ledger(tmp_path / "copy.sqlite") as copy:
        assert [row.status for row in copy.submissions("a" * 64)] == ["CREATING"]


def test_each_state_of_a_submission_is_stored_once(path):
    with open_ledger(path) as ledger:
        number = ledger.begin_submission(hash="f" * 64, file="a.csv", description="", status="CREATING")
        for status in ("PENDING", "PENDING", "COMPLETE"):
            ledger.update_submission(number, status=status, ref=7)
        assert [row.status for row in ledger.submission_states(number)] == ["CREATING", "PENDING", "COMPLETE"]
        assert ledger.submissions("f" * 64)[0].status == "COMPLETE"
        assert ledger.submissions("0" * 64) == []


def test_a_run_has_the_public_and_the_offline_score_of_its_file(path):
    with open_ledger(path) as ledger:
        number = ledger.start_run(name="mine", **RUN)
        ledger.finish_run(number, "done", submission_hash="f" * 64)
        entry = ledger.begin_submission(hash="f" * 64, file="a.csv", description="", status="CREATING")
        ledger.update_submission(entry, status="COMPLETE", public_score=0.995)
        for correct in (7, 8):
            ledger.add_score(hash="f" * 64, file="a.csv", answers_hash="e" * 64, n=10, correct=correct)
        run = ledger.run("mine")
    assert (run.public_score, run.test_correct, run.test_n) == (0.995, 8, 10)


def test_a_failed_transaction_writes_nothing(path):
    with open_ledger(path) as ledger:
        number = ledger.begin_submission(hash="f" * 64, file="a.csv", description="", status="CREATING")
        with pytest.raises(sqlite3.Error):
            ledger.update_submission(number, status=None)
        with pytest.raises(sqlite3.Error):
            ledger.begin_submission(hash="f" * 64, file="a.csv", description="", status=None)
        assert len(ledger.submissions()) == 1
        assert [row.status for row in ledger.submission_states(number)] == ["CREATING"]


def test_a_row_edited_by_another_program_is_accepted(path):
    with open_ledger(path) as ledger:
        number = ledger.start_run(name="mine", **RUN)
    with sqlite3.connect(path) as other:
        other.execute("UPDATE runs SET seed = 9")
    with open_ledger(path) as ledger:
        ledger.finish_run(number, "done")
        assert ledger.run("mine").seed == 9


def test_surrogates_in_file_names_are_escaped(path):
    with open_ledger(path) as ledger:
        ledger.start_run(name="mine", **RUN | {"data": "data\udcff"})
        assert ledger.run("mine").data == "data\\udcff"


def write_runs(path, start):
    for number in range(start, start + 20):
        with open_ledger(path) as ledger:
            ledger.start_run(name=f"run-{number}", **RUN)


def test_several_processes_can_create_and_write_one_ledger(path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=write_runs, args=(path, 100 * start)) for start in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    with open_ledger(path) as ledger:
        assert len(ledger.runs()) == 80


def test_a_file_that_is_not_a_ledger_is_refused(path):
    path.parent.mkdir()
    path.write_bytes(b"this is no database, " * 100)
    with pytest.raises(RunError, match="move it away"), open_ledger(path):
        pass
