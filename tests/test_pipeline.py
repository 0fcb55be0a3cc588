"""The main job on the built-in sample, from data to submission, and uploads to a stand-in for Kaggle."""

import csv
import json
import shutil
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

import kaggle_stand_in
from digit_recognizer import cli, pipeline
from digit_recognizer.cli.train import _resume_options
from digit_recognizer.competition import api, submit
from digit_recognizer.data import sources, submission
from digit_recognizer.data.sample import write_sample
from digit_recognizer.errors import InputError, RunError
from digit_recognizer.evaluation.metrics import score
from digit_recognizer.recipes.catalog import RECIPES
from digit_recognizer.recipes.recipe import change
from digit_recognizer.tracking.ledger import Ledger
from digit_recognizer.tracking.run_record import RunHeader
from digit_recognizer.tracking.run_session import open_run
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.training import run_plan
from digit_recognizer.training.run_plan import NewRun
from digit_recognizer.utils.reporter import Reporter
from finished_runs import write_data

HEADER = RunHeader("run", "lenet5", {}, "data/sample", "sample", "1-a", "1-b")
RECIPE = change(RECIPES["lenet5"], {"epochs": 2})
SAMPLE = Path("sample")


class Recording(Reporter):
    """Records information and warnings."""

    def __init__(self):
        self.texts, self.warnings = [], []

    def info(self, text):
        self.texts.append(text)

    def warning(self, text):
        self.warnings.append(text)


def run(workspace, recipe=RECIPE, data=SAMPLE, upload=None, name=None):
    return pipeline.run(pipeline.RunConfig(NewRun("lenet5", recipe, name), data, upload=upload), workspace)


