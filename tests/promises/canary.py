"""Each command that connects to Kaggle, with each kind of credentials; its output and files are searched for them."""

import base64
import itertools
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import kaggle_stand_in
from digit_recognizer import cli
from digit_recognizer.data import submission
from digit_recognizer.tracking.workspace import Workspace
from kaggle_csv import kaggle_test, kaggle_train
from kaggle_stand_in import KEY, SIGNATURE, TOKEN, USERNAME

from .processes import forget_account, run_process
from .stub_runs import COMMAND, digits
from .warm_client import warm

PROMISE = "no credential leaves the process that connects to Kaggle"
CASES = "commands, each with its credentials and its fault"
GOAL = 44

N_TEST = 20
BASIC = base64.b64encode(f"{USERNAME}:{KEY}".encode()).decode()
SECRETS = {"token": [TOKEN], "token file": [TOKEN], "key": [KEY, BASIC], "key file": [KEY, BASIC]}
SUBMIT, DOWNLOAD = ["submit", "mine.csv", "--json"], ["download", "--data", "got"]
FAULTS: list[tuple[list[str], str, Any]] = [  # a command, the call that fails, and how
    (SUBMIT, "", None),
    (SUBMIT, "CreateSubmission", 400),
    (SUBMIT, "ListSubmissions", 401),
    (SUBMIT, "GetSubmission", 403),
    (SUBMIT, "StartSubmissionUpload", "html"),
    (DOWNLOAD, "", None),
    (DOWNLOAD, "DownloadDataFiles", 403),
    (["doctor"], "DownloadDataFile", 500),
    (["plan"], "GetSubmissionLimits", 404),
    (["submit", "mine.csv", "--message", "about it"], "the score", None),
    ([*COMMAND, "--submit"], "CreateSubmission", 400),
]
SCENARIOS = list(itertools.product(FAULTS, SECRETS))


@contextmanager
def setup() -> Iterator[Callable[[int], None]]:
    with kaggle_stand_in.kaggle_stand_in([0] * N_TEST, b"no zip") as kaggle, warm():
        yield partial(trial, kaggle)


def trial(kaggle: kaggle_stand_in.StandIn, number: int) -> None:
    (command, call, fault), credentials = SCENARIOS[number % len(SCENARIOS)]
    kaggle.entries.clear()
    kaggle.requests.clear()
    kaggle.faults.clear()
    home = Path("home").absolute()
    home.mkdir()
    _set_up(kaggle, home, credentials)
    Path("data").mkdir()
    Path("data/train.csv").write_bytes(kaggle_train(100))
    Path("data/test.csv").write_bytes(kaggle_test(N_TEST))
    Path("mine.csv").write_bytes(submission.render(np.arange(N_TEST) % 10))
    with Workspace().open_ledger():  # for `plan`
        pass
    secrets = [*SECRETS[credentials], SIGNATURE]
    echo = f"you sent Authorization: Bearer {secrets[0]} Basic {secrets[-2]} to {kaggle_stand_in.STORE}/x?s={SIGNATURE}"
    if fault:
        kaggle.fail(call, (fault, echo) if isinstance(fault, int) else fault)

    before = kaggle_stand_in.score
    if call == "the score":
        kaggle_stand_in.score = lambda data, answers: ("ERROR", "", echo)
    output = Path("output")
    code = run_process(lambda: digits(command), output=output)
    kaggle_stand_in.score = before
    assert code in (0, 1), output.read_text()
    if "run" in command:
        assert run_process(lambda: cli.main(["report", "last"]), output=Path("report")) == 0, Path("report").read_text()
    assert kaggle.requests, "no request was made"
    if call == "CreateSubmission":
        assert "[hidden]" in output.read_text(), "Kaggle's message was not printed"
    for path in [*Path().rglob("*"), *Path(os.environ["TMPDIR"]).rglob("*")]:
        if path.is_file() and home not in path.absolute().parents:
            content = path.read_bytes()
            found = [secret for secret in secrets if secret.encode() in content]
            assert not found, f"{path} holds {found}"


def _set_up(kaggle: kaggle_stand_in.StandIn, home: Path, credentials: str) -> None:
    """Put these credentials where the client finds them, in an environment in which it would print them."""
    forget_account()
    os.environ |= kaggle.environment | {"HOME": str(home), "VERBOSE": "1", "VERBOSE_OUTPUT": "1"}
    if credentials == "token":
        os.environ["KAGGLE_API_TOKEN"] = TOKEN
    elif credentials == "key":
        os.environ |= {"KAGGLE_USERNAME": USERNAME, "KAGGLE_KEY": KEY}
    else:
        (home / ".kaggle").mkdir()
        account = json.dumps({"username": USERNAME, "key": KEY})
        name, text = ("access_token", TOKEN) if credentials == "token file" else ("kaggle.json", account)
        (home / ".kaggle" / name).write_text(text)
        (home / ".kaggle" / name).chmod(0o600)
