"""`digits plan`: what was sent, what is left of today's allowance, and which file to send next."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np

from digit_recognizer.competition import api, submit
from digit_recognizer.competition.client import find_credentials
from digit_recognizer.data import sources, submission
from digit_recognizer.errors import InputError, RunError
from digit_recognizer.tracking import run_dir
from digit_recognizer.tracking.compare import PUBLIC_ROWS, public_error
from digit_recognizer.tracking.ledger import UNCLEAR_STATES, Ledger, Row
from digit_recognizer.tracking.run_session import estimate, hash_of, ledger
from digit_recognizer.utils.console import say, show_table, waiting
from digit_recognizer.utils.files import read_bytes

LOST_SECONDS = 600  # after which an upload that Kaggle does not list never arrived
N_PROPOSED = 3  # at once: then look at what came of them
NEAR = 8  # rows that differ: fewer make two or less among the public quarter, on average
_UNJUDGED = -1  # what a run without held-out rows promises

Labels = np.ndarray  # (n,) uint8


def plan_uploads() -> dict[str, Any]:
    """Bring the ledger up to what Kaggle lists, and rank the files that were not sent yet.

    Without credentials, or when Kaggle cannot be asked (`trouble` tells why), the ledger alone is. Returns {kaggle,
    trouble, best, sent, of_the_sample, files}: the allowance and the number of entries, the sent file with the best
    public score, the runs that were sent, how many cannot be, and a record for each other file.
    """
    trouble = allowance = None
    with ledger() as book:
        try:
            allowance = reconcile(book) if find_credentials() else None
        except RunError as error:
            trouble = str(error)
        submissions = book.submissions()
        sent = [entry for entry in submissions if entry["ref"] is not None]
        unclear = {row["hash"] for row in submissions if row["status"] in UNCLEAR_STATES and row["ref"] is None}
        done = [run for run in book.runs() if run["status"] == "done"]
    entries = [run for run in done if run["source"] != "sample"]
    labels = {run["submission_hash"]: own for run in entries if (own := _labels(_file_of(run))) is not None}
    labels |= {entry["hash"]: own for entry in sent if (own := _labels_if_same(entry)) is not None}
    scored = [entry for entry in sent if entry["public_score"] is not None]
    best = max(scored, key=lambda entry: entry["public_score"], default=None)
    return {
        "kaggle": allowance and {**asdict(allowance), "entries": len(sent)},
        "trouble": trouble,
        "best": best and {key: best[key] for key in ("ref", "file", "public_score")},
        "sent": [
            {"run": run["name"], "ref": entry["ref"], "public_score": entry["public_score"]}
            for entry in sent
            for run in entries
            if run["submission_hash"] == entry["hash"]
        ],
        "of_the_sample": len(done) - len(entries),
        "files": rank_files(entries, {entry["hash"]: entry for entry in sent}, labels, best, unclear),
    }


def rank_files(
    entries: Sequence[Row],
    sent: Mapping[str, Row],
    labels: Mapping[str, Labels],
    best: Row | None,
    unclear: Collection[str] = (),
) -> list[dict[str, Any]]:
    """A record for each file of the runs `entries` that was not sent, the one to send first first.

    `sent` holds the entries, by their files' hashes; `labels` those of files that can be read; `unclear` the hashes of
    files of which an upload got no clear answer, so that they are sent only if told so. The order is by what a
    run promises, in public images, and within one such image by how much it differs from the best sent. A file is worth
    an entry when it is no near copy and neither a file that Kaggle took nor a worthy one before it promises more.
    """
    best_labels = labels.get(best["hash"]) if best else None

    def order(run: Row) -> tuple[int, int]:
        own = labels.get(run["submission_hash"])
        return _promise(run), 0 if own is None or best_labels is None else _differ(best_labels, own)

    known = {hash: f"entry {entry['ref']}" for hash, entry in sent.items()}
    taken = {hash for hash, entry in sent.items() if entry["status"] != "ERROR"}
    bar = max((_promise(run) for run in entries if run["submission_hash"] in taken), default=_UNJUDGED)
    files = []
    for run in sorted(entries, key=order, reverse=True):
        own = labels.get(run["submission_hash"])
        if own is None or run["submission_hash"] in known:
            continue
        near = [name for hash, name in known.items() if hash in labels and _differ(labels[hash], own) < NEAR]
        worth = not near and (not run["n"] or _promise(run) >= bar)
        again = run["submission_hash"] in unclear
        files.append(_record(run, own, best_labels, near, again) | {"worth_an_entry": worth})
        known[run["submission_hash"]] = run["name"]
        if worth:
            bar = max(bar, _promise(run))
    return files


def reconcile(book: Ledger) -> api.Allowance | None:
    """Write what Kaggle lists into the ledger; today's allowance. Raises RunError when Kaggle does not answer."""
    with waiting() as tell:
        tell("Asking Kaggle for entries and allowance ...")
        uploads, allowance = api.entries(), api.allowance()
    known = {row["hash"] for row in book.submissions()} | {run["submission_hash"] for run in book.runs()}
    for upload in uploads:
        whole = [hash for hash in known if hash and upload.sha256 and hash.startswith(upload.sha256)]
        upload = replace(upload, sha256=max(whole, key=len, default=upload.sha256))
        submit.record_upload(book, upload, file="")
    for row in book.submissions():
        if row["status"] in ("CREATING", "UNKNOWN") and row["ref"] is None and _age(_since(book, row)) > LOST_SECONDS:
            book.update_submission(row["id"], status="LOST", error="Kaggle does not list it")
    return allowance


