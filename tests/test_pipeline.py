"""The main job, whole, on the built-in sample, and with the real client against a stand-in for Kaggle."""

import csv
import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

import kaggle_stand_in
from digit_recognizer import cli, pipeline
from digit_recognizer.competition import api, submit
from digit_recognizer.data import submission
from digit_recognizer.data.sample import write_sample
from digit_recognizer.errors import InputError, RunError
from digit_recognizer.evaluation.metrics import score
from digit_recognizer.recipes.recipe import RECIPES, change
from digit_recognizer.tracking import run_session

FACTS = {
    "kind": "run",
    "recipe_name": "lenet5",
    "recipe": {},
    "data": "data/sample",
    "source": "sample",
    "train_hash": "1-a",
    "test_hash": "1-b",
}
RECIPE = change(RECIPES["lenet5"], {"epochs": 2})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One run on the sample: its folder and the record it returned."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        answers = Path("data/sample/answers.csv")
        pipeline.sources.sample_source()
        result = pipeline.run(pipeline.RunConfig("lenet5", RECIPE, Path("sample"), answers, run_name="first"))
    return folder, result


def test_submission_is_kaggles_form_byte_for_byte(finished):
    folder, result = finished
    data = (folder / result["submission"]).read_bytes()
    submission.check_upload(data, "submission.csv", 597)
    assert data.startswith(b"ImageId,Label\n1,")
    assert (folder / "submissions" / "submission.csv").read_bytes() == data


def test_record_holds_what_was_promised_and_is_kept(finished):
    folder, result = finished
    assert result["recipe"] == result["model"] == "lenet5"
    assert result["weights"] == 61_706
    assert result["validation"]["n"] == 120
    assert result["validation"]["error"] == pytest.approx(1 - result["validation"]["accuracy"])
    assert {"read", "train", "predict", "total"} <= set(result["seconds"])
    assert json.loads((folder / "submissions" / result["run"] / "result.json").read_text()) == result


def test_score_in_the_record_is_what_scoring_the_file_gives(finished):
    folder, result = finished
    labels, answers = (
        submission.parse((folder / file).read_bytes(), str(file))
        for file in (result["submission"], Path("data/sample/answers.csv"))
    )
    scored = score(labels, answers)
    assert result["score"]["accuracy"] == scored.accuracy
    assert result["score"]["correct"] == scored.correct


def test_run_folder_holds_recipe_history_probabilities_weights_and_pictures(finished):
    folder, result = finished
    run = folder / "submissions" / result["run"]
    assert json.loads((run / "recipe.json").read_text()) == json.loads(json.dumps(asdict(RECIPE)))
    with (run / "history.csv").open() as file:
        history = list(csv.DictReader(file))
    assert [row["epoch"] for row in history] == ["1", "2"]
    assert list(history[0]) == ["epoch", "loss", "accuracy", "validation_loss", "validation_accuracy", "seconds"]
    with np.load(run / "weights.npz", allow_pickle=False) as weights:
        assert sum(weights[name].size for name in weights.files) == 61_706
    with np.load(run / "probabilities.npz", allow_pickle=False) as kept:
        assert kept["held_out_log_p"].shape == (120, 10)
        assert kept["held_out_rows"].shape == (120,)
        np.testing.assert_allclose(np.exp(kept["test_log_p"]).sum(axis=1), 1, rtol=1e-5)
        labels = submission.parse((run / "submission.csv").read_bytes(), "submission.csv")
        assert (kept["test_log_p"].argmax(axis=1) == labels).all()
    pictures = {file.name for file in run.glob("*.png")}
    assert pictures == {"sample-digits.png", "learning-curves.png", "confusion-matrix.png", "challenging-digits.png"}
    assert not list(folder.rglob("*.tmp"))


def test_the_ledger_holds_the_run_whole(finished, monkeypatch):
    folder, result = finished
    monkeypatch.chdir(folder)
    with run_session.ledger() as book:
        run = book.run(result["run"])
        [member] = book.members(run["id"])
        [scored] = book.scores(result["submission_sha256"])
    assert json.loads(run["recipe"]) == json.loads(json.dumps(asdict(RECIPE)))
    assert (run["status"], run["estimate"], run["source"]) == ("done", "holdout", "sample")
    assert (run["n"], run["correct"]) == (120, result["validation"]["correct"])
    assert run["seconds_train"] == result["seconds"]["train"]
    assert set(json.loads(run["versions"])) >= {"backend", "python", "tensorflow", "keras", "numpy"}
    assert run["threads"] >= 1
    assert (member["name"], member["accuracy"]) == ("lenet5-seed0", result["validation"]["accuracy"])
    assert (scored["correct"], scored["n"]) == (result["score"]["correct"], 597)


