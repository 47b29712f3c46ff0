"""How `fit` makes a VAE for data of any kind: its sizes, its steps, what stops it."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import random
from collections.abc import Iterator, Sequence

import keras
import numpy as np

from .. import saving, scores
from ..checks import check_count, check_seed, is_real
from ..linear import fit_linear
from ..model import VAE
from ..training import shuffled

FEWEST = 8  # examples
STEPS, EPOCHS = 3000, (20, 300)  # about so many steps, in not fewer or more epochs
BATCH = (16, 64)
LOOKS, PATIENCE = 30, 4  # at held-out items in a training; looks without a gain that end it


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How `AnomalyDetector.fit` makes its models; the arguments are explained there."""

    n_models: int = 1
    latent_dim: int = 16
    network: str | None = None
    hidden: Sequence[int] | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float = 2e-3
    early_stopping: bool = True
    max_categories: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise a ValueError for an argument out of range."""
        for name in ("n_models", "latent_dim", "max_categories"):
            check_count(name, getattr(self, name))
        for name in ("epochs", "batch_size"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))
        if not (is_real(self.learning_rate) and 0 < self.learning_rate < np.inf):
            raise ValueError(f"learning_rate is {self.learning_rate!r}; expected a number above 0")
        check_seed("seed", self.seed)

    def state(self) -> dict:
        """As JSON knows it."""
        hidden = None if self.hidden is None else [int(units) for units in self.hidden]
        plain = dataclasses.asdict(self) | {"hidden": hidden}
        return {k: v.item() if isinstance(v, np.generic) else v for k, v in plain.items()}

    def train_all(
        self, items: np.ndarray, score: str | scores.Score | None, verbose: int
    ) -> tuple[list[VAE], list[np.ndarray]]:
        """The models, each with the items (n, ...) that it was not trained on."""
        pairs = []
        for m in range(self.n_models):
            label = f"model {m + 1} of {self.n_models}" if verbose else None
            pairs.append(self.train(items, (self.seed * self.n_models + m) % 2**32, score, label))
        trained, held_out = zip(*pairs, strict=True)
        return list(trained), list(held_out)

    def train(
        self,
        items: np.ndarray,
        seed: int,
        score: str | scores.Score | None = None,
        label: str | None = None,
    ) -> tuple[VAE, np.ndarray]:
        """A VAE trained on four fifths of the items (n, ...), and the other fifth.

        A linear one is solved; another is trained until the negative ELBO of the fifth no longer
        falls. `label` names a bar of its progress.
        """
        with _seeded(seed):
            order = np.random.RandomState(seed).permutation(len(items))
            held_out, some = np.split(items[order], [max(len(items) // 5, 5)])
            vae = self._model(items.shape[1:])
            if score is not None:
                scores.get(score).copy().suit([vae])  # before a training that may take hours
            if items.ndim < 4:
                vae.adapt(items)
            if vae.network == "linear":
                fit_linear(vae, some)
            else:
                self._fit(vae, some, held_out, seed, label)
        return vae, held_out

    def _model(self, data_shape: tuple[int, ...]) -> VAE:
        """Rows and windows are standardised; pictures, in 0 to 1, are not."""
        pictures, hidden = len(data_shape) == 3, self.hidden
        trained = pictures or (hidden, self.epochs, self.batch_size) != (None, None, None)
        network = self.network or ("dense" if trained else "linear")
        if hidden is None and not pictures and network == "dense":
            hidden = (64,)
        sizes = (data_shape, network, hidden)
        return VAE(self.latent_dim, "gaussian", *sizes, standardise=not pictures)

    def _fit(self, vae: VAE, x: np.ndarray, held_out: np.ndarray, seed: int, label: str | None):
        """Many steps in one call of the graph, since between two a small model mostly waits."""
        batch = self.batch_size or int(np.clip(len(x) // 16, *BATCH))
        epochs = self.epochs or int(np.clip(STEPS * batch // len(x), *EPOCHS))
        steps = epochs * math.ceil(len(x) / batch)
        look = math.ceil(steps / LOOKS)
        callbacks = [] if label is None else [_Bar(label)]
        if self.early_stopping:
            how = {"patience": PATIENCE, "restore_best_weights": True}
            callbacks.append(keras.callbacks.EarlyStopping("val_loss", **how))
        vae.compile(keras.optimizers.Adam(self.learning_rate), steps_per_execution=look)
        vae.fit(
            shuffled(x, batch, seed),
            steps_per_epoch=look,
            epochs=math.ceil(steps / look),
            validation_data=(held_out,),
            shuffle=False,  # `shuffled` does
            callbacks=callbacks,
            verbose=0,
        )


# `Recipe` itself looks at the values
SCHEMA = saving.object_of(**{field.name: {} for field in dataclasses.fields(Recipe)})


class _Bar(keras.callbacks.Callback):
    """One bar for a whole training."""

    def __init__(self, name: str):
        super().__init__()
        self.name = name

    def on_train_begin(self, logs=None) -> None:
        """Draw it."""
        print(self.name)
        self.bar = keras.utils.Progbar(self.params["epochs"], unit_name="look")

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
