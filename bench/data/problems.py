"""What is wrong with the files of a dataset: problems of the same cause in one line."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.data.files.unknown import UnknownLabels
from bench.errors import UserError


def grouped(errors: Sequence[UserError], pairs: int) -> list[str]:
    """Return a line for each cause, with how many of the pairs have it; the most frequent first.

    Messages that differ in the file and in numbers alone have the same cause.
    """
    causes: dict[str, list[UserError]] = {}
    for error in errors:
        cause = "labels" if isinstance(error, UnknownLabels) else re.sub(r"\d+", "#", _what(error))
        causes.setdefault(cause, []).append(error)
    ordered = sorted(causes.values(), key=len, reverse=True)
    return [_line(found, pairs) for found in ordered]


def _line(errors: Sequence[UserError], pairs: int) -> str:
    first, *others = errors
    if not others:
        return str(first)
    names = f"first {_file(first)} and {_file(others[0])}"
    labels = [error for error in errors if isinstance(error, UnknownLabels)]
    if labels:
        return f"{len(errors)} of {pairs} masks ({names}): {UnknownLabels.together(labels)}"
    return f"{len(errors)} of {pairs} pairs have the same problem ({names}): {_what(first)}"


def _file(error: UserError) -> str:
    return str(error).partition(": ")[0]


def _what(error: UserError) -> str:
    return str(error).partition(": ")[2]
