"""Labels for any number of images, predicted by the networks of a run or by an exported file.

The next rows are read during inference. The output grows in OUT.<key>.partial, whose key depends on input, run and
options, and is renamed when complete. After a kill, the same command continues behind the last complete row.
"""

import csv
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import BinaryIO

import numpy as np

from digit_recognizer.data import stream
from digit_recognizer.data.inspection import image_warnings
from digit_recognizer.data.stream import Chunk
from digit_recognizer.errors import InputError, RunError
from digit_recognizer.inference import engines, formats
from digit_recognizer.inference.load import load_networks
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.utils import locks, partial_files
from digit_recognizer.utils.environment import require_backend
from digit_recognizer.utils.files import check_target, read_bytes
from digit_recognizer.utils.reporter import SILENT, Reporter
from digit_recognizer.utils.text import escape_formula

_REJECTS_HEADER = b"row,fault,content\n"


@dataclass(frozen=True)
class PredictConfig:
    """The input, the networks, and the output."""

    source: Path  # a CSV, plain or gzipped, or an .npy of uint8
    run: str  # as `Ledger.run` takes it, or an exported .onnx file
    output: Path
    probabilities: bool = False  # whether to write ten probabilities beside each label
    rejects: Path | None = None  # a file for rows that contain no image; without it the first one is an error
    runtime: str = "auto"  # or one of `engines.RUNTIMES`


@dataclass(frozen=True)
class PredictResult:
    """The number of predicted rows, and the speed."""

    run: str
    engine: str
    output: str
    skip_bad: str | None  # the file of rejected rows
    began_after_row: int  # 0 unless the command continued a killed one
    rows: int
    bad: int  # rejected rows
    rows_per_second: float
    busy: dict[str, float]  # seconds of reading, inference and writing; reading overlaps the others
    limit: str  # the longest of them
    seconds: float


@dataclass(frozen=True)
class _Predictor:
    """The networks of a run, or a file of them."""

    name: str
    runtime: str
    hash: str
    start: Callable[[], engines.Predictor]


def predict_file(config: PredictConfig, workspace: Workspace, reporter: Reporter = SILENT) -> PredictResult:
    """Predict the labels of all rows of the input.

    Raises InputError for a wrong input, output or run, and for the first bad row unless rejected rows have a file;
    RunError when writing fails.
    """
    start = time.perf_counter()
    _check_paths(config)
    predictor = _predictor(config, workspace)
    fingerprint = stream.fingerprint(config.source)
    files = _files(config, predictor, fingerprint)
    name = partial_files.short_hash(str(config.output.resolve()))
    with locks.alone(f"predict-{name}", f"another process is writing {config.output}."):
        after, n_bad = partial_files.truncate_to_whole_rows(files)
        if after:
            reporter.info(f"Continuing after row {after:,}.")
        n_rows, n_new_bad, rate, busy = _label(config, files, after, predictor.start, reporter)
        if stream.fingerprint(config.source) != fingerprint:
            raise RunError(f"{config.source} changed while it was read. Run the command again.")
        partial_files.finish(files)
    return PredictResult(
        run=predictor.name,
        engine=predictor.runtime,
        output=str(config.output),
        skip_bad=str(config.rejects) if config.rejects else None,
        began_after_row=after,
        rows=after - n_bad + n_rows,
        bad=n_bad + n_new_bad,
        rows_per_second=rate,
        busy=busy,
        limit=max(busy, key=lambda part: busy[part]),
        seconds=time.perf_counter() - start,
    )


def _check_paths(config: PredictConfig) -> None:
    paths = {"`source`": config.source, "`output`": config.output, "`rejects`": config.rejects}
    paths |= {"`run`": Path(config.run)} if _is_file(config.run) else {}
    named: dict[Path, str] = {}
    for option, path in paths.items():
        if path and (other := named.setdefault(path.resolve(), option)) != option:
            raise InputError(f"{option} {path}: the same file as {other}. Name another.")
    for path in (config.output, config.rejects):
        if path:
            check_target(path)


def _is_file(run: str) -> bool:
    """Whether `run` names a file. A run with such a name is named by its id."""
    return Path(run).suffix in formats.SUFFIXES.values()


