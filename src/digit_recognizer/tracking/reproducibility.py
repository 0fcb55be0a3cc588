"""Differences between environments, and the comparison of a rerun with its original.

The same bits are expected if code, versions, CPU, threads and settings are equal and no GPU is used.
"""

from dataclasses import dataclass

import numpy as np

from digit_recognizer.errors import InputError
from digit_recognizer.tracking.compare import check_finished
from digit_recognizer.tracking.run_dir import Predictions, run_predictions
from digit_recognizer.tracking.run_record import Reproduction, RunHeader, RunRecord
from digit_recognizer.tracking.run_session import changes_at_resumes
from digit_recognizer.utils import environment

_VERSIONS = ("digit-recognizer", "backend", "python", "numpy", "scipy", "scikit-learn", "keras")


@dataclass(frozen=True, eq=False)
class Original:
    """A finished run that is repeated, and its predictions."""

    run: RunRecord
    predictions: Predictions


def read_original(run: RunRecord) -> Original:
    """Return the run with its predictions.

    Raises InputError if it is not finished, or its predictions are missing, damaged or those of another run.
    """
    try:
        check_finished(run)
        return Original(run, run_predictions(run))
    except InputError as error:
        raise InputError(f"`verify`: {error} Without `verify` the run is repeated without this check.") from error


def verify(original: Original, rerun: Predictions, header: RunHeader) -> Reproduction:
    """Compare the predictions of a rerun, in the environment of its `header`, with those of the original."""
    run, first = original.run, original.predictions
    changes = environment_diff(run, header) + changes_at_resumes(run)
    pairs = ((first.rows, rerun.rows), (first.log_p, rerun.log_p), (first.test_log_p, rerun.test_log_p))
    same_bits = all(np.array_equal(*pair) for pair in pairs)
    n = len(rerun.test_log_p)
    different = int((first.test_log_p.argmax(axis=1) != rerun.test_log_p.argmax(axis=1)).sum())
    outcome = "the same bits" if same_bits else f"{different:,} of {n:,} test labels differ"
    cause = f"changed: {', '.join(changes)}" if changes else "same code, versions, CPU, threads and settings"
    return Reproduction(
        of=run.name,
        same_bits=same_bits,
        expected=not (
            changes
            or _is_nondeterministic(header.device, header.environment.cpu)
            or _is_nondeterministic(run.device, run.cpu)
        ),
        changes=tuple(changes),
        different=different,
        n=n,
        verdict=f"Compared with {run.name}: {outcome} ({cause}).",
    )


def environment_diff(run: RunRecord, header: RunHeader) -> list[str]:
    """Return the changes since a run began that can change its bits, such as "keras 3.14 -> 3.15"."""
    now = header.environment
    names = (*_VERSIONS, environment.backend())
    then_and_now = {
        "code": (run.code, now.code),
        **{name: (run.versions.get(name), now.versions.get(name)) for name in names},
        "device": (run.device, header.device),
        "cpu": (run.cpu, now.cpu),
        "threads": (run.threads, now.threads),
        **{name: (run.settings.get(name), now.settings.get(name)) for name in environment.SETTINGS},
    }
    changes = [
        f"{name} {_describe(then)} -> {_describe(value)}"
        for name, (then, value) in then_and_now.items()
        if then != value
    ]
    if str(now.code).endswith("+") and run.code == now.code:
        changes.append(f"code {now.code}, with uncommitted changes that may differ")
    return changes


def _describe(value: object) -> str:
    return "unset" if value is None else str(value)


def _is_nondeterministic(device: str | None, cpu: str) -> bool:
    """Whether a repeated training may give different bits: on a GPU, or on workers with different CPUs."""
    return "gpu" in (device or "") or " and " in cpu
