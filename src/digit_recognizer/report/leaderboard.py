"""`digits leaderboard` and `digits show`: the ledger's runs as rows of plain values, and how they are shown."""

import csv
import io
import json
from dataclasses import asdict
from typing import Any

from digit_recognizer.errors import InputError
from digit_recognizer.recipes.recipe import DEFAULT, RECIPES, from_record, network_recipes
from digit_recognizer.recipes.toml import describe_changes, describe_members, format_value
from digit_recognizer.tracking.ledger import Row
from digit_recognizer.tracking.run_dir import folder_of, last_checkpoint_epoch, short_name
from digit_recognizer.tracking.run_session import estimate, ledger, status
from digit_recognizer.utils.console import say, show_table

SORTS = ("accuracy", "loss", "public", "weights", "seconds", "newest")


def leaderboard(
    sort: str = "accuracy",
    recipe: str | None = None,
    model: str | None = None,
    n: int | None = None,
    every: bool = False,
) -> list[dict[str, Any]]:
    """A row for each finished run, the best first; with `every`, also for those that did not finish.

    By accuracy and loss those on the sample come last.

    `recipe` and `model` keep only runs of that name, `n` the first n. Raises InputError on an unknown `sort`.
    """
    if sort not in SORTS:
        raise InputError(f"--sort {sort}: expected one of {', '.join(SORTS)}.")
    with ledger() as book:
        found = [leaderboard_row(run) for run in book.runs() if every or run["status"] == "done"]
    if recipe is not None:
        found = [run for run in found if run["recipe"] == recipe]
    if model is not None:
        found = [run for run in found if model in run["models"]]
    return sorted(found, key=lambda run: _rank(run, sort))[:n]


def leaderboard_row(run: Row) -> dict[str, Any]:
    """What the board says of a run of the ledger; "low" to "high" is the interval of "accuracy" on "n" rows."""
    judged = estimate(run) or {"n": None, "accuracy": None, "interval": (None, None), "loss": None}
    low, high = judged["interval"]
    models, words = _recipe_words(run)
    return {
        "id": run["id"],
        "run": run["name"],
        "name": short_name(run["name"]),
        "status": status(run),
        "estimate": run["estimate"],
        "n": judged["n"],
        "accuracy": judged["accuracy"],
        "low": low,
        "high": high,
        "loss": judged["loss"],
        "public_score": run["public_score"],
        "test_accuracy": run["test_correct"] / run["test_n"] if run["test_n"] else None,
        "weights": run["weights"],
        "seconds": run["seconds_train"],
        "recipe": run["recipe_name"],
        "models": models,
        "differences": words,
        "data": run["source"],
        "note": run["note"],
    }


def show_board(rows: list[dict[str, Any]]) -> None:
    """Print the board as a table."""
    if not rows:
        say("No finished run fits. `digits run` makes one; --all shows those, too, that did not finish.")
        return
    columns = [
        "#",
        "name",
        "status",
        "accuracy",
        "judged by",
        "public",
        "weights",
        "train s",
        "data",
        "other than the default",
    ]
    cells = [
        [
            str(run["id"]),
            run["name"],
            run["status"],
            "-" if run["n"] is None else f"{run['accuracy']:.4f} ± {(run['high'] - run['low']) / 2:.4f}",
            run["estimate"] or "-",
            "-" if run["public_score"] is None else f"{run['public_score']:.5f}",
            "-" if run["weights"] is None else f"{run['weights']:,}",
            "-" if run["seconds"] is None else f"{run['seconds']:.0f}",
            "sample" if run["data"] == "sample" else "-",
            run["differences"] or "nothing",
        ]
        for run in rows
    ]
    always = (0, 1, len(columns) - 1)
    kept = [i for i in range(len(columns)) if i in always or any(line[i] not in ("-", "done") for line in cells)]
    spare = ("judged by", "train s", "weights", "data", "status")
    show_table([columns[i] for i in kept], [[line[i] for i in kept] for line in cells], spare)
    if any("±" in cell for line in cells for cell in line):
        say("±: half of the 95 % interval; by accuracy the best are those whose interval begins highest.", style="dim")


def to_csv(rows: list[dict[str, Any]]) -> str:
    """The board as CSV, several models in one cell."""
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[0]) if rows else ["run"], lineterminator="\n")
    table.writeheader()
    flat = [run | {"models": " + ".join(run["models"])} for run in rows]
    table.writerows({key: _inert(value) for key, value in run.items()} for run in flat)
    return text.getvalue()


def run_details(word: str, note: str | None = None) -> dict[str, Any]:
    """All the ledger knows of a run; with `note`, that becomes its note first.

    Raises InputError when no run, or more than one, is meant by `word`.
    """
    with ledger() as book:
        run = book.run(word)
        if note is not None:
            book.update_run(run["id"], note=note)
            run = book.run(run["name"])
        sent = book.submissions(run["submission_hash"]) if run["submission_hash"] else []
        return {
            **{key: value for key, value in run.items() if key not in ("recipe", "versions")},
            "status": status(run),
            "recipe": json.loads(run["recipe"]),
            "versions": json.loads(run["versions"]),
            "members": book.members(run["id"]),
            "submissions": [{**entry, "states": book.submission_states(entry["id"])} for entry in sent],
            "scores": book.scores(run["submission_hash"]) if run["submission_hash"] else [],
        }


