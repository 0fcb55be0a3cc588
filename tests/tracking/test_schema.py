"""The migrations of the ledger."""

import sqlite3

import pytest

from digit_recognizer.errors import RunError
from digit_recognizer.tracking import schema

MORE = "ALTER TABLE scores ADD COLUMN mood TEXT NOT NULL DEFAULT 'good';\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def connection(path):
    connection = sqlite3.connect(path, isolation_level=None)
    yield connection
    connection.close()


def test_a_migrated_ledger_keeps_its_rows(connection, path, monkeypatch):
    schema.migrate(connection, path)
    connection.execute("INSERT INTO scores (hash, file, answers_hash, n, correct, at) VALUES ('a', 'b', 'c', 9, 8, '')")
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, MORE))
    schema.migrate(connection, path)
    assert connection.execute("SELECT n, correct, mood FROM scores").fetchall() == [(9, 8, "good")]
    monkeypatch.undo()
    with pytest.raises(RunError, match=r"ledger\.sqlite: written by a newer version"):
        schema.migrate(connection, path)


def test_a_failed_migration_leaves_the_ledger_unchanged(connection, path, monkeypatch):
    schema.migrate(connection, path)
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, MORE + "ALTER TABLE absent RENAME TO x;\n"))
    with pytest.raises(sqlite3.OperationalError, match="no such table: absent"):
        schema.migrate(connection, path)
    assert "mood" not in [column[1] for column in connection.execute("PRAGMA table_info(scores)")]
    assert connection.execute("PRAGMA user_version").fetchone() == (len(schema.MIGRATIONS) - 1,)
