"""Calls of the kaggle client, each in a child process with a clean environment and a time limit.

The child process runs client_process.py; the client is never imported here.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from digit_recognizer.errors import InputError, RunError

COMPETITION = "digit-recognizer"
SITE = f"https://www.kaggle.com/competitions/{COMPETITION}"
SETTINGS = "https://www.kaggle.com/settings"

CHILD = Path(__file__).with_name("client_process.py")  # runs as a script: it imports nothing of this package
READ_SECONDS = 60.0  # for a whole call; the client itself has no time-out
SECONDS = {"download": 1800.0, "submit": 300.0}

# The variables that the child gets. VERBOSE would print the Authorization header; any KAGGLE_* becomes a setting.
ENVIRONMENT = """PATH PYTHONPATH PYTHONHOME LD_LIBRARY_PATH DYLD_LIBRARY_PATH
HOME USERPROFILE HOMEDRIVE HOMEPATH APPDATA LOCALAPPDATA SYSTEMROOT WINDIR TEMP TMP TMPDIR
LANG LANGUAGE LC_ALL LC_CTYPE LC_MESSAGES TZ
SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY
KAGGLE_API_TOKEN KAGGLE_USERNAME KAGGLE_KEY KAGGLE_CONFIG_DIR XDG_CONFIG_HOME KAGGLE_API_ENVIRONMENT"""


@dataclass(frozen=True)
class Answer:
    """The result of a call. Its texts are single lines of at most 500 characters, without secrets."""

    value: Any = None
    error: str | None = None  # None, or "http", "network", "client", "late" (killed), or "crash"
    status: int | None = None  # of HTTP
    text: str = ""  # Kaggle's own reason
    type: str = ""  # the exception's class
    retry_after: float | None = None  # seconds that Kaggle asks to wait
    creating: bool = False  # the call that creates an entry was started

    @property
    def refused(self) -> bool:
        """Whether Kaggle refused the request. A 408 is a time-out, not a refusal."""
        return self.error == "http" and 400 <= (self.status or 0) < 500 and self.status != 408

    @property
    def is_temporary(self) -> bool:
        """Whether the same call may succeed later."""
        return self.error == "network" or (self.error == "http" and (self.status in (408, 429) or not self.refused))


def require_credentials() -> None:
    """Raise InputError when there are no credentials."""
    if not find_credentials():
        raise InputError(
            f"No Kaggle credentials found. Create a token at {SETTINGS} and save it as ~/.kaggle/access_token, "
            "or set KAGGLE_API_TOKEN."
        )


def call(name: str, on_create: Callable[[], None] = lambda: None, **arguments: Any) -> Answer:
    """Run one of client_process.CALLS in a child process. Raises InputError when there are no credentials.

    `on_create` is called just before an entry is created. When it raises, no entry is created.
    """
    require_credentials()
    seconds = SECONDS.get(name, READ_SECONDS)
    order = {"call": name, "seconds": seconds, **arguments}
    with (
        tempfile.TemporaryDirectory() as empty,
        subprocess.Popen(
            [sys.executable, "-P", str(CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(empty),
        ) as child,
    ):
        timer = threading.Timer(seconds, child.kill)
        end = time.monotonic() + seconds
        timer.start()
        try:
            messages = _exchange(child, order, on_create)
        except BaseException:
            child.kill()
            raise
        finally:
            timer.cancel()
    creating = messages.pop("stage", None) is not None
    if "ok" in messages:
        return Answer(messages["ok"], creating=creating)
    if "error" in messages:
        return Answer(**messages, creating=creating)
    if time.monotonic() >= end:
        return Answer(error="late", creating=creating)
    return Answer(error="crash", text=f"exit code {child.returncode}", creating=creating)


def _exchange(child: subprocess.Popen[bytes], order: dict[str, Any], on_create: Callable[[], None]) -> dict[str, Any]:
    """Send the order, and "go" before an entry is created. Returns the child's lines merged into one record."""
    messages: dict[str, Any] = {}
    orders, answers = cast(IO[bytes], child.stdin), cast(IO[bytes], child.stdout)

    def send(line: bytes) -> None:
        with suppress(BrokenPipeError):  # the child has ended
            orders.write(line + b"\n")
            orders.flush()

    try:
        send(json.dumps(order).encode())
        for line in answers:
            try:
                messages |= json.loads(line)
            except ValueError:  # cut off when the child was killed
                break
            if messages.keys() == {"stage"}:
                on_create()
                send(b"go")
    finally:
        with suppress(BrokenPipeError):  # close flushes
            orders.close()
    return messages


