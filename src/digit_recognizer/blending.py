"""`digits blend RUN...`: a committee of finished runs, from their stored probabilities, without training."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from digit_recognizer.cli.render import show_result
from digit_recognizer.errors import InputError
from digit_recognizer.evaluation import blend_weights
from digit_recognizer.evaluation.prediction import average_log_p
from digit_recognizer.tracking import run_dir, run_session
from digit_recognizer.tracking.compare import check_finished, common_held_out_rows, train_table_of
from digit_recognizer.tracking.ledger import Ledger, Row
from digit_recognizer.utils.console import say, show_table

_ALONE = 0.999  # of the weight
WEIGH = {"greedy": blend_weights.greedy, "equal": blend_weights.equal}


def blend(
    words: Sequence[str], weights: str = "greedy", name: str = "blend", data: Path | None = None
) -> dict[str, Any]:
    """Blend runs of the ledger into a run of its own, and return its record.

    Weights are chosen on rows that the runs held out, and the record's estimate is nested: of each row by
    weights chosen without it. Raises InputError for unknown, unfinished or unlike runs, and when greedy weights
    are asked for runs that held nothing out. A blend among them stands for the runs it is made of.
    """
    start = time.perf_counter()
    run_dir.check_name(name)
    if weights not in WEIGH:
        raise InputError(f"--weights {weights}: expected {' or '.join(WEIGH)}.")
    with run_session.ledger() as book:
        chosen = list({run["id"]: run for word in words for run in _trained(book, book.run(word))}.values())
        _check(chosen)
        table = train_table_of(chosen, data)
        rows, shares, honest = _weigh(chosen, weights, table.labels)
        test_log_p = average_log_p([run_session.probabilities(run)[2] for run in chosen], shares)
        record = {"weights": weights, "runs": {run["name"]: w for run, w in zip(chosen, shares, strict=True)}}
        first = chosen[0]
        facts = {key: first[key] for key in ("data", "source", "train_hash", "test_hash")}
        with run_session.open_run(book, name, kind="blend", recipe_name="blend", recipe=record, **facts) as entry:
            answer = run_session.write_predictions(entry.folder, record, rows, honest, test_log_p, table.labels)
            from digit_recognizer.report import plots  # matplotlib takes half a second to import

            plots.write_plots(entry.folder, table, rows, honest, ())
            used = [run for run, share in zip(chosen, shares, strict=True) if share > 0]
            result = {
                "run": entry.name,
                "recipe": "blend",
                "runs": record["runs"],
                "weights": sum(run["weights"] for run in used),
                **answer,
                "seconds": {
                    "train": sum(run["seconds_train"] for run in used),
                    "total": round(time.perf_counter() - start, 3),
                },
            }
            folds = all(run["estimate"] == "out-of-fold" for run in chosen)
            run_session.finish(entry, result, "out-of-fold" if folds else "holdout")
    return result


def show(result: dict[str, Any]) -> None:
    """Print the weights and the nested estimate."""
    show_table(["run", "weight"], [[name, f"{weight:.3f}"] for name, weight in result["runs"].items()])
    if max(result["runs"].values()) > _ALONE:
        say("One run alone got all the weight: this is that run again, under another name.", style="yellow")
    if "validation" not in result:
        say("No estimate: not all of these runs held rows out.")
    show_result(result)


def _weigh(chosen: Sequence[Row], weights: str, labels: np.ndarray) -> tuple[np.ndarray, list[float], np.ndarray]:
    """The rows of the estimate, the runs' weights, and the nested log-probabilities of those rows."""
    weigh = WEIGH[weights]
    if weights == "equal" and not all(run["estimate"] for run in chosen):
        none = np.empty((0, 10), np.float32)
        return np.empty(0, int), weigh([none] * len(chosen), none), none
    rows, log_ps = common_held_out_rows(chosen)
    fewest, least = int(np.bincount(labels[rows], minlength=10).min()), min(run["n"] for run in chosen)
    if fewest < blend_weights.N_FOLDS or len(rows) < least / 2:
        raise InputError(
            f"the runs share only {len(rows):,} held-out rows of {least:,}, too few to judge a blend. Repeat them with "
            "--folds 5, or with one --seed, by which the rows are held out."
        )
    return rows, weigh(log_ps, labels[rows]), blend_weights.nested(weigh, log_ps, labels[rows])


def _trained(book: Ledger, run: Row) -> list[Row]:
    """The run, or of a blend the runs it is made of: judged anew, as its own probabilities know all labels."""
    if run["kind"] != "blend":
        return [run]
    say(f"{run['name']} is a blend: the runs it is made of are weighed anew.")
    return [own for name in json.loads(run["recipe"])["runs"] for own in _trained(book, book.run(name))]


def _check(chosen: Sequence[Row]) -> None:
    if len(chosen) < 2:
        raise InputError("a blend needs two different runs or more. `digits leaderboard` lists them.")
    for run in chosen:
        check_finished(run)
    if len({run["test_hash"] for run in chosen}) > 1:
        raise InputError("the runs labelled different test.csv files and cannot be blended.")
