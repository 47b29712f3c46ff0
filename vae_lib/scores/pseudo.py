"""Images that are wrong on purpose, made of normal ones: what a score should tell from those."""

from __future__ import annotations

import numpy as np
from keras import ops


def swapped_patch(images: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """A rectangle of half the sides comes from another image; CutMix, Yun et al. (2019)."""
    order, patched, others = rng.permutation(len(images)), images.copy(), np.empty_like(images)
    others[order] = images[np.roll(order, 1)]  # so that no image gets its own
    sides = [side // 2 for side in images.shape[1:3]]
    for i in range(len(images)):
        here = _window(images.shape, sides, rng)
        patched[i][here] = others[i][here]
    return patched


def moved_patch(images: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """A rectangle of a third of the sides is pasted elsewhere; CutPaste, Li et al. (2021)."""
    pasted, sides = images.copy(), [max(side // 3, 1) for side in images.shape[1:3]]
    for i in range(len(images)):
        there, here = (_window(images.shape, sides, rng) for _ in range(2))
        pasted[i][there] = images[i][here]
    return pasted


def turned(images: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """By a right angle, or upside down where that would change the sides."""
    square = images.shape[1] == images.shape[2]
    return np.rot90(images, 1 if square else 2, axes=(1, 2))


def enlarged(images: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """The middle, 1.4 times as large."""
    height, width = images.shape[1:3]
    top, left = (round(side * (1 - 1 / 1.4) / 2) for side in (height, width))
    middle = images[:, top : height - top, left : width - left]
    return ops.convert_to_numpy(ops.image.resize(middle, (height, width)))


def shuffled(images: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """Opposite quarters change places."""
    return np.roll(images, [side // 2 for side in images.shape[1:3]], axis=(1, 2))


KINDS = (swapped_patch, moved_patch, turned, enlarged, shuffled)


def _window(shape: tuple[int, ...], sides: list[int], rng: np.random.RandomState):
    starts = [rng.randint(0, shape[1 + axis] - side + 1) for axis, side in enumerate(sides)]
    return tuple(slice(start, start + side) for start, side in zip(starts, sides, strict=True))
