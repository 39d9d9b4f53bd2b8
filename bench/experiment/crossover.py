"""Orders of measuring in which every arm follows every other equally often."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np


def williams(count: int) -> list[tuple[int, ...]]:
    """Return rows of 0 … count - 1: an even number of arms has as many rows, an odd one twice.

    Over all rows, each arm is in each place, and directly follows each other arm, equally often
    (once or, where the number is odd, twice).

    Source: Williams (1949). In the first row 0, 1, n - 1, 2, n - 2, … all steps are different
    modulo n if n is even; other rows add a number to it. If n is odd, the steps of the same rows
    backwards are those that are missing.
    """
    first = [(i + 1) // 2 if i % 2 else (count - i // 2) % count for i in range(count)]
    rows = [tuple((arm + shift) % count for arm in first) for shift in range(count)]
    return rows if count % 2 == 0 else rows + [row[::-1] for row in rows]


def rounds(count: int, generator: np.random.Generator) -> Iterator[tuple[int, ...]]:
    """Yield orders of arms without end: the rows of a square, then the rows of it again.

    Which arm is which in the square, and the order of rows, are drawn at random.
    """
    arms = generator.permutation(count).tolist()
    square = williams(count)
    order = generator.permutation(len(square)).tolist()
    for row in itertools.cycle(order):
        yield tuple(arms[index] for index in square[row])