def test_folds_and_seeds_are_written_as_members_and_estimate_all_rows(workplace, tiny_lenet5):
    recipe = change(RECIPE, {"epochs": 1, "folds": 2, "seeds": 2})
    result = pipeline.run(pipeline.RunConfig("lenet5", recipe, Path("sample")))
    assert result["validation"]["n"] == 1200
    assert result["networks"] == 4
    folders = {file.parent.name for file in Path("submissions", result["run"]).glob("members/*/weights.npz")}
    assert folders == {f"lenet5-seed{seed}-fold{fold}" for seed in (0, 1) for fold in (1, 2)}
    with run_session.ledger() as book:
        run = book.run("last")
        assert run["estimate"] == "out-of-fold"
        assert {member["name"] for member in book.members(run["id"])} == folders


def test_a_run_that_diverges_is_entered_as_diverged_and_not_resumed(workplace, capsys):
    wild = {"learning_rate": 10, "weight_decay": 1, "schedule": "constant", "warm_up": 0, "epochs": 20}
    with pytest.raises(RunError, match="diverged"):
        pipeline.run(pipeline.RunConfig("lenet5", change(RECIPE, wild | {"batch_size": 32}), Path("sample")))
    with run_session.ledger() as book:
        run = book.run("last")
    assert run["status"] == "diverged"
    left = {file.name.split("-")[0] for file in Path("submissions").rglob("*") if file.is_file()}
    assert left == {"ledger.sqlite"}  # it diverged in its first epoch
    assert "digits run --resume" not in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        cli.main(["run", "--resume", "last"])
    assert f"digits run --like {run['name']} --set learning_rate=" in " ".join(capsys.readouterr().err.split())


def test_what_cannot_be_split_is_refused_before_a_run_is_made(workplace):
    with pytest.raises(InputError, match="does not hold each digit"):
        pipeline.run(pipeline.RunConfig("lenet5", change(RECIPE, {"validation": 0.001}), Path("sample")))
    with run_session.ledger() as book:
        assert not book.runs()


def test_like_repeats_a_run_from_its_row_alone(finished, monkeypatch, capfd):
    folder, result = finished
    monkeypatch.chdir(folder)
    shutil.rmtree(Path("submissions", result["run"]))
    with pytest.raises(SystemExit):
        cli.main(["run", "--like", result["run"], "--name", "first", "--json"])
    out, err = capfd.readouterr()
    again = json.loads(out)
    assert "other files" not in err
    assert again["data"] == result["data"]
    assert again["submission_sha256"] == result["submission_sha256"]
    assert again["recipe"] == "lenet5"
    assert again["run"] != result["run"]
    assert "score" not in again


def test_a_run_repeated_on_other_files_is_warned_of(finished, tiny_lenet5, monkeypatch, capfd):
    folder, result = finished
    monkeypatch.chdir(folder)
    other = Path("other")
    write_sample(other)
    lines = (other / "train.csv").read_text().splitlines(keepends=True)
    (other / "train.csv").write_text("".join([lines[0], *lines[2:]]))
    with pytest.raises(SystemExit):
        cli.main(["run", "--like", result["run"], "--data", "other", "--epochs", "1"])
    assert "other files than the run" in " ".join(capfd.readouterr().out.split())


def test_a_run_repeated_with_another_backend_is_warned_of_and_one_that_goes_on_refused(workplace, capfd):
    of_jax, of_old = ({"name": "old", "versions": text} for text in ('{"backend": "jax"}', "{}"))
    pipeline._compare_backend(of_jax, resumes=False)
    assert "Warning: run old was trained by Keras with jax" in capfd.readouterr().out
    with pytest.raises(InputError, match="Set KERAS_BACKEND=jax to go on"):
        pipeline._compare_backend(of_jax, resumes=True)
    pipeline._compare_backend(of_old, resumes=True)
    assert not capfd.readouterr().out


def test_nothing_held_out_trains_on_all_rows(workplace, tiny_lenet5):
    recipe = change(RECIPE, {"validation": 0, "epochs": 1})
    result = pipeline.run(pipeline.RunConfig("lenet5", recipe, Path("sample")))
    assert "validation" not in result
    assert result["train"]["n"] == 1200


def test_a_recipe_file_names_the_run_and_may_resize(workplace, tiny_lenet5, capfd):
    Path("my recipe.toml").write_text('fit = "resize"\nepochs = 1\n')
    with pytest.raises(SystemExit) as leave:
        cli.main(["run", "--data", "sample", "--recipe-file", "my recipe.toml", "--json"])
    assert leave.value.code == 0
    result = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert result["recipe"] == "my recipe"
    assert result["run"].endswith("-my-recipe")
    assert json.loads(Path("submissions", result["run"], "recipe.json").read_text())["fit"] == "resize"


