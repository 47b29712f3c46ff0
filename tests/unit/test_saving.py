"""The detector's file: whole or not at all, refused where anything in it is wrong, never code."""

from __future__ import annotations

import gc
import io
import json
import os
import stat
import subprocess
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest

from vae_lib import VAE, AnomalyDetector, ConditionalVAE, Gaussian, MixtureVAE, saving, scores

SMALL = {"data_shape": (4, 4, 1), "network": "dense", "hidden": (6,)}
IMAGES = np.random.RandomState(0).rand(60, 4, 4, 1).astype("float32")
LABELS = np.arange(60) % 2


@pytest.fixture(scope="module")
def detector() -> AnomalyDetector:
    keras.utils.set_random_seed(0)
    return AnomalyDetector(VAE(2, **SMALL), "fusion").calibrate(IMAGES, 0.1)


@pytest.fixture
def path(detector, tmp_path) -> Path:
    detector.save(tmp_path / "it.detector")
    return tmp_path / "it.detector"


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def seal(path: Path, parts: dict[str, bytes], compression=zipfile.ZIP_STORED) -> None:
    """Write the parts with a checksum that is right: the attacker knows how."""
    parts = {name: part for name, part in parts.items() if name != saving.CHECKSUM}
    parts[saving.CHECKSUM] = saving._digest(parts).encode()
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, part in parts.items():
            file.writestr(name, part)


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def refused(path: Path, complains, *words: str, model=None) -> None:
    complains(lambda: AnomalyDetector.load(path, model), str(path), "expected a file that", *words)


# What is not a detector


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file(path, complains, share):
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    refused(path, complains)


def test_flipped_bits(path, detector, complains):
    content = path.read_bytes()
    for place in np.random.RandomState(0).randint(0, len(content), 40):
        path.write_bytes(content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :])
        try:
            loaded = AnomalyDetector.load(path)
        except ValueError:
            continue  # most places; the others are dates and attributes of the zip
        np.testing.assert_array_equal(loaded.score(IMAGES), detector.score(IMAGES))


def test_other_files(tmp_path, complains):
    path = tmp_path / "it"
    path.write_text("no detector")
    refused(path, complains, "not a zip file")
    np.savez(path.with_suffix(".npz"), a=1)
    refused(path.with_suffix(".npz"), complains, "no state.json")
    VAE(2, **SMALL).save(tmp_path / "it.keras")
    refused(tmp_path / "it.keras", complains, "no state.json")
    refused(tmp_path, complains, "it is a folder")
    with pytest.raises(FileNotFoundError):
        AnomalyDetector.load(tmp_path / "nothing")


def attack(path: Path) -> bytes:
    """A .keras file with a Lambda that downloads when it is called: Keras's safe mode lets it."""
    layer = keras.layers.Lambda(keras.ops.abs, output_shape=(3,))
    keras.Sequential([keras.Input((3,)), layer]).save(path)
    parts = members(path)
    config = json.loads(parts["config.json"])
    download = {"module": "keras.datasets.mnist", "class_name": "function", "config": "load_data"}
    for one in config["config"]["layers"]:
        if one["class_name"] == "Lambda":
            one["config"]["function"] = {**download, "registered_name": "load_data"}
    seal(path, parts | {"config.json": json.dumps(config).encode()})
    return path.read_bytes()


def test_a_keras_file_inside_is_never_opened(path, complains, tmp_path, monkeypatch):
    seal(path, members(path) | {"model0.keras": attack(tmp_path / "attack.keras")})
    for name in ("load_model", "deserialize_keras_object"):
        monkeypatch.setattr(keras.saving, name, lambda *_, **__: pytest.fail("it was opened"))
    refused(path, complains, "model0.keras")


def test_a_file_of_an_earlier_version_says_what_to_do(path, complains):
    seal(path, {"detector.json": b'{"format": 2}'})
    refused(path, complains, "earlier version", "calibrate and save the detector again")


