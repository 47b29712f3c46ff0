"""Figures: what is drawn, and never shown."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from vae_lib import plots

SCORES = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 9.0])
IS_ANOMALY = np.array([False, False, False, False, True, True])


@pytest.fixture(autouse=True)
def never_shown(monkeypatch):
    def show(*args, **kwargs):
        raise AssertionError("a figure was shown")

    monkeypatch.setattr(plt, "show", show)


def drawn(fig) -> list[np.ndarray]:
    """The pixels of each image in a figure."""
    return [np.asarray(ax.images[0].get_array()) for ax in fig.axes if ax.images]


def test_every_image_is_drawn_in_order(images):
    fig = plots.image_grid(images, columns=5)
    assert isinstance(fig, mpl.figure.Figure)
    assert len(fig.axes) == 15  # three rows, three places left empty
    for image, pixels in zip(images, drawn(fig), strict=True):
        np.testing.assert_array_equal(pixels, image[..., 0])


def test_images_share_one_scale_of_grey(images):
    fig = plots.image_grid(images * 0.1)
    assert {ax.images[0].get_clim() for ax in fig.axes if ax.images} == {(0.0, 1.0)}
    fig = plots.image_grid(images, vmin=-2, vmax=3)
    assert {ax.images[0].get_clim() for ax in fig.axes if ax.images} == {(-2.0, 3.0)}


@pytest.mark.parametrize("shape", [(2, 4, 4), (2, 4, 4, 1), (2, 4, 4, 3), (2, 4, 1, 1)])
def test_images_with_and_without_channels(shape):
    fig = plots.image_grid(np.full(shape, 0.5))
    assert all(pixels.shape[:2] == shape[1:3] for pixels in drawn(fig))
    fig.canvas.draw()


def test_titles_and_their_colours(images):
    fig = plots.image_grid(images[:2], titles=["a", "b"], colors=[plots.NORMAL, plots.ANOMALY])
    titles = [(ax.get_title(), ax.title.get_color()) for ax in fig.axes if ax.images]
    assert titles == [("a", plots.NORMAL), ("b", plots.ANOMALY)]


def test_whole_images_and_numpys_own_numbers_are_fine(images):
    fig = plots.image_grid((images * 9).astype("uint8"), columns=np.int64(5), vmax=np.float32(9))
    assert len(fig.axes) == 15
    plots.score_histogram(SCORES.astype(int), IS_ANOMALY, np.float32(3), np.int64(7))
    plots.image_grid(images[:2], titles=np.array(["a", "b"]), colors=np.array(["red", "blue"]))


def bars(fig) -> dict[str, list]:
    """The bars of each histogram by its label, which Matplotlib keeps at the first bar."""
    return {container[0].get_label(): list(container) for container in fig.axes[0].containers}


def test_histogram_draws_a_density_of_each_kind():
    both = bars(plots.score_histogram(SCORES, IS_ANOMALY, bins=9))
    assert set(both) == {"normal", "anomalous"}
    for part in both.values():
        assert sum(bar.get_height() * bar.get_width() for bar in part) == pytest.approx(1)
    assert [bar.get_height() for bar in both["normal"]][5:] == [0] * 4
    assert [bar.get_height() for bar in both["anomalous"]][:4] == [0] * 4


def test_the_two_kinds_share_their_bins_and_differ_without_colour():
    both = bars(plots.score_histogram(SCORES, IS_ANOMALY, bins=9))
    edges = [[bar.get_x() for bar in part] for part in both.values()]
    np.testing.assert_allclose(edges[0], edges[1])
    assert both["normal"][0].get_hatch() != both["anomalous"][0].get_hatch()


def test_threshold_is_a_line_if_there_is_one():
    assert plots.score_histogram(SCORES, IS_ANOMALY).axes[0].lines[:] == []
    ax = plots.score_histogram(SCORES, IS_ANOMALY, threshold=3.5).axes[0]
    assert ax.lines[0].get_xdata()[0] == 3.5
    assert "threshold" in [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", [True, False])
def test_a_histogram_of_one_kind_alone(kind):
    both = bars(plots.score_histogram(SCORES, np.full(6, kind)))
    assert set(both) == {"anomalous" if kind else "normal"}


def test_the_style_is_taken_over():
    with mpl.rc_context():
        mpl.rcdefaults()
        plots.use_style()
        assert mpl.rcParams["axes.prop_cycle"].by_key()["color"] == list(plots.PALETTE)
        assert plt.figure().get_facecolor() == (1, 1, 1, 1)


def test_colours_are_distinct():
    assert len(set(plots.PALETTE)) == len(plots.PALETTE) == 8
    assert plots.PALETTE[:2] == (plots.NORMAL, plots.ANOMALY)


def words(ax) -> list[str]:
    """What stands in the boxes and beside the arrows of a part of a diagram."""
    return [text.get_text() for text in ax.texts if text.get_text()]


def test_the_diagram_has_every_part_of_a_vae_and_both_terms():
    (ax,) = plots.vae_diagram().axes
    parts = ["$x$", "encoder", r"$\mu,\ \log\sigma^2$", "$z$", "decoder", r"$p(x \mid z)$"]
    assert [word for word in words(ax) if word in parts] == parts
    assert any("KL" in word for word in words(ax)) and any("rec" in word for word in words(ax))
    assert "loss" not in words(ax)


def ends(ax) -> list[float]:
    """Where each dashed arrow, the way of the gradient, ends."""
    arrows = [text for text in ax.texts if getattr(text, "arrow_patch", None) is not None]
    return [text.xy[0] for text in arrows if text.arrow_patch.get_linestyle() in ("--", "dashed")]


@pytest.mark.parametrize("true", [True, np.True_])
def test_the_gradient_ends_at_a_draw_and_passes_the_shift(true):
    fig = plots.vae_diagram(gradient=true)
    fig.canvas.draw()
    drawn_z, shifted = fig.axes
    place = dict(plots.BOXES)
    assert ends(drawn_z) == [place["$z$"]]  # not beyond the draw
    assert ends(shifted) == [place["encoder"]]
    assert r"$\varepsilon$" in words(shifted) and r"$\varepsilon$" not in words(drawn_z)
    assert len(drawn_z.lines) == 1 and not shifted.lines  # the cross
