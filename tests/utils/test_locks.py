"""Locks that tell who lives, and are lifted whatever happens."""

import errno
import os
import threading
import time

import pytest

from digit_recognizer.errors import RunError
from digit_recognizer.utils import locks


def test_who_holds_the_lock_is_alive_and_nobody_else_gets_it(tmp_path):
    path = tmp_path / "sign"
    assert not locks.is_alive(path)
    with locks.alive(path, "taken"):
        assert locks.is_alive(path)
        with pytest.raises(RunError, match="taken"), locks.alive(path, "taken"):
            pass
        assert locks.is_alive(path)
    assert not path.exists()


def test_who_looks_for_a_moment_keeps_nobody_from_the_lock(tmp_path):
    path, begun = tmp_path / "sign", threading.Event()

    def look():
        with locks.held(path):
            begun.set()
            time.sleep(0.1)

    looker = threading.Thread(target=look)
    looker.start()
    begun.wait()
    with locks.alive(path, "taken"):
        looker.join()


def test_where_files_cannot_be_locked_nobody_is_said_to_hold_the_lock(tmp_path, monkeypatch):
    def unsupported(descriptor):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(locks, "_lock", unsupported)
    path = tmp_path / "sign"
    path.touch()
    with pytest.raises(RunError, match="sign: files there cannot be locked"):
        locks.is_alive(path)


def test_the_sign_of_a_dead_process_is_removed(tmp_path):
    path = tmp_path / "sign"
    path.touch()
    assert not locks.is_alive(path)
    assert not path.exists()


def test_the_lock_of_a_removed_file_is_no_lock_on_one_of_the_same_name(tmp_path):
    path = tmp_path / "sign"
    with path.open("ab") as file:
        assert locks._is_at(file, path)
        path.unlink()
        assert not locks._is_at(file, path)
        path.touch()
        assert not locks._is_at(file, path)
