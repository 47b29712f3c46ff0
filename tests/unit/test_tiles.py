"""Tiles of a picture, and maps of them joined, against loops in plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_lib import data

PICTURE = np.random.RandomState(0).rand(9, 14, 3).astype("float32")


@st.composite
def cuts(draw):
    """A picture's shape, a tile's size, and a stride between 1 and the size."""
    size = tuple(draw(st.integers(1, 5)) for _ in range(2))
    shape = tuple(draw(st.integers(side, 13)) for side in size)
    return shape, size, tuple(draw(st.integers(1, side)) for side in size)


def starts(length: int, side: int, step: int) -> list[int]:
    """Where tiles begin: every step, and at the end where a margin would be left."""
    found = [i for i in range(length) if i % step == 0 and i + side <= length]
    return found if found[-1] + side == length else [*found, length - side]


@given(cuts())
def test_tiles_are_slices_row_by_row(cut):
    shape, size, stride = cut
    picture = np.random.RandomState(1).rand(*shape, 3).astype("float32")
    rows, columns = (starts(*sides) for sides in zip(shape, size, stride, strict=True))
    expected = [picture[i : i + size[0], j : j + size[1]] for i in rows for j in columns]
    made = data.tiles(picture, size, stride)
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made, expected)


@given(cuts())
def test_joining_undoes_it(cut):
    shape, size, stride = cut
    picture = np.random.RandomState(2).rand(*shape, 3)
    made = data.join_tiles(data.tiles(picture, size, stride), shape, stride)
    np.testing.assert_allclose(made, picture, rtol=1e-6)


def test_overlapping_tiles_are_averaged():
    maps = np.array([1.0, 2.0, 6.0])[:, None, None] * np.ones((3, 2, 4))
    joined = data.join_tiles(maps, (2, 9), (2, 3))  # they begin at 0, 3, and 5: the last is shifted
    np.testing.assert_allclose(joined, [[1, 1, 1, 1.5, 2, 4, 4, 6, 6]] * 2)


def test_without_a_stride_tiles_lie_side_by_side():
    made = data.tiles(PICTURE, (3, 7))
    assert made.shape == (6, 3, 7, 3)
    np.testing.assert_array_equal(made[3], PICTURE[3:6, 7:])
    np.testing.assert_array_equal(data.join_tiles(made, PICTURE.shape), PICTURE)


def test_a_picture_is_brought_to_the_library_s_form():
    levels = np.rint(PICTURE * 255).astype("uint8")
    grey = data.tiles(levels[..., 0], (9, 14), 5)
    assert grey.shape == (1, 9, 14, 1) and grey.dtype == np.float32
    np.testing.assert_allclose(grey[0, ..., 0] * 255, levels[..., 0], rtol=1e-6)
    narrow = data.tiles(levels[:, :3, 0], (9, 3))  # three columns are no channels
    assert narrow.shape == (1, 9, 3, 1)


def test_tiles_are_a_copy():
    picture = PICTURE.copy()
    data.tiles(picture, (3, 7))[:] = 0
    np.testing.assert_array_equal(picture, PICTURE)


def test_maps_may_have_no_channels():
    maps = data.tiles(PICTURE, (4, 5), 2)
    joined = data.join_tiles(maps.sum(axis=-1), PICTURE.shape[:2], 2)
    assert joined.shape == (9, 14)
    np.testing.assert_allclose(joined, data.join_tiles(maps, (9, 14), 2).sum(axis=-1), rtol=1e-6)


@pytest.mark.parametrize("scale", [1, 7])
def test_integers_are_joined_too(scale):
    maps = np.full((4, 2, 2), scale)
    assert (data.join_tiles(maps, (4, 4)) == scale).all()
