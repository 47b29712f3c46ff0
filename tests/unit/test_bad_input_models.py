"""Wrong arguments of models, networks, likelihoods and losses end in a ValueError."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
from test_bad_input import (
    INF,
    NAN,
    NO_COUNT,
    NO_MODELS,
    NO_SEED,
    SHAPE,
    SIZES,
    Cases,
    assert_unchanged,
    dataset,
    each,
    kinds,
    masked,
    pictures,
)
from test_bad_input import subjects as it

from vae_lib import (
    VAE,
    Bernoulli,
    ConditionalVAE,
    Gaussian,
    MixtureVAE,
    likelihoods,
    losses,
    networks,
)


def build(kind: type, argument: str) -> Callable:
    sizes = {**SIZES, **({"classes": 2} if kind is ConditionalVAE else {})}
    return lambda value: kind(**{**sizes, argument: value})


def chain(size: int | tuple, *outputs: tuple) -> keras.Model:
    """A network with outputs of these shapes."""
    x = keras.Input((size,) if isinstance(size, int) else size)
    flat = keras.layers.Flatten()(x)
    layers = [(keras.layers.Dense(int(np.prod(o))), keras.layers.Reshape(o)) for o in outputs]
    heads = [reshape(dense(flat)) for dense, reshape in layers]
    return keras.Model(x, heads if len(heads) > 1 else heads[0])


class Broken(keras.layers.Layer):
    def call(self, x):
        return x.nonsense


NO_SIZES = (4, "44", (), (0, 4), (2.5, 4), (4, None), {4: 4}, None)
LIKELIHOODS = ("poisson", None, 3, Gaussian, ["bernoulli"], np.array(["bernoulli", "x"]), {})
NO_ENCODERS = {
    "a name": (lambda: "dense", "encoder is a str; expected a Keras model"),
    "0": (lambda: 0, "encoder is a int; expected a Keras model"),
    "a class": (lambda: keras.Model, "encoder is a type; expected a Keras model"),
    "one head": (lambda: chain(SHAPE, (2,)), "gives the shapes [(None, 2)]; expected [(None, 2)"),
    "three heads": (lambda: chain(SHAPE, (2,), (2,), (2,)), "encoder gives the shapes"),
    "another latent_dim": (lambda: chain(SHAPE, (3,), (3,)), "gives the shapes [(None, 3), (N"),
    "other data": (lambda: chain((5, 5, 1), (2,), (2,)), "encoder does not take the shape (None"),
    "broken": (Broken, "encoder does not take the shape (None, 4, 4, 1)"),
}
NO_DECODERS = {
    "a name": (lambda: "dense", "decoder is a str; expected a Keras model"),
    "0": (lambda: 0, "decoder is a int; expected a Keras model"),
    "other data": (lambda: chain(2, (4, 4, 3)), "gives the shapes [(None, 4, 4, 3)]; expected"),
    "one that would broadcast": (lambda: chain(2, (1, 4, 1)), "[(None, 1, 4, 1)]; expected"),
    "two outputs": (lambda: chain(2, SHAPE, SHAPE), "decoder gives the shapes"),
    "another latent_dim": (lambda: chain(3, SHAPE), "decoder does not take the shape (None, 2)"),
}
BUILDING: Cases = {
    **each("VAE", "latent_dim", NO_COUNT, build(VAE, "latent_dim"), "whole number"),
    **each("VAE", "data_shape", NO_SIZES, build(VAE, "data_shape")),
    **each("VAE", "standardise", (1, None, "yes", [True]), build(VAE, "standardise")),
    **each("VAE", "hidden", (5, "55", (0,), (2.5,), {5}, (5, None)), build(VAE, "hidden")),
    **each(
        "VAE", "network", ("mlp", None, 3, ["conv"], dict), build(VAE, "network"), "one of ('conv'"
    ),
    **each("VAE", "beta", (-1, NAN, INF, "1", None, True, [1], 1j), build(VAE, "beta"), "finite"),
    **each("VAE", "seed", NO_SEED, build(VAE, "seed"), "0 to 2**32 - 1"),
    **each("VAE", "likelihood", LIKELIHOODS, build(VAE, "likelihood"), "'bernoulli', 'gaussian'"),
    **each("VAE", "dtype", ("bfloat16", "float16", "int32"), build(VAE, "dtype")),
    "VAE: a layer as likelihood": (
        lambda: VAE(likelihood=keras.layers.Dense(1), **SIZES),
        ("likelihood is <Dense", "expected 'bernoulli'"),
    ),
    "VAE: conv of a table": (
        lambda: VAE(data_shape=(13,)),
        ("data_shape is (13,)", "expected (height, width, channels)"),
    ),
    "VAE: conv of 4 x 6 in three layers": (
        lambda: VAE(data_shape=(4, 6, 1), hidden=(2, 2, 2)),
        ("data_shape is (4, 6, 1)", "8 divides"),
    ),
    **kinds("VAE with encoder", NO_ENCODERS, lambda make: VAE(encoder=make(), **SIZES)),
    **kinds("VAE with decoder", NO_DECODERS, lambda make: VAE(decoder=make(), **SIZES)),
    **each("ConditionalVAE", "classes", NO_COUNT, build(ConditionalVAE, "classes")),
    **each("ConditionalVAE", "hidden", (5, "55", (0,), 0), build(ConditionalVAE, "hidden")),
    **each("ConditionalVAE", "beta", (NAN, "1"), build(ConditionalVAE, "beta")),
    **each("ConditionalVAE", "data_shape", (4, None, ()), build(ConditionalVAE, "data_shape")),
    **each(
        "ConditionalVAE",
        "network",
        ("mlp", ["conv"], np.array(["conv", "dense"])),
        build(ConditionalVAE, "network"),
    ),
    **{
        f"ConditionalVAE: {name} is {value!r}": (
            lambda name=name, value=value: ConditionalVAE(2, **{name: value}, **SIZES),
            (f"{name} is a {type(value).__name__}", "expected a Keras model"),
        )
        for name in ("encoder", "decoder")
        for value in ("dense", 0, [])
    },
    "ConditionalVAE: an encoder without classes": (
        lambda: ConditionalVAE(2, encoder=chain(SHAPE, (2,), (2,)), **SIZES),
        ("encoder does not take",),
    ),
    **each("MixtureVAE", "components", NO_COUNT, build(MixtureVAE, "components")),
    **each("MixtureVAE", "latent_dim", (0, "2"), build(MixtureVAE, "latent_dim")),
}

NO_WEIGHTS = {
    "negative": (np.full(40, -1.0), "has values in -1..-1"),
    "NaN": (np.full(40, NAN), "has values in nan..nan"),
    "infinite": (np.full(40, INF), "has values in inf..inf"),
    "too few": (np.ones(39), "has shape (39,)"),
    "two each": (np.ones((40, 2)), "has shape (40, 2)"),
    "one for all": (2.0, "has shape ()"),
    "words": (np.array(["1"] * 40), "dtype <U1"),
    "a string": ("balanced", "has shape ()"),
    "objects": (np.array([None] * 40), "dtype object"),
    "complex": (np.ones(40, "complex64"), "dtype complex64"),
    "ragged": ([[1.0], [2.0, 3.0]], "cannot be read"),
    "a dict": ({0: 1.0}, "has shape ()"),
    "masked": (masked(np.ones(40)), "masked"),
}
NO_LABELS = {
    "words": (np.array(["a"] * 40), "dtype <U1"),
    "a string": ("a", "dtype <U1"),
    "too few": (np.zeros(39, int), "has shape (39,)"),
    "one-hot": (np.eye(2, dtype=int)[np.zeros(40, int)], "has shape (40, 2)"),
    "floats": (np.zeros(40), "dtype float64"),
    "bools": (np.zeros(40, bool), "dtype bool"),
    "objects": (np.array([None] * 40), "dtype object"),
    "negative": (np.full(40, -1), "has values in -1..-1"),
    "unknown": (np.full(40, 2), "has values in 2..2"),
    "ragged": ([[1], [0, 1]], "cannot be read"),
    "masked": (masked(np.zeros(40, int)), "masked"),
    "a set": ({0, 1}, "dtype object"),
}
ALSO_NO_LABELS = {**NO_LABELS, "None": (None, "y is None"), "one for all": (1, "has shape ()")}
PAIRS = {
    "x alone": (lambda: dataset(it().x), "x has batches of x alone; expected (x, y)"),
    "floats": (lambda: dataset(it().x, it().y * 1.0), "x has labels of float64"),
    "unknown": (lambda: dataset(it().x, it().y + 5), "x has labels [5"),
    "one-hot": (lambda: dataset(it().x, np.eye(2, dtype=int)[it().y]), "x has labels"),
}
VALIDATING = {
    "four": (lambda: (it().x,) * 4, "validation_data "),
    "none": (lambda: (), "validation_data "),
    "weights of words": (lambda: (it().x, None, "x"), "sample_weight "),
}


def fit(x=None, **arguments):
    it().spare.fit(it().x if x is None else x, **{"verbose": 0, **arguments})


def fit_pairs(*given, **arguments):
    it().spare_conditional.fit(*given, verbose=0, **arguments)


TRAINING: Cases = {
    "compile: loss": (lambda: it().spare.compile(loss="mse"), ("loss is 'mse'", "expected none")),
    "compile: loss_weights": (
        lambda: it().spare.compile(loss_weights=[1]),
        ("loss_weights is [1]", "expected none"),
    ),
    "compile: optimizer": (lambda: it().spare.compile(3), ("optimizer", "3")),
    "fit: before compile": (lambda: VAE(**SIZES).fit(it().x), ("call `compile()`",)),
    "fit: callbacks": (lambda: fit(callbacks="x"), ("callbacks", "'x'", "expected")),
    "fit: a callback's class": (
        lambda: fit(callbacks=[keras.callbacks.TerminateOnNaN]),
        ("callbacks", "TerminateOnNaN", "expected"),
    ),
    **each("fit", "epochs", (2.5, "3", None), lambda v: fit(epochs=v)),
    **each("fit", "validation_split", (1.5, -0.5, "a"), lambda v: fit(validation_split=v)),
    **{
        f"{name}: batch_size {size!r}": (
            lambda name=name, size=size: getattr(it().spare, name)(
                it().x, batch_size=size, verbose=0
            ),
            (f"batch_size is {size!r}", "expected"),
        )
        for name in ("fit", "evaluate", "predict")
        for size in (0, -1, 2.5, "a")
    },
    "predict with labels: batch_size": (
        lambda: it().conditional.predict(it().x, it().y, batch_size=0),
        ("batch_size is 0", "expected"),
    ),
    "fit: y of another length": (lambda: fit(y=it().y[:3]), ("40", "3")),
    "fit: y beside a dataset": (lambda: fit(dataset(it().x), y=it().y), ("y",)),
    "fit: weights beside a dataset": (
        lambda: fit(dataset(it().x), sample_weight=np.ones(40)),
        ("sample_weight",),
    ),
    **kinds("fit: sample_weight", NO_WEIGHTS, lambda w: fit(sample_weight=w), "sample_weight "),
    "fit: negative weights in a dataset": (
        lambda: fit(dataset(it().x, it().y, -np.ones(40))),
        ("sample_weight is ", "expected"),
    ),
    **kinds("fit: validation_data of", VALIDATING, lambda make: fit(validation_data=make())),
    **{
        f"evaluate: negative weights of {name}": (
            lambda name=name, y=y: getattr(it(), name).evaluate(
                it().x, y and it().y, sample_weight=-np.ones(40), verbose=0
            ),
            ("sample_weight has values in -1..-1", "expected"),
        )
        for name, y in (("vae", None), ("conditional", True))
    },
    **kinds("encode: y", ALSO_NO_LABELS, lambda y: it().conditional.encode(it().x, y), "y "),
    **kinds("fit: y", ALSO_NO_LABELS, lambda y: fit_pairs(it().x, y), "y ", "integers in 0..1"),
    **kinds("predict: y", NO_LABELS, lambda y: it().conditional.predict(it().x, y), "y "),
    "evaluate: y": (
        lambda: it().conditional.evaluate(it().x, it().y + 1, verbose=0),
        ("y has values in 1..2", "integers in 0..1"),
    ),
    **kinds("fit: batches with y", PAIRS, lambda make: fit_pairs(make()), "expected"),
    "fit: labels beside batches": (
        lambda: fit_pairs(dataset(it().x), it().y),
        ("y came beside x", "expected batches (x, y)"),
    ),
    "fit: labels of validation_data": (
        lambda: fit_pairs(it().x, it().y, validation_data=(it().x, it().y + 5)),
        ("y of validation_data has values in 5..6", "expected integers in 0..1"),
    ),
    "fit: validation_data without labels": (
        lambda: fit_pairs(it().x, it().y, validation_data=(it().x,)),
        ("y of validation_data is None", "expected integers in 0..1"),
    ),
    "a conditional pass without labels": (lambda: it().conditional(it().x), ("(x, y)",)),
    "a loss without labels": (lambda: losses.compute_loss(it().conditional, it().x), ("(x, y)",)),
}

NO_LATENT = {
    "a string": ("x", "is a str"),
    "a number": (3, "is a int"),
    "a list": ([1.0, 2.0], "is a list"),
    "a list of points": ([[1.0, 2.0]], "is a list"),
    "another size": (np.zeros((5, 3), "float32"), "has shape (5, 3)"),
    "one point": (np.zeros(2, "float32"), "has shape (2,)"),
    "none": (np.zeros((0, 2), "float32"), "is empty"),
    "NaN": (np.full((5, 2), NAN, "float32"), "NaN or infinite"),
    "integers": (np.zeros((5, 2), int), "dtype int64"),
    "images": (pictures(), "has shape (40, 4, 4, 1)"),
    "masked": (masked(np.zeros((5, 2), "float32")), "masked"),
}
ALSO_NO_LATENT = {**NO_LATENT, "None": (None, "is a NoneType")}
Z = np.zeros((5, 2), "float32")
GENERATING: Cases = {
    **kinds("decode: z", ALSO_NO_LATENT, lambda z: it().vae.decode(z), "z ", "expected"),
    **kinds(
        "decode under a class: z",
        ALSO_NO_LATENT,
        lambda z: it().conditional.given(0).decode(z),
        "z ",
        "expected",
    ),
    **kinds("log_prior: z", ALSO_NO_LATENT, lambda z: it().mixture.log_prior(z), "z ", "expected"),
    **{
        key: case
        for name in ("vae", "mixture", "conditional")
        for key, case in {
            **each(
                f"sample of {name}", "n", NO_COUNT, lambda n, m=name: getattr(it(), m).sample(n=n)
            ),
            **each(
                f"sample of {name}",
                "seed",
                NO_SEED,
                lambda seed, m=name: getattr(it(), m).sample(n=2, seed=seed),
                "whole number",
            ),
            **kinds(
                f"sample of {name}: eps",
                NO_LATENT,
                lambda eps, m=name: getattr(it(), m).sample(eps),
                "eps ",
                "expected",
            ),
        }.items()
    },
    **kinds(
        "sample: classes", NO_LABELS, lambda y: it().conditional.sample(n=40, classes=y), "classes "
    ),
    **{
        f"given: {c!r}": (lambda c=c: it().conditional.given(c), ("c has ", "integers in 0..1"))
        for c in (-1, 2, "a", None, 1.5, [0, 1], [0], True, NAN)
    },
    "reparameterize: a string": (lambda: it().vae.reparameterize("x", Z), ("mean is a str",)),
    "reparameterize: another size": (
        lambda: it().vae.reparameterize(Z, Z[:, :1], eps=Z),
        ("mean has shape (5, 2)", "log_var has shape (5, 1)"),
    ),
    "reparameterize: another eps": (
        lambda: it().vae.reparameterize(Z, Z, eps=Z[:1]),
        ("mean has shape (5, 2)", "eps has shape (1, 2)"),
    ),
}

BUILDERS = ("conv_encoder", "conv_decoder", "dense_encoder", "dense_decoder")
PARTS: Cases = {}
for make in (getattr(networks, name) for name in BUILDERS):
    name = make.__name__
    PARTS |= each(name, "data_shape", NO_SIZES, lambda v, make=make: make(v, 2))
    PARTS |= each(name, "latent_dim", (0, "2"), lambda v, make=make: make(SHAPE, v))
    PARTS |= each(name, "hidden", (5, "5", (0,), None), lambda v, make=make: make(SHAPE, 2, v))
    if name.startswith("conv"):
        PARTS |= each(name, "stride", NO_COUNT, lambda v, make=make: make(SHAPE, 2, (3,), v))
        PARTS |= {
            f"{name}: a stride that does not divide": (
                lambda make=make: make(SHAPE, 2, (3,), 3),
                ("data_shape is (4, 4, 1)", "3 divides"),
            ),
            f"{name}: no layers": (
                lambda make=make: make(SHAPE, 2, ()),
                ("hidden is ()", "at least one layer"),
            ),
            f"{name}: a table": (
                lambda make=make: make((13,), 2),
                ("data_shape is (13,)", "expected (height, width, channels)"),
            ),
        }

UNEQUAL = {
    "a row": ((Z, Z[0]), "mean has shape (5, 2) and log_var has shape (2,)"),
    "a column": ((Z, Z[:, :1]), "mean has shape (5, 2) and log_var has shape (5, 1)"),
    "a number": ((Z, 0.0), "mean has shape (5, 2) and log_var has shape ()"),
    "more": ((Z, np.zeros((4, 2), "float32")), "mean has shape (5, 2) and log_var has shape (4, 2"),
    "numbers": ((1.0, 0.0), "mean has shape ()"),
    "lists": (([[0.0]], [[0.0]]), "mean is a list"),
    "None": ((None, Z), "mean is a NoneType"),
    "strings": ((np.array([["a"]]), np.array([["a"]])), "mean has dtype <U1"),
    "integers": ((np.zeros((5, 2), int), Z), "mean has dtype int64"),
    "masked": ((masked(Z), Z), "mean is a MaskedArray"),
}
REDRAWN = {
    "one image": ((pictures(), pictures(1)), "x has shape (40, 4, 4, 1) and parameters has shape"),
    "no axis": ((pictures(), pictures()[0]), "parameters has shape (4, 4, 1)"),
    "no channels": ((pictures()[..., 0], pictures()), "x has shape (40, 4, 4) and parameters"),
    "channels": ((pictures(), pictures(40, (4, 4, 3))), "parameters has shape (40, 4, 4, 3)"),
    "a number": ((pictures(), 0.0), "parameters has shape ()"),
    "numbers": ((0.5, 0.0), "x has shape ()"),
    "lists": (([[0.0]], [[0.0]]), "x is a list"),
    "None": ((pictures(), None), "parameters is a NoneType"),
    "words": ((pictures(), pictures().astype("U3")), "parameters has dtype <U3"),
    "masked": ((masked(pictures()), pictures()), "x is a MaskedArray"),
}
TERMS = {
    "a column": ((np.zeros(5), np.zeros((5, 1))), "n has shape (5,) and kl has shape (5, 1)"),
    "one": ((np.zeros(5), np.zeros(1)), "reconstruction has shape (5,) and kl has shape (1,)"),
    "a number": ((np.zeros(5), 0.0), "reconstruction has shape (5,) and kl has shape ()"),
    "None": ((None, np.zeros(4)), "reconstruction is a NoneType"),
    "a string": ((np.zeros(4), "x"), "kl is a str"),
    "beta a string": ((np.zeros(4), np.zeros(4), "1"), "beta is a str"),
    "beta None": ((np.zeros(4), np.zeros(4), None), "beta is a NoneType"),
    "beta NaN": ((np.zeros(4), np.zeros(4), NAN), "beta is nan"),
    "beta of many": ((np.zeros(4), np.zeros(4), np.ones(4)), "beta is array"),
    "beta True": ((np.zeros(4), np.zeros(4), True), "beta is a bool"),
}
NORMALS = {
    "a list": (([0.0],), "z is a list"),
    "None": ((None,), "z is a NoneType"),
    "a number": ((0.5,), "z has shape ()"),
    "integers": ((np.zeros((5, 2), int),), "z has dtype int64"),
    "another mean": ((Z, np.zeros(3, "float32")), "z has shape (5, 2) and mean has shape (3,)"),
    "another log_var": ((Z, 0.0, Z[:4]), "z has shape (5, 2) and log_var has shape (4, 2)"),
}
OTHERS = {
    "a name": ("bernoulli", "likelihood is 'bernoulli'"),
    "a class": (Bernoulli, "likelihood is <class"),
    "a sigma without a value": (Gaussian(), "sigma is 'learned'"),
}
bound = losses.importance_weighted_bound
PARTS |= {
    **each("Gaussian", "sigma", (0, -1, NAN, INF, "x", None, True, [1], np.ones(2), 1j), Gaussian),
    **each(
        "Gaussian",
        "min_sigma",
        (0, 1, -1, NAN, "x", None, True),
        lambda v: Gaussian("learned", v),
    ),
    **each("likelihoods.get", "likelihood", LIKELIHOODS, likelihoods.get),
    **each("bound", "k", NO_COUNT, lambda v: bound(it().vae, it().x, v)),
    **each("bound", "chunk", NO_COUNT, lambda v: bound(it().vae, it().x, 2, chunk=v)),
    **each("bound", "seed", (*NO_SEED, None), lambda v: bound(it().vae, it().x, 2, seed=v)),
    **kinds("bound: model", NO_MODELS, lambda make: bound(make(), it().x), "expected a VAE"),
    "bound: a ConditionalVAE": (lambda: bound(it().conditional, it().x), ("model.given(c)",)),
    "bound: a MixtureVAE": (
        lambda: bound(it().mixture, it().x),
        ("model is a MixtureVAE", "expected a VAE with the prior N(0, I)"),
    ),
    **kinds(
        "compute_loss: model",
        NO_MODELS,
        lambda make: losses.compute_loss(make(), it().x),
        "expected a VAE",
    ),
    **kinds("kl_divergence", UNEQUAL, lambda given: losses.kl_divergence(*given), "expected"),
    **kinds(
        "reconstruction",
        REDRAWN,
        lambda given: losses.reconstruction(Bernoulli(), *given),
        "expected",
    ),
    **kinds(
        "reconstruction: likelihood",
        OTHERS,
        lambda one: losses.reconstruction(one, pictures(), pictures()),
        "expected",
    ),
    **kinds("elbo", TERMS, lambda given: losses.elbo(*given), "expected"),
    **kinds("log_normal", NORMALS, lambda given: losses.log_normal(*given), "expected"),
    "log_posterior: another size": (
        lambda: losses.log_posterior(Z, np.zeros((5, 3), "float32")),
        ("eps has shape (5, 2)", "log_var has shape (5, 3)"),
    ),
}
ALL = {**BUILDING, **TRAINING, **GENERATING, **PARTS}


@pytest.mark.parametrize("name", ALL)
def test_is_told(complains, name):
    call, words = ALL[name]
    complains(call, *words)


def test_nothing_has_changed():
    assert_unchanged(call for call, _ in GENERATING.values())