def record(workspace, word="last"):
    with workspace.existing_ledger() as ledger:
        return ledger.run(word)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A workspace with a run on the sample, and the result of that run."""
    workspace = Workspace(tmp_path_factory.mktemp("run"))
    sources.sample_source(workspace.data / "sample")
    mode, answers = NewRun("lenet5", RECIPE, "first"), workspace.data / "sample" / "answers.csv"
    return workspace, pipeline.run(pipeline.RunConfig(mode, SAMPLE, answers), workspace)


@pytest.fixture
def command(finished, workspace, monkeypatch, capfd):
    """Calls `digits` in the workspace of the finished run: (stdout, stderr), each joined to one line."""
    monkeypatch.setenv("DIGITS_WORKSPACE", str(finished[0].folder))

    def call(*words):
        with pytest.raises(SystemExit):
            cli.main([str(word) for word in words])
        return [" ".join(text.split()) for text in capfd.readouterr()]

    return call


def test_the_submission_has_exactly_kaggles_format(finished):
    workspace, result = finished
    data = result.submission.read_bytes()
    submission.check_upload(data, "submission.csv", 597)
    assert data.startswith(b"ImageId,Label\n1,")
    assert workspace.newest_submission.read_bytes() == data


def test_the_result_is_complete_and_stored(finished):
    workspace, result = finished
    assert result.recipe == result.model == "lenet5"
    assert result.weights == 61_706
    assert result.validation.n == 120
    assert result.validation.error == pytest.approx(1 - result.validation.accuracy)
    assert {"read", "train", "predict", "total"} <= set(result.seconds)
    assert json.loads((workspace.submissions / result.run / "result.json").read_text()) == result.to_json()


def test_the_stored_score_is_the_score_of_the_file(finished):
    workspace, result = finished
    labels, answers = (
        submission.parse(file.read_bytes(), str(file))
        for file in (result.submission, workspace.data / "sample" / "answers.csv")
    )
    scored = score(labels, answers)
    assert result.score.accuracy == scored.accuracy
    assert result.score.correct == scored.correct


def test_the_run_folder_contains_recipe_history_probabilities_weights_and_plots(finished):
    workspace, result = finished
    folder = workspace.submissions / result.run
    assert json.loads((folder / "recipe.json").read_text()) == json.loads(json.dumps(asdict(RECIPE)))
    with (folder / "history.csv").open() as file:
        history = list(csv.DictReader(file))
    assert [row["epoch"] for row in history] == ["1", "2"]
    assert list(history[0]) == ["epoch", "loss", "accuracy", "validation_loss", "validation_accuracy", "seconds"]
    with np.load(folder / "weights.npz", allow_pickle=False) as weights:
        assert sum(weights[name].size for name in weights.files) == 61_706
    with np.load(folder / "probabilities.npz", allow_pickle=False) as kept:
        assert kept["held_out_log_p"].shape == (120, 10)
        assert kept["held_out_rows"].shape == (120,)
        np.testing.assert_allclose(np.exp(kept["test_log_p"]).sum(axis=1), 1, rtol=1e-5)
        labels = submission.parse((folder / "submission.csv").read_bytes(), "submission.csv")
        assert (kept["test_log_p"].argmax(axis=1) == labels).all()
    pictures = {file.name for file in folder.glob("*.png")}
    assert pictures == {"sample-digits.png", "learning-curves.png", "confusion-matrix.png", "challenging-digits.png"}
    assert not list(workspace.folder.rglob("*.tmp"))


def test_the_ledger_contains_the_complete_run(finished):
    workspace, result = finished
    with workspace.existing_ledger() as ledger:
        run = ledger.run(result.run)
        [network] = ledger.networks(run.id)
        [scored] = ledger.scores(result.submission_sha256)
    assert run.recipe == RECIPE
    assert run.recipe_fields == json.loads(json.dumps(asdict(RECIPE)))
    assert (run.status, run.estimate, run.source) == ("done", "holdout", "sample")
    assert (run.n, run.correct) == (120, result.validation.correct)
    assert run.seconds_train == round(result.seconds["train"], 3)
    assert set(run.versions) >= {"backend", "python", "tensorflow", "keras", "numpy"}
    assert run.threads >= 1
    assert (network.name, network.accuracy) == ("lenet5-seed0", result.validation.accuracy)
    assert (scored.correct, scored.n) == (result.score.correct, 597)


def test_folds_and_seeds_are_networks_that_validate_all_rows(workspace, tiny_lenet5):
    result = run(workspace, change(RECIPE, {"epochs": 1, "folds": 2, "seeds": 2}))
    assert result.validation.n == 1200
    assert result.networks == 4
    files = (workspace.submissions / result.run).glob("members/*/weights.npz")
    folders = {file.parent.name for file in files}
    assert folders == {f"lenet5-seed{seed}-fold{fold}" for seed in (0, 1) for fold in (1, 2)}
    with workspace.existing_ledger() as ledger:
        found = ledger.run("last")
        assert found.estimate == "out-of-fold"
        assert {network.name for network in ledger.networks(found.id)} == folders


def test_a_run_that_diverges_is_recorded_as_diverged_and_not_resumed(workspace, capfd):
    wild = {"learning_rate": "10", "weight_decay": "1", "schedule": "constant", "warm_up": "0", "batch_size": "32"}
    words = [word for name, value in wild.items() for word in ("--set", f"{name}={value}")]
    with pytest.raises(SystemExit, match="1"):
        cli.main(["run", "--data", "sample", "--epochs", "20", *words])
    out, err = capfd.readouterr()
    assert "diverged" in err
    assert "run --resume" not in out
    found = record(workspace)
    assert found.status == "diverged"
    left = {file.name.split("-")[0] for file in workspace.submissions.rglob("*") if file.is_file()}
    assert left == {"ledger.sqlite"}  # it diverged in its first epoch
    with pytest.raises(SystemExit, match="2"):
        cli.main(["run", "--resume", "last"])
    assert f" run --from-run {found.name} --set learning_rate=" in " ".join(capfd.readouterr().err.split())


def test_data_that_cannot_be_split_is_refused_before_a_run_is_created(workspace):
    with pytest.raises(InputError, match=r"validation 0\.001: .* Choose another fraction"):
        run(workspace, change(RECIPE, {"validation": 0.001}))
    with workspace.existing_ledger() as ledger:
        assert not ledger.runs()


def test_from_run_repeats_a_run_without_its_folder(finished, command):
    workspace, result = finished
    shutil.rmtree(workspace.submissions / result.run)
    out, err = command("run", "--from-run", result.run, "--name", "first", "--json")
    again = json.loads(out)
    assert "not that of the run" not in err
    assert again["data"] == result.data
    assert again["submission_sha256"] == result.submission_sha256
    assert again["recipe"] == "lenet5"
    assert again["run"] != result.run
    assert "score" not in again


def test_repeating_a_run_on_other_files_is_a_warning(finished, tiny_lenet5, command, tmp_path):
    _, result = finished
    other = tmp_path / "other"
    write_sample(other)
    lines = (other / "train.csv").read_text().splitlines(keepends=True)
    (other / "train.csv").write_text("".join([lines[0], *lines[2:]]))
    out, _ = command("run", "--from-run", result.run, "--data", other, "--epochs", "1")
    assert "Warning: the data is not that of the run that is repeated." in out


def test_another_backend_is_a_warning_for_repeated_runs_and_an_error_for_resumed_ones(finished):
    workspace, result = finished
    of_jax, of_old = (replace(record(workspace, result.run), versions=own) for own in ({"backend": "jax"}, {}))
    reporter = Recording()
    run_plan._check_backend(of_jax, must_match=False, reporter=reporter)
    assert f"run {result.run} was trained with KERAS_BACKEND=jax" in reporter.warnings.pop()
    with pytest.raises(InputError, match=r"KERAS_BACKEND=jax.* Set that variable"):
        run_plan._check_backend(of_jax, must_match=True, reporter=reporter)
    run_plan._check_backend(of_old, must_match=True, reporter=reporter)
    assert not reporter.warnings


def test_without_held_out_rows_all_rows_are_trained_on(workspace, tiny_lenet5):
    result = run(workspace, change(RECIPE, {"validation": 0, "epochs": 1}))
    assert "validation" not in result.to_json()
    assert result.train.n == 1200


def test_a_recipe_file_names_the_run_and_can_resize(workspace, tiny_lenet5, capfd):
    file = workspace.folder / "my recipe.toml"
    file.write_text('fit = "resize"\nepochs = 1\n')
    with pytest.raises(SystemExit) as leave:
        cli.main(["run", "--data", "sample", "--recipe-file", str(file), "--json"])
    assert leave.value.code == 0
    result = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert result["recipe"] == "my recipe"
    assert result["run"].endswith("-my-recipe")
    assert json.loads((workspace.submissions / result["run"] / "recipe.json").read_text())["fit"] == "resize"


# Uploads


@pytest.fixture
def kaggle(workspace, monkeypatch, warm_client):
    """A stand-in for Kaggle with its credentials, and the sample under Kaggle's file names in data/."""
    answers = write_data(workspace).tolist()
    with kaggle_stand_in.kaggle_stand_in(answers) as stand_in:
        for name, value in {**stand_in.environment, "KAGGLE_API_TOKEN": kaggle_stand_in.TOKEN}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(api, "_PACE", 0)
        stand_in.right = answers
        yield stand_in


