"""A trial measured: scores that follow from the stored matrices, pictures that are the images."""

import functools
import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import safetensors.torch
import torch

from bench.data import registry
from bench.errors import UserError
from bench.evaluation import predict
from bench.evaluation.evaluate import evaluate
from bench.execution import accuracy, scoring
from bench.experiment.context import RunContext
from bench.experiment.trial import TrialSettings
from bench.store.details import Details
from bench.store.image_counts import pack
from unet import UNet

CPU = torch.device("cpu")
SMALL = {
    "data": {"name": "scenes", "train": 4, "val": 3, "test": 2, "size": 48},
    "model": {"base_channels": 4, "depth": 2},
    "train": {"crop_size": 32, "batch_size": 2, "epochs": 2, "learning_rate": 1e-2, "threads": 1},
    "evaluate": {"panels": 2, "extremes": 0},
}


def measure(seed=0, *, anew=False, **changes):
    """Return settings, what was measured, and blobs by name; the same trial is measured once."""
    values = {name: {**section, **changes.get(name, {})} for name, section in SMALL.items()}
    return (_measured.__wrapped__ if anew else _measured)(seed, json.dumps(values))


def named(content, suffix):
    """Name a blob as a store does."""
    return f"blobs/{hashlib.sha256(content).hexdigest()}{suffix}"


@functools.cache
def _measured(seed, values):
    blobs = {}

    def put(content, suffix):
        name = named(content, suffix)
        blobs[name] = content
        return name

    settings = TrialSettings.model_validate_json(values)
    found = accuracy.measure(settings, seed, RunContext(Path(), CPU, put))
    return settings, found, blobs


def test_scores_follow_from_the_stored_matrices():
    _, found, _ = measure()
    classes = len(found.result.classes)
    matrix = np.zeros((classes, classes))
    for image in found.details["confusion"]["entries"]:
        for truth, prediction, pixels in image:
            matrix[truth, prediction] += pixels
    with np.errstate(invalid="ignore"):
        iou = matrix.diagonal() / (matrix.sum(0) + matrix.sum(1) - matrix.diagonal())
    metrics = found.result.metrics
    assert metrics["mean_iou"] == pytest.approx(np.nanmean(iou), abs=1e-12)
    assert metrics["classes_averaged"] == np.isfinite(iou).sum()
    assert metrics["classes_in_truth"] == (matrix.sum(1) > 0).sum()
    assert metrics["pixel_accuracy"] == pytest.approx(matrix.trace() / matrix.sum(), abs=1e-12)
    assert [value is None for value in metrics["iou"]] == list(np.isnan(iou))


def test_what_is_measured_can_be_stored():
    _, found, _ = measure()
    json.dumps([found.result.model_dump(), found.details], allow_nan=False)
    assert [row["epoch"] for row in found.details["history"]] == [1, 2]
    assert found.details["history"][-1]["metrics"]["mean_iou"] == found.result.metrics["mean_iou"]


def test_the_counts_for_every_metric_variant_are_stored():
    settings, found, _ = measure()
    counts = pack(Details.model_validate(found.details), len(found.result.classes))
    intersection, predicted = counts.soft
    dataset = registry.load(settings.data, Path())
    pixels = [(dataset.splits["val"].read(name)[1] != 255).sum() for name in counts.names]
    assert predicted.sum(1) == pytest.approx(pixels)  # probabilities of a pixel sum to 1
    assert (intersection <= counts.matrices().sum(2) + 1e-3).all()
    assert (intersection <= predicted + 1e-3).all()
    masks = [dataset.splits["train"].read(name)[1] for name in dataset.splits["train"].names]
    counted = [sum(int((mask == label).sum()) for mask in masks) for label in range(9)]
    assert found.details["train_pixels"] == counted


def test_the_same_seed_gives_the_same_result():
    def essence(seed):
        _, found, blobs = measure(seed, anew=True)
        losses = [row["train_loss"] for row in found.details["history"]]
        return found.result.metrics, losses, blobs

    assert essence(1) == essence(1)
    assert essence(1) != essence(2)


