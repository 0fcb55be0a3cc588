"""The main job, step by step: data -> training -> submission.csv -> score. Alone knows their order.

`submissions/<run>/` gets all that belongs to a run; `submissions/submission.csv` is the newest run's file.
"""

import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import competition, runs, sources, submission, tables
from .errors import InputError, RunError
from .files import read_bytes
from .inspection import inspect
from .kaggle_call import SITE, find_credentials, require_credentials
from .predict import fitness
from .recipes import Recipe
from .score import score
from .scorecard import read_answers
from .summaries import show_input, show_result
from .terminal import progress, quietly, say, waiting

if TYPE_CHECKING:
    from .holdout import Outcome

CACHE = sources.DATA / ".cache"
NOT_THE_SAMPLE = (
    "The built-in sample is not Kaggle's test set and cannot be submitted. Get the real files with "
    f"`digits download`, or from {SITE}/data into data/."
)


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
        check_is_real(source)
    reading = time.perf_counter()
    train_table, test_table = _read(source)
    answers = read_answers(job.answers, len(test_table.pixels)) if job.answers else None
    seconds = {"read": time.perf_counter() - reading}
    show_input(inspect(train_table, test_table))

    folder = runs.new_run(run_name, datetime.now())
    try:
        outcome = _train(job.recipe, train_table, test_table)
        labels = outcome.test_log_p.argmax(axis=1)
        file = runs.write_run(folder, job.recipe, outcome, train_table, submission.render(labels))
    except BaseException:
        with suppress(OSError):
            folder.rmdir()  # only when nothing was written
        raise

    result = {
        "run": folder.name,
        "recipe": job.recipe_name,
        "model": job.recipe.model,
        "weights": outcome.model.count_params(),
        "data": source.describe(),
        "source": source.kind,
        "fingerprints": {"train.csv": train_table.fingerprint, "test.csv": test_table.fingerprint},
        **{part: asdict(fit) for part, fit in outcome.fits.items()},
        "submission": str(file),
        "submission_sha256": sha256(read_bytes(file)).hexdigest(),
    }
    if answers is not None:
        scored = score(labels.astype(np.uint8), answers)
        test = asdict(fitness(outcome.test_log_p, answers))
        result["score"] = {**test, "correct": scored.correct, "interval": list(scored.interval)}
    seconds |= {**outcome.seconds, "total": time.perf_counter() - start}
    result["seconds"] = {part: round(value, 3) for part, value in seconds.items()}
    runs.write_result(folder, result)
    runs.publish(folder)
    if job.recipe.batch_norm:
        say("Batch normalisation was measured anew and folded into the weights; now:")
    show_result(result)
    if job.submit:
        content = read_bytes(file)
        submission.check_upload(content, str(file), len(labels))
        result["kaggle"] = _send(file, content, folder, job.message, job.again)
    return result


def submit(file: Path, data: Path | None = None, message: str = "", again: bool = False) -> dict[str, Any]:
    """Send a submission file made earlier: as many rows as the test.csv found, or else as Kaggle's, are expected.

    Returns {ref, status, public_score}. Raises InputError when the file or the data cannot be submitted,
    RunError when Kaggle refuses.
    """
    content = read_bytes(file)
    made_by = runs.find_run(sha256(content).hexdigest())
    if made_by and runs.read_result(made_by).get("source") == "sample":
        raise InputError(f"{file}: run {made_by.name} made it for the built-in sample. {NOT_THE_SAMPLE}")
    source = sources.find(data)
    check_is_real(source)
    n_rows = len(tables.read_test(source.test, CACHE).pixels) if source else competition.TEST_ROWS
    submission.check_upload(content, str(file), n_rows)
    require_credentials()
    return _send(file, content, made_by, message, again)


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


def check_is_real(source: sources.Source | None) -> None:
    """Raise InputError for data that Kaggle cannot score, so that no training is spent on it."""
    if source and source.kind == "sample":
        raise InputError(NOT_THE_SAMPLE)


def _read(source: sources.Source) -> tuple[tables.LabelledTable, tables.Table]:
    """Read both files; raises one InputError with the faults of both."""
    try:
        train_table = tables.read_train(source.train, CACHE)
    except InputError as error:
        faults = [str(error)]
        try:
            tables.read_test(source.test, CACHE)
        except InputError as also:
            faults.append(str(also))
        raise InputError("\n".join(faults)) from error
    return train_table, tables.read_test(source.test, CACHE)


def _train(recipe: Recipe, train_table: tables.LabelledTable, test_table: tables.Table) -> "Outcome":
    """Load Keras, which takes seconds and is not needed before, then train and predict."""
    with quietly("Loading Keras and its backend"):
        from . import holdout, train

        train.start_backend()
    rows = holdout.split(train_table.labels, recipe)
    say(f"Training {recipe.model} on {len(rows[0]):,} images; {len(rows[1]):,} are held out for validation.")
    with progress(recipe.epochs) as epochs:
        return holdout.train_and_predict(recipe, train_table, test_table, rows, epochs.on_batch, epochs.on_epoch)


def _send(file: Path, data: bytes, folder: Path | None, message: str, again: bool) -> dict[str, Any]:
    """Send a checked file's content once and wait for its score; the record of its run keeps the answer."""
    run_name = folder.name if folder else file.stem
    look_again = f"`digits submit {file}`"
    try:
        with waiting() as tell:
            upload = competition.submit(data, file.name, message, run_name, tell, again)
        if upload.already_sent:
            say(f"Kaggle has this file already, as entry {upload.ref}; it was not sent again (--again would).")
        runs.record_upload(folder, asdict(upload))
        with waiting() as tell:
            upload = competition.wait_for_score(upload, tell)
    except RunError as error:
        raise RunError(f"{error} The file is kept; to go on from here: {look_again}.") from error
    runs.record_upload(folder, asdict(upload))
    if upload.public_score is None:
        say(f"Kaggle entry {upload.ref}: not scored yet; {look_again} asks again and sends nothing twice.")
    else:
        say(f"Kaggle entry {upload.ref}: public score {upload.public_score:.5f}.", style="bold")
    return {"ref": upload.ref, "status": upload.status, "public_score": upload.public_score}
