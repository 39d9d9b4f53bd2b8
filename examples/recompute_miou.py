"""Compute the mean IoU of stored trials again, with nothing of this project but the network.

    python examples/recompute_miou.py results/EXPERIMENT data/FOLDER

FOLDER is a dataset of PNG files: images/val/NAME.png, masks/val/NAME.png with labels 0, 1, … as
values, 255 for void. The trials are padded U-Nets, trained in float32, whose weights are stored.
Each is built from its record, given its weights, and predicts every validation image; one
confusion matrix counts all pixels. The script prints what it finds and what the record says, and
ends with status 1 if they differ by more than 1e-12.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

from unet import UNet

VOID = 255
OPTIONS = ("base_channels", "depth", "upsampling", "padding", "norm", "dropout")


def network_of(record, results):
    """Return the trained network of a record, in evaluation mode."""
    weights = load_file(results / record["result"]["checkpoint"])
    options = {name: record["settings"]["model"][name] for name in OPTIONS}
    channels = weights["inc.double_conv.0.weight"].shape[1]
    model = UNet(channels, len(record["result"]["classes"]), **options)
    model.load_state_dict(weights)
    return model.eval()


def predict(model, pixels, shape, multiple):
    """Return labels (H, W) of an image (H, W, channels) that is normalised already.

    Height and width are mirrored to the next multiple, the image in the middle, and cropped again.
    """
    missing = [-side % multiple for side in shape]
    before = [more // 2 for more in missing]
    around = [(b, m - b) for b, m in zip(before, missing, strict=True)]
    padded = np.pad(pixels, [*around, (0, 0)], mode="reflect")
    with torch.inference_mode():
        logits = model(torch.from_numpy(padded).permute(2, 0, 1)[None])[0]
    (top, left), (height, width) = before, shape
    return logits[:, top : top + height, left : left + width].argmax(0).numpy()


def confusion_matrix(record, results, dataset):
    """Return how many pixels of each true class (row) were given each label (column)."""
    model, classes = network_of(record, results), len(record["result"]["classes"])
    scale = record["result"]["input"]
    mean, std = (np.array(scale[name], np.float32) for name in ("mean", "std"))
    matrix = np.zeros((classes, classes), np.int64)
    for file in sorted((dataset / "images/val").glob("*.png")):
        image = np.array(Image.open(file).convert("RGB"))
        truth = np.array(Image.open(dataset / "masks/val" / file.name)).astype(np.int64)
        pixels = (image.astype(np.float32) - mean) / std
        depth = record["settings"]["model"]["depth"]
        labels = predict(model, pixels, truth.shape, 2**depth)
        counted = truth != VOID
        np.add.at(matrix, (truth[counted], labels[counted]), 1)
    return matrix


def mean_iou(matrix):
    """Return the mean IoU over the classes that are true or predicted anywhere."""
    intersection = np.diag(matrix)
    union = matrix.sum(0) + matrix.sum(1) - intersection
    return float(np.mean(intersection[union > 0] / union[union > 0]))


def main(results, dataset):
    """Compare every record with weights; return how many differ from what is found here."""
    differing = compared = 0
    for file in sorted((results / "trials").glob("*.json")):
        record = json.loads(file.read_text())
        result = record["result"]
        if record["status"] != "done" or result["checkpoint"] is None or result["split"] != "val":
            continue
        found = mean_iou(confusion_matrix(record, results, dataset))
        stored = result["metrics"]["mean_iou"]
        trial = f"{record['label']}, seed {record['seed']}"
        sys.stdout.write(f"{trial}: {found:.15f} here, {stored:.15f} stored\n")
        compared += 1
        differing += abs(found - stored) > 1e-12
    sys.stdout.write(f"{compared} trials compared, {differing} differ\n")
    return differing if compared else 1


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(min(main(*map(Path, sys.argv[1:3])), 1))
