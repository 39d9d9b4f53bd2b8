import contextlib

import cv2
import numpy as np
import pytest
from PIL import Image

from bench.data.files import images
from bench.errors import UserError

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (13, 17, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (13, 17), dtype=np.uint8)
READERS = [images.read_colour, images.read_grey, images.read_ids, images.read_stack]


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".ppm", ".tif"])
def test_colours_are_read_as_another_library_reads_them(suffix, tmp_path):
    file = tmp_path / f"image{suffix}"
    cv2.imwrite(str(file), RGB[..., ::-1])
    np.testing.assert_array_equal(images.read_colour(file), RGB)
    grey = images.read_grey(file)
    assert grey.shape == (13, 17, 1)
    expected = cv2.cvtColor(RGB, cv2.COLOR_RGB2GRAY)
    assert abs(grey[..., 0].astype(int) - expected).max() <= 1


def test_a_jpeg_is_read(tmp_path):
    smooth = cv2.GaussianBlur(RGB, (0, 0), 5)
    Image.fromarray(smooth).save(tmp_path / "image.jpg", quality=98)
    read = images.read_colour(tmp_path / "image.jpg").astype(int)
    assert abs(read - smooth).max() < 20


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".pgm", ".tif"])
def test_values_are_read_as_they_are(suffix, tmp_path):
    file = tmp_path / f"mask{suffix}"
    Image.fromarray(GREY).save(file)
    np.testing.assert_array_equal(images.read_ids(file), GREY)
    np.testing.assert_array_equal(images.read_grey(file)[..., 0], GREY)
    np.testing.assert_array_equal(images.read_colour(file), np.dstack([GREY] * 3))


@pytest.mark.parametrize("colours", [2, 4, 16, 200])
def test_a_colour_table_gives_indices_or_colours(colours, tmp_path):
    indices = (GREY % colours).astype(np.uint8)
    table = RNG.integers(0, 256, (colours, 3), dtype=np.uint8)
    picture = Image.fromarray(indices)
    picture.putpalette(table.tobytes())
    picture.save(tmp_path / "mask.png")
    np.testing.assert_array_equal(images.read_ids(tmp_path / "mask.png"), indices)
    np.testing.assert_array_equal(images.read_colour(tmp_path / "mask.png"), table[indices])


def test_a_gif_gives_colours_and_no_indices(tmp_path):
    table = RNG.integers(0, 256, (200, 3), dtype=np.uint8)
    picture = Image.fromarray(GREY % 200)
    picture.putpalette(table.tobytes())
    picture.save(tmp_path / "mask.gif")
    np.testing.assert_array_equal(images.read_colour(tmp_path / "mask.gif"), table[GREY % 200])
    with pytest.raises(UserError, match=r"mask\.gif: in GIF, values are places .*`masks: palette`"):
        images.read_ids(tmp_path / "mask.gif")


def test_black_and_white_gives_0_and_1(tmp_path):
    Image.fromarray(GREY > 100).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(images.read_ids(tmp_path / "mask.png"), GREY > 100)


def test_an_opaque_image_may_have_an_alpha_channel(tmp_path):
    Image.fromarray(np.dstack([RGB, np.full((13, 17), 255, np.uint8)])).save(tmp_path / "a.png")
    np.testing.assert_array_equal(images.read_colour(tmp_path / "a.png"), RGB)


def test_a_stack_has_all_pages(tmp_path):
    pages = RNG.integers(0, 256, (4, 5, 6), dtype=np.uint8)
    first, *rest = [Image.fromarray(page) for page in pages]
    first.save(tmp_path / "stack.tif", save_all=True, append_images=rest)
    np.testing.assert_array_equal(images.read_stack(tmp_path / "stack.tif"), pages)
    with pytest.raises(UserError, match="contains 4 images"):
        images.read_grey(tmp_path / "stack.tif")


def save(array, file, **options):
    Image.fromarray(array).save(file, **options)


def rotated(file):
    exif = Image.Exif()
    exif[0x0112] = 6
    save(RGB, file, exif=exif)


def cmyk(file):
    Image.fromarray(RGB).convert("CMYK").save(file)


