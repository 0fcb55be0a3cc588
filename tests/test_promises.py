"""A few cases of each promise of docs/reliability.md, and what becomes of them without the guards that keep them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from browser import BROWSER, DRIVER
from promises import PROMISES

HERE = Path(__file__).parent
CASES = {1: 6, 2: 66, 3: 40, 4: 2, 5: 250, 6: 20, 7: 150, 8: 20, 9: 5, 10: 29, 11: 5, 12: 1, 13: 1, 14: 27, 15: 10}
FIRST = {5: 300}  # after those classes of faults that test_careful has one by one

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the trials fork, kill and look into /proc")


def run(module, *words, **variables):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE.parent / "src"), str(HERE)])} | variables
    command = [sys.executable, "-m", module, *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def trials(number, cases, *words):
    """What came of some cases of a promise."""
    done = run("promises", number, "--cases", cases, *words)
    assert done.stdout, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("number", PROMISES, ids=PROMISES.values())
def test_a_promise_is_kept(number):
    if PROMISES[number] == "inert" and not (BROWSER and DRIVER):
        pytest.skip("no chromium and chromedriver on this machine: hostile texts were not looked at in a browser")
    found = trials(number, CASES[number], "--first", FIRST.get(number, 0))
    assert (found["cases"], found["failures"]) == (CASES[number], 0), "\n".join(found["told"])


def test_the_states_of_an_upload_in_any_order():
    done = run("promises.uploads", EXAMPLES="5")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("guard", "number", "cases"),
    [
        *(("writer", 3, 60), ("writer", 6, 8), ("reader", 5, 10), ("gate", 2, 4)),
        *(("look", 1, 8), ("seals", 7, 90), ("numbers", 11, 1)),
    ],
)
def test_without_its_guard_a_promise_is_broken(guard, number, cases):
    first = {("writer", 3): 40, ("writer", 6): 80, ("numbers", 11): 4}.get((guard, number), 0)
    assert trials(number, cases, "--without", guard, "--first", first)["failures"] > 0
