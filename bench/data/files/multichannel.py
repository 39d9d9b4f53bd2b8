"""Images of 8 or 16 bits and of any number of channels: TIFF, PNG and npy files, read strictly.

The channels of a TIFF file are its samples, interleaved or planar; those of several pages follow
each other, so that a stack of N grey pages is an image of N channels. Pages of reduced resolution
are left out. An npy file holds (H, W) or (H, W, channels). Files of 8 bits that are read as 1 or 3
channels are grey or colour images, which ``bench.data.files.images`` converts into each other;
nothing else is converted: a file has as many channels as are asked for, or is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image as Pillow

from bench import plain_files
from bench.data.dataset import Image
from bench.data.files import images
from bench.errors import UserError

MAX_CHANNELS = 64
_NPY, _PNG = b"\x93NUMPY", b"\x89PNG\r\n\x1a\n"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two: of more than 4 GB
_PNG_DEPTH, _PNG_COLOUR = 24, 25  # where the header of a PNG says its bits and its colour type
_GREY_ALPHA = 4  # a colour type
_ORIENTATION = 274
_INTERLEAVED, _LZW = 1, 5  # a planar configuration, a compression
_READ = (1, 2)  # photometric interpretations: black is zero, and RGB

# Of odd tags it complains on stderr; what matters is checked below.
logging.getLogger("tifffile").addHandler(logging.NullHandler())
logging.getLogger("tifffile").propagate = False


def read(path: Path, channels: int) -> Image:
    """Return an image as (H, W, channels), uint8 or uint16 as the file has it.

    UserError if the file is missing, damaged, of another number of channels, or of other values.
    """
    start = _start(path)
    found: Image
    if start.startswith(_NPY):
        found = _guarded(path, _of_npy)
    elif start.startswith(_TIFF) and not _converted(path, channels):
        found = _guarded(path, lambda file: _of_tiff(file, channels))
    elif start.startswith(_PNG) and (channels not in (1, 3) or _png_bits(start) == 16):
        found = _of_png(path, start)
    elif channels in (1, 3):
        return images.read_colour(path) if channels == 3 else images.read_grey(path)
    else:
        raise UserError(f"{path}: TIFF, PNG and npy files are read as {channels} channels")
    if found.shape[2] != channels:
        raise UserError(f"{path}: {_other_channels(found.shape[2], channels)}")
    return found


def bits(path: Path) -> int | None:
    """Return the bits of a channel, 8 or 16, by the head of a file; None if it cannot be read."""
    try:
        start = _start(path)
        if start.startswith(_NPY):
            depth = _guarded(path, lambda file: np.load(file, mmap_mode="r").itemsize * 8)
        elif start.startswith(_TIFF):
            depth = _guarded(path, lambda file: _tiff_form(file)[1])
        else:
            depth = _png_bits(start) if start.startswith(_PNG) else 8
    except UserError:
        return None
    return 16 if depth == 16 else 8


def _start(path: Path) -> bytes:
    plain_files.check(path)
    try:
        with path.open("rb") as file:
            return file.read(_PNG_COLOUR + 1)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def _guarded(path: Path, read_file: Callable[[Path], Any]) -> Any:
    """Read a file with a decoder that raises errors of any type at damaged bytes."""
    try:
        return read_file(path)
    except UserError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        if "'imagecodecs'" in reason:
            packed = reason.partition(":")[0].rpartition(".")[2]
            mend = "pip install imagecodecs, or save it with deflate or uncompressed"
            raise UserError(f"{path}: its compression ({packed}) is not read; {mend}") from error
        raise UserError(f"{path}: cannot be read ({reason})") from error


def _of_npy(path: Path) -> Image:
    # Mapped, since an array that is longer than its file is then refused and not allocated.
    found = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(found, np.ndarray) or found.ndim not in (2, 3):
        shape = getattr(found, "shape", "none")
        raise UserError(f"{path}: has the shape {shape}; (H, W) or (H, W, channels) is wanted")
    _check_values(path, found.dtype)
    _check_size(path, *found.shape[:2])
    if found.ndim == 3 and found.shape[2] > MAX_CHANNELS >= found.shape[0]:
        raise UserError(f"{path}: has the shape {found.shape}; (H, W, channels) is wanted")
    return np.array(found, found.dtype.newbyteorder("="), order="C").reshape(*found.shape[:2], -1)


def _of_png(path: Path, start: bytes) -> Image:
    picture = images.read_whole(path)
    if _png_bits(start) == 8 or picture.mode == "I;16":
        found = np.array(picture)
        if picture.mode in ("1", "P", "PA"):
            raise UserError(f"{path}: has a colour table or single bits; save it as grey or RGB")
    else:  # Pillow keeps 8 of the 16 bits of colours
        content = np.frombuffer(path.read_bytes(), np.uint8)
        decoded = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
        if decoded is None or decoded.dtype != np.uint16 or decoded.ndim != 3:
            raise UserError(f"{path}: cannot be read (16 bits)")
        found = _from_bgr(decoded)
        if start[_PNG_COLOUR] == _GREY_ALPHA:
            found = found[..., [0, 3]]
    return np.ascontiguousarray(found.reshape(*found.shape[:2], -1))


def _png_bits(start: bytes) -> int:
    return start[_PNG_DEPTH] if len(start) > _PNG_DEPTH else 0


def _converted(path: Path, channels: int) -> bool:
    """Tell whether a TIFF file is a grey or colour image of 8 bits, to be read as such."""
    if channels not in (1, 3):
        return False
    try:
        pages, depth = _tiff_form(path)
    except Exception:  # it says nothing that can be understood: Pillow may, or says what is wrong
        return True
    return pages == 1 and depth <= 8


def _tiff_form(path: Path) -> tuple[int, int]:
    """Return the number of pages, 1 or more than that, and the bits of a channel."""
    with tifffile.TiffFile(path) as file:
        first: Any = file.pages[0]
        depth = first.bitspersample
        more = any(not page.is_reduced for page in _pages(file, 2)[1:])
        return 1 + more, max(depth) if isinstance(depth, tuple) else int(depth)


def _pages(file: Any, most: int) -> list[Any]:
    """Return the first pages; of a file whose list of pages has no end, too."""
    found: list[Any] = []
    for page in file.pages:
        found.append(page)
        if len(found) >= most:
            break
    return found


def _of_tiff(path: Path, channels: int) -> Image:
    with tifffile.TiffFile(path) as file:
        pages = [page for page in _pages(file, 2 * MAX_CHANNELS) if not page.is_reduced]
        samples = sum(page.samplesperpixel for page in pages)
        if samples != channels:
            raise UserError(f"{path}: {_other_channels(samples, channels, len(pages))}")
        for page in pages:
            _check_page(path, page, pages[0], file.filehandle.size)
        if len(pages) == 1 and _is_opencvs(pages[0]):
            return _by_opencv(path, pages[0])
        return np.concatenate([_page(page) for page in pages], axis=2)


def _check_page(path: Path, page: Any, first: Any, size: int) -> None:
    """Refuse what a decoder would make something else of, or fill up with black."""
    kind = page.photometric
    if int(kind) not in _READ:
        named = getattr(kind, "name", kind)
        raise UserError(f"{path}: has {named} colours; save it as RGB or grey")
    depth = page.bitspersample
    if page.dtype is None or depth != page.dtype.itemsize * 8:
        raise UserError(f"{path}: has {depth} bits a channel; save it with 8 or 16")
    _check_values(path, page.dtype)
    _check_size(path, page.imagelength, page.imagewidth)
    if page.axes not in ("YX", "YXS", "SYX"):
        raise UserError(f"{path}: is no plain image (its axes are {page.axes})")
    form = page.dtype, page.imagelength, page.imagewidth
    if form != (first.dtype, first.imagelength, first.imagewidth):
        raise UserError(f"{path}: its pages are not of one size and type")
    if (turned := page.tags.get(_ORIENTATION)) is not None and turned.value not in (0, 1):
        raise UserError(f"{path}: is marked as rotated; save it upright, without the mark")
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    if not segments or any(not at or not n or at + n > size for at, n in segments):
        raise UserError(f"{path}: cannot be read (a part of its pixels is missing)")


def _page(page: Any) -> NDArray[Any]:
    """Return a page as (H, W, samples)."""
    found: NDArray[Any] = page.asarray(squeeze=False)  # (planes, depth, H, W, samples)
    planes, _, height, width, samples = found.shape
    by_pixel = found.reshape(planes, height, width, samples).transpose(1, 2, 0, 3)
    pixels = by_pixel.reshape(height, width, planes * samples)
    return pixels.astype(page.dtype.newbyteorder("="), order="C")


def _is_opencvs(page: Any) -> bool:
    """Tell whether a page is as OpenCV writes them: with LZW, which tifffile cannot read alone."""
    kinds = {1: 1, 3: 2, 4: 2}  # samples → photometric interpretation
    form = kinds.get(page.samplesperpixel) == page.photometric and page.planarconfig == _INTERLEAVED
    return bool(form and page.compression == _LZW and page.dtype.itemsize == 2)


def _by_opencv(path: Path, page: Any) -> Image:
    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        decoded = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    finally:
        cv2.utils.logging.setLogLevel(before)
    shape = page.imagelength, page.imagewidth
    if decoded is None or decoded.dtype != np.uint16 or decoded.shape[:2] != shape:
        raise UserError(f"{path}: cannot be read (LZW)")
    return _from_bgr(decoded)


def _from_bgr(decoded: NDArray[Any]) -> Image:
    """Return what OpenCV decoded, (H, W) or (H, W, 3 or 4), as (H, W, channels) in RGB order."""
    if decoded.ndim == 2:
        return decoded[..., None]
    return np.ascontiguousarray(decoded[..., [2, 1, 0, 3][: decoded.shape[2]]])


def _check_values(path: Path, dtype: np.dtype[Any]) -> None:
    if dtype.newbyteorder("=") not in (np.dtype(np.uint8), np.dtype(np.uint16)):
        mend = "scale its values to 0 to 65535, the same way in all images, and save it as uint16"
        raise UserError(f"{path}: has {dtype.name} values; uint8 and uint16 are read: {mend}")


def _check_size(path: Path, height: int, width: int) -> None:
    limit = Pillow.MAX_IMAGE_PIXELS or 0
    if not height or not width:
        raise UserError(f"{path}: has no pixels")
    if height * width > limit:
        raise UserError(f"{path}: has more than {limit // 10**6} million pixels")


def _other_channels(found: int, wanted: int, pages: int = 1) -> str:
    named = f"{found} channel" + "s" * (found != 1) + f" in {pages} pages" * (pages > 1)
    return f"has {named}, and data.channels is {wanted}"
