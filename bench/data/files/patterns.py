"""Patterns of file names, such as ``leftImg8bit/{split}/*/*_leftImg8bit.png``, and what fits them.

``*`` stands for any part of one name, ``**/`` for any number of folders, ``{split}`` for the folder
of a split, and ``.*`` at the end for any suffix that is read. All else is taken literally, except
that upper and lower case are the same in a suffix. Names that begin with a dot are left out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.errors import UserError

_SPECIAL = re.compile(r"(\*\*/|\*|\{split\})")
_ANY_SUFFIX = ".*"


@dataclass(frozen=True)
class Fitting:
    """A file that fits a pattern: the split that it is in, if known, and what ``*`` stands for."""

    path: Path
    split: str | None
    stars: tuple[str, ...]


def check(pattern: str, suffixes: tuple[str, ...]) -> None:
    """Raise ValueError, with the reason, at a pattern that cannot be used."""
    rest = _SPECIAL.sub("", pattern.removesuffix(_ANY_SUFFIX))
    parts = pattern.split("/")
    if pattern.startswith("/") or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{pattern!r} does not lead from the folder to a file inside it")
    if "{" in rest or "}" in rest:
        raise ValueError(f"{pattern!r}: of words in braces only {{split}} is known")
    if "**" in rest or any("**" in part and part != "**" for part in parts):
        raise ValueError(f"{pattern!r}: ** stands for folders, as in images/**/*.png")
    if not pattern.endswith(_ANY_SUFFIX) and _suffix(pattern).lower() not in suffixes:
        raise ValueError(f"{pattern!r} must end in .* or one of {' '.join(suffixes)}")


def stars(pattern: str) -> int:
    """Count the ``*`` and ``**`` of a pattern."""
    return len(_SPECIAL.findall(pattern.removesuffix(_ANY_SUFFIX).replace("{split}", "")))


def base(pattern: str) -> str:
    """Return the folders at the beginning that are no pattern, such as ``images/``; or nothing."""
    literal = _SPECIAL.split(pattern)[0]
    return literal[: literal.rfind("/") + 1]


def filled(pattern: str, split: str, values: tuple[str, ...]) -> str:
    """Return the name that fits a pattern, without the suffix if that may be any."""
    parts, remaining = [], iter(values)
    for part in _SPECIAL.split(pattern.removesuffix(_ANY_SUFFIX)):
        parts.append(split if part == "{split}" else next(remaining) if "*" in part else part)
    return "".join(parts)


def find(
    folder: Path, pattern: str, suffixes: tuple[str, ...], splits: Mapping[str, str]
) -> dict[str, Fitting]:
    """Return the files that fit, by path from the folder, sorted; links are followed.

    ``splits`` has, by split, what ``{split}`` stands for. UserError if there is no folder, or a
    name is no text.
    """
    start = folder / base(pattern)
    if not start.is_dir():
        raise UserError(f"{start}: no such folder")
    expression = _compiled(pattern, suffixes, splits)
    depth = 1 << 10 if "**" in pattern else pattern.count("/") - base(pattern).count("/")
    names = {folder: split for split, folder in splits.items()}
    found = []
    for name in _files(start, base(pattern), depth, frozenset()):
        if match := expression.fullmatch(name):
            if name.encode(errors="ignore").decode() != name:  # file systems accept any bytes
                raw = os.fsencode(name.rpartition("/")[2])
                raise UserError(f"{start}: the name {raw!r} is no text (UTF-8)")
            groups = match.groupdict()
            split = names.get(groups.pop("split", None))
            found.append((name, Fitting(folder / name, split, tuple(groups.values()))))
    return dict(sorted(found, key=lambda one: one[0].split("/")))


def _suffix(pattern: str) -> str:
    """Return the suffix, if the pattern ends in one."""
    last = _SPECIAL.split(pattern)[-1].rpartition("/")[2]
    return last[last.rfind(".") :] if "." in last else ""


def _compiled(
    pattern: str, suffixes: tuple[str, ...], splits: Mapping[str, str]
) -> re.Pattern[str]:
    if pattern.endswith(_ANY_SUFFIX):
        name, ending = pattern.removesuffix(_ANY_SUFFIX), suffixes
    else:
        ending = (_suffix(pattern),)
        name = pattern.removesuffix(ending[0])
    expression, split = "", f"(?P<split>{'|'.join(map(re.escape, splits.values()))})"
    for number, part in enumerate(_SPECIAL.split(name)):
        if part == "{split}":
            expression, split = expression + split, "(?P=split)"
        elif "*" in part:
            expression += f"(?P<star{number}>{'[^/]*' if part == '*' else '(?:[^/]+/)*'})"
        else:
            expression += re.escape(part)
    return re.compile(f"{expression}(?i:{'|'.join(map(re.escape, ending))})", re.DOTALL)


def _files(
    folder: Path, prefix: str, depth: int, above: frozenset[tuple[int, int]]
) -> Iterator[str]:
    """Yield what is no folder, down to a depth. A link that leads back up is not followed."""
    try:
        state = folder.stat()
        entries = list(os.scandir(folder))
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror})") from error
    here = state.st_dev, state.st_ino
    if here in above:
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if not _is_folder(entry):
            yield f"{prefix}{entry.name}"
        elif depth:
            inside = folder / entry.name
            yield from _files(inside, f"{prefix}{entry.name}/", depth - 1, above | {here})


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
