"""Ctrl-C and SIGTERM: the first asks to stop at the next good moment, the second stops at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def on_signals(tell: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether somebody asked to stop.

    The first time, ``tell`` is given a line; the second time raises KeyboardInterrupt wherever the
    program is.
    """
    asked = threading.Event()

    def handle(number: int, _frame: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        tell(f"{signal.Signals(number).name}: stopping at the end of the epoch; again: at once")

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set  # signals are the main thread's alone
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
