"""The command line: files in, a CSV file out, and an exit status that a script can go by.

0: done. 1: done, with anomalies, if `--fail-on-anomaly` was asked for. 2: what was given is wrong:
the last line on stderr says why, and nothing was written. 130: interrupted.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import frames, saving
from .data import as_images, read_images
from .data.datasets import NORMAL, SUFFIXES
from .data.pictures import RESIZES
from .data.tables import TABLE_SUFFIXES, read_table
from .detector import AnomalyDetector, Interval
from .detector.evaluation import flags_of
from .thresholds import METHODS

__all__ = ["main"]

DONE, ANOMALIES, WRONG, INTERRUPTED = 0, 1, 2, 130
SCORES = ("score", "p_value", "is_anomaly")
FORMS = f"a folder of {SUFFIXES}, an .npz, or a table in {TABLE_SUFFIXES}"
IMAGES, LABELS = ("images", "x", "x_test"), "is_anomaly"  # arrays of an .npz
PART = 256  # pictures or rows that are read and scored at once
BAR = 30  # characters


class Source(NamedTuple):
    """Items with their names, which are of one kind, "file" or "row"; and labels (n,) if known.

    Items come in parts that fit into memory, arrays or DataFrames.
    """

    kind: str
    names: list[str]
    parts: Iterator
    is_anomaly: np.ndarray | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, by default that of `sys.argv`; returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (ValueError, OSError, ImportError) as error:
        print(f"python -m vae_lib {options.command}: {error}", file=sys.stderr)
        return WRONG


def score(options: argparse.Namespace) -> int:
    """Score, p-value and decision of each item, as CSV."""
    detector = load(options.detector)
    source, rows = _source(options, detector), []
    for items in _shown(source):
        rows += scored(detector, items)
    named = [(name, *row) for name, row in zip(source.names, rows, strict=True)]
    write(options.out, (source.kind, *SCORES), named)
    anomalies = any(is_anomaly for *_, is_anomaly in rows)
    return ANOMALIES if anomalies and options.fail_on_anomaly else DONE


def calibrate(options: argparse.Namespace) -> int:
    """The same detector, its threshold from other normal items, in a new file."""
    detector = load(options.detector)
    source = _source(options, detector, labelled=True)
    items, flags = _whole(source), source.is_anomaly
    if flags is not None and flags.any():
        problem = f"{options.input!r} has {flags.sum()} labelled anomalies among {len(flags)}"
        raise ValueError(f"{problem}; expected normal items only")
    detector.calibrate(items, options.false_alarm_rate, options.method)
    detector.save(options.out)
    return DONE


def evaluate(options: argparse.Namespace) -> int:
    """Figures on labelled items, with intervals, as CSV."""
    detector = load(options.detector)
    source = _source(options, detector, labelled=True)
    if (flags := source.is_anomaly) is None:
        expected = f"sub-folders of {NORMAL} and others, an array {LABELS!r}, or --label COLUMN"
        raise ValueError(f"{options.input!r} has no labels; expected {expected}")
    figures = detector.evaluate(_whole(source), flags)
    rows = [(n, *v) for n, v in figures._asdict().items() if isinstance(v, Interval)]
    rows += [("normal", int(np.sum(~flags)), "", ""), ("anomalies", int(np.sum(flags)), "", "")]
    write(options.out, ("figure", "value", "low", "high"), rows)
    return DONE


def info(options: argparse.Namespace) -> int:
    """What a detector is, as CSV: nothing of it is run but the check of its file."""
    rows = facts(load(options.detector))
    for name, separator in (("data_shape", " x "), ("columns", " ")):
        rows[name] = separator.join(map(str, rows[name]))
    rows["threshold"] = " ".join(f"{t:.6g}" for t in rows["threshold"])
    written_by = saving.head(options.detector)["written_by"]
    rows |= {f"written by {name}": version for name, version in written_by.items()}
    write(options.out, ("what", "value"), rows.items())
    return DONE


def facts(detector: AnomalyDetector) -> dict[str, object]:
    """What a detector is, in names and numbers that JSON has, too."""
    models = detector.model if isinstance(detector.model, list) else [detector.model]
    return {
        "kind": type(models[0]).__name__,
        "models": len(models),
        "data_shape": list(shape_of(detector)),
        "columns": list(detector.columns or ()),
        "score": detector.score_name,
        "threshold": np.atleast_1d(detector.threshold).tolist(),
        "false_alarm_rate": detector.false_alarm_rate,
        "method": detector.method,
        "calibration_scores": len(detector.calibration_scores),
    }


def load(path: str) -> AnomalyDetector:
    """The detector that the file holds; a ValueError for any other file."""
    try:
        return AnomalyDetector.load(path)
    except FileNotFoundError:
        raise ValueError(f"detector is {path!r}, which is not there; expected a file") from None


def scored(detector: AnomalyDetector, items) -> list[tuple[float, float, int]]:
    """Score, p-value, and 1 for an anomaly, of each item."""
    verdicts = detector.judge(items)
    scores, p_values, alarms = (np.asarray(getattr(verdicts, name)) for name in SCORES)
    return list(zip(scores.tolist(), p_values.tolist(), alarms.astype(int).tolist(), strict=True))


def shape_of(detector: AnomalyDetector) -> tuple[int, ...]:
    """That of one item as it comes: of a table the number of its columns."""
    shape = detector.form().data_shape
    return (len(detector.columns),) if detector.columns and len(shape) == 1 else shape


def read(
    path: str,
    shape: tuple[int, ...],
    label: str | None = None,
    drop: Sequence[str] = (),
    resize: str | None = None,
    labelled: bool = False,
) -> Source:
    """The items of a file or folder, for a detector of data of that shape.

    Args:
        label: the column of a table, or the array of an .npz, that tells anomalies; it is no input.
        drop: columns of a table that are no input.
        resize: how pictures of another size are brought to that of the detector; None refuses them.
        labelled: whether the labels are wanted, where there are any. Of a folder they are its
            sub-folders' names, if one of them is "normal" or "good".

    Raises a ValueError for what is not there, or of another kind than the detector.
    """
    root = Path(path)
    if root.is_dir():
        if len(shape) != 3:
            raise ValueError(f"input is the folder {path!r}; expected rows of shape {shape}")
        return _pictures(root, shape, labelled, resize)
    if not root.is_file():
        raise ValueError(f"input is {path!r}, which is not there; expected {FORMS}")
    if root.suffix.lower() == ".npz":
        items, flags = _arrays(root, shape, label)
    elif root.suffix.lower() not in TABLE_SUFFIXES:
        raise ValueError(f"input is {path!r}; expected {FORMS}")
    elif len(shape) == 3:
        raise ValueError(f"input is the table {path!r}; expected images of shape {shape}")
    else:
        items, flags = _table(root, label, drop)
    if len(items) == 0:
        raise ValueError("input has no rows; expected one or more")
    by_row = items.iloc if frames.is_frame(items) else items
    # the points of a series stay together, since its windows reach over parts
    size = len(items) if len(shape) == 2 and frames.is_frame(items) else PART
    parts = (by_row[start : start + size] for start in range(0, len(items), size))
    flags = flags_of(flags, len(items)) if labelled and flags is not None else None
    return Source("row", [str(i) for i in range(len(items))], parts, flags)


def _pictures(root: Path, shape: tuple[int, ...], labelled: bool, resize: str | None) -> Source:
    """All picture files below the folder, by name; anomalies are those in no folder of `NORMAL`."""
    inside = (file.relative_to(root) for file in root.rglob("*"))
    files = sorted(
        file
        for file in inside
        if file.suffix.lower() in SUFFIXES and not any(p.startswith(".") for p in file.parts)
    )
    if not files:
        raise ValueError(f"input is {str(root)!r}, without a picture; expected {SUFFIXES} in it")
    flags = np.array([file.parent.name not in NORMAL for file in files])
    labelled = labelled and not flags.all()
    if labelled and (stray := [file for file in files if len(file.parts) == 1]):
        raise ValueError(f"{str(stray[0])!r} lies in no folder of one label; expected it in one")
    *size, channels = shape
    parts = (
        read_images(
            [root / file for file in files[start : start + PART]],
            channels,
            resize and tuple(size),
            resize or "stretch",
        )
        for start in range(0, len(files), PART)
    )
    names = [file.as_posix() for file in files]
    return Source("file", names, parts, flags if labelled else None)


def _arrays(path: Path, shape: tuple[int, ...], label: str | None) -> tuple:
    """Items and labels of an .npz."""
    try:
        with np.load(path, allow_pickle=False) as file:
            held = {name: file[name] for name in file.files}
    except Exception as error:  # the archive, its compression and its arrays fail in many ways
        raise ValueError(f"{str(path)!r} cannot be read: {error}; expected an .npz") from error
    flags = held.pop(label or LABELS, None)
    if label and flags is None:
        raise ValueError(f"{path.name} has no array {label!r}; expected one of labels")
    name = next((n for n in IMAGES if n in held), next(iter(held)) if len(held) == 1 else None)
    if name is None:
        problem = f"{path.name} has the arrays {sorted(held)}"
        raise ValueError(f"{problem}; expected one alone, or one called {IMAGES[0]!r}")
    items = as_images(held[name], name) if len(shape) == 3 else held[name].astype("float32")
    return items, flags


def _table(path: Path, label: str | None, drop: Sequence[str]) -> tuple:
    """Rows and labels of a table."""
    table = read_table(path)
    names = frames.names_of(table)
    out = [*drop, *([label] if label else [])]
    for name in out:
        if name not in names:
            raise ValueError(f"column {name!r} is not in {path.name}; expected one of {names}")
    flags = table.iloc[:, names.index(label)].to_numpy() if label else None
    return table.iloc[:, [name not in out for name in names]], flags


def write(path: str, header: Sequence[str], rows: Iterable[Sequence]) -> None:
    """Write a CSV file, or to the standard output for "-", when all rows are there."""

    def fill(file) -> None:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)

    if path == "-":
        text = io.StringIO()
        fill(text)
        sys.stdout.write(text.getvalue())
    else:
        with saving.whole(Path(path), "x", newline="", encoding="utf-8") as file:
            fill(file)


def _source(options: argparse.Namespace, detector, labelled: bool = False) -> Source:
    chosen = {name: getattr(options, name) for name in ("label", "drop", "resize")}
    return read(options.input, shape_of(detector), labelled=labelled, **chosen)


def _shown(source: Source) -> Iterator:
    """The parts one after another, with a bar on stderr where a person looks at it."""
    done, count = 0, len(source.names)
    for items in source.parts:
        yield items
        done += len(items)
        if sys.stderr.isatty():
            bar = "#" * (BAR * done // count)
            end = "\n" if done == count else ""
            print(f"\r[{bar:.<{BAR}}] {done}/{count}", end=end, file=sys.stderr, flush=True)


def _whole(source: Source):
    """All items of a source."""
    items = list(_shown(source))
    return frames.pandas().concat(items) if frames.is_frame(items[0]) else np.concatenate(items)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m vae_lib", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for run in (score, calibrate, evaluate, info):
        command = commands.add_parser(run.__name__, help=run.__doc__, description=run.__doc__)
        command.set_defaults(run=run)
        if run is info:
            command.add_argument("detector", help="a file that save wrote")
        else:
            command.add_argument("input", help=FORMS)
            command.add_argument("--label", help="a table's column, or an .npz's array, of labels")
            command.add_argument("--drop", nargs="+", default=[], help="columns that are no input")
            command.add_argument("--resize", choices=tuple(RESIZES), help="pictures of other sizes")
            command.add_argument("--detector", required=True, help="a file that save wrote")
        if run is calibrate:
            command.add_argument("--out", required=True, help="the new detector's file")
            command.add_argument("--false-alarm-rate", type=float, help="by default the old one")
            command.add_argument("--method", choices=tuple(METHODS), help="by default the old one")
        else:
            command.add_argument("--out", default="-", help="a CSV file; by default it is printed")
        if run is score:
            text = "exit with status 1 if there are anomalies"
            command.add_argument("--fail-on-anomaly", action="store_true", help=text)
    return parser