@pytest.fixture
def mine(kaggle, workspace):
    """A submission of the right labels."""
    return write(kaggle.right, workspace.folder / "mine.csv")


def write(labels, file):
    file.write_bytes(submission.render(np.array(labels)))
    return file


def sha256_of(file):
    return sha256(file.read_bytes()).hexdigest()


def test_an_invalid_file_is_never_uploaded(kaggle, workspace):
    good = submission.render(np.array(kaggle.right))
    bad = {
        "a row less": good[: good.rindex(b"597,")],
        "CRLF": good.replace(b"\n", b"\r\n"),
        "one class": submission.render(np.zeros(597, dtype=int)),
        "an index": b"," + good,
        "nothing": b"",
    }
    file = workspace.folder / "bad.csv"
    for data in bad.values():
        file.write_bytes(data)
        with pytest.raises(InputError):
            submit.submit_file(file, workspace)
    assert kaggle.requests == []


def test_without_credentials_nothing_is_uploaded(mine, workspace, monkeypatch):
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    with pytest.raises(InputError, match="No Kaggle credentials"):
        submit.submit_file(mine, workspace)


def test_the_file_of_a_run_on_the_sample_is_not_uploaded(kaggle, mine, workspace):
    with workspace.open_ledger() as ledger, open_run(ledger, "tried", HEADER) as run:
        ledger.finish_run(run.id, "done", submission_hash=sha256_of(mine))
    with pytest.raises(InputError, match=r"written by run \S+-tried for the built-in sample"):
        submit.submit_file(mine, workspace)
    assert kaggle.requests == []


