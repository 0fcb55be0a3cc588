"""Partial files: truncation to complete lines, renaming, and removal when empty."""

from pathlib import Path

import pytest

from digit_recognizer.errors import RunError
from digit_recognizer.utils import partial_files

HEADERS = [b"row,label\n", b"row,fault\n"]


@pytest.fixture
def files(tmp_path):
    """An output and what is set aside, by their names."""
    return partial_files.partial_files([tmp_path / "out.csv", tmp_path / "aside.csv"], "key")


def write(files, *contents):
    for path, content in zip(files.values(), contents, strict=True):
        path.write_bytes(content)


def test_another_key_has_other_temporary_names(files):
    others = partial_files.partial_files([*files], "another key")
    assert others.keys() == files.keys()
    assert not set(others.values()) & set(files.values())


@pytest.mark.parametrize(
    ("output", "aside", "found", "left"),
    [
        (b"1,7\n2,1\n", b"", (2, 0), (b"1,7\n2,1\n", b"")),
        (b"1,7\n2,1\n3", b"2,x\n3,y\n", (2, 1), (b"1,7\n2,1\n", b"2,x\n")),  # torn, and a line too far
        (b"1,7\n4,1\n", b"2,x\n3,y", (4, 1), (b"1,7\n4,1\n", b"2,x\n")),
    ],
)
def test_incomplete_and_later_lines_are_removed(files, output, aside, found, left):
    write(files, HEADERS[0] + output, HEADERS[1] + aside)
    assert partial_files.truncate_to_whole_rows(files) == found
    assert [path.read_bytes() for path in files.values()] == [a + b for a, b in zip(HEADERS, left, strict=True)]


def test_writing_restarts_without_a_complete_row_or_a_file(files):
    write(files, HEADERS[0] + b"1", HEADERS[1] + b"1,x\n")
    assert partial_files.truncate_to_whole_rows(files) == (0, 0)
    assert not any(path.exists() for path in files.values())
    output, _ = files.values()
    output.write_bytes(HEADERS[0] + b"1,7\n")  # and nothing set aside
    assert partial_files.truncate_to_whole_rows(files) == (0, 0)
    assert not output.exists()


def test_headers_are_written_once_and_complete_files_are_renamed(files, tmp_path):
    for row in (b"1,7\n", b"2,1\n"):
        with partial_files.open_partial(files, HEADERS) as (output, _):
            output.write(row)
    Path(f"{tmp_path}/out.csv.0123.partial").touch()  # of another try
    partial_files.finish(files)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "out.csv": b"row,label\n1,7\n2,1\n",
        "aside.csv": b"row,fault\n",
    }


@pytest.mark.parametrize("written", [b"", b"1,7\n"])
def test_after_an_error_files_without_rows_are_removed(files, written):
    with pytest.raises(ZeroDivisionError), partial_files.open_partial(files, HEADERS) as (output, _):
        1 / (output.write(written) * 0)
    assert [path.exists() for path in files.values()] == [bool(written)] * 2


def test_a_full_disk_is_a_run_error_with_the_output(files):
    with (
        pytest.raises(RunError, match=r"out.csv: cannot be written \(No space left.*the same command then continues"),
        partial_files.open_partial(files, HEADERS),
    ):
        raise OSError(28, "No space left on device")
