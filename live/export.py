"""Train the small models of the live figures and write `vae_lib/assets/live`: `make live`.

Weights are rounded to 16-bit floats in Keras first; scores, thresholds and pictures come from the
rounded models, so that page and Python agree. Samples come from the validation part, thresholds
from the calibration part, the histograms of the figure "threshold" from the test part, which
chooses nothing here.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import stamp
from stills import save_map, save_stills
from vae_lib import VAE, AnomalyDetector, Gaussian, data, networks, scores, thresholds

ASSETS = Path(__file__).resolve().parents[1] / "vae_lib" / "assets" / "live"
NAMES = {0: ("zero", "zeros"), 8: ("eight", "eights")}
RATE = 0.05
PRESETS = (0.2, 0.1, 0.05, 0.02, 0.01)
TOP = 0.6  # of the axes of scores
RANGE = 3.5  # of the latent plane, in deviations of the prior


def wobble(images: np.ndarray, epochs: int, batch: int) -> tf.data.Dataset:
    """Batches of images turned, scaled and moved a little: nobody draws as in MNIST."""
    layers = [
        keras.layers.RandomRotation(0.03, fill_mode="constant", seed=1),
        keras.layers.RandomZoom(0.08, 0.08, fill_mode="constant", seed=2),
        keras.layers.RandomTranslation(0.04, 0.04, fill_mode="constant", seed=3),
    ]

    def change(x: tf.Tensor) -> tf.Tensor:
        for layer in layers:
            x = layer(x, training=True)
        return tf.clip_by_value(x, 0.0, 1.0)

    whole = tf.data.Dataset.from_tensor_slices(images).shuffle(len(images), seed=0)
    return whole.repeat(epochs).batch(batch).map(change)


def detector(digit: int, epochs: int = 150) -> tuple[VAE, data.Split]:
    """A convolutional VAE of one digit, with rounded weights, and the split it comes from."""
    keras.utils.set_random_seed(0)
    split = data.split("mnist-5k", normal=digit, seed=0)
    vae = VAE(8, likelihood=Gaussian(0.2), hidden=(16, 32))
    vae.compile(keras.optimizers.Adam(2e-3))
    vae.fit(wobble(split.train, epochs, 32), shuffle=False, verbose=2)
    round_weights(vae)
    return vae, split


def plane(epochs: int = 60) -> tuple[VAE, data.Dataset]:
    """A VAE of all ten digits with two latents: a wide encoder, a small convolutional decoder."""
    keras.utils.set_random_seed(0)
    digits = data.load("mnist-5k")
    shape = digits.x_train.shape[1:]
    vae = VAE(
        2,
        encoder=networks.dense_encoder(shape, 2, (512, 128)),
        decoder=networks.conv_decoder(shape, 2, (32, 64)),
    )
    vae.compile(keras.optimizers.Adam(1e-3))
    vae.fit(digits.x_train, batch_size=64, epochs=epochs, verbose=2)
    round_weights(vae)
    return vae, digits


def round_weights(vae: VAE) -> None:
    """Make every weight a number that 16 bits hold."""
    vae.set_weights([w.astype("float16").astype(w.dtype) for w in vae.get_weights()])


def describe(network: keras.Model, output: str, likelihood: str = "linear") -> list[dict]:
    """The layers from a network's input to `output`, as `network.js` runs them."""
    layers = []
    for layer in network.layers:
        if not layer.weights or (layer.name in ("mean", "log_var") and layer.name != output):
            continue
        kernel = layer.kernel.shape
        entry = {"kind": "dense", "weights": math.prod(kernel), "filters": layer.bias.shape[0]}
        if isinstance(layer, keras.layers.Conv2D):
            entry |= spatial(layer, kind="conv")
        elif isinstance(layer, keras.layers.Conv2DTranspose):
            entry |= spatial(layer, kind="convTransposed")
        last = layer.name == output
        entry["activation"] = likelihood if last else layer.activation.__name__
        layers.append(entry)
    return layers


