"""Optuna, and its storage: a journal file that survives kills and that several processes may write."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from digit_recognizer.errors import RunError
from digit_recognizer.utils.locks import in_turn


def require_optuna() -> Any:
    """The module, silenced. Raises RunError where it is not installed."""
    try:
        import optuna
    except ImportError:
        raise RunError('a sweep needs Optuna, which is not installed: pip install "optuna>=4"') from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def storage(path: Path) -> Any:
    """The storage in the journal at `path`, made if need be. Raises RunError when it is damaged, or without Optuna."""
    storages = require_optuna().storages
    if path.exists():
        _mend(path)
    try:
        return storages.JournalStorage(storages.journal.JournalFileBackend(str(path), lock_obj=_Lock(path)))
    except (ValueError, KeyError, AssertionError) as error:
        raise RunError(
            f"{path}: not a journal that Optuna can read ({error!r}). Its trials are in the ledger; move the file away "
            "to begin the study anew."
        ) from error


class _Lock:
    """Optuna's lock on a journal, as one that the system lifts; Optuna's own ones outlive a killed process."""

    def __init__(self, journal: Path) -> None:
        self._path = _lock_of(journal)
        self._held = ExitStack()

    def acquire(self) -> bool:
        self._held.enter_context(in_turn(self._path))
        return True

    def release(self) -> None:
        self._held.close()


def _mend(path: Path) -> None:
    """Cut off half a line at the end, which a power cut or a full disk may leave and Optuna cannot read past."""
    with in_turn(_lock_of(path)):
        content = path.read_bytes()
        if content and not content.endswith(b"\n"):
            os.truncate(path, content.rfind(b"\n") + 1)


def _lock_of(journal: Path) -> Path:
    return journal.with_suffix(".journal.lock")
