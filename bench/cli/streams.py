"""Standard output and error that outlive the terminal, pipe or file that they go to."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO, cast

_NOWHERE = Path(os.devnull)


class Stream:
    """A text stream that drops all that comes after a failed write, and remembers the failure.

    ``needed`` tells whether it matters to the command that somebody gets what is written.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.needed = True
        self.failure: OSError | None = None
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # ASCII has neither · nor ✓

    def write(self, text: str) -> int:
        """Write text, or drop it."""
        with self._dropping():
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is buffered, or drop it."""
        with self._dropping():
            self.stream.flush()

    @contextlib.contextmanager
    def _dropping(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.failure = self.failure or error
            # What is buffered stays there, and Python would try again until it has ended.
            with contextlib.suppress(OSError, ValueError), _NOWHERE.open("wb") as null:
                os.dup2(null.fileno(), self.stream.fileno())
                self.stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextlib.contextmanager
def lasting() -> Iterator[Stream]:
    """Let standard output and error be lasting streams for a ``with`` block; yield the output."""
    before = sys.stdout, sys.stderr
    with contextlib.ExitStack() as opened:
        # Either is None where it was closed before this process started.
        given = [s or opened.enter_context(_NOWHERE.open("w", encoding="utf-8")) for s in before]
        output, errors = map(Stream, given)
        sys.stdout, sys.stderr = cast(TextIO, output), cast(TextIO, errors)
        try:
            yield output
        finally:
            output.flush()
            errors.flush()
            sys.stdout, sys.stderr = before


def may_be_lost() -> None:
    """Say that standard output only tells somebody who watches how far a command is."""
    if isinstance(sys.stdout, Stream):
        sys.stdout.needed = False
