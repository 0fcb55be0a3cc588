"""`digits plan`, with the real client against a stand-in for Kaggle."""

from pathlib import Path

import numpy as np
import pytest

import kaggle_stand_in
from digit_recognizer.competition import plan, submit
from digit_recognizer.data import submission
from digit_recognizer.errors import RunError
from digit_recognizer.tracking import run_dir
from digit_recognizer.tracking.ledger import now
from digit_recognizer.tracking.run_dir import short_name
from digit_recognizer.tracking.run_session import ledger
from finished_runs import finish_run, write_data


@pytest.fixture
def answers(workplace):
    return write_data()


@pytest.fixture
def kaggle(answers, monkeypatch, warm_client):
    with kaggle_stand_in.kaggle_stand_in(answers.tolist()) as stand_in:
        for name, value in {**stand_in.environment, "KAGGLE_API_TOKEN": kaggle_stand_in.TOKEN}.items():
            monkeypatch.setenv(name, value)
        yield stand_in


def file_of(name):
    return run_dir.SUBMISSIONS / name / "submission.csv"


def not_sent():
    return [short_name(file["run"]) for file in plan.plan_uploads()["files"]]


def test_without_credentials_the_ledger_alone_ranks_by_expected_score(answers, capfd):
    finish_run("good", answers, 4, 1)
    finish_run("poor", answers, 2, 2)
    finish_run("unjudged", answers, 4, 3, rows=np.arange(0))
    found = plan.plan_uploads()
    assert [short_name(file["run"]) for file in found["files"]] == ["good", "poor", "unjudged"]
    assert found["kaggle"] is None
    assert found["files"][0]["expected"] > 0.97
    assert found["files"][2]["expected"] is None
    plan.show(found)
    out = capfd.readouterr().out
    assert "Kaggle was not asked" in out
    assert f"digits submit {file_of(found['files'][0]['run'])}" in out


def test_what_was_sent_is_not_planned_again_and_the_rest_is_compared_with_the_best(kaggle, answers, capfd):
    good, poor = finish_run("good", answers, 4, 1), finish_run("poor", answers, 2, 2)
    submit.submit_file(file_of(good))
    found = plan.plan_uploads()
    assert [file["run"] for file in found["files"]] == [poor]
    assert found["best"]["ref"] == kaggle.entries[0].ref
    assert found["kaggle"] == {"num_today": 1, "num_total": 1, "num_allowed_now": 4, "entries": 1}
    differ = (labels_of(good) != labels_of(poor)).sum()
    assert found["files"][0]["differs_from_best"] == differ
    plan.show(found)
    out = capfd.readouterr().out
    assert "left: 4" in out
    assert "None of these promises more" in out


def test_a_better_file_than_the_best_sent_is_proposed(kaggle, answers, capfd):
    submit.submit_file(file_of(finish_run("poor", answers, 2, 2)))
    good = finish_run("good", answers, 4, 1)
    found = plan.plan_uploads()
    assert found["files"][0]["worth_an_entry"]
    plan.show(found)
    assert f"digits submit {file_of(good)}" in capfd.readouterr().out


def labels_of(name):
    return submission.parse(file_of(name).read_bytes(), name)


def test_entries_of_another_ledger_are_found_by_their_mark(kaggle, answers):
    submit.submit_file(file_of(finish_run("good", answers, 4, 1)))
    (run_dir.SUBMISSIONS / "ledger.sqlite").rename("old.sqlite")
    assert not_sent() == []  # now the entry is known, by its mark alone
    finish_run("the-same-again", answers, 4, 1)
    assert not_sent() == []
    with ledger() as book:
        assert book.run("last")["public_score"] == float(kaggle.entries[0].result[1])


def test_an_entry_of_somewhere_else_may_have_any_description(kaggle, answers):
    Path("mine.csv").write_bytes(submission.render(answers))
    submit.submit_file(Path("mine.csv"), message="é" * 199)
    (run_dir.SUBMISSIONS / "ledger.sqlite").unlink()
    plan.plan_uploads()
    assert plan.plan_uploads()["best"] == {"ref": kaggle.entries[0].ref, "file": "", "public_score": 1.0}


def run_of(name, correct, n=40_000):
    return {
        "name": name,
        "submission_hash": name,
        "n": n,
        "correct": correct,
        "loss": 0.1,
        "source": "folder",
        "data": "data",
    }


def test_only_what_promises_as_much_as_what_was_sent_and_what_comes_before_is_worth_an_entry():
    rng = np.random.default_rng(0)
    labels = {name: rng.integers(0, 10, 100) for name in ("sent", "other", "even", "poor", "whole")}
    labels["near"] = np.concatenate([labels["sent"][:-1], [9 - labels["sent"][-1]]])
    entries = [
        run_of("sent", 39_800),
        run_of("near", 39_900),  # promises most, but is a near copy: no bar for the others
        run_of("other", 39_850),
        run_of("even", 39_849),  # less by a fifth of a public image
        run_of("poor", 39_810),
        run_of("whole", None, n=None),
    ]
    found = plan.rank_files(entries, {"sent": {"ref": 1, "status": "COMPLETE"}}, labels, {"hash": "sent"})
    assert {file["run"]: file["worth_an_entry"] for file in found} == {
        "near": False,
        "other": True,
        "even": True,
        "poor": False,
        "whole": True,
    }
    assert found[0]["near_copies"] == ["entry 1"]
    assert found[-1]["run"] == "whole"
    failed = plan.rank_files(entries, {"other": {"ref": 1, "status": "ERROR"}}, labels, None)
    assert "other" not in [file["run"] for file in failed]  # Kaggle could not score it, and would not now
    assert failed[0]["worth_an_entry"]


