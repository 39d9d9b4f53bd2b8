"""Tables as CSV files, whose text no spreadsheet takes for a formula.

A spreadsheet runs a cell that begins with one of ``= + - @``, be it the name of a class. An
apostrophe before it keeps it text, as OWASP advises ("CSV injection"). Whoever reads such a file
back removes the first apostrophe of what ``ESCAPED`` matches.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

_FORMULA = "'*[=+\\-@\t＝＋－＠]"  # also after apostrophes, so that each can be told apart
_NUMBER = r"[-+]?([0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?|inf|nan)"
ESCAPED = re.compile(f"'{_FORMULA}")
_UNSAFE = re.compile(rf"(?!{_NUMBER}( {_NUMBER})*\Z){_FORMULA}")


def render(table: pd.DataFrame) -> str:
    """Return a table as CSV with a line of headings; numbers and rows of them are left alone."""
    safe = table.rename(columns=_escaped)
    for place, kind in enumerate(table.dtypes):
        if not pd.api.types.is_numeric_dtype(kind):
            cells = [_escaped(cell) for cell in table.iloc[:, place]]
            safe.isetitem(place, np.array(cells, dtype=object))
    return safe.to_csv(index=False, lineterminator="\n")


def _escaped(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    text = cell.replace("\r", " ")  # which pandas does not quote, and readers take for a new row
    return f"'{text}" if _UNSAFE.match(text) else text
