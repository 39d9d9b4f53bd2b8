"""Images of 16 bits and of many channels, written by other libraries."""

import contextlib
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from bench.data.files import images, multichannel
from bench.errors import UserError

RNG = np.random.default_rng(0)
H, W = 13, 17


def drawn(channels, bits=16):
    shape = (H, W, channels) if channels else (H, W)
    return RNG.integers(0, 2**bits, shape, dtype=f"uint{bits}")


def tiff(file, array, **options):
    options = {"photometric": "minisblack", "metadata": None, **options}
    tifffile.imwrite(file, array, **options)


def planes(array):
    return np.ascontiguousarray(array.transpose(2, 0, 1))


# fmt: off
WAYS = {  # suffix, channels, bits, how the array is written
    "grey PNG": (".png", 1, 16, lambda f, a: cv2.imwrite(str(f), a[..., 0])),
    "RGB PNG": (".png", 3, 16, lambda f, a: cv2.imwrite(str(f), a[..., ::-1])),
    "RGBA PNG": (".png", 4, 16, lambda f, a: cv2.imwrite(str(f), a[..., [2, 1, 0, 3]])),
    "RGBA PNG of 8 bits": (".png", 4, 8, lambda f, a: Image.fromarray(a).save(f)),
    "grey and alpha PNG of 8 bits": (".png", 2, 8, lambda f, a: Image.fromarray(a, "LA").save(f)),
    "grey and alpha PNG": (".png", 2, 16, lambda f, a: f.write_bytes(grey_alpha_png(a))),
    "grey TIFF": (".tif", 1, 16, lambda f, a: tiff(f, a[..., 0])),
    "RGB TIFF": (".tif", 3, 16, lambda f, a: tiff(f, a, photometric="rgb")),
    "interleaved TIFF": (".tif", 4, 16, lambda f, a: tiff(f, a, planarconfig="contig")),
    "planar TIFF": (".tif", 4, 16, lambda f, a: tiff(f, planes(a), planarconfig="separate")),
    "TIFF of 8 bits": (".tif", 7, 8, lambda f, a: tiff(f, a, planarconfig="contig")),
    "planar RGB of 8 bits": (".tif", 3, 8, lambda f, a: tiff(f, planes(a), photometric="rgb", planarconfig="separate")),
    "stack of pages": (".tif", 5, 16, lambda f, a: tiff(f, planes(a))),
    "ImageJ": (".tif", 4, 16, lambda f, a: tifffile.imwrite(f, planes(a), imagej=True, metadata={"axes": "CYX"})),
    "OME": (".ome.tif", 4, 16, lambda f, a: tifffile.imwrite(f, planes(a), ome=True, metadata={"axes": "CYX"})),
    "big TIFF": (".tif", 4, 16, lambda f, a: tiff(f, a, planarconfig="contig", bigtiff=True)),
    "big-endian TIFF": (".tif", 4, 16, lambda f, a: tiff(f, a, planarconfig="contig", byteorder=">")),
    "deflate and tiles": (".tif", 4, 16, lambda f, a: tiff(f, a, planarconfig="contig", compression="zlib", predictor=True, tile=(16, 16))),
    "strips": (".tif", 4, 16, lambda f, a: tiff(f, a, planarconfig="contig", compression="zlib", rowsperstrip=3)),
    "RGB LZW TIFF": (".tif", 3, 16, lambda f, a: cv2.imwrite(str(f), a[..., ::-1])),
    "RGBA LZW TIFF": (".tif", 4, 16, lambda f, a: cv2.imwrite(str(f), a[..., [2, 1, 0, 3]])),
    "grey LZW TIFF": (".tif", 1, 16, lambda f, a: cv2.imwrite(str(f), a[..., 0])),
    "npy": (".npy", 6, 16, np.save),
    "grey npy": (".npy", 1, 16, lambda f, a: np.save(f, a[..., 0])),
    "npy of 8 bits": (".npy", 2, 8, np.save),
    "npy in the order of Fortran": (".npy", 4, 16, lambda f, a: np.save(f, np.asfortranarray(a))),
    "big-endian npy": (".npy", 4, 16, lambda f, a: np.save(f, a.astype(">u2"))),
}
# fmt: on


