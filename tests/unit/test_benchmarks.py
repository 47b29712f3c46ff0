"""The benchmarks on data of another kind: a dozen small images, classes with any numbers."""

from __future__ import annotations

import argparse
import json
import multiprocessing.dummy

import numpy as np
import pytest
from PIL import Image
from sklearn.covariance import EmpiricalCovariance

from benchmarks import (
    combination,
    confirm,
    contestants,
    density,
    explain,
    glyphs,
    keel,
    leave_one_out,
    one_class,
    out_of_distribution,
    pca,
    peers,
    pictures,
    protocols,
    record,
    settings,
    tables,
)
from benchmarks.__main__ import main
from vae_lib import losses, scores
from vae_lib.detector import recipe
from vae_lib.scores import fusion

CLASSES = (2, 5, 11)


def corners(classes=CLASSES, train=24, test=8, brightest=40) -> dict[str, np.ndarray]:
    """Bright squares, in another corner for each class, on noise."""
    rng = np.random.RandomState(0)
    arrays = {}
    for part, size in (("train", train), ("test", test)):
        labels = np.repeat(classes, size)
        images = rng.randint(0, brightest, (len(labels), 8, 8), dtype="uint8")
        for image, c in zip(images, labels, strict=True):
            row, column = divmod(classes.index(c), 2)
            image[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 200
        arrays |= {f"x_{part}": images, f"y_{part}": labels}
    return arrays


@pytest.fixture
def arguments(tmp_path, monkeypatch) -> argparse.Namespace:
    """Three classes of `corners`, as a file; results go elsewhere."""
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    monkeypatch.setattr(protocols, "set_threads", lambda threads: None)  # once a process
    for module in (one_class, leave_one_out):
        monkeypatch.setattr(module, "EPOCHS", 2)
    monkeypatch.setattr(protocols, "SCORES", ("relative", "neighbours", "fusion"))  # not hours
    path = tmp_path / "corners.npz"
    np.savez(path, **corners())
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
    arguments.seeds = 1
    found = run(leave_one_out, arguments, "leave_one_out")["results"]
    assert found["with_labels"]["relative"]["mean"] > 0.9
    assert list(found["without_labels"]["neighbours"]["by_class"]) == [str(c) for c in CLASSES]


def test_fixed_networks_ask_for_images_of_their_size(arguments, complains):
    complains(lambda: contestants.load(arguments.data, 100), "(72, 8, 8)", "28, 28", "uint8")


def test_a_command_is_recorded_without_folders_of_this_machine(arguments, monkeypatch):
    words = ["--data", arguments.data, "--out", "/tmp/a", "--work=/tmp/b", "--threads", "1"]
    monkeypatch.setattr("sys.argv", ["benchmarks", "one_class", *words])
    found = json.loads(record.write("any", {}, {}).read_text())
    assert found["command"] == "python -m benchmarks one_class --data corners.npz --threads 1"


def test_noise_and_another_data_set_are_out_of_distribution(arguments, tmp_path):
    arguments.seeds = 1
    found = run(out_of_distribution, arguments, "out_of_distribution")["results"]
    assert found["auroc"]["neighbours"]["by_class"]["noise"] > 0.9
    black = {name: np.zeros_like(a) if name[0] == "x" else a for name, a in corners().items()}
    arguments.other = str(tmp_path / "black.npz")
    np.savez(arguments.other, **black)
    again = run(out_of_distribution, arguments, "out_of_distribution")["results"]
    other = [f["auroc"]["relative"]["by_class"]["other data set"] for f in (found, again)]
    assert other[0] != other[1]  # measured anew


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classes": (2,)}, ("y_train", "one class", "two or more")),
        ({"train": 9}, ("class 2", "9 training images", "10 or more")),
        ({"y_test": np.repeat([2, 5, 12], 8)}, ("class 11", "y_train and y_test", "in both")),
        ({"x_train": np.zeros((5, 8))}, ("corners.npz", "x_train", "(5, 8)")),
    ],
)
def test_data_that_a_protocol_cannot_use(arguments, complains, changes, words):
    made = {k: v for k, v in changes.items() if "_" not in k}
    np.savez(arguments.data, **corners(**made) | {k: changes[k] for k in changes if "_" in k})
    complains(lambda: protocols.load(arguments), *words)


