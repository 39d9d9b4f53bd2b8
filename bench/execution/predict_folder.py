"""Predict the images of a folder with a stored network: what ``python -m bench predict`` does."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray
from torch import nn

from bench.data.dataset import Image, Mask
from bench.data.files import multichannel
from bench.data.files.pairs import IMAGE_SUFFIXES
from bench.data.files.palette import to_colours
from bench.data.pictures import picture
from bench.errors import UserError, nearest, out_of_memory
from bench.evaluation.predict import VIEWS, Predictor
from bench.execution import scoring
from bench.machine import environment
from bench.store import load_model
from bench.store.files import write_whole
from bench.store.folder import Store
from bench.training.precision import Precision, float32_as

MASKS, OVERLAYS = "masks", "overlays"  # folders of what is written


@dataclass(frozen=True)
class Network:
    """A stored network on a device, how it predicts, and what its labels are."""

    model: nn.Module
    predictor: Predictor
    precision: Precision
    channels: int
    classes: tuple[str, ...]
    palette: NDArray[np.uint8]


def load(
    store: Store,
    *,
    arm: str | None = None,
    seed: int | None = None,
    key: str | None = None,
    tta: str | None = None,
    device: str = "auto",
) -> Network:
    """Return the network of a trial; ``tta`` None predicts as the trial was set to.

    UserError if that is no single trial, its weights were not kept, or an argument is wrong.
    """
    if tta is not None and tta not in VIEWS:
        raise UserError(f"--tta: unknown tta {tta!r}{nearest(tta, VIEWS)}")
    found = environment.find_device(device)
    record = load_model.finished(store, arm=arm, seed=seed, key=key)
    trained = load_model.of_record(store, record)
    settings = scoring.settings_of(store, record, {} if tta is None else {"tta": tta})
    torch.set_num_threads(settings.train.threads)
    environment.use(found)
    model, upright = scoring.on_device(trained, settings, found)
    result = record.accuracy
    if result is None:
        raise ValueError(f"{record.key} trained nothing")
    return Network(
        model,
        replace(upright, views=settings.evaluate.tta),
        settings.train.precision,
        trained.in_channels,
        result.classes,
        np.array(result.palette, np.uint8),
    )


def images_in(folder: Path, output: Path, *, force: bool) -> list[Path]:
    """Return the images of a folder, none of which, and nothing else, would be written over.

    UserError if the folder holds none, two would have the same mask, or a file is in the way.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: is no folder of images")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise UserError(f"{folder}: holds no images ({', '.join(IMAGE_SUFFIXES)})")
    by_stem: dict[str, Path] = {}
    for path in files:
        other = by_stem.setdefault(path.stem, path)
        if other != path:
            raise UserError(f"{folder}: {other.name} and {path.name} would have the same mask")
    written = [output / kind for kind in (MASKS, OVERLAYS)]
    if folder.resolve() in [each.resolve() for each in (output, *written)]:
        raise UserError(f"--output: {output} is where the images are; name another folder")
    taken = [path for path in _targets(files, output) if path.exists()]
    if taken and not force:
        more = f" and {len(taken) - 1} more" if len(taken) > 1 else ""
        are = "exist" if more else "exists"
        raise UserError(f"{taken[0]}{more}: {are} already; --force replaces what is there")
    return files


def predict(network: Network, path: Path, output: Path) -> None:
    """Write the mask and the overlay of one image; UserError if it cannot be read or predicted."""
    image = multichannel.read(path, network.channels)
    with float32_as(network.precision):
        try:
            labels = network.predictor.labels_of_any_size(network.model, image)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
        except Exception as error:
            if not out_of_memory(error):
                raise
            height, width = image.shape[:2]
            raise UserError(
                f"{path}: memory does not suffice for {height}x{width} pixels"
            ) from error
    pictures = mask_png(labels, network.palette), overlay_png(image, labels, network.palette)
    for target, content in zip(_targets([path], output), pictures, strict=True):
        write_whole(target, content)


def mask_png(labels: Mask, palette: NDArray[np.uint8]) -> bytes:
    """Return labels (H, W) as a PNG whose values they are, and whose colour table is a palette."""
    mask = PIL.Image.fromarray(labels)
    table = np.zeros((256, 3), np.uint8)
    table[: len(palette)] = palette
    mask.putpalette(table.tobytes())
    return _png(mask)


def overlay_png(image: Image, labels: Mask, palette: NDArray[np.uint8]) -> bytes:
    """Return a PNG of an image that is half covered by the colours of its labels."""
    shown = picture(image).astype(np.uint16)
    mixed = (shown + to_colours(labels, palette)) // 2
    return _png(PIL.Image.fromarray(mixed.astype(np.uint8)))


def _targets(files: Sequence[Path], output: Path) -> Iterator[Path]:
    for path in files:
        yield from (output / kind / f"{path.stem}.png" for kind in (MASKS, OVERLAYS))


def _png(drawn: PIL.Image.Image) -> bytes:
    content = io.BytesIO()
    drawn.save(content, "PNG")
    return content.getvalue()
