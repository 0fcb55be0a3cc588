"""The tables of the ledger, and the migrations of earlier versions."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from digit_recognizer.errors import RunError

NO_CHECKSUM = -1  # in the columns `crc`, which earlier versions check

# Each migration runs once on each ledger, in this order. Never change one; append a new one.
MIGRATIONS = (
    """
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,          -- of its folder
        kind TEXT NOT NULL,                 -- run, blend or trial
        status TEXT NOT NULL,               -- running, done, failed, diverged, interrupted or pruned
        started TEXT NOT NULL,              -- times are UTC, ISO 8601
        finished TEXT,
        recipe_name TEXT NOT NULL,
        recipe TEXT NOT NULL,               -- JSON, every field; of a blend its runs and their weights
        seed INTEGER,
        data TEXT NOT NULL,                 -- where it lay
        source TEXT NOT NULL,               -- folder, zip, kaggle notebook or sample
        train_hash TEXT NOT NULL,           -- size and CRC-32 of train.csv
        test_hash TEXT NOT NULL,
        code TEXT,                          -- commit, with + when files were changed since
        versions TEXT NOT NULL,             -- JSON
        cpu TEXT NOT NULL,
        threads INTEGER NOT NULL,
        weights INTEGER,                    -- of all networks together that label test.csv
        estimate TEXT,                      -- holdout or out-of-fold: what n, correct and loss are of
        n INTEGER,
        correct INTEGER,
        loss REAL,                          -- log-loss, nats
        seconds_read REAL,
        seconds_train REAL,
        seconds_predict REAL,
        seconds_total REAL,
        submission_hash TEXT,               -- SHA-256 of submission.csv
        note TEXT NOT NULL DEFAULT ''
    );
    CREATE INDEX runs_by_submission ON runs (submission_hash);
    CREATE TABLE members (
        run_id INTEGER NOT NULL REFERENCES runs (id),
        name TEXT NOT NULL,
        model TEXT NOT NULL,
        seed INTEGER NOT NULL,
        fold INTEGER,                       -- from 1; NULL outside cross-validation
        weights INTEGER NOT NULL,
        train_n INTEGER NOT NULL,
        train_accuracy REAL NOT NULL,
        train_loss REAL NOT NULL,
        n INTEGER,                          -- held out
        accuracy REAL,
        loss REAL,
        seconds REAL NOT NULL,              -- of training
        finished TEXT NOT NULL,
        PRIMARY KEY (run_id, name)
    );
    CREATE TABLE submissions (
        id INTEGER PRIMARY KEY,
        hash TEXT NOT NULL,                 -- SHA-256 of the file
        file TEXT NOT NULL,
        ref INTEGER UNIQUE,                 -- Kaggle's number
        description TEXT NOT NULL,
        status TEXT NOT NULL,               -- UPLOADING, CREATING; REFUSED, UNKNOWN or Kaggle's PENDING, COMPLETE,
                                            -- ERROR; LOST when Kaggle does not list it later
        public_score REAL,
        error TEXT NOT NULL DEFAULT '',
        made TEXT NOT NULL
    );
    CREATE INDEX submissions_by_hash ON submissions (hash);
    CREATE TABLE submission_states (
        submission_id INTEGER NOT NULL REFERENCES submissions (id),
        status TEXT NOT NULL,
        at TEXT NOT NULL
    );
    CREATE TABLE scores (
        id INTEGER PRIMARY KEY,
        hash TEXT NOT NULL,                 -- SHA-256 of the scored file
        file TEXT NOT NULL,
        answers_hash TEXT NOT NULL,
        n INTEGER NOT NULL,
        correct INTEGER NOT NULL,
        at TEXT NOT NULL
    );
    CREATE INDEX scores_by_hash ON scores (hash);
    """,
    "ALTER TABLE runs ADD COLUMN error TEXT NOT NULL DEFAULT ''",  # why it failed or was pruned
    "ALTER TABLE members ADD COLUMN seconds_predict REAL",  # of predicting test.csv
    "UPDATE submissions SET status = 'CREATING' WHERE status = 'SENDING'",  # one state for two steps, before
    "ALTER TABLE runs ADD COLUMN device TEXT",  # cpu or gpu
    "ALTER TABLE runs ADD COLUMN settings TEXT NOT NULL DEFAULT '{}'",  # JSON: variables that change the bits
    """
    -- Once a checksum of the row's other columns; earlier versions accept a row whose crc is -1
    ALTER TABLE runs ADD COLUMN crc INTEGER;
    UPDATE runs SET crc = -1;
    ALTER TABLE members ADD COLUMN crc INTEGER;
    UPDATE members SET crc = -1;
    ALTER TABLE submissions ADD COLUMN crc INTEGER;
    UPDATE submissions SET crc = -1;
    ALTER TABLE submission_states ADD COLUMN crc INTEGER;
    UPDATE submission_states SET crc = -1;
    ALTER TABLE scores ADD COLUMN crc INTEGER;
    UPDATE scores SET crc = -1;
    CREATE INDEX states_by_submission ON submission_states (submission_id);
    """,
)


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Run the missing migrations on the ledger at `path`. Raises RunError if a newer version wrote it."""
    while (version := _version(connection)) < len(MIGRATIONS):
        with transaction(connection):
            if _version(connection) == version:  # no other process has migrated it meanwhile
                for statement in MIGRATIONS[version].split(";\n"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {version + 1}")
    if version > len(MIGRATIONS):
        raise RunError(f"{path}: written by a newer version of this program (schema {version}). Install that version.")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what the body writes, or roll back if it raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
