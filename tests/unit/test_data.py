"""Data sets: their form, their split by class, and what bad input is told."""

from __future__ import annotations

import hashlib

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_lib import data
from vae_lib.data import sources

PARTS = ("train", "calibration", "validation", "test")


@pytest.fixture(scope="module")
def mnist() -> data.Dataset:
    return data.load("mnist-5k")


def parts_of(split: data.Split) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The images and the original classes of the four parts."""
    parts = (split.train, split.train_classes), (split.calibration, split.calibration_classes)
    return dict(zip(PARTS, (*parts, *((p.items, p.classes) for p in split[2:4])), strict=True))


def keys(images: np.ndarray) -> list[bytes]:
    """What identifies each image: its pixels."""
    return [image.tobytes() for image in images]


def checksum(images: np.ndarray, classes: np.ndarray) -> str:
    """Of the grey levels and the classes, whatever the machine's integers look like."""
    levels = np.rint(images * 255).astype("uint8")
    return hashlib.sha256(levels.tobytes() + classes.astype("uint8").tobytes()).hexdigest()[:16]


# Loading


def test_mnist_5k_has_the_library_s_form(mnist):
    for x, y, n in ((mnist.x_train, mnist.y_train, 400), (mnist.x_test, mnist.y_test, 100)):
        assert x.shape == (10 * n, 28, 28, 1) and x.dtype == np.float32
        assert x.min() == 0 and x.max() == 1
        assert np.bincount(y).tolist() == [n] * 10
    # no image is there twice: what the tests of disjoint parts stand on
    assert len(set(keys(mnist.x_train)) | set(keys(mnist.x_test))) == 5000


def test_mnist_5k_is_the_same_everywhere(mnist):
    assert checksum(mnist.x_train, mnist.y_train) == "3976b1f109d3815e"
    assert checksum(mnist.x_test, mnist.y_test) == "17105f6f8fefd76c"


def test_editing_a_loaded_array_does_not_reach_later_loads(mnist):
    edited = data.load("mnist-5k")
    for array in edited:
        array[:] = 7
    for array, again in zip(mnist, data.load("mnist-5k"), strict=True):
        np.testing.assert_array_equal(again, array)


@pytest.fixture
def npz(tmp_path):
    """Write a small data set as an .npz file; None leaves an array out."""
    levels = np.arange(6 * 15, dtype="uint8").reshape(6, 3, 5)
    arrays = {
        "x_train": levels[:4],
        "y_train": np.array([0, 1, 0, 1]),
        "x_test": levels[4:],
        "y_test": np.array([1, 0]),
    }

    def write(**changes):
        path = tmp_path / "small.npz"
        kept = {key: value for key, value in {**arrays, **changes}.items() if value is not None}
        np.savez(path, **kept)
        return path

    write.arrays = arrays
    return write


@pytest.mark.parametrize("as_type", [str, lambda path: path], ids=["str", "Path"])
def test_an_npz_of_levels_is_scaled_and_gets_a_channel(npz, as_type):
    loaded = data.load(as_type(npz()))
    assert loaded.x_train.shape == (4, 3, 5, 1)
    assert loaded.x_train.dtype == np.float32
    np.testing.assert_allclose(loaded.x_train[..., 0] * 255, npz.arrays["x_train"], rtol=1e-6)
    np.testing.assert_array_equal(loaded.y_test, [1, 0])


def test_an_npz_of_floats_with_channels_is_taken_as_it_is(npz):
    x = np.linspace(0, 1, 2 * 3 * 4 * 3).reshape(2, 3, 4, 3)
    loaded = data.load(npz(x_train=x, y_train=[0, 1], x_test=x[:1], y_test=[1]))
    assert loaded.x_train.dtype == np.float32
    np.testing.assert_array_equal(loaded.x_train, x.astype("float32"))


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
def test_classes_in_a_column_are_flattened(npz, dtype):
    loaded = data.load(npz(y_train=np.array([[0], [1], [0], [1]], dtype)))
    assert loaded.y_train.shape == (4,)
    assert loaded.y_train.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_full_sets_come_from_keras(monkeypatch, name):
    x, y = np.full((3, 28, 28), 255, "uint8"), np.array([4, 5, 6], "uint8")
    module = getattr(keras.datasets, name.replace("-", "_"))
    monkeypatch.setattr(module, "load_data", lambda: ((x, y), (x[:2], y[:2])))
    loaded = data.load(name)
    assert loaded.x_train.shape == (3, 28, 28, 1)
    assert loaded.x_test.max() == 1
    assert loaded.y_test.tolist() == [4, 5]


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_a_failed_download_says_what_to_do_instead(monkeypatch, complains, name):
    def no_network():
        raise Exception("URL fetch failure on https://example.org/x.npz: None -- unreachable")

    module = getattr(keras.datasets, name.replace("-", "_"))
    monkeypatch.setattr(module, "load_data", no_network)
    words = ("name is", repr(name), "URL fetch failure", "mnist-5k", ".npz", *data.ARRAYS)
    complains(lambda: data.load(name), *words)


