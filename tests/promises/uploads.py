"""A Hypothesis state machine of uploads: one entry at most per file, after any events in any order."""

import os
import shutil
import tempfile
import warnings
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import kaggle_stand_in
from digit_recognizer.competition import submit
from digit_recognizer.data import submission
from digit_recognizer.errors import RunError
from digit_recognizer.tracking.workspace import Workspace

from . import sent_once
from .processes import run_process, start_process, wait_for

FILES = {name: submission.render(np.roll(np.arange(sent_once.N_TEST) % 10, shift)) for shift, name in enumerate("abc")}
NAMES = st.sampled_from(sorted(FILES))


class Uploads(RuleBasedStateMachine):
    """Three files, a flaky Kaggle, and processes that upload, alone or in pairs, and are killed."""

    kaggle: kaggle_stand_in.StandIn

    @initialize()
    def begin(self) -> None:
        os.chdir("/")
        self.folder = Path(tempfile.mkdtemp())
        os.chdir(self.folder)
        sent_once.write_data()
        for name, content in FILES.items():
            Path(f"{name}.csv").write_bytes(content)
        self.kaggle.entries.clear()
        self.kaggle.list_lag = 0
        self.kaggle.faults.clear()

    @rule(call=st.sampled_from(sent_once.CALLS), fault=st.sampled_from((429, 500, "500 after", "lost", "html")))
    def next_call_fails(self, call: str, fault: object) -> None:
        self.kaggle.fail(call, fault, None)

    @rule(n=st.integers(1, 3))
    def the_list_lags(self, n: int) -> None:
        self.kaggle.list_lag = n

    @rule()
    def faults_end(self) -> None:
        self.kaggle.faults.clear()
        self.kaggle.list_lag = 0

    @rule(name=NAMES)
    def send(self, name: str) -> None:
        assert run_process(lambda: _send(name)) == 0

    @rule(name=NAMES, after=st.floats(0, 0.6))
    def send_and_kill(self, name: str, after: float) -> None:
        assert run_process(lambda: _send(name), after=after) in (0, -9)

    @rule(name=NAMES)
    def two_send_at_once(self, name: str) -> None:
        assert list(map(wait_for, [start_process(lambda: _send(name)) for _ in range(2)])) == [0, 0]

    @invariant()
    def each_file_has_one_entry_at_most_and_the_ledger_has_it_or_is_unclear(self) -> None:
        if not hasattr(self, "folder"):
            return
        made = [entry.data for entry in self.kaggle.entries]
        assert len(made) == len(set(made)), "two entries of one file"
        with Workspace().open_ledger() as ledger:
            rows = ledger.submissions()
        for entry in self.kaggle.entries:
            own = [row for row in rows if row.hash == _hash(entry.data)]
            assert any(row.ref == entry.ref or row.status in ("CREATING", "UNKNOWN") for row in own), own

    @precondition(lambda self: not self.kaggle.faults and not self.kaggle.list_lag)
    @rule(name=NAMES)
    def send_without_faults(self, name: str) -> None:
        """The file has its entry, or the outcome is reported as not known."""
        message = ""
        try:
            submit.submit_file(Path(f"{name}.csv"), Workspace())
        except RunError as error:
            message = str(error)
        made = [entry.ref for entry in self.kaggle.entries if entry.data == FILES[name]]
        with Workspace().open_ledger() as ledger:
            known = [row.ref for row in ledger.submissions(_hash(FILES[name])) if row.status == "COMPLETE"]
        assert made == known, f"{made} on Kaggle, {known} in the ledger"
        assert made or "not known" in message, message

    def teardown(self) -> None:
        os.chdir("/")
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)


def _send(name: str) -> None:
    with suppress(RunError):
        submit.submit_file(Path(f"{name}.csv"), Workspace())


def _hash(data: bytes) -> str:
    return sha256(data).hexdigest()


def main() -> None:
    warnings.simplefilter("ignore", DeprecationWarning)
    with tempfile.TemporaryDirectory() as home, sent_once.flaky_kaggle(home) as Uploads.kaggle:
        checks = settings(
            max_examples=int(os.environ.get("EXAMPLES", "5")),
            stateful_step_count=8,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        run_state_machine_as_test(Uploads, settings=checks)


if __name__ == "__main__":
    main()
