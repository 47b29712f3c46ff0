"""The live figures' data belong to the code, and `vae_lib.live` shows them."""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import rebuild
import settings_map
import stamp
from notebook_files import ROOT, code_cells, read
from vae_lib import data, live, records, scores, thresholds

DETECTORS = {"zeros": 0, "eights": 8}


def test_the_committed_figures_were_made_by_this_code() -> None:
    noted = (live.ASSETS / stamp.FILE).read_text().strip()
    assert noted == stamp.fingerprint(), "what makes the live figures has changed: run make live"


def test_a_change_of_code_changes_the_fingerprint_and_a_change_of_words_does_not(tmp_path) -> None:
    for name in stamp.SOURCES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(stamp.ROOT / name, tmp_path / name)
    before = stamp.fingerprint(tmp_path)
    path = tmp_path / "vae_lib" / "scores" / "errors.py"
    text = path.read_text()
    path.write_text("# words\n\n" + text.replace('"""One a pixel."""', '"""Other words."""'))
    assert stamp.fingerprint(tmp_path) == before
    path.write_text(text.replace("** 2", "** 4"))
    assert stamp.fingerprint(tmp_path) != before


@pytest.mark.parametrize("name", DETECTORS)
def test_the_committed_calibration_is_what_the_library_computes(name) -> None:
    held, vae = rebuild.content(f"{name}.js"), rebuild.detector(name)
    split = data.split("mnist-5k", normal=DETECTORS[name], seed=0)
    calibration = np.sort(scores.RelativeError()(vae, split.calibration))
    np.testing.assert_allclose(held["calibration"], calibration, atol=1e-5)
    threshold = thresholds.conformal(np.array(held["calibration"]), held["rate"])
    assert held["threshold"] == threshold


@pytest.mark.parametrize("name", DETECTORS)
def test_samples_are_of_the_validation_part_and_where_it_is_wrong_it_is_wrong(name) -> None:
    held, vae = rebuild.content(f"{name}.js"), rebuild.detector(name)
    part = data.split("mnist-5k", normal=DETECTORS[name], seed=0).validation
    known = {image.tobytes(): c for image, c in zip(part.items, part.classes, strict=True)}
    for title, samples in held["samples"].items():
        for sample in samples:
            image = rebuild.pixels(sample["pixels"])
            assert known[image.tobytes()] == sample["digit"]
            alarm = scores.RelativeError()(vae, image[None])[0] > held["threshold"]
            is_wrong = alarm != (sample["digit"] != DETECTORS[name])
            assert is_wrong == (title == "Where it is wrong")


def test_there_is_a_miss_and_a_false_alarm_to_look_at() -> None:
    wrong = rebuild.content("eights.js")["samples"]["Where it is wrong"]
    assert {sample["digit"] == 8 for sample in wrong} == {True, False}


def test_the_committed_test_scores_are_what_the_library_computes() -> None:
    held, vae = rebuild.content("heldout.js"), rebuild.detector("eights")
    part = data.split("mnist-5k", normal=8, seed=0).test
    found = scores.RelativeError()(vae, part.items)
    for kind, rows in (("normal", ~part.is_anomaly), ("anomalous", part.is_anomaly)):
        np.testing.assert_allclose(held[kind], np.sort(found[rows]), atol=1e-5)
    calibration = np.array(rebuild.content("eights.js")["calibration"])
    for preset in held["presets"]:
        exact = thresholds.conformal(calibration, preset["rate"])
        assert 0 <= preset["threshold"] - exact < 0.001 + 1e-9


def test_a_preset_s_rate_is_half_as_much_again_and_chance_alone_can_do_that() -> None:
    """As the page "Try it" says of calibration and test parts of a hundred images each."""
    held, n = rebuild.content("heldout.js"), len(rebuild.content("eights.js")["calibration"])
    normal, worst = np.array(held["normal"]), 0.0
    for preset in held["presets"]:
        alarms = int((normal > preset["threshold"]).sum())
        rank = int(preset["rate"] * (n + 1))  # of the threshold among the calibration scores
        law = stats.betabinom(len(normal), rank, n + 1 - rank)
        assert law.sf(alarms - 1) > 0.02
        if preset["rate"] > 0.05:
            worst = max(worst, alarms / len(normal) / preset["rate"])
    assert n == len(normal) == 100 and 1.4 < worst < 1.7