def value(answer: Answer) -> Any:
    """Return the value of an answer. Raises RunError with the reason when the call failed."""
    if answer.error:
        raise RunError(reason(answer))
    return answer.value


def reason(answer: Answer) -> str:
    """Why a call failed and what to do about it, on one line."""
    used, *others = find_credentials() or ["~/.kaggle"]
    shadowed = f", or remove them and {others[0]} will be used" if others else ""
    if answer.error == "network":
        return f"No connection to Kaggle ({answer.type}): check network, proxy and certificates, then try again."
    if answer.error == "late":
        return "Kaggle did not answer in time: try again later."
    if answer.error != "http":
        detail = answer.text or "the answer is not valid"
        return f"The kaggle client failed ({answer.type or 'crash'}: {detail}). Try again, or reinstall kaggle."
    may_enter = f"accept the rules at {SITE}/rules, verify the account at {SETTINGS}, and check the spelling"
    remedies = {
        401: f"the credentials in {used} are wrong or expired: create new ones at {SETTINGS}{shadowed}",
        403: f"{may_enter} of '{COMPETITION}'",
        404: f"{may_enter} of '{COMPETITION}'",
        429: "too many requests: try again in a few minutes",
    }
    other = "correct that and try again" if answer.refused else "a fault of Kaggle's servers: try again later"
    return f"Kaggle answered {answer.status}: {remedies.get(answer.status or 0, other)}. {quoted(answer)}".strip()


def quoted(answer: Answer) -> str:
    """Kaggle's message in quotation marks, empty if there is none."""
    return f'Kaggle\'s message: "{answer.text}"' if answer.text else ""


def find_credentials() -> list[str]:
    """The names of all credentials on this machine in the client's order, never their values.

    The client uses the first, even when it has expired and the second is valid.
    """
    home, config = os.path.expanduser("~/.kaggle"), _config_folder()
    found = ["KAGGLE_API_TOKEN"] if os.environ.get("KAGGLE_API_TOKEN") else []
    found += [f"~/.kaggle/{name}" for name in ("access_token", "access_token.txt") if _read(home, name).strip()]
    if os.environ.get("KAGGLE_USERNAME") and os.environ.get("KAGGLE_KEY"):
        found.append("KAGGLE_USERNAME and KAGGLE_KEY")
    if _has(config, "kaggle.json", "username", "key"):
        found.append("~/.kaggle/kaggle.json" if config == home else os.path.join(config, "kaggle.json"))
    if _has(home, "credentials.json", "refresh_token"):
        found.append("~/.kaggle/credentials.json")
    return found


def _environment(empty: str) -> dict[str, str]:
    """The allowed variables. `empty` replaces a missing configuration folder, which the client would create."""
    allowed = ENVIRONMENT.split()  # of which proxies may be in lower case
    variables = {name: value for name, value in os.environ.items() if name.upper() in allowed}
    if paths := os.environ.get("PYTHONPATH"):  # a relative path could import another kaggle.py
        variables["PYTHONPATH"] = os.pathsep.join(path for path in paths.split(os.pathsep) if os.path.isabs(path))
    if not os.path.isdir(_config_folder()):
        variables["KAGGLE_CONFIG_DIR"] = empty
    return variables


def _config_folder() -> str:
    """The folder in which the client looks for kaggle.json."""
    home = os.path.expanduser("~/.kaggle")
    if os.environ.get("KAGGLE_CONFIG_DIR"):
        return os.environ["KAGGLE_CONFIG_DIR"]
    if sys.platform.startswith("linux") and not os.path.exists(home):
        return os.path.join(os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"), "kaggle")
    return home


def _has(folder: str, name: str, *keys: str) -> bool:
    try:
        values = json.loads(_read(folder, name))
    except ValueError:
        return False
    return isinstance(values, dict) and all(values.get(key) for key in keys)


def _read(folder: str, name: str) -> str:
    try:
        return Path(folder, name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