def _predictor(config: PredictConfig, workspace: Workspace) -> _Predictor:
    """The run, or the file, that `config` names."""
    if _is_file(config.run):
        file = Path(config.run)
        if file.suffix == formats.SUFFIXES["keras"]:
            raise InputError(f"{file}: expected a run or an .onnx file. Keras files may hold code; export as onnx.")
        formats.require_onnx(made=True)
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


def _files(config: PredictConfig, predictor: _Predictor, fingerprint: str) -> partial_files.PartialFiles:
    """The partial files of output and rejects; another input, predictor or option has other names."""
    options = config.probabilities, config.rejects and str(config.rejects.resolve())
    key = repr((fingerprint, (predictor.hash, predictor.runtime), *options))
    return partial_files.partial_files([path for path in (config.output, config.rejects) if path], key)


def _label(
    config: PredictConfig,
    files: partial_files.PartialFiles,
    after: int,
    start_predictor: Callable[[], engines.Predictor],
    reporter: Reporter,
) -> tuple[int, int, float, dict[str, float]]:
    """Write the rows after row `after`. The predictor starts once the first chunk is read.

    Returns the numbers of labelled and rejected rows, the rows per second, and the seconds of each stage.
    """
    columns = ["ImageId", "Label", *(f"p{digit}" for digit in range(10) if config.probabilities)]
    headers = [f"{','.join(columns)}\n".encode(), _REJECTS_HEADER][: len(files)]
    busy = dict.fromkeys(("reading", "inference", "writing"), 0.0)
    n_rows, n_bad, predict, begin = 0, 0, None, time.perf_counter()
    with (
        partial_files.open_partial(files, headers) as opened,
        reporter.rows(config.source.stat().st_size) as on_rows,
        closing(_read_ahead(stream.read(config.source, after), busy)) as chunks,
    ):
        for chunk in chunks:
            if chunk.bad and config.rejects is None:
                raise InputError(
                    f"{config.source}: {'; '.join(chunk.bad[0].faults[:3])}. Correct that row, or have such rows "
                    "written to a file with `rejects`."
                )
            if predict is None:
                for warning in image_warnings(config.source.name, chunk.pixels):
                    reporter.warning(f"{warning}. The labels may be wrong.")
                predict, begin = start_predictor(), time.perf_counter()
            with _timed(busy, "inference"):
                probabilities = predict(chunk.pixels)
            with _timed(busy, "writing"):
                _write(opened, chunk, probabilities, config.probabilities)
            n_rows, n_bad = n_rows + len(chunk.ids), n_bad + len(chunk.bad)
            on_rows(chunk.n_bytes, n_rows)
    return n_rows, n_bad, n_rows / (time.perf_counter() - begin), busy


def _read_ahead(source: Iterator[Chunk], busy: dict[str, float]) -> Generator[Chunk, None, None]:
    """The same chunks; a thread reads the next one while one is used."""

    def read() -> Chunk | None:
        with _timed(busy, "reading"):
            return next(source, None)

    with ThreadPoolExecutor(1) as reader:
        reading = reader.submit(read)
        while chunk := reading.result():
            reading = reader.submit(read)
            yield chunk


@contextmanager
def _timed(busy: dict[str, float], part: str) -> Iterator[None]:
    """Add the seconds of the block to a part."""
    start = time.perf_counter()
    yield
    busy[part] += time.perf_counter() - start


def _write(files: Sequence[BinaryIO], chunk: Chunk, probabilities: np.ndarray, all_ten: bool) -> None:
    """Append a chunk's rejected rows, then its labels: a resumed command repeats what comes after the last label."""
    output, *rejects = files
    for file in rejects:
        text = StringIO()
        csv.writer(text, lineterminator="\n").writerows(
            [bad.row, "; ".join(bad.faults), escape_formula(bad.content.decode("utf-8", "backslashreplace"))]
            for bad in chunk.bad
        )
        file.write(text.getvalue().encode())
        file.flush()
    output.write(_lines(chunk.ids, probabilities, all_ten))
    output.flush()


def _lines(ids: np.ndarray, probabilities: np.ndarray, all_ten: bool) -> bytes:
    columns = [ids, probabilities.argmax(axis=1), *(probabilities.T if all_ten else ())]
    line = "%d,%d" + ",%.6f" * (len(columns) - 2) + "\n"
    return "".join(line % row for row in zip(*(column.tolist() for column in columns), strict=True)).encode()
