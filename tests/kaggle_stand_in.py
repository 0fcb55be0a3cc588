"""A stand-in for Kaggle on 127.0.0.1, to which environment variables redirect the real kaggle client.

It is the client's HTTP proxy, so it receives `POST http://localhost/api/v1/...` whatever listens on port 80. It scores
the files that it receives, and simulates failures. It shares no code with the package.
"""

import base64
import csv
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any
from urllib.parse import urlsplit

USERNAME, KEY, TOKEN = "grace", "canary-key-5f2a", "canary-token-77e1"
SIGNATURE = "canary-signature-90c3"  # of the signed URLs
STORE = "http://store.invalid"  # only the proxy resolves this name
ALLOWANCE_USED = "Your team has used its daily Submission allowance (5) today, please try again tomorrow UTC"
MESSAGES = {401: "Unauthenticated", 403: "Permission denied", 404: "Not found", 429: "Too many requests"}


@dataclass
class Entry:
    """One submission as Kaggle stores it."""

    ref: int
    description: str
    file_name: str
    data: bytes
    polls_left: int
    result: tuple[str, str, str]  # status, publicScore, errorDescription, after the polls

    def shown(self) -> dict[str, Any]:
        status, score, error = self.result if self.polls_left <= 0 else ("PENDING", "", "")
        answer = {"ref": self.ref, "date": "2026-08-01T12:00:00.000Z", "description": self.description}
        answer |= {"fileName": self.file_name, "status": status, "totalBytes": len(self.data)}
        return answer | {"publicScore": score, "errorDescription": error}


@dataclass
class StandIn:
    """The state of the stand-in: `requests` has the names of all calls, `entries` the submissions, oldest first."""

    answers: list[int]
    zip_bytes: bytes
    polls: int = 1
    allowance: int = 5
    page_size: int = 20
    retry_after: str = ""  # of refusals
    list_lag: int = 0  # number of newest entries that the list does not show
    entries: list[Entry] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    faults: dict[str, list[Any]] = field(default_factory=dict)
    uploads: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    closing: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fail(self, call: str, *faults: Any) -> None:
        """Make the next calls of this name fail, with one fault each; the last fault is repeated.

        A fault is an HTTP status, (status, message), "lost" or "500 after" (the call succeeds, but the answer is lost
        or a 500), "slow" (the call succeeds, but the answer is late), "html" (a page instead of JSON) or None.
        """
        self.faults[call] = list(faults)

    def next_fault(self, call: str) -> Any:
        with self.lock:
            faults = self.faults.get(call) or [None]
            return faults.pop(0) if len(faults) > 1 else faults[0]


class Refusal(Exception):
    """Raised to answer with a status and a message."""


@contextmanager
def kaggle_stand_in(answers: list[int], zip_bytes: bytes = b"", **settings: Any) -> Iterator[StandIn]:
    """Serve within the context. `environment` has the variables that redirect the client, without credentials."""
    stand_in = StandIn(list(answers), zip_bytes, **settings)
    server = _Server(("127.0.0.1", 0), _Handler)
    server.stand_in = stand_in
    address = f"http://127.0.0.1:{server.server_port}"
    # both spellings: requests uses the other when one is empty
    stand_in.environment |= {
        "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
        "http_proxy": address,
        "HTTP_PROXY": address,
    }
    stand_in.environment |= {"no_proxy": "", "NO_PROXY": ""}
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield stand_in
    finally:
        stand_in.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


