"""Calls of the kaggle client, each in a child process with a clean environment and a time limit.

The child runs client_process.py; the client is never imported here. `api` decides which calls are made.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, cast

from digit_recognizer.errors import InputError

COMPETITION = "digit-recognizer"
SITE = f"https://www.kaggle.com/competitions/{COMPETITION}"
SETTINGS = "https://www.kaggle.com/settings"

CHILD = Path(__file__).with_name("client_process.py")  # started by path: it imports nothing of this package
READ_SECONDS = 60.0  # for a call as a whole; the client itself waits for ever
SECONDS = {"download": 1800.0, "submit": 300.0}

# What the child may see. VERBOSE would print the Authorization header; any KAGGLE_* becomes a setting.
ENVIRONMENT = """PATH PYTHONPATH PYTHONHOME LD_LIBRARY_PATH DYLD_LIBRARY_PATH
HOME USERPROFILE HOMEDRIVE HOMEPATH APPDATA LOCALAPPDATA SYSTEMROOT WINDIR TEMP TMP TMPDIR
LANG LANGUAGE LC_ALL LC_CTYPE LC_MESSAGES TZ
SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY
KAGGLE_API_TOKEN KAGGLE_USERNAME KAGGLE_KEY KAGGLE_CONFIG_DIR XDG_CONFIG_HOME KAGGLE_API_ENVIRONMENT"""


@dataclass(frozen=True)
class Answer:
    """The result of a call. Its texts are one line of at most 500 characters, without secrets."""

    value: Any = None
    error: str | None = None  # None, or "http", "network", "client", "late" (killed), "crash"
    status: int | None = None  # of HTTP
    text: str = ""  # Kaggle's own reason
    type: str = ""  # the exception's class
    retry_after: float | None = None  # seconds that Kaggle asks to wait
    creating: bool = False  # the call that makes an entry was begun

    @property
    def refused(self) -> bool:
        """Kaggle refused the request. A 408 is a timeout, not a refusal."""
        return self.error == "http" and 400 <= (self.status or 0) < 500 and self.status != 408

    @property
    def may_pass(self) -> bool:
        """Whether the same call may succeed later."""
        return self.error == "network" or (self.error == "http" and (self.status in (408, 429) or not self.refused))


def require_credentials() -> None:
    """Raise InputError when there is nothing to log in with."""
    if not all_credentials():
        broken = "".join(f" {path} is there, but holds no username and key." for path in unusable_credentials())
        raise InputError(
            f"No Kaggle credentials found.{broken} Make a token at {SETTINGS} and save it as "
            "~/.kaggle/access_token, or set KAGGLE_API_TOKEN."
        )


def call(name: str, on_create: Callable[[], None] = lambda: None, **arguments: Any) -> Answer:
    """Run one of client_process.CALLS in a child process. Raises InputError only when there are no credentials.

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
        is_late = threading.Event()

        def give_up() -> None:
            is_late.set()
            child.kill()

        timer = threading.Timer(seconds, give_up)
        timer.start()
        try:
            messages = _talk(child, order, on_create)
        except BaseException:
            child.kill()
            raise
        finally:
            timer.cancel()
    otherwise = (
        Answer(error="late") if is_late.is_set() else Answer(error="crash", text=f"exit code {child.returncode}")
    )
    return _answer(messages, otherwise)


def _talk(child: subprocess.Popen[bytes], order: dict[str, Any], on_create: Callable[[], None]) -> dict[str, Any]:
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


