"""Image files, read strictly: a file that is not an ordinary 8-bit image is refused by name.

Decoders are lenient in ways that would silently change an experiment: half a file becomes half
an image, 16 bits become 8, a rotation flag turns the image but not its mask.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from bench import plain_files
from bench.errors import UserError

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_ORIENTATION = 0x0112  # the EXIF tag; 1 = upright
_PLAIN = {"1", "L", "P", "RGB", "RGBA", "LA", "PA", "I;16"}


def read_colour(path: Path) -> NDArray[np.uint8]:
    """Return an image as (H, W, 3) RGB; grey values and colour tables are expanded.

    UserError if the file is missing, damaged, or no upright, opaque 8-bit image.
    """
    return np.array(_opaque(path).convert("RGB"))


def read_grey(path: Path) -> NDArray[np.uint8]:
    """Return an image as (H, W, 1) grey values; raises as ``read_colour``."""
    return np.array(_opaque(path).convert("L"))[..., None]


def read_ids(path: Path) -> NDArray[np.uint8]:
    """Return the numbers in a single-channel file, (H, W); of a colour table, its indices.

    Raises as ``read_colour``, and if the file has colours or fewer than 8 bits of grey, which
    decoders stretch to 0..255.
    """
    image = _single(path, exact=True)
    if image.mode not in ("1", "L", "P"):
        raise UserError(f"{path}: has colours (mode {image.mode}); labels need a single channel")
    return np.array(image).astype(np.uint8)


def read_stack(path: Path) -> NDArray[np.uint8]:
    """Return the pages of a grey TIFF file, (N, H, W); raises as ``read_colour``."""
    pages = [np.array(page) for page in _frames(path, exact=True)]
    if any(page.ndim != 2 or page.shape != pages[0].shape for page in pages):
        raise UserError(f"{path}: its pages are not grey images of one size")
    return np.stack(pages).astype(np.uint8)


def read_whole(path: Path) -> Image.Image:
    """Return an image of 8 or 16 bits as Pillow has it, which is loaded; raises as others do."""
    return _single(path, exact=False, deep=True)


def _opaque(path: Path) -> Image.Image:
    image = _single(path, exact=False)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema() != (255, 255):
            raise UserError(f"{path}: has transparent pixels; save it without transparency")
    return image


def _single(path: Path, *, exact: bool, deep: bool = False) -> Image.Image:
    frames = _frames(path, exact=exact, deep=deep)
    if len(frames) > 1:
        raise UserError(f"{path}: contains {len(frames)} images; one is needed")
    return frames[0]


def _frames(path: Path, *, exact: bool, deep: bool = False) -> list[Image.Image]:
    plain_files.check(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # oddities in tags that do not touch the pixels
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=_FORMATS) as image:
                if exact and image.format == "GIF":
                    why = "in GIF, values are places in a table of colours, in any order"
                    raise UserError(f"{path}: {why}; `masks: palette` reads colours")
                # Of a JPEG with further images (MPO: previews, depth) the first is the image.
                count = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
                return [_frame(image, i, path, exact=exact, deep=deep) for i in range(count)]
    except UserError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        limit = (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise UserError(f"{path}: has more than {limit} million pixels") from None
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnidentifiedImageError:
        raise UserError(f"{path}: no image file ({', '.join(_FORMATS)} are read)") from None
    except Exception as error:  # decoders raise errors of any type at damaged bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path}: cannot be read ({reason})") from error


def _frame(image: Image.Image, index: int, path: Path, *, exact: bool, deep: bool) -> Image.Image:
    if index:
        image.seek(index)
    raw = _raw_mode(image)
    more = image.mode == "F" or image.mode.startswith("I") or ";16" in raw
    if more and not (deep and ";16" in f"{image.mode} {raw}"):
        raise UserError(f"{path}: has more than 8 bits a channel; save it with 8")
    if image.mode not in _PLAIN:
        raise UserError(f"{path}: has {image.mode} colours; save it as RGB or grey")
    if exact and image.mode == "L" and raw.startswith(("L;2", "L;4")):
        raise UserError(f"{path}: has fewer than 8 bits of grey; save it with 8")
    if image.getexif().get(_ORIENTATION, 1) not in (0, 1):
        raise UserError(f"{path}: is marked as rotated (EXIF); save it upright, without the mark")
    image.load()
    return image.copy()


def _raw_mode(image: Image.Image) -> str:
    """Return how the file packs its pixels, such as ``RGB;16B``; an image's mode hides it."""
    tiles = getattr(image, "tile", [])
    arguments = tiles[0][3] if tiles else ""
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)