def test_the_command_says_in_a_line_what_is_wrong(arguments, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["benchmarks", "one_class", "--data", "missing.npz"])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err.splitlines()[-1].startswith("python -m benchmarks: error: ")


def test_images_that_repeat_have_neighbours_at_no_distance(arguments):
    arguments.seeds, arrays = 1, corners(brightest=1)  # all images of a class are the same
    np.savez(arguments.data, **arrays)
    found = run(leave_one_out, arguments, "leave_one_out")["results"]
    assert found["ensemble_without_labels"]["neighbours"]["mean"] > 0.9


@pytest.mark.parametrize("change", ["versions", "threads", "data", "benchmarks"])
def test_nothing_is_taken_from_a_run_that_differed(arguments, monkeypatch, change):
    one = protocols.Progress(arguments, "hash", epochs=2).folder
    assert protocols.Progress(arguments, "hash", epochs=2).folder == one
    if change == "threads":
        arguments.threads = 7
    elif change != "data":
        monkeypatch.setattr(record, change, lambda: "another")
    assert protocols.Progress(arguments, change, epochs=2).folder != one


def test_a_density_is_of_the_data_that_it_names(arguments, monkeypatch):
    monkeypatch.setattr(density, "STAGES", {1: [(1, 1, 1e-3, 1e-5)]})
    monkeypatch.setattr(density, "BATCH", 8)
    arguments.k, arguments.seed, arguments.hidden, arguments.samples = 1, 0, 8, 5
    arguments.name, found = "density", []
    for brightest in (40, 2):
        np.savez(arguments.data, **corners(brightest=brightest))
        density.run(arguments)
        found.append(json.loads((record.RESULTS / "density_k1.json").read_text()))
    nats = [f["results"]["nll"]["nats"] for f in found]
    assert nats[0] != nats[1] and found[0]["settings"]["data"] != found[1]["settings"]["data"]


@pytest.mark.parametrize("name", ["pca_32", "pca_32_relative", "knn_5_cosine"])
def test_a_peer_ranks_strangers_higher(name):
    x = corners()["x_train"][..., None] / np.float32(255)  # fewer images than 32 components
    scores = peers.fit(name, x[:24], seed=0, threads=1)(x)
    assert scores[:24].mean() < scores[24:].min()


