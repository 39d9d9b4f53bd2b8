"""MSRC-v2: 591 photographs of outdoor scenes, 21 classes, with TextonBoost's splits.

The files are those of the official archive, under the data folder:
``msrc_v2/MSRC_ObjCategImageDatabase_v2/{Images/*.bmp, GroundTruth/*_GT.bmp}``. Splits: Shotton
et al., "TextonBoost for Image Understanding" (IJCV 2009). As there, horse and mountain are void,
being too rare. Two test images are also in the other splits as these were published, labelled by
hand a second time: 1_26_s is 9_10_s of train, 1_27_s is 9_15_s of val.
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

from bench.data import dataset
from bench.data.dataset import IGNORE_INDEX, Split, fingerprint
from bench.data.files import archives, palette
from bench.data.files.pairs import SPLITS, PairReader, Pairs, first_of
from bench.errors import UserError

URL = (
    "https://download.microsoft.com/download/3/3/9/339D8A24-47D7-412F-A1E8-1A415BC48A15/"
    "msrc_objcategimagedatabase_v2.zip"
)
# From other loaders, and never compared with the file. So a difference is reported, but is no
# error: what counts is that all 591 pairs can be read.
REPORTED_MD5 = "8fcd292c7f1e69f91a2ef513746bd52c"

Void = Literal["ignore", "class"]
FOLDER = Path("msrc_v2", "MSRC_ObjCategImageDatabase_v2")
_MAX_BYTES = 1 << 30  # all images and masks take 0.23 GiB

_VOID = {"void": (0, 0, 0), "horse": (128, 0, 128), "mountain": (64, 0, 0)}
# fmt: off
_CLASSES = {
    "building": (128, 0, 0), "grass": (0, 128, 0), "tree": (128, 128, 0),
    "cow": (0, 0, 128), "sheep": (0, 128, 128), "sky": (128, 128, 128),
    "aeroplane": (192, 0, 0), "water": (64, 128, 0), "face": (192, 128, 0),
    "car": (64, 0, 128), "bicycle": (192, 0, 128), "flower": (64, 128, 128),
    "sign": (192, 128, 128), "bird": (0, 64, 0), "book": (128, 64, 0),
    "chair": (0, 192, 0), "road": (128, 64, 128), "cat": (0, 192, 128),
    "dog": (128, 192, 128), "body": (64, 64, 0), "boat": (192, 64, 0),
}
# fmt: on

NOTE = (
    "On the 256 test images of msrc_v2, the reported pixel accuracy and mean class accuracy are "
    "72.2 % and 57.7 % for TextonBoost, 72 % and 67 % for Semantic Texton Forests. Only trials "
    "with evaluate.split: test can be compared with these."
)


class Settings(dataset.DatasetSettings):
    """Settings of MSRC-v2: void pixels are ignored, or are class 0 of 22.

    ``training: train+val`` is for a final run, when all choices are made: it trains on the images
    of both splits, and there is no validation.
    """

    name: Literal["msrc_v2"] = "msrc_v2"
    void: Void = "ignore"
    training: Literal["train", "train+val"] = "train"


def load(settings: Settings, root: Path) -> dataset.Dataset:
    """Open the splits whose files are installed; without all of train and val a UserError."""
    folder = root / FOLDER
    names = {split: split_names(split) for split in SPLITS}
    installed = {split: own for split, own in names.items() if _is_installed(folder, split, own)}
    if absent := [name for name in ("train", "val") if name not in installed]:
        mend = "`python -m bench data install msrc_v2` downloads or unpacks them"
        raise UserError(f"{folder}: the images of {' and '.join(absent)} are missing; {mend}")
    if settings.training == "train+val":
        installed["train"] += installed.pop("val")
    splits = {name: _split(folder, own, settings.void) for name, own in installed.items()}
    as_class = settings.void == "class"
    colours = {"void": (0, 0, 0), **_CLASSES} if as_class else _CLASSES
    images = {name: [folder / "Images" / file for file in own] for name, own in installed.items()}
    notes = (None if as_class else NOTE, dataset.note_on_copies(images))
    return dataset.assemble("msrc_v2", colours, splits, note=" ".join(filter(None, notes)))


def install(
    root: Path, sources: Sequence[Path], *, progress: archives.Progress | None = None
) -> tuple[str, ...]:
    """Put the files where ``load`` reads them, and return lines that say what was done.

    They come from archives (zip or tar), each with some or all of the images, or by download.
    UserError if an archive cannot be downloaded, is not safe, or has no pair of MSRC-v2.
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
        archive.unlink()  # also if it is damaged, so that the next attempt downloads it again
    same = "as" if md5 == REPORTED_MD5 else f"not {REPORTED_MD5}, as"
    return line, f"the archive's MD5 is {md5}, {same} other loaders give it"


def split_names(split: str) -> tuple[str, ...]:
    """Return the file names of a split, as TextonBoost lists them."""
    text = (Path(__file__).with_name("msrc_v2_splits") / f"{split}.txt").read_text("ascii")
    return tuple(text.split())


def _split(folder: Path, names: tuple[str, ...], void: Void) -> Split:
    content = fingerprint(void, *names, *_files(folder, names))
    return Split(names, _reader(folder, names, void, content), content)


@functools.lru_cache(maxsize=4)  # trials in one process share the decoded files, 320 MB in all
def _reader(folder: Path, names: tuple[str, ...], void: Void, content: str) -> PairReader:
    """Return the reader of a split. A changed ``content`` reads the files again."""
    return PairReader(_pairs(folder, names), _table(void), 3, coloured=True)


def _pairs(folder: Path, names: tuple[str, ...]) -> Pairs:
    return {name: (folder / "Images" / name, _mask_file(folder, name)) for name in names}


def _files(folder: Path, names: tuple[str, ...]) -> list[Path]:
    return [file for pair in _pairs(folder, names).values() for file in pair]


@functools.cache
def _table(void: Void) -> NDArray[np.uint8]:
    first, label = (1, 0) if void == "class" else (0, IGNORE_INDEX)  # first class, void
    labels = [label] * len(_VOID) + list(range(first, first + len(_CLASSES)))
    return palette.lookup_table([*_VOID.values(), *_CLASSES.values()], labels)


def _mask_file(folder: Path, name: str) -> Path:
    return folder / "GroundTruth" / f"{Path(name).stem}_GT.bmp"


def _is_installed(folder: Path, split: str, names: tuple[str, ...]) -> bool:
    """Return whether all files of a split exist (True) or none (False); some is an error."""
    files = _files(folder, names)
    missing = [file.relative_to(folder).as_posix() for file in files if not file.is_file()]
    if 0 < len(missing) < len(files):
        some = f"{len(missing)} files are missing: {first_of(missing)}"
        raise UserError(f"{folder}: of the {split} split {some}")
    return not missing


def _install(archive: Path, folder: Path) -> str:
    """Unpack next to the folder, then move the files of the dataset into it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".installing-") as staging:
        content = Path(staging) / "content"
        archives.unpack(archive, content, max_bytes=_MAX_BYTES, max_members=5000)
        found = {path.parts[-2:]: path for path in content.rglob("*.bmp")}
        pairs = _pairs(folder, sum(map(split_names, SPLITS), ())).values()
        complete = [pair for pair in pairs if all(file.parts[-2:] in found for file in pair)]
        for file in (file for pair in complete for file in pair):
            file.parent.mkdir(parents=True, exist_ok=True)
            found[file.parts[-2:]].replace(file)
    if not complete:
        raise UserError(f"{archive}: contains no image of MSRC-v2 with its mask")
    return f"{archive.name}: {len(complete)} images with their masks put into {folder}"
