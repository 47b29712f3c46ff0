"""Wrong arguments of scores and detectors end in a ValueError, and leave both as they were."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from test_bad_input import (
    NAN,
    NO_COUNT,
    NO_MODELS,
    NO_RATE,
    NO_SEED,
    SIZES,
    Cases,
    assert_unchanged,
    dataset,
    each,
    kinds,
    masked,
    nan,
    pictures,
)
from test_bad_input import subjects as it

from vae_lib import VAE, AnomalyDetector, scores
from vae_lib.data import Labelled


@dataclasses.dataclass(eq=False)
class Nameless(scores.SquaredError):
    """A score that no file can name."""


class OwnInit(scores.SquaredError):
    """A score of whose arguments nobody knows."""

    def __init__(self, power: int):
        self.power = power


def made(name: str, **arguments) -> scores.Score:
    return scores.SCORES[name](**arguments)


def fitted(name: str, model: VAE | None = None, n: int = 40) -> scores.Score:
    return made(name).fit(it().vae if model is None else model, it().x[:n])


def spoilt(name: str, change) -> None:
    """Use a score that took the state of a fitted one after a change of it."""
    score = made(name)
    score.set_state(change(fitted(name).state()))
    score(it().vae, it().x)


def other(value: float = 0.5, **sizes) -> VAE:
    """A model with all weights alike."""
    model = VAE(**{**SIZES, **sizes})
    model.set_weights([np.full_like(weight, value) for weight in model.get_weights()])
    return model


PARTS = ("kl", (), ("kl", "x"), ("likelihood",), 3, (3,), [["kl"]], {"kl"}, ("kl", "kl"))
NO_SHARE = (-0.1, 1.5, NAN, True, None, "0.5", [0.5])
NO_WEIGHT = (-0.1, float("inf"), NAN, True, None, "0.5", [0.5])
HELD = {
    "one": lambda: it().x[:1],
    "another shape": lambda: it().x[:, :3],
    "NaN": lambda: it().x * NAN,
    "a list": lambda: [1.0, 2.0],
    "no floats": lambda: it().x.astype(int),
}
NO_SCORES = ("nonsense", "", 3, [], ["kl"], {}, scores.SquaredError, np.array(["kl", "elbo"]))
LEARNERS = ("latent", "activations", "neighbours", "joint", "fusion", "typicality", "auto")
STATES = {
    "nothing": (lambda state: {}, "state lacks"),
    "None": (lambda state: None, "state is a NoneType; expected"),
    "a list": (lambda state: list(state), "state is a list; expected"),
    "NaN": (lambda state: {k: v * NAN for k, v in state.items()}, "not finite; expected numbers"),
    "words": (lambda state: dict.fromkeys(state, "x"), "expected numbers"),
    "another size": (lambda state: {k: v[:, None] for k, v in state.items()}, "state"),
    "scalars": (lambda state: dict.fromkeys(state, 1.0), "state"),
    "ragged": (lambda state: {key: [[1.0], [1.0, 2.0]] for key in state}, "expected numbers"),
}
SCORES: Cases = {
    **each("bound", "draws", NO_COUNT, lambda v: made("bound", draws=v)),
    **each("elbo", "seed", (*NO_SEED, None), lambda v: made("elbo", seed=v)),
    **each("local", "size", NO_COUNT, lambda v: made("local", size=v)),
    **each("relative", "size", (0, "3"), lambda v: made("relative", size=v)),
    **each("neighbours", "k", NO_COUNT, lambda v: made("neighbours", k=v)),
    **each("likelihood", "excess", ("no", 1, None), lambda v: made("likelihood", excess=v)),
    **each("fusion", "parts", PARTS, lambda v: made("fusion", parts=v)),
    **each("fusion", "below", NO_SHARE, lambda v: made("fusion", below=v)),
    **each("auto", "parts", PARTS, lambda v: made("auto", parts=v)),
    **each("auto", "seed", (*NO_SEED, None), lambda v: made("auto", seed=v)),
    "auto: state for parts that nobody named": (
        lambda: made("auto").set_state(fitted("auto").state()),
        ("parts is None", "expected the names"),
    ),
    "auto: for classes": (
        lambda: AnomalyDetector(it().conditional, "auto"),
        ("score is 'auto'", "for each class", "expected another one"),
    ),
    **each("joint", "k", NO_COUNT, lambda v: made("joint", k=v)),
    **each("joint", "weight", NO_WEIGHT, lambda v: made("joint", weight=v)),
    **each("largest", "size", NO_COUNT, lambda v: made("largest", size=v)),
    "fusion: state for parts that nobody named": (
        lambda: made("fusion").set_state(fitted("fusion").state()),
        ("parts is None", "expected the names"),
    ),
    **{
        f"{name}: held_out: {how}": (
            lambda name=name, wrong=wrong: made(name).fit(it().vae, it().x, wrong()),
            ("held_out", "expected"),
        )
        for name in ("joint", "fusion", "auto")
        for how, wrong in HELD.items()
    },
    **each("get", "score", (*NO_SCORES, None), scores.get, "one of"),
    **kinds("score: model", NO_MODELS, lambda m: made("kl")(m(), it().x), "expected a VAE"),
    **kinds("fit: model", NO_MODELS, lambda m: made("latent").fit(m(), it().x), "expected a VAE"),
    **kinds("map: model", NO_MODELS, lambda m: made("local").map(m(), it().x), "expected a VAE"),
    **{
        f"{name}: a ConditionalVAE itself": (
            lambda name=name: fitted(name, it().conditional)(it().conditional, it().x),
            ("model is a ConditionalVAE", "expected it under a class: given(c)"),
        )
        for name in ("relative", "latent", "kl")
    },
    **{
        f"{name}: a MixtureVAE": (
            lambda name=name: made(name)(it().mixture, it().x),
            (f"score is '{name}'", "MixtureVAE"),
        )
        for name in ("kl", "elbo", "bound")
    },
    **{
        f"{name}: a table": (
            lambda name=name: made(name).fit(it().table, it().rows)(it().table, it().rows),
            (f"score is '{name}'", "expected images", "data_shape is (13,)"),
        )
        for name in ("local", "relative", "largest", "auto")
    },
    **{
        f"{name}: no map": (
            lambda name=name: made(name).map(it().vae, it().x),
            (f"score is '{name}'", "no map; 'relative' has one"),
        )
        for name, score in scores.SCORES.items()
        if not score.has_map and name != "auto"
    },
    **{
        f"{name}: {how} before fit": (
            lambda name=name, act=act: act(made(name)),
            (f"score is '{name}'", "call fit"),
        )
        for name in LEARNERS
        for how, act in (
            ("called", lambda score: score(it().vae, it().x)),
            ("state", lambda score: score.state()),
        )
    },
    **{
        f"{name}: another model than fitted on": (
            lambda name=name: fitted(name)(other(), it().x),
            (f"score is '{name}'", "other weights", "call fit again"),
        )
        for name in ("latent", "neighbours")
    },
    "latent: a larger model than fitted on": (
        lambda: it().latent(other(latent_dim=3), it().x),
        ("score is 'latent'", "other weights", "call fit again"),
    ),
    **{
        f"{name}: fit on {n}": (
            lambda name=name, n=n: fitted(name, n=n),
            (f"images has {n}; expected {n + 1} or more",),
        )
        for name, n in (
            *(("latent", 1), ("activations", 1), ("neighbours", 4)),
            *(("joint", 2), ("fusion", 9), ("auto", 9)),
        )
    },
    **kinds("latent: state of", STATES, lambda change: spoilt("latent", change)),
    **kinds("neighbours: state of", STATES, lambda change: spoilt("neighbours", change)),
    **kinds("joint: state of", STATES, lambda change: spoilt("joint", change)),
    "kl: weights of NaN": (
        lambda: made("kl")(other(NAN), it().x),
        ("the score 'kl' of images [0, 1, 2, 3, 4] and others is not finite; expected",),
    ),
    "local: map of NaN": (
        lambda: made("local").map(other(NAN), it().x),
        ("the score 'local' of images [0,", "not finite; expected"),
    ),
    **{
        f"{name}: fit on NaN": (
            lambda name=name: fitted(name, other(NAN)),
            ("finite", "expected"),
        )
        for name in ("latent", "activations", "neighbours", "joint")
    },
    "reconstruction: a pixel of 1e30": (
        lambda: made("reconstruction")(it().gaussian, nan(1e30)),
        ("of images [3] is not finite", "float32"),
    ),
    "a score with an __init__ of its own": (
        lambda: OwnInit(3).arguments(),
        ("score is a OwnInit; expected a dataclass",),
    ),
    "a second score of one name": (
        lambda: type("Twin", (scores.Score,), {"name": "kl"}),
        ("name is 'kl', which KL has already",),
    ),
}


# The detector


def labelled(**changes) -> Labelled:
    return Labelled(
        **{"items": it().x, "is_anomaly": np.zeros(40, bool), "classes": it().y, **changes}
    )


def calibrate(kind: str = "detector", **arguments) -> None:
    getattr(it(), kind).calibrate(**{"items": it().x, "false_alarm_rate": 0.1, **arguments})


def evaluate(is_anomaly=None, **arguments) -> None:
    it().detector.evaluate(it().x, it().flags if is_anomaly is None else is_anomaly, **arguments)


NO_CLASSES = {
    "None": (None, "classes is None"),
    "too few": (np.zeros(39, int), "classes has shape (39,)"),
    "floats": (np.zeros(40), "classes has shape (40,) and dtype float64"),
    "words": (np.array(["a"] * 40), "dtype <U1"),
    "unknown": (np.arange(40) % 3, "classes has values in 0..2"),
    "negative": (-np.ones(40, int), "classes has values in -1..-1"),
    "one missing": (np.zeros(40, int), "classes has no 1"),
    "masked": (masked(np.arange(40) % 2), "masked"),
    "a few": ((np.arange(40) < 3).astype(int), "images has 2; expected 10 or more to fit on"),
}
NO_FLAGS = {
    "too few": (np.arange(39) % 2 == 1, "is_anomaly has shape (39,)"),
    "integers": (np.arange(40) % 3, "dtype int64"),
    "negative": (-(np.arange(40) % 2), "dtype int64"),
    "floats": (np.arange(40) % 2.0, "dtype float64"),
    "words": (np.array(["yes", "no"] * 20), "dtype <U3"),
    "columns": (np.zeros((40, 2), bool), "shape (40, 2)"),
    "all normal": (np.zeros(40, bool), "one kind"),
    "all anomalous": (np.ones(40, bool), "one kind"),
    "a string": ("x", "dtype <U1"),
    "ragged": ([[True], [True, False]], "is_anomaly"),
    "masked": (masked(np.arange(40) % 2 == 1), "mask"),
}
ANOMALIES = {
    "some": (np.arange(40) % 2 == 1, "items has 20 labelled anomalies; expected normal items"),
    "too few": (np.zeros(3, bool), "is_anomaly has shape (3,)"),
    "words": (np.array(["no"] * 40), "is_anomaly"),
    "None": (None, "is_anomaly"),
}
PATHS = {
    "None": (None, "path is None"),
    "a number": (3, "path is "),
    "a list": (["a"], "path is "),
    "a folder": (Path(__file__).parent, "path is "),
    "empty": ("", "path is "),
}
LISTS = {
    **{kind: NO_MODELS[kind] for kind in NO_MODELS if kind != "a list"},
    "no models": (lambda: [], "model is a list"),
    "numbers": (lambda: [3], "model has ['int']"),
    "a conditional": (lambda: [it().conditional, it().vae], "model has ['ConditionalVAE', 'VAE']"),
    "a generator": (lambda: (model for model in [it().vae]), "model is a generator"),
    "under a class": (lambda: it().conditional.given(0), "model is a Given"),
    "two shapes": (lambda: [it().vae, it().table], "model has data of shapes"),
}
METHODS = ("guess", None, ["conformal"], 3, min, "cheapest")
DETECTORS: Cases = {
    **kinds(
        "detector: model",
        {k: v for k, v in LISTS.items() if k != "None"},
        lambda make: AnomalyDetector(make()),
        "expected ",
    ),
    **each("detector", "score", NO_SCORES, lambda v: AnomalyDetector(it().vae, v), "one of"),
    **{
        f"detector: {name} of a mixture": (
            lambda name=name: AnomalyDetector(it().mixture, name),
            (f"score is '{name}'", "MixtureVAE"),
        )
        for name in ("kl", "elbo", "bound")
    },
    "detector: fusion with kl of a mixture": (
        lambda: AnomalyDetector(it().mixture, made("fusion", parts=("kl", "reconstruction"))),
        ("score is 'kl'", "MixtureVAE"),
    ),
    **{
        f"detector: {name} of a table": (
            lambda name=name: AnomalyDetector(it().table, name),
            (f"score is '{name}'", "expected images"),
        )
        for name in ("local", "relative", "largest")
    },
    **{
        f"calibrate: training: {how}": (
            lambda wrong=wrong: calibrate(training=wrong()),
            ("training", "expected"),
        )
        for how, wrong in {
            **{how: wrong for how, wrong in HELD.items() if how != "one"},
            "with classes": lambda: (it().x, it().y),
            "a pair of one": lambda: (it().x,),
            "three": lambda: (it().x, it().y, it().y),
        }.items()
    },
    **{
        f"calibrate: training by class: {how}": (
            lambda wrong=wrong: calibrate("by_class", classes=it().y, training=wrong()),
            ("training", "expected"),
        )
        for how, wrong in {
            "no classes": lambda: it().x,
            "too few classes": lambda: (it().x, it().y[:9]),
            "one class": lambda: (it().x, np.zeros(40, int)),
        }.items()
    },
    **each(
        "calibrate",
        "method",
        [m for m in METHODS if m is not None],
        lambda v: calibrate(method=v),
        "'conformal'",
    ),
    **each(
        "calibrate",
        "false_alarm_rate",
        [rate for rate in NO_RATE if rate is not None],  # which keeps the detector's
        lambda v: calibrate(false_alarm_rate=v),
    ),
    **each(
        "detector",
        "false_alarm_rate",
        NO_RATE,
        lambda v: AnomalyDetector(it().vae, false_alarm_rate=v),
    ),
    **each("detector", "method", METHODS, lambda v: AnomalyDetector(it().vae, method=v)),
    "calibrate: a rate for more images": (
        lambda: calibrate(false_alarm_rate=0.01),
        ("scores has 20 values", "expected 99 or more"),
    ),
    "calibrate: a tail of few images": (
        lambda: calibrate(method="tail", false_alarm_rate=0.01),
        ("scores has 20 values", "expected 10 or more"),
    ),
    "calibrate: one image to learn from": (
        lambda: calibrate("learned", items=it().x[:2]),
        ("images has 1; expected 2 or more",),
    ),
    "calibrate: classes for a VAE without": (
        lambda: calibrate(classes=it().y),
        ("classes came for a model without them", "expected a ConditionalVAE"),
    ),
    **kinds(
        "calibrate: classes", NO_CLASSES, lambda y: calibrate("by_class", classes=y), "expected"
    ),
    "calibrate: batches without classes": (
        lambda: calibrate("by_class", items=dataset(it().x)),
        ("classes is None", "expected"),
    ),
    "calibrate: batches with other classes": (
        lambda: calibrate("by_class", items=dataset(it().x, it().y + 5)),
        ("classes has values in 5..6", "expected"),
    ),
    "calibrate: too few classes in the data": (
        lambda: calibrate("by_class", items=labelled(classes=it().y[:3])),
        ("classes has shape (3,)", "expected"),
    ),
    **kinds(
        "calibrate: anomalies",
        ANOMALIES,
        lambda flags: calibrate(items=labelled(is_anomaly=flags)),
        "expected",
    ),
    **kinds("evaluate: is_anomaly", NO_FLAGS, evaluate, "is_anomaly ", "expected"),
    "evaluate: no labels": (lambda: it().detector.evaluate(it().x), ("is_anomaly", "expected")),
    "evaluate: too few labels in the data": (
        lambda: it().detector.evaluate(labelled(is_anomaly=it().flags[:3])),
        ("is_anomaly has shape (3,)", "expected"),
    ),
    "evaluate: batches without labels": (
        lambda: it().detector.evaluate(dataset(it().x)),
        ("is_anomaly", "expected"),
    ),
    "evaluate: batches with integers": (
        lambda: it().detector.evaluate(dataset(it().x, it().y + 5)),
        ("is_anomaly has shape (40,) and dtype int64", "expected"),
    ),
    **each("evaluate", "resamples", NO_COUNT, lambda v: evaluate(resamples=v), "whole number"),
    **each("evaluate", "seed", (*NO_SEED, None), lambda v: evaluate(resamples=2, seed=v), "whole"),
    **{
        f"heatmap: {name}": (
            lambda name=name: AnomalyDetector(it().vae, name).explain(it().x),
            (f"score is '{name}'", "no map; 'relative' has one"),
        )
        for name in ("kl", "bound", "latent")
    },
    "score: a learner before calibrate": (
        lambda: AnomalyDetector(it().vae, "latent").score(it().x),
        ("score is 'latent'", "call"),
    ),
    **kinds("save", PATHS, lambda path: it().detector.save(path), "expected"),
    **kinds("load", PATHS, lambda path: AnomalyDetector.load(path), "expected"),
    "save: a folder that is not there": (
        lambda: it().detector.save("/nowhere/at/all/detector"),
        ("path is '/nowhere/at/all/detector'", "expected a file's name in a folder that exists"),
    ),
    "save: a score without a name": (
        lambda: AnomalyDetector(it().vae, Nameless()).calibrate(it().x).save("/nowhere/a"),
        ("score is a Nameless", "no name"),
    ),
}


@pytest.mark.parametrize("name", [*SCORES, *DETECTORS])
def test_is_told(complains, name):
    call, words = {**SCORES, **DETECTORS}[name]
    complains(call, *words)


def stale() -> AnomalyDetector:
    model = VAE(**SIZES)
    detector = AnomalyDetector(model).calibrate(pictures())
    model.encoder.layers[-1].bias.assign([1.0, 2.0])
    return detector


@pytest.mark.parametrize(
    "act",
    [
        lambda detector, folder: detector.is_anomaly(pictures()),
        lambda detector, folder: detector.p_value(pictures()),
        lambda detector, folder: detector.judge(pictures()),
        lambda detector, folder: detector.evaluate(pictures(), np.arange(40) > 3),
        lambda detector, folder: detector.save(folder / "detector"),
    ],
    ids=["is_anomaly", "p_value", "judge", "evaluate", "save"],
)
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: AnomalyDetector(it().vae), "call calibrate first"),
        (stale, "weights have changed since calibrate.* call calibrate again"),
    ],
)
def test_without_a_threshold(tmp_path, act, make, words):
    with pytest.raises(NotFittedError, match=words):
        act(make(), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("make", "told"),
    [
        *[pair for kind, pair in LISTS.items() if kind != "None"],
        (lambda: it().table, "differ"),
        (lambda: it().mixture, "arrays of weights"),
        (lambda: [it().vae, it().gaussian], "it has 1 models, and model is 2"),
    ],
)
def test_a_wrong_model_for_a_file(complains, tmp_path, make, told):
    it().detector.save(tmp_path / "detector")
    complains(lambda: AnomalyDetector.load(tmp_path / "detector", make()), "path is", told)


def test_nothing_has_changed():
    assert_unchanged(call for name, (call, _) in DETECTORS.items() if "detector" not in name)
