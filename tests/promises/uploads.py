"""The states of an upload, by a machine of Hypothesis: whatever happens, in any order, one entry at most per file."""

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
from .actors import begun, ended, forked

FILES = {name: submission.render(np.roll(np.arange(sent_once.N_TEST) % 10, shift)) for shift, name in enumerate("abc")}
NAMES = st.sampled_from(sorted(FILES))


class Uploads(RuleBasedStateMachine):
    """Three files, a flaky Kaggle, and processes that send, are killed, and come in pairs."""

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
    def something_goes_wrong_next_time(self, call: str, fault: object) -> None:
        self.kaggle.fail(call, fault, None)

    @rule(n=st.integers(1, 3))
    def the_list_lags(self, n: int) -> None:
        self.kaggle.list_lag = n

    @rule()
    def all_is_well_again(self) -> None:
        self.kaggle.faults.clear()
        self.kaggle.list_lag = 0

    @rule(name=NAMES)
    def send(self, name: str) -> None:
        assert forked(lambda: _send(name)) == 0

    @rule(name=NAMES, after=st.floats(0, 0.6))
    def send_and_be_killed(self, name: str, after: float) -> None:
        assert forked(lambda: _send(name), after=after) in (0, -9)

    @rule(name=NAMES)
    def two_send_at_once(self, name: str) -> None:
        assert list(map(ended, [begun(lambda: _send(name)) for _ in range(2)])) == [0, 0]

    @invariant()
    def one_entry_at_most_and_the_ledger_knows_it_or_says_that_it_does_not(self) -> None:
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
    def send_in_peace(self, name: str) -> None:
        """Then the file has its entry, or it is said that nobody knows."""
        told = ""
        try:
            submit.submit_file(Path(f"{name}.csv"), Workspace())
        except RunError as error:
            told = str(error)
        made = [entry.ref for entry in self.kaggle.entries if entry.data == FILES[name]]
        with Workspace().open_ledger() as ledger:
            known = [row.ref for row in ledger.submissions(_hash(FILES[name])) if row.status == "COMPLETE"]
        assert made == known, f"{made} on Kaggle, {known} in the ledger"
        assert made or "not known" in told, told

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
