"""A module's text without what makes no difference to what it does."""

from __future__ import annotations

import io
import tokenize
from functools import cache
from itertools import pairwise
from pathlib import Path


def read(path: Path) -> str:
    """Return the text of a file."""
    return path.read_text(encoding="utf-8")


@cache
def without_comments(source: str) -> str:
    """Return a module's text without comments, docstrings and empty lines outside strings.

    Text and not tokens or a syntax tree, which are not the same in every version of Python.
    """
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    words = [token for token in tokens if token.type not in (tokenize.NL, tokenize.COMMENT)]
    lines, docstrings = source.split("\n"), _docstrings(words)
    dropped = [*docstrings, *(token for token in tokens if token.type == tokenize.COMMENT)]
    for token in sorted(dropped, key=lambda token: token.start, reverse=True):
        (first, left), (last, right) = token.start, token.end
        rest = lines[first - 1][:left].rstrip() + lines[last - 1][right:]
        lines[first - 1 : last] = [rest, *[""] * (last - first)]
    inside = {n for t in words if t not in docstrings for n in range(t.start[0], t.end[0] - 1)}
    return "\n".join(line for n, line in enumerate(lines) if line.strip() or n in inside)


def same(before: str, now: str) -> bool:
    """Tell whether two texts of a module differ in comments and docstrings at most."""
    try:
        return now == before or without_comments(now) == without_comments(before)
    except (SyntaxError, tokenize.TokenError):  # half written, say
        return False


def _docstrings(words: list[tokenize.TokenInfo]) -> list[tokenize.TokenInfo]:
    """Return the texts that are statements of their own."""
    begin = (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    return [
        word
        for number, (word, after) in enumerate(pairwise(words))
        if word.type == tokenize.STRING
        and after.type == tokenize.NEWLINE
        and (number == 0 or words[number - 1].type in begin)
    ]
