"""One VAE for a table: how long it is trained, by which steps, and what stops it."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

import keras
import numpy as np

from .. import scores
from ..model import VAE

if TYPE_CHECKING:
    from .estimator import VAEDetector

STEPS, EPOCHS = 3000, (20, 300)  # about so many steps, in not fewer or more epochs
BATCH = (16, 64)


def train_vae(
    rows: np.ndarray, seed: int, settings: VAEDetector, shown: str | None = None
) -> tuple[VAE, np.ndarray]:
    """A VAE trained on four fifths of the rows (n, features), and the other fifth.

    Training stops by the negative ELBO of the fifth, where `settings` want it to. `shown` names a
    bar that shows its progress.
    """
    with _seeded(seed):
        order = np.random.RandomState(seed).permutation(len(rows))
        held_out, some = np.split(rows[order], [max(len(rows) // 5, 5)])
        batch = settings.batch_size or int(np.clip(len(some) // 16, *BATCH))
        epochs = settings.epochs or int(np.clip(STEPS * batch // len(some), *EPOCHS))
        vae = VAE(
            latent_dim=settings.latent_dim,
            likelihood="gaussian",
            data_shape=rows.shape[1:],
            network="dense",
            hidden=settings.hidden,
            standardise=True,
        )
        scores.get(settings.anomaly_score).suit([vae])  # before hours have gone by
        vae.compile(keras.optimizers.Adam(settings.learning_rate))
        vae.adapt(rows)
        callbacks = [] if shown is None else [_Bar(shown)]
        if settings.early_stopping:
            patience = max(10, epochs // 8)
            callbacks.append(
                keras.callbacks.EarlyStopping(
                    "val_loss", patience=patience, restore_best_weights=True
                )
            )
        options = {"validation_data": (held_out,), "callbacks": callbacks, "verbose": 0}
        vae.fit(some, batch_size=batch, epochs=epochs, **options)
    return vae, held_out


class _Bar(keras.callbacks.Callback):
    """One bar for a whole training."""

    def __init__(self, name: str):
        super().__init__()
        self.name = name

    def on_train_begin(self, logs=None) -> None:
        """Draw it."""
        print(self.name)
        self.bar = keras.utils.Progbar(self.params["epochs"], unit_name="epoch")

    def on_epoch_end(self, epoch: int, logs=None) -> None:
        """Move it on."""
        self.seen = epoch + 1
        self.bar.update(self.seen, [("val_loss", (logs or {}).get("val_loss"))])

    def on_train_end(self, logs=None) -> None:
        """End its line, wherever it is."""
        self.bar.update(self.seen, finalize=True)


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Keras's seed; those of Python and NumPy are put back afterwards."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  Keras sets it
    keras.utils.set_random_seed(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