def test_a_run_on_the_sample_cannot_be_submitted(kaggle, workspace):
    with pytest.raises(InputError, match="built-in sample is not Kaggle's"):
        run(workspace, upload=pipeline.UploadConfig())
    assert kaggle.requests == []


def test_without_data_28000_rows_are_expected(kaggle, mine, workspace):
    for name in ("test.csv", "train.csv"):
        (workspace.data / name).unlink()
    with pytest.raises(InputError, match="28,000"):
        submit.submit_file(mine, workspace)
    assert kaggle.requests == []


def test_the_score_of_a_submitted_run_is_stored_in_its_result(kaggle, workspace, tiny_lenet5):
    recipe, newest = change(RECIPE, {"epochs": 1}), workspace.newest_submission
    result = run(workspace, recipe, data=None, upload=pipeline.UploadConfig("mine"))
    assert result.kaggle.status == "COMPLETE"
    assert 0 < result.kaggle.public_score <= 1
    assert json.loads((workspace.submissions / result.run / "result.json").read_text()) == result.to_json()
    with workspace.existing_ledger() as ledger:
        [kept] = ledger.submissions()
        assert [state.status for state in ledger.submission_states(kept.id)] == [
            *("UPLOADING", "CREATING", "PENDING", "COMPLETE")
        ]
        assert ledger.run("last").public_score == result.kaggle.public_score
    assert (kept.ref, kept.status, kept.public_score) == tuple(asdict(result.kaggle).values())
    [entry] = kaggle.entries
    assert entry.description.startswith(f"mine run {result.run} sha ")
    with pytest.raises(RunError, match=rf"as entry {entry.ref}, public score 0\.\d+\. .* `force`"):
        submit.submit_file(newest, workspace)
    assert len(kaggle.entries) == 1
    assert submit.submit_file(newest, workspace, force=True).ref != entry.ref
    assert len(kaggle.entries) == 2


def test_a_used_up_allowance_is_detected_before_the_training(kaggle, mine, workspace):
    kaggle.allowance = 1
    submit.submit_file(mine, workspace)
    with pytest.raises(RunError, match=r"allowance is used up \(uploads made: 1\).*run without `submit`"):
        run(workspace, data=None, upload=pipeline.UploadConfig())
    assert not workspace.newest_submission.exists()
    with workspace.existing_ledger() as ledger:
        assert ledger.runs() == []


def test_a_refused_upload_keeps_the_file_and_names_the_next_command(kaggle, mine, workspace):
    kaggle.fail("CreateSubmission", 429)
    with pytest.raises(RunError, match=rf"too many requests.*digits submit {mine}"):
        submit.submit_file(mine, workspace)
    assert mine.exists()


def states(workspace):
    with workspace.existing_ledger() as ledger:
        rows = ledger.submissions()
        return [[state.status for state in ledger.submission_states(row.id)] for row in rows]