@pytest.mark.parametrize(
    ("dtype", "top"), [("uint8", 255), ("uint16", 65535), (">u2", 65535), ("bool", 1)]
)
def test_levels_become_0_to_1(dtype, top):
    levels = np.array([0, 1, top // 2, top]).astype(dtype)
    made = data.as_images(levels.reshape(1, 2, 2))
    assert made.dtype == np.float32
    np.testing.assert_allclose(made.ravel(), levels.astype(float) / top, rtol=1e-6)


def test_a_list_of_images_is_a_stack_of_them():
    made = data.as_images([np.zeros((3, 5), "uint8"), np.full((3, 5), 255, "uint8")])
    assert made.shape == (2, 3, 5, 1)
    assert made.mean(axis=(1, 2, 3)).tolist() == [0, 1]


def test_as_images_does_not_share_memory_with_its_argument():
    given_images = np.full((2, 3, 4, 1), 0.5, "float32")
    data.as_images(given_images)[:] = 0
    assert (given_images == 0.5).all()


# Splits of mnist-5k

SPLITS = {
    "normal": lambda **more: data.split("mnist-5k", normal=3, **more),
    "anomaly": lambda **more: data.split("mnist-5k", anomaly=3, **more),
}


@pytest.mark.parametrize(
    ("side", "sizes"), [("normal", [240, 100, 600, 1000]), ("anomaly", [2160, 900, 600, 1000])]
)
def test_every_image_lies_in_one_part_with_its_class_and_label(side, sizes, mnist):
    split = SPLITS[side]()
    parts = parts_of(split)
    train = dict(zip(keys(mnist.x_train), mnist.y_train, strict=True))
    test = dict(zip(keys(mnist.x_test), mnist.y_test, strict=True))
    for name, (images, classes) in parts.items():
        source = test if name == "test" else train  # a KeyError is an image from elsewhere
        assert [source[key] for key in keys(images)] == classes.tolist()
    assert [len(images) for images, _ in parts.values()] == sizes
    assert len({key for images, _ in parts.values() for key in keys(images)}) == sum(sizes)
    for part in split[2:4]:
        assert part.is_anomaly.dtype == bool
        np.testing.assert_array_equal(part.is_anomaly, (part.classes == 3) == (side == "anomaly"))
    normal = {3} if side == "normal" else set(range(10)) - {3}
    assert set(split.train_classes.tolist()) == set(split.calibration_classes.tolist()) == normal
    assert split.validation.is_anomaly.sum() == (540 if side == "normal" else 60)


@pytest.mark.parametrize("side", SPLITS)
def test_another_seed_cuts_the_training_set_anew_and_leaves_the_test_part(side):
    one, two = SPLITS[side](seed=0), SPLITS[side](seed=1)
    for name in ("train", "calibration", "validation"):
        assert set(keys(parts_of(one)[name][0])) != set(keys(parts_of(two)[name][0]))
    np.testing.assert_array_equal(one.test.items, two.test.items)
    np.testing.assert_array_equal(one.test.is_anomaly, two.test.is_anomaly)


# The book's numbers stand on these draws
DRAWS = [
    ({"normal": 3}, "1ef5df786f17d5e3 d5df257a901937dd cbc8b7dc7cd4052b 17105f6f8fefd76c"),
    (
        {"normal": 8, "seed": 2},
        "0e1c2b4e546e2bfe 536a78dda4dca8ae 699046b5497131d3 17105f6f8fefd76c",
    ),
    (
        {"normal": 8, "calibration": 0.4},
        "9202aebde8cafd69 2f39e6c5d4d9e315 7062029795e98813 17105f6f8fefd76c",
    ),
    (
        {"normal": [1, 2], "anomaly": [7, 9]},
        "6348eb6287ffccc4 b0e2f84c88840a4d 90a5d1ba921eecb1 0237effd5abbaec9",
    ),
    ({"anomaly": 3}, "79b5500cc93c5b57 49e285c9402c65d1 a7dd9b0108400dba 17105f6f8fefd76c"),
    ({"anomaly": 1}, "8a91516ed397ad47 87315e4f0295275c cdb2de2c737468c8 17105f6f8fefd76c"),
    (
        {"normal": (1, 2), "anomaly": 3, "calibration": 0.4},
        "7467895654fd53d8 e0fc6e64687e5e36 6a709e6863526f7e dddedd52f3e47459",
    ),
]


@pytest.mark.parametrize(("arguments", "hashes"), DRAWS, ids=[str(draw[0]) for draw in DRAWS])
def test_splits_are_the_same_everywhere(arguments, hashes):
    split = data.split("mnist-5k", **arguments)
    assert " ".join(checksum(*part) for part in parts_of(split).values()) == hashes


def test_the_global_numpy_seed_plays_no_part_and_is_left_alone():
    np.random.seed(1)
    one, after = SPLITS["normal"](), np.random.rand()
    np.random.seed(1)
    assert np.random.rand() == after
    np.testing.assert_array_equal(SPLITS["normal"]().train, one.train)


def test_parts_are_shuffled_not_sorted_by_class():
    split = SPLITS["anomaly"]()
    for classes in (split.train_classes, split.calibration_classes, split.validation.classes):
        assert (np.diff(classes) < 0).sum() > 100


# Which classes


def test_lists_of_classes_leave_the_others_out():
    split = data.split("mnist-5k", normal=[1, 2], anomaly=[7, 9])
    assert set(split.train_classes.tolist()) == {1, 2}
    for part in (split.validation, split.test):
        assert set(part.classes.tolist()) == {1, 2, 7, 9}
        np.testing.assert_array_equal(part.is_anomaly, np.isin(part.classes, [7, 9]))


@pytest.mark.parametrize("three", [np.int64(3), np.uint8(3), [3], (3,), np.array([3]), [3, 3]])
def test_a_class_may_be_written_in_many_ways(three):
    split = data.split("mnist-5k", normal=three)
    assert sorted(keys(split.train)) == sorted(keys(SPLITS["normal"]().train))
    np.testing.assert_array_equal(split.test.is_anomaly, split.test.classes != 3)


def test_the_order_of_the_classes_does_not_matter():
    one = data.split("mnist-5k", normal=[3, 5], anomaly=[1, 0])
    two = data.split("mnist-5k", normal=[5, 3], anomaly=[0, 1])
    for name in PARTS:
        np.testing.assert_array_equal(parts_of(one)[name][0], parts_of(two)[name][0])


# Data whose anomalies are in the test part only, or nowhere


@pytest.fixture
def only_tested(npz):
    """A file with 40 normal training images, and the classes 0, 0, 1, 2 in its test set."""
    return npz(**many([40]), x_test=np.ones((4, 3, 5), bool), y_test=np.array([0, 0, 1, 2]))


@pytest.mark.parametrize(
    ("arguments", "tested"),
    [
        ({"normal": 0}, [0, 0, 1, 2]),
        ({"normal": 0, "anomaly": 2}, [0, 0, 2]),
        ({"anomaly": [1, 2]}, [0, 0, 1, 2]),
        ({"anomaly": 1}, [0, 0, 1]),  # 2 is neither
        ({}, [0, 0, 1, 2]),
    ],
)
@pytest.mark.filterwarnings("error")
def test_anomalies_of_the_test_part_alone(only_tested, arguments, tested):
    split = data.split(only_tested, **arguments)
    assert [len(part) for part, _ in parts_of(split).values()] == [24, 10, 6, len(tested)]
    assert not split.validation.is_anomaly.any()
    assert split.test.classes.tolist() == tested
    np.testing.assert_array_equal(split.test.is_anomaly, split.test.classes > 0)


def test_an_anomaly_that_was_never_trained_on_beside_one_that_was(npz):
    path = npz(**many([40, 40]), x_test=np.ones((3, 3, 5), bool), y_test=np.arange(3))
    split = data.split(path, normal=0)
    assert set(split.validation.classes.tolist()) == {0, 1}
    assert split.test.is_anomaly.tolist() == [False, True, True]


@pytest.mark.parametrize("arguments", [{}, {"normal": 0}])
@pytest.mark.filterwarnings("error")
def test_data_of_one_class_have_normal_images_alone(npz, arguments):
    split = data.split(npz(**many([40]), y_test=np.array([0, 0])), **arguments)
    assert [len(part) for part, _ in parts_of(split).values()] == [24, 10, 6, 2]
    assert not (split.validation.is_anomaly.any() or split.test.is_anomaly.any())


@pytest.mark.parametrize("normal", [1, [0, 1], [0, 7]])
def test_a_normal_class_must_be_in_the_training_part(complains, only_tested, normal):
    call = lambda: data.split(only_tested, normal=normal)  # noqa: E731
    complains(call, f"normal is {normal}", "expected one or more of the training classes [0]")


@pytest.mark.parametrize("anomaly", [3, [1, 3]])
def test_an_anomaly_must_be_somewhere(complains, only_tested, anomaly):
    call = lambda: data.split(only_tested, normal=0, anomaly=anomaly)  # noqa: E731
    complains(call, f"anomaly is {anomaly}", "expected one or more of the classes [0, 1, 2]")


# Properties of the split, on made data sets


@st.composite
def protocols(draw):
    """A data set of unequal classes, each image unlike any other, and arguments for a split."""
    sizes = draw(st.lists(st.integers(12, 40), min_size=2, max_size=4))
    y = draw(st.permutations([c for c, size in enumerate(sizes) for _ in range(size)]))
    x = np.arange(len(y) + 8).reshape(-1, 1, 1, 1) / 1000
    made = data.Dataset(x[:-8], np.array(y), x[-8:], np.arange(8) % len(sizes))
    anomaly = draw(st.sets(st.sampled_from(range(len(sizes))), min_size=1, max_size=len(sizes) - 1))
    shares = {
        "calibration": draw(st.floats(0.1, 0.45)),
        "validation": draw(st.floats(0.1, 0.45)),
        "seed": draw(st.integers(0, 2**32 - 1)),
    }
    return made, sorted(anomaly), shares


@given(protocols())
def test_any_split_is_exact(case):
    made, anomaly, arguments = case
    normal = sorted(set(made.y_test.tolist()) - set(anomaly))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "load", lambda name: made)
        split = data.split("mnist", anomaly=anomaly, **arguments)

    ids = {name: np.rint(part * 1000).ravel() for name, (part, _) in parts_of(split).items()}
    normals = np.flatnonzero(np.isin(made.y_train, normal))
    used = np.concatenate([ids[name] for name in ("train", "calibration", "validation")])
    assert len(set(used)) == len(used)
    assert set(normals) <= set(used)  # every normal training image is somewhere
    assert np.isin(split.train_classes, normal).all()
    assert np.isin(split.calibration_classes, normal).all()
    np.testing.assert_array_equal(
        split.validation.is_anomaly, np.isin(split.validation.classes, anomaly)
    )
    for name, (_, classes) in parts_of(split).items():
        source = np.concatenate([made.y_train, made.y_test])
        np.testing.assert_array_equal(source[ids[name].astype(int)], classes)
    for c in range(len(set(made.y_test))):  # shares hold class by class, to the nearest image
        size = (made.y_train == c).sum()
        assert abs((split.validation.classes == c).sum() - arguments["validation"] * size) <= 0.5
        calibration = arguments["calibration"] * size if c in normal else 0
        assert abs((split.calibration_classes == c).sum() - calibration) <= 0.5


# Bad input


def many(counts: list[int]) -> dict[str, np.ndarray]:
    """Training arrays for an .npz file with so many images of each class."""
    y = np.repeat(np.arange(len(counts)), counts)
    return {"x_train": np.zeros((len(y), 3, 5), "uint8"), "y_train": y}


def test_shares_hold_whatever_the_test_share(npz):
    path = npz(**many([80, 80]), y_test=[0, 1])
    one, two = (data.split(path, normal=0, calibration=0.6, test=test) for test in (0.2, 0.9))
    for (_, a), (_, b) in zip(parts_of(one).values(), parts_of(two).values(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_seed_may_be_numpy_s(npz):
    path = npz(**many([40, 40]), y_test=[0, 1])
    splits = [data.split(path, normal=0, seed=s) for s in (7, np.int64(7), np.uint32(7))]
    for split in splits[1:]:
        np.testing.assert_array_equal(split.validation.classes, splits[0].validation.classes)


@pytest.mark.parametrize(
    ("counts", "shares", "part"),
    [
        ([4, 40], {"calibration": 0.1, "validation": 0.3}, "calibration"),
        ([4, 40], {"calibration": 0.7, "validation": 0.2}, "train"),
    ],
)
def test_a_detector_s_own_part_that_would_be_empty(complains, npz, counts, shares, part):
    path, words = npz(**many(counts)), (f"the {part} part has no normal", "expected more")
    complains(lambda: data.split(path, normal=0, **shares), *words)


@pytest.mark.parametrize(
    ("counts", "y_test", "message"),
    [
        ([2, 80], [0, 1], "validation part has no normal example"),
        ([80, 2], [0, 1], "validation part has no anomalous example"),
        ([40, 40], [0, 0], "test part has no anomalous example"),
        ([40, 40], [1, 1], "test part has no normal example"),
        ([40, 40], [7, 8], "test part has no normal example"),
    ],
)
def test_a_part_to_judge_by_with_one_side_is_a_warning(npz, counts, y_test, message):
    path = npz(**many(counts), y_test=np.array(y_test))
    shares = {"calibration": 0.5, "validation": 0.2}
    with pytest.warns(UserWarning, match=f"{message}: `evaluate`") as caught:
        split = data.split(path, normal=0, **shares)
    assert caught[0].filename == __file__
    part = getattr(split, message.split()[0])
    assert part.is_anomaly.all() if "no normal" in message else not part.is_anomaly.any()


def test_sides_must_be_named(complains, npz):
    words = "normal is None and anomaly is None", "expected the classes that are normal", "[0, 1]"
    complains(lambda: data.split(npz()), *words)


GREY = np.full((2, 3, 5, 1), 0.5)


def test_no_message_advises_the_function_that_was_just_called():
    with pytest.raises(ValueError) as caught:
        data.as_images(np.zeros((2, 3, 5), int))
    assert "as_images" not in str(caught.value)


def test_levels_are_divided_by_255_only_where_that_may_help():
    with pytest.raises(ValueError) as caught:
        data.as_images(GREY - 0.6)
    assert "255" not in str(caught.value)


@pytest.mark.parametrize("missing", data.ARRAYS)
def test_an_npz_that_lacks_an_array(complains, npz, missing):
    path = npz(**{missing: None})
    complains(lambda: data.load(path), "name is", path, f"{missing} is not", *data.ARRAYS)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"y_train": np.arange(3)}, ["y_train has shape (3,)", "expected 4 integers"]),
        ({"y_test": np.arange(4)}, ["y_test has shape (4,)", "expected 2 integers"]),
        ({"y_test": np.zeros((2, 2), int)}, ["y_test has shape (2, 2)", "expected 2 integers"]),
        ({"y_test": np.zeros((1, 2), int)}, ["y_test has shape (1, 2)", "expected 2 integers"]),
        ({"y_test": np.zeros(2)}, ["y_test", "float64", "expected 2 integers"]),
        ({"y_test": np.array(["a", "b"])}, ["y_test", "dtype <U1", "expected 2 integers"]),
        (
            {"x_test": np.zeros((1, 3, 5)), "y_test": np.int64(1)},
            ["y_test has shape ()", "expected 1 integers"],
        ),
        ({"x_test": np.zeros((2, 6, 6))}, ["x_test", "(6, 6, 1)", "expected", "(3, 5, 1)"]),
        ({"x_train": np.float64(1)}, ["x_train has shape ()", "expected (n, height"]),
        ({"x_test": np.full((2, 3, 5), 255.0)}, ["x_test has values in 255", "expected 0..1"]),
        ({"x_test": np.array([None, 1])}, ["name is", "cannot be read", "expected an .npz"]),
        ({"y_test": np.array([0, None])}, ["name is", "cannot be read", "expected an .npz"]),
    ],
)
def test_an_npz_with_wrong_arrays(complains, npz, changes, words):
    path = npz(**changes)
    complains(lambda: data.load(path), *words)


def saved(path, array: np.ndarray) -> None:
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=True)


SPOILT = {
    "text": lambda path, whole: path.write_text("x_train: none"),
    "empty": lambda path, whole: path.write_bytes(b""),
    "cut off": lambda path, whole: path.write_bytes(whole[: len(whole) // 2]),
    "another pixel": lambda path, whole: path.write_bytes(
        whole.replace(bytes(range(12)), bytes(range(11)) + b"?")
    ),
    "an array": lambda path, whole: saved(path, np.zeros(3)),
    "a pickle": lambda path, whole: saved(path, np.array([{}])),
    "missing": lambda path, whole: path.unlink(),
    "a folder": lambda path, whole: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_file_that_is_no_npz(complains, npz, name):
    path = npz()
    SPOILT[name](path, path.read_bytes())
    complains(lambda: data.load(path), "name is", path, "expected an .npz file", "cannot be read")
