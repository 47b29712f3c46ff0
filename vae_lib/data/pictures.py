"""Picture files, read into the library's form."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from ..checks import is_size


def read_images(paths: Sequence[str | Path], channels: int = 1) -> np.ndarray:
    """Read PNG and JPEG files of one size: float32 in 0..1, shape (n, height, width, channels).

    The images stand in the order of `paths`, upright as their EXIF orientation says. One channel is
    the luminance (ITU-R 601), three are red, green and blue. Grey of 16 bits keeps its depth; of
    colours with 16 bits the upper 8 are read.

    Raises:
        ValueError: no list of paths, an empty one, channels other than 1 or 3, a file that is no
            whole PNG or JPEG, one with transparent pixels, or one of another size than the first.
    """
    if not isinstance(paths, Sequence) or isinstance(paths, (str, bytes)) or len(paths) == 0:
        example = 'such as sorted(folder.glob("*.png"))'
        raise ValueError(f"paths is {paths!r}; expected a list of one path or more, {example}")
    if not is_size(channels) or channels not in (1, 3):
        raise ValueError(f"channels is {channels!r}; expected 1 or 3")
    images = []
    for number, path in enumerate(paths):
        if not isinstance(path, (str, Path)):
            raise ValueError(f"paths[{number}] is {path!r}; expected a str or a Path")
        images.append(_read(path, channels))
        height, width, first = *images[-1].shape[:2], images[0].shape[:2]
        if (height, width) != first:
            found = f"{str(path)!r} is {height} pixels high and {width} wide"
            expected = "{} high and {} wide, as the first file".format(*first)
            raise ValueError(f"{found}; expected {expected}, {str(paths[0])!r}")
    return np.stack(images)


def _read(path: str | Path, channels: int) -> np.ndarray:
    """One file as float32 in 0..1, shape (height, width, channels)."""
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as file:
            picture = ImageOps.exif_transpose(file)
    except Exception as error:  # what is missing, cut off or of another kind fails in many ways
        raise ValueError(
            f"{str(path)!r} cannot be read: {error}; expected a PNG or JPEG"
        ) from error
    if picture.mode.startswith("I"):  # 16 bits of grey, of which Pillow would leave 8
        levels = np.asarray(picture).astype("uint16")
        opaque = picture.info.get("transparency") not in levels
    else:
        picture = picture.convert("RGBA")
        opaque = picture.getextrema()[3][0] == 255
        levels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    if not opaque:
        advice = "lay it on a background of your choice first"
        raise ValueError(f"{str(path)!r} has transparent pixels; expected none: {advice}")
    image = np.divide(levels, np.iinfo(levels.dtype).max, dtype="float32")
    return image if image.ndim == 3 else image[..., np.newaxis].repeat(channels, axis=2)
