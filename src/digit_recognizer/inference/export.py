"""All networks of a run as one file for other programs, checked against the run's own predictions."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from digit_recognizer.data import sources
from digit_recognizer.data.csv_reader import read_test
from digit_recognizer.errors import InputError, RunError
from digit_recognizer.inference import engines, formats
from digit_recognizer.inference.load import load_networks
from digit_recognizer.tracking.compare import data_source_of
from digit_recognizer.tracking.run_record import RunRecord
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.utils.environment import require_backend
from digit_recognizer.utils.files import check_target, write_atomically

_N_CHECKED = 1_000  # first rows of test.csv


@dataclass(frozen=True)
class ExportResult:
    """The exported file, and how its predictions compare with the run's."""

    run: str
    format: str
    file: str
    bytes: int
    sha256: str
    checked_on: str
    rows: int
    other_labels: int
    largest_difference: float  # of a probability


def export_run(word: str, workspace: Workspace, format: str, output: Path, data: Path | None = None) -> ExportResult:
    """Write the networks of a run, named as `Ledger.run` takes it, in a format of `formats.SUFFIXES`.

    The file maps (n, 28, 28) uint8 pixels to (n, 10) probabilities. Raises InputError for an unknown run or output, and
    when the run's data or a library is missing; RunError, and nothing is written, when a library fails or a label
    differs from the run's on the first 1,000 rows of its test.csv.
    """
    check_target(output, formats.SUFFIXES[format])
    require_backend()
    if format == "onnx":
        formats.require_onnx()
    with workspace.existing_ledger() as ledger:
        run = ledger.run(word)
        networks = load_networks(ledger, run)
    source = data_source_of(run, data)
    pixels = _test_pixels(run, source)[:_N_CHECKED]
    content = engines.export_networks(networks, format)
    expected = engines.keras_predictor(networks)(pixels)
    received = engines.predictor_of_content(content, format)(pixels)
    difference = float(np.abs(received - expected).max())
    n_others = int((received.argmax(axis=1) != expected.argmax(axis=1)).sum())
    if not np.isfinite(difference) or n_others:
        raise RunError(
            f"{output}: not written: {n_others:,} of {len(pixels):,} labels of {source.test} differ from the run's, "
            f"with probabilities up to {difference:.1g} apart. Try another format."
        )
    write_atomically(output, content)
    hash = sha256(content).hexdigest()
    return ExportResult(
        run.name, format, str(output), len(content), hash, str(source.test), len(pixels), n_others, difference
    )


def _test_pixels(run: RunRecord, source: sources.Source) -> np.ndarray:
    """The images that the run predicted, (n, 784). Raises InputError when the file has changed since."""
    table = read_test(source.test)
    if table.fingerprint != run.test_hash:
        raise InputError(
            f"{source.test}: expected the test.csv of run {run.name}, fingerprint {run.test_hash}, received "
            f"{table.fingerprint}. Pass its path as `data`."
        )
    return table.pixels
