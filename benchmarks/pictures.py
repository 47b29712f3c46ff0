"""Data of other kinds to choose settings on: photographs, surfaces, shaded solids; 28 x 28, grey.

The photographs are tiles of pictures that scikit-image and scikit-learn ship, each picture a class:
training tiles come from its left part, test tiles from its right. Surfaces are tiles of three such
pictures, and four kinds drawn here; brightness and contrast differ from image to image. Solids
are bodies on black under a light from somewhere. No image of a published table is among them.
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from . import record

SIDE = 28
CUT = 0.65  # of a picture's width: training tiles lie to its left, test tiles to its right
PHOTOGRAPHS = {
    "skimage/data": (
        *("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "ihc.png", "retina.jpg"),
        *("motorcycle_left.png", "coins.png"),
    ),
    "sklearn/datasets/images": ("china.jpg", "flower.jpg"),
}
SURFACES = ("brick.png", "grass.png", "gravel.png")  # of scikit-image
DRAWN = ("scratches", "pits", "patches", "rough")
SOLIDS = ("ball", "cone", "tube", "box", "ring", "shirt", "trousers", "boot")
KINDS = ("photographs", "surfaces", "solids")


def run(arguments: argparse.Namespace) -> None:
    """Write the data sets, <kind>.npz in Keras's layout, into the folder of `--out`."""
    folder = Path(arguments.out)
    folder.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        arrays = {}
        for part, size in (("train", arguments.train), ("test", arguments.test)):
            arrays[f"x_{part}"], arrays[f"y_{part}"] = draw(kind, size, part)
        np.savez_compressed(folder / f"{kind}.npz", **arrays)
        print(folder / f"{kind}.npz")


def draw(kind: str, size: int, part: str) -> tuple[np.ndarray, np.ndarray]:
    """`size` images of each class for "train" or "test": uint8 (n, 28, 28), and their classes."""
    makers = {"photographs": _photographs, "surfaces": _surfaces, "solids": _solids}[kind]()
    images = []
    for c, maker in enumerate(makers):
        rng = np.random.RandomState(c + 100 * (part == "test"))
        images += [maker(rng, part) for _ in range(size)]
    grey = np.round(255 * np.clip(images, 0, 1)).astype("uint8")
    return grey, np.repeat(np.arange(len(makers)), size)


def _picture(folder: str, name: str) -> Image.Image:
    """A grey picture of an installed package, which is not imported for it."""
    package, _, inside = folder.partition("/")
    found = importlib.util.find_spec(package)
    if found is None:
        raise record.Unusable(f"{package} is not installed; expected benchmarks/requirements.txt")
    return Image.open(Path(found.origin).parent / inside / name).convert("L")


def _photographs() -> list:
    pictures = [_picture(f, name) for f, names in PHOTOGRAPHS.items() for name in names]
    return [
        lambda rng, part, picture=picture: _tile(picture, rng, part, 48, 120)
        for picture in pictures
    ]


def _surfaces() -> list:
    pictures = [_picture("skimage/data", name) for name in SURFACES]
    tiles = [
        lambda rng, part, picture=picture: _tile(picture, rng, part, 40, 70) for picture in pictures
    ]
    drawn = [lambda rng, part, kind=kind: _surface(kind, rng) for kind in DRAWN]
    return [lambda rng, part, maker=maker: _lit(maker(rng, part), rng) for maker in tiles + drawn]


def _solids() -> list:
    return [lambda rng, part, kind=kind: _solid(kind, rng) for kind in SOLIDS]


def _tile(picture: Image.Image, rng: np.random.RandomState, part: str, least: int, most: int):
    """A square of the picture, mirrored or not, brought to its size."""
    width, height = picture.size
    first, last = (0, int(CUT * width)) if part == "train" else (int(CUT * width), width)
    side = min(rng.randint(least, most), height, last - first)
    left, top = rng.randint(first, last - side + 1), rng.randint(height - side + 1)
    box = (left, top, left + side, top + side)
    tile = picture.crop(box).resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(tile, "float64")[:, :: rng.choice([-1, 1])] / 255


