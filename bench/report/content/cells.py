"""A table of plain text, and how numbers are written in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.analysis.scales import MINUS


@dataclass(frozen=True)
class Table:
    """A table of plain text, not yet escaped for any format; the first column names the row."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


MOST_ROWS = 200  # of a table in a report; what is beyond is in the CSV files


def first_rows(content: Table, most: int) -> Table:
    """Return a table without the rows beyond the first ``most``."""
    return Table(content.columns, content.rows[:most])


def table(
    columns: Iterable[str], rows: Iterable[tuple[str, ...]], *, drop_empty: Iterable[str] = ()
) -> Table:
    """Build a table, without those columns of ``drop_empty`` in which every cell is empty."""
    names, cells = list(columns), list(rows)
    dropped = {name for name in drop_empty if not any(row[names.index(name)] for row in cells)}
    kept = [i for i, name in enumerate(names) if name not in dropped]
    return Table(tuple(names[i] for i in kept), tuple(tuple(row[i] for i in kept) for row in cells))


def number(value: float, *, like: float | None = None) -> str:
    """Return a score with three decimals, or fewer where it is 10 or more; – where there is none.

    Args:
        value: the score.
        like: a number that has as many decimals, where it is not the score itself.
    """
    size = abs(value if like is None else like)
    decimals = 1 if size >= 100 else 2 if size >= 10 else 3
    return "–" if pd.isna(value) else f"{value:,.{decimals}f}"


def spread(mean: float, sd: float) -> str:
    """Return mean ± standard deviation, or the mean alone."""
    return number(mean) if pd.isna(sd) else f"{number(mean)} ± {number(sd, like=mean)}"


def between(low: float, high: float) -> str:
    """Return an interval of scores."""
    ends = f"{number(low, like=high)} to {number(high)}"
    return "–" if pd.isna(low) else ends.replace("-", MINUS)


def whole(value: Any) -> str:
    """Return a whole number."""
    return "–" if pd.isna(value) else f"{int(value):,}"


def span(low: Any, high: Any) -> str:
    """Return the range of some whole numbers, or the one that all of them are."""
    return whole(low) if pd.isna(low) or low == high else f"{whole(low)}–{whole(high)}"


def seconds(value: float) -> str:
    """Return a time, less precise where it is long."""
    return "–" if pd.isna(value) else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def counted(count: int, noun: str) -> str:
    """Return how many there are of something."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def shortened(names: list[str], most: int = 4) -> str:
    """Return the first of some names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
