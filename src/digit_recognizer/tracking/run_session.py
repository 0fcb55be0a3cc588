"""A run's place in the ledger and on the disk: both are begun before the training and closed whatever happens."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from digit_recognizer.data import submission
from digit_recognizer.errors import DivergedError, InputError, RunError
from digit_recognizer.evaluation.metrics import wilson_interval
from digit_recognizer.evaluation.prediction import evaluate
from digit_recognizer.tracking import run_dir
from digit_recognizer.tracking.ledger import Ledger, Row, open_ledger
from digit_recognizer.utils import environment
from digit_recognizer.utils.console import complain
from digit_recognizer.utils.files import read_bytes, sweep
from digit_recognizer.utils.locks import alive, is_alive

LEDGER = run_dir.SUBMISSIONS / "ledger.sqlite"
_VERSIONS = ("code", "digit-recognizer", "backend", "python", "numpy", "scipy", "scikit-learn", "keras")
_RESUMED = "resumed with"  # among a run's settings: what was other when it went on
_SIGN = ".training"  # locked in a run's folder while a process is at it


@dataclass(frozen=True)
class ActiveRun:
    """An open run."""

    ledger: Ledger
    number: int  # in the ledger
    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name


class Pruned(Exception):
    """Raised in an open run to close it as pruned: it goes well, but not well enough to go on."""


@contextmanager
def ledger() -> Iterator[Ledger]:
    """The ledger of the folder one works in; warns when it begins anew. Raises RunError when it cannot be used."""
    if lost := missing_ledger():
        complain(f"Warning: {lost}", style="yellow")
    with open_ledger(LEDGER) as book:
        yield book


def missing_ledger() -> str:
    """What is to be told when there are folders of runs and no ledger, or an empty one; else nothing."""
    is_new = not LEDGER.exists() or LEDGER.stat().st_size == 0
    folders = run_dir.run_folder_names() if is_new else ()
    if not folders:
        return ""
    return (
        f"{LEDGER} is gone or empty, but there are folders of runs, {len(folders)}. A new one is begun, which does not "
        "know them; of what was sent only Kaggle's list tells."
    )


@contextmanager
def open_run(book: Ledger, name: str, **facts: Any) -> Iterator[ActiveRun]:
    """Make a run's folder and enter it with these facts (columns of the ledger's `runs`) and the surroundings.

    What the body raises closes the run as failed, diverged, interrupted or pruned, and an empty folder is removed.
    """
    sweep(run_dir.SUBMISSIONS, below=True)
    folder = run_dir.make_run_folder(name, datetime.now(), is_taken=book.has_run)
    with _at_work(folder):
        number = book.start_run(name=folder.name, **{**environment.current_environment(), **facts})
        with _closed_whatever_happens(book, number):
            yield ActiveRun(book, number, folder)


@contextmanager
def resume_run(book: Ledger, run: Row, changes: Sequence[str] = ()) -> Iterator[ActiveRun]:
    """Open a run of the ledger that did not come to its end.

    Its row keeps the surroundings in which it began, and notes the `changes` since.
    Raises RunError while another process is at it, or when that one has finished it.
    """
    folder = run_dir.existing_folder(run)
    with _at_work(folder):
        if book.run(run["name"])["status"] == "done":
            raise RunError(f"run {run['name']} was finished by another process meanwhile.")
        sweep(folder, older_than=0, below=True)  # whoever wrote here is dead
        settings = json.loads(run["settings"])
        known = settings.get(_RESUMED, "")
        if added := [change for change in changes if f", {change}," not in f", {known},"]:
            settings[_RESUMED] = ", ".join(filter(None, [known, *added]))
        book.update_run(run["id"], status="running", finished=None, error="", settings=settings)
        with _closed_whatever_happens(book, run["id"]):
            yield ActiveRun(book, run["id"], folder)


def environment_diff(run: Row, where: Mapping[str, str]) -> list[str]:
    """What decides the bits of a training and is other now than when a run began, such as "keras 3.14 -> 3.15".

    `where` holds the device that is computed on, and the cpu if it is not this machine's.
    """
    own = json.loads(run["recipe"]).get("threads") or environment.threads()
    facts = environment.current_environment() | {**where, "threads": own}
    then = {**run, **json.loads(run["versions"]), **json.loads(run["settings"])}
    now = {**facts, **facts["versions"], **facts["settings"]}
    keys = (*_VERSIONS, environment.backend(), "device", "cpu", "threads", *environment.SETTINGS)
    changes = [
        f"{key} {_told(then.get(key))} -> {_told(now.get(key))}" for key in keys if then.get(key) != now.get(key)
    ]
    if str(now["code"]).endswith("+") and then["code"] == now["code"]:
        changes.append(f"code {now['code']}, in which files were changed, perhaps since")
    return changes


def changes_at_resumes(run: Row) -> list[str]:
    """What was other when a run was resumed than when it began, such as "resumed with threads 4 -> 2"."""
    changes = json.loads(run["settings"]).get(_RESUMED)
    return [f"{_RESUMED} {changes}"] if changes else []


def backend_of(run: Row) -> str | None:
    """The package by which Keras computed a run; None where it was not written down."""
    name: str | None = json.loads(run["versions"]).get("backend")
    return name


def status(run: Row) -> str:
    """The status of a run of the ledger; one that was killed could not say so itself."""
    is_dead = run["status"] == "running" and not is_alive(run_dir.folder_of(run) / _SIGN)
    return "interrupted" if is_dead else str(run["status"])


@contextmanager
def _at_work(folder: Path) -> Iterator[None]:
    """Keep other processes off a run's folder, which is removed if something is raised and nothing was written."""
    try:
        with alive(folder / _SIGN, f"run {folder.name} is being trained by another process. Wait for it."):
            yield
    except BaseException:
        with suppress(OSError):
            folder.rmdir()
        raise


