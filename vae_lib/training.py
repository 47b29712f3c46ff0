"""Training in the open, and the callbacks that real training needs.

`train_vae` is what `fit` does, without what `fit` adds: use it to learn, and `fit` to work.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import weakref
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from . import losses, saving
from .batches import checked, plain_errors
from .checks import check_beta, check_count, check_finite, check_seed
from .model import VAE

BATCHES = "expected batches of x alone: tf.data.Dataset.from_tensor_slices(x).batch(32)"
NOTE, WEIGHTS, START = "run.json", "latest.weights.h5", "training_metadata.json"  # two are Keras's
ADVICE = "choose another folder, or delete this one"


def train_step(model: VAE, x, optimizer: keras.Optimizer):
    """One step of gradient descent on a batch; returns its loss in nats per example."""
    _check_optimizer(optimizer)
    with tf.GradientTape() as tape:
        loss = losses.compute_loss(model, x)
        scaled = optimizer.scale_loss(loss)  # in mixed precision small gradients would underflow
    gradients = tape.gradient(scaled, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    return loss


@tf.function(reduce_retracing=True)
def _compiled_step(model: VAE, x, optimizer: keras.Optimizer):
    """One graph for full batches, one for a shorter last one; later calls use them again."""
    return train_step(model, x, optimizer)


def train_vae(
    model: VAE, dataset: tf.data.Dataset, optimizer: keras.Optimizer, epochs: int, verbose: int = 1
) -> dict[str, list[float]]:
    """Train on batches of x; returns loss, reconstruction and kl of each epoch, in nats.

    From the same seed and batches it gives the numbers of `fit`, with its `verbose`. Raises a
    ValueError for labels and what is not batches of x, a FloatingPointError for a loss of NaN.
    """
    if not isinstance(model, VAE) or hasattr(model, "classes"):
        raise ValueError(f"model is a {type(model).__name__}; expected a VAE without labels")
    spec = getattr(dataset, "element_spec", "no batches")
    if not (isinstance(dataset, tf.data.Dataset) and isinstance(spec, tf.TensorSpec)):
        raise ValueError(f"dataset is a {type(dataset).__name__} of {spec}; {BATCHES}")
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(f"dataset repeats for ever; {BATCHES}, without repeat()")
    _check_optimizer(optimizer)
    check_count("epochs", epochs)
    dataset = checked(dataset, model.form("dataset"))
    optimizer.build(model.trainable_variables)  # tf.function may not create variables later
    terms = {"reconstruction": model.reconstruction_mean, "kl": model.kl_mean}
    history = {name: [] for name in ("loss", *terms)}
    steps = max(0, int(dataset.cardinality())) or None  # tf.data does not know every length
    for epoch in range(epochs):
        total = count = 0
        model.reset_metrics()
        if verbose:
            print(f"Epoch {epoch + 1}/{epochs}")
        progress = keras.utils.Progbar(steps, verbose=verbose, stateful_metrics=list(history))
        with plain_errors():
            for number, x in enumerate(dataset, start=1):
                total += _compiled_step(model, x, optimizer) * len(x)
                count += len(x)
                if verbose:  # reading the means makes each step wait
                    progress.update(number, values=_means(total / count, terms), finalize=False)
        if count == 0:
            raise ValueError(f"dataset has no batch in epoch {epoch + 1}; {BATCHES}")
        means = _means(total / count, terms)
        check_finite(dict(means), f"in epoch {epoch + 1}")
        for name, value in means:
            history[name].append(value)
        progress.update(number, values=means, finalize=True)
    optimizer.finalize_variable_values(model.trainable_variables)  # an average, if it keeps one
    return history


def shuffled(x: np.ndarray, batch_size: int = 32, seed: int = 0) -> tf.data.Dataset:
    """Batches of x without end, in an order that is new in every pass and the same for a seed.

    With `compile(..., steps_per_execution=100)` and `fit(shuffled(x), steps_per_epoch=100, ...)` a
    hundred steps run in one call: a small model, which mostly waits between steps, trains in a
    fraction of the time, and validation comes every hundred steps and not every epoch.
    """
    check_seed("seed", seed)
    x = tf.constant(_examples(x, batch_size))
    index = tf.data.Dataset.range(len(x)).shuffle(len(x), seed=seed).repeat().batch(batch_size)
    return index.map(functools.partial(tf.gather, x)).prefetch(1)


def _examples(x, batch_size: object) -> np.ndarray:
    """x as an array to take batches from."""
    check_count("batch_size", batch_size)
    if not hasattr(x, "__array__") or np.ma.isMA(x) or not (np.ndim(x) and len(x)):
        raise ValueError(f"x is {x!r:.60}; expected an array of at least one example, no mask")
    return np.asarray(x)


def _means(loss, terms: dict[str, keras.metrics.Metric]) -> list[tuple[str, float]]:
    return [("loss", float(loss)), *((name, float(term.result())) for name, term in terms.items())]


def _check_optimizer(optimizer) -> None:
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise ValueError(f"optimizer is {optimizer!r}; expected one like keras.optimizers.Adam()")


class StopOnNaN(keras.callbacks.Callback):
    """Stop with a FloatingPointError as soon as the loss is NaN or infinite."""

    def on_epoch_begin(self, epoch: int, logs=None):
        """Remember where we are."""
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs=None):
        """Look at the running loss, which stays NaN once a batch was."""
        check_finite(logs, f"at step {batch + 1} of epoch {self.epoch + 1}")


_warming = weakref.WeakKeyDictionary()  # model: beta at the end, and now, for one that is cut short


class KLWarmUp(keras.callbacks.Callback):
    """Let beta grow linearly from 0 to `beta` over the first `epochs`, against posterior collapse.

    `beta` is the model's own unless given. Meanwhile compare reconstruction and kl, not losses.
    Bowman et al. (2016), "Generating Sentences from a Continuous Space".
    """

    def __init__(self, epochs: int, beta: float | None = None):
        super().__init__()
        check_count("epochs", epochs)
        if beta is not None:
            check_beta(beta)
        self.epochs, self.beta = epochs, beta

    def set_model(self, model: VAE):
        """Learn where to end, before `Resume` restores the beta of some epoch."""
        if not hasattr(model, "beta"):
            raise ValueError(f"model is a {type(model).__name__} without beta; expected a VAE")
        super().set_model(model)
        now = float(model.beta.numpy())
        end, last = _warming.get(model, (now, now))
        self._end = self.beta if self.beta is not None else end if now == last else now

    def on_epoch_begin(self, epoch: int, logs=None):
        """Set beta for this epoch."""
        self.model.beta.assign(self._end * min(1.0, epoch / self.epochs))
        _warming[self.model] = self._end, float(self.model.beta.numpy())


class Resume(keras.callbacks.BackupAndRestore):
    """Back up after each epoch, so that an interrupted `fit` goes on where that epoch ended.

    Run the same script again and it ends with the result of an uninterrupted run: the noise of an
    epoch, and the order of `batches`, follow from the seed and the number of the epoch alone. The
    folder is its own, and deleted at the end. Backups of another run, with another seed, other data
    or another model, and damaged ones raise a ValueError.

    Give an `EarlyStopping` here, as `stop`, and not to `fit`: its count and best weights are then
    backed up too. Other callbacks that remember, such as `ReduceLROnPlateau`, begin anew.
    """

    def __init__(
        self,
        folder: str | Path,
        seed: int = 0,
        stop: keras.callbacks.EarlyStopping | None = None,
    ):
        if not (isinstance(folder, (str, Path)) and str(folder)) or Path(folder).is_file():
            raise ValueError(f"folder is {folder!r}; expected a path where there is no file")
        check_seed("seed", seed)
        if not (stop is None or isinstance(stop, keras.callbacks.EarlyStopping)):
            raise ValueError(f"stop is {stop!r}; expected a keras.callbacks.EarlyStopping, or None")
        super().__init__(str(folder), double_checkpoint=True)
        self.seed, self._note = int(seed), Path(folder) / NOTE
        self.epoch = tf.Variable(0, dtype="int64")
        self._data: dict[str, int] = {}  # batch sizes
        self._memories: dict[str, dict | None] = {}  # of `stop`, by the digest of a backup
        self._stop = None if stop is None else _Stop(stop, Path(folder))

    def batches(self, x: np.ndarray, batch_size: int = 32) -> tf.data.Dataset:
        """Batches of x in an order that is new in every epoch, and known from its number."""
        x = _examples(x, batch_size)
        self._data[f"{x.shape} {x.dtype} {_digest(x.tobytes())}"] = int(batch_size)

        def order(_):
            seed = tf.stack([tf.constant(self.seed, "int64"), self.epoch])
            return tf.random.experimental.stateless_shuffle(tf.range(len(x)), seed=seed)

        plain = tf.data.Options()
        plain.autotune.enabled = False  # it may hold an interrupted run for a minute
        index = tf.data.Dataset.range(1).map(order).unbatch().batch(batch_size)
        images = index.map(functools.partial(tf.gather, tf.constant(x)))
        return images.prefetch(1).with_options(plain)

    def set_model(self, model: VAE):
        """Learn what to back up."""
        super().set_model(model)
        if self._stop:
            self._stop.callback.set_model(model)

    def on_train_begin(self, logs=None):
        """Restore the last whole backup of this run, if there is one."""
        shapes = [list(weight.shape) for weight in self.model.weights]
        self._run = {"seed": self.seed, "batches": dict(self._data), "shapes": shapes}
        self._run["stop"] = self._stop and self._stop.rule
        folder, noted = self._note.parent, self._noted()  # digests of weights, and where to go on
        kept = {file: _digest(file.read_bytes()) for file in sorted(folder.glob(f"{WEIGHTS}*"))}
        whole = [file for file, digest in kept.items() if digest in noted]  # the last one first
        if noted and not whole:
            raise ValueError(f"folder {folder} has {WEIGHTS} damaged or missing; {ADVICE}")
        if whole:
            whole[0].replace(folder / WEIGHTS)
        else:
            (folder / WEIGHTS).unlink(missing_ok=True)  # half of a first one
        self._backups = {kept[file]: noted[kept[file]] for file in whole[:1]}
        start = sum(self._backups.values())
        if self._stop and self._stop.begin(self._memories.get(next(iter(self._backups), None))):
            start = self.params["epochs"]  # it had stopped: no epoch is left
        (folder / START).write_text(json.dumps({"epoch": start}))
        self._write_note()
        super().on_train_begin(logs)

    def on_epoch_begin(self, epoch: int, logs=None):
        """Start the epoch's noise and order from its number."""
        self.model._initial_epoch = None  # or Keras would begin the next `fit` here too
        self.epoch.assign(epoch)
        self.model.noise.state.assign([self.seed, epoch])
        super().on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs=None):
        """Back up, and note it down when it is whole."""
        check_finite(logs, f"in epoch {epoch + 1}")
        memory = self._stop and self._stop.look(epoch, logs)
        super().on_epoch_end(epoch, logs)
        digest = _digest((self._note.parent / WEIGHTS).read_bytes())
        self._backups = dict([*self._backups.items()][-1:]) | {digest: epoch + 1}
        self._memories[digest] = memory
        self._write_note()

    def on_train_end(self, logs=None):
        """Go back to the best weights, if there is a `stop` that does so, and delete the folder."""
        if self._stop:
            self._stop.callback.on_train_end(logs)
        super().on_train_end(logs)
        self.model._initial_epoch = None

    def _noted(self) -> dict[str, int]:
        self._note.parent.mkdir(parents=True, exist_ok=True)
        try:
            then = json.loads(self._note.read_text())
        except (OSError, ValueError):
            if any(file.suffix != ".part" for file in self._note.parent.iterdir()):
                raise ValueError(
                    f"folder {self.backup_dir} has no {NOTE}; expected an empty one"
                ) from None
            return {}
        for name, now in self._run.items() if then["backups"] else ():
            if then.get(name) != now:
                expected = f"expected {then.get(name)} as in the backup in {self.backup_dir}"
                raise ValueError(f"{name} is {now}; {expected}: {ADVICE}")
        self._memories = then.get("memories", {})
        return then["backups"]

    def _write_note(self) -> None:
        self._memories = {digest: self._memories.get(digest) for digest in self._backups}
        note = {**self._run, "backups": self._backups, "memories": self._memories}
        with saving.whole(self._note, "x") as file:
            json.dump(note, file)
        used = {(memory or {}).get("weights") for memory in self._memories.values()}
        for file in self._note.parent.glob("best.*.npz"):
            if file.name not in used:
                file.unlink()


