"""Ctrl-C, SIGTERM and SIGHUP as exceptions.

The handler raises and sets a flag. Libraries may swallow the exception, as NumPy does while it waits for JAX, or
replace it, as TensorFlow's C code does; in a destructor, Python only prints it. `raise_if_signalled`, called after each
batch, then raises it again.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

_received: int | None = None  # the number of the last signal that was raised


class TerminationSignal(BaseException):
    """Raised on SIGTERM or SIGHUP, sent by spot machines and closing terminals."""


_USUAL: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
_ERRORS: dict[int, type[BaseException]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: TerminationSignal}
if hasattr(signal, "SIGHUP"):  # Windows has none
    _USUAL[signal.SIGHUP] = signal.SIG_DFL
    _ERRORS[signal.SIGHUP] = TerminationSignal


@contextmanager
def handle_signals() -> Iterator[None]:
    """Raise KeyboardInterrupt or TerminationSignal on a signal, at the end of the body and instead of its errors.

    Signals that are ignored or have another handler, and other threads, are not affected. Can be nested.
    """
    global _received
    ours = [number for number, handler in _USUAL.items() if signal.getsignal(number) is handler]
    if threading.current_thread() is not threading.main_thread():
        ours = []
    for number in ours:
        signal.signal(number, _on_signal)
    try:
        yield
        raise_if_signalled()
    except Exception as error:
        if _received:
            raise _ERRORS[_received] from error
        raise
    finally:
        for number in ours:
            signal.signal(number, _USUAL[number])
        if ours:
            _received = None


def raise_if_signalled() -> None:
    """Raise the exception of a received signal again; called before results are written."""
    if _received:
        raise _ERRORS[_received]


def _on_signal(number: int, frame: Any) -> NoReturn:
    global _received
    _received = number
    raise _ERRORS[number]
