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


def test_a_held_lock_is_alive_and_cannot_be_acquired_again(tmp_path):
    path = tmp_path / "sign"
    assert not locks.is_alive(path)
    with locks.alive(path, "taken"):
        assert locks.is_alive(path)
        with pytest.raises(RunError, match="taken"), locks.alive(path, "taken"):
            pass
        assert locks.is_alive(path)
    assert not path.exists()


def test_a_lock_is_acquired_while_another_process_checks_it(tmp_path):
    path, started = tmp_path / "sign", threading.Event()

    def look():
        with FileLock(path):
            started.set()
            time.sleep(0.1)

    looker = threading.Thread(target=look)
    looker.start()
    started.wait()
    with locks.alive(path, "taken"):
        looker.join()


def test_a_file_system_without_locks_is_a_run_error(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    path = tmp_path / "sign"
    path.touch()
    with pytest.raises(RunError, match="sign: files there cannot be locked"):
        locks.is_alive(path)


def test_the_lock_file_of_a_killed_process_is_removed(tmp_path):
    path = tmp_path / "sign"
    path.touch()
    assert not locks.is_alive(path)
    assert not path.exists()


def test_a_lock_is_acquired_again_if_its_file_was_removed(tmp_path, monkeypatch):
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
