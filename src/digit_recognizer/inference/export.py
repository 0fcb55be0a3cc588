"""`digits export`: all networks of a run as one file for other programs, checked against what they say here."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from digit_recognizer.data import sources
from digit_recognizer.data.csv_reader import LabelledTable, read_test
from digit_recognizer.data.images import SIDE
from digit_recognizer.errors import InputError, RunError
from digit_recognizer.inference import engines, formats
from digit_recognizer.inference.load import load_networks
from digit_recognizer.tracking.compare import data_source_of, train_table_of
from digit_recognizer.tracking.ledger import Row
from digit_recognizer.tracking.run_session import ledger
from digit_recognizer.utils.console import say
from digit_recognizer.utils.environment import require_backend
from digit_recognizer.utils.files import check_target, write_atomically

_N_CHECKED = 1_000  # rows of test.csv, its first
_INT8_OTHERS = 0.02  # of the rows may get other labels by bytes; more, and the ranges do not fit
_N_LIKE = 500  # rows of train.csv by which the ranges of bytes are chosen, evenly spread


@dataclass(frozen=True)
class ExportConfig:
    """What the user asked for."""

    run: str
    format: str  # in formats.SUFFIXES
    output: Path
    int8: bool = False  # weights and activations as bytes
    data: Path | None = None  # where the run's data is now


def export_run(job: ExportConfig) -> dict[str, Any]:
    """Write the file, once it says what the networks say, and return the record that `--json` prints.

    Raises InputError for what is no run, format or name, and when the run's data or a library is missing; RunError,
    and nothing is written, when a library fails, or labels differ, of int8 more than 2 %.
    """
    check_target(job.output, formats.SUFFIXES[job.format])
    if job.int8 and job.format != "litert":
        raise InputError("--int8 is for --to litert. Say that, or leave --int8 out.")
    require_backend()
    formats.require_packages(job.format)
    with ledger() as book:
        run = book.run(job.run)
        heard = load_networks(book, run)
    source = data_source_of(run, job.data)
    pixels = _test_of(run, source)[:_N_CHECKED]
    content = engines.export_networks(heard, job.format, _like(train_table_of([run], job.data)) if job.int8 else None)
    expected, received = (
        engines.keras_predictor(heard)(pixels),
        engines.predictor_of_content(content, job.format)(pixels),
    )
    difference = float(np.abs(received - expected).max())
    n_others = int((received.argmax(axis=1) != expected.argmax(axis=1)).sum())
    if not np.isfinite(difference) or n_others > len(pixels) * (_INT8_OTHERS if job.int8 else 0):
        raise RunError(
            f"{job.output}: not written, as it labels {n_others:,} of {len(pixels):,} rows of {source.test} otherwise "
            f"than the run, with probabilities up to {difference:.1g} apart. Try another format."
        )
    write_atomically(job.output, content)
    return {
        "run": run["name"],
        "format": job.format,
        "int8": job.int8,
        "file": str(job.output),
        "bytes": len(content),
        "sha256": sha256(content).hexdigest(),
        "checked_on": str(source.test),
        "rows": len(pixels),
        "other_labels": n_others,
        "largest_difference": difference,
    }


def show(result: dict[str, Any]) -> None:
    """Print what was written and how it was checked."""
    say(f"Wrote {result['file']}, {result['bytes']:,} bytes: pixels (n, 28, 28) uint8 in, probabilities (n, 10) out.")
    labels = f"the same labels but for {result['other_labels']:,}" if result["other_labels"] else "the same labels"
    say(
        f"Checked on {result['rows']:,} rows of {result['checked_on']}: {labels}; no probability differs by more than "
        f"{result['largest_difference']:.1g}."
    )


def _test_of(run: Row, source: sources.Source) -> np.ndarray:
    """The images that the run labelled, (n, 784). Raises InputError when they are others there now."""
    table = read_test(source.test, sources.CACHE)
    if table.fingerprint != run["test_hash"]:
        raise InputError(
            f"{source.test}: expected the test.csv of run {run['name']}, fingerprint {run['test_hash']}, received "
            f"{table.fingerprint}. Name its place with --data."
        )
    return table.pixels


def _like(train: LabelledTable) -> np.ndarray:
    pixels = train.pixels
    return pixels[np.linspace(0, len(pixels) - 1, min(_N_LIKE, len(pixels))).astype(int)].reshape(-1, SIDE, SIDE)
