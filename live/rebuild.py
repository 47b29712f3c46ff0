"""The Keras models again, from what the pages hold: the tests compare the two."""

from __future__ import annotations

import base64
import json

import keras
import numpy as np

from vae_lib import VAE, Gaussian
from vae_lib.live import ASSETS

SHAPE = (28, 28, 1)


def content(name: str) -> dict:
    """What a script of data assigns."""
    text = (ASSETS / name).read_text(encoding="utf-8")
    return json.loads(text[text.index(" = {", text.index(") {")) + 3 : text.rindex("; })")])


def detector(name: str) -> VAE:
    """The VAE of "zeros" or "eights". What the pages do not need, log_var, is zero."""
    held = content(f"{name}.js")
    latent_dim = held["model"]["encoder"][-1]["filters"]
    vae = VAE(latent_dim, likelihood=Gaussian(0.2), hidden=(16, 32))
    fill(vae.encoder, held["weights"]["encoder"])
    fill(vae.decoder, held["weights"]["decoder"])
    return vae


def plane() -> VAE:
    """A VAE whose decoder is that of the latent plane."""
    vae = VAE(2, hidden=(32, 64))
    fill(vae.decoder, content("plane.js")["weights"])
    return vae


def fill(network: keras.Model, weights: str) -> None:
    """Set kernels and biases, in the order of the layers, from base64 of 16-bit floats."""
    flat = np.frombuffer(base64.b64decode(weights), "<f2").astype("float32")
    for layer in network.layers:
        if not layer.weights:
            continue
        if layer.name == "log_var":
            layer.set_weights([np.zeros_like(w) for w in layer.get_weights()])
            continue
        new = []
        for weight in layer.get_weights():
            new.append(flat[: weight.size].reshape(weight.shape))
            flat = flat[weight.size :]
        layer.set_weights(new)
    if flat.size:
        raise ValueError(f"weights has {flat.size} numbers more than {network.name} takes")


def pixels(text: str) -> np.ndarray:
    """A picture of the pages as an image (28, 28, 1), float32 in 0..1."""
    raw = np.frombuffer(base64.b64decode(text), "uint8")
    return raw.reshape(SHAPE).astype("float32") / 255.0