def test_a_pca_in_the_vae_s_place_has_the_errors_of_the_pca():
    """And all eight parts of the fusion, by the library's code."""
    x = corners(train=48)["x_train"][..., None] / np.float32(255)
    model = pca.as_vae(x, seed=0)
    for score, peer in (("reconstruction", "pca_32"), ("relative", "pca_32_relative")):
        expected = peers.fit(peer, x, seed=0, threads=1)(x)
        np.testing.assert_allclose(scores.get(score)(model, x), expected, rtol=1e-3)
    codes = np.asarray(model.encode(x)[0])
    np.testing.assert_allclose(codes.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(codes.var(axis=0, ddof=1), 1, rtol=1e-3)
    assert scores.get("fusion").fit(model, x[::2], x[1::2]).parts == fusion.OF_IMAGES


def test_a_pca_is_measured_as_a_vae_is(arguments):
    document = run(pca, arguments, "pca")
    found = document["results"]["auroc"]
    assert set(found) == set(protocols.SCORES)
    assert list(found["fusion"]["by_class"]) == [str(c) for c in CLASSES]
    assert len(found["fusion"]["by_seed"]) == 2 and found["relative"]["mean"] > 0.9
    assert document["settings"]["components"] == pca.COMPONENTS


def test_a_peer_by_class_takes_the_smallest_score_of_its_classes(arguments):
    data, name = protocols.load(arguments), "pca_32_relative"
    arguments.protocol, others = "leave_one_out", [c for c in CLASSES if c != 2]
    found = peers._scores(name + peers.BY_CLASS, data, 2, 0, arguments)["scores"]
    parts = [peers.fit(name, data.x_train[data.y_train == c], 0, 1) for c in others]
    np.testing.assert_array_equal(found, np.min([part(data.x_test) for part in parts], axis=0))


@pytest.fixture
def small_map(monkeypatch):
    """Few examples and changes; what each training was given."""
    trained, train = [], protocols.train
    sizes = {"examples": 12, "held_out": 6, "width": 8, "epochs": 2, "batch": 4}
    for kind, own in settings.DEFAULTS.items():
        monkeypatch.setitem(settings.DEFAULTS, kind, own | sizes)
        changes = {name: settings.CHANGES[kind][name] for name in ("defaults", "latents 2")}
        monkeypatch.setitem(settings.CHANGES, kind, changes)
    monkeypatch.setattr(settings, "EVERY", 2)
    monkeypatch.setattr(settings, "CONTEXT", multiprocessing.dummy)  # threads: nothing to import

    def remember(x, epochs, batch, seed, **changes):
        trained.append((x, seed, changes["latent_dim"]))
        return train(x, epochs, batch, seed, **changes)

    monkeypatch.setattr(protocols, "train", remember)
    return trained


def test_a_map_pairs_a_change_with_the_defaults(arguments, small_map):
    document = run(settings, arguments, "settings")
    found = document["results"]
    tasks = [f"{protocol} {c}" for protocol in settings.PROTOCOLS for c in (2, 11)]
    assert document["settings"]["tasks"] == tasks and list(found) == list(settings.PROTOCOLS)
    for of in found.values():
        assert list(of) == ["defaults", "latents 2"] and of["defaults"] != of["latents 2"]
        for values in of["defaults"].values():
            assert np.shape(values) == (arguments.seeds, 2)
    assert np.mean(found["one_class"]["defaults"]["auroc_fusion"]) > 0.9
    # trained in the order of changes, protocols, seeds, classes
    half = len(small_map) // 2
    for (x, *seed, latents), (same, *of, fewer) in zip(
        small_map[:half], small_map[half:], strict=True
    ):
        np.testing.assert_array_equal(x, same)
        assert seed == of and (latents, fewer) == (16, 2) and len(x) == 12
    assert not np.array_equal(small_map[0][0], small_map[2][0])  # another seed
    settings.run(arguments)
    assert len(small_map) == 2 * half  # goes on from there: nothing is trained twice


def test_the_elbo_of_a_map_is_of_normal_examples_that_took_no_part(arguments, small_map):
    data = protocols.load(arguments)
    task = settings.Task(data.x_train[data.y_train == 2], data.x_test, data.y_test != 2)
    found = settings.measure(task, "images", {"beta": 5000.0, "latent_dim": 2}, 0)
    order = np.random.RandomState(0).permutation(24)
    validation, train = task.normal[order[6:12]], task.normal[order[12:]]
    sizes = {"latent_dim": 2, "hidden": [8], "beta": 5000.0, "sigma": 0.2, "rate": 1e-3}
    vae = protocols.train(train, 2, 4, 0, **sizes)
    draws = [losses.importance_weighted_bound(vae, validation, 1, seed) for seed in range(100)]
    assert found["elbo"] == pytest.approx(np.mean(draws), rel=0.03)
    kl = np.mean(losses.kl_divergence(*vae.encode(validation)))
    assert 4999 * kl > 0.1 * abs(found["elbo"])  # a beta of 5,000 would be seen


def test_a_change_of_examples_keeps_the_number_of_steps():
    own = settings.DEFAULTS["images"]
    found = settings.settings_of("images", {"examples": 0.25})
    assert found["examples"] * found["epochs"] == own["examples"] * own["epochs"]
    assert found["examples"] == own["examples"] / 4
    assert settings.settings_of("images", {"epochs": 2})["epochs"] == 2 * own["epochs"]
    assert settings.settings_of("images", {}) == own
    for kind, changes in settings.CHANGES.items():
        made = [settings.settings_of(kind, change) for change in changes.values()]
        assert all(made.count(one) == 1 for one in made), kind


def test_a_map_of_tables(folder, small_map, monkeypatch):
    monkeypatch.setattr(settings, "TABLES", ("1", "0"))
    folder.name = "settings"
    settings.run(folder)
    found = json.loads((record.RESULTS / "settings_rows.json").read_text())
    assert found["settings"]["tasks"] == ["one_class 0", "one_class 1"]
    assert set(found["results"]) == {"one_class"}
    assert np.mean(found["results"]["one_class"]["defaults"]["auroc_joint"]) > 0.8


def test_a_map_needs_its_tables_and_enough_examples(folder, arguments, complains, tmp_path):
    complains(lambda: settings.run(folder), "none of the tables", *settings.TABLES)
    arguments.data = str(tmp_path / "corners.npz")
    complains(lambda: settings.run(arguments), "24 normal training examples", "480 or more")


def test_an_interrupted_run_goes_on_where_it_was(arguments, monkeypatch):
    data, trained = protocols.load(arguments), []

    def work_until(c):
        def class_scores(vae, normal, x, chosen):
            if len(trained) == c:
                raise KeyboardInterrupt
            trained.append(len(normal[0]))
            return {name: np.zeros(len(x)) for name in protocols.SCORES}

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


def test_solids_and_drawn_surfaces_look_like_a_data_set():
    images, classes = pictures.draw("solids", 2, "train")
    assert images.shape == (16, 28, 28) and images.dtype == np.uint8
    np.testing.assert_array_equal(classes, np.repeat(range(8), 2))
    np.testing.assert_array_equal(images, pictures.draw("solids", 2, "train")[0])
    assert (images != pictures.draw("solids", 2, "test")[0]).any()
    assert (images[:, 0, 0] < 10).all() and (images.max(axis=(1, 2)) > 60).all()
    for kind in pictures.DRAWN:
        sheet = pictures._surface(kind, np.random.RandomState(0))
        assert 0.3 < sheet.mean() < 0.7 and 0.04 < sheet.std() < 0.4


def test_tiles_of_test_images_share_no_pixel_with_those_of_training():
    columns = np.repeat(np.arange(200, dtype="uint8")[np.newaxis], 100, axis=0)
    picture, rng = Image.fromarray(columns), np.random.RandomState(0)
    tiles = {
        part: np.stack([pictures._tile(picture, rng, part, 30, 60) for _ in range(50)]) * 255
        for part in ("train", "test")
    }
    assert tiles["train"].max() < pictures.CUT * 200 <= tiles["test"].min()
    assert tiles["train"].min() < 15 and tiles["test"].max() > 185  # and use all of their part


def test_the_rarer_label_of_keel_is_the_anomaly(tmp_path):
    parts = {"fold0-x_train": [["1.5"], ["2"]], "fold0-x_test": [["3"]]}
    np.savez(tmp_path / "a.npz", **parts, **{"fold0-y_train": ["n", "p"], "fold0-y_test": ["n"]})
    x, y = keel.read(tmp_path / "a.npz")
    np.testing.assert_array_equal(x, [[1.5], [2], [3]])
    np.testing.assert_array_equal(y, [0, 1, 0])


@pytest.fixture
def folder(arguments, tmp_path, monkeypatch) -> argparse.Namespace:
    """Two tables whose anomalies break the tie of two columns; a third column is constant."""
    arguments.data = str(tmp_path / "rows")
    (tmp_path / "rows").mkdir()
    for seed in range(2):
        rng = np.random.RandomState(seed)
        x = rng.randn(260, 3) * [1, 5, 0] + [0, 0, 7]
        y = np.arange(260) >= 200
        x[~y, 1] = 5 * x[~y, 0] + 0.1 * rng.randn(200)
        np.savez(tmp_path / "rows" / f"{seed}.npz", X=x, y=y.astype("int8"))
    monkeypatch.setattr(tables, "CONTEXT", multiprocessing.dummy)  # threads: nothing to import
    monkeypatch.setattr(recipe, "EPOCHS", (2, 2))
    arguments.name, arguments.detectors = "tables", ["vae_lib", "knn_5", "lof", "pca"]
    return arguments


def test_tables_in_a_folder(folder):
    tables.run(folder)
    document = json.loads((record.RESULTS / "tables_rows.json").read_text())
    found = document["results"]
    assert list(found) == folder.detectors
    for name in folder.detectors:
        least = 0.5 if name == "vae_lib" else 0.8  # it hardly trains here
        assert found[name]["auroc"] > least and found[name]["average_precision"] > 0.2
        assert list(found[name]["by_table"]) == ["0", "1"] and len(found[name]["by_seed"]) == 2
    assert sum(one["mean_rank"] for one in found.values()) == pytest.approx(1 + 2 + 3 + 4)
    parts = list((record.RESULTS / "work").glob("tables_*/*.npz"))
    assert len(parts) == 4 * 2 * 2
    times = {path: path.stat().st_mtime_ns for path in parts}
    tables.run(folder)  # goes on from there: nothing is measured twice
    assert times == {path: path.stat().st_mtime_ns for path in parts}
    assert json.loads((record.RESULTS / "tables_rows.json").read_text())["results"] == found


def test_explanations_of_swapped_cells(folder, monkeypatch):
    folder.name = "explain"
    monkeypatch.setattr(explain, "SWAPS", 40)
    explain.run(folder)
    found = json.loads((record.RESULTS / "explain_rows.json").read_text())["results"]
    assert {"vae_lib", "joint_heatmap", "gaussian_conditional", "deviation"} <= set(found)
    for name, one in found.items():
        assert 0 <= one["first"] <= 1 and len(one["first_by_seed"]) == folder.seeds, name
        assert list(one["by_table"]) == ["0", "1"]
    # the two columns go together, so that no column by itself tells which of them is wrong
    assert found["gaussian_conditional"]["first_of_large"] > 0.4


def test_a_swapped_cell_is_the_only_change():
    normal = np.random.RandomState(0).randn(50, 4) * [1, 2, 3, 0]
    rows, columns, moved = explain.swaps(normal, normal.std(axis=0), seed=0)
    assert len(rows) == len(columns) == len(moved) == explain.SWAPS and moved.min() > 0
    assert set(columns) == {0, 1, 2}  # the last one is constant
    for row, column in zip(rows, columns, strict=True):
        origin = np.delete(normal, column, axis=1) == np.delete(row, column)
        (index,) = np.flatnonzero(origin.all(axis=1))
        assert normal[index, column] != row[column] and row[column] in normal[:, column]


def test_half_of_the_normal_rows_train_and_their_columns_are_the_unit():
    rng = np.random.RandomState(0)
    x, y = rng.randn(7000, 2) * [3, 0] + 5, np.arange(7000) < 700
    train, test, truth = tables.split(x, y, 0)
    assert len(train) + len(test) == tables.MOST
    assert abs(len(train) - (~truth).sum()) <= 1 and truth.sum() > 400
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(train.std(axis=0), [1, 0], atol=1e-5)
    assert not np.array_equal(tables.split(x, y, 1)[0], train)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"y": np.zeros(30)}, ("bad.npz", "0 and 1")),
        ({"y": np.arange(29) % 2}, ("bad.npz", "(30, 2)", "(29,)")),
        ({"X": np.full((30, 2), np.nan)}, ("bad.npz", "finite")),
        ({"X": np.full((30, 2), "a")}, ("bad.npz", "numbers")),
        ({"y": None}, ("bad.npz", "y")),
    ],
)
def test_what_is_no_table_is_named_at_once(folder, complains, changes, words):
    good = {"X": np.zeros((30, 2)), "y": np.arange(30) > 20}
    arrays = {k: v for k, v in (good | changes).items() if v is not None}
    np.savez(f"{folder.data}/bad.npz", **arrays)
    complains(lambda: tables.run(folder), *words)


