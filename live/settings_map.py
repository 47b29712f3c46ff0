"""The numbers of the live figure "settings": the committed maps of settings, a curve a setting."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.settings import FACTORS
from notebook_files import write_text
from stills import save
from vae_lib import live, plots, records

FILE = "map.js"
# Kind of data and detector: record, protocol, score; as chapter 16 has them
COLUMNS = {
    "letters, one": ("letters", "one_class", "fusion"),
    "letters, many": ("letters", "leave_one_out", "fusion"),
    "photos, one": ("photographs", "one_class", "fusion"),
    "photos, many": ("photographs", "leave_one_out", "fusion"),
    "tables, joint": ("keel", "one_class", "joint"),
    "tables, ELBO": ("keel", "one_class", "elbo"),
}


def content(columns: dict[str, tuple[str, str, str]] = COLUMNS) -> str:
    """The script: for each column and setting its values in order, with the means of each seed."""
    found = {name: curves(*column) for name, column in columns.items()}
    text = json.dumps({"columns": found}, separators=(",", ":"))
    own = "(window.vaeLive = window.vaeLive || {})"
    return f"(function (live) {{ live.map = {text}; }})({own});\n"


def curves(data: str, protocol: str, score: str) -> dict[str, list[dict]]:
    """Of one column: for each setting a point a value, {value, own, elbo, auroc}."""
    found = records.measured(f"settings_{data}")
    defaults, results = found["settings"]["defaults"], found["results"][protocol]
    curves = {}
    for change, values in found["settings"]["changes"].items():
        for knob, value in values.items():  # none for the defaults themselves
            own = defaults.get(knob, "gaussian")
            value = int(own * value) if knob in FACTORS else value
            points = curves.setdefault(change.split()[0], [point(results["defaults"], score, own)])
            points[0]["own"] = True
            points.append(point(results[change], score, value))
    return {family: sorted(points, key=place) for family, points in curves.items()}


def point(figures: dict, score: str, value: float | str) -> dict:
    """Means over the tasks, one a seed; the ELBO of another likelihood is on another scale."""
    elbo, auroc = (np.mean(figures[name], axis=1).round(4) for name in ("elbo", f"auroc_{score}"))
    elbo = None if value == "bernoulli" else elbo.tolist()
    return {"value": str(value), "elbo": elbo, "auroc": auroc.tolist()}


def place(point: dict) -> float:
    """Where a value stands among the others: in the order of the numbers, then words."""
    try:
        return float(point["value"])
    except ValueError:
        return float("inf")


def save_still(path: Path, column: str = "letters, one", family: str = "latents") -> None:
    """The two curves of a setting, for where no script runs."""
    points = curves(*COLUMNS[column])[family]
    fig, axes = plt.subplots(2, 1, figsize=(5, 4), sharex=True, layout="constrained")
    names = {"elbo": "ELBO of held-out normal examples, nats", "auroc": "AUROC"}
    for ax, (name, title) in zip(axes, names.items(), strict=True):
        seeds = np.array([point[name] for point in points])
        ax.plot(seeds, "o", color=plots.NORMAL, alpha=0.45, ms=4)
        ax.plot(seeds.mean(axis=1), "-o", color=plots.NORMAL)
        (own,) = [i for i, point in enumerate(points) if point.get("own")]
        ax.plot(own, seeds[own].mean(), "o", ms=12, mfc="none", mec="black")
        ax.set_title(title, fontsize=10)
    axes[-1].set_xticks(range(len(points)), [point["value"] for point in points])
    axes[-1].set_xlabel(f"{family} ({column})")
    save(fig, path)


if __name__ == "__main__":
    write_text(live.ASSETS / FILE, content())
    save_still(live.ASSETS / "settings.png")
