"""Files that grow beside their names, and get them when they are whole. Who was killed goes on where they end.

Each holds lines that begin with the number of the row they tell of, after a header. The first, the output, tells how
far one came; what others hold beyond that is told again.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from glob import escape
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from digit_recognizer.errors import RunError

_TAIL = 4096  # bytes at the end of a file, in which a line ends

PartialFiles = dict[Path, Path]  # by the names that they are to get: the output's, then others'


def partial_files(targets: Sequence[Path], key: str) -> PartialFiles:
    """Where files grow. Another `key` has other names."""
    return {path: path.with_name(f"{path.name}.{short_hash(key)}.partial") for path in map(Path.resolve, targets)}


def short_hash(text: str) -> str:
    """Twelve digits that tell texts apart."""
    return sha256(text.encode()).hexdigest()[:12]


def truncate_to_whole_rows(files: PartialFiles) -> tuple[int, int]:
    """The last whole row of what was written before, and how many lines come before it in files but the output.

    What is torn, or was to come after it, is cut off; all of it when a file is gone. Raises RunError on failure.
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
    """The files, to append to, new ones with their headers; those that hold no more are removed if the body raises.

    An OSError of the body becomes a RunError that names the output.
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
    """Give the whole files their names, once they are on the disk, and remove what other tries of these left.

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
    """Cut a file behind the last whole line that begins with a number, at most `most`; the number, and of how many.

    Only the `tail` of the file is looked at, where one is given.
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
            f"{path}: cannot be written ({error.strerror or error}). With room and permission the same command goes on."
        ) from error
