"""A folder of pictures becomes four parts, by label and group; what does not belong is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vae_lib import VAE, AnomalyDetector, data
from vae_lib.data.parts import divide

PARTS = ("train", "calibration", "validation", "test")
KINDS = ("scratch", "stain")


def save(path: Path, level: int = 0, shape: tuple[int, ...] = (6, 4, 3)) -> Path:
    """A picture whose pixels say which one it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full(shape, level, "uint8")
    pixels[0, 0] = 255 - level
    Image.fromarray(pixels).save(path)
    return path


def fill(folder: Path, n: int, first: int = 0) -> list[Path]:
    return [save(folder / f"{i:03}.png", i) for i in range(first, first + n)]


@pytest.fixture
def flat(tmp_path) -> Path:
    fill(tmp_path, 20)
    return tmp_path


@pytest.fixture
def labelled(tmp_path) -> Path:
    fill(tmp_path / "normal", 40)
    for number, kind in enumerate(KINDS, 1):
        fill(tmp_path / kind, 7, 40 * number)
    return tmp_path


def layout_of_mvtec(path: Path) -> Path:
    """As MVTec AD is laid out: names begin anew in every folder."""
    fill(path / "train" / "good", 20)
    fill(path / "test" / "good", 5)
    for kind in KINDS:
        fill(path / "test" / kind, 3)
        fill(path / "ground_truth" / kind, 3)
    (path / "license.txt").write_text("free")
    return path


@pytest.fixture
def mvtec(tmp_path) -> Path:
    return layout_of_mvtec(tmp_path)


def parts_of(split: data.Split) -> dict[str, tuple[np.ndarray, np.ndarray, tuple[Path, ...]]]:
    """Images, classes and files by part."""
    images = split.train, split.calibration, split.validation.items, split.test.items
    classes = (
        split.train_classes,
        split.calibration_classes,
        split.validation.classes,
        split.test.classes,
    )
    assert tuple(split.files) == PARTS
    return dict(zip(PARTS, zip(images, classes, split.files.values(), strict=True), strict=True))


def check(split: data.Split, files: list[Path], **options) -> None:
    """Each file is in one part, where its picture, its class and its label stand in its place."""
    assert sorted(f for part in split.files.values() for f in part) == sorted(files)
    for images, classes, names in parts_of(split).values():
        np.testing.assert_array_equal(images, data.read_images(names, **options))
        normal = [name.parent.name in ("normal", "good") or not classes.any() for name in names]
        expected = [
            "normal" if ok else name.parent.name for ok, name in zip(normal, names, strict=True)
        ]
        assert [split.class_names[c] for c in classes] == expected
    assert not split.train_classes.any() and not split.calibration_classes.any()
    for part in (split.validation, split.test):
        np.testing.assert_array_equal(part.is_anomaly, part.classes > 0)


def test_a_flat_folder_is_all_normal(flat):
    split = data.split(flat)
    check(split, sorted(flat.iterdir()))
    assert [len(part) for part in split.files.values()] == [8, 5, 3, 4]
    assert split.class_names == ("normal",)
    assert not split.test.is_anomaly.any() and not split.validation.is_anomaly.any()


def test_sub_folders_are_labels(labelled):
    split = data.split(labelled, anomaly=KINDS)
    check(split, sorted(labelled.glob("*/*")))
    assert split.class_names == ("normal", *KINDS)
    counts = {
        part: np.bincount(c, minlength=3).tolist() for part, (_, c, _) in parts_of(split).items()
    }
    assert counts == {
        "train": [16, 0, 0],
        "calibration": [10, 0, 0],
        "validation": [6, 3, 3],
        "test": [8, 4, 4],
    }


@pytest.mark.parametrize(("folder", "normal"), [("good", None), ("ok", "ok")])
def test_the_names_of_folders(tmp_path, folder, normal):
    fill(tmp_path / folder, 20)
    fill(tmp_path / "anomaly", 1, 100)
    with pytest.warns(UserWarning, match="the validation part has no anomalous example"):
        split = data.split(tmp_path, normal=normal)
    assert sum(map(len, split.files.values())) == 21
    assert split.class_names == (normal or "normal", "anomaly")
    assert split.test.is_anomaly.sum() == 1 and len(split.validation.items) == 3


