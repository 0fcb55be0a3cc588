"""The child process of `competition.client`, forked from a process that has loaded the client's dependencies.

It runs all of `client_process` with the real client, in a tenth of the time.
"""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import NoReturn

from digit_recognizer.competition import client, client_process

from .processes import forget_account

STUB = """
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [json.dumps(dict(os.environ)).encode()], [0, 1])
    os.close(0)
    os.close(1)
    server.recv(1)
"""


@contextmanager
def warm() -> Iterator[None]:
    """Fork the child processes of the client within the context."""
    with tempfile.TemporaryDirectory() as folder:
        address = f"{folder}/socket"
        stub = Path(folder, "stub.py")
        stub.write_text(STUB.format(address=address))
        cold = client.CHILD
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(address)
            server.listen(16)
            code = f"from promises.warm_client import serve; serve({server.fileno()})"
            places = {"PYTHONPATH": os.pathsep.join(sys.path)}
            process = subprocess.Popen(
                [sys.executable, "-c", code], env=os.environ | places, pass_fds=[server.fileno()]
            )
        try:
            client.CHILD = stub
            yield
        finally:
            client.CHILD = cold
            process.kill()
            process.wait()


def serve(descriptor: int) -> NoReturn:
    """Fork a child process for each stub that connects to the socket `descriptor`."""
    server = socket.socket(fileno=descriptor)
    forget_account()
    with suppress(SystemExit), redirect_stdout(io.StringIO()):
        import kaggle  # noqa: F401  # for its dependencies; without credentials it makes no request
    for name in [name for name in sys.modules if name.partition(".")[0] == "kaggle"]:
        del sys.modules[name]  # each child process imports it again, in its own environment
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        connection, _ = server.accept()
        if os.fork() == 0:
            _answer(connection)
        connection.close()


def _answer(connection: socket.socket) -> None:
    environment, (order, answers), *_ = socket.recv_fds(connection, 1_000_000, 2)
    os.environ.clear()
    os.environ.update(json.loads(environment))
    os.dup2(order, 0)
    os.dup2(answers, 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    os.closerange(3, connection.fileno())
    os.closerange(connection.fileno() + 1, 256)
    sys.stdin, sys.stdout = open(0), open(1, "w")  # noqa: SIM115
    threading.Thread(target=_die_with, args=(connection,), daemon=True).start()
    try:
        client_process.main()
    finally:
        os._exit(0)


def _die_with(connection: socket.socket) -> None:
    connection.recv(1)  # the stub was killed
    os._exit(9)
