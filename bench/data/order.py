"""Which images a batch is of: the order of a training, from its seed alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np


class Order:
    """A batch sampler: another permutation for each epoch, cut into full batches.

    An epoch omits the images of an incomplete last batch, unless it would be the only one.
    """

    def __init__(self, length: int, batch_size: int, *, seed: int) -> None:
        self.length = length
        self.batch_size = min(batch_size, length)
        self.seed = seed
        self.first = 1  # the epoch that iterating begins with

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return self.length // self.batch_size

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """Yield the (epoch, index) of each sample of a batch, epoch after epoch without an end."""
        return itertools.chain.from_iterable(map(self.of, itertools.count(self.first)))

    def of(self, epoch: int) -> Iterator[list[tuple[int, int]]]:
        """Yield the batches of one epoch."""
        order = np.random.default_rng([self.seed, epoch]).permutation(self.length)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            chosen = order[start : start + self.batch_size]
            yield [(epoch, int(index)) for index in chosen]