# Sending


@pytest.fixture
def kaggle(workplace, monkeypatch, warm_client):
    """A stand-in for Kaggle with credentials for it, and the sample under Kaggle's names in data/."""
    write_sample(Path("elsewhere"))
    Path("data").mkdir()
    for name in ("train.csv", "test.csv"):
        Path("elsewhere", name).rename(Path("data", name))
    answers = submission.parse(Path("elsewhere/answers.csv").read_bytes(), "answers").tolist()
    with kaggle_stand_in.kaggle_stand_in(answers) as stand_in:
        for name, value in {**stand_in.environment, "KAGGLE_API_TOKEN": kaggle_stand_in.TOKEN}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(api, "LOOKUP_PAUSES", (0.1, 0.1))
        stand_in.right = answers
        yield stand_in


def write(labels, name="mine.csv"):
    Path(name).write_bytes(submission.render(np.array(labels)))
    return Path(name)


def test_a_file_that_does_not_pass_the_gate_never_reaches_kaggle(kaggle):
    good = submission.render(np.array(kaggle.right))
    bad = {
        "a row less": good[: good.rindex(b"597,")],
        "CRLF": good.replace(b"\n", b"\r\n"),
        "one class": submission.render(np.zeros(597, dtype=int)),
        "an index": b"," + good,
        "nothing": b"",
    }
    for data in bad.values():
        Path("bad.csv").write_bytes(data)
        with pytest.raises(InputError):
            submit.submit_file(Path("bad.csv"))
    assert kaggle.requests == []


def test_a_good_file_without_credentials_is_told_where_to_get_them(kaggle, monkeypatch):
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    with pytest.raises(InputError, match="No Kaggle credentials"):
        submit.submit_file(write(kaggle.right))


def test_the_file_of_a_run_on_the_sample_is_not_sent(kaggle):
    file = write(kaggle.right)
    with run_session.ledger() as book, run_session.open_run(book, "tried", **FACTS) as entry:
        book.finish_run(entry.number, "done", submission_hash=run_session.hash_of(file))
    with pytest.raises(InputError, match="tried made it for the built-in sample"):
        submit.submit_file(file)
    assert kaggle.requests == []


def test_a_run_on_the_sample_cannot_be_submitted(kaggle):
    with pytest.raises(InputError, match="built-in sample is not Kaggle's"):
        pipeline.run(pipeline.RunConfig("lenet5", RECIPE, Path("sample"), submit=True))
    assert kaggle.requests == []


def test_without_data_as_many_rows_as_kaggles_are_expected(kaggle):
    Path("data/test.csv").unlink()
    Path("data/train.csv").unlink()
    with pytest.raises(InputError, match="28,000"):
        submit.submit_file(write(kaggle.right))
    assert kaggle.requests == []


def test_the_score_of_a_submitted_run_is_kept_in_its_record(kaggle, tiny_lenet5):
    result = pipeline.run(pipeline.RunConfig("lenet5", change(RECIPE, {"epochs": 1}), submit=True, message="mine"))
    assert result["kaggle"]["status"] == "COMPLETE"
    assert 0 < result["kaggle"]["public_score"] <= 1
    assert json.loads(Path("submissions", result["run"], "result.json").read_text()) == result
    with run_session.ledger() as book:
        [kept] = book.submissions()
        assert [row["status"] for row in book.submission_states(kept["id"])] == [
            *("UPLOADING", "CREATING", "PENDING", "COMPLETE")
        ]
        assert book.run("last")["public_score"] == result["kaggle"]["public_score"]
    assert {key: kept[key] for key in result["kaggle"]} == result["kaggle"]
    [entry] = kaggle.entries
    assert entry.description.startswith(f"mine run {result['run']} sha ")
    with pytest.raises(RunError, match=rf"as entry {entry.ref}, public score 0\.\d+\. A copy .* --again"):
        submit.submit_file(Path("submissions/submission.csv"))
    assert len(kaggle.entries) == 1
    assert submit.submit_file(Path("submissions/submission.csv"), again=True)["ref"] != entry.ref
    assert len(kaggle.entries) == 2


def test_a_day_without_allowance_is_noticed_before_the_training(kaggle):
    kaggle.allowance = 1
    submit.submit_file(write(kaggle.right))
    with pytest.raises(RunError, match=r"allowance is used up \(1 sent\).*run without --submit"):
        pipeline.run(pipeline.RunConfig("lenet5", RECIPE, submit=True))
    assert not Path("submissions/submission.csv").exists()
    with run_session.ledger() as book:
        assert book.runs() == []


def test_a_refused_upload_keeps_the_file_and_says_how_to_go_on(kaggle):
    kaggle.fail("CreateSubmission", 429)
    with pytest.raises(RunError, match=r"too many requests.*digits submit mine\.csv"):
        submit.submit_file(write(kaggle.right))


