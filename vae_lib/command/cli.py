"""The four commands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np

from .. import frames, saving
from ..data.pictures import RESIZES
from ..detector import AnomalyDetector, Interval
from ..thresholds import METHODS
from . import inputs, output

DONE, ANOMALIES, WRONG, INTERRUPTED = 0, 1, 2, 130
SCORES = ("score", "p_value", "is_anomaly")


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
    source, found = _source(options, detector), []
    for part in output.shown(source.parts, source.count):
        found += zip(part.names, *scored(detector, part.items), strict=True)
    output.write(options.out, (source.kind, *SCORES), found)
    anomalies = any(is_anomaly for *_, is_anomaly in found)
    return ANOMALIES if anomalies and options.fail_on_anomaly else DONE


def calibrate(options: argparse.Namespace) -> int:
    """The same detector, its threshold from other normal items, in a new file."""
    detector = load(options.detector)
    if np.ndim(detector.threshold):
        came = f"detector is {options.detector!r}, of several classes"
        raise ValueError(f"{came}; expected one without classes: calibrate it in Python")
    items, flags = _whole(_source(options, detector, labelled=None))
    if flags is not None and flags.any():
        came = f"{options.input!r} has {flags.sum()} labelled anomalies among {len(flags)}"
        raise ValueError(f"{came}; expected normal items only")
    detector.calibrate(items, options.false_alarm_rate, options.method)
    detector.save(options.out)
    return DONE


def evaluate(options: argparse.Namespace) -> int:
    """Figures on labelled items, with intervals, as CSV."""
    detector = load(options.detector)
    items, flags = _whole(_source(options, detector, labelled=True))
    figures = detector.evaluate(items, flags)
    rows = [(n, *v) for n, v in figures._asdict().items() if isinstance(v, Interval)]
    rows += [("normal", int(np.sum(~flags)), "", ""), ("anomalies", int(np.sum(flags)), "", "")]
    output.write(options.out, ("figure", "value", "low", "high"), rows)
    return DONE


def info(options: argparse.Namespace) -> int:
    """What a detector is, as CSV: nothing of it is run but the check of its file."""
    detector = load(options.detector)
    rows = facts(detector)
    for name, separator in (("data_shape", " x "), ("columns", " ")):
        rows[name] = separator.join(map(str, rows[name]))
    rows["threshold"] = " ".join(f"{t:.6g}" for t in rows["threshold"])
    written_by = saving.head(options.detector)["written_by"]
    rows |= {f"written by {name}": version for name, version in written_by.items()}
    output.write(options.out, ("what", "value"), rows.items())
    return DONE


def facts(detector: AnomalyDetector) -> dict[str, object]:
    """What a detector is, in names and numbers that JSON has, too."""
    model = detector.model
    several = isinstance(model, list)
    return {
        "kind": type(model[0] if several else model).__name__,
        "models": len(model) if several else 1,
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


def scored(detector: AnomalyDetector, items) -> list[list]:
    """Scores, p-values, and 1 for an anomaly, of items scored once."""
    verdicts = detector.judge(items)
    scores, p_values, alarms = (np.asarray(getattr(verdicts, name)) for name in SCORES)
    return [scores.tolist(), p_values.tolist(), alarms.astype(int).tolist()]


def shape_of(detector: AnomalyDetector) -> tuple[int, ...]:
    """That of one item as it comes: of a table the number of its columns."""
    shape = detector.form().data_shape
    return (len(detector.columns),) if detector.columns and len(shape) == 1 else shape


def _source(options: argparse.Namespace, detector, labelled: bool | None = False) -> inputs.Source:
    chosen = {name: getattr(options, name) for name in ("label", "array", "resize")}
    drop = tuple(options.drop)
    return inputs.read(options.input, shape_of(detector), labelled=labelled, drop=drop, **chosen)


def _whole(source: inputs.Source) -> tuple:
    """All items of a source, and their labels (n,), or None without."""
    parts = list(output.shown(source.parts, source.count))
    items = [part.items for part in parts]
    joined = frames.pandas().concat if frames.is_frame(items[0]) else np.concatenate
    flags = None if parts[0].is_anomaly is None else np.concatenate([p.is_anomaly for p in parts])
    return joined(items), flags


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m vae_lib", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for run in (score, calibrate, evaluate, info):
        command = commands.add_parser(run.__name__, help=run.__doc__, description=run.__doc__)
        command.set_defaults(run=run)
        if run is not info:
            command.add_argument("input", help=inputs.FORMS)
            command.add_argument("--label", help="a table's column, or an .npz's array, of labels")
            command.add_argument("--drop", nargs="+", default=[], help="columns that are no input")
            command.add_argument("--array", help="which array of an .npz")
            command.add_argument("--resize", choices=tuple(RESIZES), help="pictures of other sizes")
            command.add_argument("--detector", required=True, help="a file that save wrote")
        else:
            command.add_argument("detector", help="a file that save wrote")
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
