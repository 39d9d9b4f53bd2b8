"""How long a run may take: ``6h``, ``90m``, ``1h30m``, ``45s``."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.errors import UserError

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_TIME = re.compile("".join(rf"(?:(\d+(?:\.\d+)?){unit})?" for unit in _UNITS))


@dataclass(frozen=True)
class Budget:
    """A time that began when it was made; ``clock`` gives seconds and never goes back."""

    text: str  # as a user gave it
    seconds: float
    ends: float
    clock: Callable[[], float] = time.monotonic

    def is_spent(self) -> bool:
        """Tell whether the time is over."""
        return self.clock() >= self.ends


def begin(text: str, clock: Callable[[], float] = time.monotonic) -> Budget:
    """Return a budget that begins now; UserError if the text is no time."""
    found = _TIME.fullmatch("".join(text.lower().split()))
    parts = found.groups() if found else ()
    given = zip(parts, _UNITS.values(), strict=False)
    seconds = sum(float(part) * unit for part, unit in given if part is not None)
    if seconds <= 0:
        raise UserError(f"--budget: {text!r} is no time; say 6h, 90m, 1h30m or 45s")
    return Budget(text, seconds, clock() + seconds, clock)
