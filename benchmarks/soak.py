"""Soak test: run as many cases of each guarantee as fit into the time, and write the table of docs/reliability.md.

    python benchmarks/soak.py --minutes 60

Two guarantees are tested at a time. Cheap ones come first, and the time they leave is distributed to the others.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
from typing import Any

from figures import DOCS, ROOT, machine, today, write_between

sys.path.insert(0, str(ROOT / "tests"))

from promises import PROMISES

N_AT_ONCE = 2
ORDER = (10, 9, 7, 6, 15, 2, 5, 8, 3, 14, 11, 12, 4, 13, 1)  # cheap ones first
HANGS = 900  # seconds of grace after which a guarantee counts as hung
AUDIT = ["-m", "pip_audit", "--require-hashes", "--disable-pip", "-r", str(ROOT / "requirements.txt")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, required=True, help="approximate duration")
    parser.add_argument(
        "--only", type=int, nargs="+", choices=PROMISES, help="test only these guarantees and write nothing"
    )
    arguments = parser.parse_args()
    chosen = [number for number in ORDER if number in (arguments.only or PROMISES)]
    found = soak(list(chosen), 60 * arguments.minutes)
    for number in sorted(found):
        for traceback in found[number]["tracebacks"]:
            print(f"\npromise {number}, {traceback}", file=sys.stderr)
    print(table(found))
    if not arguments.only:
        write_between(DOCS / "reliability.md", "soak", f"{table(found)}\n\n{audit()}\n\n{machine()}; {today()}.")
    sys.exit(found.keys() != set(chosen) or any(result["failures"] for result in found.values()))


def soak(waiting: list[int], seconds: float) -> dict[int, dict[str, Any]]:
    """Results by guarantee. Each gets an equal share of the time left when it starts."""
    end, lock, found = time.monotonic() + seconds, threading.Lock(), {}

    def work() -> None:
        while True:
            with lock:
                if not waiting:
                    return
                share = (end - time.monotonic()) * N_AT_ONCE / max(len(waiting), N_AT_ONCE)
                number = waiting.pop(0)
            found[number] = trials(number, max(share, 1.0))
            print(
                f"{PROMISES[number]}: {found[number]['cases']:,} cases, {found[number]['failures']} failures",
                flush=True,
            )

    workers = [threading.Thread(target=work) for _ in range(N_AT_ONCE)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return found


def trials(number: int, seconds: float) -> dict[str, Any]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])}
    command = [sys.executable, "-m", "promises", str(number), "--seconds", str(seconds)]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=seconds + HANGS
        )
        return json.loads(done.stdout.splitlines()[-1])
    except (subprocess.TimeoutExpired, IndexError, ValueError) as error:
        return {"cases": 0, "failures": 1, "seconds": 0.0, "tracebacks": [f"could not be run: {error!r}"]}


def table(found: dict[int, dict[str, Any]]) -> str:
    lines = ["| guarantee | what a case is | cases | goal | failures | minutes |\n|---|---|---:|---:|---:|---:|"]
    for number in sorted(found):
        module, result = importlib.import_module(f"promises.{PROMISES[number]}"), found[number]
        counts = f"{result['cases']:,} | {module.GOAL:,} | {result['failures']} | {result['seconds'] / 60:.1f}"
        lines.append(f"| {number}. {module.PROMISE} | {module.CASES} | {counts} |")
    return "\n".join(lines)


def audit() -> str:
    """The last line of pip-audit's output for the pinned versions, or why there is none."""
    command = " ".join(["python", *AUDIT[:-1], "requirements.txt"])
    if not importlib.util.find_spec("pip_audit"):
        return f"Known vulnerabilities of the pinned versions: not looked up, pip-audit is not installed (`{command}`)."
    done = subprocess.run([sys.executable, *AUDIT], capture_output=True, text=True, check=False)
    last = (done.stdout.strip() or done.stderr.strip()).splitlines()[-1]
    return f"Known vulnerabilities of the pinned versions, by `{command}`: {last}"


if __name__ == "__main__":
    main()
