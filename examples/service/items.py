"""What a request carries, as items of a detector; a ValueError says what is wrong with it."""

from __future__ import annotations

import io
import json
import tempfile

import numpy as np
from PIL import Image

from vae_lib import data, frames
from vae_lib.command import shape_of

PICTURES = {"image/png": ".png", "image/jpeg": ".jpg"}
KINDS = (*PICTURES, "application/json")


def read(kind: str, body: bytes, detector, most: int):
    """The items of a body of that Content-Type: an array, or a DataFrame for named columns."""
    if kind in PICTURES:
        return _picture(kind, body, shape_of(detector))
    return _items(body, detector.columns, most)


def _picture(kind: str, body: bytes, shape: tuple[int, ...]) -> np.ndarray:
    if len(shape) != 3:
        raise ValueError(f"a picture came; expected JSON with items of shape {shape}")
    size = _size(body)  # before its pixels take memory
    if size not in (None, shape[:2]):
        found = f"the picture is {size[0]} pixels high and {size[1]} wide"
        raise ValueError(f"{found}; expected {shape[0]} and {shape[1]}")
    with tempfile.NamedTemporaryFile(suffix=PICTURES[kind]) as file:
        file.write(body)
        file.flush()
        try:
            return data.read_images([file.name], channels=shape[-1])
        except ValueError as error:  # no word of where it lay
            raise ValueError(str(error).replace(file.name, "picture")) from None


def _size(body: bytes) -> tuple[int, int] | None:
    """Height and width by the picture's head, if it has one; `read_images` says what it has."""
    try:
        with Image.open(io.BytesIO(body), formats=("PNG", "JPEG")) as picture:
            return picture.height, picture.width
    except Exception:  # what is no picture fails in many ways
        return None


def _items(body: bytes, columns: tuple[str, ...] | None, most: int):
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the body is no JSON: {error}") from None
    if not isinstance(given, dict) or not isinstance(given.get("items"), list):
        raise ValueError('the body has no list of "items"; expected {"items": [...]}')
    if len(given["items"]) > most:
        raise ValueError(f"items has {len(given['items'])}; expected {most} at most")
    if columns is not None:
        return _rows(given["items"], columns)
    try:
        items = np.asarray(given["items"])
    except ValueError:
        raise ValueError("items has rows of unequal lengths; expected one shape") from None
    if items.dtype.kind not in "fi":
        raise ValueError(f"items has dtype {items.dtype}; expected numbers")
    return items.astype("float32")


def _rows(rows: list, columns: tuple[str, ...]):
    def right(value: object) -> bool:  # JSON has integers that no column holds
        whole = isinstance(value, int) and abs(value) <= 2**53
        return whole or isinstance(value, (str, float, type(None)))

    for i, row in enumerate(rows):
        if not isinstance(row, dict) or set(row) != set(columns):
            raise ValueError(f"item {i} is no object with the columns {columns}; expected one")
        if wrong := [name for name, value in row.items() if not right(value)]:
            raise ValueError(f"item {i} has in {wrong[0]!r} no text, number or null; expected one")
    return frames.pandas().DataFrame(rows, columns=list(columns))
