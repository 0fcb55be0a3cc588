"""Try cases of promises, and print what came of each as a line of JSON.

A run is told as PROMISE[:CASES[:FIRST[:GUARD]]]: `7` tries as many cases of the seventh promise as its goal says,
`3:1:56` the 56th of the third, `3:60:40:writer` sixty without the guard of that name.
"""

import argparse
import json
import os
import sys
import warnings

from .trying import tried


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="of each run; begin no case after so many")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks beside threads; ours only wait
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if len(arguments.runs) > 1:
        from digit_recognizer.training import network  # noqa: F401  # Keras is loaded once, for all runs
    failures = 0
    for run in arguments.runs:
        number, cases, first, guard = [*run.split(":"), *[""] * 4][:4]
        found = tried(int(number), int(cases or 0) or None, int(first or 0), arguments.seconds, guard or None)
        print(json.dumps(found | {"run": run}), flush=True)
        failures += found["failures"]
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
