"""A check in a process of its own, so that what it breaks stays its own.

After one failed kernel a process cannot use its GPU any more, and running out of memory can end
it. The process that starts the others never uses a GPU itself.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from bench.doctor.finding import Machine
from bench.execution.job import one_line
from bench.execution.processes import start_process
from bench.execution.workers import cause, kill_group

Produce = Callable[[Machine], Iterator[Any]]


@dataclass(frozen=True)
class Outcome:
    """What a process handed over, and how it ended if not by itself."""

    rows: tuple[Any, ...]
    failure: str | None = None
    late: bool = False  # whether its time was over

    @property
    def only(self) -> Any:
        """The one row that was expected; RuntimeError says why there is none."""
        if not self.rows:
            raise RuntimeError(self.failure or "the process handed nothing over")
        return self.rows[0]


def run(produce: Produce, machine: Machine, *, seconds: float) -> Outcome:
    """Iterate over ``produce(machine)`` in a new process, and end it after some seconds.

    ``produce`` is a function of a module, and what it yields can be pickled. What was handed over
    before a failure is kept.
    """
    pipe, theirs = multiprocessing.Pipe()
    process = start_process(_serve, theirs)
    theirs.close()
    until = time.monotonic() + seconds
    rows: list[Any] = []
    try:
        pipe.send((produce, machine))
        while True:
            if not wait([pipe], max(0.0, until - time.monotonic())):
                return Outcome(tuple(rows), f"it took longer than {seconds:g} s", late=True)
            kind, what = pipe.recv()
            if kind == "row":
                rows.append(what)
            else:  # a failure, or None at the end
                return Outcome(tuple(rows), what)
    except (EOFError, OSError):
        process.join()
        return Outcome(tuple(rows), cause(process.exitcode)[1])
    finally:
        pipe.close()
        kill_group(process)
        process.join()


def _serve(pipe: Connection) -> None:
    if hasattr(os, "setsid"):
        os.setsid()  # leads a group, which is ended with it
    failure = None
    produce, machine = pipe.recv()
    with contextlib.suppress(OSError):  # the parent is gone
        try:
            for row in produce(machine):
                pipe.send(("row", row))
        except Exception as error:
            failure = one_line(error)
        pipe.send(("end", failure))
