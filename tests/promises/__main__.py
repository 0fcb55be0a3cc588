"""Run cases of one promise, and print what came of them as JSON."""

import argparse
import importlib
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

from . import PROMISES
from .broken import GUARDS

SHOWN = 3  # failures told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("promise", type=int, choices=PROMISES)
    parser.add_argument("--cases", type=int, help="how many; the goal by default")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin none after so many")
    parser.add_argument("--without", choices=GUARDS, help="take this guard away first")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks beside threads; ours only wait
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    module = importlib.import_module(f"{__package__}.{PROMISES[arguments.promise]}")
    if arguments.without:
        GUARDS[arguments.without]()
    numbers = range(arguments.first, arguments.first + (arguments.cases or module.GOAL))
    done, failures, start = 0, [], time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        tempfile.tempdir = os.environ["TMPDIR"] = temporary
        here = Path(temporary, "here")
        here.mkdir()
        os.chdir(here)
        with module.opened() as trial:
            for number in numbers:
                if time.monotonic() - start > arguments.seconds:
                    break
                folder = Path(temporary, "trial")
                folder.mkdir()
                os.chdir(folder)
                try:
                    trial(number)
                except Exception:
                    failures.append(f"case {number}: {traceback.format_exc()}")
                    print(failures[-1], file=sys.stderr)
                done += 1
                os.chdir(here)
                shutil.rmtree(folder)
            os.chdir("/")
    result = {"promise": arguments.promise, "cases": done, "failures": len(failures)}
    print(json.dumps(result | {"seconds": round(time.monotonic() - start, 1), "told": failures[:SHOWN]}))
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
