"""Interrupted and killed runs are resumed and end with the same bits."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict
from math import inf
from pathlib import Path

import numpy as np
import pytest

from digit_recognizer import cli, pipeline
from digit_recognizer.cli.reporter import CommandReporter
from digit_recognizer.errors import DivergedError, InputError, RunError
from digit_recognizer.recipes.catalog import RECIPES
from digit_recognizer.recipes.recipe import change
from digit_recognizer.report.leaderboard import leaderboard
from digit_recognizer.tracking.history import Epoch
from digit_recognizer.tracking.run_dir import read_predictions
from digit_recognizer.tracking.run_record import RunHeader
from digit_recognizer.tracking.run_session import open_run, resume_run
from digit_recognizer.training import checkpoints
from digit_recognizer.training.fit import fit
from digit_recognizer.training.run_plan import NewRun
from digit_recognizer.training.state import Checkpoint, FitHooks
from digit_recognizer.utils.reporter import SILENT, TrainingHooks

NOISY = {"shift": 1, "rotate": 10, "elastic": 0.5, "dropout": 0.3, "clean": 1, "epochs": 3}
ONE = change(RECIPES["quick"], NOISY)
EPOCHS = tuple(Epoch(n, 0.5, 0.9, None, None, float(n)) for n in range(1, 12))
SEVERAL = change(RECIPES["quick"], {**NOISY, "members": [{}, {"batch_size": 64}]})


@pytest.mark.parametrize(("changes", "done"), [({"ema": 0.9}, 1), ({"batch_norm": False}, 3)])
def test_a_training_continues_from_its_checkpoint_with_the_same_bits(changes, done):
    rng = np.random.default_rng(0)
    images, labels = rng.random((300, 32, 32, 1), dtype=np.float32), np.repeat(np.arange(10), 30)
    recipe, kept = change(ONE, changes), []
    uninterrupted, history = fit(recipe, images, labels, hooks=FitHooks(on_checkpoint=kept.append))
    resumed, history_resumed = fit(recipe, images, labels, checkpoint=kept[done - 1])
    for first, second in zip(uninterrupted.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)
    assert history_resumed == history


def test_a_checkpoint_of_another_network_is_refused():
    images, labels = np.zeros((20, 32, 32, 1), np.float32), np.repeat(np.arange(10), 2)
    kept = []
    fit(change(ONE, {"epochs": 1}), images, labels, hooks=FitHooks(on_checkpoint=kept.append))
    with pytest.raises(InputError, match="belongs to another network"):
        fit(change(ONE, {"batch_norm": False}), images, labels, checkpoint=kept[0])


class ScriptedReporter(CommandReporter, TrainingHooks):
    """Interrupts a training at its `epochs`-th epoch over all networks, or before its first step for 0.

    With `asked`, appends each question to that list and agrees.
    """

    def __init__(self, epochs=inf, asked=None):
        super().__init__()
        self.epochs_left, self.asked = epochs, asked

    @contextmanager
    def training(self, epochs, title="training"):
        self.interrupt()
        yield self

    def on_epoch(self, network, epoch):
        self.epochs_left -= 1
        self.interrupt()

    def interrupt(self):
        if self.epochs_left == 0:
            raise KeyboardInterrupt

    def confirm(self, question, otherwise):
        if self.asked is None:
            return super().confirm(question, otherwise)
        self.asked.append(question)
        return True


def train(workspace, recipe, name=None, reporter=SILENT):
    return pipeline.run(pipeline.RunConfig(NewRun("mine", recipe, name), Path("sample")), workspace, reporter)


def newest_run(workspace):
    with workspace.existing_ledger() as ledger:
        return ledger.run("last")


def interrupted(workspace, recipe, epochs):
    """Returns the record of a run that is interrupted at its `epochs`-th epoch over all networks."""
    with pytest.raises(KeyboardInterrupt):
        train(workspace, recipe, reporter=ScriptedReporter(epochs))
    return newest_run(workspace)


def assert_same_predictions(folder, other):
    first, second = read_predictions(folder), read_predictions(other)
    for part in ("rows", "log_p", "test_log_p"):
        np.testing.assert_array_equal(getattr(first, part), getattr(second, part))


def test_an_interrupted_run_is_resumed_and_ends_like_an_uninterrupted_one(workspace, tiny_lenet5, capsys):
    uninterrupted = train(workspace, SEVERAL, "uninterrupted")
    run = interrupted(workspace, SEVERAL, epochs=5)  # three of the first network, two of the second
    assert run.status == "interrupted"
    assert f" run --resume {run.name}" in " ".join(capsys.readouterr().out.split())
    with workspace.existing_ledger() as ledger:
        assert len(ledger.networks(run.id)) == 1
        with pytest.raises(SystemExit, match="0"):
            cli.main(["show", "last"])
        kept = "Trained networks: 1. Last checkpoint: epoch 2."
        assert kept in " ".join(capsys.readouterr().out.split())
        ledger.update_run(run.id, threads=99)

    with pytest.raises(SystemExit, match="0"):
        cli.main(["run", "--resume", str(run.id)])
    assert "Warning: changed since the run began: threads 99 -> " in " ".join(capsys.readouterr().out.split())
    with workspace.existing_ledger() as ledger:
        resumed = ledger.run(run.name)
        names = [[network.name for network in ledger.networks(number)] for number in (1, 2)]
    assert resumed.threads == 99
    assert names[0] == names[1]
    assert resumed.status == "done"
    assert resumed.submission_hash == uninterrupted.submission_sha256
    assert_same_predictions(uninterrupted.submission.parent, resumed.folder)
    kept = [path.name for path in resumed.folder.rglob("*")]
    assert not [name for name in kept if name.startswith(("checkpoint", "."))]


@pytest.mark.slow
def test_a_killed_run_is_resumed_in_another_process_with_the_same_bits(workspace):
    command = [sys.executable, "-c", "from digit_recognizer.cli import main; main()", "run"]
    recipe = change(ONE, {"epochs": 9})
    sets = [f"--set={key}={value}" for key, value in {**NOISY, "epochs": 9}.items()]
    environment = os.environ | {"PYTHONPATH": str(Path(cli.__file__).parents[2]), "PYTHONUNBUFFERED": "1"}
    uninterrupted = train(workspace, recipe)
    with subprocess.Popen(
        [*command, "--recipe=quick", "--data=sample", *sets], stdout=subprocess.PIPE, env=environment, text=True
    ) as process:
        for line in process.stdout:
            if line.startswith("epoch 2"):
                process.kill()
    assert sorted(row.status for row in leaderboard(workspace, every=True)) == ["done", "interrupted"]
    folder = newest_run(workspace).folder
    Path(folder, ".checkpoint-3.npz.abc.digits.tmp").write_bytes(b"torn")
    assert len(list(folder.glob("checkpoint-*.npz"))) == 2
    assert not Path(folder, "checkpoint-9.npz").exists()

    resumed = subprocess.run([*command, "--resume=last"], env=environment, capture_output=True, text=True)
    assert resumed.returncode == 0, resumed.stderr
    assert "Resuming after" in resumed.stdout
    assert [line[:9] for line in resumed.stdout.splitlines() if line.startswith("epoch")] == [
        f"epoch {epoch}/9" for epoch in range(1, 10)
    ]
    result = json.loads((folder / "result.json").read_text())
    assert {**result, "run": "", "submission": "", "seconds": {}} == {
        **json.loads(json.dumps(uninterrupted.to_json())),
        "run": "",
        "submission": "",
        "seconds": {},
        "recipe": "quick",
    }
    assert result["seconds"]["total"] > result["seconds"]["train"]
    with np.load(folder / "weights.npz") as ours, np.load(uninterrupted.submission.parent / "weights.npz") as others:
        for name in ours:
            np.testing.assert_array_equal(ours[name], others[name])
    assert not [path.name for path in folder.iterdir() if path.name.startswith((".", "checkpoint"))]


def test_a_repeated_command_offers_to_resume(workspace, tiny_lenet5, capsys):
    run = interrupted(workspace, ONE, 2)
    again = train(workspace, ONE, reporter=ScriptedReporter())
    output = " ".join(capsys.readouterr().out.split())
    assert f"This is a new run; to resume the other: --resume {run.name}" in output
    assert again.run != run.name

    run = interrupted(workspace, ONE, 2)
    asked = []
    resumed = train(workspace, ONE, reporter=ScriptedReporter(asked=asked))
    assert f"Run {run.name} of this recipe and data was stopped after" in asked[0]
    assert resumed.run == run.name
    assert resumed.submission_sha256 == again.submission_sha256

    def begin(recipe, name=None):
        """Returns the output of a run that is interrupted before its first step."""
        capsys.readouterr()
        with pytest.raises(KeyboardInterrupt):
            train(workspace, recipe, name, ScriptedReporter(0, asked))
        return capsys.readouterr().out

    assert "To resume it" not in begin(ONE)  # nothing of it is kept
    assert len(asked) == 1  # the newest run with checkpoints is finished
    time.sleep(1)  # names of runs contain the second
    interrupted(workspace, ONE, 2)
    begin(change(ONE, {"seed": 1}))
    begin(ONE, "another")
    assert len(asked) == 1
    begin(ONE, "mine")
    assert len(asked) == 2
    for path in Path(workspace.submissions, asked[1].split()[1]).glob("checkpoint-*"):
        path.write_bytes(damaged(path.read_bytes()))
    assert "was stopped and cannot be resumed" in " ".join(begin(ONE).split())


def test_a_run_in_training_is_not_resumed(workspace, tiny_lenet5, capsys):
    run = interrupted(workspace, ONE, 2)
    with workspace.existing_ledger() as ledger:
        ledger.update_run(run.id, status="running")
        with resume_run(ledger, run):
            assert leaderboard(workspace, every=True)[0].status == "running"
            with pytest.raises(SystemExit, match="2"):
                cli.main(["run", "--resume", "last"])
            assert "another process" in " ".join(capsys.readouterr().err.split())
            with pytest.raises(RunError, match="another process"), resume_run(ledger, run):
                pass
            ledger.finish_run(run.id, "done")
        with pytest.raises(RunError, match="was finished"), resume_run(ledger, run):
            pass
        assert ledger.run("last").status == "done"


def test_an_interrupted_student_is_resumed_with_its_teacher(workspace, tiny_lenet5):
    train(workspace, change(ONE, {"epochs": 1}), "tutor")
    student = change(ONE, {"teacher": "tutor"})
    uninterrupted = train(workspace, student)
    interrupted(workspace, student, 2)
    with pytest.raises(SystemExit, match="0"):
        cli.main(["run", "--resume", "last"])
    assert newest_run(workspace).submission_hash == uninterrupted.submission_sha256


def test_a_run_that_cannot_be_resumed_is_refused_before_any_write(workspace, tiny_lenet5, monkeypatch, capsys):
    def refused(*options):
        with pytest.raises(SystemExit, match="2"):
            cli.main(["run", "--resume", *options])
        return " ".join(capsys.readouterr().err.split())

    def update(**values):
        with workspace.existing_ledger() as ledger:
            ledger.update_run(run.id, **values)

    assert f"{workspace.submissions}: no ledger there" in refused("last")
    assert not workspace.submissions.exists()
    run = interrupted(workspace, ONE, 2)
    assert "leave out --epochs" in refused("last", "--epochs", "5")
    assert "leave out --name" in refused("last", "--name", "other")
    assert "leave out --set" in refused("last", "--set", "shift=2")

    elsewhere = workspace.folder / "elsewhere"
    elsewhere.mkdir()
    for name in ("train.csv", "test.csv"):
        lines = (workspace.data / "sample" / name).read_bytes().splitlines(keepends=True)
        (elsewhere / name).write_bytes(b"".join(lines[:-1]))
    assert f"not the training data of run {run.name}" in refused("last", "--data", str(elsewhere))

    files = [run.folder / f"checkpoint-{epoch}.npz" for epoch in (1, 2)]
    contents = [path.read_bytes() for path in files]
    for path, content in zip(files, contents, strict=True):
        path.write_bytes(damaged(content))
    assert "checkpoint-2.npz" in refused("last")
    for path, content in zip(files, contents, strict=True):
        path.write_bytes(content)
    update(recipe=asdict(change(ONE, {"seed": 5})), versions={"keras": "3.0"})
    assert "belongs to another recipe" in refused("last")
    assert [path.read_bytes() for path in files] == contents
    kept = newest_run(workspace)
    assert (kept.status, kept.versions) == ("interrupted", {"keras": "3.0"})
    update(recipe=asdict(ONE), versions={"backend": "tensorflow"})
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert "was trained with KERAS_BACKEND=tensorflow" in refused("last")
    monkeypatch.setenv("KERAS_BACKEND", "numpy")
    assert "expected one of tensorflow, jax, torch" in refused("last")
    assert "there is no run ''" in refused("")


def damaged(content):
    return content[:200] + bytes([content[200] ^ 1]) + content[201:]


def test_a_damaged_checkpoint_is_skipped_for_the_one_before_it(tmp_path):
    for n in (1, 2, 3):
        checkpoints.save_checkpoint(tmp_path, "me", Checkpoint(EPOCHS[:n], (np.full(6, n, np.float32),)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-2.npz", "checkpoint-3.npz"]
    newest, warnings = tmp_path / "checkpoint-3.npz", []
    newest.write_bytes(damaged(newest.read_bytes()))
    found = checkpoints.load_latest_checkpoint(tmp_path, "me", warnings.append)
    assert found.history == EPOCHS[:2]
    assert "checkpoint-3.npz: damaged" in warnings[0]
    assert "continues from epoch 2" in warnings[0]
    checkpoints.delete_checkpoints(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_tenth_epoch_comes_after_the_ninth(tmp_path):
    for n in (9, 10, 11):
        checkpoints.save_checkpoint(tmp_path, "me", Checkpoint(EPOCHS[:n], (np.zeros(1),)))
    assert len(checkpoints.load_latest_checkpoint(tmp_path, "me").history) == 11


def test_nan_is_not_written(tmp_path):
    with pytest.raises(DivergedError, match="contains NaN or infinity"):
        checkpoints.save_checkpoint(tmp_path, "me", Checkpoint(EPOCHS[:1], (np.array([0.0, np.nan]),)))
    assert not list(tmp_path.iterdir())


def test_flipped_bits_of_a_checkpoint_are_refused_or_harmless(tmp_path):
    kept = Checkpoint(EPOCHS[:1], (np.arange(6, dtype=np.float32),))
    checkpoints.save_checkpoint(tmp_path, "me", kept)
    path = tmp_path / "checkpoint-1.npz"
    content, refusals = path.read_bytes(), []
    for position in range(0, 8 * len(content), 5):
        flipped = bytearray(content)
        flipped[position // 8] ^= 1 << position % 8
        path.write_bytes(flipped)
        try:
            found = checkpoints.load_latest_checkpoint(tmp_path, "me")
        except InputError as error:
            refusals.append(str(error))
        else:  # an unused bit, or one in the name of another entry
            assert found.history == kept.history
            assert all((one == np.arange(6)).all() for one in found.variables)
    assert len(refusals) > 100
    assert all("Remove the network's checkpoints" in refusal for refusal in refusals)


def test_a_finished_run_and_a_blend_are_not_resumed(workspace, capsys):
    with workspace.open_ledger() as ledger:
        for kind in ("run", "blend"):
            with open_run(ledger, kind, RunHeader(kind, "x", {}, "", "sample", "", "")) as run:
                ledger.finish_run(run.id, "done")
    for number, reason in (("1", "is finished"), ("2", "is a blend")):
        with pytest.raises(SystemExit, match="2"):
            cli.main(["run", "--resume", number])
        assert reason in " ".join(capsys.readouterr().err.split())
