"""Rows of the ledger written before their writers, one or two at a time, are killed."""

import json
import os
from pathlib import Path
from random import Random

from digit_recognizer.tracking.workspace import Workspace

from .processes import run_process, start_process, wait_for
from .stub_runs import FACTS

PROMISE = "every committed row of the ledger stays"
CASES = "kills"
GOAL = 1_000


def trial(number: int) -> None:
    random = Random(number)
    Path("submissions").mkdir()
    logs = [os.open(f"log{writer}", os.O_WRONLY | os.O_CREAT | os.O_APPEND) for writer in range(2)]
    other = start_process(lambda: _write(1, logs[1], n=5)) if number % 2 else None
    run_process(lambda: _write(0, logs[0], n=10_000), after=random.uniform(0.01, 0.12))
    if other:
        assert wait_for(other) == 0
    for log in logs:
        os.close(log)
    with Workspace().open_ledger() as ledger:
        runs = {run.name: run for run in ledger.runs()}
        networks = {(name, row.name): row for name, run in runs.items() for row in ledger.networks(run.id)}
        sent = {row.description: row for row in ledger.submissions()}
    for writer in range(2):
        for line in Path(f"log{writer}").read_text().splitlines():
            kind, name, value = json.loads(line)
            if kind == "run":
                assert (runs[name].status, runs[name].correct) == ("done", value), name
            elif kind == "network":
                assert networks[name, "m"].seed == value, name
            else:
                assert sent[name].public_score == value, name


def _write(writer: int, log: int, n: int) -> None:
    """Write runs with their networks and submissions, and log each step when it is done."""

    def log_step(*what: object) -> None:
        os.write(log, (json.dumps(what) + "\n").encode())

    environment = {"versions": {}, "cpu": "", "threads": 1}
    with Workspace().open_ledger() as ledger:
        for number in range(n):
            name = f"{writer}-{number}"
            run = ledger.start_run(name=name, **FACTS, **environment)
            row = {"name": "m", "model": "x", "weights": 1, "train_n": 1, "train_accuracy": 1.0, "train_loss": 0.0}
            ledger.add_network(run, seed=number, seconds=1.0, **row)
            log_step("network", name, number)
            ledger.finish_run(run, "done", n=100, correct=number)
            log_step("run", name, number)
            sent = ledger.begin_submission(hash=name, file="", description=name, status="UPLOADING")
            ledger.update_submission(sent, status="COMPLETE", public_score=number / 100)
            log_step("sent", name, number / 100)
