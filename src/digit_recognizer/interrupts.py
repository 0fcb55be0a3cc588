"""Ctrl-C and SIGTERM end a command in order, and are not lost: numpy forgets what is raised while it waits for JAX."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn


class Terminated(BaseException):
    """SIGTERM, by which notebooks and spot machines tell that they stop; it ends whatever Ctrl-C ends."""


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM raise Terminated while the body runs, as Ctrl-C raises KeyboardInterrupt.

    Does nothing where SIGTERM has a handler or is ignored, and outside the main thread, where none can be set.
    """
    if not _in_main_thread() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def remembered() -> Iterator[Callable[[], None]]:
    """Yield a check that raises again what a signal raised meanwhile; the end of the body checks, too.

    Does nothing for a signal that has another handler, and outside the main thread.
    """
    raised: type[BaseException] | None = None

    def remember(number: int, frame: Any) -> NoReturn:
        nonlocal raised
        raised = Terminated if number == signal.SIGTERM else KeyboardInterrupt
        raise raised

    def check() -> None:
        if raised:
            raise raised

    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: _terminate}
    ours = {number: handler for number, handler in usual.items() if signal.getsignal(number) is handler}
    if not _in_main_thread():
        ours = {}
    for number in ours:
        signal.signal(number, remember)
    try:
        yield check
        check()
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)


def _terminate(number: int, frame: Any) -> NoReturn:
    raise Terminated


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
