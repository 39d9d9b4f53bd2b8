"""MSRC-v2: 591 photographs of outdoor scenes, 21 classes, with TextonBoost's splits.

The files lie under the data folder as the official archive has them:
``msrc_v2/MSRC_ObjCategImageDatabase_v2/{Images/*.bmp, GroundTruth/*_GT.bmp}``. Splits: Shotton
et al., "TextonBoost for Image Understanding" (IJCV 2009). Horse and mountain are too rare to
be classes there: they are void.
"""

from __future__ import annotations

import functools
import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench.data.dataset import (
    IGNORE_INDEX,
    Dataset,
    DatasetSettings,
    Image,
    Mask,
    Split,
    fingerprint,
)
from bench.data.files import archives, palette
from bench.data.files.images import read_colour
from bench.errors import UserError

URL = (
    "https://download.microsoft.com/download/3/3/9/339D8A24-47D7-412F-A1E8-1A415BC48A15/"
    "msrc_objcategimagedatabase_v2.zip"
)
# As other loaders give it. It was never compared with the file, so a difference is reported
# and does not stop anybody: what counts is that all 591 pairs can be read.
REPORTED_MD5 = "8fcd292c7f1e69f91a2ef513746bd52c"

Void = Literal["ignore", "class"]
FOLDER = Path("msrc_v2", "MSRC_ObjCategImageDatabase_v2")
SPLITS = ("train", "val", "test")
_MAX_BYTES = 1 << 30  # all pictures and masks take 0.23 GiB
_NAMED = 3  # missing files that a message names

_VOID = {"void": (0, 0, 0), "horse": (128, 0, 128), "mountain": (64, 0, 0)}
_CLASSES = {
    "building": (128, 0, 0),
    "grass": (0, 128, 0),
    "tree": (128, 128, 0),
    "cow": (0, 0, 128),
    "sheep": (0, 128, 128),
    "sky": (128, 128, 128),
    "aeroplane": (192, 0, 0),
    "water": (64, 128, 0),
    "face": (192, 128, 0),
    "car": (64, 0, 128),
    "bicycle": (192, 0, 128),
    "flower": (64, 128, 128),
    "sign": (192, 128, 128),
    "bird": (0, 64, 0),
    "book": (128, 64, 0),
    "chair": (0, 192, 0),
    "road": (128, 64, 128),
    "cat": (0, 192, 128),
    "dog": (128, 192, 128),
    "body": (64, 64, 0),
    "boat": (192, 64, 0),
}


NOTE = (
    "On the 256 test images of msrc_v2's splits, TextonBoost is reported to label 72.2 % of all "
    "pixels correctly and 57.7 % as mean over the classes, Semantic Texton Forests 72 and 67 %. "
    "Beside these belong pixel accuracy and mean class accuracy of trials with "
    "evaluate.split: test, and of no others."
)


class Settings(DatasetSettings):
    """Settings of MSRC-v2: void pixels count nowhere, or are class 0 of 22.

    ``training: train+val`` is for a last run, when nothing is chosen any more: the images of both
    splits are trained on, and there is no validation.
    """

    name: Literal["msrc_v2"] = "msrc_v2"
    void: Void = "ignore"
    training: Literal["train", "train+val"] = "train"


def load(settings: DatasetSettings, root: Path) -> Dataset:
    """Open the splits whose files are installed.

    Raises:
        UserError: if train or val is not installed, or a split is there in part only.
    """
    if not isinstance(settings, Settings):
        raise ValueError(f"not the settings of msrc_v2: {settings!r}")
    folder = root / FOLDER
    names = {name: split_names(name) for name in SPLITS}
    installed = {name: own for name, own in names.items() if _is_installed(folder, name, own)}
    if absent := [name for name in ("train", "val") if name not in installed]:
        raise UserError(
            f"{folder}: the images of {' and '.join(absent)} are not there; "
            "`python -m bench data install msrc_v2` fetches or unpacks them"
        )
    if settings.training == "train+val":
        installed["train"] += installed.pop("val")
    splits = {name: _split(folder, own, settings.void) for name, own in installed.items()}
    colours = {"void": (0, 0, 0), **_CLASSES} if settings.void == "class" else _CLASSES
    return Dataset(
        name="msrc_v2",
        classes=tuple(colours),
        palette=np.array(list(colours.values()), dtype=np.uint8),
        in_channels=3,
        splits=splits,
        fingerprint=fingerprint(*colours, *(split.fingerprint for split in splits.values())),
        note="" if settings.void == "class" else NOTE,
    )


