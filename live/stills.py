"""The pictures that stand in for the live figures where no script runs."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from vae_lib import VAE, AnomalyDetector, Stream, data, plots, scores

plots.use_style()


def save_stills(folder: Path, detector: AnomalyDetector, split: data.Split) -> None:
    """`score.png`: an eight and a stranger; `threshold.png`: the histogram of the test part."""
    images, is_anomaly, classes = split.validation
    found = detector.score(images)
    middle = [
        rows[np.argsort(found[rows])[len(rows) // 2]]
        for rows in (np.flatnonzero(~is_anomaly), np.flatnonzero(classes == 4))
    ]
    copies, heat = detector.model.predict(images[middle], verbose=0), detector.explain(images)
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
    found = detector.score(split.test.items)
    fig = plots.score_histogram(found, split.test.is_anomaly, detector.threshold)
    fig.set_size_inches(5, 2.6)
    save(fig, folder / "threshold.png")
    save_stream(folder)


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


@dataclasses.dataclass(eq=False)
class Itself(scores.Score):
    """An item of one number is its own score: no model has a say."""

    def terms(self, vae: VAE, x):
        return x[:, 0]


def save_stream(folder: Path, shown: int = 600) -> None:
    """`stream.png`: scores that rise, a fixed and an online threshold, and the alarms of both."""
    draw = np.random.RandomState(1).randn
    vae = VAE(1, "gaussian", (1,), "dense", hidden=(1,))
    detector = AnomalyDetector(vae, Itself()).calibrate(draw(199, 1).astype("float32"), 0.05)
    line = Stream(detector)
    rise = np.interp(np.arange(1000), [300, 800], [0, 2])
    past = np.resize(detector.calibration_scores, line.memory)
    cuts, online = [], []
    for score in (rise + draw(1000)).astype("float32"):
        largest = int(line.level * (line.memory + 1))  # an alarm is among so many
        cuts.append(np.sort(past[-line.memory :])[-largest] if largest > 0 else np.nan)
        online.append(line.push(np.array([score])).alarms[0])
        past = np.append(past, score)
    fig, (top, *strips) = plt.subplots(
        3, 1, figsize=(5, 3), sharex=True, height_ratios=(8, 1, 1), layout="constrained"
    )
    at, late = np.arange(1001 - shown, 1001), slice(-shown, None)
    top.plot(at, past[late], ".", ms=3, alpha=0.6, color=plots.NORMAL)
    top.plot(at, cuts[late], color=plots.PALETTE[4], label="online threshold")
    top.axhline(detector.threshold, ls="--", color="black", label="fixed threshold")
    top.legend(ncols=2, loc="upper left", fontsize=8)
    top.set(ylabel="score", ylim=(-3.5, 7))
    fixed = past[late] > detector.threshold
    for ax, alarms, name in zip(strips, (fixed, online[late]), ("fixed", "online"), strict=True):
        ax.vlines(at[alarms], 0, 1, color=plots.ANOMALY, lw=1)
        ax.set(yticks=[])
        ax.set_ylabel(name, rotation=0, ha="right", va="center")
    strips[-1].set_xlabel("item; below the scores, the alarms of each threshold")
    save(fig, folder / "stream.png")


def save(fig: plt.Figure, path: Path) -> None:
    """With 160 colours, since a notebook carries the picture too."""
    buffer = io.BytesIO()
    fig.savefig(buffer, dpi=90)
    plt.close(fig)
    Image.open(buffer).convert("RGB").quantize(160).save(path, optimize=True)
