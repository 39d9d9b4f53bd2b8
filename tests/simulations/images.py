"""How often claims about such images are false, by simulating runs that share their images.

    python -m tests.simulations.images [repetitions]

Each repetition draws confusion matrices of every run on every image, and sends them through the
functions that reports use. Prints the tables of docs/statistics.md; exits with 1 if a target is
missed: in the first table, of false claims by runs alone / **on such images**, that of the latter.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.analysis.effects.image_claims import LEAST_OF_A_CLASS
from bench.analysis.stats import blocks
from bench.analysis.stats.blocks import Contrast
from bench.analysis.stats.crossed import crossed, pseudo_values
from bench.analysis.stats.images import SCORES, totals
from tests.simulations.rows import Row, print_table, write

PIXELS = 10_000  # of an image
RUN_SD = 0.01  # of the share of wrong pixels, between runs of one setting
ERROR = 0.25  # share of wrong pixels
MOST = 0.07  # false claims on such images, with 16 images or more
CHUNK = 100  # experiments drawn at once


@dataclass(frozen=True)
class Truth:
    """What is true of two settings that are compared.

    Attributes:
        images: how many were evaluated.
        seeds: how many runs each setting has.
        image: standard deviation, in units of that between runs, of how much better one setting
            is on some images than on others.
        effect: how many more pixels are wrong under the first, in the same unit.
        metric: what is compared.
        rare: in how many images the third class is; None for all.
    """

    images: int = 16
    seeds: int = 8
    image: float = 4.0
    effect: float = 0.0
    metric: str = "mean_iou"
    rare: int | None = None


def matrices(truth: Truth, experiments: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return (experiments, 2 settings, seeds, images, 3, 3) confusion matrices.

    The settings are alike but for the effect: without it the true difference is 0. Images differ
    in their classes and in how difficult they are.
    """
    shape = experiments, 2, truth.seeds, truth.images
    normal = generator.standard_normal
    wrong = ERROR + RUN_SD * normal((experiments, 2, truth.seeds, 1))
    wrong = wrong + 2 * RUN_SD * normal((experiments, 1, 1, truth.images))
    favours = truth.image * RUN_SD * normal((experiments, 1, 1, truth.images)) / 2
    sides = np.array([1.0, -1.0])[:, None, None]
    wrong = wrong + sides * (favours + truth.effect * RUN_SD / 2) + RUN_SD * normal(shape)
    shares = generator.dirichlet([4.0, 2.0, 1.0], (experiments, 1, 1, truth.images))
    if truth.rare is not None:
        shares[..., truth.rare :, 0] += shares[..., truth.rare :, 2]
        shares[..., truth.rare :, 2] = 0
    own = np.broadcast_to(shares, (*shape, 3))
    confused = np.array([[0, 0.7, 0.3], [0.8, 0, 0.2], [0.6, 0.4, 0]])
    if truth.rare is not None:
        confused = np.array([[0, 1, 0], [1, 0, 0], [0.6, 0.4, 0]])
    wrong = np.clip(wrong, 0, 1)[..., None, None] * confused + (1 - np.clip(wrong, 0, 1))[
        ..., None, None
    ] * np.eye(3)
    return np.rint(PIXELS * own[..., None] * wrong).astype(np.int64)


def differences(
    truth: Truth, repetitions: int, generator: np.random.Generator
) -> Iterator[tuple[Contrast, Contrast]]:
    """Yield what is said of these images and of such images, of each experiment."""
    score = SCORES[truth.metric]
    for start in range(0, repetitions, CHUNK):
        drawn = matrices(truth, min(CHUNK, repetitions - start), generator)
        counted = totals(drawn)
        scores = score(*np.moveaxis(counted.sum(-2), -2, 0))
        values = pseudo_values(counted, score)
        for table, images in zip(scores, values, strict=True):
            these = blocks.contrast(blocks.fit(table), [-1.0, 1.0])
            assert these is not None
            yield these, crossed(images[1] - images[0], these)


def expected(truth: Truth, generator: np.random.Generator) -> float:
    """Return the true difference: that over very many images and runs."""
    if not truth.effect:
        return 0.0
    many = Truth(4000, 20, truth.image, truth.effect, truth.metric)
    score = SCORES[truth.metric]
    found = [
        score(*np.moveaxis(totals(matrices(many, 1, generator))[0].sum(-2), -2, 0))
        for _ in range(20)
    ]
    return float(np.mean([np.diff(each.mean(1)) for each in found]))


def false_claims(
    truth: Truth, repetitions: int, generator: np.random.Generator
) -> tuple[float, float]:
    """Return how often the true difference is outside the interval: these images, such images."""
    true = expected(truth, generator)
    missed = np.zeros(2)
    for pair in differences(truth, repetitions, generator):
        missed += [not one.low <= true <= one.high for one in pair]
    return float(missed[0] / repetitions), float(missed[1] / repetitions)


def print_claims(repetitions: int, generator: np.random.Generator) -> bool:
    """Print how often claims are false where nothing differs; return whether a target is missed."""
    effects, missed = (0.0, 1.0, 4.0), False
    write("| images | seeds | image effect 0 | 1 × run sd | 4 × run sd |")
    write("| --: | --: | --: | --: | --: |")
    for images, seeds in itertools.product((10, 16, 32, 64), (2, 3, 5, 8)):
        cells = []
        for image in effects:
            truth = Truth(images, seeds, image)
            these, such = false_claims(truth, repetitions, generator)
            row = Row("", "", such, repetitions, high=MOST if images >= 16 else 1.0)
            missed |= row.missed
            flag = " **missed**" if row.missed else ""
            cells.append(f"{100 * these:.0f} / **{100 * such:.1f} %**{flag}")
        write(f"| {images} | {seeds} | {' | '.join(cells)} |")
    return missed


def rows(repetitions: int, generator: np.random.Generator) -> Iterator[Row]:
    """Yield the table of other metrics, and of a rare class."""
    for metric in SCORES:
        truth = Truth(effect=3.0, metric=metric)
        _, such = false_claims(truth, repetitions, generator)
        name = f"{metric}, 16 images, 8 seeds, true effect 3 × run sd"
        yield Row("interval for such images covers", name, 1 - such, repetitions, low=1 - MOST)
    for rare in (1, 3, LEAST_OF_A_CLASS):
        _, such = false_claims(Truth(rare=rare), repetitions, generator)
        name, high = f"16 images, 8 seeds, one of 3 classes in {rare} of them", 2.0
        if rare == LEAST_OF_A_CLASS:
            high = MOST
        yield Row("claim on such images is false", name, such, repetitions, high=high)


def main() -> int:
    """Print the tables; return 1 if a target is missed."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 4_000
    generator = np.random.default_rng(16)
    missed = print_claims(repetitions, generator)
    write("")
    missed |= print_table(rows(repetitions, generator))
    write(f"\n{repetitions:,} experiments a cell.")
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