def cut(file, share):
    save(np.tile(RGB, (9, 9, 1)), file)
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])


def huge(file):
    """A picture of 4 gigapixels, in 54 bytes."""
    save(RGB, file)
    header = bytearray(file.read_bytes()[:54])
    header[18:26] = (65535).to_bytes(4, "little") * 2
    file.write_bytes(header)


def few_bits(file):
    Image.fromarray((GREY % 4).astype(np.uint8)).save(file, bits=2)
    assert cv2.imread(str(file), cv2.IMREAD_UNCHANGED).max() == 255  # what decoders make of it


def uneven(file):
    save(GREY, file, save_all=True, append_images=[Image.fromarray(GREY[1:])])


# fmt: off
HOSTILE = {
    "16 bits of grey": ("a.png", lambda f: save(GREY.astype(np.uint16), f), "more than 8 bits", READERS),
    "16 bits a channel": ("a.png", lambda f: cv2.imwrite(str(f), RGB.astype(np.uint16) * 99), "more than 8 bits", READERS),
    "16 bits in a TIFF": ("a.tif", lambda f: cv2.imwrite(str(f), RGB.astype(np.uint16) * 99), "more than 8 bits", READERS),
    "32 bits": ("a.tif", lambda f: save(GREY.astype(np.int32), f), "more than 8 bits", READERS),
    "floats": ("a.tif", lambda f: save(GREY.astype(np.float32), f), "more than 8 bits", READERS),
    "CMYK": ("a.jpg", cmyk, "CMYK", READERS),
    "rotated by EXIF": ("a.jpg", rotated, "marked as rotated", READERS),
    "rotated by a TIFF tag": ("a.tif", rotated, "marked as rotated", READERS),
    "transparent": ("a.png", lambda f: save(np.dstack([RGB, GREY]), f), "transparent", [images.read_colour, images.read_grey]),
    "half a PNG": ("a.png", lambda f: cut(f, 0.5), "cannot be read", READERS),
    "half a JPEG": ("a.jpg", lambda f: cut(f, 0.5), "cannot be read", READERS),
    "half a BMP": ("a.bmp", lambda f: cut(f, 0.5), "cannot be read", READERS),
    "half a TIFF": ("a.tif", lambda f: cut(f, 0.5), "", READERS),
    "the start of a PNG": ("a.png", lambda f: cut(f, 0.01), "", READERS),
    "empty": ("a.png", lambda f: f.touch(), "no image file", READERS),
    "text": ("a.png", lambda f: f.write_text("%!PS-Adobe (run me) ="), "no image file", READERS),
    "a folder": ("a.png", lambda f: f.mkdir(), "cannot be read", READERS),
    "missing": ("a.png", lambda f: None, "no such file", READERS),
    "huge": ("a.bmp", huge, "million pixels", READERS),
    "colours as labels": ("a.png", lambda f: save(RGB, f), "single channel", [images.read_ids]),
    "stretched bits": ("a.png", few_bits, "fewer than 8 bits", [images.read_ids]),
    "colours in a stack": ("a.tif", lambda f: save(RGB, f), "not grey", [images.read_stack]),
    "pages of several sizes": ("a.tif", uneven, "of one size", [images.read_stack]),
}
# fmt: on


@pytest.mark.parametrize("kind", HOSTILE)
def test_an_unusual_image_is_refused_by_name(kind, tmp_path):
    name, make, message, readers = HOSTILE[kind]
    file = tmp_path / name
    make(file)
    for reader in readers:
        with pytest.raises(UserError) as error:
            reader(file)
        assert str(error.value).startswith(f"{file}: ")
        assert message in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
def test_damaged_bytes_never_raise_anything_else(suffix, tmp_path):
    file = tmp_path / f"image{suffix}"
    save(RGB, file)
    whole = file.read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(60):
        content = bytearray(whole)
        for place in rng.integers(0, min(len(content), 200), 3):
            content[place] = rng.integers(0, 256)
        file.write_bytes(content)
        for reader in READERS:
            with contextlib.suppress(UserError):
                assert reader(file).dtype == np.uint8
