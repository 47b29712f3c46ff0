"""The file of a detector: a zip of models, arrays and a description, with a checksum.

Nothing in it is pickled: models are `.keras` files, read in safe mode; the rest is JSON and NumPy.
"""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from ..model import VAE

FORMAT = 1


class Content(NamedTuple):
    """What the file holds."""

    description: dict
    arrays: dict[str, np.ndarray]
    models: list[VAE]


def write(path: str | Path, content: Content) -> None:
    """Write the file, whole or not at all."""
    arrays = io.BytesIO()
    np.savez(arrays, **content.arrays)
    members = {
        "detector.json": json.dumps({"format": FORMAT, **content.description}).encode(),
        "arrays.npz": arrays.getvalue(),
    }
    members |= {f"model{c}.keras": _model_bytes(one) for c, one in enumerate(content.models)}
    path = Path(path)
    temporary = path.with_name(path.name + ".part")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as file:
        for name, member in members.items():
            file.writestr(name, member)
        file.writestr("sha256", _digest(members))
    temporary.replace(path)


def read(path: str | Path) -> Content:
    """What `write` wrote.

    Raises a ValueError for a file that is not a detector, is damaged or edited, or was written by a
    newer version of the library.
    """
    expected = f"path is {str(path)!r}; expected a file that AnomalyDetector.save wrote"
    try:
        with zipfile.ZipFile(path) as file:
            members = {name: file.read(name) for name in file.namelist()}
        digest = members.pop("sha256").decode()
        description = json.loads(members["detector.json"])
    except FileNotFoundError:
        raise
    except Exception as error:  # archives and their compression fail in many ways
        raise ValueError(f"{expected}, but it cannot be read: {error}") from error
    if description.get("format", 0) > FORMAT:
        found = f"format {description['format']}, and this library knows {FORMAT}"
        raise ValueError(f"{expected}, but it has {found}: install a newer vae_lib")
    if digest != _digest(members):
        raise ValueError(f"{expected}, but its content was changed: the checksums differ")
    models = [_load_model(members[name]) for name in members if name.endswith(".keras")]
    with np.load(io.BytesIO(members["arrays.npz"]), allow_pickle=False) as arrays:
        return Content(description, dict(arrays), models)


def _model_bytes(model: VAE) -> bytes:
    """The model as a .keras file, without the optimizer, which would treble its size."""
    bare = type(model).from_config(model.get_config())
    bare.set_weights(model.get_weights())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        bare.save(path)
        return path.read_bytes()


def _load_model(content: bytes) -> VAE:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(content)
        return keras.saving.load_model(path, compile=False, safe_mode=True)


def _digest(members: dict[str, bytes]) -> str:
    hashes = [hashlib.sha256(content).hexdigest() for content in members.values()]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()