def test_the_layout_of_mvtec(mvtec):
    split = data.split(mvtec)
    check(split, [*mvtec.glob("train/*/*"), *mvtec.glob("test/*/*")])
    assert split.files["test"] == tuple(sorted(mvtec.glob("test/*/*")))
    assert [len(part) for part in split.files.values()] == [12, 5, 3, 11]
    assert not split.validation.is_anomaly.any() and split.test.is_anomaly.sum() == 6


@pytest.mark.parametrize("layout", ["flat", "labelled", "mvtec"])
def test_the_seed_alone_decides(layout, request):
    folder = request.getfixturevalue(layout)
    first, again, other = (data.split(folder, anomaly=KINDS, seed=s).files for s in (3, 3, 4))
    assert first == again and first["train"] != other["train"]
    assert first["test"] == tuple(sorted(first["test"]))
    assert first["calibration"] != tuple(sorted(first["calibration"]))  # `calibrate` takes halves


@pytest.mark.parametrize(
    "group", [r"(\d\d)\d", r"^\d\d", lambda path: path.name[:2]], ids=["group", "match", "function"]
)
def test_groups_stay_together(tmp_path, group):
    fill(tmp_path / "normal", 120)
    for number, kind in enumerate(KINDS):
        fill(tmp_path / kind, 40, 120 + 40 * number)
    split = data.split(tmp_path, anomaly=KINDS, group=group)
    check(split, sorted(tmp_path.glob("*/*")))
    of = {part: {f.name[:2] for f in files} for part, files in split.files.items()}
    assert sum(map(len, of.values())) == len(set().union(*of.values())) == 20
    assert [len(files) % 10 for files in split.files.values()] == [0] * 4


def test_a_group_with_an_anomaly_is_not_learned_from(tmp_path):
    for shot in range(8):
        for thing in range(12):
            folder = "anomaly" if thing in (2, 5, 7, 11) and shot == 3 else "normal"
            save(tmp_path / folder / f"thing{thing:02}-{shot}.png", 12 * shot + thing)
    split = data.split(tmp_path, group="(thing..)", calibration=0.2, validation=0.2)
    check(split, sorted(tmp_path.glob("*/*")))
    of = {part: {f.name[:7] for f in files} for part, files in split.files.items()}
    spoilt = {"thing02", "thing05", "thing07", "thing11"}
    assert not spoilt & (of["train"] | of["calibration"])
    assert len(spoilt & of["validation"]) == len(spoilt & of["test"]) == 2
    assert all(len(files) % 8 == 0 for files in split.files.values())


@pytest.mark.parametrize("seed", range(3))
def test_divide_keeps_its_word(seed):
    rng = np.random.RandomState(seed)
    groups = np.unique(rng.randint(0, 60, 300), return_inverse=True)[1]
    classes = (rng.rand(300) < 0.06) * rng.randint(1, 4, 300)
    shares = {"calibration": 0.2, "validation": 0.2, "test": 0.3}
    parts = divide(classes > 0, classes, shares, seed, groups)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(300))
    of = [set(groups[index]) for index in parts.values()]
    assert sum(map(len, of)) == len(set().union(*of))
    assert not classes[parts["train"]].any() and not classes[parts["calibration"]].any()
    pure = set(groups) - set(groups[classes > 0])
    sizes = [len(some & pure) / len(pure) for some in of]
    np.testing.assert_allclose(sizes, [0.3, 0.2, 0.2, 0.3], atol=1.51 / len(pure))


# Files


def test_sizes_that_differ_are_brought_to_one(tmp_path):
    for i in range(10):
        save(tmp_path / f"{i}.png", 10 * i, (6 + i, 4, 3))
    for resize in ("stretch", "crop", "pad"):
        split = data.split(tmp_path, size=(8, 5), resize=resize)
        assert split.train.shape == (4, 8, 5, 3)
        check(split, sorted(tmp_path.iterdir()), size=(8, 5), resize=resize)


