"""Ctrl-C, SIGTERM and SIGHUP end a command in order: a handler that raises, and a flag that `check` raises again.

Libraries may swallow the exception, as numpy does while it waits for JAX, or replace it, as C code does within
TensorFlow. The flag covers both at the next `check`, which follows each batch. An exception raised within a destructor
is only printed by Python; the command then goes on until the next `check`.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

_came: int | None = None  # the number of the last signal that was raised


class TerminationSignal(BaseException):
    """SIGTERM or SIGHUP, by which spot machines and closed terminals tell that they stop; it ends what Ctrl-C ends."""


_USUAL: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
_ERRORS: dict[int, type[BaseException]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: TerminationSignal}
if hasattr(signal, "SIGHUP"):  # Windows has none
    _USUAL[signal.SIGHUP] = signal.SIG_DFL
    _ERRORS[signal.SIGHUP] = TerminationSignal


@contextmanager
def handle_signals() -> Iterator[None]:
    """Raise KeyboardInterrupt or Terminated when a signal comes, again when the body ends, and instead of its errors.

    A signal that has another handler, or is ignored, is left alone, as are all outside the main thread. Within another
    body of the same kind nothing is set anew.
    """
    global _came
    ours = [number for number, handler in _USUAL.items() if signal.getsignal(number) is handler]
    if threading.current_thread() is not threading.main_thread():
        ours = []
    for number in ours:
        signal.signal(number, _remember)
    try:
        yield
        raise_if_signalled()
    except Exception as error:
        if _came:
            raise _ERRORS[_came] from error
        raise
    finally:
        for number in ours:
            signal.signal(number, _USUAL[number])
        if ours:
            _came = None


def raise_if_signalled() -> None:
    """Raise again what a signal raised, if one came: to be called before anything is kept."""
    if _came:
        raise _ERRORS[_came]


def _remember(number: int, frame: Any) -> NoReturn:
    global _came
    _came = number
    raise _ERRORS[number]
