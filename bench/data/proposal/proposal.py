"""A ``classes.yaml`` for a folder of images and masks, proposed from what is in them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from bench.data.datasets.folder import Classes
from bench.data.files.layout import Layout
from bench.data.files.unknown import Meaning
from bench.data.proposal import labels, layouts, names
from bench.data.proposal.labels import Labels
from bench.settings import validate
from bench.yaml_files import PlainLoader

MOST_FOLDS = 5
RARE = 0.001  # of the pixels; classes with less are named
_VOID = re.compile(r"void|unlabell?ed|ignored?|unknown|undefined|don'?t care", re.I)
_PLAIN = re.compile(r"[A-Za-z][\w -]*")
_NO_TEXT = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}  # of YAML 1.1
_BINARY: tuple[tuple[Meaning, Meaning], ...] = ((0, 1), (0, 255), ((0, 0, 0), (255, 255, 255)))


@dataclass(frozen=True)
class Proposal:
    """What was found in a folder, in ``lines``, and the ``text`` of a classes.yaml for it.

    ``folds`` is how many the images can be dealt out to, where they are in no splits.
    """

    lines: tuple[str, ...]
    text: str
    folds: int | None = None


def propose(folder: Path) -> Proposal:
    """Look at a folder, and propose its classes.yaml; UserError if it cannot be read as it is."""
    layout, splits = layouts.find(folder)
    found = labels.read(splits)
    named, about_names = _named(folder, found)
    text = "".join(f"{line}\n" for line in _text(layout, found, named))
    validate(Classes, yaml.load(text, Loader=PlainLoader), source="the proposed classes.yaml")
    counts = ", ".join(f"{len(pairs)} {split}" for split, pairs in splits.items())
    lines = [f"images with masks: {counts}"]
    folds = None
    if layouts.ALL in splits:
        folds = min(MOST_FOLDS, len(splits[layouts.ALL]))
        lines.append(
            f"they are in no splits: `folds: {{count: {folds}}}` deals them out, and `group` keeps "
            "what belongs together in one fold; or list names in train.txt and val.txt"
        )
    if found.read < found.count:
        lines.append(f"classes are those of {found.read} masks of {found.count}, evenly spaced")
    lines += [*about_names, *_remarks(layout, found, named)]
    return Proposal(tuple(lines), text, folds)


def _named(folder: Path, found: Labels) -> tuple[dict[Meaning, str], list[str]]:
    """Return the names of what is no void, and lines about where they are from.

    What a file calls void is moved to ``found.void``.
    """
    meanings, from_file, lines = found.meanings(), names.find(folder), []
    given: Mapping[Meaning, str] = {}
    if from_file is not None:
        file, known = from_file
        classes = [meaning for meaning in meanings if meaning != 255]
        fits = set(classes) <= known.keys() and (found.coloured or len(known) <= len(classes) + 1)
        given = known if fits else {}
        lines = [f"names are from {file}"]
        if not fits:
            lines = [f"{file} has {len(known)} names, which do not fit what masks hold: not used"]
        else:
            found.void = {m: why for m, why in found.void.items() if m not in given}
            void = {m: f"{file} calls it {given[m]}" for m in classes if _VOID.search(given[m])}
            found.void |= void
    kept = [meaning for meaning in meanings if meaning not in found.void]
    if not given and tuple(kept) in _BINARY:
        return dict(zip(kept, ("background", "object"), strict=True)), lines
    named: dict[Meaning, str] = {}
    for number, meaning in enumerate(kept):
        place = meaning if isinstance(meaning, int) else number
        name = given.get(meaning, f"class_{place}")
        usable = name.strip() and name.isprintable() and name not in named.values()
        named[meaning] = name if usable else f"class_{place}"
    return named, lines


def _text(layout: Layout | None, found: Labels, named: Mapping[Meaning, str]) -> Iterator[str]:
    """Yield the lines of the file."""
    which = f"all {found.count}" if found.read == found.count else f"{found.read} of {found.count}"
    yield f"# Proposed by `python -m bench data init` from {which} masks; change what is not right."
    if layout is not None:
        values = layout.model_dump(mode="json", exclude_defaults=True)
        yield from yaml.safe_dump({"files": values}, sort_keys=False, width=1000).splitlines()
    total, pixels = found.total(), found.total().total()
    yield "names:"
    for meaning, name in named.items():
        key = "-" if found.coloured else f"{meaning}:"
        masks = f"{found.masks[meaning]} mask{'s' * (found.masks[meaning] != 1)}"
        yield f"  {key} {_scalar(name)}  # {total[meaning] / pixels:.2%} of the pixels, in {masks}"
    if found.coloured:
        yield "masks: palette"
        yield "colours:"
        for meaning, name in named.items():
            yield f"  - {_flow(meaning)}  # {name}"
    if found.void:
        yield "ignore:"
    for meaning, why in found.void.items():
        share = f"{total[meaning] / pixels:.2%} of the pixels"
        yield f"  - {_flow(meaning)}  # suspected to be void: {why}; {share}"


def _remarks(layout: Layout | None, found: Labels, named: Mapping[Meaning, str]) -> Iterator[str]:
    """Yield what a user should know before training on it."""
    if layout is not None and _same_as_test(layout):
        yield "there are no images for validation: the test images are taken, here called val"
    total = Counter(
        {meaning: count for meaning, count in found.total().items() if meaning in named}
    )
    rare = [named[m] for m, count in total.items() if count < RARE * total.total()]
    if rare:
        yield f"of less than {RARE:.1%} of the pixels: {', '.join(rare)}"
    for split, counts in found.pixels.items():
        absent = [name for meaning, name in named.items() if not counts[meaning]]
        if absent:
            yield f"in no mask of {split}: {', '.join(absent)}"


def _same_as_test(layout: Layout) -> bool:
    places = [*layout.splits.items(), *layout.lists.items()]
    return any(split == "val" and "test" in place.lower() for split, place in places)


def _scalar(name: str) -> str:
    if _PLAIN.fullmatch(name) and name == name.strip() and name.lower() not in _NO_TEXT:
        return name
    return json.dumps(name, ensure_ascii=False)


def _flow(meaning: Meaning) -> str:
    return f"[{', '.join(map(str, meaning))}]" if isinstance(meaning, tuple) else str(meaning)
