"""The child process that imports the kaggle client: reads one order from stdin, writes JSON lines to stdout.

In: {"call": one of CALLS, "seconds": the time limit, ...its arguments}. Out: {"ok": value} or {"error": "http" |
"network" | "client", "status", "text", "type", "retry_after"}. Before an entry is created, {"stage": "create"} is
written and "go" is expected, so that none is created when the parent is dead. What the client prints is discarded, and
secrets are removed from every string that is written.
"""

import base64
import json
import os
import re
import signal
import sys
from collections.abc import Callable
from typing import Any

LONGEST_TEXT = 500
MOST_PAGES = 50  # of up to 100 entries: years of the daily allowance
_HIDDEN = "[hidden]"
_SECRET_SHAPES = (
    (re.compile(r"(?i)\b(bearer|basic)\s+\S+"), rf"\1 {_HIDDEN}"),
    (re.compile(r"(https?://[^\s?#'\"]*)[?#][^\s'\"]*"), rf"\1?{_HIDDEN}"),  # the signature of a signed URL
    (re.compile(r"\b(?=\w*\d)\w{32,}"), _HIDDEN),  # keys are 32 hexadecimal digits, tokens are longer
)


def main() -> None:
    """Execute the order on stdin. The answer is always on stdout; the exit code has no meaning."""
    answers = _reserve_stdout()
    order = json.loads(sys.stdin.readline())
    seconds = order.pop("seconds")
    if hasattr(signal, "alarm"):  # the parent may be dead, and the client has no time-out; not on Windows
        signal.alarm(int(seconds) + 5)
    secrets: list[str] = []

    def send(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(_redact(answer, secrets)) + "\n")
        answers.flush()

    try:
        import kaggle  # authenticates when it is imported

        secrets += _secrets(kaggle.api)
        send({"ok": CALLS[order.pop("call")](kaggle.api, send, **order)})
    except (Exception, SystemExit) as error:
        send(_failure(error))


def _download(api: Any, send: Callable[..., None], competition: str, folder: str) -> None:
    # force: without it a newer local file of the same length is kept even when it is corrupt
    api.competition_download_files(competition, path=folder, force=True, quiet=True)


def _submit(api: Any, send: Callable[..., None], competition: str, file: str, description: str) -> Any:
    """The client's three steps, one by one, so that it is known whether the third was started."""
    from kaggle.api.kaggle_api_extended import ResumableUploadResult

    start = _request(
        "ApiStartSubmissionUploadRequest",
        competition_name=competition,
        file_name=os.path.basename(file),
        content_length=os.path.getsize(file),
        last_modified_epoch_seconds=int(os.path.getmtime(file)),
    )
    create = _request("ApiCreateSubmissionRequest", competition_name=competition, submission_description=description)
    with api.build_kaggle_client() as client:
        competitions = client.competitions.competition_api_client
        target = competitions.start_submission_upload(start)
        if api.upload_complete(file, target.create_url, quiet=True) != ResumableUploadResult.COMPLETE:
            return None  # upload_complete never raises
        create.blob_file_tokens = target.token
        send({"stage": "create"})
        if sys.stdin.readline() != "go\n":
            raise SystemExit  # the parent has ended and has not recorded this call
        return {"ref": competitions.create_submission(create).ref}


def _list(api: Any, send: Callable[..., None], competition: str) -> list[Any]:
    """All entries, newest first; the client's own method drops the page token."""
    request = _request("ApiListSubmissionsRequest", competition_name=competition, page=1, page_size=100)
    entries: list[Any] = []
    with api.build_kaggle_client() as client:
        for _ in range(MOST_PAGES):
            page = client.competitions.competition_api_client.list_submissions(request)
            entries += [_entry(submission) for submission in page.submissions or []]
            if not page.next_page_token:
                break
            request.page = None
            request.page_token = page.next_page_token
    return entries


def _get(api: Any, send: Callable[..., None], ref: int) -> Any:
    request = _request("ApiGetSubmissionRequest", ref=ref)
    with api.build_kaggle_client() as client:
        return _entry(client.competitions.competition_api_client.get_submission(request))