def test_a_background(tmp_path):
    for i in range(8):
        Image.new("RGBA", (4, 6), (0, 0, 0, 0)).save(tmp_path / f"{i}.png")
    assert (data.split(tmp_path, background=1).train == 1).all()


def test_what_systems_leave_behind_is_passed_over(labelled):
    for folder in (labelled, labelled / "normal", labelled / "stain"):
        for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._000.png", ".hidden.png"):
            (folder / name).write_bytes(b"\0")
        (folder / "__MACOSX").mkdir()
    (labelled / "list.csv").write_text("a,b")
    split = data.split(labelled, anomaly=KINDS)
    assert sum(map(len, split.files.values())) == 54


def test_suffixes_of_any_case(tmp_path):
    for i, name in enumerate(["a.PNG", "b.Jpg", "c.JPEG", "d.png", "e.jpg", "f.jpeg"]):
        Image.new("L", (4, 6), 20 * i).save(tmp_path / name)
    split = data.split(tmp_path)
    assert sum(map(len, split.files.values())) == 6


def test_from_a_folder_to_a_detector(labelled):
    split = data.split(labelled, anomaly=KINDS, calibration=0.5, validation=0.1)
    vae = VAE(2, data_shape=split.train.shape[1:], network="dense", hidden=(5,))
    vae.compile("adam")
    vae.fit(split.train, verbose=0)
    detector = AnomalyDetector(vae, "reconstruction").calibrate(split.calibration, 0.1)
    flags = detector.is_anomaly(split.test.items)
    assert flags.shape == (len(split.files["test"]),)
    assert detector.evaluate(split.test).confusion[1].sum() == split.test.is_anomaly.sum()


# What does not belong


def link(path: Path, target: Path) -> Path:
    path.symlink_to(target)
    return path


def cut_off(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-40])
    return path


