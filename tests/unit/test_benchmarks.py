"""The benchmarks on data of another kind: a dozen small images, classes with any numbers."""

from __future__ import annotations

import argparse
import json

import numpy as np
import pytest

from benchmarks import (
    ablation,
    glyphs,
    leave_one_out,
    one_class,
    out_of_distribution,
    protocols,
    record,
)

CLASSES = (2, 5, 11)


@pytest.fixture
def arguments(tmp_path, monkeypatch) -> argparse.Namespace:
    """Three classes of bright squares in different corners, as a file; results go elsewhere."""
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    monkeypatch.setattr(protocols, "set_threads", lambda threads: None)  # once a process
    for module in (one_class, leave_one_out):
        monkeypatch.setattr(module, "EPOCHS", 2)
    rng = np.random.RandomState(0)
    arrays = {}
    for part, size in (("train", 24), ("test", 8)):
        classes = np.repeat(CLASSES, size)
        images = rng.randint(0, 40, (len(classes), 8, 8), dtype="uint8")
        for image, c in zip(images, classes, strict=True):
            row, column = divmod(CLASSES.index(c), 2)
            image[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 200
        arrays |= {f"x_{part}": images, f"y_{part}": classes}
    path = tmp_path / "corners.npz"
    np.savez(path, **arrays)
    common = {"data": str(path), "work": str(tmp_path / "work"), "seeds": 2, "threads": 1}
    return argparse.Namespace(**common, other=str(path), name="")


def run(module, arguments, name):
    """The record that a benchmark writes."""
    arguments.name = name
    module.run(arguments)
    return json.loads((record.RESULTS / f"{name}_corners.json").read_text())


def test_one_class_and_leave_one_out_take_any_classes(arguments):
    found = run(one_class, arguments, "one_class")["results"]["auroc"]
    assert set(found) == set(protocols.SCORES)
    assert list(found["relative"]["by_class"]) == [str(c) for c in CLASSES]
    assert len(found["relative"]["by_seed"]) == 2 and found["relative"]["mean"] > 0.9
    found = run(leave_one_out, arguments, "leave_one_out")["results"]
    assert found["with_labels"]["relative"]["mean"] > 0.9
    assert list(found["without_labels"]["neighbours"]["by_class"]) == [str(c) for c in CLASSES]


def test_noise_is_out_of_distribution(arguments):
    found = run(out_of_distribution, arguments, "out_of_distribution")["results"]["auroc"]
    assert found["neighbours"]["by_class"]["noise"] > 0.9


def test_an_ablation_changes_one_setting_at_a_time(arguments, monkeypatch):
    changes = {"as it is": {}, "one latent": {"latent_dim": 1}, "half": {"share_of_epochs": 0.5}}
    monkeypatch.setattr(ablation, "CHANGES", changes)
    settings, train = [], protocols.train

    def remember(*given, **changes):
        vae = train(*given, **changes)
        settings.append((vae.latent_dim, given[1], len(given[0])))
        return vae

    monkeypatch.setattr(protocols, "train", remember)
    found = run(ablation, arguments, "ablation")["results"]
    trained = ((16, 2), (1, 2), (16, 1))  # latents, epochs
    assert settings == [(*setting, n) for setting in trained for n in (24, 24, 48, 48)]
    for table in found.values():
        assert set(table) == {"one_class", "leave_one_out"}
        assert list(table["one_class"]["relative"]["by_class"]) == ["2", "11"]
    assert found["as it is"] != found["one latent"]


def test_an_interrupted_run_goes_on_where_it_was(arguments, monkeypatch):
    data, trained = protocols.load(arguments), []

    def work_until(c):
        def class_scores(vae, normal, x, chosen):
            if len(trained) == c:
                raise KeyboardInterrupt
            trained.append(len(normal))
            return {name: np.zeros(len(x)) for name in chosen}

        return class_scores

    progress = one_class.progress_of(arguments, data)
    monkeypatch.setattr(protocols, "all_scores", work_until(1))
    monkeypatch.setattr(record, "peak_memory", lambda: 10.0 - len(trained))
    with pytest.raises(KeyboardInterrupt):
        for c in CLASSES:
            one_class.class_scores(data, c, 0, progress)
    monkeypatch.setattr(protocols, "all_scores", work_until(99))
    progress = one_class.progress_of(arguments, data)
    for c in CLASSES:
        assert one_class.class_scores(data, c, 0, progress)["training"] > 0
    assert len(trained) == len(CLASSES)
    assert progress.peak_mib == 9  # of the first part, which another run has made


@pytest.mark.parametrize("kind", glyphs.KINDS)
def test_glyphs_look_like_a_data_set(kind):
    images, classes = glyphs.draw(kind, 2, seed=0)
    assert images.shape == (20, 28, 28) and images.dtype == np.uint8
    assert classes.tolist() == np.repeat(np.arange(10), 2).tolist()
    assert (images.reshape(20, -1).max(axis=1) > 60).all()
    assert not np.array_equal(images[0], images[1])
    np.testing.assert_array_equal(images, glyphs.draw(kind, 2, seed=0)[0])
