"""`digits export`: all networks of a run as one file for other programs, checked against what they say here."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from . import engines, formats, sources
from .bookkeeping import ledger
from .errors import InputError, RunError
from .files import check_target, write_atomically
from .images import SIDE
from .surroundings import require_backend
from .tables import read_test
from .terminal import say
from .versus import source_of
from .voices import voices

_N_CHECKED = 1_000  # rows of test.csv, its first
_N_LIKE = 500  # rows of train.csv by which the ranges of bytes are chosen, evenly spread


@dataclass(frozen=True)
class Job:
    """What the user asked for."""

    run: str
    format: str  # in formats.SUFFIXES
    output: Path
    int8: bool = False  # weights and activations as bytes
    data: Path | None = None  # where the run's data is now


def export(job: Job) -> dict[str, Any]:
    """Write the file, once it says what the networks say, and return the record that `--json` prints.

    Raises InputError for what is no run, format or name, and when the run's data or a library is missing; RunError,
    and nothing is written, when a label differs that should not.
    """
    check_target(job.output, formats.SUFFIXES[job.format])
    if job.int8 and job.format != "litert":
        raise InputError("--int8 is for --to litert.")
    require_backend()
    formats.require(job.format)
    with ledger() as book:
        run = book.run(job.run)
        heard = voices(book, run)
    source = source_of(run, job.data)
    pixels = read_test(source.test, sources.CACHE).pixels[:_N_CHECKED]
    content = engines.content(heard, job.format, _like(source) if job.int8 else None)
    expected, received = engines.by_keras(heard)(pixels), engines.of_content(content, job.format)(pixels)
    difference = float(np.abs(received - expected).max())
    n_others = int((received.argmax(axis=1) != expected.argmax(axis=1)).sum())
    if not np.isfinite(difference) or (n_others and not job.int8):
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


def _like(source: sources.Source) -> np.ndarray:
    pixels = sources.read(source)[0].pixels
    return pixels[np.linspace(0, len(pixels) - 1, min(_N_LIKE, len(pixels))).astype(int)].reshape(-1, SIDE, SIDE)
