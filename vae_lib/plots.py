"""The book's figures: one style, and the same two colours for normal and anomalous throughout.

Every function returns a Matplotlib figure and never shows it.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart with any common colour vision, and in grey print
NORMAL, ANOMALY = "#0072B2", "#D55E00"
CHANNELS = ((1,), (3,), (4,))  # grey, colours, and colours with opacity
PALETTE = (NORMAL, ANOMALY, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")

STYLE = {
    "figure.figsize": (7.2, 3.6),
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",  # a light card: axis labels stay readable on a dark page
    "font.size": 11,
    "figure.titlesize": 12,
    "figure.titleweight": "bold",
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e3e3",
    "axes.prop_cycle": mpl.cycler(color=PALETTE),
    "legend.frameon": False,
    "image.cmap": "gray_r",
    "image.interpolation": "nearest",
}


def use_style() -> None:
    """Make the book's style the default of every later figure."""
    mpl.rcParams.update(STYLE)


def image_grid(
    images: np.ndarray,
    columns: int = 10,
    titles: Sequence[str] | None = None,
    colors: Sequence[str] | None = None,
    vmin: float = 0.0,
    vmax: float = 1.0,
) -> Figure:
    """Images (n, height, width[, channels]) in rows of `columns`, with titles if given.

    Raises a ValueError for what is no image, for titles or colors of another number, and for an
    empty grey scale.
    """
    images = _finite("images", images)
    if images.ndim not in (3, 4) or images.size == 0 or images.shape[3:] not in ((), *CHANNELS):
        expected = "expected (n, height, width[, channels]) with 1, 3 or 4 channels"
        raise ValueError(f"images has shape {images.shape}; {expected}")
    _check_count("columns", columns)
    if isinstance(colors, Sequence) and not all(map(mpl.colors.is_color_like, colors)):
        raise ValueError(f"colors is {colors!r}; expected colours that Matplotlib knows")
    for name, given in (("titles", titles), ("colors", colors)):
        listed = hasattr(given, "__len__") and not isinstance(given, str)
        if given is not None and not (listed and len(given) == len(images)):
            problem = f"has {len(given)} entries" if listed else f"is {given!r}"
            raise ValueError(f"{name} {problem}; expected {len(images)}, as images")
    if not (_is_number(vmin) and _is_number(vmax) and vmin < vmax):
        raise ValueError(f"vmin is {vmin!r}, vmax is {vmax!r}; expected a number and a larger one")
    rows = math.ceil(len(images) / columns)
    size = 7.2 / columns
    height = size * rows + (0.25 * rows if titles is not None else 0)
    fig, axes = plt.subplots(rows, columns, figsize=(7.2, height), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for i, (ax, image) in enumerate(zip(axes.flat, images, strict=False)):
        grey = image.ndim == 3 and image.shape[-1] == 1
        ax.imshow(image[..., 0] if grey else image, vmin=vmin, vmax=vmax)
        if titles is not None:
            color = "black" if colors is None else colors[i]
            ax.set_title(titles[i], fontsize=9, fontweight="normal", loc="center", color=color)
    return fig


def score_histogram(
    scores: np.ndarray, is_anomaly: np.ndarray, threshold: float | None = None, bins: int = 40
) -> Figure:
    """Densities of the scores of normal and anomalous examples, with a threshold if given.

    Raises a ValueError unless scores are finite (n,) and is_anomaly bool (n,), and for bins that
    are no count or a threshold that is no finite number.
    """
    scores, is_anomaly = _finite("scores", scores), _array("is_anomaly", is_anomaly)
    alike = scores.ndim == 1 and scores.shape == is_anomaly.shape and len(scores) > 0
    if not alike or is_anomaly.dtype != bool:
        raise ValueError(
            f"scores has shape {scores.shape}, is_anomaly has shape {is_anomaly.shape} and dtype "
            f"{is_anomaly.dtype}; expected (n,) and (n,) of bool"
        )
    _check_count("bins", bins)
    if threshold is not None and not _is_number(threshold):
        raise ValueError(f"threshold is {threshold!r}; expected a finite number or None")
    fig, ax = plt.subplots()
    edges = np.histogram_bin_edges(scores, bins)
    parts = ((~is_anomaly, NORMAL, "normal", None), (is_anomaly, ANOMALY, "anomalous", "///"))
    for part, color, label, hatch in parts:  # the hatch tells them apart without colour
        if part.any():  # a density of nothing is 0 / 0
            look = {"color": color, "alpha": 0.55, "label": label, "hatch": hatch}
            ax.hist(scores[part], edges, density=True, **look)
    if threshold is not None:
        ax.axvline(threshold, color="black", linestyle="--", label="threshold")
    ax.set(xlabel="anomaly score", ylabel="density")
    ax.legend()
    return fig


BOXES = (("$x$", 0.0), ("encoder", 1.9), (r"$\mu,\ \log\sigma^2$", 4.2), ("$z$", 6.5))
BOXES += (("decoder", 8.5), (r"$p(x \mid z)$", 10.8))


def vae_diagram(gradient: bool = False) -> Figure:
    """A VAE as boxes: data, encoder, the two heads, the latent number, decoder, likelihood.

    With `gradient`, two of them, with the way of the reconstruction term's gradient: z drawn from
    q, where it ends, and z = mean + sigma * eps, where it passes.

    Raises a ValueError unless `gradient` is a bool.
    """
    if not isinstance(gradient, (bool, np.bool_)):
        raise ValueError(f"gradient is {gradient!r}; expected True or False")
    rows = ("drawn", "shifted") if gradient else ("drawn",)
    fig, axes = plt.subplots(len(rows), 1, figsize=(7.2, 3.5 if gradient else 1.2), squeeze=False)
    for ax, way in zip(axes.flat, rows, strict=True):
        ax.set(xlim=(-0.8, 12), ylim=(-1.3, 1.5 if gradient else 0.6))
        ax.axis("off")
        for (label, x), (_, after) in zip(BOXES, [*BOXES[1:], ("", None)], strict=True):
            random = label == "$z$" and way == "drawn"
            _box(ax, label, x, 0.0, random)
            if after is not None:
                _arrow(ax, (x, 0.0), (after, 0.0))
        if way == "shifted":
            _box(ax, r"$\varepsilon$", 6.5, 1.15, random=True)
            _arrow(ax, (6.5, 1.15), (6.5, 0.0), shrink=13)
        if gradient:
            _gradient(ax, passes=way == "shifted")
        else:
            terms = ((4.2, r"$\mathrm{KL}(q \,\|\, p)$"), (10.8, r"$\mathrm{rec}(x)$"))
            for x, term in terms:
                ax.text(x, -1.1, term, ha="center", va="center", color=PALETTE[3])
                _arrow(ax, (x, 0.0), (x, -1.1), shrink=14, color=PALETTE[3])
    if gradient:
        axes[0, 0].set_title("$z$ drawn from $q$: the gradient ends at the draw")
        axes[1, 0].set_title(r"$z = \mu + \sigma\,\varepsilon$: the gradient passes")
    return fig


def _box(ax: Axes, label: str, x: float, y: float, random: bool) -> None:
    """A box with a word, or the dashed circle of a number that is drawn."""
    style = "circle,pad=0.3" if random else "round,pad=0.35"
    look = {"fc": "#fff4e0" if random else "#eaf3fa", "ec": "black", "ls": "--" if random else "-"}
    ax.text(x, y, label, ha="center", va="center", bbox={"boxstyle": style, **look}, zorder=3)


def _arrow(
    ax: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    shrink: float | None = None,
    **look: object,
) -> None:
    """An arrow that ends at the rim of a box, not in its middle."""
    wide = {1.9: 34, 4.2: 38, 8.5: 34, 10.8: 32}  # half a box, in points
    sides = [shrink or wide.get(x, 18) for x, _ in (start, end)]
    style = {"arrowstyle": "-|>", "color": "black", "lw": 1.2} | look
    ax.annotate("", end, start, arrowprops={**style, "shrinkA": sides[0], "shrinkB": sides[1]})


def _gradient(ax: Axes, passes: bool) -> None:
    """The way back from the loss, dashed, under the boxes; a cross where it ends."""
    end = 1.9 if passes else 6.5
    back = {"arrowstyle": "-|>", "color": ANOMALY, "lw": 2, "ls": "--"}
    ax.annotate("", (end, -0.85), (11.4, -0.85), arrowprops=back)
    ax.text(11.5, -0.85, "loss", va="center", color=ANOMALY)
    if not passes:
        ax.plot(end - 0.35, -0.85, "x", color=ANOMALY, ms=10, mew=3)


def _array(name: str, values: np.ndarray) -> np.ndarray:
    if np.ma.isMA(values):  # NumPy would drop the mask
        raise ValueError(f"{name} is a masked array; expected one without a mask")
    try:
        return np.asarray(values)
    except ValueError as error:
        problem = f"{name} is a {type(values).__name__} of unequal rows"
        raise ValueError(f"{problem}; expected an array") from error


def _finite(name: str, values: np.ndarray) -> np.ndarray:
    array = _array(name, values)
    if array.dtype.kind not in "fiub":
        problem = f"{name} has shape {array.shape} and dtype {array.dtype}"
        raise ValueError(f"{problem}; expected numbers")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} contains NaN or infinite values; expected finite numbers")
    return array.astype("uint8") if array.dtype == bool else array


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def _check_count(name: str, value: object) -> None:
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} is {value!r}; expected a whole number of at least 1")
