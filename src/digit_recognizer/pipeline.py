"""The main job, step by step: data -> networks -> submission.csv -> score. Alone knows their order.

`submissions/<run>/` gets all that belongs to a run; `submissions/submission.csv` is the newest run's file.
"""

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np

from digit_recognizer.cli.render import show_input, show_result
from digit_recognizer.competition import download
from digit_recognizer.competition import submit as sending
from digit_recognizer.competition.client import require_credentials
from digit_recognizer.data import sources, submission
from digit_recognizer.data.augmentation import Augmentation
from digit_recognizer.data.inspection import inspect
from digit_recognizer.errors import DivergedError, InputError, RunError
from digit_recognizer.evaluation.grading import read_answers
from digit_recognizer.evaluation.metrics import score
from digit_recognizer.evaluation.prediction import evaluate
from digit_recognizer.recipes.recipe import Recipe, network_recipes
from digit_recognizer.tracking import reproducibility, run_dir, run_session
from digit_recognizer.tracking.ledger import Ledger, Row
from digit_recognizer.tracking.run_session import ActiveRun
from digit_recognizer.training import checkpoints, cross_validation, distillation, ensemble
from digit_recognizer.training.cross_validation import EnsemblePredictions, NetworkSpec
from digit_recognizer.training.parallel import config, process_pool
from digit_recognizer.training.parallel.config import IN_PROCESS, ExecutionConfig
from digit_recognizer.utils.console import agrees, progress, say
from digit_recognizer.utils.environment import backend, require_backend
from digit_recognizer.utils.files import read_bytes
from digit_recognizer.utils.signals import TerminationSignal, handle_signals


@dataclass(frozen=True)
class RunConfig:
    """What the user asked for; None where nothing was said."""

    recipe_name: str
    recipe: Recipe
    data: Path | None = None
    answers: Path | None = None
    run_name: str | None = None
    submit: bool = False
    message: str = ""
    again: bool = False
    origin: Row | None = None  # the run of the ledger that is repeated or, if `resumes`, goes on; the recipe is its own
    resumes: bool = False
    check: bool = False  # whether it comes as near to `origin` as it must
    places: ExecutionConfig = IN_PROCESS


def run(job: RunConfig) -> dict[str, Any]:
    """Do the whole job and return the record that `--json` prints.

    Raises InputError, before any training, when data, answers or name are wrong or the data cannot be
    submitted; RunError when training, writing or Kaggle fails.
    """
    start = time.perf_counter()
    require_backend()
    if job.origin:
        _compare_backend(job.origin, job.resumes)
    original = reproducibility.original(job.origin) if job.origin and job.check else None
    run_name = run_dir.name_from(job.recipe_name) if job.run_name is None else run_dir.check_name(job.run_name)
    if job.submit:
        require_credentials()
    source = download.find_or_download(job.data)
    if job.submit:
        sending.check_not_sample(source)
        sending.check_allowance()
    reading = time.perf_counter()
    train_table, test_table = sources.read(source)
    answers = read_answers(job.answers, len(test_table.pixels)) if job.answers else None
    seconds = {"read": time.perf_counter() - reading}
    show_input(inspect(train_table, test_table))
    data = ensemble.Data(source, train_table, test_table)
    if job.origin:
        _compare_files(job.origin, job.resumes or job.check, data)

    used = job.places.used_by(cross_validation.n_networks(job.recipe))
    with run_session.ledger() as book, config.open_pool(used, train_table, test_table) as pool:
        is_as_it_was = job.resumes or job.check
        recipe = job.recipe if is_as_it_was else used.with_threads(job.recipe)
        recipe, teachers = distillation.load_teachers(book, recipe, train_table.fingerprint)
        members = cross_validation.plan_networks(recipe, train_table.labels)
        distillation.check_teachers(members, teachers)
        seconds_before = None  # of a new run
        resumed = job.origin if job.resumes else None
        facts = ensemble.facts("run", job.recipe_name, recipe, data, pool)
        where = ensemble.where(facts)
        if job.origin is None:
            resumed = _left_behind(book, facts, run_name, members, data)
        if resumed:
            seconds_before = checkpoints.seconds_trained(book, resumed, members, data.train.fingerprint, _warn)
            if changes := run_session.environment_diff(resumed, where):
                _warn(f"other than when the run began: {', '.join(changes)}. The bits may be others.")
            opened = run_session.resume_run(book, resumed, changes)
        else:
            opened = run_session.open_run(book, run_name, **facts)
        with opened as entry, _told_how_to_go_on(entry, job), handle_signals():
            _announce(recipe, members, teachers, seconds_before, used)
            if used != job.places:
                say(f"Workers: {used.workers}, as there are no more networks or GPUs.")
            together = _train(entry, members, data, teachers, pool)
            result = ensemble.write_results(entry, job.recipe_name, recipe, data, together)
            from digit_recognizer.report import plots  # matplotlib takes half a second to import

            plots.write_plots(entry.folder, train_table, together.rows, together.log_p, together.histories)
            if answers is not None:
                result["score"] = _score(together.test_log_p, answers)
            if original:
                result["check"] = reproducibility.check(
                    original, together.rows, together.log_p, together.test_log_p, where
                )
            seconds |= {**together.seconds, "total": time.perf_counter() - start + (seconds_before or 0)}
            result["seconds"] = {part: round(value, 3) for part, value in seconds.items()}
            if job.answers:
                entry.ledger.add_score(
                    hash=result["submission_sha256"],
                    file=result["submission"],
                    answers_hash=run_session.hash_of(job.answers),
                    n=result["score"]["n"],
                    correct=result["score"]["correct"],
                )
            run_session.finish(entry, result, "out-of-fold" if recipe.folds else "holdout")
        if together.n_networks == 1 and (changes := _after_the_last_epoch(recipe)):
            say(f"Then {', '.join(changes)}:")
        show_result(result)
        if original:
            say(result["check"]["verdict"], style="bold")
            if result["check"]["expected"] and not result["check"]["same_bits"]:
                raise RunError(f"run {result['run']} does not reproduce {original.run['name']}.")
        if job.submit:
            file = Path(result["submission"])
            content = read_bytes(file)
            if sha256(content).hexdigest() != result["submission_sha256"]:
                raise RunError(f"{file}: damaged since it was written, and not sent. Check the disk.")
            submission.check_upload(content, str(file), len(test_table.pixels))
            result["kaggle"] = sending.submit_once(book, file, content, entry.name, job.message, job.again)
            run_dir.write_record(entry.folder, "result", result)
    return result


