"""A signal ends the wait, whether it comes before, during or after; nobody's handlers are lost."""

from __future__ import annotations

import os
import signal
import threading
import time

from hanlin.app.alarm import Alarm

LONG_S = 60.0


def test_a_signal_that_came_before_the_wait_ends_it() -> None:
    with Alarm(signal.SIGUSR1, signal.SIGUSR2) as alarm:
        os.kill(os.getpid(), signal.SIGUSR1)
        while not alarm.has_heard(signal.SIGUSR1):
            time.sleep(0.001)
        began_s = time.monotonic()
        alarm.wait(LONG_S)
        assert time.monotonic() - began_s < LONG_S
        assert not alarm.has_heard(signal.SIGUSR2)


def test_a_signal_that_comes_during_the_wait_ends_it() -> None:
    with Alarm(signal.SIGUSR1) as alarm:
        sender = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
        sender.start()
        while not alarm.has_heard(signal.SIGUSR1):
            began_s = time.monotonic()
            alarm.wait(LONG_S)
            assert time.monotonic() - began_s < LONG_S
        sender.join()


def test_without_a_signal_the_wait_ends_by_itself_and_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    with Alarm(signal.SIGUSR1) as alarm:
        alarm.wait(0.001)
        assert not alarm.has_heard(signal.SIGUSR1)
    assert signal.getsignal(signal.SIGUSR1) == before
