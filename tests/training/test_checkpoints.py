"""Runs that are interrupted, in this process or by a kill, and go on to the same bits."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from digit_recognizer import cli, pipeline
from digit_recognizer.errors import DivergedError, InputError, RunError
from digit_recognizer.recipes.recipe import RECIPES, change
from digit_recognizer.report import leaderboard
from digit_recognizer.tracking import run_dir, run_session
from digit_recognizer.training import checkpoints as resuming
from digit_recognizer.training.fit import fit
from digit_recognizer.training.state import Checkpoint, Epoch
from digit_recognizer.utils import console

NOISY = {"shift": 1, "rotate": 10, "elastic": 0.5, "dropout": 0.3, "clean": 1, "epochs": 3}
ONE = change(RECIPES["quick"], NOISY)
EPOCHS = tuple(Epoch(n, 0.5, 0.9, None, None, float(n)) for n in range(1, 12))
SEVERAL = change(RECIPES["quick"], {**NOISY, "members": [{}, {"batch_size": 64}]})


@pytest.mark.parametrize(("changes", "done"), [({"ema": 0.9}, 1), ({"batch_norm": False}, 3)])
def test_a_training_goes_on_from_its_checkpoint_to_the_same_bits(changes, done):
    rng = np.random.default_rng(0)
    images, labels = rng.random((300, 32, 32, 1), dtype=np.float32), np.repeat(np.arange(10), 30)
    recipe, kept = change(ONE, changes), []
    whole = fit(recipe, images, labels, keep=kept.append)
    resumed = fit(recipe, images, labels, begun=kept[done - 1])
    for first, second in zip(whole.model.get_weights(), resumed.model.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)
    assert resumed.history == whole.history


def test_a_checkpoint_of_another_network_is_refused():
    images, labels = np.zeros((20, 32, 32, 1), np.float32), np.repeat(np.arange(10), 2)
    kept = []
    fit(change(ONE, {"epochs": 1}), images, labels, keep=kept.append)
    with pytest.raises(InputError, match="not of this network"):
        fit(change(ONE, {"batch_norm": False}), images, labels, begun=kept[0])


def interrupted(monkeypatch, recipe, epochs):
    """A run that ends at its `epochs`-th epoch, all networks counted; its row."""
    heard = []

    def on_epoch(self, name, epoch):
        heard.append(epoch)
        if len(heard) == epochs:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(console.TrainingLines, "on_epoch", on_epoch)
        with pytest.raises(KeyboardInterrupt):
            pipeline.run(pipeline.RunConfig("mine", recipe, Path("sample")))
    with run_session.ledger() as book:
        return book.run("last")


def probabilities(result):
    return run_dir.read_probabilities(Path("submissions", result["run"]))


def test_an_interrupted_run_goes_on_and_ends_as_one_that_never_stopped(tmp_path, tiny_lenet5, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    whole = pipeline.run(pipeline.RunConfig("mine", SEVERAL, Path("sample"), run_name="whole"))
    row = interrupted(monkeypatch, SEVERAL, epochs=5)  # three of the first network, two of the second
    assert row["status"] == "interrupted"
    assert f"digits run --resume {row['name']}" in " ".join(capsys.readouterr().out.split())
    with run_session.ledger() as book:
        assert len(book.members(row["id"])) == 1
        leaderboard.show_details(leaderboard.run_details("last"))
        kept = "Kept: networks that are done, 1; epoch 2 of the network in training."
        assert kept in " ".join(capsys.readouterr().out.split())
        book.update_run(row["id"], threads=99)

    with pytest.raises(SystemExit, match="0"):
        cli.main(["run", "--resume", str(row["id"])])
    assert "Warning: other than when the run began: threads 99 -> " in " ".join(capsys.readouterr().out.split())
    with run_session.ledger() as book:
        resumed = book.run(row["name"])
        names = [[member["name"] for member in book.members(run)] for run in (1, 2)]
    assert resumed["threads"] == 99
    assert names[0] == names[1]
    assert resumed["status"] == "done"
    assert resumed["submission_hash"] == whole["submission_sha256"]
    for first, second in zip(probabilities(whole), probabilities({"run": row["name"]}), strict=True):
        np.testing.assert_array_equal(first, second)
    kept = [path.name for path in Path("submissions", row["name"]).rglob("*")]
    assert not [name for name in kept if name.startswith(("checkpoint", "."))]


@pytest.mark.slow
def test_a_killed_run_is_known_to_be_dead_and_goes_on_in_another_process_to_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-c", "from digit_recognizer.cli import main; main()", "run"]
    recipe = change(ONE, {"epochs": 9})
    sets = [f"--set={key}={value}" for key, value in {**NOISY, "epochs": 9}.items()]
    environment = os.environ | {"PYTHONPATH": str(Path(cli.__file__).parents[2]), "PYTHONUNBUFFERED": "1"}
    whole = pipeline.run(pipeline.RunConfig("mine", recipe, Path("sample")))
    with subprocess.Popen(
        [*command, "--recipe=quick", "--data=sample", *sets], stdout=subprocess.PIPE, env=environment, text=True
    ) as process:
        for line in process.stdout:
            if line.startswith("epoch 2"):
                process.kill()
    assert sorted(run["status"] for run in leaderboard.leaderboard(every=True)) == ["done", "interrupted"]
    with run_session.ledger() as book:
        killed = book.run("last")
    folder = Path("submissions", killed["name"])
    Path(folder, ".checkpoint-3.npz.abc.digits.tmp").write_bytes(b"torn")
    assert len(list(folder.glob("checkpoint-*.npz"))) == 2
    assert not Path(folder, "checkpoint-9.npz").exists()

    resumed = subprocess.run([*command, "--resume=last"], env=environment, capture_output=True, text=True)
    assert resumed.returncode == 0, resumed.stderr
    assert "Going on after" in resumed.stdout
    assert [line[:9] for line in resumed.stdout.splitlines() if line.startswith("epoch")] == [
        f"epoch {epoch}/9" for epoch in range(1, 10)
    ]
    result = json.loads((folder / "result.json").read_text())
    assert {**result, "run": "", "submission": "", "seconds": {}} == {
        **json.loads(json.dumps(whole)),
        "run": "",
        "submission": "",
        "seconds": {},
        "recipe": "quick",
    }
    assert result["seconds"]["total"] > result["seconds"]["train"]
    with np.load(folder / "weights.npz") as ours, np.load(Path("submissions", whole["run"], "weights.npz")) as others:
        for name in ours:
            np.testing.assert_array_equal(ours[name], others[name])
    assert not [path.name for path in folder.iterdir() if path.name.startswith((".", "checkpoint"))]


def test_the_same_command_again_offers_to_go_on(tmp_path, tiny_lenet5, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    row = interrupted(monkeypatch, ONE, 2)
    again = pipeline.run(pipeline.RunConfig("mine", ONE, Path("sample")))
    told = " ".join(capsys.readouterr().out.split())
    assert f"This is a new one; to go on with that: digits run --resume {row['name']}" in told
    assert again["run"] != row["name"]

    row = interrupted(monkeypatch, ONE, 2)
    asked = []
    monkeypatch.setattr(pipeline, "agrees", lambda question, otherwise: asked.append(question) or True)
    resumed = pipeline.run(pipeline.RunConfig("mine", ONE, Path("sample")))
    assert f"Run {row['name']} of this recipe and data was stopped after" in asked[0]
    assert resumed["run"] == row["name"]
    assert resumed["submission_sha256"] == again["submission_sha256"]

    def begin(recipe, **options):
        """The same, but it ends before its first step."""

        def stop(*_):
            raise KeyboardInterrupt

        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr(console.TrainingLines, "__init__", stop)
            with pytest.raises(KeyboardInterrupt):
                pipeline.run(pipeline.RunConfig("mine", recipe, Path("sample"), **options))
        return capsys.readouterr().out

    assert "To go on" not in begin(ONE)  # nothing of it is kept
    assert len(asked) == 1  # the newest is finished
    time.sleep(1)  # the names of runs tell the second
    interrupted(monkeypatch, ONE, 2)
    begin(change(ONE, {"seed": 1}))
    begin(ONE, run_name="another")
    assert len(asked) == 1
    begin(ONE, run_name="mine")
    assert len(asked) == 2
    for path in Path("submissions", asked[1].split()[1]).glob("checkpoint-*"):
        path.write_bytes(damaged(path.read_bytes()))
    assert "was stopped, and cannot go on" in " ".join(begin(ONE).split())


def test_a_run_in_training_is_left_alone(tmp_path, tiny_lenet5, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    row = interrupted(monkeypatch, ONE, 2)
    with run_session.ledger() as book:
        book.update_run(row["id"], status="running")
        with run_session.resume_run(book, row):
            assert leaderboard.leaderboard(every=True)[0]["status"] == "running"
            with pytest.raises(SystemExit, match="2"):
                cli.main(["run", "--resume", "last"])
            assert "another process" in " ".join(capsys.readouterr().err.split())
            with pytest.raises(RunError, match="another process"), run_session.resume_run(book, row):
                pass
            book.finish_run(row["id"], "done")
        with pytest.raises(RunError, match="was finished"), run_session.resume_run(book, row):
            pass
        assert book.run("last")["status"] == "done"


def test_a_student_that_was_interrupted_goes_on_with_its_teacher(tmp_path, tiny_lenet5, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pipeline.run(pipeline.RunConfig("mine", change(ONE, {"epochs": 1}), Path("sample"), run_name="tutor"))
    student = change(ONE, {"teacher": "tutor"})
    whole = pipeline.run(pipeline.RunConfig("mine", student, Path("sample")))
    interrupted(monkeypatch, student, 2)
    with pytest.raises(SystemExit, match="0"):
        cli.main(["run", "--resume", "last"])
    with run_session.ledger() as book:
        assert book.run("last")["submission_hash"] == whole["submission_sha256"]


def test_what_cannot_be_resumed_is_refused_before_anything_is_done(tmp_path, tiny_lenet5, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def refused(*options):
        with pytest.raises(SystemExit, match="2"):
            cli.main(["run", "--resume", *options])
        return " ".join(capsys.readouterr().err.split())

    assert "the ledger is empty" in refused("last")
    row = interrupted(monkeypatch, ONE, 2)
    assert "leave out --epochs" in refused("last", "--epochs", "5")
    assert "leave out --name" in refused("last", "--name", "other")
    assert "leave out --set" in refused("last", "--set", "shift=2")

    Path("elsewhere").mkdir()
    for name in ("train", "test"):
        lines = Path("data/sample", f"{name}.csv").read_bytes().splitlines(keepends=True)
        Path("elsewhere", f"{name}.csv").write_bytes(b"".join(lines[:-1]))
    assert "other files than" in refused("last", "--data", "elsewhere")

    checkpoints = [Path("submissions", row["name"], f"checkpoint-{epoch}.npz") for epoch in (1, 2)]
    contents = [path.read_bytes() for path in checkpoints]
    for path, content in zip(checkpoints, contents, strict=True):
        path.write_bytes(damaged(content))
    assert "checkpoint-2.npz" in refused("last")
    for path, content in zip(checkpoints, contents, strict=True):
        path.write_bytes(content)
    with run_session.ledger() as book:
        book.update_run(row["id"], recipe=asdict(change(ONE, {"seed": 5})))
        book.update_run(row["id"], versions=json.dumps({"keras": "3.0"}))
    assert "of another recipe" in refused("last")
    assert [path.read_bytes() for path in checkpoints] == contents
    with run_session.ledger() as book:
        kept = book.run("last")
    assert (kept["status"], json.loads(kept["versions"])) == ("interrupted", {"keras": "3.0"})
    with run_session.ledger() as book:
        book.update_run(row["id"], recipe=asdict(ONE), versions=json.dumps({"backend": "tensorflow"}))
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert "was trained by Keras with tensorflow" in refused("last")
    monkeypatch.setenv("KERAS_BACKEND", "numpy")
    assert "expected one of tensorflow, jax, torch" in refused("last")
    assert "there is no run ''" in refused("")


def damaged(content):
    return content[:200] + bytes([content[200] ^ 1]) + content[201:]


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before_it(tmp_path):
    checkpoints = [Checkpoint(EPOCHS[:n], (np.full(6, n, np.float32),)) for n in (1, 2, 3)]
    for checkpoint in checkpoints:
        resuming.save_checkpoint(tmp_path, "me", checkpoint)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-2.npz", "checkpoint-3.npz"]
    newest, told = tmp_path / "checkpoint-3.npz", []
    newest.write_bytes(damaged(newest.read_bytes()))
    found = resuming.load_latest_checkpoint(tmp_path, "me", told.append)
    assert found.history == EPOCHS[:2]
    assert "checkpoint-3.npz: damaged" in told[0]
    assert "goes on from epoch 2" in told[0]
    resuming.delete_checkpoints(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_tenth_epoch_comes_after_the_ninth(tmp_path):
    for n in (9, 10, 11):
        resuming.save_checkpoint(tmp_path, "me", Checkpoint(EPOCHS[:n], (np.zeros(1),)))
    assert len(resuming.load_latest_checkpoint(tmp_path, "me").history) == 11


def test_what_is_no_number_is_never_kept(tmp_path):
    with pytest.raises(DivergedError, match="holds values that are no numbers"):
        resuming.save_checkpoint(tmp_path, "me", Checkpoint(EPOCHS[:1], (np.array([0.0, np.nan]),)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["", "x,y\n1,2\n", "epoch,loss\n1,what\n"])
def test_a_damaged_history_of_a_network_that_is_done_is_refused(tmp_path, content):
    row = {"train_n": 9, "train_accuracy": 0.7, "train_loss": 0.1, "n": None, "seconds": 3.0, "seconds_predict": None}
    run_dir.write_probabilities(tmp_path, np.arange(2), np.zeros((2, 10)), np.zeros((3, 10)))
    Path(tmp_path, "history.csv").write_text(content)
    with pytest.raises(InputError, match=r"history\.csv.*--like"):
        resuming.load_result(tmp_path, row)


def test_no_flipped_bit_of_a_checkpoint_is_a_crash(tmp_path):
    kept = Checkpoint(EPOCHS[:1], (np.arange(6, dtype=np.float32),))
    resuming.save_checkpoint(tmp_path, "me", kept)
    path = tmp_path / "checkpoint-1.npz"
    content, refusals = path.read_bytes(), []
    for position in range(0, 8 * len(content), 5):
        damaged = bytearray(content)
        damaged[position // 8] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            found = resuming.load_latest_checkpoint(tmp_path, "me")
        except InputError as error:
            refusals.append(str(error))
        else:  # a bit that means nothing, or one that names another entry
            assert found.history == kept.history
            assert all((one == np.arange(6)).all() for one in found.variables)
    assert len(refusals) > 100
    assert all("Remove the network's checkpoints" in refusal for refusal in refusals)


def test_a_finished_run_and_a_blend_are_not_resumed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    facts = {"recipe_name": "x", "recipe": {}, "data": "", "source": "sample", "train_hash": "", "test_hash": ""}
    with run_session.ledger() as book:
        for kind in ("run", "blend"):
            with run_session.open_run(book, kind, kind=kind, **facts) as entry:
                book.finish_run(entry.number, "done")
    for number, reason in (("1", "is finished"), ("2", "is a blend")):
        with pytest.raises(SystemExit, match="2"):
            cli.main(["run", "--resume", number])
        assert reason in " ".join(capsys.readouterr().err.split())


def test_history_is_read_back_exactly(tmp_path):
    recipe, kept = change(ONE, {"epochs": 2}), []
    images, labels = np.zeros((20, 32, 32, 1), np.float32), np.repeat(np.arange(10), 2)
    history = fit(recipe, images, labels, keep=kept.append).history
    run_dir.write_history(tmp_path / "history.csv", history)
    run_dir.write_arrays(tmp_path / "weights.npz", {"a/b": np.ones(3)})
    run_dir.write_probabilities(tmp_path, np.arange(2), np.zeros((2, 10)), np.zeros((3, 10)))
    row = {"train_n": 9, "train_accuracy": 0.7, "train_loss": 0.1, "n": None, "seconds": 3.0, "seconds_predict": 1.0}
    found = resuming.load_result(tmp_path, row)
    assert found.history == history
    assert found.history[0].seconds == history[0].seconds
    assert set(found.metrics) == {"train"}
