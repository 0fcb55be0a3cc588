"""Ctrl-C, SIGTERM and SIGHUP are raised again when somebody forgot them, as numpy does while it waits for JAX."""

import signal
import threading
from contextlib import suppress

import pytest

from digit_recognizer.utils import signals
from digit_recognizer.utils.signals import TerminationSignal, handle_signals, raise_if_signalled

HANGUP = getattr(signal, "SIGHUP", signal.SIGTERM)  # Windows has none
ALL = pytest.mark.parametrize(
    ("number", "expected"),
    [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, TerminationSignal), (HANGUP, TerminationSignal)],
)


@pytest.fixture(autouse=True)
def _usual_handlers():
    """What a shell's background job ignores is received here."""
    before = {number: signal.signal(number, usual) for number, usual in signals._USUAL.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def raise_and_swallow(number):
    with suppress(KeyboardInterrupt, TerminationSignal):
        signal.raise_signal(number)


@ALL
def test_a_swallowed_signal_is_raised_by_the_next_check(number, expected):
    reached = []

    def job():
        with handle_signals():
            raise_if_signalled()
            reached.append("before")
            raise_and_swallow(number)
            raise_if_signalled()
            reached.append("after")

    with pytest.raises(expected):
        job()
    assert reached == ["before"]
    raise_if_signalled()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.getsignal(HANGUP) is signal.SIG_DFL


@ALL
def test_a_swallowed_signal_is_raised_at_the_end(number, expected):
    with pytest.raises(expected), handle_signals(), handle_signals():
        raise_and_swallow(number)


@ALL
def test_an_error_that_a_signal_caused_is_raised_as_the_signal(number, expected):
    def within():
        with handle_signals():
            raise_and_swallow(number)
            raise SystemError("bad argument to internal function")

    with pytest.raises(expected) as caught, handle_signals():
        within()
    assert isinstance(caught.value.__cause__, SystemError)


def test_other_errors_are_raised_unchanged():
    with pytest.raises(ValueError, match="mine"), handle_signals():
        raise ValueError("mine")


def test_other_handlers_and_threads_are_not_affected():
    received = []
    before = {number: signal.signal(number, lambda *_: received.append("theirs")) for number in signals._USUAL}
    try:
        with handle_signals():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(HANGUP)
            raise_if_signalled()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert received == ["theirs", "theirs", "theirs"]

    def elsewhere():
        with handle_signals():
            raise_if_signalled()
        received.append("elsewhere")

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert received[3:] == ["elsewhere"]
