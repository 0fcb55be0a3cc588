"""Run trials of guarantees and print the result of each run as a line of JSON.

A run is PROMISE[:CASES[:FIRST[:GUARD]]]: `7` runs all cases of the seventh guarantee, `3:1:56` case 56 of the third,
`3:60:40:writer` sixty cases, from case 40 on, with the guard `writer` removed.
"""

import argparse
import json
import os
import sys
import warnings

from .runner import run_trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="time limit of each run, checked before each case"
    )
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks with threads; these only wait
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if len(arguments.runs) > 1:
        from digit_recognizer.training import network  # noqa: F401  # loads Keras once for all runs
    failures = 0
    for run in arguments.runs:
        number, cases, first, guard = [*run.split(":"), *[""] * 4][:4]
        found = run_trials(int(number), int(cases or 0) or None, int(first or 0), arguments.seconds, guard or None)
        print(json.dumps(found | {"run": run}), flush=True)
        failures += found["failures"]
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
