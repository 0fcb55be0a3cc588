"""Requests to Kaggle: uploads, entries, scores, the daily allowance.

The functions check no file and write no ledger; `submit` does.
"""

import hashlib
import random
import re
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from digit_recognizer.competition.client import COMPETITION, SITE, Answer, call, quoted, reason, value
from digit_recognizer.errors import RunError

TRAIN_ROWS, TEST_ROWS = 42_000, 28_000  # of the competition's files
MAX_DESCRIPTION = 200  # characters; Kaggle documents no limit, this is a cautious guess
LOOKUP_PAUSES = (1.0, 5.0, 15.0)  # seconds before each search of the list for an entry that may exist
RETRY_PAUSES = (2.0, 8.0, 30.0)  # seconds before each retry of what creates nothing, each times 0.5 to 1.5
POLL_PAUSES = 2.0, 15.0  # seconds between requests for a score: the first pause and the longest
_PACE = 1.0  # scales all pauses; tests set it to 0
LONGEST_PAUSE = 120.0  # seconds; when Kaggle asks for a longer pause, the call fails

_HASH = re.compile("sha ([0-9a-f]{12})$")  # the end of a description

Status = Callable[[str], None]  # receives what is being waited for


class UnclearOutcomeError(RunError):
    """Raised when it is not known whether Kaggle created an entry."""


@dataclass(frozen=True)
class Upload:
    """One entry on Kaggle."""

    ref: int
    status: str  # PENDING, COMPLETE or ERROR
    public_score: float | None  # in [0, 1]; None until COMPLETE
    sha256: str  # of the file, 64 hexadecimal digits, or the 12 of the description
    description: str
    error: str = ""  # Kaggle's reason when the status is ERROR
    already_sent: bool = False  # True when it was created by an earlier upload


@dataclass(frozen=True)
class Allowance:
    """How many entries the team has made and may still make; a day starts at 00:00 UTC."""

    num_today: int
    num_total: int
    num_allowed_now: int

    @property
    def exhausted(self) -> bool:
        """Whether no entry is left today; an account without any entry also has a `num_allowed_now` of 0."""
        return self.num_allowed_now == 0 and self.num_total > 0


def describe(message: str, run: str, sha256: str) -> str:
    """The description of an entry, by which its file is found: ends in the run's name and 12 digits of the file's hash.

    A long message is cut so that at most MAX_DESCRIPTION characters are left.
    """
    suffix = f"run {_one_line(run)[:60]} sha {sha256[:12]}"
    return f"{_one_line(message)[: MAX_DESCRIPTION - len(suffix) - 1]} {suffix}".strip()


def submit(
    content: bytes,
    name: str,
    description: str,
    force: bool = False,
    unclear: bool = False,
    on_step: Callable[[str], None] = lambda status: None,
    status: Status = lambda text: None,
) -> Upload:
    """Upload `content` once as the file `name` and return its entry, or the entry that Kaggle lists for it already.

    Two processes must not do this at once for one file. A file that may have been uploaded before, `unclear`, is not
    uploaded unless `force`, which also uploads what is listed. `on_step` is called before each step with its status,
    UPLOADING or CREATING. The upload is retried after temporary failures; the entry is created once, and searched for
    in the list when the answer is not clear. Raises RunError with Kaggle's reason, UnclearOutcomeError when it is not
    found.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        known = _find(sha256, status)
    except RunError as error:
        raise RunError(f"{name} was not uploaded, as Kaggle's list could not be read first. {error}") from None
    if known and not force:
        return replace(known[0], already_sent=True)
    if unclear and not force:
        raise _unclear("an earlier upload got no clear answer", "Kaggle's list does not show it")
    status(f"Uploading {name} to Kaggle ...")
    on_step("UPLOADING")
    answer = _with_retries(lambda: _send(name, content, description, lambda: on_step("CREATING")), status)
    if answer.value and _is_reference(answer.value["ref"]):
        return Upload(answer.value["ref"], "PENDING", None, sha256, description)
    if answer.creating and not answer.refused:
        return _look_up(sha256, {upload.ref for upload in known}, status)
    raise RunError(f"{name} was not submitted. {_refusal(answer)}")


def wait_for_score(upload: Upload, status: Status = lambda text: None, limit_seconds: float = 600) -> Upload:
    """Wait until the entry is COMPLETE, or ERROR with Kaggle's reason; it is still PENDING after `limit_seconds`.

    Raises RunError when the account has no access to it.
    """
    if upload.status == "PENDING":
        status(f"Waiting for the score of entry {upload.ref} ...")
    end = time.monotonic() + limit_seconds
    pause, longest = POLL_PAUSES
    while upload.status == "PENDING" and time.monotonic() < end:
        answer = call("get", ref=upload.ref)
        if answer.status in (401, 403):
            raise RunError(f"Entry {upload.ref} was created, but its score cannot be read. {reason(answer)}")
        if answer.value:  # other failures may be temporary
            found = _upload(answer.value, upload.sha256)
            if found.ref != upload.ref:
                raise RunError(f"Kaggle answered about entry {found.ref} instead of {upload.ref}. Try again later.")
            upload = replace(found, already_sent=upload.already_sent)
        if upload.status == "PENDING":
            time.sleep(max(0.0, min(pause * _PACE, end - time.monotonic())))
            pause = min(pause * 1.5, longest)
    return upload


def entries() -> list[Upload]:
    """All entries of the team, newest first, with the hash of their description, if any. Raises RunError."""
    return _listed(call("list", competition=COMPETITION))


def allowance() -> Allowance | None:
    """How many entries may still be made today; None when the server does not provide it. Raises RunError."""
    answer = call("limits", competition=COMPETITION)
    return None if answer.status == 404 else Allowance(**value(answer))


def check_access() -> str:
    """The name of the account. Raises RunError when it is not valid or may not enter the competition."""
    return value(call("access", competition=COMPETITION, file="sample_submission.csv"))["username"]


def _send(name: str, data: bytes, description: str, on_create: Callable[[], None]) -> Answer:
    """Upload the bytes that were checked and hashed; the user's file may have changed since."""
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary, name)
        copy.write_bytes(data)
        return call("submit", on_create, competition=COMPETITION, file=str(copy), description=description)


