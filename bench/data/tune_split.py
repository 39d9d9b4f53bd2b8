"""A split to tune on: a fifth of the training images, which are then not trained on."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

from bench.data.dataset import Dataset, Split, fingerprint
from bench.errors import UserError

TUNE = "tune"
PART = 5  # one image in so many


def cut(dataset: Dataset) -> Dataset:
    """Return the dataset with the splits ``train`` and ``tune`` alone, both of its training images.

    Which images are in ``tune`` depends on their names only: the first fifth, rounded up, in the
    order of the digests of their names. Slices of one volume are taken as images like others. The
    other splits are left out, so that nothing that is tuned can look at them.

    UserError if there are fewer than two training images.
    """
    train = dataset.splits["train"]
    if len(train.names) < 2:
        raise UserError(f"data: {dataset.name} has too few training images to tune on some of them")
    order = sorted(train.names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    chosen = set(order[: math.ceil(len(order) / PART)])
    rest = [name for name in train.names if name not in chosen]
    parts = {"train": rest, TUNE: [name for name in train.names if name in chosen]}
    splits = {
        name: replace(
            train, names=tuple(names), fingerprint=fingerprint(train.fingerprint, TUNE, name)
        )
        for name, names in parts.items()
    }
    found: dict[str, Split] = splits
    return replace(dataset, splits=found, fingerprint=fingerprint(dataset.fingerprint, TUNE))
