"""The competition on Kaggle: downloads, uploads, entries, scores.

Connections are opened only here, by the calls of `client`, and only when one of these functions is called. Whether a
file may be uploaded is checked before (`data.submission.check_upload`); `submit` records the result.
"""

import hashlib
import random
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from digit_recognizer.competition.client import COMPETITION, SITE, Answer, call, quoted, reason, require_credentials
from digit_recognizer.data import archives
from digit_recognizer.errors import InputError, RunError
from digit_recognizer.utils.files import nearest_folder, remove_stale_temporary_files, write_atomically

FILES = ("train.csv", "test.csv", "sample_submission.csv")
TRAIN_ROWS, TEST_ROWS = 42_000, 28_000  # of the competition's files
MAX_DESCRIPTION = 200  # characters; Kaggle states no limit, this is a guess on the safe side
AGAIN = f"Nothing was written; download again, or by hand from {SITE}/data."
LOOKUP_PAUSES = (1.0, 5.0, 15.0)  # seconds before each look for an entry whose fate is unclear
RETRY_PAUSES = (2.0, 8.0, 30.0)  # seconds before another try of what creates nothing, each half to one and a half times
POLL_PAUSES = 2.0, 15.0  # seconds before the second look for a score, and at most
_PACE = 1.0  # scales all pauses; tests set it to 0
LONGEST_PAUSE = 120.0  # seconds that Kaggle may ask to wait; the user can wait for longer

_MARK = re.compile("sha ([0-9a-f]{12})$")  # the end of a description, as `Description.of_file` writes it

Status = Callable[[str], None]  # receives what is being waited for


class UnclearOutcomeError(RunError):
    """Raised when Kaggle may or may not have taken a file."""


@dataclass(frozen=True)
class Description:
    """The description of an entry, in which its file is found again."""

    message: str
    run: str

    def of_file(self, sha256: str) -> str:
        """At most MAX_DESCRIPTION characters that end in the run and the file's hash; a long message is cut."""
        mark = f"run {_one_line(self.run)[:60]} {_mark(sha256)}"
        return f"{_one_line(self.message)[: MAX_DESCRIPTION - len(mark) - 1]} {mark}".strip()


@dataclass(frozen=True)
class Upload:
    """One entry on Kaggle."""

    ref: int
    status: str  # PENDING, COMPLETE or ERROR
    public_score: float | None  # in [0, 1]; None until COMPLETE
    sha256: str  # of the file sent, 64 hexadecimal digits
    description: str
    error: str = ""  # Kaggle's reason when the status is ERROR
    already_sent: bool = False  # found in Kaggle's list, not sent now


@dataclass(frozen=True)
class Allowance:
    """How many entries the team has made and may still make; the day starts at 00:00 UTC."""

    num_today: int
    num_total: int
    num_allowed_now: int  # also 0 for an account that has never entered: see `exhausted`

    @property
    def exhausted(self) -> bool:
        return self.num_allowed_now == 0 and self.num_total > 0


@dataclass(frozen=True)
class Access:
    """What an account may do."""

    username: str | None
    allowed: bool  # False: rules not accepted, or account not verified
    allowance: Allowance | None


def download(folder: Path, status: Status = lambda text: None) -> Path:
    """Fetch the competition's files into `folder` and return it; nothing is written before all is tested.

    Raises RunError when Kaggle refuses, the zip is damaged or not the expected one, or `folder` cannot be written.
    """
    require_credentials()
    existing, writable = nearest_folder(folder)
    if not writable:
        raise RunError(f"{existing}: no folder to write to, so nothing was downloaded. Choose another.")
    status(f"Downloading {COMPETITION} from Kaggle ...")
    with tempfile.TemporaryDirectory() as temporary:
        _value(call("download", competition=COMPETITION, folder=temporary))
        contents = _unpack(Path(temporary, f"{COMPETITION}.zip"))
    remove_stale_temporary_files(folder)
    for name, data in contents.items():
        write_atomically(folder / name, data)
    return folder