def _limits(api: Any, send: Callable[..., None], competition: str) -> Any:
    limits = api.competition_get_submission_limits(competition)
    names = ("num_today", "num_total", "num_allowed_now")
    return {name: getattr(limits, name) for name in names}


def _access(api: Any, send: Callable[..., None], competition: str, file: str) -> Any:
    """Open a download without reading it: Kaggle answers 403 until the rules are accepted."""
    request = _request("ApiDownloadDataFileRequest", competition_name=competition, file_name=file)
    with api.build_kaggle_client() as client:
        client.competitions.competition_api_client.download_data_file(request).close()
    return {"username": api.config_values.get("username")}


CALLS: dict[str, Callable[..., Any]] = {
    "download": _download,
    "submit": _submit,
    "list": _list,
    "get": _get,
    "limits": _limits,
    "access": _access,
}


def _request(name: str, **fields: Any) -> Any:
    """One of the client's requests, whose constructors take no arguments."""
    from kagglesdk.competitions.types import competition_api_service

    request = getattr(competition_api_service, name)()
    for field, value in fields.items():
        setattr(request, field, value)
    return request


def _entry(submission: Any) -> dict[str, Any]:
    return {
        "ref": submission.ref,
        "status": submission.status.name,
        "public_score": submission.public_score,
        "description": submission.description,
        "error": submission.error_description,
    }


def _failure(error: BaseException) -> dict[str, Any]:
    """Describes an error, without the exception's text where that may hold a URL."""
    kind, status, text = "client", None, ""
    classes = [c.__name__ for c in type(error).__mro__ if c.__module__.startswith("requests.")]
    response = getattr(error, "response", None)
    if response is not None:  # never `if response`: it is False for 4xx
        kind, status = "http", response.status_code
        try:
            body = response.json()
            text = str(body.get("message") or "")
            status = max(status, int(body.get("code") or 0))  # the client uses the larger one, too
        except (ValueError, TypeError, AttributeError):
            pass  # a gateway's page, not Kaggle's JSON
    elif {"ConnectionError", "Timeout", "ChunkedEncodingError"} & set(classes):
        kind = "network"
    elif isinstance(error, (ImportError, OSError)) and not classes:
        text = str(error)
    after = None if response is None else _retry_after(response.headers)
    return {"error": kind, "status": status, "text": text, "type": type(error).__name__, "retry_after": after}


def _retry_after(headers: Any) -> float | None:
    """The seconds to wait by the header Retry-After (RFC 9110, 10.2.3); None when it is missing or not valid."""
    from urllib3.exceptions import InvalidHeader
    from urllib3.util import Retry

    try:
        return Retry().parse_retry_after(headers.get("Retry-After", ""))
    except InvalidHeader:
        return None


def _secrets(api: Any) -> list[str]:
    """All credentials this process may have, longest first, so that none hides part of another."""
    from kagglesdk.kaggle_env import get_access_token_from_env

    values = api.config_values
    found = {os.environ.get("KAGGLE_API_TOKEN"), os.environ.get("KAGGLE_KEY"), get_access_token_from_env()[0]}
    found |= {values.get("token"), values.get("key")}
    pair = f"{values.get('username')}:{values.get('key')}"
    found |= {pair, base64.b64encode(pair.encode()).decode()}
    return sorted((secret for secret in found if secret and len(secret) > 3), key=len, reverse=True)


def _redact(value: Any, secrets: list[str], key: str = "") -> Any:
    """Remove secrets and control characters from every string in `value`, and cut it to LONGEST_TEXT."""
    if isinstance(value, dict):
        return {key: _redact(item, secrets, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_redact(item, secrets) for item in value]
    if not isinstance(value, str):
        return value
    for secret in secrets:
        value = value.replace(secret, _HIDDEN)
    if key != "description":  # the user's text, in which "basic sha 12ab" is no secret but finds the entry
        for shape, replacement in _SECRET_SHAPES:
            value = shape.sub(replacement, value)
    printable = "".join(character if character.isprintable() else " " for character in value)
    return " ".join(printable.split())[:LONGEST_TEXT]


def _reserve_stdout() -> Any:
    """Returns a file on stdout, and discards what else is printed there."""
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    return answers


if __name__ == "__main__":
    main()