def states(kaggle):
    with run_session.ledger() as book:
        return [[state["status"] for state in book.submission_states(row["id"])] for row in book.submissions()]


def test_a_file_of_unclear_fate_is_not_sent_again_unless_told_so(kaggle):
    kaggle.fail("CreateSubmission", 500, None)
    with pytest.raises(RunError, match=r"not known.*--again sends it"):
        submit.submit_file(write(kaggle.right))
    for _ in range(2):
        with pytest.raises(RunError, match="an earlier upload of it came to no clear answer"):
            submit.submit_file(Path("mine.csv"))
    assert kaggle.entries == []
    assert submit.submit_file(Path("mine.csv"), again=True)["public_score"] == 1.0
    assert len(kaggle.entries) == 1
    assert states(kaggle) == [["UPLOADING", "CREATING", "UNKNOWN"], ["UPLOADING", "CREATING", "PENDING", "COMPLETE"]]
    with pytest.raises(RunError, match="Kaggle has this file already"):
        submit.submit_file(Path("mine.csv"))


def test_who_stops_an_upload_is_told_how_to_go_on(kaggle, monkeypatch, capfd):
    def stop(*arguments, **values):
        raise KeyboardInterrupt

    monkeypatch.setattr(run_session.Ledger, "update_submission", stop)
    with pytest.raises(KeyboardInterrupt):
        submit.submit_file(write(kaggle.right))
    assert "To go on from here: `digits submit mine.csv`." in capfd.readouterr().out


def test_a_file_whose_upload_was_stopped_before_its_entry_is_sent_by_the_same_command(kaggle, monkeypatch):
    """No entry is created before the ledger says so, as when its disk is full then, or the process dies."""

    def full(*arguments, **values):
        raise RunError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(run_session.Ledger, "update_submission", full)
        with pytest.raises(RunError, match="the disk is full"):
            submit.submit_file(write(kaggle.right))
    assert "PUT" in kaggle.requests
    assert "CreateSubmission" not in kaggle.requests
    assert states(kaggle) == [["UPLOADING"]]
    assert submit.submit_file(Path("mine.csv"))["public_score"] == 1.0
    assert states(kaggle) == [["UPLOADING", "CREATING", "PENDING", "COMPLETE"]]


def test_a_file_that_the_ledger_knows_is_not_sent_again_though_kaggles_list_lags(kaggle):
    kaggle.list_lag = 1
    first = submit.submit_file(write(kaggle.right))
    with pytest.raises(RunError, match="Kaggle has this file already"):
        submit.submit_file(Path("mine.csv"))
    assert [entry.ref for entry in kaggle.entries] == [first["ref"]]


def test_a_file_in_a_runs_folder_that_is_not_what_the_run_wrote_is_not_sent(kaggle):
    with run_session.ledger() as book, run_session.open_run(book, "mine", **FACTS | {"source": "folder"}) as entry:
        file = write(kaggle.right, entry.folder / "submission.csv")
        book.finish_run(entry.number, "done", submission_hash=run_session.hash_of(file))
    write([*kaggle.right[:-1], (kaggle.right[-1] + 1) % 10], file)
    with pytest.raises(InputError, match=r"not what run .* wrote, so it is damaged"):
        submit.submit_file(file)
    assert kaggle.requests == []
    file.rename("elsewhere.csv")
    assert submit.submit_file(Path("elsewhere.csv"))["ref"] == 1001


def test_the_command_that_goes_on_names_what_is_no_part_of_the_run():
    job = pipeline.RunConfig("x", RECIPE, answers=Path("my answers.csv"), submit=True, message="first try")
    assert pipeline._again(job) == " --answers 'my answers.csv' --submit --message 'first try'"
    assert pipeline._again(pipeline.RunConfig("x", RECIPE)) == ""


def test_a_second_process_is_kept_out_while_the_first_sends(kaggle):
    file = write(kaggle.right)
    with run_session.ledger():
        first = submit._nobody_else_sends(run_session.hash_of(file), "mine.csv")
    with first, pytest.raises(RunError, match="another process"):
        submit.submit_file(file)
    assert kaggle.requests == []
    submit.submit_file(file)
    assert not list(Path("submissions").glob(".*"))


def test_a_score_that_is_lost_on_the_way_is_asked_for_by_the_same_command(kaggle):
    kaggle.fail("GetSubmission", 401)
    with pytest.raises(RunError, match="digits submit"):
        submit.submit_file(write(kaggle.right))
    kaggle.fail("GetSubmission", None)
    assert submit.submit_file(Path("mine.csv"))["public_score"] == 1.0
    assert len(kaggle.entries) == 1
