"""What was uploaded, what is left of today's allowance, and which file to upload next."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
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

LOST_SECONDS = 600  # after which an upload that Kaggle does not list never arrived
NEAR = 8  # rows that differ: fewer make two or less among the public quarter, on average
_NO_ESTIMATE = -1  # the promise of a run without held-out rows

Labels = np.ndarray  # (n,) uint8


@dataclass(frozen=True)
class PlannedFile:
    """A submission that was not uploaded yet."""

    run: str
    file: str
    expected: float | None  # accuracy on the held-out rows
    interval: tuple[float, float] | None  # 95 %
    standard_error: float | None  # of the public score
    differs_from_best: int | None  # labels
    near_copies: tuple[str, ...]  # runs and entries whose labels are nearly the same
    command: str  # that uploads it
    worth_an_entry: bool


@dataclass(frozen=True)
class SentRun:
    """A run whose submission was uploaded."""

    run: str
    ref: int
    public_score: float | None


@dataclass(frozen=True)
class UploadPlan:
    """What was uploaded and what could be."""

    allowance: api.Allowance | None  # None when Kaggle was not asked
    n_entries: int
    trouble: str | None  # why Kaggle could not be asked
    best: SubmissionRecord | None  # the entry with the best public score
    sent: tuple[SentRun, ...]
    n_of_the_sample: int  # runs whose submissions Kaggle cannot score
    files: tuple[PlannedFile, ...]  # the one to upload first first

    def to_json(self) -> dict[str, Any]:
        return {
            "kaggle": self.allowance and {**asdict(self.allowance), "entries": self.n_entries},
            "trouble": self.trouble,
            "best": self.best
            and {"ref": self.best.ref, "file": self.best.file, "public_score": self.best.public_score},
            "sent": [asdict(run) for run in self.sent],
            "of_the_sample": self.n_of_the_sample,
            "files": [
                {**asdict(file), "interval": file.interval and list(file.interval), "near_copies": [*file.near_copies]}
                for file in self.files
            ],
        }


def plan_uploads(workspace: Workspace, reporter: Reporter = SILENT) -> UploadPlan:
    """Update the ledger from Kaggle's list, where there are credentials, and rank the files that were not uploaded.

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
    labels = {run.submission_hash or "": own for run in runs if (own := _labels(_file_of(run))) is not None}
    labels |= {entry.hash: own for entry in sent.values() if (own := _labels_if_same(entry)) is not None}
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
    """The files of `runs` that were not uploaded, the one to upload first first.

    `sent` holds the entries and `labels` the readable files, both by the files' hashes; `unclear` the hashes of files
    whose upload got no clear answer. The order is by the public images that the lower end of a run's interval promises,
    and among equal ones by how much the labels differ from the best entry's. A file is worth an entry when it is no
    near copy, and no file that Kaggle accepted or a worthy one before it promises more.
    """
    best_labels = labels.get(best.hash) if best else None

    def order(run: RunRecord) -> tuple[int, int]:
        own = labels.get(run.submission_hash or "")
        return _promise(run), 0 if own is None or best_labels is None else _differ(best_labels, own)

    known = {hash: f"entry {entry.ref}" for hash, entry in sent.items()}
    accepted = {hash for hash, entry in sent.items() if entry.status != "ERROR"}
    bar = max((_promise(run) for run in runs if run.submission_hash in accepted), default=_NO_ESTIMATE)
    files = []
    for run in sorted(runs, key=order, reverse=True):
        hash = run.submission_hash or ""
        own = labels.get(hash)
        if own is None or hash in known:
            continue
        near = [name for other, name in known.items() if other in labels and _differ(labels[other], own) < NEAR]
        worth = not near and (not run.n or _promise(run) >= bar)
        differs = None if best_labels is None else _differ(best_labels, own)
        files.append(_planned_file(run, differs, near, worth, force=hash in unclear))
        known[hash] = run.name
        if worth:
            bar = max(bar, _promise(run))
    return files


def reconcile(ledger: Ledger, reporter: Reporter = SILENT) -> api.Allowance | None:
    """Write what Kaggle lists into the ledger; today's allowance. Raises RunError when Kaggle does not answer."""
    with reporter.status() as status:
        status("Asking Kaggle for entries and allowance ...")
        uploads, allowance = api.entries(), api.allowance()
    known = {row.hash for row in ledger.submissions()} | {run.submission_hash for run in ledger.runs()}
    for upload in uploads:
        full = [hash for hash in known if hash and upload.sha256 and hash.startswith(upload.sha256)]
        upload = replace(upload, sha256=max(full, key=len, default=upload.sha256))
        submit.record_upload(ledger, upload, file="")
    for row in ledger.submissions():
        if row.status in ("CREATING", "UNKNOWN") and row.ref is None and _age(_since(ledger, row)) > LOST_SECONDS:
            ledger.update_submission(row.id, status="LOST", error="Kaggle does not list it")
    return allowance


def _since(ledger: Ledger, row: SubmissionRecord) -> str:
    """Since when a submission has been in its state."""
    return ledger.submission_states(row.id)[-1].at


def _planned_file(run: RunRecord, differs: int | None, near: Sequence[str], worth: bool, force: bool) -> PlannedFile:
    found = run.validation
    file = _file_of(run)
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
    """The option that names the run's data, where a command would not find it by itself."""
    is_found = run.source == "kaggle notebook" or Path(run.data).parts[:1] == ("data",)
    return "" if is_found else f" --data {quote(str(run.data_place))}"


def _promise(run: RunRecord) -> int:
    """Public images right by the lower end of the accuracy's interval, so that few lucky rows promise little."""
    return round(run.validation.interval[0] * PUBLIC_ROWS) if run.validation else _NO_ESTIMATE


def _file_of(run: RunRecord) -> Path:
    return run.folder / "submission.csv"


def _labels(file: Path) -> Labels | None:
    """The labels of a submission, None when it is missing or not readable any more."""
    try:
        return submission.parse(read_bytes(file, submission.MAX_BYTES), str(file))
    except InputError:
        return None


def _labels_if_same(entry: SubmissionRecord) -> Labels | None:
    """The labels of the file that was uploaded, None when another one has its name by now."""
    file = Path(entry.file)
    with suppress(InputError):
        if file.is_file() and sha256(read_bytes(file)).hexdigest() == entry.hash:
            return _labels(file)
    return None


def _age(time: str) -> float:
    """Seconds since a time as the ledger writes it."""
    return (datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds()


def _differ(first: Labels, second: Labels) -> int:
    """How many labels differ; all of them when the files are not for the same images."""
    return int((first != second).sum()) if len(first) == len(second) else max(len(first), len(second))
