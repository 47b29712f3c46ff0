"""Picture files, read into the library's form."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageOps

from ..checks import is_real, is_size

RESIZES = {"stretch": Image.Image.resize, "crop": ImageOps.fit, "pad": ImageOps.pad}
LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R 601, as Pillow has it
Background = float | Sequence[float] | str | None


def read_images(
    paths: Sequence[str | Path],
    channels: int = 1,
    size: tuple[int, int] | None = None,
    resize: str = "stretch",
    background: Background = None,
) -> np.ndarray:
    """Read PNG and JPEG files: float32 in 0..1, shape (n, height, width, channels).

    The images stand in the order of `paths`, upright as their EXIF orientation says. One channel is
    the luminance (ITU-R 601), three are red, green and blue. Grey of 16 bits keeps its depth; of
    colours with 16 bits the upper 8 are read. All are held in memory, 4 bytes a number.

    Args:
        size: (height, width) that every picture is brought to; None wants files of one size.
        resize: how: "stretch" to it, "crop" what is too much at two opposite sides, or "pad" with
            black (with the background, if there is one). Pixels are averaged bilinearly.
        background: what shows through transparent pixels, before resizing: a level in 0..1, red,
            green and blue, or a name such as "white" or "#c0ffee"; None refuses a picture that has
            any.

    Raises:
        ValueError: no list of paths, an empty one, one of the other arguments, a file that is no
            whole PNG or JPEG, an animated one, one with more pixels than Pillow takes
            (`PIL.Image.MAX_IMAGE_PIXELS`), one with transparent pixels, or of another size than
            the first.
    """
    if not isinstance(paths, Sequence) or isinstance(paths, (str, bytes)) or len(paths) == 0:
        example = 'such as sorted(folder.glob("*.png"))'
        raise ValueError(f"paths is {paths!r}; expected a list of one path or more, {example}")
    if not is_size(channels) or channels not in (1, 3):
        raise ValueError(f"channels is {channels!r}; expected 1 or 3")
    size, background = _as_size(size, resize), _as_colour(background)
    images = []
    for number, path in enumerate(paths):
        if not isinstance(path, (str, Path)):
            raise ValueError(f"paths[{number}] is {path!r}; expected a str or a Path")
        images.append(_read(path, channels, size, resize, background))
        height, width, first = *images[-1].shape[:2], images[0].shape[:2]
        if (height, width) != first:
            found = f"{str(path)!r} is {height} pixels high and {width} wide"
            expected = "{} high and {} wide, as the first file".format(*first)
            advice = "pass size=(height, width) to resize them all"
            raise ValueError(f"{found}; expected {expected}, {str(paths[0])!r}: {advice}")
    return np.stack(images)


def _as_size(size: tuple[int, int] | None, resize: str) -> tuple[int, int] | None:
    """The size in Python's integers."""
    if not (isinstance(resize, str) and resize in RESIZES):
        raise ValueError(f"resize is {resize!r}; expected one of {tuple(RESIZES)}")
    if size is None:
        return None
    listed = isinstance(size, (Sequence, np.ndarray)) and len(size) == 2
    if not listed or not all(is_size(side) for side in size):
        raise ValueError(f"size is {size!r}; expected (height, width) of at least 1, or None")
    return int(size[0]), int(size[1])


def _as_colour(background: Background) -> np.ndarray | None:
    """The background as red, green and blue in 0..1."""
    if background is None:
        return None
    expected = "expected a level in 0..1, three of them, a colour's name, or None"
    if isinstance(background, str):
        try:
            return np.array(ImageColor.getrgb(background)[:3]) / 255
        except ValueError as error:
            raise ValueError(f"background is {background!r}; {expected}") from error
    listed = isinstance(background, (Sequence, np.ndarray))
    levels = list(background) if listed else [background] * 3
    if len(levels) != 3 or not all(is_real(level) and 0 <= level <= 1 for level in levels):
        raise ValueError(f"background is {background!r}; {expected}")
    return np.array(levels, float)


def _read(
    path: str | Path,
    channels: int,
    size: tuple[int, int] | None,
    resize: str,
    background: np.ndarray | None,
) -> np.ndarray:
    """One file as float32 in 0..1, shape (height, width, channels)."""
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as file:
            frames = getattr(file, "n_frames", 1) if file.format == "PNG" else 1
            picture = ImageOps.exif_transpose(file)
    except Exception as error:  # what is missing, cut off or of another kind fails in many ways
        raise ValueError(
            f"{str(path)!r} cannot be read: {error}; expected a PNG or JPEG"
        ) from error
    if frames > 1:  # a JPEG's further frames are a camera's previews and depth maps
        raise ValueError(f"{str(path)!r} is animated, with {frames} frames; expected one picture")
    image, alpha = (_grey_16 if picture.mode.startswith("I") else _colours)(picture, channels)
    if alpha.min() < 1:
        if background is None:
            advice = "pass background=, a level or a colour such as 'white', that shows through"
            raise ValueError(f"{str(path)!r} has transparent pixels; expected none: {advice}")
        image = alpha * image + (1 - alpha) * _in(channels, background)
    if size is not None:
        fill = np.zeros(channels) if background is None else _in(channels, background)
        planes = zip(np.moveaxis(image, -1, 0), fill, strict=True)
        image = np.stack([_resized(plane, size, resize, level) for plane, level in planes], axis=-1)
    return image.astype("float32")


def _grey_16(picture: Image.Image, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """16 bits of grey, of which Pillow would leave 8: levels and opacity, both in 0..1."""
    levels = np.asarray(picture).astype("uint16")[..., np.newaxis]
    alpha = levels != picture.info.get("transparency", -1)
    return (levels / 65535).repeat(channels, axis=2), alpha.astype(float)


def _colours(picture: Image.Image, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """All other modes, as above."""
    picture = picture.convert("RGBA")
    levels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    levels = levels.reshape(*levels.shape[:2], channels)
    return levels / 255, np.asarray(picture.getchannel("A"))[..., np.newaxis] / 255


def _in(channels: int, colour: np.ndarray) -> np.ndarray:
    """A colour's levels in so many channels."""
    return colour if channels == 3 else np.array([LUMINANCE @ colour])


def _resized(plane: np.ndarray, size: tuple[int, int], resize: str, fill: float) -> np.ndarray:
    """One channel (height, width) in another size; a mean of levels stays between them."""
    options = {"color": float(fill)} if resize == "pad" else {}
    height, width = size
    picture = Image.fromarray(plane.astype("float32"))
    bilinear = Image.Resampling.BILINEAR
    return np.asarray(RESIZES[resize](picture, (width, height), bilinear, **options))