def _left_behind(
    book: Ledger, facts: dict[str, Any], name: str, members: Sequence[NetworkSpec], data: ensemble.Data
) -> Row | None:
    """The newest run of these facts and this name, if it was stopped and the user wants to go on with it."""
    recipe = json.loads(json.dumps(facts["recipe"]))
    same = (
        run
        for run in book.runs()
        if all(run[key] == facts[key] for key in ("kind", "train_hash", "test_hash"))
        and json.loads(run["recipe"]) == recipe
        and run_dir.short_name(run["name"]) == name
        and run_session.backend_of(run) == backend()
    )
    run = next(same, None)
    if run is None or run_session.status(run) not in ("interrupted", "failed"):
        return None
    try:
        seconds = checkpoints.seconds_trained(book, run, members, data.train.fingerprint)
    except InputError as error:
        _warn(f"run {run['name']} of this recipe and data was stopped, and cannot go on. {error} This is a new one.")
        return None
    stopped = f"Run {run['name']} of this recipe and data was stopped after {seconds:.0f} seconds of training."
    if changes := run_session.environment_diff(run, ensemble.where(facts)):
        stopped += f" Other than then: {', '.join(changes)}."
    go_on = f"{stopped} This is a new one; to go on with that: digits run --resume {run['name']}"
    return run if seconds and agrees(f"{stopped} Go on with it?", otherwise=go_on) else None


def _compare_backend(origin: Row, resumes: bool) -> None:
    """Raise InputError when a run would go on with another backend than it began with; warn when it is repeated so."""
    then, now = run_session.backend_of(origin), backend()
    if then in (None, now):
        return
    text = f"run {origin['name']} was trained by Keras with {then}, and Keras now has {now}. Set KERAS_BACKEND={then}"
    if resumes:
        raise InputError(f"{text} to go on with it.")
    _warn(f"{text} to repeat it with that.")


