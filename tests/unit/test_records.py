"""The committed results: readable, complete, and of this library and this lock."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import (
    leave_one_out,
    one_class,
    pca,
    protocols,
    record,
    settings,
    small_detection,
)
from vae_lib import records

RECORDS = records.names()
# Hours of one core, older than the fingerprint: the chapter says so beside the figures
OLDER = ("density_k1", "density_k50", "training_speed")
# Of rivals alone: no code of the library takes part
RIVALS = tuple(
    name
    for name in RECORDS
    if name.startswith("peers_") and "vae_lib" not in records.measured(name)["results"]
)
UNTIED = OLDER + RIVALS
OF_THE_LIBRARY = [name for name in RECORDS if name not in UNTIED]


def test_a_name_that_is_not_there(complains):
    complains(lambda: records.measured("two_class"), "name", "two_class", "one_class_mnist")


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_says_how_it_came_about(name):
    found = records.measured(name)
    assert found["command"].startswith("python -m benchmarks ")
    assert {"date", "settings", "results", "versions", "machine"} <= set(found)
    assert "/" not in found["command"].replace("benchmarks/", "")


@pytest.mark.parametrize("name", OF_THE_LIBRARY)
def test_a_record_is_of_this_library(name):
    stale = f"{name} was measured with other code: run {records.measured(name)['command']!r} again"
    assert records.measured(name)["library"] == record.library(), stale


@pytest.mark.parametrize("name", OF_THE_LIBRARY)
def test_a_record_is_of_this_lock(name):
    pins, versions = record.lock(), records.measured(name)["versions"]
    for package in set(record.PACKAGES) & set(versions):
        stale = f"{name} was measured with {package} {versions[package]}, the lock has others"
        assert versions[package].partition("+")[0] in pins[package], stale


STROKES = ("letters", "symbols", "mnist")
MEASURED = [(one_class, data) for data in (*STROKES, "solids", "photographs", "surfaces")]
MEASURED += [(leave_one_out, data) for data in STROKES]


@pytest.mark.parametrize(("protocol", "data"), MEASURED)
def test_a_record_was_measured_with_the_settings_of_the_benchmark(protocol, data):
    name = protocol.__name__.rpartition(".")[2]
    own = {"epochs": protocol.EPOCHS, "batch": protocol.BATCH, "chosen": protocol.CHOSEN}
    found = records.measured(f"{name}_{data}")["settings"]
    assert (protocols.SETTINGS | own).items() <= found.items()


@pytest.mark.parametrize("data", [*STROKES, "solids", "photographs", "surfaces"])
def test_the_pca_stands_beside_the_vae_of_the_same_images(data):
    own, vae = (records.measured(f"{name}_{data}") for name in ("pca", "one_class"))
    assert own["settings"]["components"] == pca.COMPONENTS
    assert own["settings"]["data"] == vae["settings"]["data"]
    for score in protocols.SCORES:
        of_classes = [found["results"]["auroc"][score]["by_class"] for found in (own, vae)]
        assert list(of_classes[0]) == list(of_classes[1])


@pytest.mark.parametrize(
    ("data", "kind"), [("letters", "images"), ("photographs", "images"), ("keel", "tables")]
)
def test_a_map_was_measured_with_the_changes_of_the_benchmark(data, kind):
    document = records.measured(f"settings_{data}")
    own = {"defaults": settings.DEFAULTS[kind], "changes": settings.CHANGES[kind]}
    assert own.items() <= document["settings"].items()
    assert set(document["results"]) == {
        task.partition(" ")[0] for task in document["settings"]["tasks"]
    }
    for of in document["results"].values():
        assert list(of) == list(settings.CHANGES[kind])


def test_the_small_data_set_was_measured_with_the_settings_of_the_benchmark():
    own = {"epochs": small_detection.EPOCHS}
    found = records.measured("small_detection")["settings"]
    assert (small_detection.SETTINGS | own).items() <= found.items()


def test_the_fingerprint_sees_code_and_nothing_else():
    code = 'def f(x):\n    """Old."""\n    return x  # old\n'
    same = 'def f(x):\n    """New\n    words."""\n\n    return x  # new\n'
    assert record.bare(code) == record.bare(same)
    assert record.bare(code) != record.bare(code.replace("return x", "return -x"))


@pytest.mark.parametrize("protocol", ["one_class", "leave_one_out"])
def test_published_means_are_those_of_their_rows(protocol):
    for row in records.published()[protocol]["rows"]:
        assert len(row["auroc"]) == 10 and row["source"]
        assert abs(np.mean(row["auroc"]) - row["mean"]) < 0.0015, row["method"]
