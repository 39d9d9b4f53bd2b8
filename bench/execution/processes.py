"""How a process is started that did nothing before: on Linux in a fraction of a second.

There processes are forked from a server that has imported what measuring needs and has done
nothing else: no thread of torch or OpenCV runs in it, and no GPU is in use. Elsewhere forking after
such imports is not safe, and every process starts from nothing. This module does not import torch.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from bench.measurements import MEASUREMENTS

# torch's optimisers import its compiler, which takes as long as the rest of it.
PRELOADED = [
    "bench.execution.workers",
    *(one.module for one in MEASUREMENTS.values()),
    "torch._dynamo",
]
LINUX = sys.platform == "linux"


def start_server() -> None:
    """Let the server of processes begin to import, while this process does something else."""
    if LINUX:
        with _without_script(), _no_interrupt():
            _ensure_server()


def start_process(target: Callable[[Connection], None], pipe: Connection) -> BaseProcess:
    """Start a process that is deaf to Ctrl-C and SIGHUP, which this process acts upon."""
    context = multiprocessing.get_context("forkserver" if LINUX else "spawn")
    process: BaseProcess = context.Process(  # type: ignore[attr-defined]
        target=target, args=(pipe,)
    )
    with _without_script():
        with _no_interrupt():
            if not LINUX:
                process.start()
                return process
            _ensure_server()
        process.start()  # waits until the server has imported all that
    return process


@contextlib.contextmanager
def _without_script() -> Iterator[None]:
    """Keep new processes from running the user's script once more, of which they need nothing.

    Multiprocessing has them import it, and one that calls ``bench.run`` without a guard would
    start processes of its own there.
    """
    script = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


@contextlib.contextmanager
def _no_interrupt() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say so
        return
    numbers = [signal.SIGINT, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ensure_server() -> None:
    forkserver.set_forkserver_preload(PRELOADED)
    forkserver.ensure_running()  # inherits what it is not to hear, and passes it on
