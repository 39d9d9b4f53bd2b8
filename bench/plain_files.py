"""Files that are plain, as against pipes and devices, at which reading may never end."""

from __future__ import annotations

import stat
from pathlib import Path

from bench.errors import UserError


def check(path: Path) -> None:
    """Raise UserError if there is anything but a file or a folder at a path, links followed.

    What else may be wrong with it, that it is not there, say, shows when it is opened.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise UserError(f"{path}: no plain file, but a pipe, a device or a socket")
