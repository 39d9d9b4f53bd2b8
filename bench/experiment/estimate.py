"""How long the trials of a plan will take: as long as they took, or by a few training steps."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import torch

from bench.data import registry
from bench.data.dataset import Dataset, DatasetSettings
from bench.experiment.trial import Trial, TrialSettings
from bench.measurements import MEASUREMENTS
from bench.store.folder import Store
from bench.store.records import Record
from bench.training import models
from bench.training.precision import autocast

PROCESS = 6.0  # seconds to start a process and to measure what the device can do at best
COMPILING = 60.0  # seconds
# The settings of training that change what a step costs.
COSTLY = {"crop_size", "crop_of", "batch_size", "precision", "channels_last", "threads"}
PATIENCE = 0.5  # seconds to time the steps of one network; the first are slow on every device


def each(
    measure: str, trials: list[Trial], store: Store, *, root: Path, device: torch.device
) -> dict[str, float]:
    """Estimate the time that each of some trials takes, in seconds by key.

    An arm that has been measured takes as long again. For any other a few training steps are
    timed, once for all arms that differ in nothing that costs time. Good to a factor of two.
    ``store`` holds what was measured before, ``root`` the datasets.
    """
    readable = store.held(store.keys()).values()
    took = {_text(one.settings): _took(one) for one in readable if one.status == "done"}
    step_times: dict[str, float] = {}
    datasets: dict[DatasetSettings, Dataset] = {}
    found: dict[str, float] = {}
    for trial in trials:
        settings = trial.arm.settings
        known = took.get(_text(trial.arm.effective))
        if known is None and not MEASUREMENTS[measure].trains:
            known = _timing(settings)
        if known is None:
            recipe = settings.train.model_dump(include=COSTLY)
            costs = _text({"model": settings.model.effective(), "steps": recipe})
            if costs not in step_times:
                step_times[costs] = _image_seconds(settings, device)
            if settings.data not in datasets:
                datasets[settings.data] = registry.load(settings.data, root)
            known = step_times[costs] * _images(settings, datasets[settings.data])
        found[trial.key] = known
    return found


def _took(record: Record) -> float:
    """Return the seconds of a trial, also those before it was interrupted."""
    trained = record.accuracy.training_seconds if record.accuracy else None
    return max(record.seconds, trained or 0.0)


def _timing(settings: TrialSettings) -> float:
    """Add up a throughput trial: its process, its windows, and as many again to warm up."""
    timing, compiled = settings.timing, settings.train.compile != "none"
    return PROCESS + 2 * timing.windows * timing.window + COMPILING * compiled


def _text(settings: object) -> str:
    return json.dumps(settings, sort_keys=True)


def _images(settings: TrialSettings, dataset: Dataset) -> float:
    """Count crops trained on in a trial; an image evaluated is worth a third of one."""
    splits, train = dataset.splits, settings.train
    trained = train.epochs * len(splits["train"].names)
    evaluations = train.epochs // settings.evaluate.every + 1
    evaluated = splits.get(settings.evaluate.split, splits["train"])
    return trained + evaluations * len(evaluated.names) / 3


def _image_seconds(settings: TrialSettings, device: torch.device) -> float:
    """Time training steps and return the fastest by the image.

    A CPU takes as long for each image of a batch as for one alone; other devices do not.
    """
    train = settings.train
    torch.set_num_threads(train.threads)
    batch = 1 if device.type == "cpu" else train.batch_size
    layout = torch.channels_last if train.channels_last else torch.contiguous_format
    network = models.build(settings.model, 3, 16).to(device).to(memory_format=layout)
    size = (batch, 3, settings.input_size, settings.input_size)
    inputs = torch.randn(size, device=device).contiguous(memory_format=layout)
    fastest, started = math.inf, time.perf_counter()
    while time.perf_counter() - started < PATIENCE or fastest == math.inf:
        clock = time.perf_counter()
        with autocast(device, train.precision):
            outputs = network(inputs)
        outputs.float().square().mean().backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        fastest = min(fastest, time.perf_counter() - clock)
    return fastest / batch