def submit(
    content: bytes,
    name: str,
    description: Description,
    force: bool = False,
    unclear: bool = False,
    on_step: Callable[[str, str], None] = lambda status, description: None,
    status: Status = lambda text: None,
) -> Upload:
    """Send `content` once as the file `name` and return its entry; when Kaggle lists it already, only return that.

    Two processes must not do this at once for one file. A file that may have been sent before, `unclear`, is not sent
    unless `force`, which also sends what is listed. `on_step` is called before each step with its status (UPLOADING,
    CREATING) and the entry's description. The upload is tried again when its failure may pass; the entry is created
    once, and looked up in the list when that came to no clear answer. Raises RunError with Kaggle's reason,
    UnclearOutcomeError when it stays unclear.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        known = _find(sha256, status)
    except RunError as error:
        raise RunError(f"{name} was not sent, as Kaggle's list could not be read first. {error}") from None
    if known and not force:
        return replace(known[0], already_sent=True)
    if unclear and not force:
        raise _unclear("an earlier upload of it came to no clear answer", "Kaggle's list does not show it")
    status(f"Sending {name} to Kaggle ...")
    text = description.of_file(sha256)
    on_step("UPLOADING", text)
    answer = _with_retries(lambda: _send(name, content, text, lambda: on_step("CREATING", text)), status)
    if answer.value and answer.value["ref"]:
        return Upload(answer.value["ref"], "PENDING", None, sha256, text)
    if answer.creating and not answer.refused:
        return _look_up(sha256, {upload.ref for upload in known}, status)
    raise RunError(f"{name} was not entered. {_refusal(answer)}")


def wait_for_score(upload: Upload, status: Status = lambda text: None, limit_seconds: float = 600) -> Upload:
    """Ask for the entry until it is scored, or until `limit_seconds` have passed: then it is still PENDING.

    Its status is then COMPLETE, or ERROR with Kaggle's reason. Raises RunError when Kaggle does not let the account
    see it.
    """
    if upload.status == "PENDING":
        status(f"Waiting for the score of entry {upload.ref} ...")
    end = time.monotonic() + limit_seconds
    pause, longest = POLL_PAUSES
    while upload.status == "PENDING" and time.monotonic() < end:
        answer = call("get", ref=upload.ref)
        if answer.status in (401, 403):
            raise RunError(f"Entry {upload.ref} was sent, but its score cannot be read. {reason(answer)}")
        if answer.value:  # anything else may pass: ask again
            upload = replace(_upload(answer.value, upload.sha256), already_sent=upload.already_sent)
        if upload.status == "PENDING":
            time.sleep(max(0.0, min(pause * _PACE, end - time.monotonic())))
            pause = min(pause * 1.5, longest)
    return upload


def entries() -> list[Upload]:
    """All entries of the team, newest first; the SHA-256 of their files comes from the description, if it holds one.

    Raises RunError with Kaggle's reason.
    """
    return _listed(call("list", competition=COMPETITION))


def allowance() -> Allowance | None:
    """How many entries may still be made today; None when the client or the server does not know."""
    answer = call("limits", competition=COMPETITION)
    if answer.status == 404:
        return None
    limits = _value(answer)
    return limits and Allowance(**limits)


def check_access() -> Access:
    """Ask whether the account may download and submit. Raises RunError when Kaggle does not know it."""
    answer = call("access", competition=COMPETITION, file="sample_submission.csv")
    if answer.status == 403:
        return Access(None, False, None)
    return Access(_value(answer)["username"], True, _allowance_if_known())


def _send(name: str, data: bytes, description: str, on_create: Callable[[], None]) -> Answer:
    """Upload the very bytes that were checked and hashed, from a file of their own."""
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary, name)
        copy.write_bytes(data)
        return call("submit", on_create, competition=COMPETITION, file=str(copy), description=description)


def _with_retries(attempt: Callable[[], Answer], status: Status) -> Answer:
    """Try what creates nothing until it does, with growing pauses that no two processes share; its last answer."""
    for pause in RETRY_PAUSES:
        answer = attempt()
        is_lost = answer.error is None and answer.value is None  # what the store did not accept
        if answer.creating or not (is_lost or answer.may_pass) or (answer.retry_after or 0) > LONGEST_PAUSE:
            return answer
        status("Kaggle is not ready; trying again in a moment ...")
        time.sleep(max(pause * random.uniform(0.5, 1.5), answer.retry_after or 0) * _PACE)
    return attempt()


def _look_up(sha256: str, known: set[int], status: Status) -> Upload:
    """Find the entry that was perhaps made while the answer was lost."""
    status("Kaggle gave no clear answer; looking for the entry in its list ...")
    found = "its list cannot be read"
    for pause in LOOKUP_PAUSES:
        time.sleep(pause * _PACE)
        try:
            new = [upload for upload in _find(sha256, status) if upload.ref not in known]
        except RunError:
            continue
        if new:
            return new[0]
        found = "its list does not show it"
    raise _unclear("it gave no clear answer", found)


def _unclear(why: str, found: str) -> UnclearOutcomeError:
    return UnclearOutcomeError(
        f"Whether Kaggle took the file is not known: {why}, and {found}. The file was not resent. Look at "
        f"{SITE}/submissions in a few minutes; if it is not there, `force` sends it."
    )


def _find(sha256: str, status: Status) -> list[Upload]:
    """The entries made of this file, newest first."""
    uploads = _listed(_with_retries(lambda: call("list", competition=COMPETITION), status))
    return [replace(upload, sha256=sha256) for upload in uploads if upload.sha256 == sha256[:12]]


def _listed(answer: Answer) -> list[Upload]:
    listed = _value(answer)
    marks = [_MARK.search(entry["description"]) for entry in listed]
    return [_upload(entry, mark[1] if mark else "") for entry, mark in zip(listed, marks, strict=True)]


def _upload(entry: dict[str, Any], sha256: str) -> Upload:
    try:
        score = float(entry["public_score"])
    except ValueError:  # empty while pending
        score = None
    return Upload(entry["ref"], entry["status"], score, sha256, entry["description"], entry["error"])


def _mark(sha256: str) -> str:
    return f"sha {sha256[:12]}"


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _unpack(path: Path) -> dict[str, bytes]:
    """Read exactly the expected files, whole; nothing is written yet."""
    try:
        names = archives.names(path)
        if sorted(names) != sorted(FILES):
            received = _one_line(", ".join(names))[:200]
            raise InputError(f"expected {', '.join(FILES)}, received {received}.")
        return {name: archives.read(path, name) for name in FILES}
    except InputError as error:
        detail = str(error).replace(str(path), path.name)
        raise RunError(f"Kaggle's zip cannot be used: {detail} {AGAIN}") from error


def _value(answer: Answer) -> Any:
    if answer.error:
        raise RunError(reason(answer))
    return answer.value


def _allowance_if_known() -> Allowance | None:
    try:
        return allowance()
    except RunError:
        return None


def _refusal(answer: Answer) -> str:
    """Why no entry was made; a 400 is most often the daily allowance."""
    if answer.error is None:
        return "Kaggle's store did not accept the upload. Submit again in a few minutes."
    left = _allowance_if_known() if answer.status == 400 else None
    if "allowance" in answer.text or (left and left.exhausted):
        used = f" ({left.num_today} sent today)" if left else ""
        return f"The day's allowance is used up{used}; it starts anew at 00:00 UTC. {quoted(answer)}"
    return reason(answer)
