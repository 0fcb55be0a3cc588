"""`digits run --dry-run`: lists the networks that a run would train, with seconds where the ledger knows them."""

import json
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np

from digit_recognizer.recipes.recipe import Recipe, from_record, network_recipe
from digit_recognizer.tracking.ledger import Ledger, Row
from digit_recognizer.tracking.run_session import ledger
from digit_recognizer.training.cross_validation import n_networks, plan_networks
from digit_recognizer.training.parallel.config import ExecutionConfig
from digit_recognizer.utils import environment
from digit_recognizer.utils.console import say, show_table

Known = dict[tuple[Any, ...], list[float]]  # seconds of networks, by `_key`


def list_networks(
    recipe: Recipe, labels: np.ndarray, places: ExecutionConfig, resumed: Row | None = None, as_it_was: bool = False
) -> dict[str, Any]:
    """The networks that a run by this recipe would train on rows with these (n,) labels.

    Returns {networks, threads, at_a_time, seconds}.

    The seconds of a network are the median of those of the ledger that this machine trained by as many threads, with
    the same model, epochs, batch size and number of images; None without any, as is the total then. `at_a_time` is
    None on a cluster.

    A run that is `resumed` lists the networks that are not done. The recipe of one that is repeated `as_it_was` gets
    no threads by `places`. Raises InputError when there are too few rows of a digit to split. Enters no run.
    """
    places = places.used_by(n_networks(recipe))
    recipe = recipe if resumed or as_it_was else places.with_threads(recipe)
    threads = recipe.threads or environment.threads()
    with ledger() as book:
        done = {row["name"] for row in book.members(resumed["id"])} if resumed else set()
        members = [member for member in plan_networks(recipe, labels) if member.name not in done]
        known = _known(book, threads)
    networks: list[dict[str, Any]] = [
        {
            "name": member.name,
            "model": member.recipe.model,
            "epochs": member.recipe.epochs,
            "fitted": len(member.train_rows),
            "held_out": len(member.held_out),
            "seconds": _seconds(known.get(_key(member.recipe, len(member.train_rows)))),
        }
        for member in members
    ]
    at_a_time = None if places.cluster else min(places.workers, len(members))
    return {
        "networks": networks,
        "threads": threads,
        "at_a_time": at_a_time,
        "seconds": _total([network["seconds"] for network in networks], at_a_time or 1),
    }


def show(found: dict[str, Any]) -> None:
    """Print the networks and their seconds."""
    rows = [
        [
            network["name"],
            f"{network['epochs']:,}",
            f"{network['fitted']:,}",
            f"{network['held_out']:,}",
            "-" if network["seconds"] is None else f"{network['seconds']:,.0f}",
        ]
        for network in found["networks"]
    ]
    if not rows:
        return say("All networks are trained; only the submission is left to write.")
    show_table(["network", "epochs", "images", "held out", "s"], rows, spare=("held out",))
    at_a_time, seconds = found["at_a_time"], found["seconds"]
    how = "one for each worker of the cluster" if at_a_time is None else f"{at_a_time} at a time"
    took = "" if seconds is None else f", about {seconds:,.0f} s{' one after another' if at_a_time is None else ''}"
    say(f"Networks: {len(rows)}, {how}, threads for each: {found['threads']}{took}. Nothing was trained.")


def _known(book: Ledger, threads: int) -> Known:
    """The seconds of networks that this machine trained by as many threads."""
    known: Known = {}
    here = environment.cpu(), threads
    alike = [run for run in book.runs() if run["kind"] != "blend" and (run["cpu"], run["threads"]) == here]
    for run in alike:
        if run["device"] != alike[0]["device"]:  # the newest has what Keras computes on now
            continue
        recipe = from_record(json.loads(run["recipe"]))
        for row in book.members(run["id"]):
            known.setdefault(_key(network_recipe(recipe, row["name"]), row["train_n"]), []).append(row["seconds"])
    return known


def _key(recipe: Recipe, n_images: int) -> tuple[Any, ...]:
    return recipe.model, recipe.epochs, recipe.batch_size, n_images


def _seconds(known: Sequence[float] | None) -> float | None:
    return median(known) if known else None


def _total(seconds: Sequence[float | None], at_a_time: int) -> float | None:
    """How long so many at a time take, each begun as soon as one ends."""
    ends = [0.0] * at_a_time
    for one in seconds:
        if one is None:
            return None
        ends[ends.index(min(ends))] += one
    return max(ends)
