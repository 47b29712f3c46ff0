"""The one form in which the library takes images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..checks import check_array

COLOURS = (1, 3, 4)  # a last axis of so many is taken for channels


def as_images(images: np.ndarray | Sequence[np.ndarray], name: str = "images") -> np.ndarray:
    """Bring images to the library's form: float32 in 0..1, shape (n, height, width, channels).

    uint8 is divided by 255, uint16 by 65535, and bool becomes 0 and 1; a missing channel axis is
    added. What comes back is always a copy.

    Raises:
        ValueError: another rank or type, images of differing sizes, masked pixels, NaN or infinite
            ones, and such outside 0..1. Also three axes of which the last has 1, 3 or 4 places:
            one picture in colour looks like that, and so do n grey ones of that width.
    """
    images = _plain_array(images, name)
    if images.ndim == 3 and images.shape[-1] in COLOURS:
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
    check_array(images, images.shape[1:], unit_interval=False, name=name)
    low, high = float(images.min()), float(images.max())
    if low < 0 or high > 1:
        advice = " (if they are levels up to 255, divide by 255)" if high > 1 else ""
        raise ValueError(f"{name} has values in {low:.9g}..{high:.9g}; expected 0..1{advice}")
    return images.astype("float32")


def _plain_array(images: np.ndarray | Sequence[np.ndarray], name: str) -> np.ndarray:
    """An array that has values, none of them masked, of a type that images may have."""
    listed = images if isinstance(images, (list, tuple)) else [images]
    if any(np.ma.isMaskedArray(image) for image in listed):
        # NumPy would drop the mask without a word
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
