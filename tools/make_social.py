"""Draw `_static/social.png`, the picture that previews of links show, around the cover."""

from __future__ import annotations

import matplotlib.pyplot as plt
from PIL import Image

from notebook_files import ROOT

fig = plt.figure(figsize=(12, 6.3), dpi=100, facecolor="white")  # 1200 x 630, as previews want
fig.text(0.5, 0.9, "Anomaly Detection", ha="center", va="center", size=40, weight="bold")
fig.text(0.5, 0.8, "with Variational Autoencoders", ha="center", va="center", size=30)
cover = fig.add_axes((0.05, 0.02, 0.9, 0.72))
cover.imshow(plt.imread(ROOT / "_static" / "cover.png"), interpolation="lanczos")
cover.axis("off")
fig.savefig(ROOT / "_static" / "social.png")
with Image.open(ROOT / "_static" / "social.png") as picture:
    picture.convert("RGB").quantize(96).save(ROOT / "_static" / "social.png", optimize=True)
