"""Locks between processes, by the real filelock."""

import errno
import fcntl
import os
import threading
import time

import pytest
from filelock import FileLock

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
        with FileLock(path):
            begun.set()
            time.sleep(0.1)

    looker = threading.Thread(target=look)
    looker.start()
    begun.wait()
    with locks.alive(path, "taken"):
        looker.join()


def test_where_files_cannot_be_locked_nobody_is_said_to_hold_the_lock(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    path = tmp_path / "sign"
    path.touch()
    with pytest.raises(RunError, match="sign: files there cannot be locked"):
        locks.is_alive(path)


def test_the_sign_of_a_dead_process_is_removed(tmp_path):
    path = tmp_path / "sign"
    path.touch()
    assert not locks.is_alive(path)
    assert not path.exists()


def test_the_lock_of_a_removed_file_is_no_lock_on_one_of_the_same_name(tmp_path, monkeypatch):
    path, flock, removed = tmp_path / "sign", fcntl.flock, []

    def after_removal(*arguments):
        if not removed:  # another process that held the lock removes it after it was opened here
            removed.append(path.unlink())
        flock(*arguments)

    monkeypatch.setattr(fcntl, "flock", after_removal)
    with locks.alive(path, "taken"):
        assert removed
        assert path.exists()
        assert locks.is_alive(path)
