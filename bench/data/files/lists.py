"""List files: the images of a split, one a line, or an image and its mask in each line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from bench import plain_files
from bench.data.files.pairs import IMAGE_SUFFIXES, MASK_SUFFIXES, first_of
from bench.data.files.patterns import Fitting
from bench.errors import UserError, nearest

Listed = dict[str, Path | None]  # path of an image from the folder → its mask, if that is listed


def listed(
    folder: Path, lists: Mapping[str, str], images: Mapping[str, Fitting], base: str
) -> dict[str, Listed]:
    """Return the images that each list names, in its order; of ``images`` if it has one column.

    An image is named by its path, by the end of it, or by what ``*`` stands for, with or without
    suffix. Leading folders that are not there are left out: lists are often made elsewhere, as
    ``/SegNet/CamVid/train/0001.png``. Two columns are separated by tabs, a comma or spaces.

    UserError names the line of an image or mask that is not there, is ambiguous or is listed twice.
    """
    known = _Names(images, base)
    splits: dict[str, Listed] = {}
    seen: dict[str, str] = {}
    for split, path in lists.items():
        splits[split] = {}
        for number, line in _lines(folder / path):
            where = f"{folder / path}, line {number}"
            name, mask = _entry(folder, line, known, where)
            if name in seen:
                raise UserError(f"{where}: {line!r} is in {seen[name]} already")
            seen[name] = path
            splits[split][name] = mask
    return splits


def two_columns(folder: Path, line: str) -> tuple[Path, str] | None:
    """Return the file that the first of two columns names, and the second; None if it does not."""
    for separator in ("\t", ",", None):
        columns = [column.strip() for column in line.split(separator)]
        if len(columns) == 2 and all(columns):
            image = _inside(folder, columns[0])
            return (image, columns[1]) if image is not None else None
    return None


def _lines(path: Path) -> list[tuple[int, str]]:
    """Return the lines that are not empty, with their numbers."""
    plain_files.check(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
    lines = enumerate(map(str.strip, text.splitlines()), 1)
    return [(number, line) for number, line in lines if line]


def _entry(folder: Path, line: str, known: _Names, where: str) -> tuple[str, Path | None]:
    """Return the path of a line's image from the folder, and its mask if the line names it."""
    whole, *shorter = _endings(line) or [line]
    fitting = known.of(whole) or {end for end in shorter if end in known.paths}
    if len(fitting) > 1:
        raise UserError(f"{where}: {line!r} fits {first_of(sorted(fitting))}; write more of a path")
    if fitting:
        return fitting.pop(), None
    columns = two_columns(folder, line)
    if columns is None:
        raise UserError(f"{where}: no image {line!r}{nearest(line, known.ends)}")
    image, named = columns
    mask = _inside(folder, named)
    if mask is None or mask == image:
        raise UserError(f"{where}: no mask {named!r}")
    for file, suffixes in ((image, IMAGE_SUFFIXES), (mask, MASK_SUFFIXES)):
        if file.suffix.lower() not in suffixes:
            raise UserError(f"{where}: {file.name!r} has none of {' '.join(suffixes)}")
    return image.relative_to(folder).as_posix(), mask


class _Names:
    """What images may be called: their path, its ends, what ``*`` stands for; less the suffix."""

    def __init__(self, images: Mapping[str, Fitting], base: str) -> None:
        self.paths = set(images)
        self.whole: dict[str, set[str]] = {}  # the path from the folder, or after ``base``
        self.ends: dict[str, set[str]] = {}
        for path, image in images.items():
            stars = "".join(star if star.endswith("/") else f"{star}/" for star in image.stars)
            for name in (path, path.removeprefix(base)):
                for text in (name, name.removesuffix(image.path.suffix)):
                    self.whole.setdefault(text, set()).add(path)
            for text in (path, path.removesuffix(image.path.suffix), stars):
                for end in _endings(text):
                    self.ends.setdefault(end, set()).add(path)

    def of(self, text: str) -> set[str]:
        """Return the images that are called so; a whole name comes before the end of one."""
        return set(self.whole.get(text) or self.ends.get(text) or ())


def _endings(text: str) -> list[str]:
    """Return a path, and it without its first folder, without two and so on."""
    parts = _parts(text)
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _parts(text: str) -> tuple[str, ...]:
    parts = PurePosixPath(text.replace("\\", "/")).parts
    return () if ".." in parts else tuple(part for part in parts if part != "/")


def _inside(folder: Path, text: str) -> Path | None:
    """Return the file in a folder that a path ends in, or None."""
    files = (folder / ending for ending in _endings(text))
    return next((file for file in files if file.is_file()), None)
