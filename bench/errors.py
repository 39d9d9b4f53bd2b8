"""What a user can get wrong, and how other errors are told apart.

A ``UserError`` is raised anywhere and turned into one line in ``bench.__main__``.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable

# What torch, CUDA, cuBLAS, cuDNN and OpenCV say when memory runs out; most is a plain RuntimeError.
_NO_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "insufficient memory",
    "alloc_failed",  # CUBLAS_STATUS_ALLOC_FAILED, say
    "allocation_failed",  # CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED
)
MOST_NAMES = 40  # more than this is no help in one line


class UserError(Exception):
    """A mistake that the user can mend. Its message is one line and names the file, key or value.

    Programming mistakes are ``ValueError`` and ``TypeError``; they keep their traceback.
    """

    def each(self) -> tuple[UserError, ...]:
        """Return the mistakes that this one is made of, each of one line."""
        return (self,)


class UserErrors(UserError):
    """Several mistakes at once, in order; the message has a line for each."""

    def __init__(self, errors: Iterable[UserError]) -> None:
        self._errors = tuple(errors)
        super().__init__("\n".join(map(str, self._errors)))

    def each(self) -> tuple[UserError, ...]:
        """Return the mistakes, each of one line."""
        return self._errors


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` or the known names, to end an error message with."""
    names = [str(candidate) for candidate in known]
    close = difflib.get_close_matches(str(name), names, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(names)}" if 0 < len(names) <= MOST_NAMES else ""


def out_of_memory(error: BaseException) -> bool:
    """Tell whether memory ran out, on a device or in the host's."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    text = str(error).lower()
    return not isinstance(error, UserError) and any(words in text for words in _NO_MEMORY)
