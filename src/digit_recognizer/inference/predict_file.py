"""`digits predict`: the labels of any number of images, by the networks of a run.

Reading, inference and writing go on at the same time, some thousand rows each. What is written grows in a file beside
the output, OUT.<key>.partial, whose key tells input, run and options; it gets the output's name when it is whole, and
who was killed goes on where it ends.
"""

import csv
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from io import StringIO
from pathlib import Path
from queue import Full, Queue
from threading import Event, Thread
from typing import Any, BinaryIO

import numpy as np

from digit_recognizer.data import stream
from digit_recognizer.data.stream import Bad, Chunk
from digit_recognizer.errors import InputError
from digit_recognizer.inference import engines, formats
from digit_recognizer.inference.load import load_networks
from digit_recognizer.tracking.run_session import ledger
from digit_recognizer.utils import locks, partial_files
from digit_recognizer.utils.console import counting, say
from digit_recognizer.utils.environment import require_backend
from digit_recognizer.utils.files import check_target, read_bytes
from digit_recognizer.utils.signals import TerminationSignal

_AHEAD = 2  # chunks that are read before they are needed
_DECIMALS = 6  # of a probability
_BAD_HEADER = b"row,fault,content\n"
_MOST_KEPT = 100_000  # bytes of a bad row; the longest that may be good


@dataclass(frozen=True)
class PredictConfig:
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
    start: Callable[[], engines.Predictor]


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


def predict_file(job: PredictConfig) -> dict[str, Any]:
    """Label all rows of the input, and return the record that `--json` prints.

    Raises InputError for what is no input, output or run, and for the first bad row unless those are set aside;
    RunError when writing fails.
    """
    start = time.perf_counter()
    _check_paths(job)
    labeller = _labeller(job)
    files = _files(job, labeller)
    name = partial_files.short_hash(str(job.output.resolve()))
    with locks.alone(f"predict-{name}", f"another process is writing {job.output}."):
        after, n_bad = partial_files.truncate_to_whole_rows(files)
        if after:
            say(f"Going on after row {after:,}.")
        try:
            found = _label(job, files, after, labeller.start)
        except (KeyboardInterrupt, TerminationSignal):
            if files[job.output.resolve()].exists():
                say("The same command goes on where this one stopped.", style="bold")
            raise
        partial_files.finish(files)
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
        say(f"Bad rows set aside in {result['skip_bad']}: {result['bad']:,}", style="yellow")
    busy = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in result["busy"].items())
    rate = f"{result['rows_per_second']:,.0f} a second"
    say(f"Labelled {result['rows']:,} rows by {result['engine']}, {rate}. At work: {busy}.")
    say(f"The limit is {result['limit']}. Wrote {result['output']}")


def _check_paths(job: PredictConfig) -> None:
    for path in (job.output, job.skip_bad):
        if path:
            check_target(path)
    paths = {"INPUT": job.source, "-o": job.output, "--skip-bad": job.skip_bad}
    paths |= {"--run": Path(job.run)} if _is_of_file(job) else {}
    named: dict[Path, str] = {}
    for option, path in paths.items():
        if path and (other := named.setdefault(path.resolve(), option)) != option:
            raise InputError(f"{option} {path}: the same file as {other}. Name another.")


def _is_of_file(job: PredictConfig) -> bool:
    """Whether --run names a file. A run that is called like one goes by its number."""
    return Path(job.run).suffix in formats.SUFFIXES.values()


def _labeller(job: PredictConfig) -> _Labeller:
    """The run, or the file, that `job` names."""
    if _is_of_file(job):
        file = Path(job.run)
        engine, content = engines.runtime_of(file), read_bytes(file)
        if job.engine not in ("auto", engine):
            raise InputError(f"{file} is run by {engine}; leave --engine out.")
        return _Labeller(
            str(file), engine, sha256(content).hexdigest(), lambda: engines.predictor_of_file(file, content)
        )
    require_backend()
    engine = engines.choose_runtime(job.engine, job.source.stat().st_size if job.source.is_file() else 0)
    with ledger() as book:
        run = book.run(job.run)
        heard = load_networks(book, run)
    return _Labeller(run["name"], engine, run["submission_hash"], lambda: engines.predictor_of_networks(heard, engine))


def _files(job: PredictConfig, labeller: _Labeller) -> partial_files.PartialFiles:
    """Where the output, and what is set aside, grow: another input, labeller or option has other names."""
    options = job.probabilities, job.skip_bad and str(job.skip_bad.resolve())
    key = repr((stream.fingerprint(job.source), (labeller.hash, labeller.engine), *options))
    return partial_files.partial_files([path for path in (job.output, job.skip_bad) if path], key)


def _label(
    job: PredictConfig, files: partial_files.PartialFiles, after: int, start: Callable[[], engines.Predictor]
) -> dict[str, Any]:
    """Write the rows after so many; what was done. The engine starts once there is something to label."""
    times, n_rows, n_bad = _Times(), 0, 0
    engine, begin = None, time.perf_counter()
    headers = [_header(job.probabilities), _BAD_HEADER][: len(files)]
    with partial_files.open_partial(files, headers) as opened, ThreadPoolExecutor(1) as writer:
        pending = None
        ahead = closing(_ahead(stream.read(job.source, after), times))
        with counting(job.source.stat().st_size) as tell, ahead as read:
            for chunk in read:
                if chunk.bad and job.skip_bad is None:
                    raise InputError(
                        f"{job.source}: {'; '.join(chunk.bad[0].faults[:3])}. Correct that row, or set such rows "
                        "aside with --skip-bad FILE."
                    )
                if engine is None:
                    engine, begin = start(), time.perf_counter()
                with times.of("inference"):
                    probabilities = engine(chunk.pixels)
                if pending:
                    pending.result()
                pending = writer.submit(_write, opened, chunk, probabilities, job.probabilities, times)
                n_rows, n_bad = n_rows + len(chunk.ids), n_bad + len(chunk.bad)
                tell(chunk.n_bytes, n_rows)
            if pending:
                pending.result()
    seconds = time.perf_counter() - begin
    busy = asdict(times)
    return {
        "rows": n_rows,
        "bad": n_bad,
        "rows_per_second": n_rows / seconds,
        "busy": busy,
        "limit": max(busy, key=lambda part: busy[part]),
    }


def _ahead(source: Iterator[Chunk], times: _Times) -> Generator[Chunk, None, None]:
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


def _write(files: Sequence[BinaryIO], chunk: Chunk, probabilities: np.ndarray, all_ten: bool, times: _Times) -> None:
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