WATCH = """
import sys
from vae_lib import AnomalyDetector
AnomalyDetector.load(sys.argv[1])  # the first time imports what TensorFlow imports late
seen = []
watched = ("open", "exec", "socket.", "subprocess.", "os.system", "pickle.", "import")
def watch(event, arguments):
    if event.startswith(watched):
        seen.append((event, str(arguments[0])[:60] if arguments else ""))
sys.addaudithook(watch)
AnomalyDetector.load(sys.argv[1])
print(*sorted(set(seen)), sep="\\n")
"""


def test_loading_opens_the_file_and_nothing_else(path):
    words = [sys.executable, "-c", WATCH, str(path)]
    found = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
    # AutoGraph makes graphs of functions by compiling a file of its own: code of this library
    own = ("__autograph_generated_file", "vae_lib", "site-packages", "<string>", "python3")
    odd = [line for line in found if not any(word in line for word in own)]
    assert odd and all(str(path)[:60] in line for line in odd), odd


# What is whole, and wrong


def changed(part, keys: list[str], value):
    """A part of a description with another value under these keys; of a function what it gives."""
    if not keys:
        return value(part) if callable(value) else value
    if isinstance(part, list):
        return [changed(part[0], keys[1:], value), *part[1:]]
    return {**part, keys[0]: changed(part.get(keys[0]), keys[1:], value)}


def without(name: str):
    return lambda part: {key: value for key, value in part.items() if key != name}


def twice(part: list) -> list:
    return part * 2


def of_score(name: str, **arguments) -> dict:
    return {"name": name, "arguments": arguments}


def gaussian(sigma, min_sigma: float) -> dict:
    return {"kind": "Gaussian", "sigma": sigma, "min_sigma": min_sigma}


def named_own(part: dict) -> dict:
    return {"own": "VAE", "weights": part["weights"]}


MODEL, SCORES = "AnomalyDetector/models/0/weights", "AnomalyDetector/calibration/scores"
CLASSES, LEARNED = "AnomalyDetector/calibration/classes", "AnomalyDetector/learned/0"
NAN, INF = float("nan"), float("inf")
PARTS = ("models", "members", "score", "fits_score", "by_class", "learned", "inputs", "recipe")
WRONG = {  # by place in the description
    "": [lambda whole: [whole], lambda whole: {**whole, "more": 1}],
    "format": [4, 0, -1, "3"],
    "kind": ["Stream"],
    "state": [lambda state: {**state, "more": 1}, *map(without, PARTS)],
    "state/models": [[], twice, "VAE"],
    "state/members": [1.5, 2],
    "state/calibration": [without(n) for n in ("threshold", "false_alarm_rate", "method")],
    "state/calibration/threshold": [[NAN], [INF], [9.0], twice, [], 1.0, ["1"]],
    "state/calibration/false_alarm_rate": [7, 0, 0.3, None, 1e-9],
    "state/calibration/method": ["magic", "quantile"],
    "state/calibration/scores": [1.0],
    "state/calibration/classes": [{"array": SCORES}],  # which serves twice
    "state/score": [
        *(None, {"arguments": {}}, of_score("magic"), of_score("relative")),
        *(of_score("fusion", more=1), of_score("fusion", parts="kl")),
        *(of_score("fusion", parts=["local", "kl"]), of_score("bound", draws=10**9)),
        of_score("local", size=10**9),
    ],
    "state/fits_score": [None],
    "state/learned": [[], twice],
    "state/inputs": [{"names": ["a"], "encoder": None}],
    "state/usual": [1.0],
    "state/recipe": [{}],
    "state/models/0": [
        *(named_own, lambda model: {**model, "kind": "MixtureVAE", "components": 3}),
        lambda model: {**model, "encoder": {"class_name": "Lambda"}},
    ],
    "state/models/0/kind": ["Lambda", "ConditionalVAE"],
    "state/models/0/components": [3],
    "state/models/0/latent_dim": [0, 3, 2**24, 2**60, True],
    "state/models/0/hidden": [[2**24, 2**24, 2**24], [1] * 100, ["6"], [7]],
    "state/models/0/data_shape": [[2**24, 2**24, 3], [], [4, 5, 1], [16]],
    "state/models/0/network": ["keras.layers.Lambda", "conv"],
    "state/models/0/beta": [-1, NAN],
    "state/models/0/seed": [-1],
    "state/models/0/dtype": ["bfloat16", "float64"],
    "state/models/0/weights": [[1.0]],
    "state/models/0/likelihood": [
        *({"kind": "Lambda"}, "bernoulli", gaussian(0, 0.01), gaussian("learned", 0.1)),
        gaussian(1.0, 2),
    ],
}


