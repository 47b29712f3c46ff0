"""Images in the library's form: from arrays, from files, and as tiles of a large picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageOps

from ..checks import check_array, is_real, is_size, plain_array

CHANNELS = (1, 3, 4)  # a last axis of this length is taken for channels
RESIZES = {"stretch": Image.Image.resize, "crop": ImageOps.fit, "pad": ImageOps.pad}
LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R 601, as Pillow has it
Background = float | Sequence[float] | str | None
Stride = int | Sequence[int] | None


def as_images(images: np.ndarray | Sequence[np.ndarray], name: str = "images") -> np.ndarray:
    """Bring images to the library's form: float32 in 0..1, shape (n, height, width, channels).

    uint8 is divided by 255, uint16 by 65535, and bool becomes 0 and 1; a missing channel axis is
    added. The result is always a copy.

    Raises:
        ValueError: another rank or type, images of differing sizes, masked pixels, pixels that are
            NaN, infinite or outside 0..1. Also three axes of which the last has length 1, 3 or 4:
            one picture in colour looks like that, and so do n grey ones of that width.
    """
    images = _pixels(images, name)
    if images.ndim == 3 and images.shape[-1] in CHANNELS:
        raise ValueError(
            f"{name} has shape {images.shape}, which may be one picture or many; expected "
            "x[None] for one picture with channels, or x[..., None] for many without"
        )
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4:
        raise ValueError(
            f"{name} has shape {images.shape}; expected (n, height, width[, channels])"
        )
    if images.dtype.type in (np.uint8, np.uint16):
        return np.divide(images, np.iinfo(images.dtype).max, dtype="float32")
    if images.dtype == bool:
        return images.astype("float32")
    low, high = check_array(images, images.shape[1:], unit_interval=False, name=name)
    if low < 0 or high > 1:
        advice = " (if they are levels up to 255, divide by 255)" if high > 1 else ""
        raise ValueError(f"{name} has values in {low:.9g}..{high:.9g}; expected 0..1{advice}")
    return images.astype("float32")


def _pixels(images: np.ndarray | Sequence[np.ndarray], name: str) -> np.ndarray:
    """An array with values, none of them masked, of a type that images may have."""
    listed = images if isinstance(images, (list, tuple)) else [images]
    if any(np.ma.isMaskedArray(image) for image in listed):  # NumPy would drop the mask silently
        raise ValueError(f"{name} is masked; expected a plain array, such as x.filled(0)")
    try:
        images = np.asarray(images)
    except ValueError as error:
        raise ValueError(f"{name} differ in shape ({error}); expected images of one size") from None
    kind = images.dtype.type
    if not (kind in (np.uint8, np.uint16, np.bool_) or np.issubdtype(kind, np.floating)):
        whole = images.size and images.dtype.kind in "iu"
        values = f" with values in {images.min()}..{images.max()}" if whole else ""
        accepted = "expected uint8, uint16, bool, or floats in 0..1"
        raise ValueError(f"{name} has dtype {images.dtype}{values}; {accepted}")
    if images.size == 0:
        raise ValueError(f"{name} is empty, of shape {images.shape}; expected at least one image")
    return images


# Picture files


def read_images(
    paths: Sequence[str | Path],
    channels: int | None = None,
    size: tuple[int, int] | None = None,
    resize: str = "stretch",
    background: Background = None,
) -> np.ndarray:
    """Read PNG and JPEG files: float32 in 0..1, shape (n, height, width, channels).

    The images are in the order of `paths`, upright as their EXIF orientation says. Grey of 16 bits
    keeps its depth; of colours with 16 bits the upper 8 are read. All are held in memory, 4 bytes a
    number.

    Args:
        channels: 1 for the luminance (ITU-R 601), or 3 for red, green and blue. None is 1 if all
            files are grey, or opaque RGBA with grey pixels alone, as plotting libraries write them;
            else it is 3. For a trained model, say what it was trained on.
        size: (height, width) that every picture is brought to; None wants files of one size.
        resize: how: "stretch" to it, "crop" what is too much at two opposite sides, or "pad" with
            black (with the background, if there is one). Pixels are averaged bilinearly.
        background: what shows through transparent pixels, before resizing: a level in 0..1, red,
            green and blue, or a name such as "white" or "#c0ffee"; None refuses a picture that has
            any.

    Raises:
        ValueError: paths that are not a list of at least one; one of the other arguments; a file
            that is not a whole PNG or JPEG, is animated, has more pixels than Pillow takes
            (`PIL.Image.MAX_IMAGE_PIXELS`), has transparent pixels, or another size than the first.
    """
    if not isinstance(paths, Sequence) or isinstance(paths, (str, bytes)) or len(paths) == 0:
        example = 'such as sorted(folder.glob("*.png"))'
        raise ValueError(f"paths is {paths!r}; expected a list of one path or more, {example}")
    for number, path in enumerate(paths):
        if not isinstance(path, (str, Path)):
            raise ValueError(f"paths[{number}] is {path!r}; expected a str or a Path")
    if channels is not None and not (is_size(channels) and channels in (1, 3)):
        raise ValueError(f"channels is {channels!r}; expected 1 or 3, or None")
    size, colour = _as_size(size, resize), _as_colour(background)
    if channels is None:
        grey = (colour is None or np.ptp(colour) == 0) and all(map(_is_grey, paths))
        channels = 1 if grey else 3
    images = []
    for path in paths:
        images.append(_read(path, channels, size, resize, colour))
        height, width, first = *images[-1].shape[:2], images[0].shape[:2]
        if (height, width) != first:
            found = f"{str(path)!r} is {height} pixels high and {width} wide"
            expected = "{} high and {} wide, as the first file".format(*first)
            advice = "pass size=(height, width) to resize them all"
            raise ValueError(f"{found}; expected {expected}, {str(paths[0])!r}: {advice}")
    return np.stack(images)


def _is_grey(path: str | Path) -> bool:
    """Whether a file has grey levels alone; one that cannot be read is named later, by `_read`."""
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as file:
            if file.mode != "RGBA":
                return file.mode.startswith(("1", "L", "I"))
            pixels = np.asarray(file)
            opaque = pixels[..., 3].min() == 255
            return bool(opaque and (pixels[..., :3] == pixels[..., :1]).all())
    except Exception:
        return True


def _as_size(size: tuple[int, int] | None, resize: str) -> tuple[int, int] | None:
    """The size as Python's integers."""
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


