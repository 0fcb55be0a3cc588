"""`digits run --dry-run`: what it would train, and how long by what the ledger knows."""

from dataclasses import asdict

import numpy as np
import pytest

from digit_recognizer import cli
from digit_recognizer.recipes.recipe import RECIPES, change
from digit_recognizer.tracking import run_dir, run_session
from digit_recognizer.training import estimate
from digit_recognizer.training.parallel.config import IN_PROCESS, ExecutionConfig
from digit_recognizer.utils import environment

RECIPE = change(RECIPES["quick"], {"folds": 3, "epochs": 10})
LABELS = np.arange(1200) % 10


def enter(seconds, epochs, train_n=800, threads=None, model="lenet5"):
    """A run of the ledger with a network that took so long."""
    recipe = change(RECIPES["quick"], {"epochs": epochs, "model": model})
    facts = {"kind": "run", "recipe_name": "quick", "recipe": asdict(recipe), "data": "data", "source": "sample"}
    facts |= {"train_hash": "1", "test_hash": "2", "device": "cpu"} | ({"threads": threads} if threads else {})
    row = {"name": f"{model}-seed0", "model": model, "seed": 0, "weights": 9, "train_n": train_n}
    with run_session.ledger() as book, run_session.open_run(book, "one", **facts) as entry:
        book.add_member(entry.number, **row, train_accuracy=1, train_loss=0, seconds=seconds)


@pytest.mark.usefixtures("workplace")
def test_a_plan_names_each_network_and_nothing_is_written():
    found = estimate.list_networks(RECIPE, LABELS, IN_PROCESS)
    assert [one["name"] for one in found["networks"]] == [f"lenet5-seed0-fold{fold}" for fold in (1, 2, 3)]
    assert {(one["epochs"], one["fitted"], one["held_out"]) for one in found["networks"]} == {(10, 800, 400)}
    assert (found["seconds"], found["at_a_time"]) == (None, 1)
    assert not run_dir.run_folder_names()


@pytest.mark.usefixtures("workplace")
def test_seconds_are_the_median_of_the_same_networks_in_the_ledger():
    enter(40, epochs=10)
    enter(1, epochs=10, model="wide-cnn")
    enter(1, epochs=10, threads=99)
    enter(1, epochs=9)
    enter(1, epochs=10, train_n=799)
    found = estimate.list_networks(RECIPE, LABELS, IN_PROCESS)
    assert [one["seconds"] for one in found["networks"]] == [40, 40, 40]
    assert found["seconds"] == 120
    enter(40, epochs=10, threads=1)
    two = estimate.list_networks(change(RECIPE, {"threads": 1}), LABELS, ExecutionConfig(2))
    assert (two["seconds"], two["at_a_time"]) == (80, 2)  # two of 40 s at once, then the third
    for _ in range(5):
        enter(30, epochs=10)
    assert estimate.list_networks(RECIPE, LABELS, IN_PROCESS)["networks"][0]["seconds"] == 30


@pytest.mark.usefixtures("workplace")
def test_of_a_run_that_goes_on_only_what_is_left_is_planned():
    enter(40, epochs=10)
    with run_session.ledger() as book:
        begun = book.run("last")
    alone = change(RECIPE, {"folds": 0})
    assert len(estimate.list_networks(alone, LABELS, IN_PROCESS)["networks"]) == 1
    assert estimate.list_networks(alone, LABELS, IN_PROCESS, begun)["networks"] == []


@pytest.mark.usefixtures("workplace")
def test_with_gpus_each_network_has_its_own(monkeypatch):
    enter(40, epochs=10)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    found = estimate.list_networks(RECIPE, LABELS, ExecutionConfig(3))
    assert (found["at_a_time"], found["threads"]) == (1, environment.threads())


@pytest.mark.usefixtures("workplace")
def test_the_command_tells_the_plan(capfd):
    with pytest.raises(SystemExit) as leave:
        cli.main(["run", "--data", "sample", "--folds", "2", "--workers", "2", "--dry-run"])
    out = capfd.readouterr().out
    assert leave.value.code == 0
    assert "lenet5-seed0-fold2" in out
    assert "Networks: 2, 2 at a time" in out
    assert "Nothing was trained." in out
