"""The networks of a run, each by a process of its own, in any order, some killed, against one process for all."""

from functools import partial
from hashlib import sha256
from pathlib import Path
from random import Random

import numpy as np

from digit_recognizer import bookkeeping, crossval, runs, sources, train, training
from digit_recognizer.recipes import RECIPES, Recipe, change

from .actors import forked

PROMISE = "the same result by any number of processes, in any order, killed or not"
CASES = "runs of two or three networks"
GOAL = 20


def trial(number: int) -> None:
    random = Random(number)
    changes = {"epochs": 2, "shift": 1, "dropout": 0.2, "seed": number, "folds": 2 + number % 2}
    recipe = change(RECIPES["quick"], changes)
    output = Path("output")
    assert forked(partial(_train, recipe, list(range(recipe.folds)), "serial"), output=output) == 0, output.read_text()
    for place in random.sample(range(recipe.folds), recipe.folds):
        if random.random() < 0.5:
            forked(partial(_train, recipe, [place], "shared"), after=random.uniform(1, 6))
        assert forked(partial(_train, recipe, [place], "shared"), output=output) == 0, output.read_text()
    assert forked(partial(_train, recipe, [], "shared"), output=output) == 0, output.read_text()
    hashes = [sha256(Path(f"{name}.npy").read_bytes()).hexdigest() for name in ("serial", "shared")]
    assert hashes[0] == hashes[1], recipe


def _train(recipe: Recipe, places: list[int], name: str) -> None:
    """Train some networks of a run; when all are done, write what they say together."""
    source = sources.sample_source()
    data = training.Data(source, *sources.read(source))
    train.start_backend()
    members = crossval.plan(recipe, data.train.labels)
    with bookkeeping.ledger() as book:
        rows = [run for run in book.runs() if run["recipe_name"] == name]
        facts = training.facts("run", name, recipe, data)
        opened = bookkeeping.entered_again(book, rows[0]) if rows else bookkeeping.entered(book, name, **facts)
        with opened as entry:
            done = {row["name"] for row in book.members(entry.number)}
            for place in [place for place in places if members[place].name not in done]:
                folder = runs.member_folder(entry.folder, members[place].name, len(members))
                outcome = training._train_one(members[place], data, folder, _nothing, _nothing, (), True)
                training._enter(entry, members[place], outcome, folder)
            if len(places) != 1:
                np.save(name, training.train(entry, members, data).test_log_p)


def _nothing(*_: object) -> None:
    pass
