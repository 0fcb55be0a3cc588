"""Runs the trials of a guarantee in a child process, perhaps without one of the guards."""

import importlib
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from . import PROMISES
from .guards import GUARDS
from .processes import start_process, wait_for

SHOWN = 3  # tracebacks in the result


def run_trials(
    number: int, cases: int | None = None, first: int = 0, seconds: float = float("inf"), guard: str | None = None
) -> dict[str, Any]:
    """Run `cases` trials, by default the goal, from the trial `first`, and start none after `seconds`.

    Returns {promise, cases, failures, seconds, tracebacks}.
    """
    reading, writing = os.pipe()
    pid = start_process(lambda: _write(writing, _run(number, cases, first, seconds, guard)), os.dup(2))
    os.close(writing)
    with os.fdopen(reading) as answer:
        result = answer.read()
    code = wait_for(pid)
    assert result, f"the process of promise {number} ended with {code}"
    return json.loads(result)


def _write(descriptor: int, result: dict[str, Any]) -> None:
    with os.fdopen(descriptor, "w") as file:
        json.dump(result, file)


def _run(number: int, cases: int | None, first: int, seconds: float, guard: str | None) -> dict[str, Any]:
    if guard:
        GUARDS[guard]()
    module = importlib.import_module(f"{__package__}.{PROMISES[number]}")
    done, failures, start = 0, [], time.monotonic()
    os.environ.pop("DIGITS_WORKSPACE", None)  # commands use the folder of the trial
    with tempfile.TemporaryDirectory() as temporary:
        tempfile.tempdir = os.environ["TMPDIR"] = temporary
        here = Path(temporary, "here")
        here.mkdir()
        os.chdir(here)
        with module.setup() if hasattr(module, "setup") else nullcontext(module.trial) as trial:
            for case in range(first, first + (cases or module.GOAL)):
                if time.monotonic() - start > seconds:
                    break
                folder = Path(temporary, "trial")
                folder.mkdir()
                os.chdir(folder)
                try:
                    trial(case)
                except Exception:
                    failures.append(f"case {case}: {traceback.format_exc()}")
                    print(failures[-1], file=sys.stderr)
                done += 1
                os.chdir(here)
                shutil.rmtree(folder)
        os.chdir("/")
    took = round(time.monotonic() - start, 1)
    return {
        "promise": number,
        "cases": done,
        "failures": len(failures),
        "seconds": took,
        "tracebacks": failures[:SHOWN],
    }
