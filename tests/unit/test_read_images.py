"""Picture files of every kind are read alike; what is no picture, or another size, is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vae_lib import data

LEVELS = np.arange(0, 250, 5, dtype="uint8").reshape(5, 10)
COLOURS = np.random.RandomState(0).randint(0, 256, (5, 10, 3)).astype("uint8")
GREY, COLOUR = Image.fromarray(LEVELS), Image.fromarray(COLOURS)
LUMINANCE = COLOURS @ np.array([0.299, 0.587, 0.114])  # ITU-R 601
PALETTE = GREY.convert("P")
RIGHT_AND_UP = Image.Exif()
RIGHT_AND_UP[0x0112] = 6  # to be shown upright, turn it by a quarter clockwise


@pytest.fixture
def save(tmp_path):
    """Write a picture and return its path."""

    def write(picture: Image.Image, name: str = "a.png", **options) -> Path:
        picture.save(tmp_path / name, **options)
        return tmp_path / name

    return write


def opaque(picture: Image.Image, mode: str) -> Image.Image:
    """The picture with an alpha channel that hides nothing."""
    whole = picture.convert(mode)
    whole.putalpha(255)
    return whole


def clear(picture: Image.Image, mode: str) -> Image.Image:
    """Its last pixel can be seen through."""
    picture = opaque(picture, mode)
    picture.putpixel((9, 4), (*picture.getpixel((9, 4))[:-1], 254))
    return picture


@pytest.mark.parametrize(
    ("picture", "levels"),
    [
        (GREY, LEVELS),
        (GREY.point(lambda level: 255 * (level > 99), mode="1"), 255 * (LEVELS > 99)),
        (opaque(GREY, "LA"), LEVELS),
        (PALETTE, LEVELS),
        (GREY.convert("RGB"), LEVELS),
        (opaque(COLOUR, "RGBA"), LUMINANCE),
        (COLOUR, LUMINANCE),
        (COLOUR.quantize(256), LUMINANCE),
    ],
    ids=["L", "1", "LA", "P of grey", "RGB of grey", "RGBA", "RGB", "P"],
)
def test_one_channel_is_the_luminance(save, picture, levels):
    path = save(picture)
    assert Image.open(path).mode == picture.mode
    made = data.read_images([path], channels=1)
    assert made.dtype == np.float32 and made.shape == (1, 5, 10, 1)
    np.testing.assert_allclose(made[0, ..., 0] * 255, levels, atol=0.51)  # it is rounded to a level


@pytest.mark.parametrize(
    ("picture", "levels"),
    [
        (GREY, LEVELS[..., None].repeat(3, axis=2)),
        (PALETTE, LEVELS[..., None].repeat(3, axis=2)),
        (COLOUR, COLOURS),
        (opaque(COLOUR, "RGBA"), COLOURS),
        (COLOUR.quantize(256), COLOURS),
    ],
    ids=["L", "P of grey", "RGB", "RGBA", "P"],
)
def test_three_channels_are_the_colours(save, picture, levels):
    made = data.read_images([save(picture)], channels=3)
    assert made.dtype == np.float32 and made.shape == (1, 5, 10, 3)
    np.testing.assert_allclose(made[0] * 255, levels, atol=1e-4)


@pytest.mark.parametrize(
    ("second", "background", "channels"),
    [
        (GREY, None, 1),
        (Image.new("I;16", (10, 5), 700), None, 1),
        (opaque(GREY, "LA"), 0.5, 1),
        (GREY, (0.5, 0.5, 0.5), 1),
        (GREY, "red", 3),
        (COLOUR, None, 3),
        (PALETTE, None, 3),
        (opaque(GREY, "RGBA"), None, 1),  # as Matplotlib writes it
        (opaque(COLOUR, "RGBA"), None, 3),
        (clear(GREY, "RGBA"), 0.5, 3),
    ],
)
def test_channels_are_those_of_the_files_unless_given(save, second, background, channels):
    paths = save(GREY), save(second, "b.png")
    made = data.read_images(paths, background=background)
    assert made.shape == (2, 5, 10, channels)
    given = data.read_images(paths, channels, background=background)
    np.testing.assert_array_equal(made, given)


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_of_16_bits_keeps_its_depth(save, channels):
    levels = np.arange(0, 65536, 1337, dtype="uint16")[:48].reshape(6, 8)
    made = data.read_images([save(Image.fromarray(levels))], channels)
    assert made.shape == (1, 6, 8, channels)
    for channel in range(channels):
        np.testing.assert_allclose(made[0, ..., channel] * 65535, levels, rtol=1e-6)


def test_files_of_8_and_16_bits_have_one_scale(save):
    white = save(Image.new("L", (4, 3), 255)), save(Image.new("I;16", (4, 3), 65535), "b.png")
    assert (data.read_images(white) == 1).all()


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg(save, mode, channels):
    smooth = Image.linear_gradient("L").resize((24, 16))
    path = save(smooth.convert(mode), "a.jpg", quality=98)
    assert Image.open(path).mode == mode
    made = data.read_images([path], channels)
    assert made.shape == (1, 16, 24, channels)
    expected = np.asarray(smooth)[..., None] / 255
    np.testing.assert_allclose(made[0], expected.repeat(channels, axis=2), atol=0.02)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_photograph_stands_upright(save, name):
    top_dark = Image.fromarray(
        np.repeat([[0], [255]], 8, axis=0).repeat(24, axis=1).astype("uint8")
    )
    made = data.read_images([save(top_dark, name, exif=RIGHT_AND_UP)])
    assert made.shape == (1, 24, 16, 1)
    assert made[:, :, :7].min() > 0.9 and made[:, :, 9:].max() < 0.1


def test_the_order_is_that_of_the_paths(save):
    paths = [save(Image.new("L", (4, 3), level), f"{level}.png") for level in (9, 0, 255)]
    made = data.read_images([str(paths[0]), *paths[1:]])
    np.testing.assert_allclose(made[:, 0, 0, 0] * 255, [9, 0, 255], rtol=1e-6)


@pytest.mark.parametrize(
    ("picture", "options"),
    [
        (clear(COLOUR, "LA"), {}),
        (clear(COLOUR, "RGBA"), {}),
        (PALETTE, {"transparency": 245}),
        (PALETTE, {"transparency": bytes([255] * 245 + [254])}),
        (GREY, {"transparency": 245}),
        (GREY.point(lambda level: 255 * (level > 99), mode="1"), {"transparency": 0}),
        (COLOUR, {"transparency": COLOUR.getpixel((9, 4))}),
        (Image.new("I;16", (10, 5), 700), {"transparency": 700}),
    ],
    ids=["LA", "RGBA", "P", "P in bytes", "L", "1", "RGB", "I;16"],
)
def test_what_can_be_seen_through_is_refused(save, complains, picture, options):
    path = save(picture, **options)
    complains(lambda: data.read_images([path]), path, "transparent", "expected none")


@pytest.mark.parametrize(
    ("picture", "options"),
    [
        (PALETTE, {"transparency": 1}),
        (PALETTE, {"transparency": bytes([255] * 246)}),
        (GREY, {"transparency": 1}),
        (Image.new("I;16", (10, 5), 700), {"transparency": 701}),
    ],
    ids=["P", "P in bytes", "L", "I;16"],
)
@pytest.mark.filterwarnings("error")
def test_a_transparent_colour_that_no_pixel_has_hides_nothing(save, picture, options):
    np.testing.assert_array_equal(
        data.read_images([save(picture, "a.png", **options)]),
        data.read_images([save(picture, "b.png")]),
    )


def mean(colour: np.ndarray, background: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return alpha * colour + (1 - alpha) * background


@pytest.mark.parametrize("background", [0, 1, 0.25, (0.5, 0, 1), [1, 0.25, 0.5]])
def test_a_background_shows_through(save, background):
    alpha = np.arange(0, 250, 5).reshape(5, 10, 1) / 255
    picture = COLOUR.copy()
    picture.putalpha(Image.fromarray(np.rint(alpha[..., 0] * 255).astype("uint8")))
    path, behind = save(picture), np.broadcast_to(background, 3)
    made = data.read_images([path], 3, background=background)[0]
    np.testing.assert_allclose(made, mean(COLOURS / 255, behind, alpha), atol=1e-6)
    grey = data.read_images([path], 1, background=background)[0, ..., 0]
    behind = np.array([0.299, 0.587, 0.114]) @ behind
    expected = mean(LUMINANCE / 255, behind, alpha[..., 0])
    np.testing.assert_allclose(grey, expected, atol=0.51 / 255)  # the luminance is a whole level


@pytest.mark.parametrize(("name", "levels"), [("white", 1), ("#ff0080", (1, 0, 128 / 255))])
def test_a_background_has_a_name(save, name, levels):
    picture = COLOUR.copy()
    picture.putalpha(Image.new("L", picture.size, 77))
    path = save(picture)
    named, told = (data.read_images([path], 3, background=b) for b in (name, levels))
    np.testing.assert_array_equal(named, told)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_background_of_16_bits(save, channels):
    levels = np.array([[700, 701], [65535, 700]], "uint16")
    path = save(Image.fromarray(levels), transparency=700)
    made = data.read_images([path], channels, background=0.5)[0]
    expected = np.array([[0.5, 701 / 65535], [1, 0.5]])
    np.testing.assert_allclose(made, expected[..., None].repeat(channels, axis=2), rtol=1e-6)


def test_a_background_changes_no_opaque_picture(save):
    path = save(COLOUR)
    made = data.read_images([path], 3, background=0.5)
    np.testing.assert_array_equal(made, data.read_images([path], 3))


# Sizes


STEPS = np.array([[0, 40, 80, 120], [160, 200, 240, 250]], "uint8").repeat(2, 0).repeat(2, 1)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_stretched_pixels_are_means(save, dtype, channels):
    picture = Image.fromarray(STEPS.astype(dtype) * (257 if dtype == "uint16" else 1))
    made = data.read_images([save(picture)], channels, size=(4, 8))  # as it is
    np.testing.assert_allclose(made[0, ..., 0] * 255, STEPS, rtol=1e-6)
    small = data.read_images([save(picture)], channels, size=(1, 1))
    assert small.shape == (1, 1, 1, channels)
    # Bilinear with antialiasing: a triangle of twice the picture's width, over what is there of it
    weights = [1 - abs(np.arange(n) + 0.5 - n / 2) / n for n in STEPS.shape]
    rows, columns = (w / w.sum() for w in weights)
    np.testing.assert_allclose(small * 255, rows @ STEPS @ columns, rtol=1e-5)


def test_cropped_at_two_opposite_sides(save):
    made = data.read_images([save(Image.fromarray(STEPS))], size=(4, 4), resize="crop")
    np.testing.assert_allclose(made[0, ..., 0] * 255, STEPS[:, 2:6], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(("background", "margin"), [(None, 0), (1, 1), ((0.5, 0, 1), (0.5, 0, 1))])
def test_padded_with_black_or_the_background(save, background, margin):
    path = save(Image.fromarray(STEPS))
    options = {"resize": "pad", "background": background}
    made = data.read_images([path], 3, size=(8, 8), **options)[0]
    np.testing.assert_allclose(made[2:6, ..., 0] * 255, STEPS, rtol=1e-6)
    for edge in (made[:2], made[6:]):
        np.testing.assert_allclose(edge, np.broadcast_to(margin, edge.shape))


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("size", [(3, 5), np.array([7, 2]), [1, 9], (16, 16)])
def test_every_file_gets_the_size(save, resize, size):
    paths = [save(Image.new("L", (w, h), 255), f"{w}.png") for w, h in ((10, 5), (4, 9), (7, 7))]
    made = data.read_images(paths, size=size, resize=resize, background=1)
    assert made.shape == (3, *size, 1) and made.dtype == np.float32
    assert (made == 1).all()


def test_the_first_file_of_another_size_is_named(save, complains):
    sizes = [(10, 5), (10, 5), (5, 10), (9, 9)]
    paths = [save(Image.new("L", size), f"{i}.png") for i, size in enumerate(sizes)]
    words = [paths[2], "10 pixels high and 5 wide", "expected 5 high and 10 wide", paths[0]]
    complains(lambda: data.read_images(paths), *words)


SPOILT = {
    "missing": lambda path: path.unlink(),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no picture"),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "another kind": lambda path: GREY.save(path, "GIF"),
}


@pytest.mark.parametrize("spoilt", SPOILT)
@pytest.mark.parametrize("name", ["b.png", "b.jpg"])
@pytest.mark.parametrize("channels", [None, 3])
def test_what_is_no_whole_picture_is_named(save, complains, name, spoilt, channels):
    paths = save(COLOUR), save(COLOUR, name)
    SPOILT[spoilt](paths[1])
    words = paths[1], "cannot be read", "expected a PNG or JPEG"
    complains(lambda: data.read_images(paths, channels), *words)


def test_an_animated_png_is_refused(save, complains):
    path = save(COLOUR, save_all=True, append_images=[COLOUR.rotate(180), GREY.convert("RGB")])
    complains(lambda: data.read_images([path]), path, "3 frames", "expected one picture")


def test_a_jpeg_with_a_preview_is_its_first_picture(save):
    smooth = Image.linear_gradient("L").resize((24, 16))
    path = save(smooth, "a.jpg", format="MPO", save_all=True, append_images=[smooth.rotate(180)])
    made = data.read_images([path])
    np.testing.assert_allclose(made[0, ..., 0], np.asarray(smooth) / 255, atol=0.05)
