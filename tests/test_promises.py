"""A few trials of each guarantee of docs/reliability.md, and of each guard, which must fail without it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from browser import BROWSER, DRIVER
from promises import PROMISES

HERE = Path(__file__).parent
KEPT = {
    "by Kaggle's client, and of files": [
        "1:6",
        "2:66",
        "5:200:300",  # test_careful has the classes
        "9:12",
    ],
    "in a browser": ["14:27"],
    "of files and processes": ["3:12", "6:6", "7:150", "8:20", "10", "15:10"],
    "of trainings": ["4:1", "11:5", "12:1", "13:1"],
}
BROKEN = {  # and a part of the expected traceback
    "1:8:0:search": "but the ledger has",
    "1:1:1:single_create": "2 entries of one file",
    "1:1:24:unclear_states": "2 entries of one file",
    "2:2:0:gate": "it was not refused",
    "3:8:0:writer": "damaged",
    "5:3:9:reader": "it was not refused",
    "6:4:1:writer": "damaged",
    "11:1:4:finite_check": "it was not refused",
}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the trials fork, kill and read /proc")


def run(module, *words, **variables):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE.parent / "src"), str(HERE)])} | variables
    return subprocess.run(
        [sys.executable, "-m", module, *words], env=environment, capture_output=True, text=True, check=False
    )


def results_of(*runs):
    """The result of each run."""
    done = run("promises", *runs)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [result["run"] for result in found] == list(runs), done.stderr
    return found


def test_all_guarantees_are_tested():
    numbers = [int(run.split(":")[0]) for runs in KEPT.values() for run in runs]
    assert sorted(numbers) == list(PROMISES)


@pytest.mark.slow
@pytest.mark.parametrize("group", KEPT)
def test_guarantees_hold(group):
    if group == "in a browser" and not (BROWSER and DRIVER):
        pytest.skip("no chromium and chromedriver on this machine")
    for result in results_of(*KEPT[group]):
        assert result["cases"] > 0
        assert not result["tracebacks"], f"promise {result['promise']}, {result['tracebacks'][0]}"


def test_uploads_in_any_order_make_one_entry_per_file():
    done = run("promises.uploads", EXAMPLES="10")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_guarantees_fail_without_their_guards():
    for result in results_of(*BROKEN):
        assert any(BROKEN[result["run"]] in traceback for traceback in result["tracebacks"]), result