def test_without_an_answer_from_kaggle_the_ledger_alone_is_asked_and_the_trouble_told(kaggle, answers, capfd):
    finish_run("good", answers, 4, 1)
    kaggle.fail("ListSubmissions", 500)
    found = plan.plan_uploads()
    assert [short_name(file["run"]) for file in found["files"]] == ["good"]
    plan.show(found)
    out = " ".join(capfd.readouterr().out.split())
    assert "try again later" in out
    assert "This is what the ledger knows" in out


def test_the_command_names_data_that_is_elsewhere(answers):
    name = finish_run("good", answers, 4, 1)
    with ledger() as book:
        book.update_run(book.run(name)["id"], data="my data")
    assert plan.plan_uploads()["files"][0]["command"] == f"digits submit {file_of(name)} --data 'my data'"


def test_an_entry_whose_fate_was_unknown_is_settled(kaggle, answers):
    name = finish_run("good", answers, 4, 1)
    submit.submit_file(file_of(name))
    with ledger() as book:
        [row] = book.submissions()
        book.update_submission(row["id"], status="UNKNOWN", ref=None, public_score=None)
    plan.plan_uploads()
    with ledger() as book:
        [row] = book.submissions()
    assert (row["status"], row["ref"]) == ("COMPLETE", kaggle.entries[0].ref)


def test_an_upload_that_never_arrived_is_lost_and_its_file_planned_again(kaggle, answers):
    name = finish_run("good", answers, 4, 1)
    with ledger() as book:
        hash = book.run(name)["submission_hash"]
        for made in ("2026-01-01T00:00:00Z", now()):
            number = book.begin_submission(hash=hash, file="", description="", status="CREATING")
            book._connection.execute("UPDATE submission_states SET at = ? WHERE submission_id = ?", (made, number))
    [file] = plan.plan_uploads()["files"]
    assert file["command"] == f"digits submit {file_of(name)} --again"
    with ledger() as book:
        assert [row["status"] for row in book.submissions()] == ["LOST", "CREATING"]
    with pytest.raises(RunError, match="an earlier upload of it came to no clear answer"):
        submit.submit_file(file_of(name))
    assert kaggle.entries == []
    submit.submit_file(file_of(name), again=True)
    assert len(kaggle.entries) == 1


def test_a_run_on_all_rows_has_no_estimate_and_may_be_sent(kaggle, answers):
    submit.submit_file(file_of(finish_run("judged", answers, 4, 1)))
    finish_run("whole", answers, 4, 2, rows=np.arange(0))
    [file] = plan.plan_uploads()["files"]
    assert file["expected"] is None
    assert file["worth_an_entry"]


def test_few_lucky_rows_promise_less_than_many(answers):
    finish_run("many", answers, 4, 1)
    finish_run("lucky", answers, 9, 2, rows=np.arange(20))
    assert not_sent() == ["many", "lucky"]


def test_a_sent_file_is_known_by_its_content_not_by_its_place(kaggle, answers):
    Path("mine.csv").write_bytes(submission.render(answers))
    submit.submit_file(Path("mine.csv"))
    finish_run("other", answers, 2, 3)
    assert plan.plan_uploads()["files"][0]["differs_from_best"] > 0
    Path("mine.csv").write_bytes(submission.render((answers + 1) % 10))
    assert plan.plan_uploads()["files"][0]["differs_from_best"] is None


def test_near_copies_are_told_and_not_proposed(answers, capfd):
    first = finish_run("first", answers, 4, 1)
    almost = labels_of(first)
    almost[0] = (almost[0] + 1) % 10
    other = finish_run("almost", answers, 3.9, 1)
    file_of(other).write_bytes(submission.render(almost))
    with ledger() as book:
        book.update_run(book.run(other)["id"], submission_hash="f" * 64)
    found = plan.plan_uploads()
    assert found["files"][1]["near_copies"] == [first]
    plan.show(found)
    out = capfd.readouterr().out
    assert "near copy of first" in out
    assert str(file_of(other)) not in out


def test_a_used_up_allowance_proposes_nothing(kaggle, answers, capfd):
    submit.submit_file(file_of(finish_run("poor", answers, 3, 1)))
    finish_run("next", answers, 4, 2)
    kaggle.allowance = 1
    plan.show(plan.plan_uploads())
    out = capfd.readouterr().out
    assert "used up" in out
    assert "Send next" not in out


def test_runs_on_the_sample_and_lost_files_are_not_planned(answers, capfd):
    finish_run("lost", answers, 4, 1)
    file_of(finish_run("gone", answers, 4, 2)).unlink()
    with ledger() as book:
        book.update_run(book.run("lost")["id"], source="sample")
    assert not_sent() == []
    plan.show(plan.plan_uploads())
    assert "which Kaggle cannot score: 1" in capfd.readouterr().out