# By what is wrong: how a folder is spoilt, which path is named, and how; files: test_read_images.py
WRONG = {
    "cut off": (lambda f: cut_off(f / "stain" / "080.png"), "cannot be read"),
    "another size": (
        lambda f: save(f / "normal" / "zzz.png", 0, (7, 4, 3)),
        "7 pixels high and 4 wide; expected 6 high and 4 wide",
    ),
    "another kind": (
        lambda f: (f / "normal" / "000.png").rename(f / "normal" / "zzz.tif"),
        "not a picture by its name; expected only files ('.png', '.jpg', '.jpeg')",
    ),
    "broken link": (lambda f: link(f / "normal" / "zzz.png", f / "gone.png"), "cannot be read"),
    "loop": (lambda f: link(f / "normal" / "z.png", f / "normal" / "z.png"), "cannot be read"),
    "loop of folders": (
        lambda f: link(f / "normal" / "zzz", f),
        "is a folder; expected only files",
    ),
    "linked twice": (
        lambda f: link(f / "stain" / "zzz.png", f / "normal" / "000.png"),
        "same file as",
    ),
    "a sub-folder": (
        lambda f: save(f / "normal" / "deeper" / "a.png").parent,
        "is a folder; expected only files",
    ),
    "unknown folder": (
        lambda f: save(f / "dents" / "a.png").parent,
        "without a known label; expected one of ('normal', 'good', 'scratch', 'stain')",
    ),
    "unlabelled": (
        lambda f: save(f / "a.png"),
        "is not in a folder with a label; expected it in one",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(labelled, complains, name):
    spoil, message = WRONG[name]
    path = spoil(labelled)
    complains(lambda: data.split(labelled, anomaly=KINDS), path, message)


def bomb(path: Path) -> Path:
    fill(path, 20)
    Image.new("1", (20_000, 20_000)).save(path / "zzz.png")
    return path / "zzz.png"


def without_training(path: Path) -> Path:
    for picture in (layout_of_mvtec(path) / "train" / "good").iterdir():
        picture.unlink()
    return path / "train"


def notes(path: Path) -> Path:
    (path / "notes.txt").write_text("none")
    return path / "notes.txt"


# The same for folders of other layouts
WRONG_LAYOUTS = {
    "a picture that is too large": (bomb, "decompression bomb"),
    "no picture": (notes, "not a picture by its name"),
    "no normal picture": (
        lambda f: fill(f / "anomaly", 9)[0].parents[1],
        "no normal picture; expected some in one of ('normal', 'good')",
    ),
    "no picture to train on": (without_training, "expected some to train on"),
    "a defect to train on": (
        lambda f: save(layout_of_mvtec(f) / "train" / "stain" / "a.png").parent,
        "expected one of ('normal', 'good')",
    ),
    "a folder beside train and test": (
        lambda f: save(layout_of_mvtec(f) / "validation" / "good" / "a.png").parents[1],
        "expected one of ('train', 'test',",
    ),
}


@pytest.mark.parametrize("name", WRONG_LAYOUTS)
def test_a_wrong_layout_is_named(tmp_path, complains, name):
    spoil, message = WRONG_LAYOUTS[name]
    path = spoil(tmp_path)
    complains(lambda: data.split(tmp_path), path, message, "expected")


def test_too_few(flat, complains):
    words = "the calibration part has no normal example", "expected more", "other shares"
    complains(lambda: data.split(flat, group="(0)"), "no normal example", "groups")
    for path in sorted(flat.iterdir())[2:]:
        path.unlink()
    complains(lambda: data.split(flat), *words)


def test_a_folder_that_may_not_be_read(labelled, complains, monkeypatch):
    folder, listed = labelled / "stain", Path.iterdir

    def refuse(self):
        if self == folder:
            raise PermissionError(13, "Permission denied", str(self))
        return listed(self)

    monkeypatch.setattr(Path, "iterdir", refuse)
    words = [folder, "Permission denied", "expected a folder"]
    complains(lambda: data.split(labelled, anomaly=KINDS), *words)


@pytest.mark.parametrize(
    ("name", "message"), [("nothing", "is not there"), ("a.png", "is a file of another kind")]
)
def test_no_folder(flat, complains, name, message):
    save(flat / "a.png")
    complains(lambda: data.split(flat / name), flat / name, message, "a folder of pictures")


def test_an_empty_folder(tmp_path, complains):
    complains(lambda: data.split(tmp_path), tmp_path, "no picture; expected files")
    (tmp_path / ".DS_Store").write_bytes(b"\0")
    (tmp_path / "normal").mkdir()
    complains(lambda: data.split(tmp_path), tmp_path, "no picture; expected files")


@pytest.mark.parametrize("folder", ["good", "stain"])
@pytest.mark.filterwarnings("ignore:the test part")
def test_a_test_folder_without_one_side(mvtec, folder):
    for path in (mvtec / "test").glob("*/*"):
        if (path.parent.name == "good") == (folder == "good"):
            path.unlink()
    split = data.split(mvtec)
    assert split.test.is_anomaly.all() if folder == "good" else not split.test.is_anomaly.any()


@pytest.mark.parametrize("side", ["train", "test"])
def test_pictures_without_a_label(tmp_path, complains, side):
    fill(tmp_path / "train" / "good", 20)
    fill(tmp_path / "test" / "good", 20)
    path = save(tmp_path / side / "a.png")
    complains(lambda: data.split(tmp_path), path, "is not in a folder with a label")
    for other in (tmp_path / side / "good").iterdir():
        other.unlink()
    (tmp_path / side / "good").rmdir()
    complains(lambda: data.split(tmp_path), path, "is not in a folder with a label")


def test_a_share_for_a_test_part_that_is_there_has_no_effect(mvtec):
    assert data.split(mvtec, test=0.9).files == data.split(mvtec).files


def test_a_group_in_train_and_in_test(mvtec, complains):
    words = [mvtec / "train" / "good" / "000.png", mvtec / "test" / "good" / "000.png"]
    complains(lambda: data.split(mvtec, group=r"\d+"), *words, "expected each group in")
    apart = data.split(mvtec, group=lambda path: (path.parts[-3], path.name))
    assert len(apart.files["test"]) == 11


def test_a_file_without_a_group(flat, complains):
    words = [flat / "010.png", "expected a key that can be compared"]
    complains(lambda: data.split(flat, group=r"^00(\d)"), "group gives None", *words)
    complains(lambda: data.split(flat, group=lambda path: []), "group gives []", flat)