def _compare_files(origin: Row, must_be_same: bool, data: ensemble.Data) -> None:
    """Raise InputError when the files must be those that a run was made of, and are not; else warn of that."""
    if (origin["train_hash"], origin["test_hash"]) == (data.train.fingerprint, data.test.fingerprint):
        return
    if must_be_same:
        if origin["data"] != str(data.source.place):
            cure = f"Those were {origin['data']}: name them with --data."
        elif data.source.kind == "sample":
            cure = "Remove them: they are made anew."
        else:
            cure = "They were changed since: put them back as they were."
        raise InputError(f"{data.source.place}: other files than run {origin['name']} was made of. {cure}")
    _warn("these are other files than the run that is repeated was made of.")


def _warn(text: str) -> None:
    say(f"Warning: {text}", style="yellow")


def _after_the_last_epoch(recipe: Recipe) -> list[str]:
    """What makes the final figures other than the last epoch's."""
    changes = {
        "weights averaged": recipe.ema > 0,
        "batch normalisation measured anew": recipe.batch_norm,
        "predictions for changed images averaged": recipe.tta != "none",
    }
    return [words for words, done in changes.items() if done]


def _announce(
    recipe: Recipe,
    members: Sequence[NetworkSpec],
    teachers: Sequence[distillation.Teacher],
    seconds_before: float | None,
    places: ExecutionConfig,
) -> None:
    """Tell what is to be trained; `seconds_before` is how long it was already, None when it begins."""
    first = members[0]
    many = f"{len(members)} networks, the first " if len(members) > 1 else ""
    judged = (
        f"{len(first.held_out):,} are held out for validation."
        if len(first.held_out)
        else "none are held out, so nothing will tell how good it is; --folds 5 would."
    )
    say(f"Training {many}{first.recipe.model} on {len(first.train_rows):,} images; {judged}")
    if recipe.threads:
        say(f"Threads for each network, which is a part of the recipe: {recipe.threads}.")
    elif places.workers > 1:
        say("As when it began, each network gets all threads, though several share them: slower, but the same bits.")
    elif places.cluster:
        _warn(
            "as when it began, each network gets all threads of its worker's machine, so that the bits may be others."
        )
    if teachers:
        unseen = " that never saw the rows it is judged by" if len(first.held_out) else ""
        say(f"Taught by networks of {recipe.teacher}{unseen}.")
    for own in network_recipes(recipe):
        if own.distortion != Augmentation() and own.clean >= own.epochs:
            text = f"with epochs {own.epochs} and clean {own.clean}, each epoch is a clean one"
            _warn(f"{own.model} sees no distorted image: {text}.")
    if seconds_before is not None:
        say(
            f"Going on after {seconds_before:.0f} seconds of training; what was trained is shown again."
            if seconds_before
            else "Nothing is kept of the first try: the training begins anew."
        )


def _train(
    entry: ActiveRun,
    members: Sequence[NetworkSpec],
    data: ensemble.Data,
    teachers: Sequence[distillation.Teacher],
    pool: process_pool.Pool | None,
) -> EnsemblePredictions:
    """Train all networks, and tell of each."""
    epochs = {member.name: member.recipe.epochs for member in members}
    with progress(epochs, side_by_side=pool is not None and len(members) > 1) as lines:
        return ensemble.train_ensemble(
            entry,
            members,
            data,
            lines.on_batch,
            lambda member, epoch: lines.on_epoch(member.name, epoch),
            lines.on_member,
            teachers,
            resumable=True,
            pool=pool,
        )


@contextmanager
def _told_how_to_go_on(entry: ActiveRun, job: RunConfig) -> Iterator[None]:
    """Say by which command a run goes on, when something stops it after an epoch that may not stop it again."""
    try:
        yield
    except (KeyboardInterrupt, TerminationSignal, OSError, RunError, sqlite3.Error) as error:
        if not isinstance(error, DivergedError) and any(entry.folder.rglob("*.npz")):
            with suppress(OSError):  # the terminal may be gone
                say(f"To go on where it stopped: digits run --resume {entry.name}{_again(job)}", style="bold")
        raise


def _again(job: RunConfig) -> str:
    """The options of a job that are not in its run."""
    words = [f" --answers {quote(str(job.answers))}"] if job.answers else []
    if job.submit:
        words += [
            " --submit",
            f" --message {quote(job.message)}" if job.message else "",
            " --again" if job.again else "",
        ]
    return "".join(words)


def _score(test_log_p: np.ndarray, answers: np.ndarray) -> dict[str, Any]:
    scored = score(test_log_p.argmax(axis=1).astype(np.uint8), answers)
    return {**asdict(evaluate(test_log_p, answers)), "correct": scored.correct, "interval": list(scored.interval)}
