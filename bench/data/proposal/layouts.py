"""Guess where a folder has images, masks and splits, from its names and a look into a few files."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.files import patterns
from bench.data.files.images import read_colour
from bench.data.files.layout import Layout, find_pairs, find_pool
from bench.data.files.pairs import IMAGE_SUFFIXES, LOSSY_SUFFIXES, MASK_SUFFIXES, Pairs
from bench.data.files.unknown import PHOTOGRAPH
from bench.errors import UserError
from bench.settings import validate

_WORDS = {"train": "training|train", "val": "validation|valid|val", "test": "testing|test"}
_SPLIT = re.compile(rf"(?:^|(?<=[_\-. ]))({'|'.join(_WORDS.values())})(?!val|[_-]?val)", re.I)
_KIND = re.compile(r"image|img|photo|picture|jpeg|jpg|mask|label|annot|gt|ground|truth|seg", re.I)
_MASK = re.compile(r"mask|label|annot|gt|truth|seg|ids", re.I)
_NO_CLASSES = re.compile(r"instance|object|colou?r|poly|depth", re.I)
_SEPARATORS = "_-. "
_Affixes = tuple[str, str, str, str]  # before and after * in an image's name, and in its mask's
_SAMPLE = 3  # images that are compared with what may be their masks
ALL = "all"  # stands for the split of images that are in none
_DECIDES = 5  # of the rank, before the number of pairs
_MOST = 50  # files that may be the mask of one image


@dataclass
class _Group:
    """Files whose folders differ in the split, and below it, alone: by those, stem and suffix."""

    template: str
    files: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)

    def stems(self) -> Iterator[tuple[tuple[str, str], str]]:
        """Yield the place and the name without suffix of each file."""
        return ((place, stem) for place, names in self.files.items() for stem in names)

    def count(self) -> int:
        """Count the files."""
        return sum(map(len, self.files.values()))

    def folder(self, place: tuple[str, str]) -> str:
        """Return the folder, for what ``{split}`` and ``**`` stand for."""
        return self.template.replace("{split}", place[0]).replace("**", place[1])


@dataclass(frozen=True)
class _Guess:
    """A pair of patterns: of how many files they make pairs, and how far both look the part."""

    rank: tuple[float, ...]
    images: str
    masks: str
    splits: dict[str, str]


def find(folder: Path) -> tuple[Layout | None, dict[str, Pairs]]:
    """Return a layout that fits a folder, None if it is the usual one, and its pairs by split.

    Where there are no splits, all pairs are under ``ALL``.

    UserError if none does: the message is about the one that fits best.
    """
    try:
        pairs = find_pairs(folder)
        mask = next(iter(pairs["train"].values()))[1]
        if _colours(mask) <= PHOTOGRAPH:
            return None, pairs
        problem = UserError(f"{mask}: has {_colours(mask)} colours, as a photograph: is it a mask?")
    except UserError as error:
        problem = error
    guesses = sorted(_guesses(folder), key=lambda guess: guess.rank, reverse=True)
    # Of masks with one missing, another kind of masks is no replacement.
    guesses = [guess for guess in guesses if guess.rank[:_DECIDES] == guesses[0].rank[:_DECIDES]]
    problems = []
    for values in _layouts(folder, guesses):
        try:
            layout = validate(Layout, values, source=folder)
            return layout, find_pairs(folder, layout)
        except UserError as error:
            problems.append(error)
    if guesses and not guesses[0].splits:
        unsplit = {"images": guesses[0].images, "masks": guesses[0].masks}
        layout = validate(Layout, unsplit, source=folder)
        return layout, {ALL: find_pool(folder, layout)[0]}
    if problems:
        raise problems[-1]
    if (folder / "images").is_dir() and (folder / "masks").is_dir():
        raise problem
    raise UserError(
        f"{folder}: no images with masks of similar names found; masks are "
        f"{' '.join(MASK_SUFFIXES)} with at most {PHOTOGRAPH} values or colours"
    )


def _layouts(folder: Path, guesses: Sequence[_Guess]) -> Iterator[dict[str, Any]]:
    """Yield layouts that may fit: lists, which somebody made for this, before folders."""
    lists = list(_lists(folder))
    for one in lists:
        yield {"lists": one}
    for guess in guesses:
        values: dict[str, Any] = {"images": guess.images, "masks": guess.masks}
        usual = all(split == name for split, name in guess.splits.items())
        named = {**values, "splits": guess.splits} if guess.splits.keys() >= {"val"} else values
        for one in lists:
            yield {**(values if usual else named), "lists": one}
        if usual and guess.splits:
            yield values
        if named is not values:  # of the test images, masks are often not public
            yield named


def _lists(folder: Path) -> Iterator[dict[str, str]]:
    """Yield list files that belong together, by split."""
    sets: dict[str, dict[str, str]] = {}
    for suffix in (".txt", ".csv", ".lst"):
        for name in patterns.find(folder, f"**/*{suffix}", (suffix,), {}):
            parent, _, file = name.rpartition("/")
            match = _SPLIT.search(file.removesuffix(suffix))
            if match is not None:
                key = f"{parent}/{file[: match.start()]}*{file[match.end() :]}"
                sets.setdefault(key, {}).setdefault(_split(match[1]), name)
    for found in sets.values():
        complete = _with_validation(found)
        if complete.keys() >= {"train", "val"}:
            yield complete


def _with_validation(found: dict[str, str]) -> dict[str, str]:
    """Return splits, of which the test images are to validate on if there are no others."""
    if "val" not in found and "test" in found:
        found = {**found, "val": found["test"]}
        del found["test"]
    return {split: found[split] for split in _WORDS if split in found}


def _split(word: str) -> str:
    return next(split for split in _WORDS if word.lower().startswith(split[:3]))


def _guesses(folder: Path) -> Iterator[_Guess]:
    """Yield pairs of patterns under which files of similar names are found."""
    groups = _groups(folder)
    for images, masks in product(groups, groups):
        if images.template.count("**") != masks.template.count("**"):
            continue
        for affixes in sorted(_affixes(images, masks)):
            guess = _guess(folder, images, masks, affixes)
            if guess is not None:
                yield guess


def _groups(folder: Path) -> list[_Group]:
    """Return the images of a folder, by what their folders have in common."""
    found = patterns.find(folder, "**/*.*", (*IMAGE_SUFFIXES, ".gif"), {})
    splits: dict[str, set[str]] = {}
    placed = []
    for name in found:
        parent, _, file = name.rpartition("/")
        template, word, below = _template(parent)
        splits.setdefault(template, set()).add(word)
        placed.append((parent, template, word, below, file))
    groups: dict[str, _Group] = {}
    for parent, template, word, below, file in placed:
        if len({_split(one) for one in splits[template] if one}) < 2:  # "trains" is no split
            template, word, below = parent, "", ""
        stem, suffix = file[: file.rfind(".")], file[file.rfind(".") :]
        group = groups.setdefault(template, _Group(template))
        group.files.setdefault((word, below), {}).setdefault(stem, suffix)
    return list(groups.values())


def _template(parent: str) -> tuple[str, str, str]:
    """Return a folder with ``{split}`` and ``**`` in it, and what these stand for."""
    parts, word, below = [], "", []
    for part in parent.split("/") if parent else []:
        match = _SPLIT.search(part)
        if match and (not word or match[1] == word):
            word = match[1]
            parts.append(f"{part[: match.start()]}{{split}}{part[match.end() :]}")
        elif not word or _KIND.search(part):
            parts.append(part)
        else:
            below.append(part)
            parts += ["**"] * (parts[-1] != "**")
    return "/".join(parts), word, "/".join(below)


def _affixes(images: _Group, masks: _Group) -> set[_Affixes]:
    """Return what may stand before and after ``*`` in names of images, and in those of masks."""
    found = set()
    for place, stem in islice(images.stems(), _SAMPLE):
        others = masks.files.get(place, {})
        start = stem[: max(1, len(stem) // 3)]
        near = [name for name in others if name.startswith(start) or name.endswith(stem[-2:])]
        near.sort(key=lambda name: _common(stem, name), reverse=True)
        for name in near[:_MOST]:
            ends = _ends(stem, name)
            if ends is not None:
                found.add(("", ends[0], "", ends[1]))
            starts = _ends(stem[::-1], name[::-1])
            if starts is not None and all(starts):
                found.add((starts[0][::-1], "", starts[1][::-1], ""))
    return found


def _ends(first: str, second: str) -> tuple[str, str] | None:
    """Return how two names go on after what they have in common; None if they part in a word."""
    same = _common(first, second)
    while same and first[:same] != first and first[same - 1] in _SEPARATORS:
        same -= 1
    ends = first[same:], second[same:]
    inside = [first[same - 1 : same].isalnum() and end[:1].isalnum() for end in ends]
    numbers = any(first[same - 1 : same].isdigit() and end[:1].isdigit() for end in ends)
    return None if not same or all(inside) or numbers else ends


def _common(first: str, second: str) -> int:
    """Return how many characters two texts have in common at the start."""
    pairs = zip(first, second, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))


def _guess(folder: Path, images: _Group, masks: _Group, affixes: _Affixes) -> _Guess | None:
    """Return the guess that images and masks are named so; None if they do not look it."""
    pairs = _pairs(images, masks, affixes)
    mask_suffixes = {Path(mask).suffix.lower() for _, _, mask in pairs}
    if not pairs or mask_suffixes & {*LOSSY_SUFFIXES}:
        return None
    image_pattern = _pattern(images, affixes[:2], [image for _, image, _ in pairs])
    mask_pattern = _pattern(masks, affixes[2:], [mask for _, _, mask in pairs])
    place, image, mask = pairs[0]
    colours = _colours(folder / images.folder(place) / image)
    looks = colours > PHOTOGRAPH, _colours(folder / masks.folder(place) / mask) <= PHOTOGRAPH
    named = not _MASK.search(image_pattern), bool(_MASK.search(mask_pattern))
    if not looks[1] or not (looks[0] or all(named)):
        return None
    share = len(pairs) / min(images.count(), masks.count())
    classes = not _NO_CLASSES.search(mask_pattern.replace(images.template, ""))
    rank = (share > 0.5, looks[0], classes, *named, len(pairs), -len(affixes[1]))
    words = {word for (word, _), _, _ in pairs if word}
    splits = _with_validation({_split(word): word for word in sorted(words)})
    return _Guess(tuple(map(float, rank)), image_pattern, mask_pattern, splits)


def _pairs(
    images: _Group, masks: _Group, affixes: _Affixes
) -> list[tuple[tuple[str, str], str, str]]:
    """Return the place of each image that has a mask, and the names of both files."""
    before, after, mask_before, mask_after = affixes
    pairs = []
    for place, names in images.files.items():
        others = masks.files.get(place, {})
        for stem, suffix in names.items():
            core = stem.removeprefix(before).removesuffix(after)
            mask = f"{mask_before}{core}{mask_after}"
            is_named_so = core and before + core + after == stem
            if is_named_so and mask in others and (images is not masks or mask != stem):
                pairs.append((place, stem + suffix, mask + others[mask]))
    return pairs


def _pattern(group: _Group, affixes: tuple[str, str], names: Sequence[str]) -> str:
    suffixes = {Path(name).suffix for name in names}
    suffix = suffixes.pop() if len(suffixes) == 1 else ".*"
    return f"{group.template}/{affixes[0]}*{affixes[1]}{suffix}".removeprefix("/")


@functools.lru_cache(maxsize=64)
def _colours(path: Path) -> int:
    """Count the colours of an image; one that cannot be read may be a photograph of 16 bits."""
    try:
        image = read_colour(path)
    except UserError:
        return 1 << 24
    return len(np.unique(image.astype(np.uint32) @ np.array([1, 1 << 8, 1 << 16], np.uint32)))
