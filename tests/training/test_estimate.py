"""`digits run --dry-run` lists the networks, with seconds from the ledger."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from digit_recognizer import cli, pipeline
from digit_recognizer.recipes.catalog import RECIPES
from digit_recognizer.recipes.recipe import change
from digit_recognizer.tracking.run_record import RunHeader
from digit_recognizer.tracking.run_session import open_run
from digit_recognizer.training.parallel.config import IN_PROCESS, ExecutionConfig
from digit_recognizer.training.run_plan import NewRun, ResumeRun
from digit_recognizer.utils import environment

RECIPE = change(RECIPES["quick"], {"folds": 3, "epochs": 10})  # on the 1,200 rows of the sample


def insert_run(workspace, seconds, epochs, train_n=800, threads=None, model="lenet5"):
    """Insert a run with a network that was trained for `seconds`."""
    recipe = change(RECIPES["quick"], {"epochs": epochs, "model": model})
    here = environment.current_environment()
    here = replace(here, threads=threads or here.threads)
    header = RunHeader("run", "quick", asdict(recipe), "data", "sample", "1", "2", device="cpu", environment=here)
    row = {"name": f"{model}-seed0", "model": model, "seed": 0, "weights": 9, "train_n": train_n}
    with workspace.open_ledger() as ledger, open_run(ledger, "one", header) as run:
        ledger.add_network(run.id, **row, train_accuracy=1, train_loss=0, seconds=seconds)


def estimate(workspace, recipe, execution=IN_PROCESS):
    config = pipeline.RunConfig(NewRun("quick", recipe), Path("sample"), execution=execution)
    return pipeline.estimate(config, workspace)


def test_an_estimate_names_each_network_and_nothing_is_written(workspace):
    found = estimate(workspace, RECIPE)
    assert [network.name for network in found.networks] == [f"lenet5-seed0-fold{fold}" for fold in (1, 2, 3)]
    assert {(network.epochs, network.fitted, network.held_out) for network in found.networks} == {(10, 800, 400)}
    assert (found.seconds, found.at_a_time) == (None, 1)
    assert not workspace.submissions.exists()


def test_seconds_are_the_median_of_the_same_networks_in_the_ledger(workspace):
    insert_run(workspace, 40, epochs=10)
    insert_run(workspace, 1, epochs=10, model="wide-cnn")
    insert_run(workspace, 1, epochs=10, threads=99)
    insert_run(workspace, 1, epochs=9)
    insert_run(workspace, 1, epochs=10, train_n=799)
    found = estimate(workspace, RECIPE)
    assert [network.seconds for network in found.networks] == [40, 40, 40]
    assert found.seconds == 120
    insert_run(workspace, 40, epochs=10, threads=1)
    two = estimate(workspace, change(RECIPE, {"threads": 1}), ExecutionConfig(2))
    assert (two.seconds, two.at_a_time) == (80, 2)  # two of 40 s at once, then the third
    for _ in range(5):
        insert_run(workspace, 30, epochs=10)
    assert estimate(workspace, RECIPE).networks[0].seconds == 30


def test_for_a_resumed_run_only_unfinished_networks_are_listed(workspace):
    insert_run(workspace, 40, epochs=10)
    with workspace.existing_ledger() as ledger:
        run = ledger.run("last")
    alone = change(RECIPE, {"folds": 0})
    assert run.recipe == alone
    assert len(estimate(workspace, alone).networks) == 1
    assert pipeline.estimate(pipeline.RunConfig(ResumeRun(run), Path("sample")), workspace).networks == ()


def test_each_network_needs_a_gpu_if_there_are_any(workspace, monkeypatch):
    insert_run(workspace, 40, epochs=10)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    found = estimate(workspace, RECIPE, ExecutionConfig(3))
    assert (found.at_a_time, found.threads) == (1, environment.threads())


@pytest.mark.usefixtures("workspace")
def test_the_command_prints_the_estimate(capfd):
    with pytest.raises(SystemExit) as leave:
        cli.main(["run", "--data", "sample", "--folds", "2", "--workers", "2", "--dry-run"])
    out = capfd.readouterr().out
    assert leave.value.code == 0
    assert "lenet5-seed0-fold2" in out
    assert "2 networks, 2 at a time with " in out
    assert "Nothing was trained." in out
