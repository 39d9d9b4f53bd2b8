"""A server that all processes which tests start are forked from, so that they start at once."""

import multiprocessing
import signal
import sys
import types
from multiprocessing import forkserver

import pytest

from bench.execution import processes
from tests.bench.execution import tricks

LATE = (
    "bench.cli.run",
    "bench.execution.prepare",
    "bench.execution.run_experiment",
)  # what a run imports late


@pytest.fixture(scope="session", autouse=True)
def _hangups_end_processes():
    """Let SIGHUP do what it usually does, also where `nohup` has started the tests."""
    if not hasattr(signal, "SIGHUP"):
        yield
        return
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(scope="session")
def start():
    """Return a function that runs a function of ``tricks`` in a process of its own, in a folder.

    In the workers that it starts measuring is ``tricks.measure`` too.
    """
    started = []

    def start(target, folder, *arguments):
        server = forkserver._forkserver._forkserver_address
        process = multiprocessing.get_context("forkserver").Process(
            target=target, args=(str(folder), server, *arguments)
        )
        process.start()
        started.append(process)
        return process

    with pytest.MonkeyPatch.context() as patch:
        forkserver._forkserver._stop()
        patch.setattr(processes, "PRELOADED", [*processes.PRELOADED, tricks.__name__, *LATE])
        patch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))  # not pytest's
        forkserver.set_forkserver_preload(processes.PRELOADED)
        forkserver.ensure_running()
        yield start
        for process in started:
            process.kill()
        forkserver._forkserver._stop()
