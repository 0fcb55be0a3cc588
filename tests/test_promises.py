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
BROKEN = {  # and what is then told
    "1:8:0:look": "but the ledger has",
    "1:1:1:once": "2 entries of one file",
    "1:1:24:memory": "2 entries of one file",
    "2:2:0:gate": "it was not refused",
    "3:8:0:writer": "damaged",
    "5:3:9:reader": "it was not refused",
    "6:4:1:writer": "damaged",
    "11:1:4:numbers": "it was not refused",
}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the trials fork, kill and look into /proc")


def run(module, *words, **variables):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE.parent / "src"), str(HERE)])} | variables
    return subprocess.run(
        [sys.executable, "-m", module, *words], env=environment, capture_output=True, text=True, check=False
    )


def tried(*runs):
    """What came of each run."""
    done = run("promises", *runs)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [result["run"] for result in found] == list(runs), done.stderr
    return found


def test_all_promises_are_tried():
    numbers = [int(run.split(":")[0]) for runs in KEPT.values() for run in runs]
    assert sorted(numbers) == list(PROMISES)


@pytest.mark.slow
@pytest.mark.parametrize("group", KEPT)
def test_promises_are_kept(group):
    if group == "in a browser" and not (BROWSER and DRIVER):
        pytest.skip("no chromium and chromedriver on this machine")
    for result in tried(*KEPT[group]):
        assert result["cases"] > 0
        assert not result["told"], f"promise {result['promise']}, {result['told'][0]}"


def test_the_states_of_an_upload_in_any_order():
    done = run("promises.uploads", EXAMPLES="10")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_without_its_guard_each_promise_is_broken():
    for result in tried(*BROKEN):
        assert any(BROKEN[result["run"]] in told for told in result["told"]), result
