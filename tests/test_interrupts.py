"""Ctrl-C and SIGTERM are raised again when somebody forgot them, as numpy does while it waits for JAX."""

import signal
import threading
from contextlib import suppress

import pytest

from digit_recognizer import interrupts


def forgotten(number=signal.SIGINT):
    with suppress(KeyboardInterrupt, interrupts.Terminated):
        signal.raise_signal(number)


@pytest.mark.parametrize(
    ("number", "expected"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, interrupts.Terminated)]
)
def test_a_forgotten_signal_is_raised_by_the_next_check(number, expected):
    reached = []

    def job():
        with interrupts.terminable(), interrupts.remembered() as check:
            check()
            reached.append("before")
            forgotten(number)
            check()
            reached.append("after")

    with pytest.raises(expected):
        job()
    assert reached == ["before"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_forgotten_ctrl_c_is_raised_at_the_end_without_any_check():
    with pytest.raises(KeyboardInterrupt), interrupts.remembered():
        forgotten()


def test_sigterm_is_raised_outside_of_a_training_too_and_stays_ignored_where_it_was():
    with pytest.raises(interrupts.Terminated), interrupts.terminable():
        signal.raise_signal(signal.SIGTERM)
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with interrupts.terminable(), interrupts.remembered() as check:
            signal.raise_signal(signal.SIGTERM)
            check()
    finally:
        signal.signal(signal.SIGTERM, before)


def test_another_handler_stays_in_place_and_so_does_another_threads():
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append("theirs"))
    try:
        with interrupts.remembered() as check:
            signal.raise_signal(signal.SIGINT)
            check()
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == ["theirs"]

    def elsewhere():
        with interrupts.remembered() as check:
            check()
        heard.append("elsewhere")

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert heard == ["theirs", "elsewhere"]