def _lit(image: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """Another contrast, another brightness."""
    return (image - 0.5) * np.exp(rng.normal(0, 0.25)) + 0.5 + rng.normal(0, 0.08)


def _noise(rng: np.random.RandomState, power: float) -> np.ndarray:
    """Noise whose spectrum falls by this power of the frequency: mean 0, deviation 1."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE)))
    frequency[0, 0] = 1
    spectrum = np.fft.fft2(rng.normal(size=(SIDE, SIDE))) / frequency**power
    noise = np.fft.ifft2(spectrum).real
    return (noise - noise.mean()) / noise.std()


def _surface(kind: str, rng: np.random.RandomState) -> np.ndarray:
    """A sheet of metal with many of one kind of fault."""
    y, x = np.indices((SIDE, SIDE)) / SIDE
    sheet = 0.5 + 0.05 * _noise(rng, 1.5)
    if kind == "scratches":
        for _ in range(rng.randint(1, 4)):
            turn = np.pi / 2 + rng.normal(0, 0.15)
            across = np.cos(turn) * (y - rng.rand()) + np.sin(turn) * (x - rng.rand())
            sheet += rng.uniform(0.2, 0.5) * np.exp(-((across / 0.03) ** 2))
    elif kind == "pits":
        for _ in range(rng.randint(8, 25)):
            width, (top, left) = rng.uniform(0.02, 0.05), rng.rand(2)
            pit = np.exp(-((y - top) ** 2 + (x - left) ** 2) / width**2)
            sheet -= rng.uniform(0.2, 0.4) * pit
    elif kind == "patches":
        blurred = ndimage.gaussian_filter(rng.normal(size=(SIDE, SIDE)), 3)
        sheet += 0.25 * np.tanh(30 * blurred)
    else:
        sheet += 0.15 * _noise(rng, 0.3)
    return sheet


def _solid(kind: str, rng: np.random.RandomState) -> np.ndarray:
    """A body, turned and stretched a little, plain or striped."""
    grid = (np.indices((SIDE, SIDE)) - 13.5) / 14
    turn, (down, right) = rng.normal(0, 0.12), rng.normal(0, 0.04, 2)
    wide, tall = np.exp(rng.normal(0, 0.12, 2))
    y0, x0 = grid[0] - down, grid[1] - right
    x = (np.cos(turn) * x0 + np.sin(turn) * y0) / wide
    y = (np.cos(turn) * y0 - np.sin(turn) * x0) / tall
    inside, height = _body(kind, x, y)
    slopes = np.gradient(ndimage.gaussian_filter(inside * height, 0.7), 1 / 14)
    light = rng.normal(0, 0.6, 2)
    norm = np.sqrt((1 + slopes[0] ** 2 + slopes[1] ** 2) * (1 + light @ light))
    shade = np.clip((1 - light[0] * slopes[1] - light[1] * slopes[0]) / norm, 0.15, 1)
    along = x * np.cos(9 * turn) + y * np.sin(9 * turn)
    stripes = 1 + rng.choice([0, 0, 0.2]) * np.sign(np.sin(along * rng.uniform(10, 30)))
    grey = inside * np.clip(rng.uniform(0.4, 0.95) * shade * stripes, 0.05, 1)
    return ndimage.gaussian_filter(grey, 0.5) + inside * rng.normal(0, 0.01, grey.shape)


def _body(kind: str, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where it is, and how far it stands out there."""
    wide, high = abs(x), abs(y)
    radius = np.hypot(x, y)
    cone = np.clip((y + 0.8) / 2, 0, None)
    sleeves = (wide < 0.85) & (y > -0.75) & (y < -0.3)
    shaft = (x > -0.2) & (x < 0.35) & (y > -0.8) & (y < 0.6)
    foot = (x > -0.85) & (x < 0.4) & (y > 0.1) & (y < 0.6)
    round_ = lambda square: np.sqrt(np.clip(square, 0, None))  # noqa: E731
    return {
        "ball": (radius < 0.8, round_(0.64 - radius**2)),
        "cone": ((wide < cone) & (y < 0.7), round_(cone**2 - x**2)),
        "tube": ((wide < 0.4) & (high < 0.8), round_(0.16 - x**2)),
        "box": ((wide < 0.7) & (high < 0.6), 0.5 - 0.25 * abs(x - 0.2)),
        "ring": ((radius > 0.35) & (radius < 0.85), round_(0.0625 - (radius - 0.6) ** 2)),
        "shirt": (sleeves | (wide < 0.4) & (high < 0.75), 0.3 - 0.2 * x**2),
        "trousers": (
            (high < 0.85) & (wide < 0.45) & ((wide > 0.1) | (y < -0.5)),
            0.3 - (wide - 0.27) ** 2,
        ),
        "boot": (shaft | foot, 0.3 - 0.1 * y**2),
    }[kind]
