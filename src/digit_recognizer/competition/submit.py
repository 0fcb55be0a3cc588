"""One upload of a submission: the checks before it, and its states in the ledger."""

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
    """Upload a submission file that was made earlier, and wait for its score.

    It must have as many rows as the test.csv at `data`, or that of the workspace, or else as Kaggle's. Raises
    InputError when the file or the data cannot be submitted, RunError when Kaggle refuses.
    """
    content = read_bytes(file, submission.MAX_BYTES)
    hash = sha256(content).hexdigest()
    with workspace.open_ledger(reporter) as ledger:
        runs = ledger.runs()
        made_by = [run for run in runs if run.submission_hash == hash]
        if own := [run for run in runs if run.name == file.absolute().parent.name and run not in made_by]:
            raise InputError(
                f"{file}: not what run {own[0].name} wrote: damaged, or changed. Repeat the run with "
                f"`digits run --from-run {own[0].name}`; to upload the file as it is, copy it elsewhere."
            )
        if made_by and made_by[0].source == "sample":
            raise InputError(f"{file}: run {made_by[0].name} made it for the built-in sample. {NOT_THE_SAMPLE}")
        source = sources.find(data, workspace.data)
        check_not_sample(source)
        n_rows = len(csv_reader.read_test(source.test).pixels) if source else api.TEST_ROWS
        submission.check_upload(content, str(file), n_rows)
        require_credentials()
        run_name = made_by[0].name if made_by else file.stem
        return submit_once(ledger, file, content, run_name, message, force, reporter)


def check_not_sample(source: sources.Source | None) -> None:
    """Raise InputError for data that Kaggle cannot score, before any training."""
    if source and source.kind == "sample":
        raise InputError(NOT_THE_SAMPLE)


def check_allowance(reporter: Reporter = SILENT) -> None:
    """Raise RunError when Kaggle does not answer or accepts no more entries today, before any training."""
    cure = "Nothing was trained: run without `submit`, and upload the file later with `digits submit`."
    with reporter.status() as status:
        status("Asking Kaggle for today's allowance ...")
        try:
            left = api.allowance()
        except RunError as error:
            raise RunError(f"{error} {cure}") from error
    if left and left.exhausted:
        raise RunError(f"Today's allowance is used up ({left.num_today} sent); it is renewed at 00:00 UTC. {cure}")


def submit_once(
    ledger: Ledger,
    file: Path,
    content: bytes,
    run_name: str,
    message: str = "",
    force: bool = False,
    reporter: Reporter = SILENT,
) -> KaggleEntry:
    """Upload a checked file's content once and wait for its score; the ledger keeps each state before its step.

    A file that was uploaded before and whose score is awaited is not uploaded; its score is asked for. Raises RunError
    when Kaggle refuses, or has scored the same file already, unless `force`.
    """
    attempt = _Attempt(ledger, file, sha256(content).hexdigest())
    try:
        with _locked(ledger, attempt.hash, file.name):
            before = attempt.read_history()
            known = next((row for row in reversed(before) if row.ref is not None), None)
            is_unclear = any(row.is_unclear for row in before)
            awaited = known.status == "PENDING" if known else is_unclear
            if known and not force:  # whatever Kaggle's list shows by now
                upload = _upload(known)
            else:
                with reporter.status() as status:
                    upload = api.submit(
                        content,
                        file.name,
                        api.Description(message, run_name),
                        force,
                        is_unclear,
                        attempt.on_step,
                        status,
                    )
                attempt.number = record_upload(ledger, upload, str(file), attempt.number)
        is_copy = upload.already_sent and upload.public_score is not None and not awaited
        with reporter.status() as status:
            upload = api.wait_for_score(upload, status)
        record_upload(ledger, upload, str(file), attempt.number)
    except RunError as error:
        attempt.fail(error)
        raise RunError(f"{error} The file is kept; to continue: {attempt.command}.") from error
    except (KeyboardInterrupt, TerminationSignal):
        reporter.info(f"To go on from here: {attempt.command}.")
        raise
    if upload.status == "ERROR":
        reason = upload.error or "it gives no reason"
        raise RunError(f"Kaggle could not score entry {upload.ref}: {reason}. Correct the file and submit it again.")
    if is_copy:
        raise RunError(
            f"{file} was not sent: Kaggle has this file already, as entry {upload.ref}, public score "
            f"{upload.public_score:.5f}. A second upload gives the same score; `force` does it anyway."
        )
    if upload.public_score is None:
        reporter.info(
            f"Kaggle entry {upload.ref}: not scored yet; {attempt.command} asks again and sends nothing twice."
        )
    else:
        reporter.info(f"Kaggle entry {upload.ref}: public score {upload.public_score:.5f}.")
    return KaggleEntry(upload.ref, upload.status, upload.public_score)


class _Attempt:
    """The row of the ledger that an upload writes, and the rows that were there before."""

    def __init__(self, ledger: Ledger, file: Path, hash: str) -> None:
        self.ledger, self.file, self.hash = ledger, file, hash
        self.number: int | None = None
        self.before: list[SubmissionRecord] = []

    @property
    def command(self) -> str:
        return f"`digits submit {quote(str(self.file))}`"

    def read_history(self) -> list[SubmissionRecord]:
        self.before = self.ledger.submissions(self.hash)
        return self.before

    def on_step(self, status: str, description: str) -> None:
        """Write the state of a step before it is taken."""
        if self.number is None:
            self.number = self.ledger.begin_submission(
                hash=self.hash, file=str(self.file), description=description, status=status
            )
        else:
            self.ledger.update_submission(self.number, status=status)

    def fail(self, error: RunError) -> None:
        """Write what became of an upload that failed."""
        unclear = isinstance(error, UnclearOutcomeError)
        if self.number is not None:
            state = self.ledger.submission_states(self.number)[-1].status
            if state in ("UPLOADING", "CREATING"):
                new = "UNKNOWN" if unclear else "REFUSED"
                self.ledger.update_submission(self.number, status=new, error=str(error))
        for row in self.before:
            if unclear and row.status == "CREATING":  # of a process that was killed
                self.ledger.update_submission(row.id, status="UNKNOWN", error=str(error))


def _upload(row: SubmissionRecord) -> Upload:
    """An entry as the ledger knows it."""
    return Upload(row.ref or 0, row.status, row.public_score, row.hash, row.description, row.error, already_sent=True)


@contextmanager
def _locked(ledger: Ledger, hash: str, name: str) -> Iterator[None]:
    """Keep out other processes that would send this file: those with this ledger, and those of this user."""
    otherwise = f"{name} is being sent by another process; wait for that one, then look again."
    with alone(hash[:12], otherwise), alive(ledger.file.with_name(f".{hash[:12]}.sending"), otherwise):
        yield


def record_upload(ledger: Ledger, upload: Upload, file: str, number: int | None = None) -> int:
    """Write what Kaggle lists of an entry into the ledger, in its row there or a new one; the row's id."""
    return ledger.keep_submission(
        number,
        hash=upload.sha256,
        file=file,
        ref=upload.ref,
        description=upload.description,
        status=upload.status,
        public_score=upload.public_score,
        error=upload.error,
    )
