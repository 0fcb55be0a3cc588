"""Ctrl-C is raised again when somebody forgot it, as numpy does while it waits for JAX."""

import signal
import threading
from contextlib import suppress

import pytest

from digit_recognizer import interrupts


def forgotten():
    with suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_forgotten_ctrl_c_is_raised_by_the_next_check():
    reached = []

    def job():
        with interrupts.remembered() as check:
            check()
            reached.append("before")
            forgotten()
            check()
            reached.append("after")

    with pytest.raises(KeyboardInterrupt):
        job()
    assert reached == ["before"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_forgotten_ctrl_c_is_raised_at_the_end_without_any_check():
    with pytest.raises(KeyboardInterrupt), interrupts.remembered():
        forgotten()


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
