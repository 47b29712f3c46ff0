"""Live figures that run in the browser: a trained model, and no kernel behind it.

`show` returns what Jupyter, Colab and the book's pages display by themselves. All that a figure
needs is in its HTML: weights as 16-bit floats, and the forward pass as some fifty lines of
JavaScript (`assets/live/network.js`). `make live` trains the models and writes the weights.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import NamedTuple

ASSETS = Path(__file__).parent / "assets" / "live"
SENTENCE = "This figure is live: it needs JavaScript, and a notebook that you trust or have run."


class Parts(NamedTuple):
    """The scripts of a figure between the shared ones, and the words for its still picture."""

    scripts: tuple[str, ...]
    summary: str
    alt: str


FIGURES = {
    "latent": Parts(
        ("network.js", "plane.js", "latent.js"),
        "drag a point over the latent plane and watch the decoder",
        "Left, test digits as coloured points on the latent plane. Right, images decoded from a "
        "grid over the same plane, changing gradually from one digit into another.",
    ),
    "score": Parts(
        ("network.js", "prepare.js", "slate.js", "eights.js", "score.js"),
        "draw a digit and see what a detector of eights makes of it",
        "An eight and a four; beside each what a model of eights redraws, and a heat-map of what "
        "it cannot explain, dark for the eight and glowing along the strokes of the four.",
    ),
    "threshold": Parts(
        ("heldout.js", "threshold.js"),
        "move the threshold and see false alarms and misses move",
        "Histogram of test scores. Blue eights form a narrow peak on the left, hatched orange "
        "other digits a wide hill on the right, and a dashed threshold stands between them.",
    ),
    "stream": Parts(
        ("stream.js",),
        "let a stream drift and compare a fixed threshold with an online one",
        "Scores of a stream rise past a dashed fixed threshold, while a second, online threshold "
        "rises with them. Below, the fixed one's alarms are soon a solid bar, the online one's "
        "stay single lines.",
    ),
    "settings": Parts(
        ("map.js", "settings.js"),
        "pick a setting and see what it does to the ELBO and to the AUROC",
        "Two curves over the number of latents, of three seeds each: above, the ELBO of held-out "
        "normal examples; below, the AUROC. A ring marks the default.",
    ),
}


class LiveFigure:
    """A figure by its name in `FIGURES`; its HTML is the same at every call."""

    def __init__(self, figure: str):
        if not isinstance(figure, str) or figure not in FIGURES:
            raise ValueError(f"figure is {figure!r}; expected one of {tuple(FIGURES)}")
        self.name = figure

    def __repr__(self) -> str:
        return f"LiveFigure({self.name!r}): {FIGURES[self.name].summary}"

    def _repr_html_(self) -> str:
        parts = FIGURES[self.name]
        scripts = ("shell.js", "style.js", *parts.scripts, "mount.js")
        code = "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in scripts)
        still = base64.b64encode((ASSETS / f"{self.name}.png").read_bytes()).decode()
        image = f'<img alt="{parts.alt}" src="data:image/png;base64,{still}">'
        div = f'<div data-vae-live="{self.name}">{image}<p>{SENTENCE}</p></div>'
        return f"{div}\n<script>\n{code}</script>"


def show(figure: str) -> LiveFigure:
    """A live figure, to be the last line of a cell: "latent", "score", "settings",
    "stream" or "threshold".

    Raises:
        ValueError: another name.
    """
    return LiveFigure(figure)
