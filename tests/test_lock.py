"""Locks that tell who lives, and are lifted whatever happens."""

import pytest

from digit_recognizer import lock
from digit_recognizer.errors import RunError


def test_who_holds_the_lock_is_alive_and_nobody_else_gets_it(tmp_path):
    path = tmp_path / "sign"
    assert not lock.is_alive(path)
    with lock.alive(path, "taken"):
        assert lock.is_alive(path)
        with pytest.raises(RunError, match="taken"), lock.alive(path, "taken"):
            pass
        assert lock.is_alive(path)
    assert not path.exists()


def test_the_sign_of_a_dead_process_is_removed(tmp_path):
    path = tmp_path / "sign"
    path.touch()
    assert not lock.is_alive(path)
    assert not path.exists()


def test_the_lock_of_a_removed_file_is_no_lock_on_one_of_the_same_name(tmp_path):
    path = tmp_path / "sign"
    with path.open("ab") as file:
        assert lock._is_at(file, path)
        path.unlink()
        assert not lock._is_at(file, path)
        path.touch()
        assert not lock._is_at(file, path)
