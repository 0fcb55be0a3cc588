"""The pinned dependencies, and the sockets of commands."""

import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from digit_recognizer import cli
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.training import network  # noqa: F401  # loaded once, for all commands
from finished_runs import make_finished_run, write_data

from .processes import forget_account, start_process, wait_for

PROMISE = "dependencies are pinned by hash, and commands open no socket unless asked to"
CASES = "requirements files, and commands whose sockets are observed"
GOAL = 100

ROOT = Path(__file__).parents[2]
FILES = sorted(ROOT.glob("requirements*.txt"))
RUN = ["run", "--data", "data", "--recipe", "quick", "--epochs", "1"]
COMMANDS = [
    *(["leaderboard"], ["report"], ["show", "last"], ["recipes"], ["doctor"], ["plan"], ["compare", "good", "poor"]),
    *(["score", "submissions/submission.csv", "--answers", "elsewhere/answers.csv"], ["blend", "good", "poor"]),
]
EVENTS = ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
OPENED = 77  # the exit code of a command with one of these events
LISTENING, LOOPBACK = "0A", ("0100007F", "00000000000000000000000001000000")


@contextmanager
def setup() -> Iterator[Callable[[int], None]]:
    forget_account()
    os.environ["HOME"] = os.getcwd()
    workspace = Workspace()
    answers = write_data(workspace)
    for seed, name in enumerate(("good", "poor")):
        make_finished_run(workspace, name, answers, 4 - seed, seed)
    yield partial(trial, Path.cwd())


def trial(original: Path, number: int) -> None:
    if number < len(FILES):
        _check_requirements(FILES[number])
        return
    shutil.copytree(original, Path(), dirs_exist_ok=True)
    _watch(RUN if number % 10 == 9 else COMMANDS[number % len(COMMANDS)])


def _check_requirements(file: Path) -> None:
    """Check that each line has one version of a package and the hashes of its files."""
    entries = re.sub(r"[ \\]+(\n +)?", " ", file.read_text()).splitlines()
    entries = [entry for entry in entries if entry and not entry.startswith("#")]
    assert len(entries) > 30, file
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[^ ;]+( ;[^\\]*?)?( --hash=sha256:[0-9a-f]{64})+$", entry), (
            entry
        )


def _watch(command: list[str]) -> None:
    """Run a command that may open no socket in Python, and observe the sockets of its libraries."""

    def act() -> None:
        sys.addaudithook(lambda event, _: os._exit(OPENED) if event in EVENTS else None)
        cli.main(command)

    pid, seen = start_process(act), set()
    while not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        seen |= _sockets(pid)
        time.sleep(0.005)
    code = wait_for(pid)
    assert code != OPENED, f"{command} opened a socket"
    assert code == 0, f"{command} ended with {code}"
    assert not seen, f"{command} opened {seen}"


def _sockets(pid: int) -> set[tuple[str, str]]:
    """The TCP sockets of a process that listen, or are connected to another machine."""
    try:
        links = [os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd")]
        tables = [Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    except OSError:  # the process has ended
        return set()
    own = {link[8:-1] for link in links if link.startswith("socket:[")}
    rows = [line.split() for table in tables for line in table]
    found = set()
    for row in rows:
        remote, state, inode = row[2], row[3], row[9]
        if inode in own and (state == LISTENING or remote.split(":")[0] not in LOOPBACK):
            found.add((row[1], remote))
    return found
