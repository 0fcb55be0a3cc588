"""Files that are written under a temporary name and renamed when complete, so that a killed command can continue them.

Each line after the header starts with its row number. Writing continues after the last row of the first file, the
output; later lines of the other files are removed.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from glob import escape
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from digit_recognizer.errors import RunError

_TAIL = 4096  # bytes at the end of a file, more than a line has

PartialFiles = dict[Path, Path]  # final name: temporary name; the output first


def partial_files(targets: Sequence[Path], key: str) -> PartialFiles:
    """Return the temporary names of `targets`, which depend on `key`."""
    return {path: path.with_name(f"{path.name}.{short_hash(key)}.partial") for path in map(Path.resolve, targets)}


def short_hash(text: str) -> str:
    """Return the first twelve hexadecimal digits of the SHA-256."""
    return sha256(text.encode()).hexdigest()[:12]


def truncate_to_whole_rows(files: PartialFiles) -> tuple[int, int]:
    """Return the number of the last complete row and the number of lines up to it in the other files.

    Incomplete and later lines are removed; all lines if a file is missing. Raises RunError on failure.
    """
    output, *others = files.values()
    with _explained(output):
        after = _cut(output, tail=_TAIL)[0] if all(path.exists() for path in files.values()) else 0
        n_lines = [_cut(path, most=after)[1] for path in others if path.exists()]
        if not after:
            for path in files.values():
                path.unlink(missing_ok=True)
    return after, sum(n_lines)


@contextmanager
def open_partial(files: PartialFiles, headers: Sequence[bytes]) -> Iterator[Sequence[BinaryIO]]:
    """Open the files for appending, new ones with their headers. If the body raises, files without rows are removed.

    An OSError in the body is raised as a RunError.
    """
    with ExitStack() as closing:
        closing.enter_context(_explained(next(iter(files))))
        found = []
        for path, header in zip(files.values(), headers, strict=True):
            file = closing.enter_context(path.open("ab"))
            if not file.tell():
                file.write(header)
            found.append(file)
        try:
            yield found
        except BaseException:
            for file in found:
                file.flush()
            if all(file.tell() == len(header) for file, header in zip(found, headers, strict=True)):
                for path in files.values():
                    path.unlink(missing_ok=True)
            raise


def finish(files: PartialFiles) -> None:
    """Flush the files to disk, rename them to their final names, and remove partial files of other keys.

    Raises RunError on failure.
    """
    for target, path in reversed(files.items()):
        with _explained(path):
            with path.open("r+b") as file:
                os.fsync(file.fileno())
            path.replace(target)
            for old in target.parent.glob(f"{escape(target.name)}.*.partial"):
                old.unlink(missing_ok=True)


def _cut(path: Path, tail: int | None = None, most: int | None = None) -> tuple[int, int]:
    """Truncate a file after its last complete line with a row number up to `most`; return that number and their count.

    With `tail`, only the last `tail` bytes are read.
    """
    last = n = 0
    with path.open("r+b") as file:
        place = max(0, file.seek(0, os.SEEK_END) - tail) if tail else 0
        file.seek(place)
        end = place
        for line in file:
            place += len(line)
            number = line.partition(b",")[0]
            if not line.endswith(b"\n") or (number.isdigit() and most is not None and int(number) > most):
                break
            end = place
            if number.isdigit():
                last, n = int(number), n + 1
        file.truncate(end)
    return last, n


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(
            f"{path}: cannot be written ({error.strerror or error}). Free some space; the same command then continues."
        ) from error