def test_a_folder_without_tables(folder, complains, tmp_path):
    folder.data = str(tmp_path / "nowhere")
    complains(lambda: tables.run(folder), "nowhere", "folder of .npz files")


@pytest.mark.parametrize("installed", [None, "a spec"])
def test_detectors_that_are_not_installed_are_left_out_with_a_word(monkeypatch, capsys, installed):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: installed)
    assert set(tables.names()) - set(tables.NAMES) == set(tables.OF_PYOD if installed else ())
    assert ("without ecod" in capsys.readouterr().out) is (installed is None)


def test_an_unknown_detector(folder, complains):
    folder.detectors = ["vae_lib", "oracle"]
    complains(lambda: tables.run(folder), "oracle", "expected")


def test_scores_of_one_model_combined(arguments):
    arguments.protocol, arguments.seeds = "one_class", 1
    found = run(combination, arguments, "combination_one_class")["results"]["auroc"]
    names = {*combination.PARTS, *combination.COMBINATIONS, "mean_of_two"}
    assert set(found) == names | {f"without_{part}" for part in combination.PARTS}
    assert found["half_sided"]["mean"] > 0.8
    logs = {f"{part}_{n}": v for part in ("held", "test") for n, v in drawn_logs(part).items()}
    expected = mahalanobis(logs["held_a"], logs["held_b"], logs["test_a"], logs["test_b"])
    np.testing.assert_allclose(combination.whitened(logs, ("a", "b"), 1.0, 0.0), expected)


