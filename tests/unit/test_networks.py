"""Shapes of the builders' networks, by properties, and their errors."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from keras import layers

from vae_lib import networks

few = settings(max_examples=12)
sizes = st.integers(1, 4)
hiddens = st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple)


@st.composite
def conv_cases(draw):
    hidden, stride = draw(hiddens), draw(st.integers(1, 3))
    total = stride ** len(hidden)
    shape = (total * draw(st.integers(1, 2)), total * draw(st.integers(1, 2)), draw(sizes))
    return shape, draw(sizes), hidden, stride


def layer_outputs(model: keras.Model, kinds: tuple[type, ...]) -> list[tuple]:
    """Shapes without the batch axis, in order."""
    return [tuple(layer.output.shape[1:]) for layer in model.layers if isinstance(layer, kinds)]


def assert_pair(encoder, decoder, shape, latent_dim):
    """Encoder (n, *shape) to two (n, latent_dim); decoder back. Symbolic, then with numbers."""
    assert [tuple(output.shape) for output in encoder.outputs] == [(None, latent_dim)] * 2
    assert tuple(decoder.output.shape) == (None, *shape)
    mean, log_var = encoder(np.ones((3, *shape), "float32"))
    assert mean.shape == log_var.shape == (3, latent_dim)
    assert decoder(mean).shape == (3, *shape)


@few
@given(conv_cases())
def test_conv_shapes(case):
    shape, latent_dim, hidden, stride = case
    encoder = networks.conv_encoder(shape, latent_dim, hidden, stride)
    decoder = networks.conv_decoder(shape, latent_dim, hidden, stride)
    assert_pair(encoder, decoder, shape, latent_dim)


@few
@given(st.lists(sizes, min_size=1, max_size=3).map(tuple), sizes, st.lists(sizes, max_size=2))
def test_dense_shapes(shape, latent_dim, hidden):
    encoder = networks.dense_encoder(shape, latent_dim, hidden)
    decoder = networks.dense_decoder(shape, latent_dim, hidden)
    assert_pair(encoder, decoder, shape, latent_dim)


@pytest.mark.parametrize(("hidden", "stride"), [((3,), 2), ((3, 5), 2), ((3, 5, 7), 2), ((3,), 4)])
def test_the_conv_decoder_is_the_encoder_s_mirror(hidden, stride):
    shape = (16, 8, 2)
    encoder = networks.conv_encoder(shape, 2, hidden, stride)
    decoder = networks.conv_decoder(shape, 2, hidden, stride)
    down = [shape, *layer_outputs(encoder, (layers.Conv2D,))]
    up = layer_outputs(decoder, (layers.Reshape, layers.Conv2DTranspose))
    assert up == down[::-1]
    assert [size[:2] for size in down] == [
        (16 // stride**i, 8 // stride**i) for i in range(len(hidden) + 1)
    ]


def test_the_dense_decoder_is_the_encoder_s_mirror():
    encoder = networks.dense_encoder((4, 2), 3, (9, 6))
    decoder = networks.dense_decoder((4, 2), 3, (9, 6))
    assert layer_outputs(encoder, (layers.Dense,)) == [(9,), (6,), (3,), (3,)]
    assert layer_outputs(decoder, (layers.Dense,)) == [(6,), (9,), (8,)]


def test_defaults_are_what_the_documentation_says():
    assert networks.conv_encoder((28, 28, 1), 16).count_params() == 119_200
    assert layer_outputs(networks.dense_encoder((28, 28, 1), 16), (layers.Dense,))[0] == (256,)


@pytest.mark.parametrize("kind", ["conv", "dense"])
def test_the_last_layers_have_no_activation_and_the_others_have(kind):
    encoder = getattr(networks, f"{kind}_encoder")((4, 4, 1), 2, (3, 3))
    decoder = getattr(networks, f"{kind}_decoder")((4, 4, 1), 2, (3, 3))
    activations = {
        layer.name: layer.activation.__name__
        for model in (encoder, decoder)
        for layer in model.layers
        if hasattr(layer, "activation")
    }
    last = {name: activations.pop(name) for name in ("mean", "log_var", "parameters")}
    assert set(last.values()) == {"linear"}
    assert set(activations.values()) == {"relu"}


def test_mean_and_log_var_are_two_heads_of_one_body():
    encoder = networks.dense_encoder((4,), 2, (3,))
    encoder.get_layer("log_var").kernel.assign(np.zeros((3, 2)))
    encoder.get_layer("log_var").bias.assign([5.0, -5.0])
    mean, log_var = encoder(np.random.RandomState(0).rand(3, 4))
    np.testing.assert_allclose(log_var, [[5, -5]] * 3)
    assert np.abs(mean).max() < 5


def test_a_decoder_without_hidden_layers_is_linear():
    decoder = networks.dense_decoder((3, 2), 4, ())
    weight, bias = decoder.get_layer("parameters").weights
    bias.assign(np.arange(6.0))
    z = np.random.RandomState(0).randn(5, 4).astype("float32")
    expected = (z @ weight.numpy() + np.arange(6)).reshape(5, 3, 2)
    np.testing.assert_allclose(decoder(z), expected, rtol=1e-5, atol=1e-5)


# Sizes


@pytest.mark.parametrize(
    "build",
    [networks.conv_encoder, networks.conv_decoder, networks.dense_encoder, networks.dense_decoder],
)
@pytest.mark.parametrize("whole", [np.int64, np.int32, np.uint8])
def test_sizes_may_be_numpy_integers(build, whole):
    model = build((whole(4), whole(4), whole(1)), whole(2), (whole(3),))
    assert (4, 4, 1) in {tuple(t.shape[1:]) for t in (*model.inputs, *model.outputs)}


@given(st.integers(1, 40), st.integers(1, 40), st.integers(2, 4), hiddens)
def test_a_size_that_the_strides_do_not_divide(height, width, stride, hidden):
    total = stride ** len(hidden)
    assume(height % total or width % total)
    for build in (networks.conv_encoder, networks.conv_decoder):
        with pytest.raises(ValueError) as caught:
            build((height, width, 1), 2, hidden, stride)
        words = (f"data_shape is {(height, width, 1)}", "expect", f"{total} divides")
        assert all(word in str(caught.value) for word in words)
