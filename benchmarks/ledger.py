"""Time the commands that read a large ledger: 200 runs with 2,000 networks and random predictions, on Kaggle's data.

    python benchmarks/ledger.py PATH

PATH is the folder or zip with Kaggle's CSVs. Prints the table rows for docs/benchmarks.md.
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from figures import ROOT, digits, in_turn, spread

sys.path.append(str(ROOT / "tests"))

from digit_recognizer.data import sources
from digit_recognizer.data.dataset import read_dataset
from digit_recognizer.errors import InputError
from digit_recognizer.tracking import run_dir
from digit_recognizer.tracking.run_dir import Predictions
from digit_recognizer.tracking.workspace import Workspace
from finished_runs import made_up_log_p, make_finished_run

N_RUNS, N_FOLDS = 200, 10
NETWORK = {"model": "lenet5", "weights": 61_706, "train_n": 37_800, "train_accuracy": 0.999, "train_loss": 0.01}
COMMANDS = (["leaderboard"], ["show", "last"], ["compare", "run199", "run198"], ["report"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, metavar="PATH", help="folder or zip with the real CSVs")
    try:
        place = parser.parse_args().data.resolve()
        sources.find(place, place)
    except InputError as error:
        parser.error(str(error))
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        if place.is_dir():
            workspace.data.symlink_to(place)
        else:
            workspace.data.mkdir()
            (workspace.data / sources.ZIP).symlink_to(place)
        build(workspace)
        commands = {f"`digits {' '.join(words)}`": lambda words=words: digits(folder, *words) for words in COMMANDS}
        for name, seconds in in_turn(commands, n=5).items():
            print(f"| {name} | {spread(seconds)} |")


def build(workspace: Workspace) -> None:
    """Create one run with its networks. The others are copies of its folder with ledger rows of their own."""
    data = read_dataset(sources.find(None, workspace.data))
    rng = np.random.default_rng(0)
    answers = rng.integers(0, 10, len(data.test.pixels))
    first = workspace.submissions / make_finished_run(workspace, "first", answers, 6)
    folds = np.array_split(np.arange(len(data.train.labels)), N_FOLDS)
    for fold, rows in enumerate(folds, start=1):
        labels = data.train.labels[rows]
        predictions = Predictions(rows, made_up_log_p(labels, 6, rng), made_up_log_p(answers, 6, rng))
        run_dir.write_predictions(first / "members" / f"lenet5-seed0-fold{fold}", predictions)
    with workspace.existing_ledger() as ledger:
        original = ledger.run("first")
        columns = {name: getattr(original, name) for name in COPIED}
        columns |= {"recipe": dict(original.recipe_fields), "versions": dict(original.versions)}
        for number in range(N_RUNS):
            run_id = ledger.start_run(name=f"run{number:03}", **columns)
            correct = 41_500 + number
            ledger.finish_run(
                run_id, "done", n=42_000, correct=correct, loss=0.1, estimate="out-of-fold", weights=617_060
            )
            shutil.copytree(first, workspace.submissions / f"run{number:03}", copy_function=os.link)
            for fold in range(N_FOLDS):
                name = f"lenet5-seed0-fold{fold + 1}"
                ledger.add_network(
                    run_id, name=name, seed=0, fold=fold + 1, accuracy=0.99, loss=0.1, seconds=9.0, **NETWORK
                )


COPIED = ("kind", "recipe_name", "data", "source", "train_hash", "test_hash", "cpu", "threads")

if __name__ == "__main__":
    main()