class _Stop:
    """An `EarlyStopping` that `Resume` calls, and what it remembers."""

    REMEMBERS = ("wait", "best", "best_epoch", "stopped_epoch")

    def __init__(self, callback: keras.callbacks.EarlyStopping, folder: Path):
        self.callback, self._folder = callback, folder
        self.rule = [callback.monitor, callback.patience]

    def begin(self, memory: dict | None) -> bool:
        """Begin anew, or with a memory; whether that was of having stopped."""
        self.callback.on_train_begin()
        self._file, self._kept = None, None  # of the best weights, and the epoch they are of
        if memory:
            for name in self.REMEMBERS:
                setattr(self.callback, name, memory[name])
            self._file, self._kept = memory["weights"], memory["best_epoch"]
            self.callback.best_weights = self._file and self._best_weights()
        self._left = self._memory()
        return self.callback.stopped_epoch > 0

    def look(self, epoch: int, logs: dict | None) -> dict:
        """Let it judge the epoch; what it remembers now, its best weights written to a file."""
        if json.dumps(self._memory()) != json.dumps(self._left):  # NaN equals NaN here
            raise ValueError("stop is in the callbacks of fit too; expected it in Resume alone")
        self.callback.on_epoch_end(epoch, logs)
        if self.callback.best_weights is not None and self._kept != self.callback.best_epoch:
            content = io.BytesIO()
            np.savez(content, *self.callback.best_weights)
            self._file = f"best.{_digest(content.getvalue())}.npz"
            (self._folder / self._file).write_bytes(content.getvalue())
            self._kept = self.callback.best_epoch
        self._left = self._memory()
        return self._left

    def _memory(self) -> dict:
        return {name: getattr(self.callback, name) for name in self.REMEMBERS} | {
            "weights": self._file
        }

    def _best_weights(self) -> list[np.ndarray]:
        file = self._folder / self._file
        if not file.is_file() or file.name != f"best.{_digest(file.read_bytes())}.npz":
            raise ValueError(f"folder {self._folder} has {file.name} damaged or missing; {ADVICE}")
        with np.load(file) as arrays:
            return [arrays[f"arr_{number}"] for number in range(len(arrays.files))]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
