"""The ledger, submissions/ledger.sqlite: every run, network, submission and score, written as it happens.

Rows are written by columns and read as records of `run_record`.
"""

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from digit_recognizer.errors import InputError, RunError
from digit_recognizer.tracking.run_record import (
    UNCLEAR_STATES,
    NetworkRecord,
    RunRecord,
    ScoreRecord,
    StateRecord,
    SubmissionRecord,
)
from digit_recognizer.tracking.schema import NO_CHECKSUM, migrate, transaction

Record = TypeVar("Record")

_TIMEOUT = 30  # seconds to wait for another process that writes


class Ledger:
    """An open ledger. Each method is one transaction, so several processes can write.

    The keyword arguments of methods that write are columns; dicts are stored as JSON.
    """

    def __init__(self, connection: sqlite3.Connection, file: Path) -> None:
        self._connection = connection
        self.file, self.submissions_folder = file, file.parent

    def start_run(self, **values: Any) -> int:
        """Insert a run that starts now and return its id."""
        return self._insert("runs", {"status": "running", "started": now(), **values})

    def update_run(self, run_id: int, **values: Any) -> None:
        """Set columns of a run."""
        self._update("runs", run_id, values)

    def finish_run(self, run_id: int, status: str, **values: Any) -> None:
        """Close a run as done, failed, diverged, interrupted or pruned. One that is done stays so."""
        self._update("runs", run_id, {"status": status, "finished": now(), **values}, where="status != 'done'")

    def reopen_run(self, run_id: int, **values: Any) -> bool:
        """Mark a run as running again, and set columns; returns False for one that is done, which stays so."""
        values |= {"status": "running", "finished": None, "error": ""}
        return self._update("runs", run_id, values, where="status != 'done'")

    def add_network(self, run_id: int, **values: Any) -> None:
        """Insert a trained network."""
        self._insert("members", {"run_id": run_id, "finished": now(), **values})

    def begin_submission(self, **values: Any) -> int:
        """Insert a submission in its first state and return its id.

        The row of an earlier upload of the same file that was stopped before it created an entry is reused.
        """
        with transaction(self._connection):
            stopped = self._connection.execute(
                "SELECT id FROM submissions WHERE hash = ? AND status = 'UPLOADING'", [values["hash"]]
            ).fetchone()
            return self._save_submission(stopped["id"] if stopped else None, values)

    def update_submission(self, number: int, **values: Any) -> None:
        """Set columns of a submission; a new status is added to its states.

        CREATING is also flushed from the write-ahead log, so that a copy of the ledger's file alone has it.
        """
        with transaction(self._connection):
            self._save_submission(number, values)
        if values.get("status") == "CREATING":
            self._connection.execute("PRAGMA wal_checkpoint(FULL)")

    def upsert_submission(self, number: int | None = None, **values: Any) -> int:
        """Set the columns of an entry of Kaggle's list and return the id of its row.

        Its row is the one with the same `ref`, else row `number`, else the newest unclear row of the same file, else a
        new row. Only a new row gets the `file`, as Kaggle's list has no paths.
        """
        with transaction(self._connection):
            unclear = f"hash = :hash AND ref IS NULL AND status IN {UNCLEAR_STATES}"
            same = self._connection.execute(
                f"SELECT id FROM submissions WHERE ref = :ref OR (:number IS NULL AND {unclear}) OR id = :number "
                "ORDER BY ref IS NULL, id DESC LIMIT 1",
                {**values, "number": number},
            ).fetchone()
            if same is None:
                return self._save_submission(None, values)
            return self._save_submission(same["id"], {name: values[name] for name in values if name != "file"})

    def add_score(self, **values: Any) -> None:
        """Insert an offline score, unless it equals the newest one of the file."""
        with transaction(self._connection):
            known = [(row.answers_hash, row.n, row.correct) for row in self.scores(values["hash"])]
            if known[-1:] != [(values["answers_hash"], values["n"], values["correct"])]:
                self._insert("scores", {"at": now(), **values})

    def runs(self) -> list[RunRecord]:
        """All runs, the newest first, each with its best public score and its latest offline score, if any."""
        rows = self._connection.execute(
            """
            SELECT runs.*, sent.public_score, scored.correct AS test_correct, scored.n AS test_n
            FROM runs
            LEFT JOIN (
                SELECT hash, max(public_score) AS public_score
                FROM submissions WHERE status != 'REFUSED' GROUP BY hash
            ) AS sent ON sent.hash = submission_hash
            LEFT JOIN (
                SELECT hash, correct, n, max(id) FROM scores GROUP BY hash
            ) AS scored ON scored.hash = submission_hash
            ORDER BY runs.id DESC
            """
        )
        return [self._run(row) for row in rows]

    def run(self, word: str) -> RunRecord:
        """Return the run with this name, id or unique part of a name; `last` is the newest run.

        Digits alone are an id. Raises InputError if no run or several runs match.
        """
        runs = self.runs()
        part = "" if word.isdecimal() else word  # digits match the time at the start of names
        exact = [run for run in runs if word in (run.name, str(run.id))]
        named = [run for run in runs if run.short_name == word]
        found = exact or (runs[:1] if word == "last" else named or [run for run in runs if part and part in run.name])
        if len(found) == 1:
            return found[0]
        if not found:
            raise InputError(f"there is no run {word!r} in the ledger. `digits leaderboard --all` lists them.")
        some = ", ".join(f"{run.id} ({run.name})" for run in found[:4]) + (", ..." if len(found) > 4 else "")
        raise InputError(f"{word!r} matches {len(found)} runs: {some}. Use an id.")

    def has_run(self, name: str) -> bool:
        """Whether a run has exactly this name; its folder may be missing."""
        return self._connection.execute("SELECT 1 FROM runs WHERE name = ?", [name]).fetchone() is not None

    def networks(self, run_id: int) -> list[NetworkRecord]:
        """The networks of a run, in the order in which they were trained."""
        return self._records(NetworkRecord, "SELECT * FROM members WHERE run_id = ? ORDER BY rowid", run_id)

    def submissions(self, hash: str | None = None) -> list[SubmissionRecord]:
        """All submissions, or those of one file, the oldest first."""
        query = "SELECT * FROM submissions WHERE ? IS NULL OR hash = ? ORDER BY id"
        return self._records(SubmissionRecord, query, hash, hash)

    def submission_states(self, number: int) -> list[StateRecord]:
        """The states of a submission, the oldest first."""
        query = "SELECT * FROM submission_states WHERE submission_id = ? ORDER BY rowid"
        return self._records(StateRecord, query, number)

    def scores(self, hash: str) -> list[ScoreRecord]:
        """The offline scores of a file, the oldest first."""
        return self._records(ScoreRecord, "SELECT * FROM scores WHERE hash = ? ORDER BY id", hash)

    def _run(self, row: sqlite3.Row) -> RunRecord:
        """Return the record of a row. Raises sqlite3.DatabaseError for a cell that is not JSON."""
        cells = {"recipe_fields": row["recipe"], "versions": row["versions"], "settings": row["settings"]}
        try:
            decoded = {name: json.loads(cell) for name, cell in cells.items()}
        except ValueError as error:
            raise sqlite3.DatabaseError(f"run {row['id']}: {error}") from error
        return _record(RunRecord, {**row, **decoded, "submissions": self.submissions_folder})

    def _save_submission(self, number: int | None, values: Mapping[str, Any]) -> int:
        """Insert a submission, or set columns of submission `number`; a new status is added to its states."""
        before = None
        if number is None:
            number = self._insert("submissions", {"made": now(), **values})
        else:
            [(before,)] = self._connection.execute("SELECT status FROM submissions WHERE id = ?", (number,))
            self._update("submissions", number, values)
        status = values.get("status", before)
        if status != before:
            self._insert("submission_states", {"submission_id": number, "status": status, "at": now()})
        return number

    def _records(self, kind: type[Record], query: str, *values: Any) -> list[Record]:
        return [_record(kind, row) for row in self._connection.execute(query, values)]

    def _insert(self, table: str, values: Mapping[str, Any]) -> int:
        values = {**values, "crc": NO_CHECKSUM}
        places = ", ".join("?" * len(values))
        command = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places})"
        return self._connection.execute(command, _plain(values)).lastrowid or 0

    def _update(self, table: str, number: int, values: Mapping[str, Any], where: str = "true") -> bool:
        """Set columns of a row, unless it does not satisfy `where`; returns whether it did."""
        values = {**values, "crc": NO_CHECKSUM}
        columns = ", ".join(f"{key} = ?" for key in values)
        where = f"id = ? AND {where}"
        found = self._connection.execute(f"UPDATE {table} SET {columns} WHERE {where}", [*_plain(values), number])
        return found.rowcount > 0