def _since(book: Ledger, row: Row) -> str:
    """Since when a submission has been in its state."""
    return str(book.submission_states(row["id"])[-1]["at"])


def show(found: dict[str, Any]) -> None:
    """Print the plan, and the commands that carry it out."""
    kaggle, best = found["kaggle"], found["best"]
    if found["trouble"]:
        say(f"{found['trouble']} This is what the ledger knows.", style="yellow")
    elif kaggle is None:
        say("Kaggle was not asked (no credentials, or it does not tell); this is what the ledger knows.")
    else:
        left = f", left: {kaggle['num_allowed_now']}" if kaggle["num_total"] else ""
        say(f"Kaggle: entries known: {kaggle['entries']}, made today: {kaggle['num_today']}{left}.")
    if best:
        say(f"Best so far: entry {best['ref']}, public score {best['public_score']:.5f}.")
    for one in found["sent"]:
        scored = "" if one["public_score"] is None else f", public score {one['public_score']:.5f}"
        say(f"Sent already: {run_dir.short_name(one['run'])}, entry {one['ref']}{scored}.")
    if found["of_the_sample"]:
        say(f"Runs on the built-in sample, which Kaggle cannot score: {found['of_the_sample']}.")
    if not found["files"]:
        say(
            "No file is left to send."
            if found["sent"]
            else "No file to send yet: `digits run` on Kaggle's data makes one."
        )
        return
    rows = [
        [
            run_dir.short_name(file["run"]),
            "-" if file["expected"] is None else f"{file['expected']:.4f} ± {file['standard_error']:.4f}",
            "-" if file["differs_from_best"] is None else f"{file['differs_from_best']:,}",
            f"near copy of {run_dir.short_name(file['near_copies'][0])}" if file["near_copies"] else "",
        ]
        for file in found["files"]
    ]
    show_table(["not sent yet", "expected score", "unlike the best", ""], rows)
    if any(file["expected"] is not None for file in found["files"]):
        say("±: one standard error of a public score; ranked by the lower end of the accuracy's interval.", style="dim")
    worth = [file for file in found["files"] if file["worth_an_entry"]]
    if not worth:
        say("None of these promises more than what was sent; keep the entries.")
    elif kaggle and kaggle["num_total"] and not kaggle["num_allowed_now"]:
        say("Today's allowance is used up; it starts anew at 00:00 UTC.")
    else:
        say("Send next:")
        n_left = kaggle["num_allowed_now"] if kaggle and kaggle["num_total"] else N_PROPOSED
        for file in worth[: min(n_left, N_PROPOSED)]:
            say(f"  {file['command']}")


def _record(run: Row, own: Labels, best: Labels | None, near: list[str], again: bool) -> dict[str, Any]:
    expected = interval = spread = None
    if found := estimate(run):
        expected, interval = found["accuracy"], found["interval"]
        spread = public_error(interval, expected * (1 - expected))
    return {
        "run": run["name"],
        "file": str(_file_of(run)),
        "expected": expected,
        "interval": interval,
        "standard_error": spread,
        "differs_from_best": None if best is None else _differ(best, own),
        "near_copies": near,
        "command": f"digits submit {quote(str(_file_of(run)))}{_elsewhere(run)}{' --again' if again else ''}",
    }


def _elsewhere(run: Row) -> str:
    """The option that names the run's data, where a command would not find it by itself."""
    found_by_itself = run["source"] == "kaggle notebook" or Path(run["data"]).parts[:1] == sources.DATA.parts
    return "" if found_by_itself else f" --data {quote(run['data'])}"


def _promise(run: Row) -> int:
    """Public images right by the lower end of the accuracy's interval, so that few lucky rows promise little."""
    found = estimate(run)
    return round(found["interval"][0] * PUBLIC_ROWS) if found else _UNJUDGED


def _file_of(run: Row) -> Path:
    return run_dir.folder_of(run) / "submission.csv"


def _labels(file: Path) -> Labels | None:
    """The labels of a submission, None when it is not there or not readable any more."""
    try:
        return submission.parse(read_bytes(file, submission.MAX_BYTES), str(file))
    except InputError:
        return None


def _labels_if_same(entry: Row) -> Labels | None:
    """The labels of the file that was sent, None when another one has its name by now."""
    file = Path(entry["file"])
    with suppress(InputError):
        if file.is_file() and hash_of(file) == entry["hash"]:
            return _labels(file)
    return None


def _age(time: str) -> float:
    """Seconds since a time as the ledger writes it."""
    return (datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds()


def _differ(first: Labels, second: Labels) -> int:
    """How many labels differ; all of them when the files are not for the same images."""
    return int((first != second).sum()) if len(first) == len(second) else max(len(first), len(second))
