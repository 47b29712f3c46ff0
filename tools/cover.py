"""Draw the picture of the README and the landing page, and that of link previews: `make cover`.

`_static/cover.png`: a VAE that has only ever seen threes rebuilds four threes and four strangers;
the squared error shows what it could not explain. `_static/social.png` is a title around it.
"""

from __future__ import annotations

import keras
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from notebook_files import ROOT
from vae_lib import VAE, data, plots

COVER, SOCIAL = ROOT / "_static" / "cover.png", ROOT / "_static" / "social.png"

keras.utils.set_random_seed(0)
plots.use_style()

split = data.split("mnist-5k", normal=3, seed=0)
vae = VAE(latent_dim=16, likelihood="gaussian")
vae.compile("adam")
vae.fit(split.train, batch_size=32, epochs=60, verbose=2)

classes = split.validation.classes
chosen = [
    *np.flatnonzero(classes == 3)[:4],
    *(np.flatnonzero(classes == c)[0] for c in (2, 5, 7, 0)),
]
images = split.validation.items[chosen]
rebuilt = vae.predict(images, verbose=0)
error = (images - rebuilt) ** 2

rows = (("image", images, "gray_r"), ("rebuilt", rebuilt, "gray_r"), ("error", error, "inferno"))
fig, axes = plt.subplots(3, 8, figsize=(8, 3.3))
for row, (name, pictures, cmap) in zip(axes, rows, strict=True):
    for i, (ax, picture) in enumerate(zip(row, pictures, strict=True)):
        ax.imshow(picture.squeeze(), cmap=cmap, vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
        ax.grid(False)
        for spine in ax.spines.values():
            spine.set(visible=True, lw=2, color=plots.NORMAL if i < 4 else plots.ANOMALY)
    row[0].set_ylabel(name, fontsize=12)
axes[0, 0].set_title("normal", color=plots.NORMAL)
axes[0, 4].set_title("anomalous", color=plots.ANOMALY)
fig.savefig(COVER, dpi=120)

plt.rcdefaults()
fig = plt.figure(figsize=(12, 6.3), dpi=100, facecolor="white")  # 1200 x 630, as previews want
fig.text(0.5, 0.9, "Anomaly Detection", ha="center", va="center", size=40, weight="bold")
fig.text(0.5, 0.8, "with Variational Autoencoders", ha="center", va="center", size=30)
cover = fig.add_axes((0.05, 0.02, 0.9, 0.72))
cover.imshow(plt.imread(COVER), interpolation="lanczos")
cover.axis("off")
fig.savefig(SOCIAL)
with Image.open(SOCIAL) as picture:
    picture.convert("RGB").quantize(96).save(SOCIAL, optimize=True)
