"""The upload of a submission: the checks before it, and its states in the ledger."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from shlex import quote

from digit_recognizer.competition import api
from digit_recognizer.competition.api import UnclearOutcomeError, Upload
from digit_recognizer.competition.client import SITE, require_credentials
from digit_recognizer.data import csv_reader, sources, submission
from digit_recognizer.errors import InputError, RunError
from digit_recognizer.tracking.ledger import Ledger
from digit_recognizer.tracking.run_record import KaggleEntry, SubmissionRecord
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.utils.files import read_bytes
from digit_recognizer.utils.locks import alive, alone
from digit_recognizer.utils.reporter import SILENT, Reporter
from digit_recognizer.utils.signals import TerminationSignal

NOT_THE_SAMPLE = (
    "The built-in sample is not Kaggle's test set and cannot be submitted. Get the real files with "
    f"`digits download`, or from {SITE}/data into data/."
)


def submit_file(
    file: Path,
    workspace: Workspace,
    data: Path | None = None,
    message: str = "",
    force: bool = False,
    reporter: Reporter = SILENT,
) -> KaggleEntry:
    """Upload an existing submission file and wait for its score.

    It must have as many rows as the test.csv of `data`, by default of the workspace's data, else of Kaggle's. Raises
    InputError when the file or the data cannot be submitted, RunError when Kaggle refuses.
    """
    content = read_bytes(file, submission.MAX_BYTES)
    hash = sha256(content).hexdigest()
    with workspace.open_ledger(reporter) as ledger:
        runs = ledger.runs()
        made_by = [run for run in runs if run.submission_hash == hash]
        if own := [run for run in runs if run.name == file.absolute().parent.name]:
            if own[0] not in made_by:
                raise InputError(
                    f"{file}: does not match the submission of run {own[0].name}. Repeat that run; to upload the file "
                    "as it is, copy it elsewhere."
                )
            made_by = own  # other runs may have written the same bytes
        if made_by and made_by[0].source == "sample":
            raise InputError(f"{file}: written by run {made_by[0].name} for the built-in sample. {NOT_THE_SAMPLE}")
        source = sources.find(data, workspace.data)
        check_not_sample(source)
        n_rows = len(csv_reader.read_test(source.test).pixels) if source else api.TEST_ROWS
        submission.check_upload(content, str(file), n_rows)
        require_credentials()
        run_name = made_by[0].name if made_by else file.stem
        return submit_once(ledger, file, content, run_name, message, force, reporter)


def check_not_sample(source: sources.Source | None) -> None:
    """Raise InputError for data whose predictions Kaggle cannot score."""
    if source and source.kind == "sample":
        raise InputError(NOT_THE_SAMPLE)


def check_allowance(reporter: Reporter = SILENT) -> None:
    """Raise RunError when Kaggle does not answer or accepts no more entries today."""
    remedy = "Nothing was trained: run without `submit`, and upload the file later with `digits submit`."
    with reporter.status() as status:
        status("Asking Kaggle for today's allowance ...")
        try:
            left = api.allowance()
        except RunError as error:
            raise RunError(f"{error} {remedy}") from error
    if left and left.exhausted:
        used = f"Today's allowance is used up (uploads made: {left.num_today})"
        raise RunError(f"{used}; it is renewed at 00:00 UTC. {remedy}")


def submit_once(
    ledger: Ledger,
    file: Path,
    content: bytes,
    run_name: str,
    message: str = "",
    force: bool = False,
    reporter: Reporter = SILENT,
) -> KaggleEntry:
    """Upload the content of a checked file once, wait for its score, and keep each state in the ledger.

    A file whose entry is in the ledger is not uploaded again, unless `force`; a pending score is waited for. Raises
    RunError when Kaggle refuses, or has scored the same file already.
    """
    hash = sha256(content).hexdigest()
    command = f"`digits submit {quote(str(file))}`"
    try:
        with _locked(ledger, hash, file.name):
            before = ledger.submissions(hash)
            known = next((row for row in reversed(before) if row.ref is not None), None)
            is_unclear = any(row.is_unclear for row in before)
            awaited = known.status == "PENDING" if known else is_unclear
            if known and not force:  # Kaggle's list may not show it yet
                upload = _known_upload(known)
            else:
                description = api.describe(message, run_name, hash)
                upload = _upload(ledger, file, content, description, force, is_unclear, reporter)
        is_copy = upload.already_sent and upload.public_score is not None and not awaited
        with reporter.status() as status:
            upload = api.wait_for_score(upload, status)
        record_upload(ledger, upload, str(file))
    except RunError as error:
        raise RunError(f"{error} The file is kept; to continue: {command}.") from error
    except (KeyboardInterrupt, TerminationSignal):
        reporter.info(f"To continue: {command}.")
        raise
    if upload.status == "ERROR":
        reason = upload.error or "it gives no reason"
        raise RunError(f"Kaggle could not score entry {upload.ref}: {reason}. Correct the file and submit it again.")
    if is_copy:
        raise RunError(
            f"{file} was not uploaded: Kaggle has this file already, as entry {upload.ref}, public score "
            f"{upload.public_score:.5f}. A second upload would get the same score; use `force` to upload it again."
        )
    if upload.public_score is None:
        score = f"not scored yet. Repeat {command} to ask for the score; the file is not uploaded twice"
    else:
        score = f"public score {upload.public_score:.5f}"
    reporter.info(f"Kaggle entry {upload.ref}: {score}.")
    return KaggleEntry(upload.ref, upload.status, upload.public_score)


def record_upload(ledger: Ledger, upload: Upload, file: str, number: int | None = None) -> None:
    """Write an entry as Kaggle lists it into the ledger, into its row or a new one."""
    ledger.upsert_submission(
        number,
        hash=upload.sha256,
        file=file,
        ref=upload.ref,
        description=upload.description,
        status=upload.status,
        public_score=upload.public_score,
        error=upload.error,
    )


def _upload(
    ledger: Ledger, file: Path, content: bytes, description: str, force: bool, is_unclear: bool, reporter: Reporter
) -> Upload:
    """Upload a file, with each state written into the ledger before its step."""
    hash = sha256(content).hexdigest()
    number: int | None = None

    def on_step(status: str) -> None:
        nonlocal number
        if number is None:
            number = ledger.begin_submission(hash=hash, file=str(file), description=description, status=status)
        else:
            ledger.update_submission(number, status=status)

    try:
        with reporter.status() as status:
            upload = api.submit(content, file.name, description, force, is_unclear, on_step, status)
    except RunError as error:
        for row in ledger.submissions(hash):
            if isinstance(error, UnclearOutcomeError) and row.status == "CREATING":  # also of a killed process
                ledger.update_submission(row.id, status="UNKNOWN", error=str(error))
            elif row.id == number:
                ledger.update_submission(row.id, status="REFUSED", error=str(error))
        raise
    record_upload(ledger, upload, str(file), number)
    return upload


def _known_upload(row: SubmissionRecord) -> Upload:
    """An entry of the ledger."""
    return Upload(row.ref or 0, row.status, row.public_score, row.hash, row.description, row.error, already_sent=True)


@contextmanager
def _locked(ledger: Ledger, hash: str, name: str) -> Iterator[None]:
    """Keep out other processes that upload this file: those with this ledger, and those of this user."""
    otherwise = f"{name} is being uploaded by another process. Try again later."
    with alone(hash[:12], otherwise), alive(ledger.file.with_name(f".{hash[:12]}.sending"), otherwise):
        yield