def spatial(layer: keras.layers.Layer, kind: str) -> dict:
    """The sizes of a convolution over a square image."""
    (size, _, channels), (out, _, _) = layer.input.shape[1:], layer.output.shape[1:]
    k, stride = layer.kernel_size[0], layer.strides[0]
    return {"kind": kind, "size": size, "channels": channels, "out": out, "k": k, "stride": stride}


def half(network: keras.Model, layers: list[dict], skip: str = "log_var") -> str:
    """Kernels and biases in the order of the layers, as base64 of little-endian 16-bit floats."""
    parts = [
        np.asarray(weights).ravel()
        for layer in network.layers
        if layer.weights and layer.name != skip
        for weights in (layer.kernel, layer.bias)
    ]
    flat = np.concatenate(parts).astype("<f2")
    assert flat.size == sum(layer["weights"] + layer["filters"] for layer in layers)
    return base64.b64encode(flat.tobytes()).decode()


def pixels(image: np.ndarray) -> str:
    """An image (28, 28, 1) as base64 of bytes."""
    return base64.b64encode(np.round(image * 255).astype("uint8").tobytes()).decode()


def nibbles(image: np.ndarray) -> str:
    """An image (28, 28, 1) in sixteen shades, two pixels a byte, as base64: to look at only."""
    shades = np.round(image.ravel() * 15).astype("uint8")
    return base64.b64encode((16 * shades[::2] + shades[1::2]).tobytes()).decode()


def rounded(values: np.ndarray) -> list[float]:
    """Scores to six decimals: what the pages show and count."""
    return np.round(values, 6).tolist()


def score_data(digit: int, vae: VAE, split: data.Split) -> dict:
    """All that the figure "score" needs for one normal digit."""
    score = scores.RelativeError()
    calibration = np.round(score(vae, split.calibration), 6)
    found = score(vae, split.validation.items)
    threshold = thresholds.conformal(calibration, RATE)
    encoder, decoder = describe(vae.encoder, "mean"), describe(vae.decoder, "parameters")
    name, plural = NAMES[digit]
    return {
        "digit": digit,
        "name": name,
        "plural": plural,
        "calibration": sorted(calibration.tolist()),
        "threshold": threshold,
        "rate": RATE,
        "top": TOP,
        "brightest": float(np.quantile(score.map(vae, split.validation.items), 0.999)),
        "samples": samples(split.validation, found, threshold, plural),
        "model": {"encoder": encoder, "decoder": decoder},
        "weights": {"encoder": half(vae.encoder, encoder), "decoder": half(vae.decoder, decoder)},
    }


