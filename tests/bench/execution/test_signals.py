"""What asks a run to stop, and what stops it at once."""

import multiprocessing
import os
import signal

import pytest

from bench.execution import processes, signals

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP here")


def send(*numbers):
    for number in numbers:
        os.kill(os.getpid(), number)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_the_first_signal_asks_to_stop(name):
    number, told = getattr(signal, name), []
    before = signal.getsignal(number)
    with signals.on_signals(told.append) as stop:
        assert not stop()
        send(number)
        assert stop()
    assert told == [f"{name}: stopping at the end of the epoch; again: at once"]
    assert signal.getsignal(number) == before


def test_the_second_stops_at_once_but_for_a_hangup_which_shells_pass_on():
    with signals.on_signals(lambda line: None) as stop:
        send(signal.SIGHUP, signal.SIGHUP)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGTERM)


def test_under_nohup_a_hangup_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.on_signals(pytest.fail) as stop:
            send(signal.SIGHUP)
            assert not stop()
    finally:
        signal.signal(signal.SIGHUP, before)


def _be_signalled(stop):
    send(signal.SIGHUP, signal.SIGINT, signal.SIGINT)
    os._exit(0 if not stop() else 1)


def test_loader_processes_leave_it_to_the_run():
    with signals.on_signals(pytest.fail) as stop:
        process = multiprocessing.get_context("fork").Process(target=_be_signalled, args=(stop,))
        process.start()
        process.join(60)
    assert process.exitcode == 0


def test_what_starts_workers_is_deaf_to_the_terminal():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)]
    with processes._no_interrupt():
        send(signal.SIGINT, signal.SIGHUP)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)] == before
