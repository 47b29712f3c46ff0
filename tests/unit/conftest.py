"""Shared by the unit tests: a few small images, and the smallest VAE that has every part."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported
os.environ.setdefault("MPLBACKEND", "Agg")

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import settings

from vae_lib import VAE

# The same examples at every run: a red test stays red until someone mends it
settings.register_profile(
    "unit", deadline=None, max_examples=20, derandomize=True, database=None, print_blob=False
)
settings.load_profile("unit")

gc.freeze()  # what TensorFlow made at its import is no garbage: each collection would look at it

SHAPE = (4, 4, 1)


@pytest.fixture(autouse=True)
def fixed_seed() -> Iterator[None]:
    """Every test starts from the same seed and leaves no figure open."""
    keras.utils.set_random_seed(0)
    yield
    plt.close("all")


@pytest.fixture
def images() -> np.ndarray:
    """Twelve grey images, (12, 4, 4, 1), in 0..1."""
    return np.random.RandomState(1).rand(12, *SHAPE).astype("float32")


@pytest.fixture
def table() -> np.ndarray:
    """Twelve rows of thirteen numbers without bounds."""
    return np.random.RandomState(2).randn(12, 13).astype("float32")


@pytest.fixture
def make_vae() -> Callable[..., VAE]:
    """Build a compiled VAE for `images`: dense, two latent dimensions, plain gradient descent.

    Eager unless asked otherwise, because tracing takes longer than a dozen images.
    """

    def make(learning_rate: float = 0.01, graph: bool = False, **arguments) -> VAE:
        defaults = {"latent_dim": 2, "data_shape": SHAPE, "network": "dense", "hidden": (5,)}
        vae = VAE(**{**defaults, **arguments})
        vae.compile(optimizer=keras.optimizers.SGD(learning_rate), run_eagerly=not graph)
        return vae

    return make


@pytest.fixture
def vae(make_vae) -> VAE:
    """The default of `make_vae`."""
    return make_vae()


@pytest.fixture
def complains() -> Callable[..., None]:
    """Assert that a call raises a ValueError, and that its message has each of the words."""

    def check(call: Callable, *words: object) -> None:
        with pytest.raises(ValueError) as caught:
            call()
        message = str(caught.value)
        missing = [str(word) for word in words if str(word) not in message]
        assert not missing, f"{missing} not in: {message}"

    return check
