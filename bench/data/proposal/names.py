"""Names of classes from a file of the folder, such as ``classes.txt`` or ``label_colors.txt``."""

from __future__ import annotations

import re
from pathlib import Path

from bench import plain_files
from bench.data.files.unknown import Meaning
from bench.errors import UserError

FILES = ("classes.txt", "names.txt", "labels.txt", "codes.txt", "label_colors.txt", "labelmap.txt",
         "class_dict.csv", "class_names.txt")  # fmt: skip
_MOST_BYTES = 1 << 16
_COLOUR = r"(\d+)[\s,;]+(\d+)[\s,;]+(\d+)"
_COLOUR_FIRST = re.compile(rf"{_COLOUR}[\s,;:]+(.+)")
_NAME_FIRST = re.compile(rf"(.+?)[\s,;:]+{_COLOUR}[\s,;:]*")
_ID_FIRST = re.compile(r"(\d+)[\s,;:=]+(.+)")


def find(folder: Path) -> tuple[str, dict[Meaning, str]] | None:
    """Return a file in a folder that names classes, and names by value or colour, if there is one.

    A line has a name, a value and a name, or a colour and a name in either order; a value is else
    the number of the line.
    """
    for name in FILES:
        path = folder / name
        if path.is_file():
            found = _names(path)
            if found:
                return name, found
    return None


def _names(path: Path) -> dict[Meaning, str]:
    plain_files.check(path)
    try:
        if path.stat().st_size > _MOST_BYTES:
            return {}
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    found: dict[Meaning, str] = {}
    for line in lines:
        if match := _COLOUR_FIRST.fullmatch(line):
            red, green, blue, name = match.groups()
        elif match := _NAME_FIRST.fullmatch(line):
            name, red, green, blue = match.groups()
        elif match := _ID_FIRST.fullmatch(line):
            found[int(match[1])] = match[2].strip(" \"'")
            continue
        else:
            number = len(found)
            if not re.match(r"(?i)(name|class|label)s?\b.*[,;]", line):  # the head of a table
                found[number] = line.strip(" \"',")
            continue
        found[int(red), int(green), int(blue)] = name.strip(" \"'")
    return found