def reason(answer: Answer) -> str:
    """Why a call failed and how to cure it, on one line."""
    used, *others = all_credentials() or ["nothing"]
    shadowed = f", or remove them and {others[0]} will be used" if others else ""
    if answer.error == "network":
        return f"No connection to Kaggle ({answer.type}): check network, proxy and certificates, then try again."
    if answer.error == "late":
        return "Kaggle did not answer in time: try again later."
    if answer.error != "http":
        detail = answer.text or "its answer was not understood"
        return f"The kaggle client failed ({answer.type or 'crash'}: {detail}). Try again, or reinstall kaggle."
    may_enter = f"accept the rules at {SITE}/rules, verify the account at {SETTINGS}, and check the spelling"
    cures = {
        401: f"the credentials in {used} are wrong or expired: make new ones at {SETTINGS}{shadowed}",
        403: f"{may_enter} of '{COMPETITION}'",
        404: f"{may_enter} of '{COMPETITION}'",
        429: "too many requests: try again in a few minutes",
    }
    other = "correct that and try again" if answer.refused else "try again later, the trouble is Kaggle's own"
    return f"Kaggle answered {answer.status}: {cures.get(answer.status or 0, other)}. {quoted(answer)}".strip()


def quoted(answer: Answer) -> str:
    """Kaggle's own message, empty if it gave none."""
    return f'Kaggle says: "{answer.text}"' if answer.text else ""


def all_credentials() -> list[str]:
    """The names of all credentials on this machine in the client's order, never their values.

    The client uses the first, even when it has expired and the second is valid.
    """
    home = os.path.expanduser("~/.kaggle")
    found = ["KAGGLE_API_TOKEN"] if os.environ.get("KAGGLE_API_TOKEN") else []
    found += [f"~/.kaggle/{name}" for name in ("access_token", "access_token.txt") if _read(home, name).strip()]
    if os.environ.get("KAGGLE_USERNAME") and os.environ.get("KAGGLE_KEY"):
        found.append("KAGGLE_USERNAME and KAGGLE_KEY")
    found += [path for path, is_whole in _key_files() if is_whole]
    if _has(home, "credentials.json", "refresh_token"):
        found.append("~/.kaggle/credentials.json")
    return found


def unusable_credentials() -> list[str]:
    """The files kaggle.json that hold no username and key."""
    return [path for path, is_whole in _key_files() if not is_whole]


def find_credentials() -> str | None:
    """Name the credentials the client would use, or None when there are none."""
    return next(iter(all_credentials()), None)


def _answer(messages: dict[str, Any], otherwise: Answer) -> Answer:
    """The child's messages as an Answer; `otherwise` is the result if its last message is missing."""
    creating = "stage" in messages
    if "ok" in messages:
        return Answer(value=messages["ok"], creating=creating)
    if "error" in messages:
        parts = {key: messages[key] for key in ("error", "status", "text", "type", "retry_after")}
        return Answer(**parts, creating=creating)
    return replace(otherwise, creating=creating)


def _environment(empty: str) -> dict[str, str]:
    """The allowed variables. `empty` replaces a missing configuration folder, which the client would create."""
    allowed = ENVIRONMENT.split()  # names of proxies may be in lower case
    variables = {name: value for name, value in os.environ.items() if name.upper() in allowed}
    if paths := os.environ.get("PYTHONPATH"):  # a relative path could import another kaggle.py
        variables["PYTHONPATH"] = os.pathsep.join(path for path in paths.split(os.pathsep) if os.path.isabs(path))
    if not os.path.isdir(_config_folder()):
        variables["KAGGLE_CONFIG_DIR"] = empty
    return variables


def _config_folder() -> str:
    """Where the client looks for kaggle.json."""
    home = os.path.expanduser("~/.kaggle")
    if os.environ.get("KAGGLE_CONFIG_DIR"):
        return os.environ["KAGGLE_CONFIG_DIR"]
    if sys.platform.startswith("linux") and not os.path.exists(home):
        return os.path.join(os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"), "kaggle")
    return home


def _key_files() -> list[tuple[str, bool]]:
    """Each kaggle.json there is, and whether it holds a username and a key."""
    home, found = os.path.expanduser("~/.kaggle"), []
    for folder in dict.fromkeys((_config_folder(), home)):
        if os.path.isfile(os.path.join(folder, "kaggle.json")):
            place = os.path.join("~/.kaggle" if folder == home else folder, "kaggle.json")
            found.append((place, _has(folder, "kaggle.json", "username", "key")))
    return found


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