def drawn_logs(part: str) -> dict[str, np.ndarray]:
    rng = np.random.RandomState(len(part) + (part == "held"))
    a = rng.randn(50)
    return {"a": 3 * a + 1, "b": a + 0.3 * rng.randn(50)}


def mahalanobis(*columns: np.ndarray) -> np.ndarray:
    held, test = np.stack(columns[:2], axis=1), np.stack(columns[2:], axis=1)
    return EmpiricalCovariance().fit(held).mahalanobis(test)


def test_a_deviation_below_the_usual_counts_as_asked():
    held = np.random.RandomState(0).randn(400)
    logs = {"held_a": held - held.mean(), "test_a": np.array([-2.0, 2.0])}
    below, above = combination.whitened(logs, ("a",), 0.5)
    assert below == pytest.approx(above / 4)
    assert combination.whitened(logs, ("a",), 0.0)[0] == 0
    assert combination.one_sided(logs, ("a",))[0] == 0


def test_records_hold_where_every_figure_is_the_same_again(
    folder, tmp_path, monkeypatch, complains
):
    committed = tmp_path / "records"
    monkeypatch.setattr(confirm, "FOLDER", committed)
    monkeypatch.setattr(confirm, "IMAGES", "one_class_corners")
    monkeypatch.setattr(confirm, "TABLES", "tables_rows")
    monkeypatch.setattr(protocols, "SCORES", ("relative",))
    monkeypatch.setattr(record, "library", lambda: "old")
    monkeypatch.setattr(record, "RESULTS", committed)
    folder.detectors, folder.seeds, folder.changed = ["vae_lib_one_model"], 1, []
    tables.run(folder)
    folder.letters, folder.keel = str(tmp_path / "corners.npz"), folder.data
    folder.data, folder.name = folder.letters, "one_class"
    one_class.run(folder)
    (committed / "density.json").write_text('{"library": "older"}')
    monkeypatch.setattr(record, "library", lambda: "new")
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    kept = {path: path.read_text() for path in committed.glob("*.json")}

    path = committed / "tables_rows.json"
    document = json.loads(path.read_text())
    document["results"]["vae_lib_one_model"]["by_seed"][0] += 0.0001
    path.write_text(json.dumps(document))
    complains(lambda: confirm.run(folder), "have changed", "tables_rows, vae_lib_one_model")
    path.write_text(kept[path])
    assert kept == {path: path.read_text() for path in committed.glob("*.json")}

    def prints(**expected):
        found = {path.stem: json.loads(path.read_text()) for path in committed.glob("*.json")}
        assert {name: document["library"] for name, document in found.items()} == expected
        assert "confirmed" in found["tables_rows"]

    changed = json.loads(kept[committed / "one_class_corners.json"])
    changed["results"]["auroc"]["relative"]["by_seed"][0] += 0.0001
    path = committed / "one_class_corners.json"
    path.write_text(json.dumps(changed))
    complains(lambda: confirm.run(folder), "have changed", "one_class_corners, relative")
    folder.changed = ["relative"]
    confirm.run(folder)
    prints(one_class_corners="old", tables_rows="new", density="older")
    for path, text in kept.items():
        path.write_text(text)
    folder.changed = []
    confirm.run(folder)
    prints(one_class_corners="new", tables_rows="new", density="older")