@contextmanager
def _closed_whatever_happens(book: Ledger, number: int) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        book.finish_run(number, _status_after(error), error=str(error) if isinstance(error, Exception) else "")
        raise


def probabilities(run: Row) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a run of the ledger says of its held-out rows and of test.csv, as `runs.read_probabilities`.

    Raises InputError when that cannot be read, or gives other labels than the run's submission had.
    """
    folder = run_dir.folder_of(run)
    found = run_dir.read_probabilities(folder)
    try:
        hash = sha256(submission.render(found[2].argmax(axis=1))).hexdigest()
    except ValueError:  # of another shape
        hash = ""
    if run["submission_hash"] not in (None, hash):
        raise InputError(
            f"{folder / 'probabilities.npz'}: not what run {run['name']} wrote, so it is another's. "
            "Repeat that run with --like."
        )
    return found


def validation_record(log_p: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """The part "validation" of a run's record, from what was said of held-out rows; nothing without any."""
    if not len(labels):
        return {}
    fit = evaluate(log_p, labels)
    correct = int((log_p.argmax(axis=1) == labels).sum())
    return {"validation": {**asdict(fit), "correct": correct, "interval": list(wilson_interval(correct, fit.n))}}


def write_predictions(
    folder: Path,
    recipe: dict[str, Any],
    rows: np.ndarray,
    log_p: np.ndarray,
    test_log_p: np.ndarray,
    labels: np.ndarray,
) -> dict[str, Any]:
    """Write recipe, submission and probabilities to a run's folder; the part of its record that tells of these.

    `log_p` is of the held-out `rows` of train.csv, which has the `labels`. Raises RunError on failure.
    """
    content = submission.render(test_log_p.argmax(axis=1))
    file = run_dir.write_submission(folder, content)
    run_dir.write_record(folder, "recipe", recipe)
    run_dir.write_probabilities(folder, rows, log_p, test_log_p)
    hash = sha256(content).hexdigest()
    return {**validation_record(log_p, labels[rows]), "submission": str(file), "submission_sha256": hash}


def estimate(run: Row) -> dict[str, Any] | None:
    """How a run of the ledger did on its held-out rows: n, accuracy with its interval, loss; None without any."""
    if not run["n"]:
        return None
    interval = list(wilson_interval(run["correct"], run["n"]))
    return {"n": run["n"], "accuracy": run["correct"] / run["n"], "interval": interval, "loss": run["loss"]}


def finish(entry: ActiveRun, result: dict[str, Any], estimated: str, publish: bool = True) -> None:
    """Close a run as done: its record to result.json, its figures to the ledger.

    With `publish` its submission becomes the newest, submissions/submission.csv.
    """
    run_dir.write_record(entry.folder, "result", result)
    if publish:
        run_dir.publish(entry.folder)
    judged = result.get("validation")
    entry.ledger.finish_run(
        entry.number,
        "done",
        weights=result["weights"],
        estimate=estimated if judged else None,
        n=judged and judged["n"],
        correct=judged and judged["correct"],
        loss=judged and judged["loss"],
        submission_hash=result["submission_sha256"],
        **{f"seconds_{part}": seconds for part, seconds in result["seconds"].items()},
    )


def record_scores(result: dict[str, Any]) -> None:
    """Enter what `scorecard.score_files` found, where there is a ledger; scoring alone begins none."""
    if LEDGER.exists():
        with ledger() as book:
            for scored in result["files"]:
                file = Path(scored["file"])
                facts = {"hash": hash_of(file), "answers_hash": hash_of(Path(result["answers"]))}
                book.add_score(file=str(file), n=scored["n"], correct=scored["correct"], **facts)


def hash_of(path: Path) -> str:
    """SHA-256 of a file's content. Raises InputError when it cannot be read."""
    return sha256(read_bytes(path)).hexdigest()


def _told(value: Any) -> str:
    return "unset" if value is None else str(value)


def _status_after(error: BaseException) -> str:
    if isinstance(error, Pruned):
        return "pruned"
    if isinstance(error, DivergedError):
        return "diverged"
    return "failed" if isinstance(error, Exception) else "interrupted"
