"""`digits plan`, by the real client against a stand-in for Kaggle."""

import sqlite3
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest

import kaggle_stand_in
from digit_recognizer.cli.render_tables import show_plan
from digit_recognizer.competition.api import Allowance
from digit_recognizer.competition.plan import plan_uploads, rank_files
from digit_recognizer.competition.submit import submit_file
from digit_recognizer.data import submission
from digit_recognizer.errors import InputError, RunError
from digit_recognizer.tracking.ledger import now
from digit_recognizer.tracking.run_record import SubmissionRecord, short_name
from finished_runs import make_finished_run, write_data


@pytest.fixture
def answers(workspace):
    return write_data(workspace)


@pytest.fixture
def kaggle(answers, monkeypatch, warm_client):
    with kaggle_stand_in.kaggle_stand_in(answers.tolist()) as stand_in:
        for name, value in {**stand_in.environment, "KAGGLE_API_TOKEN": kaggle_stand_in.TOKEN}.items():
            monkeypatch.setenv(name, value)
        yield stand_in


def file_of(workspace, name):
    return workspace.submissions / name / "submission.csv"


def planned(workspace):
    """The runs whose files are not uploaded."""
    return [short_name(file.run) for file in plan_uploads(workspace).files]


def printed(capfd, found):
    """What `digits plan` prints."""
    capfd.readouterr()
    show_plan(found)
    return capfd.readouterr().out


def test_without_credentials_files_are_ranked_by_the_ledger(workspace, answers, capfd):
    make_finished_run(workspace, "good", answers, 4, 1)
    make_finished_run(workspace, "poor", answers, 2, 2)
    make_finished_run(workspace, "unvalidated", answers, 4, 3, rows=np.arange(0))
    found = plan_uploads(workspace)
    assert [short_name(file.run) for file in found.files] == ["good", "poor", "unvalidated"]
    assert found.allowance is None
    assert found.files[0].expected > 0.97
    assert found.files[2].expected is None
    out = printed(capfd, found)
    assert "based on the ledger alone" in out
    assert f"digits submit {file_of(workspace, found.files[0].run)}" in out


def test_uploaded_files_are_not_planned_and_the_others_are_compared_with_the_best(workspace, kaggle, answers, capfd):
    good, poor = (
        make_finished_run(workspace, "good", answers, 4, 1),
        make_finished_run(workspace, "poor", answers, 2, 2),
    )
    submit_file(file_of(workspace, good), workspace)
    found = plan_uploads(workspace)
    assert [file.run for file in found.files] == [poor]
    assert found.best.ref == kaggle.entries[0].ref
    assert (found.allowance, found.n_entries) == (Allowance(num_today=1, num_total=1, num_allowed_now=4), 1)
    assert found.to_json()["kaggle"] == {"num_today": 1, "num_total": 1, "num_allowed_now": 4, "entries": 1}
    differ = (labels_of(workspace, good) != labels_of(workspace, poor)).sum()
    assert found.files[0].differs_from_best == differ
    out = printed(capfd, found)
    assert "left: 4" in out
    assert "No file is expected to score higher" in out


def test_a_file_better_than_the_best_entry_is_proposed(workspace, kaggle, answers, capfd):
    submit_file(file_of(workspace, make_finished_run(workspace, "poor", answers, 2, 2)), workspace)
    good = make_finished_run(workspace, "good", answers, 4, 1)
    found = plan_uploads(workspace)
    assert found.files[0].worth_an_entry
    assert f"digits submit {file_of(workspace, good)}" in printed(capfd, found)


def labels_of(workspace, name):
    return submission.parse(file_of(workspace, name).read_bytes(), name)


def test_entries_of_another_ledger_are_found_by_their_description(workspace, kaggle, answers):
    submit_file(file_of(workspace, make_finished_run(workspace, "good", answers, 4, 1)), workspace)
    replace_ledger(workspace)
    assert planned(workspace) == []  # the entry is known by its description only
    make_finished_run(workspace, "same-labels", answers, 4, 1)
    assert planned(workspace) == []
    with workspace.open_ledger() as ledger:
        assert ledger.run("last").public_score == float(kaggle.entries[0].result[1])