def test_panels_are_the_images_and_labels_themselves():
    settings, found, blobs = measure()
    split = registry.load(settings.data, Path()).splits["val"]
    assert len(found.result.examples) == 2
    for panel in found.result.examples:
        image, mask = split.read(panel.name)
        stored = {
            kind: cv2.imdecode(
                np.frombuffer(blobs[getattr(panel, kind)], np.uint8), cv2.IMREAD_UNCHANGED
            )
            for kind in ("image", "truth", "prediction")
        }
        assert np.array_equal(stored["image"][..., ::-1], image)
        assert np.array_equal(stored["truth"], mask)
        assert stored["prediction"].shape == mask.shape
        assert stored["prediction"].max() < len(found.result.classes)


def test_the_worst_and_best_images_are_kept_too():
    _, found, _ = measure(evaluate={"panels": 1, "extremes": 1})
    by_image = {}
    stored = found.details["confusion"]
    for name, entries in zip(stored["images"], stored["entries"], strict=True):
        matrix = np.zeros((9, 9))
        for truth, prediction, pixels in entries:
            matrix[truth, prediction] = pixels
        with np.errstate(invalid="ignore"):
            iou = matrix.diagonal() / (matrix.sum(0) + matrix.sum(1) - matrix.diagonal())
        by_image[name] = np.nanmean(iou)
    kept = {panel.why: panel for panel in found.result.examples}
    assert list(kept) == ["chosen", "worst", "best"]
    assert kept["worst"].name == min(by_image, key=by_image.get)
    assert kept["best"].name == max(by_image, key=by_image.get)
    for panel in kept.values():
        assert panel.iou == pytest.approx(by_image[panel.name], abs=1e-12)


def test_images_and_their_truth_can_be_left_out():
    _, found, blobs = measure(evaluate={"panels": 2, "extremes": 0, "pictures": "predictions"})
    assert [(one.image, one.truth) for one in found.result.examples] == [(None, None)] * 2
    predictions = {one.prediction for one in found.result.examples}
    assert {name for name in blobs if name.endswith(".png")} == predictions
    assert predictions <= set(found.result.blobs)


def test_no_image_is_both_worst_and_best():
    _, found, _ = measure(evaluate={"panels": 0, "extremes": 2})
    panels = found.result.examples
    assert [panel.why for panel in panels] == ["worst", "worst", "best"]
    assert len({panel.name for panel in panels}) == 3


def test_membranes_are_scored_as_the_challenge_does(made_up_data):
    settings = TrialSettings.model_validate(
        {**SMALL, "data": {"name": "isbi2012"}, "train": {**SMALL["train"], "epochs": 1}}
    )
    context = RunContext(made_up_data, CPU, put=named)
    found = accuracy.measure(settings, 0, context)
    rows = [image["scores"] for image in found.details["per_image"].values()]
    assert len(rows) == found.result.counts["evaluated_images"]
    for name in ("v_rand", "v_rand_split", "v_info", "v_info_merge", "pixel_error"):
        expected = np.mean([row[name] for row in rows if row[name] is not None])
        assert found.result.metrics[name] == pytest.approx(expected, abs=1e-12)
    assert found.result.metrics["pixel_error"] == pytest.approx(
        1 - found.result.metrics["pixel_accuracy"], abs=1e-12
    )


def test_counts_say_what_was_done():
    _, found, _ = measure()
    counts = found.result.counts
    classes = len(found.result.classes)
    parameters = sum(p.numel() for p in UNet(3, classes, base_channels=4, depth=2).parameters())
    done = {"train_images": 4, "dropped_images": 0, "evaluated_images": 3, "steps": 4, "epochs": 2}
    assert counts == {**counts, **done, "parameters": parameters, "step_pixels": 2 * 32 * 32}
    assert found.result.memory is None  # on a CPU


def test_a_batch_of_all_images_is_as_large_as_there_are_images():
    _, found, _ = measure(train={"batch_size": 9})
    assert found.result.counts["step_pixels"] == 4 * 32 * 32


def test_the_test_images_are_not_looked_at_during_training():
    _, found, _ = measure(evaluate={"split": "test", "keep": "best"})
    assert found.result.watched_split == "val"
    assert found.result.counts["evaluated_images"] == 2