def _with_retries(attempt: Callable[[], Answer], status: Status) -> Answer:
    """Retry after temporary failures that created nothing, with growing random pauses, and return the last answer."""
    for pause in RETRY_PAUSES:
        answer = attempt()
        is_lost = answer.error is None and answer.value is None  # the storage did not accept the file
        if answer.creating or not (is_lost or answer.is_temporary) or (answer.retry_after or 0) > LONGEST_PAUSE:
            return answer
        status("Kaggle is not ready; trying again soon ...")
        time.sleep(max(pause * random.uniform(0.5, 1.5), answer.retry_after or 0) * _PACE)
    return attempt()


def _look_up(sha256: str, known: set[int], status: Status) -> Upload:
    """Find the entry that may have been created although the answer was lost."""
    status("Kaggle gave no clear answer; searching its list for the entry ...")
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
    raise _unclear("Kaggle gave no clear answer", found)


def _unclear(why: str, found: str) -> UnclearOutcomeError:
    return UnclearOutcomeError(
        f"It is not known whether Kaggle has the file: {why}, and {found}. The file was not uploaded again. See "
        f"{SITE}/submissions in a few minutes; if it is not there, use `force` to upload it."
    )


def _find(sha256: str, status: Status) -> list[Upload]:
    """The entries of this file, newest first."""
    uploads = _listed(_with_retries(lambda: call("list", competition=COMPETITION), status))
    return [replace(upload, sha256=sha256) for upload in uploads if upload.sha256 == sha256[:12]]


def _listed(answer: Answer) -> list[Upload]:
    hashes = [(entry, _HASH.search(entry["description"])) for entry in value(answer)]
    return [_upload(entry, hash[1] if hash else "") for entry, hash in hashes]


def _is_reference(ref: Any) -> bool:
    return isinstance(ref, int) and ref > 0


def _upload(entry: dict[str, Any], sha256: str) -> Upload:
    """An entry as Kaggle answers it. Raises RunError for a reference or a score that no entry can have."""
    try:
        score = float(entry["public_score"])
    except ValueError:  # empty while pending
        score = None
    if not _is_reference(entry["ref"]) or (score is not None and not 0 <= score <= 1):
        raise RunError(
            f"Kaggle's answer is not valid: entry {entry['ref']!r}, public score {entry['public_score']!r}. Try again "
            "later."
        )
    return Upload(entry["ref"], entry["status"], score, sha256, entry["description"], entry["error"])


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _refusal(answer: Answer) -> str:
    """Why no entry was created; a 400 mostly means that the daily allowance is used up."""
    if answer.error is None:
        return "Kaggle's storage did not accept the upload. Submit again in a few minutes."
    left = None
    if answer.status == 400:
        with suppress(RunError):
            left = allowance()
    if "allowance" in answer.text or (left and left.exhausted):
        used = f" (uploads made: {left.num_today})" if left else ""
        return f"Today's allowance is used up{used}; it is renewed at 00:00 UTC. {quoted(answer)}"
    return reason(answer)
