"""Networks trained side by side by processes of this machine, some of which are killed."""

import os
import signal
import sys
from concurrent.futures import BrokenExecutor, Future
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from digit_recognizer.data.dataset import read_dataset
from digit_recognizer.data.sources import sample_source
from digit_recognizer.errors import RunError
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.training.parallel import process_pool, worker
from digit_recognizer.utils import environment
from seen_from_outside import children_of, digits, epochs_kept, fingerprints, started, until, went_on

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")]
SPACE = """
base = "quick"
epochs = 1
folds = 2
threads = 1
[space]
shift = { low = 0, high = 2 }
"""
SHARED = ("run", "--data", "sample", "--recipe", "quick", "--folds", "2", "--set", "threads=1", "--epochs", "4")


def test_a_run_that_is_stopped_and_loses_a_worker_ends_with_the_bits_of_one_process(tmp_path):
    with started(tmp_path, *SHARED, "--workers", "2", KAGGLE_API_TOKEN="no-worker-knows") as process:
        until(lambda: epochs_kept(tmp_path))
        children = children_of(process.pid)
        assert b"no-worker-knows" in Path("/proc", str(process.pid), "environ").read_bytes()
        assert not any(b"no-worker-knows" in Path("/proc", str(child), "environ").read_bytes() for child in children)
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 143, (tmp_path / "printed").read_text()
    assert len(children) == 2
    assert not any(Path("/proc", str(child)).exists() for child in children)
    before = epochs_kept(tmp_path)
    with started(tmp_path, "run", "--resume", "last", "--workers", "2") as process:
        until(lambda: children_of(process.pid))
        os.kill(children_of(process.pid)[0], signal.SIGKILL)  # before it has read anything
        until(lambda: epochs_kept(tmp_path) - before)
        after = epochs_kept(tmp_path)
        os.kill(children_of(process.pid)[0], signal.SIGKILL)
        assert process.poll() is None
    assert process.returncode == 0, (tmp_path / "printed").read_text()
    assert not epochs_kept(tmp_path)
    assert went_on(before, after)
    alone = tmp_path / "alone"
    alone.mkdir()
    assert digits(alone, *SHARED) == 0
    assert fingerprints(tmp_path) == fingerprints(alone)


def test_a_sweep_trains_the_folds_of_a_trial_side_by_side_to_the_same_results(tmp_path):
    def accuracies(name, *words):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "space.toml").write_text(SPACE)
        assert digits(folder, "sweep", "space.toml", "--trials", "2", "--data", "sample", *words) == 0
        with Workspace(folder).existing_ledger() as ledger:
            return [(run.recipe_fields, run.correct, run.loss) for run in ledger.runs()]

    assert accuracies("alone") == accuracies("together", "--workers", "2")


@pytest.mark.parametrize("busy", [False, True])
def test_workers_end_when_their_parent_is_killed(tmp_path, busy):
    with started(tmp_path, *SHARED, "--workers", "2") as process:
        until(lambda: any(tmp_path.rglob("checkpoint-*.npz")) if busy else children_of(process.pid))
        children = children_of(process.pid)
        process.kill()
    until(lambda: not any(Path("/proc", str(child)).exists() for child in children))


class Dying:
    """A pool whose processes die `n` times; before that, each try may leave a checkpoint."""

    deaths = (BrokenExecutor,)

    def __init__(self, n, leaves=False):
        self.n, self.leaves, self.tries = n, leaves, 0

    @contextmanager
    def executor(self):
        self.tries += 1
        yield None

    def submit(self, executor, task, folder):
        future = Future()
        if self.tries <= self.n:
            if self.leaves:
                (folder / f"checkpoint-{self.tries}.npz").touch()
            future.set_exception(BrokenExecutor())
        else:
            future.set_result(task)
        return future

    def fetch_checkpoints(self, names):
        pass

    def location(self, threads):
        self.tries += 1
        if self.tries <= self.n:
            raise BrokenExecutor
        return {"device": "cpu"}


def test_dead_processes_are_replaced_up_to_a_limit(tmp_path):
    found = {}
    process_pool.train_in_pool(Dying(2), {"one": (1, tmp_path)}, found.__setitem__)
    assert found == {"one": 1}
    with pytest.raises(RunError, match=r"exited 3 times before one had finished an epoch .*use fewer workers"):
        process_pool.train_in_pool(Dying(3), {"one": (1, tmp_path)}, found.__setitem__)
    assert process_pool.location(Dying(2), 1) == {"device": "cpu"}
    with pytest.raises(RunError, match="exit at start-up"):
        process_pool.location(Dying(3), 1)
    process_pool.train_in_pool(Dying(9, leaves=True), {"one": (2, tmp_path)}, found.__setitem__)
    assert found == {"one": 2}


def test_a_process_uses_the_threads_of_the_recipe(tmp_path):
    def threads():
        from tensorflow import config

        return config.threading.get_intra_op_parallelism_threads()

    data = read_dataset(sample_source(tmp_path))
    with (
        closing(process_pool.ProcessPool(1, worker.WorkerSetup(data.train, data.test))) as pool,
        pool.executor() as executor,
    ):
        assert pool.location(1) == {"device": "cpu", "cpu": environment.cpu()}
        assert executor.submit(threads).result() == 1
