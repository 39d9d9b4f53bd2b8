"""Text from anywhere as one plain line, and which columns of a table hold numbers."""

from __future__ import annotations

import re

from bench.report.content.cells import Table

# A number alone, with what may stand around it: < 0.001, 3 %, 1 ± 2, −1 to +2, 9–12; or none.
_NUMBER = re.compile(
    r"[<>≥≤≈]? ?[-−+]?[\d.,]+(e[-+]?\d+)?( ?%)?( (±|to) [-−+]?[\d.,]+|–[\d.,]+)?|[–—]|"
)


def plain(value: object) -> str:
    """Return what a user named as one line without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())


def numeric(table: Table) -> list[bool]:
    """Tell which columns hold numbers alone, and so are aligned and sorted as numbers."""
    return [
        bool(table.rows) and all(_NUMBER.fullmatch(row[i]) for row in table.rows)
        for i in range(len(table.columns))
    ]
