"""Which evaluated images belong together, such as the slices of a volume, and count as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.folds import fitting
from bench.store.frame import Results

_ONE_VOLUME = ("isbi2012",)  # data sets of which all images are slices of one volume


@dataclass(frozen=True, eq=False)
class Groups:
    """Groups of images; without any, each image is one."""

    member: NDArray[np.int64]  # (N,) number of the group that each image is in
    noun: str  # ``image`` or ``group``

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self.member.max(initial=-1)) + 1

    def sums(self, counted: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (3, G, C) sums over the images of each group, of (3, N, C)."""
        if self.noun == "image":
            return counted
        found: NDArray[np.float64] = np.eye(self.count)[self.member].T @ counted
        return found


def groups(results: Results, key: str) -> Groups | None:
    """Return the groups of the images that a trial was evaluated on; None if they are not known.

    They are those of ``image_groups`` of the experiment, otherwise those by which its data set is
    dealt out to folds.
    """
    names, data = results.counts[key].names, results.records[key].settings.get("data", {})
    pattern: Any = results.plan.image_groups
    if pattern is None and data.get("name") in _ONE_VOLUME:
        return _numbered([""] * len(names))
    folds = data.get("folds")
    if pattern is None and isinstance(folds, dict):
        pattern = folds.get("group")
    if pattern is None:
        return Groups(np.arange(len(names)), "image")
    if not isinstance(pattern, str):  # a table, which is not stored
        return None
    found = [fitting(pattern, name) for name in names]
    return None if None in found else _numbered([str(group) for group in found])


def _numbered(found: Sequence[str]) -> Groups:
    _, member = np.unique(np.array(found, dtype=np.str_), return_inverse=True)
    return Groups(member.reshape(-1), "group")