def chunk(kind, content):
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def grey_alpha_png(array):
    """A PNG as its specification says, since no library at hand writes this one."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", W, H, 16, 4, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("way", WAYS)
def test_values_are_read_as_they_were_written(way, tmp_path):
    suffix, channels, bits, write = WAYS[way]
    file, array = tmp_path / f"image{suffix}", drawn(channels, bits)
    write(file, array)
    found = multichannel.read(file, channels)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)
    assert found.flags.c_contiguous
    assert found.flags.writeable
    assert multichannel.bits(file) == bits


def test_pages_of_lower_resolution_are_left_out(tmp_path):
    file, array = tmp_path / "pyramid.tif", drawn(4)
    with tifffile.TiffWriter(file) as writer:
        options = {"photometric": "minisblack", "planarconfig": "contig", "metadata": None}
        writer.write(array, **options)
        writer.write(np.ascontiguousarray(array[::2, ::2]), subfiletype=1, **options)
    np.testing.assert_array_equal(multichannel.read(file, 4), array)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".jpg"])
def test_grey_and_colour_of_8_bits_become_each_other_as_before(suffix, tmp_path):
    colour, grey = tmp_path / f"colour{suffix}", tmp_path / f"grey{suffix}"
    Image.fromarray(drawn(3, 8)).save(colour)
    Image.fromarray(drawn(0, 8)).save(grey)
    for file in (colour, grey):
        np.testing.assert_array_equal(multichannel.read(file, 3), images.read_colour(file))
        np.testing.assert_array_equal(multichannel.read(file, 1), images.read_grey(file))
        assert multichannel.bits(file) == 8


def cut(file, write, share):
    write(file)
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])


def patched_tag(file, code, value):
    """Overwrite the value of a tag of the first page."""
    with tifffile.TiffFile(file) as found:
        at = found.pages[0].tags[code].valueoffset
    content = bytearray(file.read_bytes())
    content[at : at + 4] = struct.pack("<I", value)
    file.write_bytes(content)


def oriented(file):
    tiff(file, drawn(4), planarconfig="contig", extratags=[(274, "H", 1, 6, True)])


def wide(file):
    tiff(file, drawn(4), planarconfig="contig")
    patched_tag(file, 256, 60000)
    patched_tag(file, 257, 60000)


def sparse(file):
    tiff(file, drawn(4), planarconfig="contig", compression="zlib", rowsperstrip=16)
    patched_tag(file, 279, 0)


def uneven(file):
    with tifffile.TiffWriter(file) as writer:
        for array in (drawn(0), drawn(0)[1:], drawn(0), drawn(0)):
            writer.write(array, photometric="minisblack", metadata=None)


def claiming_npy(file):
    """An array of 28 GB, in a file of 128 bytes."""
    with file.open("wb") as out:
        np.lib.format.write_array_header_1_0(
            out, {"descr": "<u2", "fortran_order": False, "shape": (60000, 60000, 4)}
        )


def pickled(file):
    np.save(file, np.array([os.system], dtype=object))


# fmt: off
HOSTILE = {
    "fewer channels": ("a.tif", lambda f: tiff(f, drawn(3), photometric="rgb"), "has 3 channels, and data.channels is 4"),
    "more channels": ("a.npy", lambda f: np.save(f, drawn(6)), "has 6 channels, and data.channels is 4"),
    "grey": ("a.png", lambda f: cv2.imwrite(str(f), drawn(0)), "has 1 channel, and data.channels is 4"),
    "pages": ("a.tif", lambda f: tiff(f, planes(drawn(5))), "has 5 channels in 5 pages, and data.channels is 4"),
    "a photograph": ("a.jpg", lambda f: Image.fromarray(drawn(3, 8)).save(f), "TIFF, PNG and npy files are read as 4 channels"),
    "channels first": ("a.npy", lambda f: np.save(f, RNG.integers(0, 9, (4, 80, 90), dtype=np.uint16)), "(4, 80, 90); (H, W, channels) is wanted"),
    "floats": ("a.npy", lambda f: np.save(f, drawn(4).astype(np.float32)), "has float32 values"),
    "floats in a TIFF": ("a.tif", lambda f: tiff(f, drawn(4).astype(np.float32), planarconfig="contig"), "has float32 values"),
    "signed": ("a.tif", lambda f: tiff(f, drawn(4).astype(np.int16), planarconfig="contig"), "has int16 values"),
    "32 bits": ("a.npy", lambda f: np.save(f, drawn(4).astype(np.uint32)), "has uint32 values"),
    "objects": ("a.npy", pickled, "cannot be read"),
    "a scalar": ("a.npy", lambda f: np.save(f, np.uint16(3)), "has the shape ()"),
    "no pixels": ("a.npy", lambda f: np.save(f, np.zeros((0, 5, 4), np.uint16)), ""),
    "CMYK": ("a.tif", lambda f: tiff(f, drawn(4), photometric="separated", planarconfig="contig"), "has SEPARATED colours"),
    "white is zero": ("a.tif", lambda f: tiff(f, planes(drawn(4)), photometric="miniswhite"), "has MINISWHITE colours"),
    "rotated": ("a.tif", oriented, "marked as rotated"),
    "LZW": ("a.tif", lambda f: cv2.imwrite(str(f), drawn(4, 8)), "compression (LZW) is not read; pip install imagecodecs"),
    "pages of several sizes": ("a.tif", uneven, "not of one size"),
    "a part is missing": ("a.tif", sparse, "a part of its pixels is missing"),
    "half a TIFF": ("a.tif", lambda f: cut(f, lambda f: tiff(f, drawn(4), planarconfig="contig"), 0.7), "a part of its pixels is missing"),
    "half a deflated TIFF": ("a.tif", lambda f: cut(f, lambda f: tiff(f, drawn(4), planarconfig="contig", compression="zlib"), 0.7), "a part of its pixels is missing"),
    "half a PNG": ("a.png", lambda f: cut(f, lambda f: cv2.imwrite(str(f), drawn(4)), 0.7), "cannot be read"),
    "half an npy": ("a.npy", lambda f: cut(f, lambda f: np.save(f, drawn(4)), 0.7), "cannot be read"),
    "a palette": ("a.png", lambda f: Image.fromarray(drawn(0, 8)).convert("P").save(f), "colour table"),
    "huge TIFF": ("a.tif", wide, "million pixels"),
    "huge npy": ("a.npy", claiming_npy, "cannot be read"),
    "empty": ("a.tif", lambda f: f.touch(), "are read as 4 channels"),
    "a folder": ("a.tif", lambda f: f.mkdir(), "cannot be read"),
    "missing": ("a.tif", lambda f: None, "no such file"),
}
# fmt: on


@pytest.mark.parametrize("kind", HOSTILE)
def test_an_unusual_image_is_refused_by_name(kind, tmp_path, capfd):
    name, make, message = HOSTILE[kind]
    file = tmp_path / name
    make(file)
    with pytest.raises(UserError) as error:
        multichannel.read(file, 4)
    assert str(error.value).startswith(f"{file}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert multichannel.bits(file) in (8, 16, None)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("channels", "wanted"), [(0, 3), (3, 1)])
def test_16_bits_are_not_converted(channels, wanted, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), drawn(channels))
    with pytest.raises(
        UserError, match=rf"a.png: has {channels or 1} channels?, and data.channels is {wanted}"
    ):
        multichannel.read(tmp_path / "a.png", wanted)


def test_a_list_of_pages_without_an_end_is_refused(tmp_path):
    file = tmp_path / "a.tif"
    tiff(file, planes(drawn(2)))
    with tifffile.TiffFile(file) as found:
        first, second = found.pages[0].offset, found.pages[1]
        at = second.offset + 2 + 12 * len(second.tags)
    content = bytearray(file.read_bytes())
    content[at : at + 4] = struct.pack("<I", first)
    file.write_bytes(content)
    with contextlib.suppress(UserError):  # that it ends is what matters
        multichannel.read(file, 4)


@pytest.mark.parametrize(
    "way", ["RGBA PNG", "interleaved TIFF", "deflate and tiles", "npy", "RGBA LZW TIFF"]
)
def test_damaged_bytes_never_raise_anything_else(way, tmp_path, capfd):
    suffix, channels, _, write = WAYS[way]
    file = tmp_path / f"image{suffix}"
    write(file, drawn(channels))
    whole = file.read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(80):
        content = bytearray(whole)
        for place in rng.integers(0, min(len(content), 300), 3):
            content[place] = rng.integers(0, 256)
        file.write_bytes(content)
        multichannel.bits(file)
        with contextlib.suppress(UserError):
            assert multichannel.read(file, channels).shape[2] == channels
    assert capfd.readouterr() == ("", "")
