"""How fast a large ledger is looked at: 200 runs with 2,000 networks, at Kaggle's size, with made-up probabilities.

    python benchmarks/ledger.py PATH

PATH is the folder or zip with the real CSVs. Prints the rows of docs/benchmarks.md.
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
from digit_recognizer.errors import InputError
from digit_recognizer.tracking import run_dir, run_session
from finished_runs import finish_run, said

N_RUNS, N_FOLDS = 200, 10
MEMBER = {"model": "lenet5", "weights": 61_706, "train_n": 37_800, "train_accuracy": 0.999, "train_loss": 0.01}
COMMANDS = (["leaderboard"], ["show", "last"], ["compare", "run199", "run198"], ["report"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, metavar="PATH", help="folder or zip with the real CSVs")
    try:
        source = sources.find(parser.parse_args().data.resolve())
    except InputError as error:
        parser.error(str(error))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("data").mkdir()
        (Path("data") / source.place.name).symlink_to(source.place)
        build(source)
        looks = {f"`digits {' '.join(words)}`": lambda words=words: digits(folder, *words) for words in COMMANDS}
        for name, seconds in in_turn(looks, n=5).items():
            print(f"| {name} | {spread(seconds)} |")


def build(source: sources.Source) -> None:
    """One run with its networks is made up, the others are copies of it under their own rows."""
    train_table, test_table = sources.read(source)
    rng = np.random.default_rng(0)
    answers = rng.integers(0, 10, len(test_table.pixels))
    first = run_dir.SUBMISSIONS / finish_run("first", answers, 6)
    folds = np.array_split(np.arange(len(train_table.labels)), N_FOLDS)
    for fold, rows in enumerate(folds, start=1):
        member = first / "members" / f"lenet5-seed0-fold{fold}"
        labels = train_table.labels[rows]
        run_dir.write_probabilities(member, rows, said(labels, 6, rng), said(answers, 6, rng))
    with run_session.ledger() as book:
        like = {key: value for key, value in book.run("first").items() if key in STORED}
        for number in range(N_RUNS):
            run_id = book.start_run(name=f"run{number:03}", **like)
            correct = 41_500 + number
            book.finish_run(
                run_id, "done", n=42_000, correct=correct, loss=0.1, estimate="out-of-fold", weights=617_060
            )
            shutil.copytree(first, run_dir.SUBMISSIONS / f"run{number:03}", copy_function=os.link)
            for fold in range(N_FOLDS):
                name = f"lenet5-seed0-fold{fold + 1}"
                book.add_member(
                    run_id, name=name, seed=0, fold=fold + 1, accuracy=0.99, loss=0.1, seconds=9.0, **MEMBER
                )


STORED = ("kind", "recipe_name", "recipe", "data", "source", "train_hash", "test_hash", "versions", "cpu", "threads")

if __name__ == "__main__":
    main()
