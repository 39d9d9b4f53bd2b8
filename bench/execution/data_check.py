"""What is wrong with the images of an experiment, found before anything is trained on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.data import absent_classes, inspect, problems, registry
from bench.data.dataset import DatasetSettings
from bench.data.tune_split import TUNE
from bench.errors import UserError, UserErrors
from bench.experiment.trial import Trial


def check(trials: Sequence[Trial], measure: str, root: Path) -> list[str]:
    """Read once what trials are trained and scored on; return a line for each thing to know.

    UserError names files that cannot be read, those of the same cause together, and splits on which
    nothing can be scored.
    """
    splits: dict[DatasetSettings, set[str]] = {}
    scored: dict[DatasetSettings, set[str]] = {}
    for settings in {id(trial.arm): trial.arm.settings for trial in trials}.values():
        # What is tuned on is a part of the training images.
        read, on = settings.splits(measure), settings.evaluate.split
        splits.setdefault(settings.data, set()).update(set(read) - {TUNE})
        scored.setdefault(settings.data, set()).add("train" if on == TUNE else on)
    lines = []
    for data, names in splits.items():
        dataset = registry.load(data, root)
        found = {
            name: inspect.read(split, compare=False)
            for name, split in dataset.splits.items()
            if name in names
        }
        pairs = sum(report.images for report in found.values())
        errors = [error for report in found.values() for error in report.problems]
        if errors:
            raise UserErrors(UserError(line) for line in problems.grouped(errors, pairs))
        for name in sorted(scored[data] & found.keys()):
            why = absent_classes.refusal(name, found[name], dataset.classes)
            if why is not None:
                raise UserError(f"data: {dataset.name}: {why}")
        if not found["train"].pixels[: len(dataset.classes)].any():
            raise UserError(f"data: {dataset.name}: every pixel of the train split is void")
        told = absent_classes.remarks(found, dataset.classes)
        lines += [f"{dataset.name}: {line}" for line in told]
    return lines
