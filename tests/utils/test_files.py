import errno
import os
import stat
import subprocess
import sys
from contextlib import nullcontext

import pytest

from digit_recognizer.errors import InputError, RunError
from digit_recognizer.utils.files import can_sync, read_bytes, remove_stale_temporary_files, write_atomically

KILLED_WHILE_WRITING = """
import os, sys
from pathlib import Path
from digit_recognizer.utils.files import write_atomically
os.fsync = lambda descriptor: os._exit(9)  # the temporary file is written but not renamed
write_atomically(Path(sys.argv[1]), b"new")
"""


def test_bytes_are_written_and_missing_folders_are_created(tmp_path):
    path = tmp_path / "a" / "b" / "file.bin"
    write_atomically(path, b"\0\r\n\xff")
    assert path.read_bytes() == b"\0\r\n\xff"


def test_a_failed_flush_of_the_folder_is_an_error_unless_it_is_unsupported(tmp_path, monkeypatch):
    path = tmp_path / "file.bin"
    sync = os.fsync
    for number in (errno.EINVAL, errno.ENOSYS, errno.EACCES, errno.EIO):

        def failing(descriptor, number=number):
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(number, os.strerror(number))
            sync(descriptor)

        monkeypatch.setattr(os, "fsync", failing)
        with pytest.raises(RunError, match="cannot be written") if number == errno.EIO else nullcontext():
            write_atomically(path, str(number).encode())
        assert path.read_bytes() == str(number).encode()


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_files_are_written_where_they_cannot_be_flushed(tmp_path, monkeypatch, number):
    assert can_sync(tmp_path)

    def failing(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", failing)
    write_atomically(tmp_path / "file.bin", b"new")
    assert (tmp_path / "file.bin").read_bytes() == b"new"
    assert not can_sync(tmp_path)


def test_a_failed_flush_of_a_file_is_an_error(tmp_path, monkeypatch):
    def failing(descriptor):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(RunError, match="cannot be written"):
        write_atomically(tmp_path / "file.bin", b"new")
    assert list(tmp_path.iterdir()) == []


def test_an_old_file_is_replaced_and_no_temporary_file_is_left(tmp_path):
    path = tmp_path / "file.bin"
    write_atomically(path, b"a long old content")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_process_killed_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_WRITING, str(path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert killed.returncode == 9
    assert path.read_bytes() == b"old"


def test_stale_temporary_files_are_removed_and_recent_ones_are_not(tmp_path):
    (tmp_path / "below").mkdir()
    old, new, other = tmp_path / "below/.x.csv.a1.digits.tmp", tmp_path / ".x.csv.b2.digits.tmp", tmp_path / ".mine.tmp"
    for path in (old, new, other):
        path.write_bytes(b"half")
    for path in (old, other):
        os.utime(path, (0, 0))
    remove_stale_temporary_files(tmp_path)
    assert old.exists()
    remove_stale_temporary_files(tmp_path, below=True)
    assert sorted(path.name for path in tmp_path.rglob("*.tmp")) == [other.name, new.name]
    remove_stale_temporary_files(tmp_path, older_than=0)
    assert list(tmp_path.rglob("*.tmp")) == [other]


def test_a_folder_that_another_process_removes_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    scandir = os.scandir

    def removed(path):
        if os.path.basename(path) == "run":
            os.rmdir(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", removed)
    remove_stale_temporary_files(tmp_path, below=True)
    assert not list(tmp_path.iterdir())


def test_large_files_and_folders_are_refused_before_reading(tmp_path):
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(InputError, match="expected at most 1,000,000,000 bytes, received 1,000,000,000,000"):
        read_bytes(tmp_path / "huge")
    with pytest.raises(InputError, match="received a folder or a device"):
        read_bytes(tmp_path)
    with pytest.raises(InputError, match=r"nowhere: cannot be read \(No such file"):
        read_bytes(tmp_path / "nowhere")


def test_an_impossible_folder_is_a_run_error_with_the_file(tmp_path):
    (tmp_path / "taken").write_bytes(b"a file, no folder")
    with pytest.raises(RunError, match=r"file\.bin: cannot be written"):
        write_atomically(tmp_path / "taken" / "file.bin", b"new")


def test_a_failed_write_leaves_no_temporary_file(tmp_path):
    (tmp_path / "name").mkdir()  # a folder cannot be replaced by a file
    (tmp_path / "name" / "content").touch()
    with pytest.raises(RunError):
        write_atomically(tmp_path / "name", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["name"]


@pytest.mark.skipif(os.name != "posix", reason="Windows has different permissions")
def test_a_file_has_the_default_permissions(tmp_path):
    (tmp_path / "other").touch()
    write_atomically(tmp_path / "file.bin", b"new")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1
