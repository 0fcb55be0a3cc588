"""Ctrl-C, SIGTERM and SIGHUP end a command in order, and are not lost.

They raise at once, wherever the program is. Who is interrupted may forget that, as numpy does while it waits for JAX,
or make another error of it, as C code does within TensorFlow; so it is remembered here, and raised again. Where nothing
can be raised, as in what the garbage collector calls, it is raised a moment later.
"""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NoReturn, cast

_MOMENT = 0.5  # seconds, in which the hook that asks for it has returned
_came: int | None = None  # the number of the last signal that was raised


class Terminated(BaseException):
    """SIGTERM or SIGHUP, by which spot machines and closed terminals tell that they stop; it ends what Ctrl-C ends."""


_USUAL: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
_ERRORS: dict[int, type[BaseException]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}
if hasattr(signal, "SIGHUP"):  # Windows has none
    _USUAL[signal.SIGHUP] = signal.SIG_DFL
    _ERRORS[signal.SIGHUP] = Terminated


@contextmanager
def remembered() -> Iterator[None]:
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
        with _sent_again() if ours else nullcontext():
            yield
        check()
    except Exception as error:
        if _came:
            raise _ERRORS[_came] from error
        raise
    finally:
        for number in ours:
            signal.signal(number, _USUAL[number])
        if ours:
            _came = None


def check() -> None:
    """Raise again what a signal raised, if one came: to be called before anything is kept."""
    if _came:
        raise _ERRORS[_came]


@contextmanager
def _sent_again() -> Iterator[None]:
    """Send a signal once more, a moment after nobody could hear what it raised."""
    hook, timers = sys.unraisablehook, list[threading.Timer]()

    def hear(unheard: Any) -> None:
        if _came and isinstance(unheard.exc_value, _ERRORS[_came]):
            timers.append(threading.Timer(_MOMENT, _send, [_came]))
            timers[-1].start()
        else:
            hook(unheard)

    sys.unraisablehook = hear
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for timer in timers:
            timer.cancel()
            timer.join()  # it may be at it


def _send(number: int) -> None:
    """Send the main thread a signal, which wakes it where the system can do that."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(cast(int, threading.main_thread().ident), number)
    else:
        signal.raise_signal(number)


def _remember(number: int, frame: Any) -> NoReturn:
    global _came
    _came = number
    raise _ERRORS[number]
