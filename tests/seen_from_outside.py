"""`digits` as a separate process, and the files it writes, for tests that stop processes."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "DIGITS_WORKSPACE"}
ENVIRONMENT["PYTHONPATH"] = str(ROOT / "src")
COMMAND = [sys.executable, "-c", "from digit_recognizer.cli import main; main()"]
PATIENCE = 120  # seconds


def digits(folder, *words):
    """Run a command in a folder, which is its workspace; returns its exit code. Its output is discarded."""
    return subprocess.run([*COMMAND, *words], cwd=folder, env=ENVIRONMENT, capture_output=True).returncode


@contextmanager
def started(folder, *words, **variables):
    """Start a command in a folder, its workspace, with more environment variables; wait for it at the end."""
    environment = ENVIRONMENT | variables
    with open(folder / "printed", "wb") as printed:
        process = subprocess.Popen([*COMMAND, *words], cwd=folder, env=environment, stdout=printed, stderr=printed)
    try:
        yield process
        process.wait(PATIENCE)
    finally:
        process.kill()
        process.wait()


def children_of(pid):
    """Return the worker processes of a process."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            command = (path.parent / "cmdline").read_text()
        except OSError:  # the process has ended
            continue
        if parent == pid and "LokyProcess" in command:
            found.append(int(path.parent.name))
    return found


def epochs_kept(folder):
    """Return (network, epoch) of each checkpoint of a run."""
    paths = [path.relative_to(folder) for path in folder.rglob("checkpoint-*.npz")]
    return {(path.parent.name, int(path.stem.rpartition("-")[2])) for path in paths}


def went_on(before, after):
    """Return whether no network has an earlier epoch `after` than `before`."""
    oldest = dict(sorted(before, reverse=True))
    return all(epoch >= oldest.get(network, 1) for network, epoch in after)


def until(condition):
    """Wait for a condition. Raises AssertionError after PATIENCE seconds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "the condition was not met in time"
        time.sleep(0.02)


def fingerprints(folder):
    """Return the SHA-256 of the submission and the weights of a folder's only run, by their file names."""
    [run] = folder.glob("submissions/*/")
    files = [run / "submission.csv", *run.glob("members/*/weights.npz")]
    return {str(file.relative_to(run)): sha256(file.read_bytes()).hexdigest() for file in files}
