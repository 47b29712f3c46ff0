"""What every result carries: command, settings, versions, machine, time and memory."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import resource
import sys
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "torch", "pyod")


def machine() -> dict:
    """Processor, number of cores that this process may use, operating system."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    processor = models[0] if models else platform.processor()
    return {"processor": processor, "cores": cores, "system": platform.system()}


def versions() -> dict[str, str]:
    """Python's and those of the packages that are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # a peer that this run does not need
    return found


def peak_memory() -> float:
    """The largest resident size of this process so far, in MiB."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)


def cpu_seconds() -> float:
    """Processor time of all threads of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def write_whole(path: Path, text: str) -> None:
    """Write the file, or leave it as it was."""
    temporary = path.with_suffix(".part")
    temporary.write_text(text)
    temporary.replace(path)


def write(name: str, settings: dict, results: dict) -> Path:
    """Write results/<name>.json whole or not at all."""
    arguments = [Path(a).name if Path(a).is_absolute() else a for a in sys.argv[1:]]
    document = {
        "benchmark": name,
        "command": " ".join(["python -m benchmarks", *arguments]),
        "date": datetime.date.today().isoformat(),
        "settings": settings,
        "results": results,
        "versions": versions(),
        "machine": machine(),
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    write_whole(path, json.dumps(document, indent=2) + "\n")
    return path