@pytest.mark.parametrize(
    ("place", "value"), [(place, value) for place, values in WRONG.items() for value in values]
)
def test_a_wrong_description(path, complains, place, value):
    parts = members(path)
    wrong = changed(json.loads(parts["state.json"]), place.split("/") if place else [], value)
    seal(path, parts | {"state.json": json.dumps(wrong).encode()})
    refused(path, complains)


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ("format", 4, ["format 4", "install a newer vae_lib"]),
        ("calibration/threshold", [9.0], ["its threshold is [9.0], by its scores"]),
        ("calibration/threshold", [NAN], ["its state has NaN"]),
        ("calibration/false_alarm_rate", 7, ["wrong at calibration/false_alarm_rate"]),
        ("models/0/latent_dim", 2**24, ["its weights have", "its sizes need"]),
        ("models/0/hidden", [7], ["arrays of weights", "the first that differ"]),
        ("score", of_score("magic"), ["its score is 'magic'", "define its class first"]),
        ("models/0", named_own, ["its VAE has parts of your own", "pass it to load as `model`"]),
    ],
)
def test_what_a_message_says(path, complains, place, value, words):
    parts = members(path)
    keys = place.split("/") if place == "format" else ["state", *place.split("/")]
    wrong = changed(json.loads(parts["state.json"]), keys, value)
    seal(path, parts | {"state.json": json.dumps(wrong).encode()})
    refused(path, complains, *words)


def pickled() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([print], object), allow_pickle=True)
    return buffer.getvalue()


def claims(shape: tuple[int, ...]) -> bytes:
    """A header that promises more numbers than there are."""
    buffer = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue() + bytes(16)