def show_details(run: dict[str, Any]) -> None:
    """Print a run's row, its networks, its submissions and scores."""
    say(f"{run['name']} (#{run['id']}): {run['status']}", style="bold")
    if run["error"]:
        say(run["error"], style="yellow")
    if run["kind"] == "run" and run["status"] == "interrupted":
        kept = _kept(run)
        say(f"Kept: {kept}. To go on with it: digits run --resume {run['name']}" if kept else "Nothing of it is kept.")
    judged = ""
    if found := estimate(run):
        low, high = found["interval"]
        judged = f"{found['accuracy']:.4f} ({low:.4f} to {high:.4f}) on {found['n']:,} rows, loss {found['loss']:.4f}"
    seconds = {part: run[f"seconds_{part}"] for part in ("read", "train", "predict", "total")}
    facts = {
        "recipe": f"{run['recipe_name']}: {_settings(run)}",
        run["estimate"] or "estimate": judged or ("none: no rows held out" if run["status"] == "done" else "none"),
        "data": f"{run['data']} ({run['source']}); train.csv {run['train_hash']}, test.csv {run['test_hash']}",
        "time": ", ".join([run["started"], *(f"{part} {s:.1f} s" for part, s in seconds.items() if s is not None)]),
        "machine": f"{run['cpu']}, {run['threads']} threads",
        "versions": ", ".join(f"{name} {version}" for name, version in run["versions"].items()),
        "code": run["code"] or "not under git",
        "file": f"sha256 {run['submission_hash']}" if run["submission_hash"] else "none",
        "note": run["note"] or "none",
    }
    show_table(["", ""], [[name, text] for name, text in facts.items()])
    if run["members"]:
        rows = [
            [
                own["name"],
                f"{own['weights']:,}",
                _number(own["train_accuracy"]),
                _number(own["accuracy"]),
                _number(own["loss"]),
                f"{own['seconds']:.1f}",
            ]
            for own in run["members"]
        ]
        show_table(["network", "weights", "train", "validation", "loss", "s"], rows)
    for entry in run["submissions"]:
        states = ", ".join(f"{state['status']} {state['at']}" for state in entry["states"])
        scored = "" if entry["public_score"] is None else f", public score {entry['public_score']:.5f}"
        say(f"Kaggle entry {entry['ref'] or '(none)'}: {states}{scored}")
    for scored in run["scores"]:
        accuracy = scored["correct"] / scored["n"]
        say(f"scored {scored['at']}: {accuracy:.5f}, {scored['correct']:,} of {scored['n']:,}")


def _kept(run: dict[str, Any]) -> str:
    """What there is of an interrupted run, in words."""
    epoch, n_networks = last_checkpoint_epoch(folder_of(run)), len(run["members"])
    parts = [f"networks that are done, {n_networks}"] if n_networks else []
    parts += [f"epoch {epoch} of the network in training"] if epoch else []
    return "; ".join(parts)


def _settings(run: dict[str, Any]) -> str:
    """Every field of the recipe; of a blend its runs and their weights."""
    if run["kind"] == "blend":
        return ", ".join(f"{name} {weight:.3f}" for name, weight in run["recipe"]["runs"].items())
    try:
        recipe = from_record(run["recipe"])
    except InputError as error:
        return f"{run['recipe']} (this version refuses it: {error})"
    words = [f"{key} {format_value(value)}" for key, value in asdict(recipe).items() if key != "members"]
    return ", ".join(words + [f"members {describe_members(recipe)}"] * bool(recipe.members))


def _recipe_words(run: Row) -> tuple[list[str], str]:
    """The models, and how the recipe differs from the default, in words; for a blend its runs."""
    record = json.loads(run["recipe"])
    if run["kind"] == "blend":
        parts = [f"{weight:.2f} {short_name(name)}" for name, weight in record["runs"].items()]
        return ["blend"], f"{record['weights']} blend of " + " + ".join(parts)
    try:
        recipe = from_record(record)
    except InputError:
        return [record.get("model", "")], "a recipe that this version refuses"
    models = list(dict.fromkeys(own.model for own in network_recipes(recipe)))
    name = run["recipe_name"] if run["recipe_name"] in RECIPES else DEFAULT
    words = describe_changes(recipe, RECIPES[name])
    return models, words if name == DEFAULT else ", ".join(filter(None, [name, words]))


def _rank(run: dict[str, Any], sort: str) -> tuple[bool, bool, float]:
    value, sign = {
        "accuracy": (run["low"], -1),  # the lower end: few rows may be lucky ones
        "loss": (run["loss"], 1),
        "public": (run["public_score"], -1),
        "weights": (run["weights"], 1),
        "seconds": (run["seconds"], 1),
        "newest": (run["id"], -1),
    }[sort]
    on_sample = sort in ("accuracy", "loss") and run["data"] == "sample"  # other rows: no better and no worse
    return (on_sample, value is None, 0.0 if value is None else sign * value)  # what is not known comes last


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _inert(value: Any) -> Any:
    """A text that a spreadsheet takes for a formula, made a text again."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