def test_a_file_that_no_run_wrote_may_have_any_message(workspace, kaggle, answers):
    mine = workspace.folder / "mine.csv"
    mine.write_bytes(submission.render(answers))
    submit_file(mine, workspace, message="é" * 199)
    replace_ledger(workspace)
    plan_uploads(workspace)
    best = {"ref": kaggle.entries[0].ref, "file": "", "public_score": 1.0}
    assert plan_uploads(workspace).to_json()["best"] == best


def replace_ledger(workspace):
    """Replace the workspace's ledger by an empty one."""
    workspace.ledger_file.unlink()
    with workspace.open_ledger():
        pass


def test_without_a_ledger_nothing_is_planned_or_written(workspace):
    with pytest.raises(InputError, match=f"{workspace.submissions}: no ledger there"):
        plan_uploads(workspace)
    assert not workspace.submissions.exists()


def entry_of(hash, status="COMPLETE"):
    """An entry in the ledger."""
    return SubmissionRecord(1, hash, "", 1, "", status, 0.99, "", now())


def test_a_file_is_worth_an_entry_unless_a_near_copy_or_below_the_files_before_it(workspace):
    first = {"kind": "run", "recipe_name": "", "recipe": {}, "data": "data", "source": "folder"}
    first |= {"train_hash": "", "test_hash": "", "versions": {}, "cpu": "", "threads": 1}
    with workspace.open_ledger() as ledger:
        ledger.start_run(name="any", **first)
        run = ledger.run("any")

    def run_of(name, correct, n=40_000):
        return replace(run, name=name, submission_hash=name, n=n, correct=correct, loss=0.1)

    rng = np.random.default_rng(0)
    labels = {name: rng.integers(0, 10, 100) for name in ("sent", "other", "even", "poor", "refit")}
    labels["near"] = np.concatenate([labels["sent"][:-1], [9 - labels["sent"][-1]]])
    runs = [
        run_of("sent", 39_800),
        run_of("near", 39_900),  # expected best, but a near copy, so no bar for the others
        run_of("other", 39_850),
        run_of("even", 39_849),  # a fifth of a public image less
        run_of("poor", 39_810),
        run_of("refit", None, n=None),
    ]
    found = rank_files(runs, {"sent": entry_of("sent")}, labels, entry_of("sent"))
    assert {file.run: file.worth_an_entry for file in found} == {
        "near": False,
        "other": True,
        "even": True,
        "poor": False,
        "refit": True,
    }
    assert found[0].near_copies == ("entry 1",)
    assert found[-1].run == "refit"
    failed = rank_files(runs, {"other": entry_of("other", "ERROR")}, labels, None)
    assert "other" not in [file.run for file in failed]  # Kaggle could not score it
    assert failed[0].worth_an_entry


def test_without_an_answer_from_kaggle_the_plan_has_the_reason_and_the_ledgers_files(workspace, kaggle, answers, capfd):
    make_finished_run(workspace, "good", answers, 4, 1)
    kaggle.fail("ListSubmissions", 500)
    found = plan_uploads(workspace)
    assert [short_name(file.run) for file in found.files] == ["good"]
    out = " ".join(printed(capfd, found).split())
    assert "try again later" in out
    assert "based on the ledger alone" in out


def test_the_command_names_data_outside_the_workspace(workspace, answers):
    name = make_finished_run(workspace, "good", answers, 4, 1)
    with workspace.open_ledger() as ledger:
        ledger.update_run(ledger.run(name).id, data="my data")
    command = f"digits submit {file_of(workspace, name)} --data '{workspace.folder}/my data'"
    assert plan_uploads(workspace).files[0].command == command


def test_an_unclear_upload_is_completed_from_kaggles_list(workspace, kaggle, answers):
    name = make_finished_run(workspace, "good", answers, 4, 1)
    submit_file(file_of(workspace, name), workspace)
    with workspace.open_ledger() as ledger:
        [row] = ledger.submissions()
        ledger.update_submission(row.id, status="UNKNOWN", ref=None, public_score=None)
    plan_uploads(workspace)
    with workspace.open_ledger() as ledger:
        [row] = ledger.submissions()
    assert (row.status, row.ref) == ("COMPLETE", kaggle.entries[0].ref)


