"""Real trials at toy size, measured by the real code: once a run, for all processes of it."""

import dataclasses
import itertools
import math

import cv2
import numpy as np
import pytest
import torch
import yaml

from bench.__main__ import main
from bench.measurements import MEASUREMENTS
from bench.profiling import device_state, peaks
from bench.profiling.timing import WarmUp
from bench.store.folder import Store
from bench.training.step import Step
from tests.shared import once

# fmt: off
MSRC = {
    "building": (128, 0, 0), "grass": (0, 128, 0), "tree": (128, 128, 0), "cow": (0, 0, 128),
    "sheep": (0, 128, 128), "sky": (128, 128, 128), "aeroplane": (192, 0, 0),
    "water": (64, 128, 0), "face": (192, 128, 0), "car": (64, 0, 128), "bicycle": (192, 0, 128),
    "flower": (64, 128, 128), "sign": (192, 128, 128), "bird": (0, 64, 0), "book": (128, 64, 0),
    "chair": (0, 192, 0), "road": (128, 64, 128), "cat": (0, 192, 128), "dog": (128, 192, 128),
    "body": (64, 64, 0), "boat": (192, 64, 0),
}
# fmt: on
ABSENT = 5  # label of a class that no image has, where there are so many
SIZES = [(72, 108), (108, 72), (72, 108), (72, 96)]  # of every third validation image
IMAGES = {"train": 40, "val": 12}
BATCH = 4
STEPS = IMAGES["train"] // BATCH  # in an epoch

TOY = {
    "model": {"base_channels": 2, "depth": 1},
    "train": {"crop_size": 48, "batch_size": BATCH, "learning_rate": 3e-2, "threads": 1},
}
ACCURACY = {
    "train": {"epochs": 2},
    "evaluate": {"panels": 4, "extremes": 2, "study": True},
    "seeds": [0, 1],
}
DIVERGING = {"train": {"epochs": 2}, "evaluate": {"study": True}, "seeds": [0]}
TUNED = {
    "train": {"epochs": 1},
    "factors": {"train.loss": ["ce", "dice"]},
    "baseline": {"train.loss": "ce"},
    "seeds": [0, 1],
    "tune": {"train.learning_rate": [3e-3, 3e-2], "seeds": [100, 101], "extend": 1},
}
THROUGHPUT = {
    "measure": "throughput",
    "model": {"depth": 2},
    "timing": {"window": 0.002, "windows": 3, "warm_up": 0.02, "measuring": 0.002},
    "seeds": [0],
}


def scored(folder, classes):
    """Return a store of one network, trained with two seeds, for a number of classes."""
    return _store(folder / f"scored{classes}", classes, ACCURACY, status=0)


def tuned(folder):
    """Return a store of two networks whose learning rate was tuned."""
    return _store(folder / "tuned", 3, TUNED, status=0)


def diverged(folder):
    """Return a store whose only trial has no result: in its second epoch the loss is no number."""
    losses, forward = itertools.count(), Step.forward

    def loss(step, *batch):
        return forward(step, *batch) * (1 if next(losses) < STEPS else math.nan)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Step, "forward", loss)
        return _store(folder / "diverged", 3, DIVERGING, status=1)


def timed(folder):
    """Return a store of one step of training that was timed, as on a quiet machine."""
    with pytest.MonkeyPatch.context() as patch:
        here = dataclasses.replace(MEASUREMENTS["throughput"], fresh_process=False)
        patch.setitem(MEASUREMENTS, "throughput", here)
        patch.setitem(peaks.SIZES, "cpu", (2**20, 128))
        patch.setattr(device_state, "problems", lambda *states, **rest: ([], []))
        patch.setattr(WarmUp, "problem", lambda warm, clock: None)
        return _store(folder / "timed", 3, THROUGHPUT, status=0)


def _store(folder, classes, experiment, *, status):
    def measure(target):
        values = {name: {**TOY.get(name, {}), **part} for name, part in _sections(experiment)}
        data = {"name": "folder", "path": "toy"}
        body = {**TOY, **experiment, **values, "name": "real", "data": data}
        write_images(target / "data" / "toy", classes)
        (target / "real.yaml").write_text(yaml.safe_dump(body))
        run = ["run", target / "real.yaml", "--results", target, "--data", target / "data"]
        threads = torch.get_num_threads()
        assert main([*map(str, run), "--device", "cpu", "--quiet"]) == status
        torch.set_num_threads(threads)

    return Store(once(folder, measure) / "real")


def _sections(experiment):
    return [(name, part) for name, part in experiment.items() if isinstance(part, dict)]


def write_images(folder, classes):
    """Write a dataset of photographs of sorts, with MSRC's first classes and their colours."""
    for split, count in IMAGES.items():
        for kind in ("images", "masks"):
            (folder / kind / split).mkdir(parents=True)
        for i in range(count):
            size = SIZES[i // 3 % len(SIZES)] if split == "val" else SIZES[0]
            rng = np.random.default_rng([i, split == "val"])
            for kind, picture in zip(("images", "masks"), draw(i, classes, size, rng), strict=True):
                cv2.imwrite(str(folder / kind / split / f"{i:02d}.png"), picture)
    names = dict(itertools.islice(MSRC.items(), classes))
    colours = [list(colour) for colour in names.values()]
    (folder / "classes.yaml").write_text(
        yaml.safe_dump({"names": [*names], "colours": colours, "ignore": [255]})
    )


def draw(number, classes, size, rng):
    """Return an image of textured regions, and its labels with a void border between them."""
    height, width = size
    known = [label for label in range(classes) if label != ABSENT]
    present = np.array([known[(5 * number + i) % len(known)] for i in range(5)])
    centres = rng.random((5, 2)) * size
    grid = np.stack(np.mgrid[:height, :width], -1)
    distance = np.linalg.norm(grid[:, :, None] - centres, axis=-1)
    truth = present[distance.argmin(-1)].astype(np.uint8)
    near = np.sort(distance, -1)
    colours = np.random.default_rng(0).integers(40, 216, (256, 3))
    image = colours[truth] + 25 * rng.standard_normal((height, width, 1)) + grid[..., :1] / 2
    truth[near[..., 1] - near[..., 0] < 3] = 255
    return image.clip(0, 255).astype(np.uint8), truth
