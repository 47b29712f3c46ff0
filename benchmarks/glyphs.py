"""Data to choose settings on, drawn here: letters and shaded symbols, 28 x 28, ten classes each.

Settings of the detection benchmarks are chosen on these, so that no image of the data sets in the
published tables, anomalous or not, takes part. The glyphs come from the fonts that Matplotlib
ships; slant, width, weight, an elastic distortion and, for symbols, brightness and a pattern differ
from image to image, and each image is prepared as MNIST's are.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

FONTS = Path(matplotlib.get_data_path(), "fonts", "ttf")
KINDS = {
    "letters": (
        "ABCDEFGHIJ",
        "DejaVu*[!y].ttf STIXGeneral* cmr10* cmss10* cmtt10* cmb10*",
    ),
    "symbols": ("☎☂☃☠♞♥♣⚓✈✿", "DejaVuSans.ttf"),
}
CANVAS = 96  # pixels of a side, before the image is brought to its size


def run(arguments: argparse.Namespace) -> None:
    """Write both data sets, <kind>.npz in Keras's layout, into the folder of `--out`."""
    folder = Path(arguments.out)
    folder.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        sizes = {"train": arguments.train, "test": arguments.test}
        arrays = {}
        for seed, (part, size) in enumerate(sizes.items()):
            arrays[f"x_{part}"], arrays[f"y_{part}"] = draw(kind, size, seed)
        np.savez_compressed(folder / f"{kind}.npz", **arrays)
        print(folder / f"{kind}.npz")


def draw(kind: str, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`size` images of each class: uint8 (10 size, 28, 28), and their classes."""
    glyphs, patterns = KINDS[kind]
    fonts = sorted({path for pattern in patterns.split() for path in FONTS.glob(pattern)})
    rng = np.random.RandomState(seed)
    classes = np.repeat(np.arange(len(glyphs)), size)
    images = [
        one(glyphs[c], fonts[rng.randint(len(fonts))], rng, shaded=kind == "symbols")
        for c in classes
    ]
    return np.stack(images), classes


def one(glyph: str, font: Path, rng: np.random.RandomState, shaded: bool) -> np.ndarray:
    """One glyph, distorted, centred by its mass in 28 x 28 with its longer side 20 pixels."""
    canvas = Image.new("L", (CANVAS, CANVAS))
    middle = (CANVAS // 2, CANVAS // 2)
    face = ImageFont.truetype(str(font), 56)
    ImageDraw.Draw(canvas).text(middle, glyph, fill=255, font=face, anchor="mm")
    ink = np.asarray(canvas, "float64") / 255
    weight = rng.randint(-1, 3)
    grow = ndimage.grey_dilation if weight > 0 else ndimage.grey_erosion
    ink = grow(ink, size=(abs(weight) + 1,) * 2)
    ink = _distort(ink, rng)
    if shaded:
        ink = ink * _shade(rng)
    rows, columns = (np.flatnonzero(ink.max(axis=axis) > 0.05) for axis in (1, 0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    small = ndimage.zoom(ndimage.gaussian_filter(ink, max(ink.shape) / 60), 20 / max(ink.shape))
    image = np.zeros((28, 28))
    top, left = ((28 - side) // 2 for side in small.shape)
    image[top : top + small.shape[0], left : left + small.shape[1]] = small
    shift = 13.5 - np.array(ndimage.center_of_mass(image))
    return np.round(255 * np.clip(ndimage.shift(image, np.round(shift)), 0, 1)).astype("uint8")


def _distort(ink: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """A random slant, turn and width, and an elastic distortion (Simard et al., 2003)."""
    angle, slant = rng.normal(0, 0.12), rng.normal(0, 0.2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.array([[1, 0], [slant, 1]]) @ np.diag(np.exp(rng.normal(0, 0.15, 2)))
    grid = np.indices(ink.shape) - CANVAS / 2
    field = rng.normal(0, 1, grid.shape)
    field = np.stack([ndimage.gaussian_filter(part, 9) for part in field])
    where = np.tensordot(matrix, grid, 1) + CANVAS / 2 + 60 * field
    return ndimage.map_coordinates(ink, where, order=1)


def _shade(rng: np.random.RandomState) -> np.ndarray:
    """Brightness, a gradient and stripes, as cloth has them."""
    y, x = np.indices((CANVAS, CANVAS)) / CANVAS - 0.5
    turn = rng.uniform(0, np.pi)
    along = x * np.cos(turn) + y * np.sin(turn)
    stripes = rng.choice([0, 0, 0.3]) * np.sign(np.sin(along * rng.uniform(20, 80)))
    return np.clip(rng.uniform(0.35, 0.95) + rng.normal(0, 0.4) * along + stripes, 0.1, 1)
