"""A checksum in each row of the ledger, as SQLite keeps none: a damaged row is refused instead of being believed."""

import json
import sqlite3
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_UNSEALED = -1  # not NULL, which a damaged row may seem to have


def seal(connection: sqlite3.Connection, table: str, rowid: int) -> None:
    """Write the CRC-32 of a row's values beside them."""
    row = dict(connection.execute(f"SELECT * FROM {table} WHERE rowid = ?", [rowid]).fetchone())
    connection.execute(f"UPDATE {table} SET crc = ? WHERE rowid = ?", [_crc(row, row), rowid])


def columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """The names of a table's columns."""
    return [description[0] for description in connection.execute(f"SELECT * FROM {table} LIMIT 0").description]


def check(table: str, columns: Sequence[str], row: Mapping[str, Any]) -> None:
    """Raise sqlite3.DatabaseError when a row, which may hold more than the table's columns, is not as it was sealed.

    A row without a seal is of an earlier version, or of somebody who changed it by hand and set crc to -1.
    """
    try:
        is_whole = row["crc"] in (_UNSEALED, _crc(row, columns))
    except (KeyError, TypeError):  # a column of another name, a text that has become bytes
        is_whole = False
    if not is_whole:
        raise sqlite3.DatabaseError(
            f"a row of {table}{_place(row)} is damaged, or was changed by another program, which would have to set its "
            "crc to -1"
        )


def check_structure(connection: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError when rows may be missing or found wrongly, which no row's checksum tells."""
    [(first, *_), *_] = connection.execute("PRAGMA integrity_check(1)")
    if first != "ok":
        raise sqlite3.DatabaseError(f"its structure is damaged: {' '.join(first.split())}")


def _place(row: Mapping[str, Any]) -> str:
    """Which row it says it is."""
    keys = [key for key in ("id", "run_id", "submission_id") if key in row]
    return f", {keys[0]} {row[keys[0]]}," if keys else ""


def _crc(row: Mapping[str, Any], columns: Iterable[str]) -> int:
    return zlib.crc32(json.dumps({column: row[column] for column in columns if column != "crc"}).encode())
