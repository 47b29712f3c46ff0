"""The four commands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np

from .. import frames
from ..data.pictures import RESIZES
from ..detector import AnomalyDetector, archive
from ..detector.calibration import METHODS
from ..detector.evaluation import Interval
from ..sklearn import VAEDetector
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
    table = isinstance(detector, VAEDetector)
    if not table and np.ndim(detector.threshold):
        found = f"detector is {options.detector!r}, of several classes"
        raise ValueError(f"{found}; expected one without classes: calibrate it in Python")
    if table and options.method is not None:
        raise ValueError(f"method is {options.method!r}; expected none for a table's detector")
    items, flags = _whole(_source(options, detector, labelled=None))
    if flags is not None and flags.any():
        found = f"{options.input!r} has {flags.sum()} labelled anomalies among {len(flags)}"
        raise ValueError(f"{found}; expected normal items only")
    rate = options.false_alarm_rate
    rate = detector.false_alarm_rate if rate is None else rate
    detector.calibrate(items, rate, *([] if table else [options.method or detector.method]))
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
    described = archive.described(options.detector)
    first = described["detectors"][0] if isinstance(detector, VAEDetector) else described
    rows = facts(detector)
    rows["data_shape"] = " x ".join(map(str, rows["data_shape"]))
    rows["threshold"] = " ".join(f"{t:.6g}" for t in rows["threshold"])
    rows["columns"] = " ".join(described.get("columns", []))
    rows |= {f"written by {name}": version for name, version in first["written_by"].items()}
    output.write(options.out, ("what", "value"), rows.items())
    return DONE


def facts(detector: AnomalyDetector | VAEDetector) -> dict[str, object]:
    """What a detector is, in names and numbers that JSON has, too."""
    table = isinstance(detector, VAEDetector)
    one = detector.detectors_[0] if table else detector
    threshold = -detector.offset_ if table else detector.threshold
    calibration = detector.calibration_.scores if table else detector.calibration_scores
    return {
        "kind": type(detector).__name__,
        "models": len(detector.detectors_ if table else one._models),
        "data_shape": shape_of(detector),
        "score": one._score.name or one._score.label(),
        "threshold": np.atleast_1d(threshold).tolist(),
        "false_alarm_rate": one.false_alarm_rate,
        "method": one.method,
        "calibration_scores": len(calibration),
    }


def load(path: str) -> AnomalyDetector | VAEDetector:
    """The detector of either kind that the file holds; a ValueError for any other file."""
    try:
        table = "estimator" in archive.described(path)
    except FileNotFoundError:
        raise ValueError(f"detector is {path!r}, which is not there; expected a file") from None
    except Exception:  # a damaged file: `load` says what is wrong with it
        table = False
    return VAEDetector.load(path) if table else AnomalyDetector.load(path)


def scored(detector: AnomalyDetector | VAEDetector, items) -> list[list]:
    """Scores, p-values, and 1 for an anomaly, of items scored once."""
    if isinstance(detector, VAEDetector):
        found = detector.score_frame(items)
        columns = [found[name].to_numpy() for name in SCORES]
    else:
        by_class, calibration = detector._now.calibrated_scores(items)
        columns = [by_class.min(axis=1), calibration.p_values(by_class), calibration.flag(by_class)]
    scores, p_values, alarms = columns
    return [scores.tolist(), p_values.tolist(), alarms.astype(int).tolist()]


def shape_of(detector: AnomalyDetector | VAEDetector) -> tuple[int, ...]:
    """That of one item."""
    if isinstance(detector, VAEDetector):
        return (detector.n_features_in_,)
    return detector._models[0].data_shape


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
