"""`digits predict`: the labels of any number of images, by the networks of a run.

Reading, inference and writing go on at the same time, some thousand rows each. What is written grows in a file beside
the output, OUT.<key>.partial, whose key tells input, run and options; it gets the output's name when it is whole, and
who was killed goes on where it ends.
"""

import csv
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from glob import escape
from hashlib import sha256
from io import StringIO
from pathlib import Path
from queue import Full, Queue
from threading import Event, Thread
from typing import Any, BinaryIO

import numpy as np

from . import chunks, engines, formats, lock
from .bookkeeping import ledger
from .chunks import Bad, Chunk
from .errors import InputError, RunError
from .files import read_bytes
from .surroundings import require_backend
from .terminal import counting, say
from .voices import voices

_AHEAD = 2  # chunks that are read before they are needed
_DECIMALS = 6  # of a probability
_TAIL = 4096  # bytes at the end of a file, in which a line ends
_BAD_HEADER = b"row,fault,content\n"
_MOST_KEPT = 100_000  # bytes of a bad row; the longest that may be good


@dataclass(frozen=True)
class Job:
    """What the user asked for."""

    source: Path
    run: str  # of the ledger, or a file by `digits export`
    output: Path
    probabilities: bool = False
    skip_bad: Path | None = None  # where rows that hold no image are set aside
    engine: str = "auto"


@dataclass(frozen=True)
class _Labeller:
    """What labels images: the networks of a run, or a file of them."""

    name: str
    engine: str
    hash: str
    start: Callable[[], engines.Engine]


@dataclass
class _Times:
    """Seconds that each part was at work."""

    reading: float = 0.0
    inference: float = 0.0
    writing: float = 0.0

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            setattr(self, part, getattr(self, part) + time.perf_counter() - start)


def predict(job: Job) -> dict[str, Any]:
    """Label all rows of the input, and return the record that `--json` prints.

    Raises InputError for what is no input, output or run, and for the first bad row unless those are set aside;
    RunError when writing fails.
    """
    start = time.perf_counter()
    _check_paths(job)
    labeller = _labeller(job)
    growing = _growing(job, labeller)
    with lock.alone(f"predict-{_short(str(job.output.resolve()))}", f"another process is writing {job.output}."):
        after, n_bad = _begun(growing)
        if after:
            say(f"Going on after row {after:,}.")
        try:
            found = _label(job, growing, after, labeller.start())
        finally:
            _forget_if_empty([*growing.values()])
        _finish(growing)
    return {
        "run": labeller.name,
        "engine": labeller.engine,
        "output": str(job.output),
        "skip_bad": job.skip_bad and str(job.skip_bad),
        "began_after_row": after,
        **found,
        "rows": after - n_bad + found["rows"],
        "bad": n_bad + found["bad"],
        "seconds": time.perf_counter() - start,
    }


def show(result: dict[str, Any]) -> None:
    """Print what was labelled, how fast, and what was the limit."""
    if result["bad"]:
        say(f"Set aside {result['bad']:,} bad rows: {result['skip_bad']}", style="yellow")
    busy = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in result["busy"].items())
    rate = f"{result['rows_per_second']:,.0f} a second"
    say(f"Labelled {result['rows']:,} rows by {result['engine']}, {rate}. At work: {busy}.")
    say(f"The limit is {result['limit']}. Wrote {result['output']}")


def _check_paths(job: Job) -> None:
    paths = {"-o": job.output, "--skip-bad": job.skip_bad}
    for option, path in paths.items():
        if path and ((path.exists() and not path.is_file()) or not path.parent.is_dir()):
            raise InputError(f"{option} {path}: expected the name of a file in a folder that is there.")
    given = [path.resolve() for path in (job.source, job.output, job.skip_bad) if path]
    if len(set(given)) < len(given):
        raise InputError("input, -o and --skip-bad must be different files.")


def _labeller(job: Job) -> _Labeller:
    """The run, or the file, that `job` names."""
    file = Path(job.run)
    if file.suffix in formats.SUFFIXES.values() and file.is_file():
        content = read_bytes(file)
        engine = engines.engine_of(file)
        if job.engine not in ("auto", engine):
            raise InputError(f"{file} is run by {engine}; leave --engine out.")
        return _Labeller(str(file), engine, sha256(content).hexdigest(), lambda: engines.of_file(file, content))
    require_backend()
    engine = engines.chosen(job.engine)
    with ledger() as book:
        run = book.run(job.run)
        heard = voices(book, run)
    return _Labeller(run["name"], engine, run["submission_hash"], lambda: engines.of_run(heard, engine))


def _growing(job: Job, labeller: _Labeller) -> dict[Path, Path]:
    """Where the output, and what is set aside, grow: another input, labeller or option has other names."""
    by = labeller.hash, labeller.engine
    told = chunks.fingerprint(job.source), by, job.probabilities, job.skip_bad and str(job.skip_bad.resolve())
    targets = [path.resolve() for path in (job.output, job.skip_bad) if path]
    return {path: path.with_name(f"{path.name}.{_short(repr(told))}.partial") for path in targets}


def _short(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:12]


