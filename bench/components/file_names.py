"""Settings that name a file of the user's: relative to the experiment file, as components are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import ValidationInfo, ValidatorFunctionWrapHandler, WrapValidator

from bench.components.names import Located

_STARTS = ("./", "../", "/")


def _with_folder(name: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> str:
    checked: str = handler(name)
    if isinstance(name, Located) or not checked.startswith(_STARTS):
        return name if isinstance(name, Located) else checked
    found = Located(checked)
    found.folder = (info.context or {}).get("folder", Path()).resolve()
    return found


# A name of something built in, or of a file: ./weights.pth, ../weights.pth or /data/weights.pth.
FileOrName = Annotated[str, WrapValidator(_with_folder)]


def file_of(name: str | None) -> Path | None:
    """Return the file that a setting names; None if it names none."""
    return name.folder / name if isinstance(name, Located) else None
