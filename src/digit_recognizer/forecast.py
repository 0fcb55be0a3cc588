"""`digits run --dry-run`: which networks a run would train, how long by the ledger, and in how much memory."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from . import fetching, sources, surroundings
from .bookkeeping import ledger
from .crossval import Member, n_networks, plan
from .ledger import Ledger, Row
from .models import MODELS
from .places import Places
from .recipes import Recipe, from_record
from .terminal import say, show_table
from .voices import own_recipe

_NEAREST = 5  # networks of the ledger, at most, whose median is told
# Bytes of a process before it sees an image, and how often float32 images are held: within a fifth of the peaks in
# docs/benchmarks.md on Kaggle's data.
_BASE, _COPIES = 850e6, 2.5


Known = dict[str, list[tuple[int, float]]]  # by model: images seen in all epochs, and seconds


def forecast(
    recipe: Recipe, data: Path | None, places: Places, resumed: Row | None = None, as_it_was: bool = False
) -> dict[str, Any]:
    """What a run by this recipe would do: {networks, threads, at_a_time, seconds, bytes}.

    `seconds` is None where the ledger does not tell, `at_a_time` on a cluster, which has as many workers as it has.

    Of a run that is `resumed`, what is left to do, but for the epochs of networks that were begun. The recipe of one
    that is repeated `as_it_was` gets no threads by `places`.

    Raises InputError as a run does; leaves no run, but the data as a run finds or fetches it.
    """
    places = places.used_by(n_networks(recipe))
    source = fetching.find_data(data)
    train, test = sources.read(source)
    recipe = recipe if resumed or as_it_was else places.with_threads(recipe)
    with ledger() as book:
        done = {row["name"] for row in book.members(resumed["id"])} if resumed else set()
        members = [member for member in plan(recipe, train.labels) if member.name not in done]
        known = _known(book, recipe.threads or surroundings.threads())
    found = [_network(member, known, len(test.pixels)) for member in members]
    at_a_time = None if places.cluster else min(places.workers, len(members))
    return {
        "networks": found,
        "threads": recipe.threads or surroundings.threads(),
        "at_a_time": at_a_time,
        "seconds": _total([one["seconds"] for one in found], at_a_time or 1),
        "bytes": sum(sorted((one["bytes"] for one in found), reverse=True)[: at_a_time or 1]),
    }


def show(found: dict[str, Any]) -> None:
    """Print the plan."""
    rows = [
        [
            one["name"],
            f"{one['epochs']:,}",
            f"{one['fitted']:,}",
            f"{one['held_out']:,}",
            "-" if one["seconds"] is None else f"{one['seconds']:,.0f}",
            f"{one['bytes'] / 1e9:.1f}",
        ]
        for one in found["networks"]
    ]
    if not rows:
        return say("All networks are trained; what is left is to write the submission.")
    n, at_a_time, seconds = len(rows), found["at_a_time"], found["seconds"]
    show_table(["network", "epochs", "images", "held out", "s", "GB"], rows, spare=("held out",))
    how = "one for each worker of the cluster" if at_a_time is None else f"{at_a_time} at a time"
    took = "no network of these was trained by as many threads yet" if seconds is None else f"about {seconds:,.0f} s"
    in_turn = " one after another" if at_a_time is None else ""
    say(f"Networks: {n}, {how}, threads for each: {found['threads']}; {took}{in_turn}.")
    where = "each" if at_a_time is None else "at a time"
    say(f"Memory: about {found['bytes'] / 1e9:.1f} GB {where}. Nothing was trained.")


def _network(member: Member, known: Known, n_test: int) -> dict[str, Any]:
    recipe, n_fitted, n_held_out = member.recipe, len(member.fitted), len(member.held_out)
    n_asked = n_fitted + n_held_out + n_test * member.labels_test
    side = MODELS[recipe.model].side
    return {
        "name": member.name,
        "model": recipe.model,
        "epochs": recipe.epochs,
        "fitted": n_fitted,
        "held_out": n_held_out,
        "seconds": _seconds(known.get(recipe.model, []), n_fitted * recipe.epochs),
        "bytes": _BASE + _COPIES * 4 * side * side * n_asked,
    }


def _known(book: Ledger, threads: int) -> Known:
    """What networks of each model took that this machine trained by as many threads: images seen, and seconds."""
    known: Known = {}
    here = surroundings.cpu(), threads
    alike = [run for run in book.runs() if run["kind"] != "blend" and (run["cpu"], run["threads"]) == here]
    for run in alike:
        if run["device"] != alike[0]["device"]:  # the newest has what Keras computes on now
            continue
        recipe = from_record(json.loads(run["recipe"]))
        for row in book.members(run["id"]):
            n_seen = row["train_n"] * own_recipe(recipe, row["name"]).epochs
            known.setdefault(row["model"], []).append((n_seen, row["seconds"]))
    return known


def _seconds(known: Sequence[tuple[int, float]], n_seen: int) -> float | None:
    """How long a network takes that sees so many images, by those that saw about as many: starting is a part of it.

    Next to one that saw nearly as many, others that saw far fewer or more tell nothing.
    """

    def distance(one: tuple[int, float]) -> float:
        return abs(math.log(one[0] / n_seen))

    nearest = sorted(known, key=distance)[:_NEAREST]
    alike = [one for one in nearest if distance(one) < distance(nearest[0]) + math.log(2)]
    return median(seconds * n_seen / seen for seen, seconds in alike) if alike else None


def _total(seconds: Sequence[float | None], at_a_time: int) -> float | None:
    """How long so many at a time take, each begun as soon as one ends."""
    ends = [0.0] * at_a_time
    for one in seconds:
        if one is None:
            return None
        ends[ends.index(min(ends))] += one
    return max(ends)
