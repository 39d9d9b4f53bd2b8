"""Folds for cross-validation: which images are held out, dealt out whole groups at a time.

::

    data:
      name: folder
      path: scans
      folds: {count: 5, fold: seed, group: "(patient\\d+)_", stratify: true}

Images of a group, such as the slices of one patient, are in the same fold. ``group`` is a regular
expression: what its parentheses fit in an image's name, or all that it fits without any, is the
name of its group. Or it is a column of a table (CSV) in the data folder of the images:
``group: {table: patients.csv, image: file, column: patient}``.

``fold: 2`` holds out fold 2. As a factor, ``data.folds.fold: [0, 1, 2, 3, 4]``, it is a block: each
arm is measured on every fold, and effects of the other factors are means over folds. ``fold: seed``
makes it a source of variation: the trial with seed s holds out fold s modulo ``count`` of dealing
s // ``count``, so that arms are compared within a seed, hence on the same images.

Training sets of folds overlap, so that scores of seeds are not independent. Reports allow for that
(``bench/analysis/stats/folds.py``): intervals over S seeds are sqrt(1 + S / (count - 1)) as wide.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PrivateAttr, field_validator, model_validator

from bench import plain_files
from bench.errors import UserError, nearest
from bench.settings import Settings

_NAMED = 3  # images that a message names


class Column(Settings):
    """A column of a table that names the group of each image."""

    table: str = Field(min_length=1)
    column: str
    image: str = Field("image", description="the column with names of images")


class Folds(Settings):
    """Settings of cross-validation; ``repeat`` and ``seed`` number the ways to deal images out."""

    count: int = Field(5, ge=2)
    fold: int | Literal["seed"] = Field(0, description="held out; seed: another one for each seed")
    group: str | Column | None = Field(None, description="images of a group are in one fold")
    stratify: bool = Field(False, description="balance in how many images each class occurs")
    repeat: int = Field(0, ge=0)
    seed: int = Field(0, ge=0)
    _by_seed: bool = PrivateAttr(False)  # whether the seed of a trial chose the fold

    @field_validator("fold", mode="before")
    @classmethod
    def _is_a_fold(cls, fold: object) -> object:
        if fold != "seed" and not (isinstance(fold, int) and fold >= 0):
            raise ValueError(f"an integer from 0 on, or seed, not {fold!r}")
        return fold

    @field_validator("group")
    @classmethod
    def _can_be_read(cls, group: str | Column | None) -> str | Column | None:
        if isinstance(group, str):
            check_pattern(group)
        return group

    @model_validator(mode="after")
    def _fold_exists(self) -> Folds:
        if self.fold == "seed":
            if self.repeat:
                raise ValueError("repeat: with fold: seed, the seed decides it")
        elif self.fold >= self.count:
            raise ValueError(f"fold: {self.fold} of {self.count}: folds count from 0")
        return self

    def for_seed(self, seed: int) -> Folds:
        """Return the settings with the fold that a trial of this seed holds out."""
        if self.fold != "seed":
            return self
        update = {"repeat": seed // self.count, "fold": seed % self.count}
        chosen = self.model_copy(update=update)
        chosen._by_seed = True
        return chosen


def check_pattern(group: str) -> None:
    """Raise ValueError if a group cannot be read from names by this regular expression."""
    try:
        pattern = re.compile(group)
    except re.error as error:
        raise ValueError(f"{group!r} is no regular expression ({error})") from error
    if pattern.groups > 1:
        raise ValueError(f"{group!r} has more than one pair of parentheses")


def groups(names: Sequence[str], folds: Folds, folder: Path) -> tuple[str, ...]:
    """Return the group of each image; the image itself where none are asked for.

    ``folder`` is where a table lies. UserError if an image has no group.
    """
    if folds.group is None:
        return tuple(names)
    if isinstance(folds.group, Column):
        path = folder / folds.group.table
        table = _table(path, folds.group)
        found = {name: _looked_up(name, table) for name in names}
        lacks = f"{path}: column {folds.group.column!r} has no group"
    else:
        found = {name: fitting(folds.group, name) for name in names}
        lacks = f"data.folds.group: {folds.group!r} finds no group"
    without = [name for name, group in found.items() if not group]
    if without:
        more = f" and {len(without) - _NAMED} more" if len(without) > _NAMED else ""
        raise UserError(f"{lacks} for {', '.join(without[:_NAMED])}{more}")
    return tuple(group for group in found.values() if group)


def deal(
    groups: Sequence[str], folds: Folds, presence: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Return the fold of each of N images: whole groups, folds of sizes as equal as that allows.

    ``presence`` is (N, C), which classes an image has; in how many images of a fold each class is,
    is then balanced along with the sizes. Groups are dealt out one by one, large ones first, each
    to the fold with which the shares of a class spread least: as scikit-learn's
    StratifiedGroupKFold does, but for any number of classes in an image, and so that dealings
    differ. Beside iterative stratification (Sechidis, Tsoumakas and Vlahavas, "On the
    Stratification of Multi-Label Data", 2011) the shares of classes in folds of made-up groups
    differed by up to 10 % less, and the sizes of folds by half as much. The order of images does
    not matter.

    UserError if there are fewer groups than folds.
    """
    names, member = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
    if len(names) < folds.count:
        what = "images" if folds.group is None else "groups of images"
        raise UserError(f"data.folds.count: {folds.count} folds of {len(names)} {what}")
    # In how many images of a group each class is; the last column counts the images themselves.
    counts = np.zeros((len(names), 1 + (0 if presence is None else presence.shape[1])))
    np.add.at(counts[:, -1], member, 1)
    if presence is not None:
        np.add.at(counts[:, :-1], member, presence)
    shares = counts / np.maximum(1, counts.sum(0))
    order = np.random.default_rng([folds.seed, folds.repeat]).permutation(len(names))
    # Groups that are alike to a factor of four keep their random order: dealings are to differ.
    size = (np.log2(shares.sum(1)) / 2).round()
    order = order[np.argsort(-size[order], kind="stable")]
    dealt = np.zeros(len(names), np.int64)
    held = np.zeros((folds.count, shares.shape[1]))  # the share of each class that a fold has
    tried = np.eye(folds.count)[:, :, None]
    for group in order:
        spread = (held + tried * shares[group]).std(axis=1).mean(axis=1)
        dealt[group] = np.lexsort((held[:, -1], spread.round(12)))[0]
        held[dealt[group]] += shares[group]
    return dealt[member]


