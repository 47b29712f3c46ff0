"""The loop in the open against `fit`, the callbacks, and a run that is killed and resumed."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from vae_lib import VAE, Gaussian, training

KEPT = ("latest.weights.h5", "latest.weights.h5.bkp", "training_metadata.json")


def images(n: int = 50) -> np.ndarray:
    return np.random.RandomState(0).rand(n, 4, 4, 1).astype("float32")


def small(**options) -> VAE:
    keras.utils.set_random_seed(0)
    sizes = {"data_shape": (4, 4, 1), "network": "dense", "hidden": (8,)}
    return VAE(2, seed=1, **sizes, **options)


def batches(n: int = 50, size: int = 16) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(images(n)).batch(size)


OPTIMIZERS = {
    "plain": lambda: keras.optimizers.Adam(0.01),
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01)),
    "scaled by a constant": lambda: keras.optimizers.SGD(0.01, loss_scale_factor=8.0),
    "accumulating": lambda: keras.optimizers.SGD(0.01, gradient_accumulation_steps=3),
    "averaging": lambda: keras.optimizers.SGD(0.01, use_ema=True, ema_momentum=0.5),
}


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_the_loop_gives_the_numbers_of_fit(kind) -> None:
    by_hand, by_fit = small(beta=0.5), small(beta=0.5)
    history = training.train_vae(by_hand, batches(), OPTIMIZERS[kind](), 3, verbose=0)
    by_fit.compile(OPTIMIZERS[kind]())
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


def test_the_loop_does_not_end_in_nan_without_a_word() -> None:
    model = small(likelihood=Gaussian(0.1))
    with pytest.raises(FloatingPointError, match=r"became (nan|inf) in epoch [12]; try .*learning"):
        training.train_vae(model, batches(), keras.optimizers.SGD(1e6), 2, verbose=0)


def test_warm_up_raises_beta_to_its_end() -> None:
    model, seen = small(), []
    model.compile("adam")
    watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: seen.append(float(model.beta)))
    model.fit(images(), epochs=5, verbose=0, callbacks=[training.KLWarmUp(4, beta=2.0), watch])
    assert seen == [0.0, 0.5, 1.0, 1.5, 2.0]


class Cut(Exception):
    pass


def cut(epoch: int, batch: int = 0) -> keras.callbacks.Callback:
    """Ends the training before a batch, as an interruption would."""
    now = []

    def look(number, logs):
        if (now[-1], number) == (epoch, batch):
            raise Cut

    return keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda number, logs: now.append(number), on_train_batch_begin=look
    )


def warm(model: VAE, warm_up: training.KLWarmUp, *others, epochs: int = 4) -> list[float]:
    """Beta in each epoch of a `fit`."""
    seen = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: seen.append(float(model.beta))
    )
    model.compile("sgd", run_eagerly=True)
    options = {"batch_size": 20, "epochs": epochs, "verbose": 0}
    with contextlib.suppress(Cut):
        model.fit(images(20), callbacks=[warm_up, watch, *others], **options)
    return seen


def test_warm_up_ends_at_the_models_own_beta() -> None:
    model = small(beta=4)
    assert warm(model, training.KLWarmUp(2)) == [0, 2, 4, 4]
    assert warm(model, training.KLWarmUp(4, beta=1), epochs=2) == [0, 0.25]
    assert warm(model, training.KLWarmUp(2)) == [0, 0.5, 1, 1]
    model.beta.assign(3)
    assert warm(model, training.KLWarmUp(2)) == [0, 1.5, 3, 3]


@pytest.mark.parametrize("at", [0, 1])
def test_a_warm_up_that_was_cut_short_ends_where_the_first_would_have(at) -> None:
    model, same = small(beta=4), training.KLWarmUp(2)
    warm(model, same, cut(at))
    assert warm(model, same, cut(at)) == [0, 2, 4, 4][: at + 1]
    assert warm(model, training.KLWarmUp(2)) == [0, 2, 4, 4]
    assert warm(small(beta=5), same) == [0, 2.5, 5, 5]


def test_a_warm_up_needs_a_beta(complains) -> None:
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    callbacks = [training.KLWarmUp(2)]
    call = lambda: model.fit(np.zeros((4, 1)), np.zeros(4), callbacks=callbacks, verbose=0)  # noqa: E731
    complains(call, "model is a Sequential", "beta", "expected a VAE")


@pytest.mark.parametrize("steps", [1, 2])
def test_nan_is_seen_in_whatever_logs_there_are(steps) -> None:
    stop = training.StopOnNaN()
    stop.on_epoch_begin(2)
    stop.on_train_batch_end(0)
    stop.on_train_batch_end(0, {"kl": 1.0})
    with pytest.raises(FloatingPointError, match="nan at step 2 of epoch 3; .* standardise tables"):
        stop.on_train_batch_end(1, {"loss": float("nan")})
    model = small(likelihood=Gaussian(0.1))
    model.compile(keras.optimizers.SGD(1e6), steps_per_execution=steps)
    with pytest.raises(FloatingPointError):
        model.fit(images(), batch_size=10, epochs=2, verbose=0, callbacks=[stop])


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


def resumed(folder: Path, *others, seed=3, x=None, batch=25, epochs=5, **options) -> list:
    """The weights after a run, whole or gone on with; those after an interruption are no result."""
    model = small(**options)
    model.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    resume = training.Resume(folder, seed=seed)
    data = resume.batches(images() if x is None else x, batch)
    with contextlib.suppress(Cut):
        model.fit(data, epochs=epochs, verbose=0, callbacks=[resume, *others])
    return model.get_weights()


def test_nothing_tunes_the_batches_of_a_run(tmp_path):
    """TensorFlow's tuning makes it wait, up to a minute, before it lets an interrupted run go."""
    options = training.Resume(tmp_path).batches(images(), 25).options()
    assert options.autotune.enabled is False


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> list:
    return resumed(tmp_path_factory.mktemp("whole") / "backup")


