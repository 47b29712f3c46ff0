"""A large picture cut into tiles, and the tiles' heat-maps joined into one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..checks import is_size, plain_array
from .images import as_images

Stride = int | Sequence[int] | None


def tiles(picture: np.ndarray, size: Sequence[int], stride: Stride = None) -> np.ndarray:
    """Cut a picture (height, width[, channels]) into float32 tiles (n, *size, channels) in 0..1.

    `size` is (height, width) of a tile, `stride` the step between tiles, one number or (down,
    across); the default is `size`, so that tiles lie side by side. They come row by row. Where the
    last step would leave a margin, one tile more ends at the edge and overlaps the one before.

    Raises:
        ValueError: what `as_images` refuses, a picture smaller than a tile, a size that is none, a
            stride that is none or would leave gaps.
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
        ValueError: maps that are no numbers, or not as many as the picture has tiles; a shape
            smaller than a tile, and a stride as above.
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
