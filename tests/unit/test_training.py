"""The loop in the open against `fit`, the callbacks, and a run that is killed and resumed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from vae_lib import VAE, Gaussian, training


def images(n: int = 50) -> np.ndarray:
    return np.random.RandomState(0).rand(n, 4, 4, 1).astype("float32")


def small(**options) -> VAE:
    keras.utils.set_random_seed(0)
    sizes = {"data_shape": (4, 4, 1), "network": "dense", "hidden": (8,)}
    return VAE(2, seed=1, **sizes, **options)


def batches(n: int = 50, size: int = 16) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(images(n)).batch(size)


def test_the_loop_gives_the_numbers_of_fit() -> None:
    by_hand, by_fit = small(beta=0.5), small(beta=0.5)
    history = training.train_vae(by_hand, batches(), keras.optimizers.Adam(0.01), 3, verbose=0)
    by_fit.compile(keras.optimizers.Adam(0.01))
    expected = by_fit.fit(batches(), epochs=3, verbose=0).history
    assert history.keys() == expected.keys()
    for name, values in history.items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-5)
    for mine, theirs in zip(by_hand.get_weights(), by_fit.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)


def test_the_step_is_not_traced_for_each_batch_or_call(monkeypatch: pytest.MonkeyPatch) -> None:
    traced = []
    original = training.train_step
    monkeypatch.setattr(training, "train_step", lambda *a: traced.append(1) or original(*a))
    model, optimizer = small(), keras.optimizers.Adam()
    for _ in range(2):
        training.train_vae(model, batches(50, 16), optimizer, 2, verbose=0)
    assert len(traced) == 2  # one for 16 images, one for the 2 at the end


def test_the_loop_shows_progress(capsys: pytest.CaptureFixture) -> None:
    training.train_vae(small(), batches(), keras.optimizers.Adam(), 2, verbose=2)
    shown = capsys.readouterr().out
    assert "Epoch 2/2" in shown and "4/4" in shown and "kl:" in shown
    training.train_vae(small(), batches(), keras.optimizers.Adam(), 1, verbose=0)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("epochs", [0, -1, 2.5, None])
def test_wrong_epochs(epochs) -> None:
    with pytest.raises(ValueError, match="epochs is .*; expected"):
        training.train_vae(small(), batches(), keras.optimizers.Adam(), epochs)
    with pytest.raises(ValueError, match="epochs is .*; expected"):
        training.KLWarmUp(epochs)


def test_wrong_batches() -> None:
    with pytest.raises(ValueError, match="dataset has batches of shape"):
        training.train_vae(small(), batches().map(lambda x: x[:, :2]), keras.optimizers.Adam(), 1)


def test_warm_up_raises_beta_to_its_end() -> None:
    model, seen = small(), []
    model.compile("adam")
    watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: seen.append(float(model.beta)))
    model.fit(images(), epochs=5, verbose=0, callbacks=[training.KLWarmUp(4, beta=2.0), watch])
    assert seen == [0.0, 0.5, 1.0, 1.5, 2.0]


def test_nan_stops_at_its_step_with_advice() -> None:
    model = small(likelihood=Gaussian(0.1))
    model.compile(keras.optimizers.SGD(1e6))
    with pytest.raises(FloatingPointError, match=r"step [12] of epoch 1; try .*learning rate"):
        model.fit(images(), batch_size=25, epochs=2, verbose=0, callbacks=[training.StopOnNaN()])


def test_the_order_is_new_in_each_epoch_and_loses_nothing(tmp_path: Path) -> None:
    resume = training.Resume(tmp_path)
    orders = []
    for epoch in (0, 1, 0):
        resume.epoch.assign(epoch)
        orders.append(np.concatenate(list(resume.batches(images(), 16).as_numpy_iterator())))
    assert not np.array_equal(orders[0], orders[1])
    np.testing.assert_array_equal(orders[0], orders[2])
    assert {x.tobytes() for x in orders[1]} == {x.tobytes() for x in images()}


RUN = """
import sys
sys.path.insert(0, sys.argv[1])
import keras, numpy as np
from test_training import images, small
from vae_lib import training
backup, result = sys.argv[2:4]
model = small()
model.compile(keras.optimizers.Adam(0.01))
resume = training.Resume(backup, seed=3)
say = keras.callbacks.LambdaCallback(
    on_train_batch_end=lambda batch, logs: print("batch", int(resume.epoch), batch, flush=True)
)
model.fit(resume.batches(images(), 5), epochs=6, verbose=0, callbacks=[resume, say])
np.savez(result, *model.get_weights())
"""


def start(folder: Path, name: str) -> subprocess.Popen:
    words = [str(Path(__file__).parent), str(folder / name), str(folder / f"{name}.npz")]
    return subprocess.Popen([sys.executable, "-c", RUN, *words], stdout=subprocess.PIPE, text=True)


def test_a_killed_run_ends_with_the_result_of_an_uninterrupted_one(tmp_path: Path) -> None:
    with start(tmp_path, "whole") as whole:
        whole.communicate()
    with start(tmp_path, "killed") as killed:
        while killed.stdout.readline() != "batch 3 4\n":  # in the middle of the fourth epoch
            assert killed.poll() is None
        killed.send_signal(signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL and not (tmp_path / "killed.npz").exists()

    with start(tmp_path, "killed") as resumed:
        lines = resumed.communicate()[0].splitlines()
    assert lines[0] == "batch 3 0"  # the epoch that was cut short begins again
    expected, found = (np.load(tmp_path / f"{name}.npz") for name in ("whole", "killed"))
    for key in expected.files:
        np.testing.assert_allclose(found[key], expected[key], rtol=1e-5, atol=1e-7)