def same(found: list, expected: list) -> None:
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-7)


def truncate(file: Path, length: float) -> None:
    """A share of a file, or all but its last byte."""
    content = file.read_bytes()
    file.write_bytes(content[: int(length * len(content))] if length < 1 else content[:-1])


@pytest.mark.parametrize(
    ("file", "length"),
    [*((KEPT[0], share) for share in (0, 0.01, 0.5, 1)), (KEPT[1], 0.5), (KEPT[2], 0.5)],
)
def test_a_truncated_backup_has_a_whole_one_beside_it(tmp_path, uninterrupted, file, length):
    resumed(tmp_path, cut(3, 1))
    truncate(tmp_path / file, length)
    same(resumed(tmp_path), uninterrupted)


@pytest.mark.parametrize("at", [0, 2])
def test_a_run_that_is_cut_again_and_again(tmp_path, uninterrupted, at):
    for epoch in (at, at, at + 1):
        resumed(tmp_path, cut(epoch, 1))
    same(resumed(tmp_path), uninterrupted)


def test_weights_without_their_note_are_not_taken_for_those_of_another_epoch(
    tmp_path, uninterrupted
):
    for name, epoch in (("killed", 3), ("later", 4)):
        resumed(tmp_path / name, cut(epoch))
    shutil.copy(tmp_path / "killed" / KEPT[0], tmp_path / "killed" / KEPT[1])
    shutil.copy(tmp_path / "later" / KEPT[0], tmp_path / "killed" / KEPT[0])
    same(resumed(tmp_path / "killed"), uninterrupted)


def test_what_was_killed_within_its_first_backup_begins_anew(tmp_path, uninterrupted):
    resumed(tmp_path, cut(0, 1), seed=8)  # nothing is lost if this one is left
    resumed(tmp_path, cut(0, 1))
    (tmp_path / KEPT[0]).write_bytes(b"half")
    (tmp_path / "run.part").write_text("{")
    same(resumed(tmp_path), uninterrupted)


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: truncate(file, 0.5)])
def test_without_a_whole_backup_it_says_so(complains, tmp_path, damage):
    resumed(tmp_path, cut(3))
    for file in KEPT[:2]:
        damage(tmp_path / file)
    complains(
        lambda: resumed(tmp_path), "folder", tmp_path, "damaged or missing", "delete this one"
    )


def test_a_damaged_note(complains, tmp_path):
    resumed(tmp_path, cut(3))
    (tmp_path / "run.json").write_text('{"seed"')
    complains(lambda: resumed(tmp_path), "folder", tmp_path, "run.json", "expected")


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"seed": 4}, ["seed is 4", "expected 3"]),
        ({"batch": 10}, ["batches is", ": 10}; expected", ": 25}"]),
        ({"x": images() * 0.5}, ["batches is", "(50, 4, 4, 1) float32"]),
        ({"x": images(49)}, ["batches is", "(49, 4, 4, 1)", "expected", "(50, 4, 4, 1)"]),
        ({"likelihood": Gaussian()}, ["shapes"]),
    ],
)
def test_another_run_is_not_gone_on_with(complains, tmp_path, uninterrupted, other, words):
    resumed(tmp_path, cut(3))
    complains(lambda: resumed(tmp_path, **other), *words, tmp_path, "choose another folder")
    same(resumed(tmp_path), uninterrupted)