def note(folds: Folds, images: int, number: int) -> str:
    """Return what readers of a report have to know of scores on a fold.

    ``images`` are in ``number`` groups.
    """
    grouped = "" if folds.group is None else f" in {number} groups, which are not divided"
    alike = ", each class about as often in each" if folds.stratify else ""
    dealt = f"Cross-validation: {images} images{grouped}, in {folds.count} folds{alike}."
    if not folds._by_seed and folds.fold != "seed":
        return f"{dealt} Val is the fold that data.folds.fold names."
    return (
        f"{dealt} With seed s, val is fold s modulo {folds.count}; after every {folds.count} seeds "
        "the images are dealt out anew. So the seeds differ in their images too."
    )


def in_one_group(groups: Sequence[str], presence: NDArray[np.bool_]) -> list[int]:
    """Return the labels of the classes that one group alone has: no two folds can have these."""
    found: dict[int, set[str]] = {}
    for group, has in zip(groups, presence, strict=True):
        for label in np.flatnonzero(has):
            found.setdefault(int(label), set()).add(group)
    return sorted(label for label, where in found.items() if len(where) == 1)


def fitting(pattern: str, name: str) -> str | None:
    """Return the group that a regular expression finds in an image's name; None if it does not."""
    found = re.search(pattern, name)
    return found and (found[1] if found.re.groups else found[0])


def _looked_up(name: str, table: Mapping[str, str]) -> str | None:
    """Return what a table has for an image, named with or without its folders and suffix."""
    path = PurePosixPath(name)
    keys = (name, str(path.with_suffix("")), path.name, path.stem)
    return next((table[key] for key in keys if key in table), None)


def _table(path: Path, group: Column) -> dict[str, str]:
    """Return image → group as a CSV file has it; UserError if it has no such columns."""
    plain_files.check(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            header = list(rows.fieldnames or ())
            for column in (group.image, group.column):
                if column not in header:
                    raise UserError(f"{path}: no column {column!r}{nearest(column, header)}")
            return {row[group.image].strip(): (row[group.column] or "").strip() for row in rows}
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
