"""The file of a detector: a zip of a description in JSON, plain NumPy arrays and a checksum.

Nothing in it is code, a pickle or a Keras file, and an array is no larger than its bytes on disk.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import threading
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .. import files

FORMAT = 2  # 1 had Keras files inside
DESCRIPTION, CHECKSUM = "detector.json", "sha256"
LONGEST_DESCRIPTION = 2**20  # bytes
KINDS = "fiu"  # of the arrays: floats and integers
HEADERS = threading.Lock()  # Python before 3.11.8 fails where two threads parse one: gh-106905


class Content(NamedTuple):
    """What the file holds."""

    description: dict
    arrays: dict[str, np.ndarray]


def write(path: str | Path, content: Content) -> None:
    """Write the file, whole or not at all; of two who write at once, one wins.

    Raises a ValueError for a path that is a folder or in none, and for arrays of other kinds.
    """
    target = Path(os.path.realpath(path))  # a link stays one
    if target.is_dir() or not target.parent.is_dir():
        raise ValueError(f"path is {str(path)!r}; expected a file's name in a folder that exists")
    members = {DESCRIPTION: json.dumps(content.description, allow_nan=False).encode()}
    for name, array in content.arrays.items():
        if array.dtype.kind not in KINDS:
            raise ValueError(f"{name} has dtype {array.dtype}; expected floats or integers")
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        members[f"{name}.npy"] = buffer.getvalue()
    members[CHECKSUM] = _digest(members).encode()
    with files.whole(target) as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, member in members.items():
                archive.writestr(name, member)
        if target.exists():
            shutil.copymode(target, file.name)


def read(path: str | Path) -> Content:
    """What `write` wrote, before anyone asks whether it makes sense.

    Raises a ValueError for a file that is not such an archive, or is damaged or edited.
    """
    if Path(path).is_dir():
        raise ValueError("it is a folder")
    with zipfile.ZipFile(path) as file:
        infos = file.infolist()
        description = _description(file)  # says first if another version wrote it
        if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
            raise ValueError("it has compressed parts")
        if len({info.filename for info in infos}) < len(infos):
            raise ValueError("it has two parts of one name")
        if sum(info.file_size for info in infos) > Path(path).stat().st_size:
            raise ValueError("its parts are larger than itself")
        members = {info.filename: file.read(info) for info in infos}
    if members.pop(CHECKSUM, None) != _digest(members).encode():
        raise ValueError("its content was changed: the checksums differ")
    del members[DESCRIPTION]
    with HEADERS:
        arrays = {name.removesuffix(".npy"): _array(name, part) for name, part in members.items()}
    return Content(description, arrays)


def described(path: str | Path) -> dict:
    """The description alone, in a moment, however large the file: its checksum is not looked at.

    Raises a ValueError or a `zipfile.BadZipFile` for a file that has none.
    """
    with zipfile.ZipFile(path) as file:
        return _description(file)


def _description(file: zipfile.ZipFile) -> dict:
    if DESCRIPTION not in file.namelist():
        raise ValueError(f"it has no {DESCRIPTION}")
    if (size := file.getinfo(DESCRIPTION).file_size) > LONGEST_DESCRIPTION:
        raise ValueError(f"its description has {size} bytes")
    description = json.loads(file.read(DESCRIPTION), parse_constant=_no_number)
    found = description.get("format") if isinstance(description, dict) else None
    if found == 1:
        told = "with Keras files inside, which can run code"
        raise ValueError(f"it has format 1, {told}: calibrate and save the detector again")
    if isinstance(found, int) and found > FORMAT:
        told = f"it has format {found}, and this library knows {FORMAT}"
        raise ValueError(f"{told}: install a newer vae_lib")
    return description


def _array(name: str, content: bytes) -> np.ndarray:
    """The array, whose size was checked before memory is taken for it."""
    if not name.endswith(".npy") or not content.startswith(np.lib.format.MAGIC_PREFIX):
        raise ValueError(f"{name} is no array")
    buffer = io.BytesIO(content)
    version = np.lib.format.read_magic(buffer)
    if version != (1, 0):
        raise ValueError(f"{name} is of NumPy's format {version}")
    shape, _, dtype = np.lib.format.read_array_header_1_0(buffer)
    size = len(content) - buffer.tell()
    if dtype.kind not in KINDS or dtype.itemsize * int(np.prod(shape, dtype=object)) != size:
        raise ValueError(f"{name} has dtype {dtype}, shape {shape} and {size} bytes")
    buffer.seek(0)
    return np.load(buffer, allow_pickle=False)


def _no_number(word: str) -> float:
    raise ValueError(f"its description has {word}")


def _digest(members: dict[str, bytes]) -> str:
    """It binds names and contents, whatever their order."""
    digest = hashlib.sha256()
    for name in sorted(members):
        digest.update(f"{len(name.encode())} {name} {len(members[name])} ".encode())
        digest.update(members[name])
    return digest.hexdigest()
