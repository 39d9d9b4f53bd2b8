"""What the harness itself takes: around a trial's steps, planning, scanning, loading."""

import albumentations as A
import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from bench.data import registry
from bench.data.batches import Batches, BatchSettings
from bench.data.normalisation import EIGHT_BITS
from bench.experiment import plan
from bench.experiment.config import Experiment
from bench.experiment.trial import TrialSettings
from bench.store.folder import Store
from bench.store.records import Record
from bench.store.results import AccuracyResult
from bench.training.loop import train
from bench.training.models import build
from unet.losses import DiceCELoss

CPU = torch.device("cpu")
SCENES = {"name": "scenes", "train": 24, "val": 2, "test": 1}


def test_a_trial_takes_little_more_than_its_steps(race, tmp_path):
    """Training as the harness does it, and the same steps in a bare loop over the same crops."""
    settings = TrialSettings.model_validate(
        {
            "data": SCENES,
            "model": {"base_channels": 32, "upsampling": "bilinear"},
            "train": {"crop_size": 96, "batch_size": 4, "epochs": 2, "loss": "dice+ce"},
        }
    )
    dataset = registry.load(settings.data, tmp_path)
    classes, recipe = len(dataset.classes), settings.train
    batches = Batches(dataset.splits["train"], recipe, seed=0, workers=0)
    crops = [list(batches.epoch(epoch)) for epoch in (1, 2)]

    def network():
        torch.manual_seed(0)
        model = build(settings.model, 3, classes)
        return model.to(memory_format=torch.channels_last)

    def harness():
        train(
            network(),
            batches,
            recipe,
            device=CPU,
            evaluate=lambda model: {"mean_iou": None},
            evaluate_every=9,
        )

    def bare():
        model = network()
        optimizer = torch.optim.Adam(model.parameters(), recipe.learning_rate, fused=True)
        loss_function = DiceCELoss()
        for epoch in crops:
            for images, labels in epoch:
                optimizer.zero_grad(set_to_none=True)
                loss_function(model(EIGHT_BITS(images, CPU)), labels.long()).backward()
                optimizer.step()

    seconds = race({"harness": harness, "bare loop": bare}, rounds=11)
    assert seconds["harness"] <= 1.03 * seconds["bare loop"]


def test_100_000_trials_are_planned(race, tmp_path):
    described = Experiment.model_validate(
        {
            "name": "many",
            "data": SCENES,
            "factors": {
                "train.loss": ["ce", "dice"],
                "model.upsampling": ["bilinear", "transposed"],
                "train.crop_size": list(range(32, 57)),
                "train.learning_rate": [1e-4 * (1 + i) for i in range(100)],
            },
            "seeds": 10,
        }
    )
    assert len(plan.plan(described, tmp_path)) == 100_000
    seconds = race({"ours": lambda: plan.plan(described, tmp_path)}, rounds=3)
    assert seconds["ours"] <= 2


def test_10_000_stored_trials_are_scanned(race, tmp_path, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda handle: None)
    store = Store(tmp_path / "many")
    result = AccuracyResult(
        classes=tuple(map(str, range(21))), palette=((0, 0, 0),) * 21, split="val", chosen_epoch=1,
        metrics={"mean_iou": 0.5, "iou": [0.5] * 21}, counts={},
    )  # fmt: skip
    record = Record(
        key="", experiment="many", measure="accuracy", status="done", reason=None,
        arm={"train.loss": "ce"}, label="ce", seed=0, settings={"model": {"name": "unet"}},
        provenance={"data": "0" * 32, "code": "0" * 32}, environment={"torch": "0"},
        started="2026-01-01T00:00:00+00:00", seconds=1.0, result=result,
    )  # fmt: skip
    for number in range(10_000):
        changes = {"key": f"{number:020x}", "seed": number}
        store.commit(record.model_copy(update=changes), {})

    def scan():
        assert sum(one.status == "done" for one in store.records()) == 10_000

    seconds = race({"ours": scan}, rounds=3)
    assert seconds["ours"] <= 3


class PlainDataset(Dataset):
    """Files read, decoded by the study's loop, augmented and cropped anew for every sample."""

    def __init__(self, folder, names, colours):
        self.folder, self.names, self.colours = folder, names, colours
        self.transform = A.Compose(
            [A.HorizontalFlip(p=0.5), A.RandomCrop(64, 64), A.Normalize()], seed=0
        )

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        image = cv2.imread(str(self.folder / f"{self.names[index]}_image.png"))[..., ::-1]
        coloured = cv2.imread(str(self.folder / f"{self.names[index]}_mask.png"))[..., ::-1]
        labels = np.zeros(coloured.shape[:2], np.uint8)
        for label, colour in enumerate(self.colours):
            labels[(coloured == colour).all(axis=2)] = label
        both = self.transform(image=image, mask=labels)
        return torch.from_numpy(both["image"]).permute(2, 0, 1), torch.from_numpy(both["mask"])


def test_loading_an_epoch(race, tmp_path):
    """Crops of 64² of 24 images, in this process: ours beside a dataset written plainly."""
    settings = BatchSettings(crop_size=64, batch_size=4, augmentation="flip")
    dataset = registry.load(registry.module("scenes").Settings(**SCENES), tmp_path)
    split = dataset.splits["train"]
    colours = dataset.palette
    for name in split.names:
        image, mask = split.read(name)
        cv2.imwrite(str(tmp_path / f"{name}_image.png"), image[..., ::-1])
        painted = colours[np.where(mask == 255, 0, mask)]
        cv2.imwrite(str(tmp_path / f"{name}_mask.png"), painted[..., ::-1])
    ours = Batches(split, settings, seed=0, workers=0)
    plain = DataLoader(PlainDataset(tmp_path, split.names, colours), batch_size=4, shuffle=True)
    seconds = race(
        {
            "ours": lambda: [EIGHT_BITS(images, CPU) for images, _ in ours.epoch(1)],
            "plain": lambda: [images for images, _ in plain],
        },
        rounds=15,
    )
    assert seconds["ours"] < seconds["plain"]
