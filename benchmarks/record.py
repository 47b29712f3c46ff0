"""What every result carries: command, settings, versions, machine, time and memory."""

from __future__ import annotations

import ast
import datetime
import hashlib
import importlib.metadata
import io
import json
import os
import platform
import resource
import sys
import tokenize
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / ".work" / "results"  # `--out` says where else; chapter 9 reads vae_lib/records
# What a result depends on; training and detector only call these
MODULES = ("networks", "likelihoods", "losses", "model", "linear", "scores")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)
OPTIONS = ("--out", "--work")  # they change no result, and name folders of one machine
PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "torch", "pyod")
PACKAGES += ("onnxruntime", "ai-edge-litert", "tf2onnx")


class Unusable(ValueError):
    """What a benchmark was given is no data for it; the text says why, in a sentence."""


def library() -> str:
    """Fingerprint of the code that results depend on, whatever its comments and docstrings say."""
    paths = [ROOT / "vae_lib" / module for module in MODULES]
    return _digest(p if p.is_dir() else p.with_suffix(".py") for p in paths)


def recipe() -> str:
    """The same of how the VAE of a table is trained, and explained."""
    files = ("detector/recipe.py", "explanations.py")
    return _digest(ROOT / "vae_lib" / file for file in files)


def benchmarks() -> str:
    """The same of the benchmarks' own code."""
    return _digest([ROOT / "benchmarks"])


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            digest.update(bare(file.read_text(encoding="utf-8")).encode())
    return digest.hexdigest()[:16]


def bare(source: str) -> str:
    """The source without comments, docstrings and blank lines; the same for every Python."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node):
            for row in range(node.body[0].lineno, node.body[0].end_lineno + 1):
                lines[row - 1] = ""
    return "\n".join(line.rstrip() for line in lines if line.strip())


def lock() -> dict[str, list[str]]:
    """Versions that the requirements pin, for one Python or another."""
    files = ROOT / "requirements.txt", ROOT / "benchmarks" / "requirements.txt"
    lines = [line for file in files for line in file.read_text().splitlines() if line.strip()]
    pins = [line.split()[0].split("==") for line in lines if "==" in line[:60] and line[0] != " "]
    return {name: [pin[1] for pin in pins if pin[0] == name] for name in PACKAGES}


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
    """Write <name>.json into `RESULTS`, whole or not at all."""
    words = zip(["", *sys.argv[1:]], sys.argv[1:], strict=False)
    kept = [w for before, w in words if not {before, w.partition("=")[0]} & set(OPTIONS)]
    arguments = [Path(a).name if Path(a).exists() else a for a in kept]
    document = {
        "benchmark": name,
        "command": " ".join(["python -m benchmarks", *arguments]),
        "date": datetime.date.today().isoformat(),
        "settings": settings,
        "results": results,
        "library": library(),
        "versions": versions(),
        "machine": machine(),
    }
    text = json.dumps(document, indent=2, allow_nan=False) + "\n"
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    write_whole(path, text)
    return path