# Tiles


def tiles(picture: np.ndarray, size: Sequence[int], stride: Stride = None) -> np.ndarray:
    """Cut a picture (height, width[, channels]) into float32 tiles (n, *size, channels) in 0..1.

    `size` is (height, width) of a tile, `stride` the step between tiles, one number or (down,
    across); the default is `size`, so that tiles lie side by side. They come row by row. Where the
    last step would leave a margin, one tile more ends at the edge and overlaps the one before.

    Raises:
        ValueError: what `as_images` refuses; a picture smaller than a tile; a size or a stride that
            is not (height, width) of at least 1; a stride that would leave gaps.
    """
    picture = plain_array(picture, "picture")
    if picture.ndim not in (2, 3):
        expected = "expected one picture, (height, width[, channels])"
        raise ValueError(f"picture has shape {picture.shape}; {expected}")
    picture = picture if picture.ndim == 3 else picture[..., np.newaxis]
    whole = as_images(picture[np.newaxis], "picture")[0]
    rows, columns = _corners(whole.shape[:2], size, stride)
    windows = np.lib.stride_tricks.sliding_window_view(whole, tuple(size), axis=(0, 1))
    cut = np.moveaxis(windows[np.ix_(rows, columns)], 2, -1)
    return np.ascontiguousarray(cut.reshape(-1, *cut.shape[2:]))


def join_tiles(maps: np.ndarray, shape: Sequence[int], stride: Stride = None) -> np.ndarray:
    """Join maps (n, height, width[, channels]) of a picture's tiles: (*shape[:2][, channels]).

    The reverse of `tiles` with the same `stride`, for a picture whose shape begins with `shape`.
    Where tiles overlap, the mean of their values is taken. One number a tile, its score say, makes
    a map as `np.full(maps.shape, ...)` or `np.broadcast_to` give it.

    Raises:
        ValueError: maps that are not numbers, or not as many as the picture has tiles; a shape
            smaller than a tile; a stride as above.
    """
    maps = plain_array(maps, "maps")
    if maps.ndim not in (3, 4) or maps.dtype.kind not in "fiu":
        found = f"maps has shape {maps.shape} and dtype {maps.dtype}"
        raise ValueError(f"{found}; expected numbers (n, height, width[, channels])")
    height, width = maps.shape[1:3]
    rows, columns = _corners(shape, (height, width), stride)
    if len(maps) != len(rows) * len(columns):
        expected = f"expected {len(rows) * len(columns)}: {len(rows)} rows of {len(columns)}"
        raise ValueError(f"maps has {len(maps)} tiles; {expected}, as the shape {shape} has them")
    total = np.zeros((*shape[:2], *maps.shape[3:]))
    count = np.zeros(shape[:2])
    corners = [(row, column) for row in rows for column in columns]
    for (row, column), values in zip(corners, maps, strict=True):
        place = slice(row, row + height), slice(column, column + width)
        total[place] += values
        count[place] += 1
    return total / count.reshape(count.shape + (1,) * (maps.ndim - 3))


def _corners(shape: Sequence[int], size: Sequence[int], stride: Stride) -> list[list[int]]:
    """The first rows of the tiles, and their first columns."""
    steps = size if stride is None else [stride] * 2 if is_size(stride) else stride
    for name, sides, most in (("shape", shape, 3), ("size", size, 2), ("stride", steps, 2)):
        listed = isinstance(sides, (Sequence, np.ndarray)) and 2 <= len(sides) <= most
        if not (listed and all(map(is_size, sides))):
            raise ValueError(f"{name} is {sides!r}; expected (height, width) of at least 1")
    corners = []
    for length, side, step in zip(shape[:2], size, steps, strict=True):
        if not step <= side <= length:
            found = f"stride is {tuple(steps)}, size {tuple(size)}, and the picture {tuple(shape)}"
            raise ValueError(f"{found}; expected stride <= size <= picture: no gaps, no margin")
        corners.append([*range(0, length - side, step), length - side])
    return corners
