"""The networks of a run trained in any order by a pool whose processes are killed, against those of one process."""

import os
import signal
from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from random import Random
from time import sleep

import numpy as np

from digit_recognizer.data import sources
from digit_recognizer.data.dataset import read_dataset
from digit_recognizer.recipes.catalog import RECIPES
from digit_recognizer.recipes.recipe import Recipe, change
from digit_recognizer.tracking import run_session
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.training import cross_validation, ensemble
from digit_recognizer.training.parallel import config
from digit_recognizer.training.parallel.config import ExecutionConfig
from seen_from_outside import children_of

from .processes import has_ended, run_process, start_process, wait_for

PROMISE = "the result does not depend on the number of processes, their order or their being killed"
CASES = "runs of two or three networks"
GOAL = 20


def trial(number: int) -> None:
    random = Random(number)
    changes = {"epochs": 3, "shift": 1, "dropout": 0.2, "seed": number, "folds": 2 + number % 2, "threads": 1}
    recipe = change(RECIPES["quick"], changes)
    order = random.sample(range(recipe.folds), recipe.folds)
    output = Path("output")
    assert run_process(partial(_train, recipe, order, 1, "alone"), output=output) == 0, output.read_text()
    if random.random() < 0.3:  # the whole run is killed and resumed
        run_process(partial(_train, recipe, order, 2, "shared"), after=random.uniform(5, 15))
        pid = start_process(partial(_train, recipe, order, 2, "shared"))
    else:
        pid = start_process(partial(_train, recipe, order, 2, "shared"))
        _kill_one_of(pid, random)
    assert wait_for(pid) == 0
    hashes = [sha256(Path(f"{name}.npy").read_bytes()).hexdigest() for name in ("alone", "shared")]
    assert hashes[0] == hashes[1], recipe


def _kill_one_of(pid: int, random: Random) -> None:
    """Kill one of the worker processes: at its start, or while networks are trained."""
    at_start = random.random() < 0.5
    while not (at_start or any(Path("submissions").rglob("checkpoint-*.npz"))) or not (children := children_of(pid)):
        assert not has_ended(pid), "no process was killed"
        sleep(0.01)
    os.kill(random.choice(children), signal.SIGKILL)


def _train(recipe: Recipe, order: Sequence[int], workers: int, name: str) -> None:
    """Train the networks of a run and write their averaged predictions for test.csv."""
    workspace = Workspace()
    data = read_dataset(sources.sample_source(workspace.data / "sample"))
    networks = cross_validation.plan_networks(recipe, data.train.labels)
    with (
        workspace.open_ledger() as ledger,
        config.open_pool(ExecutionConfig(workers), data.train, data.test) as pool,
    ):
        earlier = [run for run in ledger.runs() if run.recipe_name == name]
        header = ensemble.run_header("run", name, recipe, data, workspace.relative(data.source.place), pool)
        opened = run_session.resume_run(ledger, earlier[0]) if earlier else run_session.open_run(ledger, name, header)
        with opened as run:
            predictions = ensemble.train_ensemble(run, [networks[place] for place in order], data, pool=pool)
            np.save(name, predictions.test_log_p)
