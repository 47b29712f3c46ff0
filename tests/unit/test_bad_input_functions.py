"""Wrong input of thresholds, data, training, figures and records ends in a ValueError."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import sparse
from test_bad_input import (
    INF,
    NAN,
    NO_COUNT,
    NO_RATE,
    NO_SEED,
    SIZES,
    Cases,
    dataset,
    each,
    kinds,
    masked,
    nan,
    pictures,
)

from vae_lib import VAE, ConditionalVAE, data, live, plots, records, thresholds, training

# Thresholds

VALUES, FLAGS = np.arange(40.0), np.arange(40) > 20
NO_VALUES = {
    "None": (None, "dtype object"),
    "a string": ("x", "dtype <U1"),
    "a number": (3.0, "shape ()"),
    "empty": ([], "is empty"),
    "words": (["a", "b"], "dtype <U1"),
    "a table": (np.ones((3, 2)), "shape (3, 2)"),
    "bools": (np.ones(40, bool), "dtype bool"),
    "complex": (np.ones(40, "complex64"), "dtype complex64"),
    "objects": (np.array([None] * 40), "dtype object"),
    "dates": (np.zeros(40, "datetime64[s]"), "dtype datetime64[s]"),
    "NaN": (np.full(40, NAN), "NaN or infinite"),
    "infinity": (np.full(40, INF), "NaN or infinite"),
    "minus infinity": (np.append(np.ones(39), -INF), "NaN or infinite"),
    "ragged": ([[1.0], [1.0, 2.0]], "unequal rows"),
    "a dict": ({0: 1.0}, "dtype object"),
    "a set": ({1.0}, "dtype object"),
    "masked": (masked(np.ones(40)), "masked"),
    "without a mask": (np.ma.array(np.ones(40)), "mask"),
    "sparse": (sparse.csr_array(np.ones((1, 40))), "csr_array"),
}
NO_FLAGS = {
    "None": (None, "dtype object"),
    "integers": (FLAGS.astype(int), "dtype int64"),
    "too few": (FLAGS[:3], "shape (3,)"),
    "ragged": ([[True], [True, False]], "unequal rows"),
    "masked": (masked(FLAGS), "masked"),
}
NO_CLASSES = {
    "too few": (FLAGS[:3], "shape (3,)"),
    "ragged": ([[1], [1, 2]], "unequal rows"),
    "masked": (masked(FLAGS), "mask"),
    "NaN": (np.full(40, NAN), ""),
}
ONE_KIND = {"all": (VALUES > -1, "40 True of 40"), "none": (VALUES < -1, "0 True of 40")}
NO_COST = (0, -1, NAN, INF, "1", None, True)
quantile, conformal, tail = thresholds.quantile, thresholds.conformal, thresholds.tail
cheapest, p_values = thresholds.cheapest, thresholds.p_values
benjamini_hochberg = thresholds.benjamini_hochberg
THRESHOLDS: Cases = {
    **kinds("quantile", NO_VALUES, lambda v: quantile(v, 0.1), "scores ", "expected"),
    **kinds("conformal", NO_VALUES, lambda v: conformal(v, 0.1), "scores ", "expected"),
    **kinds("tail", NO_VALUES, lambda v: tail(v, 0.01), "scores ", "expected"),
    **kinds("cheapest", NO_VALUES, lambda v: cheapest(v, FLAGS, 0.1), "scores ", "expected"),
    **kinds("p_values", NO_VALUES, lambda v: p_values(VALUES, v), "scores ", "expected"),
    **kinds("p_values by", NO_VALUES, lambda v: p_values(v, VALUES), "calibration ", "expected"),
    **kinds("benjamini_hochberg", NO_VALUES, lambda v: benjamini_hochberg(v, 0.1), "p_values "),
    **each("quantile", "false_alarm_rate", NO_RATE, lambda v: quantile(VALUES, v), "0 and 1"),
    **each("conformal", "false_alarm_rate", NO_RATE, lambda v: conformal(VALUES, v), "0 and 1"),
    **each("tail", "false_alarm_rate", NO_RATE, lambda v: tail(VALUES, v), "0 and 1"),
    **each("tail", "tail_share", NO_RATE, lambda v: tail(VALUES, 0.01, v), "0 and 1"),
    **each("cheapest", "prevalence", NO_RATE, lambda v: cheapest(VALUES, FLAGS, v), "0 and 1"),
    **each("b_h", "level", NO_RATE, lambda v: benjamini_hochberg(VALUES / 40, v), "0 and 1"),
    **each(
        "cheapest",
        "false_alarm_cost",
        NO_COST,
        lambda v: cheapest(VALUES, FLAGS, 0.1, v),
        "positive",
    ),
    **each(
        "cheapest", "miss_cost", NO_COST, lambda v: cheapest(VALUES, FLAGS, 0.1, 1, v), "positive"
    ),
    **kinds(
        "cheapest: is_anomaly",
        {**NO_FLAGS, **ONE_KIND},
        lambda v: cheapest(VALUES, v, 0.1),
        "is_anomaly ",
        "expected",
    ),
    "tail: a rate above the share": (
        lambda: tail(VALUES, 0.5),
        ("false_alarm_rate is 0.5", "expected at most tail_share", "0.1", "quantile"),
    ),
    "tail: few scores": (lambda: tail(VALUES, 0.01), ("40 values", "4 of them", "expected 10")),
    "tail: equal scores": (lambda: tail(np.ones(500), 0.01), ("500 values", "0 of them")),
    "conformal: few scores": (lambda: conformal(VALUES, 0.001), ("40 values", "expected 999")),
    "p_values: one of the classes": (
        lambda: p_values(VALUES, VALUES, classes=FLAGS),
        ("calibration_classes is None", "expected both"),
    ),
    "p_values: the other one": (
        lambda: p_values(VALUES, VALUES, FLAGS),
        ("classes is None", "expected both"),
    ),
    **kinds(
        "p_values: calibration_classes",
        NO_CLASSES,
        lambda v: p_values(VALUES, VALUES, v, FLAGS),
        "classes",
    ),
    **kinds("p_values", NO_CLASSES, lambda v: p_values(VALUES, VALUES, FLAGS, v), "classes"),
    "p_values: unknown classes": (
        lambda: p_values(VALUES, VALUES, np.zeros(40, int), np.ones(40, int)),
        ("classes has [1]", "expected classes with calibration scores"),
    ),
    "p_values: classes of another kind": (
        lambda: p_values(VALUES, VALUES, FLAGS.astype(int), FLAGS.astype(int).astype(str)),
        ("classes has ['0', '1']", "expected classes with calibration scores"),
    ),
    "benjamini_hochberg: below 0": (
        lambda: benjamini_hochberg(np.array([0.5, -0.1]), 0.1),
        ("p_values", "0..1"),
    ),
    "benjamini_hochberg: above 1": (
        lambda: benjamini_hochberg(VALUES, 0.1),
        ("p_values has values in 0..39", "expected 0..1"),
    ),
}


# Data


@functools.cache
def files() -> SimpleNamespace:
    """A small data set, and files that are none."""
    keep = tempfile.TemporaryDirectory()
    folder = Path(keep.name)
    it = SimpleNamespace(keep=keep, folder=folder, npz=folder / "a.npz", text=folder / "text.npz")
    classes = np.arange(40) % 3
    np.savez(it.npz, x_train=pictures(), y_train=classes, x_test=pictures(), y_test=classes)
    it.text.write_text("no archive")
    it.picture, it.other = folder / "a.png", folder / "b.png"
    it.pictures = folder / "pictures"
    it.pictures.mkdir()
    for i in range(12):
        keras.utils.save_img(it.pictures / f"{i:02}.png", pictures()[i])
    keras.utils.save_img(it.picture, pictures()[0])
    keras.utils.save_img(it.other, pictures(1, (5, 5, 1))[0])
    return it


def split(source=None, **arguments) -> data.Split:
    return data.split(files().npz if source is None else source, **arguments)


def pictures_of(**arguments) -> data.Split:
    return data.split(files().pictures, **arguments)


NO_SHARE = (0, 1, -0.1, 2, NAN, "0.2", None, True, [0.1])
NO_NAMES = (None, 3, "", "cifar", ["mnist-5k"], b"mnist-5k", Path("digits.csv"))
NO_CLASS = {
    repr(value): (value, "is ")
    for value in ("a", 99, -1, 1.5, NAN, True, [], [0, "a"], [[0], [1, 2]], {0}, object)
}
NO_IMAGES = {
    "None": (None, "dtype object"),
    "a string": ("x", "dtype <U1"),
    "a number": (3.0, "shape ()"),
    "an empty list": ([], "empty"),
    "one grey picture": (pictures()[0, ..., 0], "shape (4, 4)"),
    "one picture": (pictures()[0], "shape (4, 4, 1)"),
    "a video": (pictures()[None], "shape (1, 40, 4, 4, 1)"),
    "two sizes": ([pictures(1), pictures(1, (5, 5, 1))], "differ in shape"),
    "ragged": ([[1.0], [1.0, 2.0]], "differ in shape"),
    "int64": (np.ones((3, 8, 8), int), "dtype int64"),
    "complex": (np.ones((3, 8, 8), "complex64"), "dtype complex64"),
    "objects": (np.ones((3, 8, 8), object), "dtype object"),
    "dates": (np.zeros((3, 8, 8), "datetime64[s]"), "dtype datetime64[s]"),
    "masked": (masked(pictures()), "masked"),
    "NaN": (nan(NAN), "NaN or infinite"),
    "infinity": (nan(INF), "NaN or infinite"),
    "levels": (255 * pictures(), "divide by 255"),
    "negative": (nan(-0.1), "values in -0.1"),
    "no pixels": (np.ones((3, 0, 8)), "empty"),
    "a dict": ({"x": pictures()}, "dtype object"),
    "a set": (set(), "dtype object"),
    "levels of int64": (
        np.array([[[[0]], [[255]]]]),
        "int64 with values in 0..255; expected uint8",
    ),
    "uint32": (np.zeros((2, 3, 5), "uint32"), "uint32 with values in 0..0; expected uint8"),
    "text": (pictures().astype(str), "dtype <U"),
    "a masked one": ([masked(np.ones((3, 4)))], "masked; expected a plain array, such as x.filled"),
    "a little above 1": (np.full((2, 3, 5), 1 + 5e-7), "1.0000005; expected 0..1"),
    "minus infinity": (nan(-INF), "NaN or infinite"),
    **{
        f"{channels} channels or columns": (np.zeros((9, 8, channels)), "x[None] for one")
        for channels in (1, 3, 4)
    },
}
NO_PATHS = {
    "None": (lambda it: None, "paths is None; expected a list"),
    "one path": (lambda it: str(it.picture), "expected a list"),
    "a Path": (lambda it: it.picture, "expected a list"),
    "none": (lambda it: [], "paths is []; expected a list"),
    "a generator": (lambda it: it.folder.glob("*.png"), "expected a list"),
    "a set": (lambda it: {it.picture}, "expected a list"),
    "a number": (lambda it: [3], "paths[0] is 3; expected a str or a Path"),
    "None in a list": (lambda it: [it.picture, None], "paths[1] is None; expected"),
    "text": (lambda it: [it.text], "text.npz"),
    "a folder": (lambda it: [it.folder], "expected a PNG or JPEG"),
    "another size": (lambda it: [it.picture, it.other], "5 pixels high and 5 wide; expected 4"),
}
NO_SIZE = (0, 8, (8,), (8, 0), (8, -1), (8, 8, 3), (8.0, 8), "88", True, {8, 9}, [None, 8])
NO_COLOUR = (-0.1, 255, NAN, INF, "wite", "", True, (0, 1), [0, 0, 2], (0, 0, "1"), {0.5})
NO_FOLDERS = ("", (), [], 3, {"a"}, ["a", ""], [b"a"])  # of one label
NO_GROUP = (3, True, b"a", ["a"], "(", "[0-")
NO_GROUP_OF_A_FILE = {
    "no match": (r"x(\d)", "gives None for"),
    "None": (lambda path: None, "gives None for"),
    "a list": (lambda path: [path], "expected a key that can be compared"),
}
NO_TILES = {
    "many pictures": (pictures(), "shape (40, 4, 4, 1)"),
    "a row": (np.ones(5), "shape (5,)"),
    "None": (None, "shape ()"),
    "a string": ("x", "shape ()"),
    "a list": ([[1], [1, 2]], "cannot be read as an array"),
    "masked": (masked(pictures()[0]), "masked"),
    "NaN": (nan(NAN)[3], "NaN or infinite"),
    "levels": (255 * pictures()[0], "divide by 255"),
    "int64": (np.ones((4, 4), int), "dtype int64"),
    "no pixels": (np.ones((0, 4)), "empty"),
    "smaller than a tile": (pictures()[0][:1], "stride <= size <= picture"),
}
MAPS = np.ones((4, 2, 2))
NO_MAPS = {
    "too few": (MAPS[:3], "maps has 3 tiles; expected 4: 2 rows of 2"),
    "too many": (np.ones((5, 2, 2, 1)), "maps has 5 tiles; expected 4"),
    "one": (MAPS[0], "shape (2, 2)"),
    "None": (None, "shape ()"),
    "words": (np.full((4, 2, 2), "a"), "dtype <U1"),
    "bools": (MAPS > 0, "dtype bool"),
    "ragged": ([[1], [1, 2]], "cannot be read as an array"),
    "masked": (masked(MAPS), "mask"),
    "larger than the picture": (np.ones((1, 5, 4)), "stride <= size <= picture"),
}
NO_STRIDE = (0, -1, 1.5, "2", True, (2,), (2, 0), (2, 2, 2), {1, 2})


DATA: Cases = {
    **kinds("data set: normal", NO_CLASS, lambda v: split(normal=v), "normal is ", "expected"),
    **kinds("data set: anomaly", NO_CLASS, lambda v: split(anomaly=v), "anomaly is "),
    **each("load", "name", NO_NAMES, data.load, "mnist-5k"),
    "load: text": (lambda: data.load(files().text), ("text.npz", "cannot be read")),
    "data set: neither": (split, ("normal is None and anomaly is None", "[0, 1, 2]")),
    "data set: both": (
        lambda: split(normal=1, anomaly=[1, 2]),
        ("anomaly is [1, 2]", "normal is [1]", "[1] cannot be both"),
    ),
    "data set: all anomalous": (
        lambda: split(anomaly=[0, 1, 2]),
        ("normal is []", "expected one class or more of each"),
    ),
    "data set: all normal": (
        lambda: split(normal=[0, 1, 2]),
        ("anomaly is []", "expected one class or more of each"),
    ),
    "data set: shares of no image": (
        lambda: split(normal=1, calibration=0.001),
        ("the calibration part has no normal example", "expected more examples"),
    ),
    **{
        name: case
        for source in ("npz", "pictures")
        for argument in ("calibration", "validation", "test")
        for name, case in each(
            source,
            argument,
            NO_SHARE if (source, argument) != ("npz", "test") else (),
            lambda v, s=source, a=argument: split(
                getattr(files(), s), **{a: v} | ({"normal": 1} if s == "npz" else {})
            ),
            "between 0 and 1",
        ).items()
    },
    **each("split", "seed", (*NO_SEED, None), lambda v: split(normal=1, seed=v), "whole number"),
    **kinds("as_images", NO_IMAGES, data.as_images, "images ", "expected"),
    **kinds("read_images: paths", NO_PATHS, lambda make: data.read_images(make(files()))),
    **each(
        "read_images",
        "channels",
        (0, 2, 4, 1.5, "3", True, [1]),
        lambda v: data.read_images([files().picture], v),
    ),
    **each("read_images", "size", NO_SIZE, lambda v: data.read_images([files().picture], size=v)),
    **each(
        "read_images",
        "resize",
        ("squash", "", None, 3, ["pad"]),
        lambda v: data.read_images([files().picture], resize=v),
        "('stretch', 'crop', 'pad')",
    ),
    **each(
        "read_images",
        "background",
        NO_COLOUR,
        lambda v: data.read_images([files().picture], background=v),
        "a level in 0..1",
    ),
    **each("folder", "size", NO_SIZE, lambda v: pictures_of(size=v)),
    **each("folder", "channels", (0, 2, 4, "3", True), lambda v: pictures_of(channels=v)),
    **each("folder", "resize", ("squash", None), lambda v: pictures_of(resize=v)),
    **each("folder", "background", NO_COLOUR, lambda v: pictures_of(background=v)),
    **each("folder", "normal", NO_FOLDERS, lambda v: pictures_of(normal=v), "folder's name"),
    **each("folder", "anomaly", NO_FOLDERS, lambda v: pictures_of(anomaly=v)),
    **each("folder", "group", NO_GROUP, lambda v: pictures_of(group=v)),
    **kinds("folder: group", NO_GROUP_OF_A_FILE, lambda v: pictures_of(group=v), "00.png"),
    "folder: not there": (
        lambda: data.split(Path("nothing/here")),
        ("source is 'nothing/here', which is not there", "expected a DataFrame, an array, or"),
    ),
    "folder: both": (
        lambda: pictures_of(normal="a", anomaly=["b", "a"]),
        ("normal is ('a',)", "['a'] cannot be both"),
    ),
    **kinds("tiles", NO_TILES, lambda v: data.tiles(v, (2, 2)), "expected"),
    **each("tiles", "size", NO_SIZE, lambda v: data.tiles(np.ones((9, 9)), v, 1), "of at least 1"),
    **kinds(
        "tiles: stride",
        {repr(v): (v, "stride is ") for v in NO_STRIDE},
        lambda v: data.tiles(np.ones((9, 9)), (3, 3), v),
        "expected",
    ),
    "tiles: gaps": (
        lambda: data.tiles(np.ones((9, 9)), (3, 3), (3, 4)),
        ("stride is (3, 4)", "expected stride <= size"),
    ),
    **kinds("join_tiles", NO_MAPS, lambda v: data.join_tiles(v, (4, 4)), "expected"),
    **each("join_tiles", "shape", (*NO_SIZE[:4], "99", None), lambda v: data.join_tiles(MAPS, v)),
    **kinds(
        "join_tiles: stride",
        {repr(v): (v, "stride is ") for v in NO_STRIDE},
        lambda v: data.join_tiles(MAPS, (4, 4), v),
        "expected",
    ),
}


# Training


@functools.cache
def small() -> VAE:
    return VAE(**SIZES)


def train(x=None, model=None, optimizer=None, epochs=1) -> None:
    optimizer = keras.optimizers.SGD() if optimizer is None else optimizer
    x = dataset(pictures()) if x is None else x
    training.train_vae(small() if model is None else model, x, optimizer, epochs, verbose=0)


def step(x=None, model=None, optimizer=None) -> None:
    optimizer = keras.optimizers.SGD() if optimizer is None else optimizer
    x = pictures() if x is None else x
    training.train_step(small() if model is None else model, x, optimizer)


def resume(folder="backup", seed=0, stop=None) -> training.Resume:
    return training.Resume(files().folder / folder if folder == "backup" else folder, seed, stop)


NO_DATASETS = {
    "an array": (pictures, "ndarray"),
    "a list": (lambda: [pictures()], "list"),
    "a string": (lambda: "x", "str"),
    "a generator": (lambda: iter([pictures()]), "iterator"),
    "pairs": (lambda: dataset(pictures(), np.zeros(40)), "x alone"),
    "dicts": (lambda: dataset({"x": pictures()}), "x alone"),
    "unbatched": (lambda: tf.data.Dataset.from_tensor_slices(pictures()), "(4, 4, 1)"),
    "another size": (lambda: dataset(pictures(40, (5, 5, 1))), "(None, 5, 5, 1)"),
    "integers": (lambda: dataset(np.ones((40, 4, 4, 1), int)), "int64"),
    "NaN": (lambda: dataset(nan(NAN)), "NaN or infinite"),
    "above 1": (lambda: dataset(nan(1.5)), "values in"),
    "endless": (lambda: dataset(pictures()).repeat(), "for ever"),
    "no batch": (lambda: dataset(pictures()).take(0), "no batch"),
    "nothing left": (lambda: dataset(pictures()).filter(lambda x: False), "no batch"),
}
NO_VAES = {
    "a string": (lambda: "vae", "model is a str"),
    "Keras": (lambda: small().encoder, "model is a Functional"),
    "with labels": (lambda: ConditionalVAE(2, **SIZES), "model is a ConditionalVAE"),
    "a class": (lambda: VAE, "model is a type"),
}
NO_OPTIMIZER = ("adam", 3, keras.optimizers.Adam, 0.001)
NO_EXAMPLES = {
    "None": (None, "x is None"),
    "a string": ("x", "x is 'x'"),
    "a list": ([1.0], "x is [1.0]"),
    "empty": (pictures(0), "x is array([]"),
    "a scalar": (np.float32(1), "x is np.float32(1.0)"),
    "masked": (masked(pictures()), "x is masked_array("),
}
TRAINING: Cases = {
    **kinds("train_vae", NO_DATASETS, lambda make: train(make()), "dataset ", "expected"),
    **kinds("train_vae: model", NO_VAES, lambda make: train(model=make()), "expected a VAE"),
    **each("train_vae", "optimizer", NO_OPTIMIZER, lambda v: train(optimizer=v), "Adam()"),
    **each("train_vae", "epochs", NO_COUNT, lambda v: train(epochs=v), "whole number"),
    "train_step: a list": (lambda: step([1.0]), ("x is a list", "expected")),
    "train_step: NaN": (lambda: step(nan(NAN)), ("x contains NaN", "expected")),
    "train_step: another size": (lambda: step(pictures()[:, 0]), ("x has shape", "expected")),
    "train_step: a string as model": (lambda: step(model="a"), ("model is a str", "expected")),
    **each("train_step", "optimizer", NO_OPTIMIZER, lambda v: step(optimizer=v)),
    **each("KLWarmUp", "epochs", NO_COUNT, training.KLWarmUp, "whole number"),
    **each(
        "KLWarmUp",
        "beta",
        (-1, NAN, INF, "1", True, [1]),
        lambda v: training.KLWarmUp(2, v),
        "finite",
    ),
    **each("Resume", "seed", (*NO_SEED, None), lambda v: resume(seed=v), "whole number"),
    **each("Resume", "folder", (3, "", ["a"], b"a", None), resume, "a path"),
    **each(
        "Resume", "stop", ("loss", 3, training.Resume), lambda v: resume(stop=v), "EarlyStopping"
    ),
    "Resume: a file": (lambda: resume(Path(__file__)), ("folder is ", "expected a path")),
    **each(
        "batches",
        "batch_size",
        NO_COUNT,
        lambda v: resume().batches(pictures(), v),
        "whole number",
    ),
    **kinds("batches", NO_EXAMPLES, lambda x: resume().batches(x), "expected an array"),
}

# Figures and records

NO_PICTURES = {
    "None": (None, "shape ()"),
    "a string": ("x", "shape ()"),
    "empty": ([], "shape (0,)"),
    "one picture": (np.ones((4, 4)), "shape (4, 4)"),
    "two channels": (pictures(3, (4, 4, 2)), "shape (3, 4, 4, 2)"),
    "five channels": (pictures(3, (4, 4, 5)), "shape (3, 4, 4, 5)"),
    "a video": (pictures()[None], "shape (1, 40, 4, 4, 1)"),
    "words": (np.full((3, 4, 4), "a"), "dtype <U1"),
    "objects": (np.full((3, 4, 4), None), "dtype object"),
    "complex": (np.ones((3, 4, 4), "complex64"), "dtype complex64"),
    "dates": (np.zeros((3, 4, 4), "datetime64[s]"), "dtype datetime64[s]"),
    "two sizes": ([np.ones((4, 4)), np.ones((5, 5))], "images "),
    "no pixels": (np.ones((3, 0, 4)), "shape (3, 0, 4)"),
    "no channels": (np.ones((3, 4, 4, 0)), "shape (3, 4, 4, 0)"),
    "NaN": (nan(NAN), "contains NaN or infinite"),
    "infinity": (nan(INF), "contains NaN or infinite"),
    "masked": (masked(pictures()), "mask"),
    "ragged": ([[1.0], [1.0, 2.0]], "unequal rows"),
}
TO_DRAW = {
    "None": (None, "shape ()"),
    "too few": (VALUES[:3], "shape (3,)"),
    "none": (np.ones(0), "shape (0,)"),
    "a table": (np.ones((40, 2)), "shape (40, 2)"),
    "infinity": (np.full(40, INF), "NaN or infinite"),
    **{kind: NO_VALUES[kind] for kind in ("complex", "objects", "NaN", "masked")},
    "ragged": ([[1.0], [1.0, 2.0]], "scores "),
    "words": (np.array(["a"] * 40), "dtype <U1"),
}
WORDS = {
    "titles": (["a"], 3, "a", "abc", [], object),
    "colors": (["red"], 3, "red", ["red", "nonsense", "blue"]),
    "vmin": ("a", NAN, [1], 1.0),
    "vmax": ("a", NAN, INF, [1], None, 0.0),
}
NO_NAME = ("nonsense", None, 3, "", [], ["latent"], "../published")
FIGURES: Cases = {
    **kinds("image_grid", NO_PICTURES, plots.image_grid, "images ", "expected"),
    **each("image_grid", "columns", NO_COUNT, lambda v: plots.image_grid(pictures(3), v)),
    **{
        f"image_grid: {name} {value!r}": (
            functools.partial(plots.image_grid, pictures(3), **{"titles": ["a"] * 3, name: value}),
            (f"{name} ", "expected"),
        )
        for name, values in WORDS.items()
        for value in values
    },
    **kinds(
        "score_histogram: scores",
        TO_DRAW,
        lambda v: plots.score_histogram(v, FLAGS),
        "scores ",
        "expected",
    ),
    **kinds(
        "score_histogram: is_anomaly",
        {**NO_FLAGS, "None": (None, "shape ()"), "ragged": ([[True], [True, False]], "")},
        lambda v: plots.score_histogram(VALUES, v),
        "is_anomaly ",
        "expected",
    ),
    **each(
        "score_histogram",
        "threshold",
        (NAN, INF, "a", [1.0, 2.0], np.array([1.0, 2.0]), True),
        lambda v: plots.score_histogram(VALUES, FLAGS, v),
    ),
    **each(
        "score_histogram",
        "bins",
        NO_COUNT,
        lambda v: plots.score_histogram(VALUES, FLAGS, bins=v),
    ),
    **each("vae_diagram", "gradient", (3, 0, 1, "yes", None, [True], NAN), plots.vae_diagram),
    **each("show", "figure", NO_NAME, live.show, "one of"),
    **kinds(
        "LiveFigure", {repr(v): (v, repr(v)) for v in NO_NAME}, live.LiveFigure, "expected one of"
    ),
    **each("measured", "name", NO_NAME, records.measured, "one of"),
}
ALL = {**THRESHOLDS, **DATA, **TRAINING, **FIGURES}


@pytest.mark.parametrize("name", ALL)
def test_is_told(complains, name):
    call, words = ALL[name]
    complains(call, *words)


@pytest.mark.parametrize("act", [data.load, data.split], ids=["load", "split"])
def test_a_data_set_that_is_not_there(act):
    with pytest.raises((ValueError, FileNotFoundError), match=r"nothing\.npz"):
        act(files().folder / "nothing.npz")
