"""Finished runs on the sample, with random predictions instead of a training."""

from dataclasses import asdict

import numpy as np

from digit_recognizer.data import sources, submission
from digit_recognizer.data.dataset import read_dataset
from digit_recognizer.data.sample import write_sample
from digit_recognizer.evaluation.metrics import validate
from digit_recognizer.evaluation.prediction import average_log_p
from digit_recognizer.recipes.catalog import RECIPES
from digit_recognizer.tracking import run_dir
from digit_recognizer.tracking.run_dir import Predictions
from digit_recognizer.tracking.run_record import RunHeader, RunResult
from digit_recognizer.tracking.run_session import finish_run, open_run


def write_data(workspace, folder=None):
    """Write the sample's files under Kaggle's names, so that they are not taken for the sample; return its answers."""
    sample, folder = workspace.folder / "elsewhere", folder or workspace.data
    write_sample(sample)
    folder.mkdir(exist_ok=True)
    for name in ("train.csv", "test.csv"):
        (folder / name).write_bytes((sample / name).read_bytes())
    answers = sample / "answers.csv"
    return submission.parse(answers.read_bytes(), str(answers))


def made_up_log_p(labels, strength, rng):
    """Return random log-probabilities whose accuracy increases with `strength`."""
    logits = rng.normal(size=(len(labels), 10))
    logits[np.arange(len(labels)), labels] += strength
    return average_log_p([logits])


def make_finished_run(
    workspace, name, answers, strength=3.0, seed=0, rows=None, recipe=RECIPES["lenet5"], recipe_name="lenet5"
):
    """Insert a finished run of one network on the data of the workspace and return its name."""
    rng = np.random.default_rng(seed)
    source = sources.find(None, workspace.data)
    data = read_dataset(source)
    rows = np.arange(len(data.train.labels)) if rows is None else rows
    log_p = made_up_log_p(data.train.labels[rows], strength, rng)
    test_log_p = made_up_log_p(answers, strength, rng)
    place, hashes = workspace.relative(source.place), (data.train.fingerprint, data.test.fingerprint)
    header = RunHeader("run", recipe_name, asdict(recipe), place, source.kind, *hashes, seed=seed)
    with workspace.open_ledger() as ledger, open_run(ledger, name, header) as run:
        file, sha256 = run_dir.write_submission(run.folder, test_log_p.argmax(axis=1))
        run_dir.write_predictions(run.folder, Predictions(rows, log_p, test_log_p))
        ledger.add_network(
            run.id,
            name=f"lenet5-seed{seed}",
            model="lenet5",
            seed=seed,
            weights=61_706,
            train_n=1200,
            train_accuracy=1.0,
            train_loss=0.01,
            seconds=2.0,
        )
        result = RunResult(
            run=run.name,
            recipe=recipe_name,
            weights=61_706,
            submission=file,
            submission_sha256=sha256,
            validation=validate(log_p, data.train.labels[rows]),
            seconds={"train": 2.0, "total": 3.0},
        )
        finish_run(run, result, len(rows) == len(data.train.labels), workspace.newest_submission)
    return run.name
