"""Optuna and its storage, a journal file to which several processes append.

The journal is locked by `filelock`: Optuna's own lock files outlive a process that is killed (docs/experiments.md).
"""

import os
from pathlib import Path
from typing import Any

from filelock import FileLock

from digit_recognizer.errors import RunError


def require_optuna() -> Any:
    """The module, which logs errors only. Raises RunError when it is not installed."""
    try:
        import optuna
    except ImportError:
        raise RunError('a sweep needs Optuna, which is not installed: pip install "optuna>=4"') from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def storage(path: Path) -> Any:
    """The storage in the journal at `path`, which is created if necessary.

    Raises RunError when it is damaged or Optuna is not installed.
    """
    storages = require_optuna().storages
    lock = FileLock(path.with_suffix(".journal.lock"), timeout=60)
    if path.exists():
        with lock:
            _repair(path)
    try:
        return storages.JournalStorage(storages.journal.JournalFileBackend(str(path), lock_obj=lock))
    except (ValueError, KeyError, AssertionError) as error:
        raise RunError(
            f"{path}: not a journal that Optuna can read ({error!r}). Its trials are in the ledger; move the file away "
            "to start a new study."
        ) from error


def _repair(path: Path) -> None:
    """Remove an incomplete last line, which a power cut or a full disk may leave and Optuna cannot read."""
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)
