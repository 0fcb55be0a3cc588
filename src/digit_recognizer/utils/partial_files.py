"""Files that are written under a temporary name and renamed when complete, so that a killed command can continue them.

Each line after the header starts with its row number. Writing continues after the last row of the first file, the
output; later lines of the other files are removed.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from glob import escape
from hashlib import sha256
from math import inf
from pathlib import Path
from typing import BinaryIO

from digit_recognizer.errors import RunError
from digit_recognizer.utils.files import sync

PartialFiles = dict[Path, Path]  # final name: temporary name; the output first


def partial_files(targets: Sequence[Path], key: str) -> PartialFiles:
    """Return the temporary names of `targets`, which depend on `key`. A target that is a link will be replaced."""
    paths = [path.parent.resolve() / path.name for path in targets]
    return {path: path.with_name(f"{path.name}.{short_hash(key)}.partial") for path in paths}


def short_hash(text: str) -> str:
    """Return the first twelve hexadecimal digits of the SHA-256."""
    return sha256(text.encode()).hexdigest()[:12]


def truncate_to_whole_rows(files: PartialFiles) -> tuple[int, int]:
    """Return the number of the last complete row and the number of lines up to it in the other files.

    Incomplete and later lines are removed; all lines if a file is missing. Raises RunError on failure.
    """
    output, *others = files.values()
    with _explained(output):
        if all(path.exists() for path in files.values()) and (after := _cut(output)[0]):
            return after, sum(_cut(path, most=after)[1] for path in others)
        _remove(files)
    return 0, 0


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
                _remove(files)
            raise


def finish(files: PartialFiles) -> None:
    """Flush the files to disk, rename them to their final names, and remove partial files of other keys.

    Raises RunError on failure.
    """
    for target, path in reversed(files.items()):
        with _explained(path):
            with path.open("r+b") as file:
                sync(file.fileno())
            path.replace(target)
            for old in target.parent.glob(f"{escape(target.name)}.*.partial"):
                old.unlink(missing_ok=True)


def _cut(path: Path, most: float = inf) -> tuple[int, int]:
    """Truncate a file after its last complete row up to number `most`; return its number and the number of rows."""
    last = n = end = 0
    with path.open("r+b") as file:
        for line in file:
            number = line.partition(b",")[0]
            is_row = number.isdigit()  # not the header
            if not line.endswith(b"\n") or (is_row and int(number) > most):
                break
            end += len(line)
            if is_row:
                last, n = int(number), n + 1
        file.truncate(end)
    return last, n


def _remove(files: PartialFiles) -> None:
    for path in files.values():
        path.unlink(missing_ok=True)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(
            f"{path}: cannot be written ({error.strerror or error}). Free some space; the same command then continues."
        ) from error
