"""`digits plan`: what was sent, what is left of today's allowance, and which file to send next."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from . import competition, runs, sending, submission
from .bookkeeping import ledger
from .errors import InputError
from .files import read_bytes
from .kaggle_call import find_credentials
from .ledger import Ledger, Row
from .score import wilson_interval
from .terminal import say, show_table, waiting
from .versus import PUBLIC_ROWS, folder_of

N_PROPOSED = 3  # at once: then look at what came of them
NEAR = 8  # rows: fewer that differ make two rows or less on the public board

Labels = np.ndarray  # (n,) uint8


def plan() -> dict[str, Any]:
    """Bring the ledger up to what Kaggle lists, and rank the files that were not sent yet.

    Without credentials the ledger alone is asked. Returns {kaggle, best, files}: the allowance and the number of
    entries, the sent file with the best public score, and a record for each file, the best first. A file is worth an
    entry when it is no near copy and its expected score is not below that of the best run sent.
    """
    with ledger() as book:
        allowance = reconcile(book) if find_credentials() else None
        sent = [entry for entry in book.submissions() if entry["status"] not in ("REFUSED", "ERROR")]
        entries = [run for run in book.runs() if run["status"] == "done" and run["source"] != "sample"]
    labels = {run["submission_hash"]: own for run in entries if (own := _labels(folder_of(run))) is not None}
    for entry in sent:
        if entry["hash"] not in labels and (own := _labels(Path(entry["file"]).parent)) is not None:
            labels[entry["hash"]] = own
    scored = [entry for entry in sent if entry["public_score"] is not None]
    best = max(scored, key=lambda entry: entry["public_score"], default=None)
    hashes = {entry["hash"]: f"entry {entry['ref']}" for entry in sent}
    bar = max((_expected(run) for run in entries if run["submission_hash"] in hashes), default=-1.0)
    files = []
    for run in sorted(entries, key=_expected, reverse=True):
        own = labels.get(run["submission_hash"])
        if own is None or run["submission_hash"] in hashes:
            continue
        near = [name for hash, name in hashes.items() if hash in labels and _differ(labels[hash], own) < NEAR]
        file = _file(run, own, labels.get(best["hash"]) if best else None, near)
        files.append(file | {"worth_an_entry": not near and _expected(run) >= bar})
        hashes[run["submission_hash"]] = run["name"]
    return {
        "kaggle": allowance and {**asdict(allowance), "entries": len(sent)},
        "best": best and {key: best[key] for key in ("ref", "file", "public_score")},
        "files": files,
    }


def reconcile(book: Ledger) -> competition.Allowance | None:
    """Write what Kaggle lists into the ledger; today's allowance. Raises RunError when Kaggle does not answer."""
    with waiting() as tell:
        tell("Asking Kaggle for entries and allowance ...")
        uploads, allowance = competition.entries(), competition.allowance()
    known = {row["hash"] for row in book.submissions()} | {run["submission_hash"] for run in book.runs()}
    for upload in uploads:
        whole = [hash for hash in known if hash and upload.sha256 and hash.startswith(upload.sha256)]
        upload = replace(upload, sha256=whole[0] if whole else upload.sha256)
        sending.keep(book, upload, upload.description)
    return allowance


def show(found: dict[str, Any]) -> None:
    """Print the plan, and the commands that carry it out."""
    kaggle, best = found["kaggle"], found["best"]
    if kaggle is None:
        say("Kaggle was not asked (no credentials, or it does not tell); this is what the ledger knows.")
    else:
        left = f", left: {kaggle['num_allowed_now']}" if kaggle["num_total"] else ""
        say(f"Kaggle: entries known: {kaggle['entries']}, made today: {kaggle['num_today']}{left}.")
    if best:
        say(f"Best so far: entry {best['ref']}, public score {best['public_score']:.5f}.")
    if not found["files"]:
        say("Nothing to send: every finished run was sent, or none is there yet.")
        return
    rows = [
        [
            runs.short_name(file["run"]),
            "-" if file["expected"] is None else f"{file['expected']:.4f} ± {file['standard_error']:.4f}",
            "-" if file["differs_from_best"] is None else f"{file['differs_from_best']:,}",
            f"near copy of {runs.short_name(file['near_copies'][0])}" if file["near_copies"] else "",
        ]
        for file in found["files"]
    ]
    show_table(["not sent yet", "expected score", "unlike the best", ""], rows)
    worth = [file for file in found["files"] if file["worth_an_entry"]]
    if not worth:
        say("None of these is expected to do better than what was sent; keep the entries.")
    elif kaggle and kaggle["num_total"] and not kaggle["num_allowed_now"]:
        say("Today's allowance is used up; it starts anew at 00:00 UTC.")
    else:
        say("Send next:")
        for file in worth[:N_PROPOSED]:
            say(f"  {file['command']}")


def _file(run: Row, own: Labels, best: Labels | None, near: list[str]) -> dict[str, Any]:
    expected = run["correct"] / run["n"] if run["n"] else None
    spread = None if expected is None else float(np.sqrt(expected * (1 - expected) * (1 / PUBLIC_ROWS + 1 / run["n"])))
    return {
        "run": run["name"],
        "file": str(folder_of(run) / "submission.csv"),
        "expected": expected,
        "interval": list(wilson_interval(run["correct"], run["n"])) if run["n"] else None,
        "standard_error": spread,
        "differs_from_best": None if best is None else _differ(best, own),
        "near_copies": near,
        "command": f"digits submit {folder_of(run) / 'submission.csv'}",
    }


def _expected(run: Row) -> float:
    return run["correct"] / run["n"] if run["n"] else -1.0


def _labels(folder: Path) -> Labels | None:
    """The labels of the submission in a folder, None when it is not there or not readable any more."""
    file = folder / "submission.csv"
    try:
        return submission.parse(read_bytes(file), str(file))
    except InputError:
        return None


def _differ(first: Labels, second: Labels) -> int:
    """How many labels differ; all of them when the files are not for the same images."""
    return int((first != second).sum()) if len(first) == len(second) else max(len(first), len(second))
