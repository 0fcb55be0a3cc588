"""Sending a submission: the checks before it, the upload, its states in the ledger."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from shlex import quote
from typing import Any

from digit_recognizer.competition import api
from digit_recognizer.competition.api import UnclearOutcomeError, Upload
from digit_recognizer.competition.client import SITE, require_credentials
from digit_recognizer.data import csv_reader, sources, submission
from digit_recognizer.errors import InputError, RunError
from digit_recognizer.tracking.ledger import UNCLEAR_STATES, Ledger, Row
from digit_recognizer.tracking.run_session import LEDGER, ledger
from digit_recognizer.utils.console import say, waiting
from digit_recognizer.utils.files import read_bytes
from digit_recognizer.utils.locks import alive, alone
from digit_recognizer.utils.signals import TerminationSignal

NOT_THE_SAMPLE = (
    "The built-in sample is not Kaggle's test set and cannot be submitted. Get the real files with "
    f"`digits download`, or from {SITE}/data into data/."
)


def submit_file(file: Path, data: Path | None = None, message: str = "", again: bool = False) -> dict[str, Any]:
    """Send a submission file made earlier: as many rows as the test.csv found, or else as Kaggle's, are expected.

    Returns {ref, status, public_score}. Raises InputError when the file or the data cannot be submitted,
    RunError when Kaggle refuses.
    """
    content = read_bytes(file, submission.MAX_BYTES)
    hash = sha256(content).hexdigest()
    with ledger() as book:
        runs = book.runs()
        made_by = [run for run in runs if run["submission_hash"] == hash]
        if own := [run for run in runs if run["name"] == file.absolute().parent.name and run not in made_by]:
            raise InputError(
                f"{file}: not what run {own[0]['name']} wrote, so it is damaged, or was changed. Repeat the run with "
                f"`digits run --like {own[0]['name']}`; to send the file as it is, copy it elsewhere."
            )
        if made_by and made_by[0]["source"] == "sample":
            raise InputError(f"{file}: run {made_by[0]['name']} made it for the built-in sample. {NOT_THE_SAMPLE}")
        source = sources.find(data)
        check_not_sample(source)
        n_rows = len(csv_reader.read_test(source.test, sources.CACHE).pixels) if source else api.TEST_ROWS
        submission.check_upload(content, str(file), n_rows)
        require_credentials()
        return submit_once(book, file, content, made_by[0]["name"] if made_by else file.stem, message, again)


def check_not_sample(source: sources.Source | None) -> None:
    """Raise InputError for data that Kaggle cannot score, so that no training is spent on it."""
    if source and source.kind == "sample":
        raise InputError(NOT_THE_SAMPLE)


def check_allowance() -> None:
    """Raise RunError when Kaggle cannot be asked or takes no more entries today, before any training is spent."""
    cure = "Nothing was trained: run without --submit, and send the file later by `digits submit`."
    with waiting() as tell:
        tell("Asking Kaggle for today's allowance ...")
        try:
            left = api.allowance()
        except RunError as error:
            raise RunError(f"{error} {cure}") from error
    if left and left.exhausted:
        raise RunError(f"Today's allowance is used up ({left.num_today} sent); it starts anew at 00:00 UTC. {cure}")


def submit_once(book: Ledger, file: Path, data: bytes, run_name: str, message: str, again: bool) -> dict[str, Any]:
    """Send a checked file's content once and wait for its score; the ledger keeps each state as it comes.

    A file that was sent before and whose score is still awaited is not sent, but its score is asked for.
    Returns {ref, status, public_score}. Raises RunError when Kaggle refuses, or has scored the same file already.
    """
    hash = sha256(data).hexdigest()
    number: int | None = None
    before: list[Row] = []

    def on_step(status: str, description: str) -> None:
        nonlocal number
        if number is None:
            number = book.begin_submission(hash=hash, file=str(file), description=description, status=status)
        else:
            book.update_submission(number, status=status)

    look_again = f"`digits submit {quote(str(file))}`"
    try:
        with _nobody_else_sends(hash, file.name):
            before = book.submissions(hash)
            is_unclear = any(row["status"] in UNCLEAR_STATES and row["ref"] is None for row in before)
            known = next((row for row in reversed(before) if row["ref"] is not None), None)
            awaited = known["status"] == "PENDING" if known else is_unclear
            if known and not again:  # whatever Kaggle's list shows by now
                upload = _upload(known)
            else:
                with waiting() as tell:
                    upload = api.submit(data, file.name, message, run_name, tell, again, is_unclear, on_step)
                number = record_upload(book, upload, str(file), number)
        is_copy = upload.already_sent and upload.public_score is not None and not awaited
        with waiting() as tell:
            upload = api.wait_for_score(upload, tell)
        record_upload(book, upload, str(file), number)
    except RunError as error:
        unclear = isinstance(error, UnclearOutcomeError)
        if number is not None and book.submission_states(number)[-1]["status"] in ("UPLOADING", "CREATING"):
            book.update_submission(number, status="UNKNOWN" if unclear else "REFUSED", error=str(error))
        for row in before:
            if unclear and row["status"] == "CREATING":  # of a process that was killed
                book.update_submission(row["id"], status="UNKNOWN", error=str(error))
        raise RunError(f"{error} The file is kept; to go on from here: {look_again}.") from error
    except (KeyboardInterrupt, TerminationSignal):
        say(f"To go on from here: {look_again}.", style="bold")
        raise
    if upload.status == "ERROR":
        raise RunError(
            f"Kaggle could not score entry {upload.ref}: {upload.error or 'it gives no reason'}. "
            f"The file is kept; correct it and submit it again."
        )
    if is_copy:
        raise RunError(
            f"{file} was not sent: Kaggle has this file already, as entry {upload.ref}, public score "
            f"{upload.public_score:.5f}. A copy costs an entry and tells nothing new; --again sends it all the same."
        )
    if upload.public_score is None:
        say(f"Kaggle entry {upload.ref}: not scored yet; {look_again} asks again and sends nothing twice.")
    else:
        say(f"Kaggle entry {upload.ref}: public score {upload.public_score:.5f}.", style="bold")
    return {"ref": upload.ref, "status": upload.status, "public_score": upload.public_score}


def _upload(row: Row) -> Upload:
    """An entry as the ledger knows it."""
    parts = {key: row[key] for key in ("ref", "status", "public_score", "description", "error")}
    return Upload(**parts, sha256=row["hash"], already_sent=True)


@contextmanager
def _nobody_else_sends(hash: str, name: str) -> Iterator[None]:
    """Keep out other processes that would send this file: those of this ledger, and those of this user elsewhere."""
    otherwise = f"{name} is being sent by another process; wait for that one, then look again."
    with alone(hash[:12], otherwise), alive(LEDGER.with_name(f".{hash[:12]}.sending"), otherwise):
        yield


def record_upload(book: Ledger, upload: Upload, file: str, number: int | None = None) -> int:
    """Write what Kaggle says of an entry into the ledger, under its row there or a new one; the row's number."""
    return book.keep_submission(
        number,
        hash=upload.sha256,
        file=file,
        ref=upload.ref,
        description=upload.description,
        status=upload.status,
        public_score=upload.public_score,
        error=upload.error,
    )