def test_a_checkpoint_is_the_network_that_was_scored():
    settings, found, blobs = measure(evaluate={"checkpoint": True})
    dataset = registry.load(settings.data, Path())
    model = UNet(3, len(dataset.classes), base_channels=4, depth=2)
    model.load_state_dict(safetensors.torch.load(blobs[found.result.checkpoint]))
    predictor = predict.predictor(settings.model, settings.train, device=CPU, precision="fp32")
    again = evaluate(model, dataset.splits["val"], predictor, len(dataset.classes))
    assert scoring.scores(again).items() <= found.result.metrics.items()
    assert measure(evaluate={"checkpoint": False})[1].result.checkpoint is None


@pytest.mark.parametrize(
    ("counted", "problem"),
    [
        ({"frames": {"total": 1, "ok": 1}, "stats": {"unique_graphs": 1}}, None),
        ({"frames": {"total": 3, "ok": 2}, "stats": {"unique_graphs": 2}}, "gave up"),
        ({}, "compiled nothing"),
    ],
)
def test_a_record_says_whether_a_network_was_compiled(monkeypatch, counted, problem):
    """As torch counts it; what it does instead of compiling is what it does here: to run it."""

    def not_compiled(function, *, mode):
        assert mode == "default"
        for name, counts in counted.items():
            counters[name].update(counts)
        return function

    counters = pytest.importorskip("torch._dynamo.utils").counters
    monkeypatch.setattr(torch, "compile", not_compiled)
    train = {"compile": "default", "epochs": 1}
    result = measure(anew=True, train=train)[1].result
    found = result.compiled.problem
    assert found is None if problem is None else problem in found
    assert measure()[1].result.compiled is None


def test_weights_are_kept_where_they_are_small(monkeypatch):
    _, found, blobs = measure()
    size = sum(
        value.nbytes for value in safetensors.torch.load(blobs[found.result.checkpoint]).values()
    )
    monkeypatch.setattr("bench.evaluation.evaluate.SMALL", size)
    assert measure(anew=True)[1].result.checkpoint == found.result.checkpoint
    monkeypatch.setattr("bench.evaluation.evaluate.SMALL", size - 1)
    assert measure(anew=True)[1].result.checkpoint is None
    assert measure(anew=True, evaluate={"checkpoint": True})[1].result.checkpoint is not None


def test_weights_are_the_same_however_often_a_training_is_watched():
    weights = {measure(evaluate={"every": n})[1].result.checkpoint for n in (1, 2)}
    weights |= {
        measure(evaluate={"split": split})[1].result.checkpoint for split in ("train", "test")
    }
    assert len(weights) == 1


def test_what_stops_a_training_is_the_same_whichever_split_is_scored():
    kept = {}
    for split in ("val", "test", "train"):
        train = {"epochs": 6, "patience": 1, "learning_rate": 0.1}
        _, found, _ = measure(train=train, evaluate={"split": split})
        history = found.details["history"]
        assert found.result.watched_split == "val"
        assert found.result.chosen_epoch == found.result.counts["epochs"] == len(history) < 6
        assert found.result.counts["steps"] == 2 * len(history)
        kept[split] = found.result.checkpoint
    assert len(set(kept.values())) == 1


def test_an_unpadded_network_goes_through():
    _, found, _ = measure(model={"padding": "valid", "norm": "none"}, train={"crop_size": 60})
    pixels = sum(n for image in found.details["confusion"]["entries"] for _, _, n in image)
    assert pixels > 0


@pytest.fixture
def without_val(monkeypatch):
    """Datasets that have no images for validation."""
    real = registry.load

    def load(settings, root):
        whole = real(settings, root)
        splits = {name: split for name, split in whole.splits.items() if name != "val"}
        return whole.__class__(**{**vars(whole), "splits": splits})

    monkeypatch.setattr(registry, "load", load)


def test_a_split_that_is_not_there_is_named(without_val):
    with pytest.raises(UserError, match="scenes has no val split here; it has train, test"):
        measure(anew=True)


def test_a_final_run_without_validation_watches_nothing(without_val):
    _, found, _ = measure(anew=True, evaluate={"split": "test"})
    assert found.result.watched_split is None
    assert [row["metrics"] for row in found.details["history"]] == [{}, {}]
    assert found.result.metrics["mean_iou"] is not None


def test_without_validation_no_epoch_can_be_chosen(without_val):
    with pytest.raises(UserError, match="no val split"):
        measure(anew=True, evaluate={"split": "test", "keep": "best"})
