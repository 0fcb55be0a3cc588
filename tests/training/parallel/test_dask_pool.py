"""Networks trained by the workers of a real Dask cluster on this machine, one of which is killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from distributed import Client, Variable, WorkerPlugin

from digit_recognizer.errors import InputError, RunError
from digit_recognizer.training.parallel.dask_pool import connect
from seen_from_outside import ENVIRONMENT, digits, epochs_kept, fingerprints, started, until, went_on

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="kills groups of processes")]
SHARED = ("run", "--data", "sample", "--recipe", "quick", "--folds", "2", "--set", "threads=1", "--epochs", "30")


@contextmanager
def dask(folder, *words):
    """Runs a program of Dask; kills it with its processes at the end."""
    with open(folder / f"{words[0]}.log", "ab") as log:
        command = [sys.executable, "-m", f"distributed.cli.dask_{words[0]}", *words[1:], "--no-dashboard"]
        process = subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, stdout=log, stderr=log, start_new_session=True)
    try:
        yield process
    finally:
        kill(process)


def kill(process):
    """Kill a process and its children."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def listens(port):
    with socket.socket() as end:
        return end.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def scheduler(tmp_path):
    """The address of a scheduler, and its folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path / "dask"
    folder.mkdir()
    with dask(folder, "scheduler", "--host", "127.0.0.1", "--port", str(port)):
        until(lambda: listens(port))
        yield f"tcp://127.0.0.1:{port}", folder


def workers(folder, address, n, *words):
    return [dask(folder, "worker", address, "--nthreads", "1", "--name", str(i), *words) for i in range(n)]


def test_a_cluster_trains_to_the_same_bits_though_a_worker_is_killed(scheduler, tmp_path):
    address, folder = scheduler
    alone, together = tmp_path / "alone", tmp_path / "together"
    for place in (alone, together):
        place.mkdir()
    other = Client(address, set_as_default=False)
    for name in ("digits-killed", f"digits-{other.id}"):
        other.register_plugin(WorkerPlugin(), name=name)
        Variable(f"{name}-try-member", client=other).set(1)
    first, second = workers(folder, address, 2)
    with other, first as victim, second:
        other.wait_for_workers(2, timeout=60)
        with started(together, *SHARED, "--dask-scheduler", address) as process:
            until(lambda: len({network for network, epoch in epochs_kept(together) if epoch > 2}) == 2)
            before = epochs_kept(together)
            kill(victim)
            after = set()
            while process.poll() is None:
                after |= epochs_kept(together)
                time.sleep(0.02)
    assert went_on(before, after)
    assert after - before
    assert process.returncode == 0, (together / "printed").read_text()
    assert digits(alone, *SHARED) == 0
    assert fingerprints(together) == fingerprints(alone)
    assert not list(together.rglob("checkpoint-*.npz"))
    with Client(address) as client:
        plugins, variables = client.run_on_scheduler(
            lambda dask_scheduler: (
                [*dask_scheduler.worker_plugins],
                [*dask_scheduler.extensions["variables"].variables],
            )
        )
    assert [name for name in plugins if name.startswith("digits-")] == [f"digits-{other.id}"]  # a client that was alive
    assert variables == [f"digits-{other.id}-try-member"]


def test_missing_and_invalid_certificates_are_reported(tmp_path):
    (tmp_path / "no.pem").write_text("not a certificate")
    for tls in ({}, dict.fromkeys(("tls_ca_file", "tls_client_cert", "tls_client_key"), str(tmp_path / "no.pem"))):
        with (
            pytest.raises(InputError, match=r"Set them with `tls_ca_file`"),
            connect("tls://host:1", tls, None),
        ):
            pass


def test_a_worker_of_several_threads_is_refused_with_a_remedy(scheduler, tmp_path):
    address, folder = scheduler
    with (
        dask(folder, "worker", address, "--nthreads", "2"),
        started(tmp_path, *SHARED, "--dask-scheduler", address) as process,
    ):
        pass
    assert process.returncode == 2
    assert "Start it with --nthreads 1" in " ".join((tmp_path / "printed").read_text().split())


def test_errors_name_the_commands_that_start_a_scheduler_and_workers(scheduler, tmp_path, monkeypatch):
    monkeypatch.setattr("digit_recognizer.training.parallel.dask_pool._TIMEOUT", 3)
    address, _ = scheduler
    with (
        pytest.raises(RunError, match=rf"it has no worker. Start some: dask worker {address}"),
        connect(address, {}, None),
    ):
        pass
    with (
        pytest.raises(RunError, match=r"no scheduler answers .* dask scheduler"),
        connect("tcp://127.0.0.1:1", {}, None),
    ):
        pass
