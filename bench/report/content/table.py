"""Tables with typed columns: what a cell holds, how it is written, and how it is aligned.

Every format writes cells by `written` and aligns them by ``Column.numeric``; none guesses either
from text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from bench import metrics
from bench.analysis.scales import MINUS
from bench.report.content.numbers import score, whole

Cell = str | float | tuple[float | None, ...] | None
Kind = Literal["text", "verdict", "number", "interval", "spread", "range"]

MOST_ROWS = 200  # of a table in a report; what is beyond is in the CSV files


@dataclass(frozen=True)
class Column:
    """What the cells of a column are.

    Of the kinds, ``number`` is one number; ``interval`` (low, high); ``spread`` (mean, sd);
    ``range`` (least, most) of whole numbers, which may be equal.
    """

    name: str  # for code that picks a column
    label: str  # for readers
    kind: Kind = "text"
    write: Callable[[float, float], str] = score  # (number, one with as many decimals) → text
    unit: str = ""  # stands behind the label
    optional: bool = False  # left out of a table in which it is empty throughout

    @property
    def numeric(self) -> bool:
        """Whether cells are numbers, aligned to the right and sorted as numbers."""
        return self.kind not in ("text", "verdict")

    @property
    def heading(self) -> str:
        """The label with the unit."""
        return f"{self.label}, {self.unit}" if self.unit else self.label


@dataclass(frozen=True)
class Table:
    """Columns, and the values below them; the first column names the row."""

    columns: tuple[Column, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()

    @property
    def headings(self) -> tuple[str, ...]:
        """What stands above the columns."""
        return tuple(column.heading for column in self.columns)

    def text(self) -> tuple[tuple[str, ...], ...]:
        """Return every cell as plain text, not yet escaped for any format."""
        return tuple(tuple(map(written, self.columns, row)) for row in self.rows)

    def first_rows(self, most: int) -> Table:
        """Return a table without the rows beyond the first ``most``."""
        return Table(self.columns, self.rows[:most])

    def without(self, *names: str) -> Table:
        """Return a table without the columns of these names."""
        kept = [i for i, column in enumerate(self.columns) if column.name not in names]
        rows = tuple(tuple(row[i] for i in kept) for row in self.rows)
        return Table(tuple(self.columns[i] for i in kept), rows)


def table(*columns: tuple[Column, Iterable[Any]]) -> Table:
    """Build a table from columns with their values, of which NaN and NA become None."""
    values = {column: [_value(each) for each in cells] for column, cells in columns}
    kept = {
        column: cells
        for column, cells in values.items()
        if not column.optional or any(each not in (None, "") for each in cells)
    }
    return Table(tuple(kept), tuple(zip(*kept.values(), strict=True)))


def picked(frame: pd.DataFrame, *columns: Column) -> list[tuple[Column, pd.Series[Any]]]:
    """Return columns with the values that a frame has under their names."""
    return [(column, frame[column.name]) for column in columns]


def of_metric(name: str, kind: Kind = "number", **more: Any) -> Column:
    """Return the column of a metric, or of another number that trials give."""
    known = metrics.METRICS.get(metrics.split(name)[0])
    return Column(name, metrics.label(name), kind, unit=known.unit if known else "", **more)


def written(column: Column, value: Cell) -> str:
    """Return a cell as plain text: ``–`` where a number is missing, minus signs as such."""
    if not column.numeric:
        return "" if value is None else str(value)
    numbers = value if isinstance(value, tuple) else (value,)
    if any(isinstance(each, str) for each in numbers):
        raise TypeError(f"column {column.name}: {value!r} is no number")
    first, last = (None if each is None else float(each) for each in (numbers[0], numbers[-1]))
    return _joined(column, first, last).replace("-", MINUS)


def _joined(column: Column, first: float | None, last: float | None) -> str:
    if first is None or (last is None and column.kind != "spread"):
        return "–"
    if last is None:
        return column.write(first, first)
    if column.kind == "spread":
        return f"{column.write(first, first)} ± {column.write(last, first)}"
    if column.kind == "interval":
        return f"{column.write(first, last)} to {column.write(last, last)}"
    if column.kind == "range" and first != last:
        return f"{whole(first)}–{whole(last)}"
    return whole(first) if column.kind == "range" else column.write(first, first)


def _value(value: Any) -> Cell:
    if isinstance(value, tuple):
        found: tuple[Any, ...] = tuple(map(_value, value))
        return None if all(each is None for each in found) else found
    return None if pd.isna(value) else value