ARRAYS = {
    "scores pickled": (SCORES, pickled),
    "weights pickled": (f"{MODEL}/1", pickled),
    "weights huge": (f"{MODEL}/1", lambda: claims((2**20, 2**20))),
    "weights negative": (f"{MODEL}/1", lambda: claims((-1, 4))),
    "weights of another shape": (f"{MODEL}/1", lambda: npy(np.zeros((16, 7), "float32"))),
    "weights of another type": (f"{MODEL}/1", lambda: npy(np.zeros((16, 6), "float64"))),
    "weights nan": (f"{MODEL}/1", lambda: npy(np.full((16, 6), np.nan, "float32"))),
    "weights text": (f"{MODEL}/1", lambda: npy(np.full((16, 6), "a"))),
    "weights complex": (f"{MODEL}/1", lambda: npy(np.zeros((16, 6), "complex64"))),
    "weights records": (f"{MODEL}/1", lambda: npy(np.zeros(3, [("a", "f4")]))),
    "no array": (f"{MODEL}/1", lambda: b"text"),
    "nothing": (f"{MODEL}/1", lambda: b""),
    "scores empty": (SCORES, lambda: npy(np.zeros(0))),
    "scores nan": (SCORES, lambda: npy(np.full(30, np.nan))),
    "scores in rows": (SCORES, lambda: npy(np.zeros((30, 2)))),
    "scores fewer": (SCORES, lambda: npy(np.zeros(7))),
    "classes of others": (CLASSES, lambda: npy(np.full(30, 3))),
    "classes negative": (CLASSES, lambda: npy(np.full(30, -1))),
    "classes as floats": (CLASSES, lambda: npy(np.zeros(30))),
    "location nan": (f"{LEARNED}/location", lambda: npy(np.full(2, np.nan))),
    "location of another shape": (f"{LEARNED}/location", lambda: npy(np.ones(3, "float32"))),
    "references of another shape": (
        f"{LEARNED}/neighbours.references",
        lambda: npy(np.ones((9, 2))),
    ),
    "something more": ("more", lambda: npy(np.ones(1))),
    "one more score": ("AnomalyDetector/learned/1/scale", lambda: npy(np.ones(2))),
    "one more weight": (f"{MODEL}/99", lambda: npy(np.ones(2, "float32"))),
    "a path": ("../../etc/passwd", lambda: npy(np.ones(1))),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_a_wrong_array(path, complains, name):
    place, make = ARRAYS[name]
    seal(path, members(path) | {f"{place}.npy": make()})
    refused(path, complains)


@pytest.mark.parametrize("place", [f"{MODEL}/0", SCORES, f"{LEARNED}/location"])
def test_a_missing_array(path, complains, place):
    parts = members(path)
    del parts[f"{place}.npy"]
    seal(path, parts)
    refused(path, complains)


def test_the_checksum_binds_names_contents_and_models(path, complains):
    parts = members(path)
    order = sorted(parts)
    weights = [name for name in order if name.startswith(MODEL)]
    swapped = parts | {weights[2]: parts[weights[4]], weights[4]: parts[weights[2]]}
    changed = parts | {weights[-1]: parts[weights[-1]][:-1] + b"?"}
    renamed = {name.replace("location", "other"): part for name, part in parts.items()}
    for wrong in (swapped, changed, renamed):
        with zipfile.ZipFile(path, "w") as file:
            for name, part in wrong.items():
                file.writestr(name, part)
        refused(path, complains, "checksums differ")


def test_parts_that_grow_when_they_are_read(path, complains):
    seal(path, members(path) | {"zeros.npy": npy(np.zeros(10**6))}, zipfile.ZIP_DEFLATED)
    refused(path, complains, "compressed parts")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("state.json", b" " * 10**7)
    refused(path, complains, "its state has 10000000 bytes")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_parts_of_one_name(path, complains):
    parts = members(path)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(f"{MODEL}/0.npy", parts[f"{MODEL}/0.npy"])
    refused(path, complains, "two parts of one name")


# Writing


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, MemoryError])
def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(path, detector, monkeypatch, error):
    before = path.read_bytes()

    def fail(_):
        raise error

    monkeypatch.setattr(os, "fsync", fail)  # a full disk, Ctrl-C
    with pytest.raises(error):
        detector.save(path)
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]


def test_many_who_save_one_path_and_another_in_its_folder(tmp_path):
    content = {name: np.full(20_000, n, "float64") for n, name in enumerate("abcd")}
    shared, done = tmp_path / "shared", threading.Event()
    saving.save(shared, "Test", {"x": content["a"]})

    def save(name: str) -> None:
        for _ in range(40):
            for path in (shared, tmp_path / name):
                saving.save(path, "Test", {"x": content[name]})
            assert (saving.read(tmp_path / name, "Test")["x"] == content[name]).all()

    def read() -> None:
        while not done.is_set():
            x = saving.read(shared, "Test")["x"]
            assert (x == x[0]).all()

    with ThreadPoolExecutor(5) as pool:
        reader = pool.submit(read)
        try:
            list(pool.map(save, content))
        finally:
            done.set()
        reader.result()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c", "d", "shared"]


def test_many_who_read_at_once(tmp_path):
    """Python 3.11.0 to 3.11.7 failed here: their parser counts in one place for all threads."""

    class Garbage:
        def __init__(self):
            self.itself = self

        def __del__(self):  # so that another thread comes in while a header is parsed
            [None for _ in range(9)]

    path = tmp_path / "file"
    saving.save(path, "Test", {"x": np.zeros(3)})

    def read(_) -> None:
        for _ in range(500):
            Garbage()
            saving.read(path, "Test")

    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(20)
    try:
        with ThreadPoolExecutor(5) as pool:
            list(pool.map(read, range(5)))
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*thresholds)


@pytest.mark.skipif(sys.platform == "win32", reason="links and modes of POSIX")
def test_a_link_stays_a_link_and_a_mode_stays(path, detector):
    link = path.with_name("link")
    link.symlink_to(path.name)
    path.chmod(0o640)
    detector.save(link)
    assert link.is_symlink() and stat.S_IMODE(path.stat().st_mode) == 0o640
    AnomalyDetector.load(link)


