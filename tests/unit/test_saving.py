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


def attack() -> bytes:
    """A .keras file with a Lambda that downloads when it is called: Keras's safe mode lets it."""
    layer = keras.layers.Lambda(keras.ops.abs, output_shape=(3,))
    folder = Path(os.environ["PYTEST_TMP"]) / "attack.keras"
    keras.Sequential([keras.Input((3,)), layer]).save(folder)
    parts = members(folder)
    config = json.loads(parts["config.json"])
    download = {"module": "keras.datasets.mnist", "class_name": "function", "config": "load_data"}
    for one in config["config"]["layers"]:
        if one["class_name"] == "Lambda":
            one["config"]["function"] = {**download, "registered_name": "load_data"}
    parts["config.json"] = json.dumps(config).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, part in parts.items():
            file.writestr(name, part)
    return buffer.getvalue()


def test_a_keras_file_inside_is_never_opened(path, complains, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTEST_TMP", str(tmp_path))
    seal(path, members(path) | {"model0.keras": attack()})
    monkeypatch.setattr(keras.saving, "load_model", lambda *_, **__: pytest.fail("it was loaded"))
    monkeypatch.setattr(
        keras.saving, "deserialize_keras_object", lambda *_, **__: pytest.fail("it was read")
    )
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


def head(**changes):
    return lambda d: {**d, **changes}


def within(*keys, change):
    """A change of what lies under these keys of the state."""

    def changed(part, keys):
        if not keys:
            return change(part)
        new = changed(part[keys[0]], keys[1:])
        return [new, *part[1:]] if isinstance(part, list) else {**part, keys[0]: new}

    return lambda d: changed(d, ("state", *keys))


def of_state(**changes):
    return within(change=lambda d: {**d, **changes})


def of_calibration(**changes):
    return within("calibration", change=lambda d: {**d, **changes})


def of_model(**changes):
    return within("models", 0, change=lambda d: {**d, **changes})


def without(name, *keys):
    return within(*keys, change=lambda d: {key: value for key, value in d.items() if key != name})


def twice(*keys):
    return within(*keys, change=lambda found: found * 2)


MODEL, SCORES = "AnomalyDetector/models/0/weights", "AnomalyDetector/calibration/scores"
CLASSES, LEARNED = "AnomalyDetector/calibration/classes", "AnomalyDetector/learned/0"
DESCRIPTIONS = {
    "a list": lambda d: [d],
    "a newer format": head(format=4),
    "an older format": head(format=0),
    "format -1": head(format=-1),
    "format as text": head(format="3"),
    "something more": of_state(more=1),
    "more beside the state": head(more=1),
    "another kind": head(kind="Stream"),
    **{f"no {name}": without(name) for name in ("models", "members", "score", "fits_score")},
    **{f"no {name}": without(name) for name in ("by_class", "learned", "inputs", "recipe")},
    **{
        f"no {name}": without(name, "calibration")
        for name in ("threshold", "false_alarm_rate", "method")
    },
    "no model": of_state(models=[]),
    "two models": twice("models"),
    "models as text": of_state(models="VAE"),
    "members 1.5": of_state(members=1.5),
    "threshold nan": of_calibration(threshold=[float("nan")]),
    "threshold inf": of_calibration(threshold=[float("inf")]),
    "threshold 9": of_calibration(threshold=[9.0]),
    "threshold two": twice("calibration", "threshold"),
    "threshold none": of_calibration(threshold=[]),
    "threshold a number": of_calibration(threshold=1.0),
    "threshold text": of_calibration(threshold=["1"]),
    "rate 7": of_calibration(false_alarm_rate=7),
    "rate 0": of_calibration(false_alarm_rate=0),
    "rate 0.3": of_calibration(false_alarm_rate=0.3),
    "rate null": of_calibration(false_alarm_rate=None),
    "rate 1e-9": of_calibration(false_alarm_rate=1e-9),
    "method magic": of_calibration(method="magic"),
    "another method": of_calibration(method="quantile"),
    "score unknown": of_state(score={"name": "magic", "arguments": {}}),
    "score null": of_state(score=None),
    "score of no name": of_state(score={"arguments": {}}),
    "another score": of_state(score={"name": "relative", "arguments": {}}),
    "arguments more": of_state(score={"name": "fusion", "arguments": {"more": 1}}),
    "arguments wrong": of_state(score={"name": "fusion", "arguments": {"parts": "kl"}}),
    "other parts": of_state(score={"name": "fusion", "arguments": {"parts": ["local", "kl"]}}),
    "draws huge": of_state(score={"name": "bound", "arguments": {"draws": 10**9}}),
    "size huge": of_state(score={"name": "local", "arguments": {"size": 10**9}}),
    "fits_score null": of_state(fits_score=None),
    "kind unknown": of_model(kind="Lambda"),
    "kind another": of_model(kind="MixtureVAE", components=3),
    "kind without its count": of_model(kind="ConditionalVAE"),
    "kind with a count too many": of_model(components=3),
    "latent_dim 0": of_model(latent_dim=0),
    "latent_dim 3": of_model(latent_dim=3),
    "latent_dim huge": of_model(latent_dim=2**24),
    "latent_dim beyond": of_model(latent_dim=2**60),
    "latent_dim true": of_model(latent_dim=True),
    "hidden huge": of_model(hidden=[2**24, 2**24, 2**24]),
    "hidden many": of_model(hidden=[1] * 100),
    "hidden text": of_model(hidden=["6"]),
    "hidden another": of_model(hidden=[7]),
    "shape huge": of_model(data_shape=[2**24, 2**24, 3]),
    "shape empty": of_model(data_shape=[]),
    "shape another": of_model(data_shape=[4, 5, 1]),
    "shape flat": of_model(data_shape=[16]),
    "network unknown": of_model(network="keras.layers.Lambda"),
    "network another": of_model(network="conv"),
    "beta -1": of_model(beta=-1),
    "beta nan": of_model(beta=float("nan")),
    "seed -1": of_model(seed=-1),
    "dtype unknown": of_model(dtype="bfloat16"),
    "dtype another": of_model(dtype="float64"),
    "likelihood unknown": of_model(likelihood={"kind": "Lambda"}),
    "likelihood text": of_model(likelihood="bernoulli"),
    "sigma 0": of_model(likelihood={"kind": "Gaussian", "sigma": 0, "min_sigma": 0.01}),
    "sigma learned": of_model(
        likelihood={"kind": "Gaussian", "sigma": "learned", "min_sigma": 0.1}
    ),
    "min_sigma 2": of_model(likelihood={"kind": "Gaussian", "sigma": 1.0, "min_sigma": 2}),
    "encoder more": of_model(encoder={"class_name": "Lambda"}),
    "parts of my own": within(
        "models", 0, change=lambda d: {"own": "VAE", "weights": d["weights"]}
    ),
    "members 2": of_state(members=2),
    "nothing learned": of_state(learned=[]),
    "learned twice": twice("learned"),
    "weights as numbers": of_model(weights=[1.0]),
    "scores as a number": of_calibration(scores=1.0),
    "an array that serves twice": of_calibration(classes={"array": SCORES}),
    "names for pixels": of_state(inputs={"names": ["a"], "encoder": None}),
    "usual values of pixels": of_state(usual=1.0),
    "a recipe of nothing": of_state(recipe={}),
}


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_a_wrong_description(path, complains, name):
    parts = members(path)
    wrong = DESCRIPTIONS[name](json.loads(parts["state.json"]))
    seal(path, parts | {"state.json": json.dumps(wrong).encode()})
    refused(path, complains)


def test_what_a_message_says(path, complains):
    parts = members(path)
    good = json.loads(parts["state.json"])
    for name, words in (
        ("a newer format", ["format 4", "install a newer vae_lib"]),
        ("threshold 9", ["its threshold is [9.0], by its scores"]),
        ("threshold nan", ["its state has NaN"]),
        ("rate 7", ["wrong at calibration/false_alarm_rate"]),
        ("latent_dim huge", ["its weights have", "its sizes need"]),
        ("hidden another", ["arrays of weights", "the first that differ"]),
        ("score unknown", ["its score is 'magic'", "define its class first"]),
        ("parts of my own", ["its VAE has parts of your own", "pass it to load as `model`"]),
    ):
        text = json.dumps(DESCRIPTIONS[name](good)).encode()
        seal(path, parts | {"state.json": text})
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
    shared, errors, done = tmp_path / "shared", [], threading.Event()
    saving.save(shared, "Test", {"x": content["a"]})

    def save(name: str) -> None:
        try:
            for _ in range(40):
                for path in (shared, tmp_path / name):
                    saving.save(path, "Test", {"x": content[name]})
                assert (saving.read(tmp_path / name, "Test")["x"] == content[name]).all()
        except Exception as error:
            errors.append(error)

    def read() -> None:
        try:
            while not done.is_set():
                x = saving.read(shared, "Test")["x"]
                assert (x == x[0]).all()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=save, args=name) for name in content]
    reader = threading.Thread(target=read)
    for thread in (reader, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    reader.join()
    assert errors == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c", "d", "shared"]


def test_many_who_read_at_once(tmp_path):
    """Python 3.11.0 to 3.11.7 failed here: their parser counts in one place for all threads."""

    class Garbage:
        def __init__(self):
            self.itself = self

        def __del__(self):  # so that another thread comes in while a header is parsed
            [None for _ in range(9)]

    path, errors = tmp_path / "file", []
    saving.save(path, "Test", {"x": np.zeros(3)})

    def read() -> None:
        try:
            for _ in range(500):
                Garbage()
                saving.read(path, "Test")
        except SystemError as error:
            errors.append(error)

    threads = [threading.Thread(target=read) for _ in range(5)]
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(20)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*thresholds)
    assert errors == []


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