def test_the_codes_of_the_latent_plane_are_those_of_test_digits() -> None:
    held = rebuild.content("plane.js")
    assert set(held["digits"]) == set("0123456789")
    assert len(rebuild.base64.b64decode(held["codes"])) == 2 * len(held["digits"])


def test_the_map_of_settings_is_that_of_the_records() -> None:
    stale = "the maps of settings have changed: run make live-outputs"
    assert (live.ASSETS / settings_map.FILE).read_text() == settings_map.content(), stale


def test_the_columns_of_the_map_are_those_of_its_chapter() -> None:
    sources = [cell.source for cell in code_cells(read(ROOT / "chapters" / "16_settings.ipynb"))]
    (cell,) = [source for source in sources if source.startswith("COLUMNS = ")]
    assert ast.literal_eval(ast.parse(cell).body[0].value) == settings_map.COLUMNS


def test_a_curve_of_settings_has_its_values_in_order_and_the_default_among_them() -> None:
    found = records.measured("settings_keel")
    curves = settings_map.curves("keel", "one_class", "joint")
    assert [point["value"] for point in curves["latents"]] == ["2", "4", "8", "16", "32"]
    assert [point["value"] for point in curves["width"]] == ["16", "64", "128"]
    assert [point["value"] for point in curves["sigma"]] == ["0.2", "1.0", "learned"]
    for family, points in curves.items():
        (own,) = [point for point in points if point.get("own")]
        tasks = np.array(found["results"]["one_class"]["defaults"]["auroc_joint"])
        np.testing.assert_allclose(own["auroc"], tasks.mean(axis=1), atol=1e-4, err_msg=family)
    four = found["results"]["one_class"]["latents 4"]["elbo"]
    np.testing.assert_allclose(curves["latents"][1]["elbo"], np.mean(four, axis=1), atol=1e-4)


@pytest.mark.parametrize("name", live.FIGURES)
def test_a_figure_carries_all_that_it_needs_and_is_the_same_each_time(name) -> None:
    html = live.show(name)._repr_html_()
    assert html == live.show(name)._repr_html_()
    assert f'data-vae-live="{name}"' in html
    assert html.count("<script>") == html.count("</script>") == 1
    assert re.search(r'<img alt="[^"]{40,}" src="data:image/png;base64,', html)
    assert not re.search(r'(?:src|href)="(?!data:)', html)
    assert len(html.encode()) < 450_000
    assert repr(live.show(name)) == f"LiveFigure({name!r}): {live.FIGURES[name].summary}"


def test_committed_outputs_show_the_committed_figures() -> None:
    assert stamp.stale_outputs() == [], "run make live, or make execute for these chapters"


def test_every_asset_is_in_the_package() -> None:
    settings = (stamp.ROOT / "pyproject.toml").read_text()
    assert '"assets/live/*"' in settings
    used = {name for parts in live.FIGURES.values() for name in parts.scripts}
    assert used | {"shell.js", "style.js", "mount.js"} <= {p.name for p in live.ASSETS.iterdir()}


def luminance(colour: str) -> float:
    digits = colour * 2 if len(colour) == 3 else colour
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("look", [0, 1], ids=["light", "dark"])
def test_colours_have_the_contrast_of_wcag_aa(look) -> None:
    """Text 4.5 to 1, marks and borders of controls that carry meaning 3 to 1 (WCAG 2.2)."""
    rules = re.findall(r":host[^{]*\{([^}]*)\}", Path(live.ASSETS / "style.js").read_text())[look]
    colour = dict(re.findall(r"--([\w-]+): #(\w+)", rules))
    grounds = ("paper", "card", "normal-wash", "anomaly-wash")
    low = [
        (text, ground, ratio)
        for text in ("ink", "quiet", "normal-text", "anomaly-text")
        for ground in grounds
        if (ratio := contrast(colour[text], colour[ground])) < 4.5
    ]
    low += [
        (mark, ground, ratio)
        for mark in ("normal", "anomaly", "focus", "control")
        for ground in ("paper", "card")
        if (ratio := contrast(colour[mark], colour[ground])) < 3
    ]
    assert low == []
