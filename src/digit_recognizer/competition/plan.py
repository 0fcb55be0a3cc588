"""The uploads so far, today's allowance, and the file to upload next."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np

from digit_recognizer.competition import api, submit
from digit_recognizer.competition.client import find_credentials
from digit_recognizer.data import submission
from digit_recognizer.errors import InputError, RunError
from digit_recognizer.evaluation.significance import PUBLIC_ROWS, public_standard_error
from digit_recognizer.tracking.ledger import Ledger
from digit_recognizer.tracking.run_record import RunRecord, SubmissionRecord
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.utils.files import read_bytes
from digit_recognizer.utils.reporter import SILENT, Reporter

LOST_SECONDS = 600  # an upload that Kaggle does not list after that time never arrived
NEAR = 8  # files with fewer different labels are near copies: on average two or less are public
_NO_ESTIMATE = -1  # expected by a run without held-out rows

Labels = np.ndarray  # (n,) uint8


@dataclass(frozen=True)
class PlannedFile:
    """A submission that is not uploaded yet."""

    run: str
    file: str
    expected: float | None  # accuracy on the held-out rows
    interval: tuple[float, float] | None  # 95 %
    standard_error: float | None  # of the public score
    differs_from_best: int | None  # number of labels
    near_copies: tuple[str, ...]  # runs and entries with nearly the same labels
    command: str  # uploads it
    worth_an_entry: bool


@dataclass(frozen=True)
class SentRun:
    """A run whose submission is uploaded."""

    run: str
    ref: int
    public_score: float | None


@dataclass(frozen=True)
class UploadPlan:
    """Uploaded and planned submissions."""

    allowance: api.Allowance | None  # None when Kaggle was not asked
    n_entries: int
    trouble: str | None  # why Kaggle did not answer
    best: SubmissionRecord | None  # the entry with the best public score
    sent: tuple[SentRun, ...]
    n_of_the_sample: int  # runs on the built-in sample
    files: tuple[PlannedFile, ...]  # in the order of upload

    def to_json(self) -> dict[str, Any]:
        """The record of the option --json."""
        return {
            "kaggle": self.allowance and {**asdict(self.allowance), "entries": self.n_entries},
            "trouble": self.trouble,
            "best": self.best
            and {"ref": self.best.ref, "file": self.best.file, "public_score": self.best.public_score},
            "sent": [asdict(run) for run in self.sent],
            "of_the_sample": self.n_of_the_sample,
            "files": [asdict(file) for file in self.files],
        }


def plan_uploads(workspace: Workspace, reporter: Reporter = SILENT) -> UploadPlan:
    """Update the ledger from Kaggle's list, if there are credentials, and rank the files that are not uploaded.

    Raises InputError when there is no ledger.
    """
    trouble = allowance = None
    with workspace.existing_ledger() as ledger:
        try:
            allowance = reconcile(ledger, reporter) if find_credentials() else None
        except RunError as error:
            trouble = str(error)
        submissions = ledger.submissions()
        done = [run for run in ledger.runs() if run.status == "done"]
    sent = {row.hash: row for row in submissions if row.ref is not None}
    unclear = {row.hash for row in submissions if row.is_unclear}
    runs = [run for run in done if run.source != "sample"]
    places = {run.submission_hash or "": _file_of(run) for run in runs}
    places = {hash: Path(entry.file) for hash, entry in sent.items()} | places
    labels = {hash: own for hash, file in places.items() if (own := _labels(file, hash)) is not None}
    scored = [entry for entry in sent.values() if entry.public_score is not None]
    best = max(scored, key=lambda entry: entry.public_score or 0.0, default=None)
    return UploadPlan(
        allowance=allowance,
        n_entries=sum(row.ref is not None for row in submissions),
        trouble=trouble,
        best=best,
        sent=tuple(
            SentRun(run.name, row.ref, row.public_score)
            for row in submissions
            if row.ref is not None
            for run in runs
            if run.submission_hash == row.hash
        ),
        n_of_the_sample=len(done) - len(runs),
        files=tuple(rank_files(runs, sent, labels, best, unclear)),
    )


def rank_files(
    runs: Sequence[RunRecord],
    sent: Mapping[str, SubmissionRecord],
    labels: Mapping[str, Labels],
    best: SubmissionRecord | None,
    unclear: Collection[str] = (),
) -> list[PlannedFile]:
    """The files of `runs` that are not uploaded, in the order of upload.

    `sent` has the entries and `labels` the labels of readable files, both by the hash of the file; `unclear` has the
    hashes of files whose upload got no clear answer. Files are sorted by the expected number of correct public images,
    at the lower end of the run's interval, then by the number of labels that differ from the best entry's. A file is
    worth an entry when it is no near copy and no file that Kaggle accepted, or that is planned before it, has a higher
    expectation.
    """
    best_labels = labels.get(best.hash) if best else None
    by_hash = {run.submission_hash or "": run for run in runs if run.submission_hash in labels}
    differs = {hash: None if best_labels is None else _differ(best_labels, labels[hash]) for hash in by_hash}
    known = {hash: f"entry {entry.ref}" for hash, entry in sent.items()}
    accepted = {hash for hash, entry in sent.items() if entry.status != "ERROR"}
    bar = max((_expected_correct(run) for run in runs if run.submission_hash in accepted), default=_NO_ESTIMATE)
    files = []
    order = sorted(by_hash, key=lambda hash: (_expected_correct(by_hash[hash]), differs[hash] or 0), reverse=True)
    for hash in order:
        if hash in sent:
            continue
        run, own = by_hash[hash], labels[hash]
        near = [name for other, name in known.items() if other in labels and _differ(labels[other], own) < NEAR]
        worth = not near and (not run.n or _expected_correct(run) >= bar)
        files.append(_planned_file(run, differs[hash], near, worth, force=hash in unclear))
        known[hash] = run.name
        if worth:
            bar = max(bar, _expected_correct(run))
    return files


def reconcile(ledger: Ledger, reporter: Reporter = SILENT) -> api.Allowance | None:
    """Write Kaggle's list into the ledger and return today's allowance. Raises RunError when Kaggle does not answer."""
    with reporter.status() as status:
        status("Asking Kaggle for entries and allowance ...")
        uploads, allowance = api.entries(), api.allowance()
    known = {row.hash for row in ledger.submissions()} | {run.submission_hash for run in ledger.runs()}
    for upload in uploads:
        full = [hash for hash in known if hash and upload.sha256 and hash.startswith(upload.sha256)]
        upload = replace(upload, sha256=max(full, key=len, default=upload.sha256))
        submit.record_upload(ledger, upload, file="")
    for row in ledger.submissions():
        since = datetime.fromisoformat(ledger.submission_states(row.id)[-1].at)
        is_late = datetime.now(UTC) - since > timedelta(seconds=LOST_SECONDS)
        if row.status in ("CREATING", "UNKNOWN") and row.ref is None and is_late:
            ledger.update_submission(row.id, status="LOST", error="Kaggle does not list it")
    return allowance


def _planned_file(run: RunRecord, differs: int | None, near: Sequence[str], worth: bool, force: bool) -> PlannedFile:
    found, file = run.validation, _file_of(run)
    return PlannedFile(
        run=run.name,
        file=str(file),
        expected=found.accuracy if found else None,
        interval=found.interval if found else None,
        standard_error=public_standard_error(found.interval, found.accuracy * (1 - found.accuracy)) if found else None,
        differs_from_best=differs,
        near_copies=tuple(near),
        command=f"digits submit {quote(str(file))}{_data_option(run)}{' --force' if force else ''}",
        worth_an_entry=worth,
    )


def _data_option(run: RunRecord) -> str:
    """The option for the run's data, empty when a command finds the data without it."""
    is_found = run.source == "kaggle notebook" or Path(run.data).parts[:1] == ("data",)
    return "" if is_found else f" --data {quote(str(run.data_place))}"


def _expected_correct(run: RunRecord) -> int:
    """Correct public images at the lower end of the accuracy's interval, which is low when few rows were held out."""
    return round(run.validation.interval[0] * PUBLIC_ROWS) if run.validation else _NO_ESTIMATE


def _file_of(run: RunRecord) -> Path:
    return run.folder / "submission.csv"


def _labels(file: Path, hash: str) -> Labels | None:
    """The labels of a submission, None when the file is missing, changed or not readable."""
    try:
        content = read_bytes(file, submission.MAX_BYTES)
        return submission.parse(content, str(file)) if sha256(content).hexdigest() == hash else None
    except InputError:
        return None


def _differ(first: Labels, second: Labels) -> int:
    """The number of labels that differ; all of them when the files have different lengths."""
    return int((first != second).sum()) if len(first) == len(second) else max(len(first), len(second))