def score(data: bytes, answers: list[int]) -> tuple[str, str, str]:
    """Status, publicScore, errorDescription: accuracy on a fixed quarter of the rows, truncated to five digits."""
    reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig")))
    rows = list(reader)
    columns = list(reader.fieldnames or [])
    for column in ("ImageId", "Label"):
        if column not in columns:
            return "ERROR", "", f"Required column '{column}' could not be found"
    for column in columns:
        if column not in ("ImageId", "Label"):
            return "ERROR", "", f"Column '{column}' was not expected"
    given = {row["ImageId"]: row["Label"] for row in rows}
    missing = sum(str(key) not in given for key in range(1, len(answers) + 1))
    if missing:
        return "ERROR", "", f"Unable to find {missing} required key values in the 'ImageId' column"
    public = Random(0).sample(range(len(answers)), max(1, len(answers) // 4))
    right = sum(given[str(index + 1)] == str(answers[index]) for index in public)
    return "COMPLETE", f"{right * 100_000 // len(public) / 100_000:.5f}", ""


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that server_close waits for them
    stand_in: StandIn

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore connections of killed clients."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    wbufsize = -1  # sends an answer in one packet: a second one would wait for an acknowledgement

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    def handle_call(self) -> None:
        stand_in = self.server.stand_in
        url = urlsplit(self.path)
        call = url.path.rsplit("/", 1)[-1] if self.command == "POST" else self.command
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = stand_in.next_fault(call)
        with stand_in.lock:
            stand_in.requests.append(call)
        try:
            if call in ("GET", "PUT"):
                assert SIGNATURE in url.query, "the signed URL was changed"
            elif call != "IntrospectToken" and not self._knows(self.headers.get("Authorization", "")):
                raise Refusal(401, MESSAGES[401])
            if isinstance(fault, (int, tuple)):
                raise Refusal(*(fault if isinstance(fault, tuple) else (fault, MESSAGES.get(fault, "Failed"))))
            with stand_in.lock:
                answer = getattr(self, f"_{call}")(stand_in, body, url)
            if fault == "500 after":
                raise Refusal(500, "Internal error")
            if fault == "slow":
                stand_in.closing.wait(20)
            if fault in ("lost", "slow"):
                return
            if fault == "html":
                answer = b"<html>Please log in to the network</html>"
            self._send(200, answer)
        except Refusal as refusal:
            status, message = refusal.args
            self._send(status, {"code": status, "message": message}, stand_in.retry_after)

    do_POST = do_PUT = do_GET = handle_call

    def _knows(self, authorization: str) -> bool:
        basic = base64.b64encode(f"{USERNAME}:{KEY}".encode()).decode()
        return authorization in (f"Basic {basic}", f"Bearer {TOKEN}")

    def _send(self, status: int, answer: Any, retry_after: str = "") -> None:
        if isinstance(answer, str):
            self.send_response(302)
            self.send_header("Location", answer)
            content = b""
        else:
            self.send_response(status)
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_header("Content-Type", "application/json" if isinstance(answer, dict) else "text/html")
        if retry_after:
            self.send_header("Retry-After", retry_after)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    # One method for each call; each returns JSON, bytes, or a URL to be redirected to.

    def _IntrospectToken(self, stand_in: StandIn, body: bytes, url: Any) -> Any:
        known = json.loads(body)["token"] == TOKEN
        return {"active": known, "username": USERNAME if known else ""}

    def _DownloadDataFiles(self, stand_in: StandIn, body: bytes, url: Any) -> Any:
        return f"{STORE}/digit-recognizer.zip?X-Signature={SIGNATURE}"

    _DownloadDataFile = _DownloadDataFiles

    def _GET(self, stand_in: StandIn, body: bytes, url: Any) -> Any:
        return stand_in.zip_bytes

    def _StartSubmissionUpload(self, stand_in: StandIn, body: bytes, url: Any) -> Any:
        token = f"blob-{len(stand_in.uploads)}"
        stand_in.uploads[token] = (json.loads(body)["fileName"], b"")
        return {"token": token, "createUrl": f"{STORE}/{token}?X-Signature={SIGNATURE}"}

    def _PUT(self, stand_in: StandIn, body: bytes, url: Any) -> Any:
        token = url.path.strip("/")
        stand_in.uploads[token] = (stand_in.uploads[token][0], body)
        return {}

    def _CreateSubmission(self, stand_in: StandIn, body: bytes, url: Any) -> Any:
        request = json.loads(body)
        if len(stand_in.entries) >= stand_in.allowance:
            raise Refusal(400, ALLOWANCE_USED)
        name, data = stand_in.uploads[request["blobFileTokens"]]
        ref = 1001 + len(stand_in.entries)
        result = score(data, stand_in.answers)
        description = request.get("submissionDescription", "")
        stand_in.entries.append(Entry(ref, description, name, data, stand_in.polls, result))
        return {"message": "Successfully submitted to Digit Recognizer", "ref": ref}

    def _ListSubmissions(self, stand_in: StandIn, body: bytes, url: Any) -> Any:
        start = int(json.loads(body).get("pageToken") or 0)
        end = start + stand_in.page_size
        newest_first = stand_in.entries[::-1][stand_in.list_lag :]
        token = str(end) if end < len(newest_first) else ""
        return {"submissions": [entry.shown() for entry in newest_first[start:end]], "nextPageToken": token}

    def _GetSubmission(self, stand_in: StandIn, body: bytes, url: Any) -> Any:
        ref = json.loads(body)["ref"]
        for entry in stand_in.entries:
            if entry.ref == ref:
                entry.polls_left -= 1
                return entry.shown()
        raise Refusal(404, "Not found")

    def _GetSubmissionLimits(self, stand_in: StandIn, body: bytes, url: Any) -> Any:
        made = len(stand_in.entries)
        return {"numToday": made, "numTotal": made, "numAllowedNow": stand_in.allowance - made}

    def _GetLeaderboard(self, stand_in: StandIn, body: bytes, url: Any) -> Any:
        scores = sorted((entry.result[1] for entry in stand_in.entries), reverse=True)
        return {"submissions": [{"teamId": 1, "teamName": USERNAME, "score": best} for best in scores[:1]]}
