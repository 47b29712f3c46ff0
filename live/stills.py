"""The pictures that stand in for the live figures where no script runs."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from vae_lib import VAE, AnomalyDetector, data, plots

plots.use_style()


def save_stills(folder: Path, detector: AnomalyDetector, split: data.Split) -> None:
    """`score.png`: an eight and a stranger; `threshold.png`: the histogram of the test part."""
    images, is_anomaly, classes = split.validation
    found = detector.score(images)
    middle = [
        rows[np.argsort(found[rows])[len(rows) // 2]]
        for rows in (np.flatnonzero(~is_anomaly), np.flatnonzero(classes == 4))
    ]
    copies, heat = detector.model.predict(images[middle], verbose=0), detector.heatmap(images)
    fig, axes = plt.subplots(2, 3, figsize=(5, 3.5))
    for i, row in enumerate(axes):
        row[0].imshow(images[middle[i], ..., 0], vmin=0, vmax=1)
        row[1].imshow(copies[i, ..., 0], vmin=0, vmax=1)
        top = np.quantile(heat, 0.999)
        row[2].imshow(heat[middle[i], ..., 0], cmap="inferno", vmin=0, vmax=top)
        color, word = ((plots.NORMAL, "normal"), (plots.ANOMALY, "anomaly"))[i]
        row[0].set_ylabel(f"{word}\n{found[middle[i]]:.3f}", color=color)
    for ax, title in zip(axes[0], ("image", "redrawn", "not explained"), strict=True):
        ax.set_title(title, fontsize=10, fontweight="normal", loc="center")
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    save(fig, folder / "score.png")
    scores = detector.score(split.test.images)
    fig = plots.score_histogram(scores, split.test.is_anomaly, detector.threshold)
    fig.set_size_inches(5, 2.6)
    save(fig, folder / "threshold.png")


def save_map(folder: Path, vae: VAE, digits: data.Dataset, reach: float, tiles: int = 8) -> None:
    """`latent.png`: test digits on the latent plane, and images decoded from a grid over it."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(5, 2.6))
    for digit in range(10):
        at = np.asarray(vae.encode(digits.x_test)[0])[digits.y_test == digit]
        left.scatter(*at.T, s=2, color=plt.cm.tab10(digit))
        left.text(*np.median(at, axis=0), digit, weight="bold", ha="center", va="center")
    left.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], aspect="equal")
    steps = np.linspace(-reach, reach, 2 * tiles + 1)[1::2]
    z = np.stack(np.meshgrid(steps, steps[::-1]), axis=-1).reshape(-1, 2).astype("float32")
    decoded = np.asarray(vae.decode(z, apply_sigmoid=True)).reshape(tiles, tiles, 28, 28)
    right.imshow(decoded.transpose(0, 2, 1, 3).reshape(tiles * 28, tiles * 28))
    right.axis("off")
    save(fig, folder / "latent.png")


def save(fig: plt.Figure, path: Path) -> None:
    """With 160 colours, since a notebook carries the picture too."""
    buffer = io.BytesIO()
    fig.savefig(buffer, dpi=90)
    plt.close(fig)
    Image.open(buffer).convert("RGB").quantize(160).save(path, optimize=True)