def install(
    root: Path, sources: Sequence[Path], *, progress: archives.Progress | None = None
) -> tuple[str, ...]:
    """Put the files where ``load`` looks for them.

    Args:
        root: the data folder.
        sources: archives (zip or tar), each with some or all of the images; none = download.
        progress: told how far the download is.

    Returns:
        What there is to say about it, a line each.

    Raises:
        UserError: if an archive cannot be had, is not safe, or holds nothing of MSRC-v2.
    """
    if sources:
        return tuple(_install(source, root / FOLDER) for source in sources)
    archive = root / "msrc_v2" / URL.rpartition("/")[2]
    archives.download(URL, archive, progress=progress)
    try:
        line = _install(archive, root / FOLDER)
        with archive.open("rb") as file:
            md5 = hashlib.file_digest(file, "md5").hexdigest()
    finally:
        archive.unlink()  # also if it is damaged: the next attempt shall fetch it anew
    same = "as" if md5 == REPORTED_MD5 else f"not {REPORTED_MD5}, as"
    return line, f"the archive's MD5 is {md5}, {same} other loaders give it"


def split_names(split: str) -> tuple[str, ...]:
    """Return the file names of a split, as TextonBoost lists them."""
    text = (Path(__file__).with_name("msrc_v2_splits") / f"{split}.txt").read_text("ascii")
    return tuple(text.split())


def _split(folder: Path, names: tuple[str, ...], void: Void) -> Split:
    files = [
        file for name in names for file in (folder / "Images" / name, _mask_file(folder, name))
    ]
    content = fingerprint(void, *names, *files)
    return Split(names, functools.partial(_read, folder, void, content), content)


def _read(folder: Path, void: Void, content: str, name: str) -> tuple[Image, Mask]:
    image, mask = _decoded(folder, void, content, name)
    return image.copy(), mask.copy()


@functools.lru_cache(maxsize=2 * 591)  # 320 MB, if both void rules are used in one process
def _decoded(folder: Path, void: Void, content: str, name: str) -> tuple[Image, Mask]:
    """Return an image and its labels. ``content`` makes changed files be read anew."""
    mask_file = _mask_file(folder, name)
    image, coloured = read_colour(folder / "Images" / name), read_colour(mask_file)
    if coloured.shape != image.shape:
        raise UserError(
            f"{mask_file}: {coloured.shape[0]}x{coloured.shape[1]} pixels, "
            f"its image has {image.shape[0]}x{image.shape[1]}"
        )
    return image, palette.to_labels(coloured, _table(void), source=mask_file)


@functools.cache
def _table(void: Void) -> NDArray[np.uint8]:
    first = 1 if void == "class" else 0
    void_label = 0 if void == "class" else IGNORE_INDEX
    labels = [void_label] * len(_VOID) + list(range(first, first + len(_CLASSES)))
    return palette.lookup_table([*_VOID.values(), *_CLASSES.values()], labels)


def _mask_file(folder: Path, name: str) -> Path:
    return folder / "GroundTruth" / f"{Path(name).stem}_GT.bmp"


def _is_installed(folder: Path, split: str, names: tuple[str, ...]) -> bool:
    """Tell whether a split's files are all there, or none of them; some is an error."""
    images, masks = _files(folder / "Images"), _files(folder / "GroundTruth")
    missing = [f"Images/{name}" for name in names if name not in images]
    unlabelled = [_mask_file(folder, name).name for name in names]
    missing += [f"GroundTruth/{name}" for name in unlabelled if name not in masks]
    if len(missing) == 2 * len(names):
        return False
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise UserError(
            f"{folder}: of the {split} split {len(missing)} files are missing: "
            f"{', '.join(missing[:_NAMED])}{more}"
        )
    return True


def _files(folder: Path) -> frozenset[str]:
    return frozenset(path.name for path in folder.iterdir()) if folder.is_dir() else frozenset()


def _install(archive: Path, folder: Path) -> str:
    """Unpack beside the folder, then move in the files that belong to the dataset."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".installing-") as staging:
        content = Path(staging) / "content"
        archives.unpack(archive, content, max_bytes=_MAX_BYTES, max_members=5000)
        found = {path.parts[-2:]: path for path in content.rglob("*.bmp")}
        pairs = 0
        for name in (name for split in SPLITS for name in split_names(split)):
            pair = [("Images", name), ("GroundTruth", _mask_file(folder, name).name)]
            if all(part in found for part in pair):
                pairs += 1
                for part in pair:
                    folder.joinpath(*part).parent.mkdir(parents=True, exist_ok=True)
                    found[part].replace(folder.joinpath(*part))
    if not pairs:
        raise UserError(f"{archive}: holds no image of MSRC-v2 with its mask")
    return f"{archive.name}: {pairs} images with their masks put into {folder}"