@contextmanager
def open_ledger(path: Path) -> Iterator[Ledger]:
    """Open the ledger at `path`, which is created or migrated if necessary.

    Raises RunError if it cannot be opened, is damaged, was written by a newer version, or stays locked.
    """
    try:
        with suppress(OSError):  # sqlite3 then raises an error
            path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=_TIMEOUT, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            _use_wal(connection)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            migrate(connection, path)
            _check_structure(connection)
            yield Ledger(connection, path)
    except sqlite3.Error as error:
        raise RunError(
            f"{path}: the ledger cannot be used ({error}). Check the free space and the permissions. If it is damaged, "
            "restore a copy, or move it away to start a new one, which does not know the earlier runs and uploads."
        ) from error


def _check_structure(connection: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError when SQLite's `integrity_check` finds a fault."""
    [(first, *_), *_] = connection.execute("PRAGMA integrity_check(1)")
    if first != "ok":
        raise sqlite3.DatabaseError(f"its structure is damaged: {' '.join(first.split())}")


def now() -> str:
    """The current time in UTC, such as 2026-11-21T05:30:00Z."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _use_wal(connection: sqlite3.Connection) -> None:
    """Use write-ahead logging, so that readers do not block a writer. SQLite's timeout does not cover this switch."""
    end = time.monotonic() + _TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.05)


def _record(kind: type[Record], row: Mapping[str, Any] | sqlite3.Row) -> Record:
    """Return the record of a row; other columns are ignored."""
    return kind(**{part.name: row[part.name] for part in fields(kind)})  # type: ignore[arg-type]


def _plain(values: Mapping[str, Any]) -> list[Any]:
    """Encode dicts as JSON, and escape the surrogates of file names, which SQLite cannot store."""
    return [
        json.dumps(value)
        if isinstance(value, dict)
        else value.encode(errors="backslashreplace").decode()
        if isinstance(value, str)
        else value
        for value in values.values()
    ]