def test_a_file_without_a_clear_answer_is_uploaded_again_only_with_force(kaggle, mine, workspace):
    kaggle.fail("CreateSubmission", 500, None)
    with pytest.raises(RunError, match=r"not known.*use `force` to upload it"):
        submit.submit_file(mine, workspace)
    for _ in range(2):
        with pytest.raises(RunError, match="an earlier upload got no clear answer"):
            submit.submit_file(mine, workspace)
    assert kaggle.entries == []
    assert submit.submit_file(mine, workspace, force=True).public_score == 1.0
    assert len(kaggle.entries) == 1
    assert states(workspace) == [
        ["UPLOADING", "CREATING", "UNKNOWN"],
        ["UPLOADING", "CREATING", "PENDING", "COMPLETE"],
    ]
    with pytest.raises(RunError, match="Kaggle has this file already"):
        submit.submit_file(mine, workspace)


def test_a_stopped_upload_names_the_command_that_continues_it(mine, monkeypatch, capfd):
    def stop(*arguments, **values):
        raise KeyboardInterrupt

    monkeypatch.setattr(Ledger, "update_submission", stop)
    with pytest.raises(SystemExit, match="130"):
        cli.main(["submit", str(mine)])
    assert f" submit {mine}`." in capfd.readouterr().out


def test_an_upload_that_was_stopped_before_its_entry_is_repeated_by_the_same_command(
    kaggle, mine, workspace, monkeypatch
):
    """No entry is created before its row is in the ledger, even when the disk is full or the process dies."""

    def full(*arguments, **values):
        raise RunError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "update_submission", full)
        with pytest.raises(RunError, match="the disk is full"):
            submit.submit_file(mine, workspace)
    assert "PUT" in kaggle.requests
    assert "CreateSubmission" not in kaggle.requests
    assert states(workspace) == [["UPLOADING"]]
    assert submit.submit_file(mine, workspace).public_score == 1.0
    assert states(workspace) == [["UPLOADING", "CREATING", "PENDING", "COMPLETE"]]


def test_a_file_in_the_ledger_is_not_uploaded_again_while_kaggles_list_lags(kaggle, mine, workspace):
    kaggle.list_lag = 1
    first = submit.submit_file(mine, workspace)
    with pytest.raises(RunError, match="Kaggle has this file already"):
        submit.submit_file(mine, workspace)
    assert [entry.ref for entry in kaggle.entries] == [first.ref]


def test_a_changed_file_in_a_run_folder_is_not_uploaded(kaggle, workspace):
    with workspace.open_ledger() as ledger, open_run(ledger, "mine", replace(HEADER, source="folder")) as run:
        file = write(kaggle.right, run.folder / "submission.csv")
        ledger.finish_run(run.id, "done", submission_hash=sha256_of(file))
    write([*kaggle.right[:-1], (kaggle.right[-1] + 1) % 10], file)
    with pytest.raises(InputError, match=r"does not match the submission of run"):
        submit.submit_file(file, workspace)
    assert kaggle.requests == []
    copy = file.rename(workspace.folder / "elsewhere.csv")
    assert submit.submit_file(copy, workspace).ref == 1001


def test_the_command_that_resumes_repeats_the_options_that_a_run_does_not_store():
    options = {"answers": Path("my answers.csv"), "submit": True, "message": "first try", "force": False}
    assert _resume_options(options) == " --answers 'my answers.csv' --submit --message 'first try'"
    assert _resume_options({"answers": None, "submit": False, "message": "", "force": False}) == ""


def test_two_processes_cannot_upload_a_file_at_once(kaggle, mine, workspace):
    with (
        workspace.open_ledger() as ledger,
        submit._locked(ledger, sha256_of(mine), "mine.csv"),
        pytest.raises(RunError, match="another process"),
    ):
        submit.submit_file(mine, workspace)
    assert kaggle.requests == []
    submit.submit_file(mine, workspace)
    assert not list(workspace.submissions.glob(".*"))


def test_the_same_command_requests_a_score_that_was_not_received(kaggle, mine, workspace):
    kaggle.fail("GetSubmission", 401)
    with pytest.raises(RunError, match="digits submit"):
        submit.submit_file(mine, workspace)
    kaggle.fail("GetSubmission", None)
    assert submit.submit_file(mine, workspace).public_score == 1.0
    assert len(kaggle.entries) == 1
