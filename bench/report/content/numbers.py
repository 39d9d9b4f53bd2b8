"""How single numbers are written: scores, counts, times, p values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from bench.analysis.scales import MINUS

whole = "{:,.0f}".format  # a whole number
significant = "{:.3g}".format  # three digits, in powers of ten where it is very large or small


def score(value: float, like: float | None = None) -> str:
    """Return a score with as many decimals as ``like``: three, or fewer where it is 10 or more."""
    size = abs(value if like is None else like)
    decimals = 1 if size >= 100 else 2 if size >= 10 else 3
    return "–" if math.isnan(value) else f"{value:,.{decimals}f}".replace("-", MINUS)


def seconds(value: float, _like: float = 0) -> str:
    """Return a time, less precise where it is long."""
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def three_digits(value: float, _like: float = 0) -> str:
    """Return a number with three digits, or all before the point: ``0.439``, ``1,234``."""
    digits = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 0
    return f"{value:,.{digits}f}"


def fixed(decimals: int) -> Callable[[float, float], str]:
    """Return a function that writes a number with so many decimals."""
    return lambda value, _like: "∞" if math.isinf(value) else f"{value:,.{decimals}f}"


def percent(share: float) -> str:
    """Return a share in per cent, never as all or nothing: ``62``, ``> 99``, ``< 1``."""
    return "> 99" if share > 0.995 else "< 1" if share < 0.005 else f"{100 * share:.0f}"


def p_value(p: float, _like: float = 0) -> str:
    """Return a p value with three decimals, never as 0."""
    return "–" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def equals(p: float) -> str:
    """Return what a p value is, to stand after its letter: ``= 0.049`` or ``< 0.001``."""
    return p_value(p) if p < 0.001 else f"= {p_value(p)}"


def counted(count: int, noun: str) -> str:
    """Return how many there are of something: ``1 seed``, ``2 seeds``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def listed(names: Sequence[str], most: int = 4) -> str:
    """Return names in a row, the first of them where there are many: ``a, b and 3 more``."""
    more = [f"{len(names) - most} more"] if len(names) > most else []
    *first, last = *names[:most], *more
    return f"{', '.join(first)} and {last}" if first else last


def duration(total: float) -> str:
    """Return a long time in words: ``2 h 5 min``, ``3 min 27 s``, ``12 s``."""
    hours, minutes = divmod(round(total) // 60, 60)
    text = f"{hours} h {minutes} min" if hours else f"{minutes} min {round(total) % 60} s"
    return text.removeprefix("0 min ")