def test_an_upload_that_kaggle_does_not_list_is_lost_and_its_file_planned(workspace, kaggle, answers):
    name = make_finished_run(workspace, "good", answers, 4, 1)
    with workspace.open_ledger() as ledger:
        hash = ledger.run(name).submission_hash
        for made in ("2026-01-01T00:00:00Z", now()):
            number = ledger.begin_submission(hash=hash, file="", description="", status="CREATING")
            with sqlite3.connect(workspace.ledger_file) as connection:
                connection.execute("UPDATE submission_states SET at = ? WHERE submission_id = ?", (made, number))
    [file] = plan_uploads(workspace).files
    assert file.command == f"digits submit {file_of(workspace, name)} --force"
    with workspace.open_ledger() as ledger:
        assert [row.status for row in ledger.submissions()] == ["LOST", "CREATING"]
    with pytest.raises(RunError, match="an earlier upload got no clear answer"):
        submit_file(file_of(workspace, name), workspace)
    assert kaggle.entries == []
    submit_file(file_of(workspace, name), workspace, force=True)
    assert len(kaggle.entries) == 1


def test_a_run_without_held_out_rows_has_no_estimate_and_is_worth_an_entry(workspace, kaggle, answers):
    submit_file(file_of(workspace, make_finished_run(workspace, "validated", answers, 4, 1)), workspace)
    make_finished_run(workspace, "refit", answers, 4, 2, rows=np.arange(0))
    [file] = plan_uploads(workspace).files
    assert file.expected is None
    assert file.worth_an_entry


def test_a_high_accuracy_on_few_rows_ranks_below_one_on_many(workspace, answers):
    make_finished_run(workspace, "many", answers, 4, 1)
    make_finished_run(workspace, "lucky", answers, 9, 2, rows=np.arange(20))
    assert planned(workspace) == ["many", "lucky"]


def test_an_uploaded_file_is_compared_only_while_its_content_is_unchanged(workspace, kaggle, answers):
    mine = workspace.folder / "mine.csv"
    mine.write_bytes(submission.render(answers))
    submit_file(mine, workspace)
    make_finished_run(workspace, "other", answers, 2, 3)
    assert plan_uploads(workspace).files[0].differs_from_best > 0
    mine.write_bytes(submission.render((answers + 1) % 10))
    assert plan_uploads(workspace).files[0].differs_from_best is None


def test_near_copies_are_shown_and_not_proposed(workspace, answers, capfd):
    first = make_finished_run(workspace, "first", answers, 4, 1)
    almost = labels_of(workspace, first)
    almost[0] = (almost[0] + 1) % 10
    other = make_finished_run(workspace, "almost", answers, 3.9, 1)
    content = submission.render(almost)
    file_of(workspace, other).write_bytes(content)
    with workspace.open_ledger() as ledger:
        ledger.update_run(ledger.run(other).id, submission_hash=sha256(content).hexdigest())
    found = plan_uploads(workspace)
    assert found.files[1].near_copies == (first,)
    out = printed(capfd, found)
    assert "near copy of first" in out
    assert str(file_of(workspace, other)) not in out


def test_nothing_is_proposed_when_the_allowance_is_used_up(workspace, kaggle, answers, capfd):
    submit_file(file_of(workspace, make_finished_run(workspace, "poor", answers, 3, 1)), workspace)
    make_finished_run(workspace, "next", answers, 4, 2)
    kaggle.allowance = 1
    out = printed(capfd, plan_uploads(workspace))
    assert "used up" in out
    assert "Upload next" not in out


def test_runs_on_the_sample_and_missing_files_are_not_planned(workspace, answers, capfd):
    make_finished_run(workspace, "lost", answers, 4, 1)
    file_of(workspace, make_finished_run(workspace, "gone", answers, 4, 2)).unlink()
    with workspace.open_ledger() as ledger:
        ledger.update_run(ledger.run("lost").id, source="sample")
    assert planned(workspace) == []
    assert "which Kaggle cannot score: 1" in printed(capfd, plan_uploads(workspace))
