"""The digest of the images and labels that a trial reads."""

from __future__ import annotations

from pathlib import Path

from bench.data.dataset import Dataset, fingerprint
from bench.experiment.trial import Trial


def of_dataset(dataset: Dataset, splits: tuple[str, ...]) -> str:
    """Digest what a trial reads: adding test images makes no trial on validation stale."""
    read = [dataset.splits[name].fingerprint for name in splits if name in dataset.splits]
    # Where no images are read, only the classes and the number of channels matter.
    return fingerprint(*dataset.classes, *(read or [f"{dataset.in_channels} channels"]))


def of_trial(trial: Trial, measure: str, root: Path) -> str:
    """Return the digest of a trial's images as they are now; of files that are as they were when
    this process looked last (size, times, inode), the content is not read again.

    UserError if they are not there, or not what they should be.
    """
    settings = trial.arm.settings
    if trial.one_split:
        return of_dataset(settings.dataset(root, trial.seed), (settings.evaluate.split,))
    return of_dataset(settings.dataset(root), settings.splits(measure))