def test_paths_that_cannot_be_written(detector, tmp_path, complains):
    complains(lambda: detector.save(tmp_path), str(tmp_path), "in a folder that exists")
    complains(lambda: detector.save(tmp_path / "no" / "it"), "in a folder that exists")
    assert not list(tmp_path.iterdir())


def test_the_file_says_what_wrote_it(path):
    written_by = json.loads(members(path)["state.json"])["written_by"]
    assert written_by["keras"] == keras.__version__ and "tensorflow" in written_by


# Parts of one's own


class Square(keras.layers.Layer):
    def call(self, x):
        return x * x


class Own(VAE):
    pass


def own_encoder() -> VAE:
    inputs = keras.Input((4, 4, 1))
    x = keras.layers.Dense(5, activation="relu")(Square()(keras.layers.Flatten()(inputs)))
    heads = [keras.layers.Dense(2)(x) for _ in range(2)]
    return VAE(2, **SMALL, encoder=keras.Model(inputs, heads))


class Laplace(Gaussian):
    pass


OWN = {
    "an encoder": own_encoder,
    "a subclass": lambda: Own(2, **SMALL),
    "a likelihood": lambda: VAE(2, **SMALL, likelihood=Laplace(0.3)),
}


@pytest.mark.parametrize("name", OWN)
def test_parts_of_ones_own_are_built_by_their_owner(tmp_path, complains, name):
    detector, path = AnomalyDetector(OWN[name](), "relative").calibrate(IMAGES), tmp_path / "it"
    detector.save(path)
    refused(path, complains, "has parts of your own", "pass it to load as `model`")
    loaded = AnomalyDetector.load(path, OWN[name]())
    np.testing.assert_array_equal(loaded.score(IMAGES), detector.score(IMAGES))
    np.testing.assert_array_equal(loaded.is_anomaly(IMAGES), detector.is_anomaly(IMAGES))
    other = VAE(3, **SMALL)
    before = other.get_weights()
    refused(path, complains, "arrays of weights", model=other)
    for one, same in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, same)
    refused(path, complains, "model is a str", model="vae")
    refused(path, complains, "it has 1 models, and model is 2", model=[OWN[name]()] * 2)


def test_a_score_of_ones_own_has_to_be_defined_before(tmp_path, complains, monkeypatch):
    monkeypatch.setattr(scores.base, "SCORES", scores.SCORES)

    class Mine(scores.SCORES["kl"]):
        name = "mine"

    try:
        AnomalyDetector(VAE(2, **SMALL), "mine").calibrate(IMAGES).save(tmp_path / "it")
        AnomalyDetector.load(tmp_path / "it")
    finally:
        del scores.SCORES["mine"]
    refused(tmp_path / "it", complains, "its score is 'mine'", "define its class first")

    def take_a_name():
        class Other(scores.SCORES["kl"]):
            name = "relative"

    complains(take_a_name, "name is 'relative', which RelativeError has already")


@pytest.mark.parametrize(
    "make",
    [
        lambda: ConditionalVAE(2, latent_dim=2, **SMALL),
        lambda: MixtureVAE(components=3, latent_dim=2, **SMALL),
        lambda: VAE(2, data_shape=(4, 4, 1), network="conv", hidden=(3,), beta=2.5, seed=7),
        lambda: VAE(2, **SMALL, likelihood=Gaussian("per_pixel", min_sigma=0.05)),
        lambda: VAE(2, data_shape=(4, 4, 1), network="dense"),
    ],
)
def test_a_model_comes_back_with_all_its_arguments(tmp_path, make):
    model = make()
    classes = LABELS if isinstance(model, ConditionalVAE) else None
    AnomalyDetector(model, "relative").calibrate(IMAGES, classes=classes).save(tmp_path / "it")
    loaded = AnomalyDetector.load(tmp_path / "it").model
    plain = lambda config: {k: v for k, v in config.items() if k not in ("name", "likelihood")}  # noqa: E731
    assert plain(loaded.get_config()) == plain(model.get_config())
    sigma = lambda likelihood: {**likelihood.get_config(), "name": ""}  # noqa: E731
    assert sigma(loaded.likelihood) == sigma(model.likelihood)
