"""Uploads while calls fail, answers get lost, processes are killed and others upload the same file."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from random import Random
from time import sleep

import numpy as np
import pandas as pd  # noqa: F401  # loaded once, not in each process

import kaggle_stand_in
from digit_recognizer.competition import api, submit
from digit_recognizer.data import submission
from digit_recognizer.errors import RunError
from digit_recognizer.tracking.workspace import Workspace
from kaggle_csv import kaggle_test, kaggle_train

from .processes import forget_account, run_process, start_process, wait_for
from .warm_client import warm

PROMISE = "never two Kaggle entries for one file, and none missing in the ledger"
CASES = "sequences of faults, kills and second processes"
GOAL = 10_000

N_TEST = 20
CALLS = ("ListSubmissions", "StartSubmissionUpload", "PUT", "GetSubmission", *["CreateSubmission"] * 3)  # by weight
FAULTS = (429, 500, 503, 401, "lost", "500 after", "html")


@contextmanager
def setup() -> Iterator[Callable[[int], None]]:
    with flaky_kaggle(os.getcwd()) as kaggle:
        yield lambda number: trial(number, kaggle)


@contextmanager
def flaky_kaggle(home: str) -> Iterator[kaggle_stand_in.StandIn]:
    """A stand-in for Kaggle with credentials in the environment, a warm client and no pauses."""
    answers = [number % 10 for number in range(N_TEST)]
    with kaggle_stand_in.kaggle_stand_in(answers, allowance=1_000_000) as kaggle:
        forget_account()
        account = {"KAGGLE_USERNAME": kaggle_stand_in.USERNAME, "KAGGLE_KEY": kaggle_stand_in.KEY}
        os.environ |= kaggle.environment | account | {"HOME": home}
        api.LOOKUP_PAUSES = api.RETRY_PAUSES = api.POLL_PAUSES = (0.0, 0.0)
        with warm():
            yield kaggle


def write_data() -> None:
    """Write CSVs with N_TEST rows in test.csv."""
    Path("data").mkdir()
    Path("data/train.csv").write_bytes(kaggle_train(10))
    Path("data/test.csv").write_bytes(kaggle_test(N_TEST))


def trial(number: int, kaggle: kaggle_stand_in.StandIn) -> None:
    random = Random(number)
    kaggle.entries.clear()
    kaggle.requests.clear()
    write_data()
    file = Path("mine.csv")
    file.write_bytes(submission.render(np.array([0, 1, *(random.randrange(10) for _ in range(N_TEST - 2))])))

    def send() -> None:
        with suppress(RunError):
            submit.submit_file(file, Workspace())

    for _ in range(random.randint(1, 3)):
        kaggle.faults.clear()
        for call in random.sample(CALLS, random.randint(0, 3)):
            kaggle.fail(call, *random.choices(FAULTS, k=random.randint(1, 2)), None)
        how = random.choice(("to the end", "killed", "two at once"))
        kaggle.list_lag = random.choice((0, 0, 1, 2))
        if how == "to the end":
            codes = {run_process(send)}
        elif how == "killed":
            codes = {run_process(send, after=random.uniform(0, 0.8))} - {-9}
        else:
            codes = set(map(wait_for, [start_process(send) for _ in range(2)]))
        assert codes <= {0}, f"ended with {codes}"
        assert len(kaggle.entries) <= 1, f"{len(kaggle.entries)} entries of one file"

    kaggle.faults.clear()
    kaggle.list_lag = 0
    sleep(0.05)  # the child process of a killed one may be in its last call
    refused = ""
    try:
        submit.submit_file(file, Workspace())
    except RunError as error:
        refused = str(error)
    with Workspace().open_ledger() as ledger:
        rows = ledger.submissions(sha256(file.read_bytes()).hexdigest())
    assert len(kaggle.entries) <= 1, f"{len(kaggle.entries)} entries of one file"
    if kaggle.entries:
        [entry] = kaggle.entries
        known = [(row.ref, row.status) for row in rows if row.ref is not None]
        assert known == [(entry.ref, "COMPLETE")], f"entry {entry.ref}, but the ledger has {rows}"
        assert not refused or "Kaggle has this file already" in refused, refused
    else:
        assert "not known" in refused, refused
        assert rows[-1].status == "UNKNOWN", rows
