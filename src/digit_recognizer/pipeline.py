"""The main job, step by step: data -> networks -> submission.csv -> score. Alone knows their order.

`submissions/<run>/` gets all that belongs to a run; `submissions/submission.csv` is the newest run's file.
"""

import time
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import bookkeeping, competition, runs, sending, sources, submission, tables
from .bookkeeping import Entry
from .errors import RunError
from .inspection import inspect
from .kaggle_call import find_credentials, require_credentials
from .predict import fitness
from .recipes import Recipe, networks
from .score import score
from .scorecard import read_answers
from .summaries import show_input, show_result
from .terminal import progress, quietly, say, waiting

if TYPE_CHECKING:
    from .crossval import Together


@dataclass(frozen=True)
class Job:
    """What the user asked for; None where nothing was said."""

    recipe_name: str
    recipe: Recipe
    data: Path | None = None
    answers: Path | None = None
    run_name: str | None = None
    submit: bool = False
    message: str = ""
    again: bool = False


def run(job: Job) -> dict[str, Any]:
    """Do the whole job and return the record that `--json` prints.

    Raises InputError, before any training, when data, answers or name are wrong or the data cannot be
    submitted; RunError when training, writing or Kaggle fails.
    """
    start = time.perf_counter()
    run_name = runs.name_from(job.recipe_name) if job.run_name is None else runs.check_name(job.run_name)
    if job.submit:
        require_credentials()
    source = find_data(job.data)
    if job.submit:
        sending.check_is_real(source)
    reading = time.perf_counter()
    train_table, test_table = sources.read(source)
    answers = read_answers(job.answers, len(test_table.pixels)) if job.answers else None
    seconds = {"read": time.perf_counter() - reading}
    show_input(inspect(train_table, test_table))

    facts = {
        "kind": "run",
        "recipe_name": job.recipe_name,
        "recipe": asdict(job.recipe),
        "seed": job.recipe.seed,
        "data": str(source.place),
        "source": source.kind,
        "train_hash": train_table.fingerprint,
        "test_hash": test_table.fingerprint,
    }
    with bookkeeping.ledger() as book:
        with bookkeeping.entered(book, run_name, **facts) as entry:
            together = _train(entry, job.recipe, train_table, test_table)
            file, content = _write(entry.folder, job.recipe, together, train_table)
            result = {
                "run": entry.name,
                "recipe": job.recipe_name,
                "model": " + ".join(dict.fromkeys(own.model for own in networks(job.recipe))),
                "weights": together.n_weights,
                "networks": together.n_networks,
                "data": source.describe(),
                "train": asdict(together.train_fit),
                **bookkeeping.judge(together.log_p, train_table.labels[together.rows]),
                "submission": str(file),
                "submission_sha256": sha256(content).hexdigest(),
            }
            if answers is not None:
                result["score"] = _score(together.test_log_p, answers)
            seconds |= {**together.seconds, "total": time.perf_counter() - start}
            result["seconds"] = {part: round(value, 3) for part, value in seconds.items()}
            bookkeeping.finish(entry, result, "out-of-fold" if job.recipe.folds else "holdout")
            if job.answers:
                entry.book.add_score(
                    hash=result["submission_sha256"],
                    file=result["submission"],
                    answers_hash=bookkeeping.hash_of(job.answers),
                    n=result["score"]["n"],
                    correct=result["score"]["correct"],
                )
        if together.n_networks == 1 and job.recipe.batch_norm:
            say("Batch normalisation was measured anew and folded into the weights; now:")
        show_result(result)
        if job.submit:
            submission.check_upload(content, str(file), len(test_table.pixels))
            result["kaggle"] = sending.send(book, file, content, entry.name, job.message, job.again)
            runs.write_record(entry.folder, "result", result)
    return result


def find_data(path: Path | None) -> sources.Source:
    """The data that --data, or its absence, means, told in one line; downloads it where there are credentials."""
    source = sources.find(path)
    if source is None and find_credentials():
        try:
            download(sources.DATA)
        except RunError as error:
            raise RunError(f"{error} To go on without Kaggle, on the built-in sample: --data sample.") from error
        source = sources.find(None)
    if source is None:
        source = sources.sample_source()
    how_to_get = " For Kaggle's files: `digits download`, or put them into data/." if source.kind == "sample" else ""
    say(f"Data: {source.describe()}.{how_to_get}")
    return source


def download(folder: Path) -> None:
    """Fetch the competition's three files from Kaggle into `folder`; raises RunError when Kaggle refuses."""
    with waiting() as tell:
        competition.download(folder, tell)
    say(f"Wrote {', '.join(competition.FILES)} to {folder}.")


def _train(entry: Entry, recipe: Recipe, train_table: tables.LabelledTable, test_table: tables.Table) -> "Together":
    """Train all networks, each written and entered as soon as it is done."""
    with quietly("Loading Keras and its backend"):  # which takes seconds and is not needed before
        from . import crossval, train

        train.start_backend()
    members = crossval.plan(recipe, train_table.labels)
    first = members[0]
    many = f"{len(members)} networks, the first " if len(members) > 1 else ""
    say(
        f"Training {many}{first.recipe.model} on {len(first.fitted):,} images; "
        f"{len(first.held_out):,} are held out for validation."
    )
    outcomes = []
    with progress([member.recipe.epochs for member in members]) as lines:
        for member in members:
            outcome = crossval.train_member(member, train_table, test_table, lines.on_batch, lines.on_epoch)
            outcomes.append(outcome)
            folder = entry.folder if len(members) == 1 else entry.folder / "members" / member.name
            runs.write_member(folder, outcome, member.held_out)
            train_fit, fit = outcome.fits["train"], outcome.fits.get("validation")
            entry.book.add_member(
                entry.number,
                name=member.name,
                model=member.recipe.model,
                seed=member.recipe.seed,
                fold=member.fold,
                weights=outcome.n_weights,
                train_n=train_fit.n,
                train_accuracy=train_fit.accuracy,
                train_loss=train_fit.loss,
                n=fit and fit.n,
                accuracy=fit and fit.accuracy,
                loss=fit and fit.loss,
                seconds=outcome.seconds["train"],
            )
            lines.on_member(member.name, fit)
    return crossval.together(members, outcomes)


def _write(folder: Path, recipe: Recipe, together: "Together", train_table: tables.LabelledTable) -> tuple[Path, bytes]:
    """Write what the networks say together, and pictures of it; the submission's path and content."""
    content = submission.render(together.test_log_p.argmax(axis=1))
    file = runs.write_submission(folder, content)
    runs.write_record(folder, "recipe", asdict(recipe))
    runs.write_probabilities(folder, together.rows, together.log_p, together.test_log_p)
    runs.write_pictures(folder, train_table, together.rows, together.log_p, together.histories)
    return file, content


def _score(test_log_p: np.ndarray, answers: np.ndarray) -> dict[str, Any]:
    scored = score(test_log_p.argmax(axis=1).astype(np.uint8), answers)
    return {**asdict(fitness(test_log_p, answers)), "correct": scored.correct, "interval": list(scored.interval)}