def _label(job: Job, growing: dict[Path, Path], after: int, engine: engines.Engine) -> dict[str, Any]:
    """Write the rows after so many; what was done."""
    times, n_rows, n_bad = _Times(), 0, 0
    begin = time.perf_counter()
    with ExitStack() as closing:
        closing.enter_context(_explained(job.output))
        output, *aside = [closing.enter_context(path.open("ab")) for path in growing.values()]
        writer = closing.enter_context(ThreadPoolExecutor(1))
        if not after:
            for file, header in zip([output, *aside], [_header(job.probabilities), _BAD_HEADER], strict=False):
                file.write(header)
        pending = None
        with counting(job.source.stat().st_size) as tell:
            for chunk in _ahead(chunks.read(job.source, after), times):
                if chunk.bad and job.skip_bad is None:
                    raise InputError(
                        f"{job.source}: {'; '.join(chunk.bad[0].faults[:3])}. Correct that row, or set such rows "
                        "aside with --skip-bad FILE."
                    )
                with times.of("inference"):
                    probabilities = engine(chunk.pixels)
                if pending:
                    pending.result()
                pending = writer.submit(_write, [output, *aside], chunk, probabilities, job.probabilities, times)
                n_rows, n_bad = n_rows + len(chunk.ids), n_bad + len(chunk.bad)
                tell(chunk.n_bytes, n_rows)
            if pending:
                pending.result()
    seconds = time.perf_counter() - begin
    busy = times.__dict__
    return {
        "rows": n_rows,
        "bad": n_bad,
        "rows_per_second": n_rows / seconds,
        "busy": busy,
        "limit": max(busy, key=lambda part: busy[part]),
    }


def _ahead(source: Iterator[Chunk], times: _Times) -> Iterator[Chunk]:
    """The same chunks, read in a thread while those before are used."""
    queue: Queue[Any] = Queue(_AHEAD)
    stopped = Event()

    def put(item: Any) -> None:
        while not stopped.is_set():
            with suppress(Full):
                return queue.put(item, timeout=0.1)

    def read() -> None:
        try:
            while not stopped.is_set():
                with times.of("reading"):
                    chunk = next(source, None)
                put(chunk)
                if chunk is None:
                    return
        except BaseException as error:  # raised where it is used
            put(error)

    thread = Thread(target=read)
    thread.start()
    try:
        while (item := queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()


def _header(probabilities: bool) -> bytes:
    return b"ImageId,Label" + (b"".join(b",p%d" % digit for digit in range(10)) if probabilities else b"") + b"\n"


def _write(files: list[BinaryIO], chunk: Chunk, probabilities: np.ndarray, all_ten: bool, times: _Times) -> None:
    """Append a chunk's bad rows, then its labels: what comes after the last label is done again by who goes on."""
    with times.of("writing"):
        output, *aside = files
        for file in aside:
            file.write(b"".join(map(_told, chunk.bad)))
            file.flush()
        output.write(_lines(chunk.ids, probabilities, all_ten))
        output.flush()


def _told(bad: Bad) -> bytes:
    """A line of CSV, without line ends in its cells."""
    text = StringIO()
    cells = [bad.row, "; ".join(bad.faults), bad.content[:_MOST_KEPT].decode("utf-8", "backslashreplace")]
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def _lines(ids: np.ndarray, probabilities: np.ndarray, all_ten: bool) -> bytes:
    labels = probabilities.argmax(axis=1).tolist()
    if not all_ten:
        return "".join(map("%d,%d\n".__mod__, zip(ids.tolist(), labels, strict=True))).encode()
    rows = _decimals(probabilities.astype(np.float64))
    return b"".join(b"%d,%d%s\n" % row for row in zip(ids.tolist(), labels, rows, strict=True))


def _decimals(values: np.ndarray) -> list[bytes]:
    """Each row of (n, m) values in [0, 1] as `,0.123456` for each value."""
    places = 10 ** np.arange(_DECIMALS, -1, -1)
    digits = np.rint(values * 10**_DECIMALS).astype(np.int64)[..., np.newaxis] // places % 10 + ord("0")
    text = np.empty((*values.shape, _DECIMALS + 3), np.uint8)
    text[..., 0], text[..., 1], text[..., 2], text[..., 3:] = ord(","), digits[..., 0], ord("."), digits[..., 1:]
    return [row.tobytes() for row in text.reshape(len(values), -1)]


def _begun(growing: dict[Path, Path]) -> tuple[int, int]:
    """The last whole row of what was written before, and how many bad ones come before it.

    What is torn, or was to come after it, is cut off; all of it when a file is gone.
    """
    output, *aside = growing.values()
    with _explained(output):
        after = _cut(output, tail=_TAIL)[0] if all(path.exists() for path in growing.values()) else 0
        n_bad = [_cut(path, most=after)[1] for path in aside if path.exists()]
        if not after:
            for path in growing.values():
                path.unlink(missing_ok=True)
    return after, sum(n_bad)


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


def _forget_if_empty(paths: Sequence[Path]) -> None:
    """Remove the files when all have their headers alone."""
    if all(not path.exists() or path.stat().st_size <= len(_header(True)) for path in paths):
        for path in paths:
            path.unlink(missing_ok=True)


def _finish(growing: dict[Path, Path]) -> None:
    """Give the whole files their names, once they are on the disk, and remove what other tries of these left."""
    for target, path in reversed(growing.items()):
        with _explained(path):
            with path.open("r+b") as file:
                os.fsync(file.fileno())
            path.replace(target)
            for old in target.parent.glob(f"{escape(target.name)}.*.partial"):
                old.unlink(missing_ok=True)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(
            f"{path}: cannot be written ({error.strerror or error}). With room and permission the same command goes on."
        ) from error
