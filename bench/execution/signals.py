"""Ctrl-C, SIGTERM, SIGHUP: the first asks to stop at a good moment, the second stops at once.

SIGHUP comes when the terminal goes, more than once if a shell passes it on: it never stops a run at
once. Where it is ignored, as under nohup, it stays so.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator

_HANGUP = getattr(signal, "SIGHUP", None)  # which Windows has not


@contextlib.contextmanager
def on_signals(tell: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether somebody asked to stop.

    The first time, ``tell`` is given a line; the second time raises KeyboardInterrupt wherever the
    program is.
    """
    asked, owner = threading.Event(), os.getpid()

    def handle(number: int, _frame: object) -> None:
        if os.getpid() != owner or (asked.is_set() and number == _HANGUP):
            return  # a loader process, which ends with its trainer; a hangup that is told again
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        tell(f"{signal.Signals(number).name}: stopping at the end of the epoch; again: at once")

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set  # signals are the main thread's alone
        return
    numbers = [signal.SIGINT, signal.SIGTERM]
    if _HANGUP is not None and signal.getsignal(_HANGUP) != signal.SIG_IGN:
        numbers.append(_HANGUP)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
