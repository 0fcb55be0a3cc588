"""Labels for any number of images, by the networks of a run or an exported file.

Reading, inference and writing overlap, some thousand rows each. The output grows in OUT.<key>.partial, whose key
depends on input, run and options; it gets its name when it is complete, and a killed command goes on where it ends.
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
from digit_recognizer.data.stream import BadRow, Chunk
from digit_recognizer.errors import InputError
from digit_recognizer.inference import engines, formats
from digit_recognizer.inference.load import load_networks
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.utils import locks, partial_files
from digit_recognizer.utils.environment import require_backend
from digit_recognizer.utils.files import check_target, read_bytes
from digit_recognizer.utils.reporter import SILENT, Reporter
from digit_recognizer.utils.signals import TerminationSignal

_AHEAD = 2  # chunks that are read before they are needed
_DECIMALS = 6  # of a probability
_REJECTS_HEADER = b"row,fault,content\n"
_MOST_KEPT = 100_000  # bytes of a bad row; the longest that may be good


@dataclass(frozen=True)
class PredictConfig:
    """What is labelled, by which networks, and where the labels go."""

    source: Path  # a CSV, plain or packed by gzip, or an .npy of uint8
    run: str  # as `Ledger.run` takes it, or an exported .onnx file
    output: Path
    probabilities: bool = False  # whether to write ten probabilities beside each label
    rejects: Path | None = None  # where rows that contain no image are written; without it the first one is an error
    runtime: str = "auto"  # or one of `engines.RUNTIMES`


@dataclass(frozen=True)
class PredictResult:
    """What was labelled, and how fast."""

    run: str
    engine: str
    output: str
    skip_bad: str | None  # the file of rejected rows
    began_after_row: int  # 0 unless it went on where an earlier process was killed
    rows: int
    bad: int  # rejected rows
    rows_per_second: float
    busy: dict[str, float]  # seconds of reading, inference and writing, which overlap
    limit: str  # the longest of them
    seconds: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class _Predictor:
    """The networks of a run, or a file of them."""

    name: str
    runtime: str
    hash: str
    start: Callable[[], engines.Predictor]


@dataclass(frozen=True)
class _Progress:
    """The rows of this process."""

    rows: int
    bad: int
    rows_per_second: float
    busy: dict[str, float]


@dataclass
class _Times:
    """Seconds that each part was busy."""

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


def predict_file(config: PredictConfig, workspace: Workspace, reporter: Reporter = SILENT) -> PredictResult:
    """Label all rows of the input.

    Raises InputError for a wrong input, output or run, and for the first bad row unless rejected rows have a file;
    RunError when writing fails.
    """
    start = time.perf_counter()
    _check_paths(config)
    predictor = _predictor(config, workspace)
    files = _files(config, predictor)
    name = partial_files.short_hash(str(config.output.resolve()))
    with locks.alone(f"predict-{name}", f"another process is writing {config.output}."):
        after, n_bad = partial_files.truncate_to_whole_rows(files)
        if after:
            reporter.info(f"Going on after row {after:,}.")
        try:
            found = _label(config, files, after, predictor.start, reporter)
        except (KeyboardInterrupt, TerminationSignal):
            if files[config.output.resolve()].exists():
                reporter.info("The same command goes on where this one stopped.")
            raise
        partial_files.finish(files)
    return PredictResult(
        run=predictor.name,
        engine=predictor.runtime,
        output=str(config.output),
        skip_bad=str(config.rejects) if config.rejects else None,
        began_after_row=after,
        rows=after - n_bad + found.rows,
        bad=n_bad + found.bad,
        rows_per_second=found.rows_per_second,
        busy=found.busy,
        limit=max(found.busy, key=lambda part: found.busy[part]),
        seconds=time.perf_counter() - start,
    )


def _check_paths(config: PredictConfig) -> None:
    for path in (config.output, config.rejects):
        if path:
            check_target(path)
    paths = {"`source`": config.source, "`output`": config.output, "`rejects`": config.rejects}
    paths |= {"`run`": Path(config.run)} if _is_of_file(config) else {}
    named: dict[Path, str] = {}
    for option, path in paths.items():
        if path and (other := named.setdefault(path.resolve(), option)) != option:
            raise InputError(f"{option} {path}: the same file as {other}. Name another.")


def _is_of_file(config: PredictConfig) -> bool:
    """Whether `run` names a file. A run with such a name is named by its id."""
    return Path(config.run).suffix in formats.SUFFIXES.values()


def _predictor(config: PredictConfig, workspace: Workspace) -> _Predictor:
    """The run, or the file, that `config` names."""
    if _is_of_file(config):
        file = Path(config.run)
        engines.check_file(file)
        content = read_bytes(file)
        if config.runtime == "keras":
            raise InputError(f"{file} is run by onnxruntime; leave `runtime` out.")
        hash = sha256(content).hexdigest()
        return _Predictor(str(file), "onnxruntime", hash, lambda: engines.predictor_of_file(file, content))
    require_backend()
    runtime = engines.choose_runtime(config.runtime, config.source.stat().st_size if config.source.is_file() else 0)
    with workspace.existing_ledger() as ledger:
        run = ledger.run(config.run)
        networks = load_networks(ledger, run)
    hash = run.submission_hash or ""
    return _Predictor(run.name, runtime, hash, lambda: engines.predictor_of_networks(networks, runtime))


def _files(config: PredictConfig, predictor: _Predictor) -> partial_files.PartialFiles:
    """The partial files of output and rejects; another input, predictor or option has other names."""
    options = config.probabilities, config.rejects and str(config.rejects.resolve())
    key = repr((stream.fingerprint(config.source), (predictor.hash, predictor.runtime), *options))
    return partial_files.partial_files([path for path in (config.output, config.rejects) if path], key)


def _label(
    config: PredictConfig,
    files: partial_files.PartialFiles,
    after: int,
    start: Callable[[], engines.Predictor],
    reporter: Reporter,
) -> _Progress:
    """Write the rows after row `after`. The predictor starts once the first chunk is read."""
    times, n_rows, n_bad = _Times(), 0, 0
    predict, begin = None, time.perf_counter()
    headers = [_header(config.probabilities), _REJECTS_HEADER][: len(files)]
    with partial_files.open_partial(files, headers) as opened, ThreadPoolExecutor(1) as writer:
        pending = None
        chunks = closing(_read_ahead(stream.read(config.source, after), times))
        with reporter.rows(config.source.stat().st_size) as on_rows, chunks as read:
            for chunk in read:
                if chunk.bad and config.rejects is None:
                    raise InputError(
                        f"{config.source}: {'; '.join(chunk.bad[0].faults[:3])}. Correct that row, or have such rows "
                        "written to a file with `rejects`."
                    )
                if predict is None:
                    predict, begin = start(), time.perf_counter()
                with times.of("inference"):
                    probabilities = predict(chunk.pixels)
                if pending:
                    pending.result()
                pending = writer.submit(_write, opened, chunk, probabilities, config.probabilities, times)
                n_rows, n_bad = n_rows + len(chunk.ids), n_bad + len(chunk.bad)
                on_rows(chunk.n_bytes, n_rows)
            if pending:
                pending.result()
    return _Progress(n_rows, n_bad, n_rows / (time.perf_counter() - begin), asdict(times))


def _read_ahead(source: Iterator[Chunk], times: _Times) -> Generator[Chunk, None, None]:
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
    """Append a chunk's rejected rows, then its labels: a resumed command repeats what comes after the last label."""
    with times.of("writing"):
        output, *rejects = files
        for file in rejects:
            file.write(b"".join(map(_reject_line, chunk.bad)))
            file.flush()
        output.write(_lines(chunk.ids, probabilities, all_ten))
        output.flush()


def _reject_line(bad: BadRow) -> bytes:
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