def test_a_folder_with_other_files_is_left_alone(complains, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    complains(lambda: resumed(tmp_path), "folder", tmp_path, "no run.json", "expected an empty one")
    assert (tmp_path / "thesis.tex").exists()


def test_the_note_is_read_by_people_too(tmp_path):
    resumed(tmp_path, cut(3))
    note = json.loads((tmp_path / "run.json").read_text())
    assert (
        note["seed"] == 3 and list(note["batches"].values()) == [25] and [16, 8] in note["shapes"]
    )
    assert list(note["backups"].values()) == [2, 3]


@pytest.mark.parametrize("first", ["resume", "warm-up"])
def test_a_warm_up_goes_on_to_the_models_own_beta(tmp_path, first):
    def run(folder, *others):
        model, resume, warm_up = small(beta=4), training.Resume(folder), training.KLWarmUp(4)
        callbacks = [resume, warm_up] if first == "resume" else [warm_up, resume]
        seen = warm(model, *callbacks, *others, epochs=5)
        return seen, model.get_weights()

    expected, weights = run(tmp_path / "whole")
    before, _ = run(tmp_path / "cut", cut(2))
    after, again = run(tmp_path / "cut")
    assert expected == [0, 1, 2, 3, 4] and before[:2] + after == expected
    same(again, weights)


@pytest.mark.parametrize(
    ("epochs", "others"), [(5, []), (3, []), (5, [cut(3, 1)])], ids=["more", "none", "cut again"]
)
def test_what_comes_after_a_resumed_run_starts_at_its_first_epoch(tmp_path, epochs, others):
    resumed(tmp_path, cut(3))
    model, resume = small(), training.Resume(tmp_path, seed=3)
    model.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    data = resume.batches(images(), 25)
    with contextlib.suppress(Cut):
        history = model.fit(data, epochs=epochs, verbose=0, callbacks=[resume, *others])
        assert len(history.epoch) == epochs - 3
    assert model.fit(data, epochs=2, verbose=0).epoch == [0, 1]


JUDGED = [5.0, 3.0, 4.0, 2.0, 6.0, 7.0, 8.0, 1.0, 1.0]  # with a patience of 3: the fourth is kept


def stopped(folder: Path, *others, patience=3, restore=True) -> tuple:
    """The weights after a run with early stopping, and the epochs that this part of it trained."""
    stop = keras.callbacks.EarlyStopping("judged", patience=patience, mode="min")
    stop.restore_best_weights = restore
    model, resume = small(), training.Resume(folder, stop=stop)
    judge = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: logs.update(judged=JUDGED[epoch])
    )
    model.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    callbacks = [judge, resume, *others]
    with contextlib.suppress(Cut):
        model.fit(resume.batches(images(), 25), epochs=len(JUDGED), verbose=0, callbacks=callbacks)
    return model.get_weights(), model.history.epoch


def raise_cut(*_) -> None:
    raise Cut


@pytest.mark.parametrize("restore", [True, False])
def test_early_stopping_is_resumed_with_its_count_and_its_best_weights(tmp_path, restore):
    expected, epochs = stopped(tmp_path / "whole", restore=restore)
    assert epochs == [0, 1, 2, 3, 4, 5, 6]
    for at in (1, 4, 6):
        stopped(tmp_path / "cut", cut(at, 1), restore=restore)
        assert len([*(tmp_path / "cut").glob("best.*")]) <= 2 * restore
    found, epochs = stopped(tmp_path / "cut", restore=restore)
    assert epochs == [6]
    same(found, expected)
    assert not (tmp_path / "cut").exists()


def test_the_best_weights_are_those_of_the_best_epoch(tmp_path):
    best, _ = stopped(tmp_path / "part", cut(4), restore=False)
    same(stopped(tmp_path / "whole")[0], best)


def test_a_run_that_had_stopped_trains_no_further(tmp_path):
    expected, _ = stopped(tmp_path / "whole")
    late = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, _: epoch == 6 and raise_cut())
    stopped(tmp_path / "cut", late)
    found, epochs = stopped(tmp_path / "cut")
    assert epochs == []
    same(found, expected)


@pytest.mark.parametrize("first", [True, False])
def test_early_stopping_is_given_once(complains, tmp_path, first):
    stop = keras.callbacks.EarlyStopping("loss", patience=3)
    model, resume = small(), training.Resume(tmp_path / "backup", stop=stop)
    model.compile("adam", run_eagerly=True)
    callbacks = [stop, resume] if first else [resume, stop]
    call = lambda: model.fit(images(), epochs=3, verbose=0, callbacks=callbacks)  # noqa: E731
    complains(call, "stop is in the callbacks of fit too", "expected it in Resume alone")


def test_another_patience_is_another_run(complains, tmp_path):
    stopped(tmp_path, cut(3))
    complains(lambda: stopped(tmp_path, patience=4), "stop is ['judged', 4]", "expected", "3]")
    complains(lambda: resumed(tmp_path, seed=0), "stop is None", "expected ['judged', 3]")


def test_damaged_best_weights(complains, tmp_path):
    stopped(tmp_path, cut(5))
    (best,) = tmp_path.glob("best.*")
    truncate(best, 0.5)
    complains(lambda: stopped(tmp_path), "folder", tmp_path, best.name, "damaged or missing")


def test_two_seeds_have_other_noise_and_another_order(tmp_path):
    noise, order = [], []
    for seed in (0, 1, 2**32 - 1):
        model, resume = small(), training.Resume(tmp_path, seed=np.int64(seed))
        resume.set_model(model)
        resume.on_epoch_begin(2)
        noise.append(np.array(model.reparameterize(np.zeros((5, 2), "float32"), np.float32(0))))
        order.append(np.concatenate(list(resume.batches(images(), 16).as_numpy_iterator())))
    for found in (noise, order):
        assert len({array.tobytes() for array in found}) == 3