def samples(part: data.Labelled, found: np.ndarray, threshold: float, plural: str) -> dict:
    """Normal images, strangers, and images on which the detector is wrong, from validation."""
    normal = np.flatnonzero(~part.is_anomaly)
    typical = normal[np.argsort(found[normal])][np.linspace(2, len(normal) - 12, 5).astype(int)]
    caught = []  # of each other digit its median
    for digit in np.unique(part.classes[part.is_anomaly]):
        of_digit = np.flatnonzero(part.classes == digit)
        caught.append(of_digit[np.argsort(found[of_digit])][len(of_digit) // 2])
    caught = [i for i in caught if found[i] > threshold]
    wrong = np.flatnonzero((found > threshold) != part.is_anomaly)
    false_alarms = wrong[~part.is_anomaly[wrong]][:2]
    misses = wrong[part.is_anomaly[wrong]]
    misses = misses[np.argsort(found[misses])][:6]
    groups = (
        (plural, typical),
        ("other digits", caught),
        ("where it is wrong", [*misses, *false_alarms]),
    )
    return {
        title.capitalize(): [
            {"digit": int(part.classes[i]), "pixels": pixels(part.items[i])} for i in chosen
        ]
        for title, chosen in groups
    }


def heldout_data(digit: int, vae: VAE, split: data.Split) -> dict:
    """All that the figure "threshold" needs: scores of the test part, and pictures of some."""
    score, part = scores.RelativeError(), split.test
    calibration = np.round(score(vae, split.calibration), 6)
    found = np.round(score(vae, part.items), 6)
    threshold = thresholds.conformal(calibration, RATE)
    kinds = {"normal": ~part.is_anomaly, "anomalous": part.is_anomaly}
    # All normal images; of the many others the lowest scores, and every eighth
    order = {kind: np.flatnonzero(rows)[np.argsort(found[rows])] for kind, rows in kinds.items()}
    order["anomalous"] = np.r_[order["anomalous"][:12], order["anomalous"][12::8]]
    pictures = {
        kind: [
            {
                "score": float(found[i]),
                "digit": int(part.classes[i]),
                "pixels": nibbles(part.items[i]),
            }
            for i in chosen
        ]
        for kind, chosen in order.items()
    }
    return {
        "plural": NAMES[digit][1],
        "normal": sorted(rounded(found[kinds["normal"]])),
        "anomalous": sorted(rounded(found[kinds["anomalous"]])),
        "threshold": up(threshold),
        "presets": [
            {"rate": rate, "threshold": up(thresholds.conformal(calibration, rate))}
            for rate in PRESETS
        ],
        "top": TOP,
        "pictures": pictures,
    }


def up(threshold: float) -> float:
    """The next step of the slider: a higher threshold keeps what the lower one promised."""
    return math.ceil(threshold * 1000) / 1000


def plane_data(vae: VAE, digits: data.Dataset) -> dict:
    """All that the figure "latent" needs: the decoder, and where the test digits lie."""
    mean = np.asarray(vae.encode(digits.x_test)[0])
    inside = (np.abs(mean) < RANGE).all(axis=1)
    codes = np.round(mean[inside] / RANGE * 127).astype("int8")
    decoder = describe(vae.decoder, "parameters", "sigmoid")
    return {
        "range": RANGE,
        "start": [0.0, 0.0],
        "codes": base64.b64encode(codes.tobytes()).decode(),
        "digits": "".join(map(str, digits.y_test[inside])),
        "decoder": decoder,
        "weights": half(vae.decoder, decoder),
    }


def write(name: str, content: dict, target: str) -> None:
    """A classic script that sets `vaeLive.<target>`: a page from file:// may not fetch JSON."""
    start, _, rest = target.partition(".")
    place = f"(live.{start} = live.{start} || {{}}).{rest}" if rest else f"live.{start}"
    text = json.dumps(content, separators=(",", ":"))
    script = (
        f"(function (live) {{ {place} = {text}; }})((window.vaeLive = window.vaeLive || {{}}));\n"
    )
    (ASSETS / name).write_text(script, encoding="utf-8")


def main() -> None:
    """Train, write, stamp, and say how good the detectors are and how large the files."""
    keras.utils.set_random_seed(0)
    tf.config.experimental.enable_op_determinism()
    for digit, (_, plural) in NAMES.items():
        vae, split = detector(digit)
        write(f"{plural}.js", score_data(digit, vae, split), f"detectors.{plural}")
        judge = AnomalyDetector(vae, "relative").calibrate(split.calibration, RATE)
        result = judge.evaluate(split.validation.items, split.validation.is_anomaly)
        print(f"{plural}, on the validation part: AUROC {result.auroc.value:.3f}")
        print(f"found {result.detection_rate.value:.3f} at a threshold of {judge.threshold:.3f}")
    write("heldout.js", heldout_data(digit, vae, split), "heldout")
    save_stills(ASSETS, judge, split)
    vae, digits = plane()
    write("plane.js", plane_data(vae, digits), "plane")
    save_map(ASSETS, vae, digits, RANGE)
    stamp.write(ASSETS)
    for path in stamp.refresh_notebooks():
        print(f"{path.name}: the live figure's output is the new one")
    files = [path for path in ASSETS.iterdir() if path.suffix == ".js"]
    print(
        f"all scripts: {len(gzip.compress(b''.join(map(Path.read_bytes, files)))) / 1000:.0f} kB gz"
    )


if __name__ == "__main__":
    main()
