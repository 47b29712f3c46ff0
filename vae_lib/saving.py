"""Files of detectors and streams: a zip of the state in JSON, plain arrays and a checksum.

What is saved gives its state, plain values with arrays among them, and is made from it again: this
file knows nothing of either. Nothing in an archive is code, a pickle or a Keras file, and an array
is no larger than its bytes on disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import io
import json
import os
import shutil
import threading
import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import jsonschema
import numpy as np

from .checks import check_path

FORMAT = 3  # 1 had Keras files inside, 2 two kinds of detectors
STATE, CHECKSUM, OLD_STATE = "state.json", "sha256", "detector.json"
LONGEST_STATE = 2**20  # bytes of JSON
KINDS = "fiu"  # of the arrays: floats and integers
ARRAY = "array"  # the only key of what stands for an array in the JSON
PACKAGES = ("keras", "tensorflow", "numpy")
HEADERS = threading.Lock()  # Python before 3.11.8 fails where two threads parse one: gh-106905


def object_of(optional: dict | None = None, **required: dict) -> dict:
    """The JSON schema of an object with these properties and no others."""
    properties = {**required, **(optional or {})}
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def maybe(schema: dict) -> dict:
    """The JSON schema of such a value, or of null."""
    return {"anyOf": [schema, {"type": "null"}]}


ARRAY_SCHEMA: dict = {}  # `read` has put an array there; whoever takes it looks at its shape
SIZE = {"type": "integer", "minimum": 1, "maximum": 2**24}
SIZES = {"type": "array", "items": SIZE, "maxItems": 64}
COUNT = {**SIZE, "maximum": 4096}
SEED = {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}
WORD = {"type": "string", "maxLength": 200}
NAMES = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
HEAD = object_of(
    format={"const": FORMAT},
    kind={"type": "string"},
    written_by={"type": "object", "additionalProperties": WORD},
    state={"type": "object"},
)


def check(state: object, schema: dict) -> None:
    """Raise a ValueError that names the place unless the state fits the schema."""
    try:
        jsonschema.validate(state, schema)
    except jsonschema.ValidationError as error:
        where = "/".join(map(str, error.absolute_path)) or "as a whole"
        raise ValueError(f"its state is wrong at {where}: {error.message[:200]}") from error


def save(path: str | Path, kind: str, state: dict) -> None:
    """Write the state, whole or not at all; of two who write at once, one wins.

    `kind` names what the state is of. Raises a ValueError for a path that is a folder or in none,
    and for arrays of other dtypes than floats and integers.
    """
    check_path(path)
    target = Path(os.path.realpath(path))  # a link stays one
    arrays: dict[str, np.ndarray] = {}
    head = {
        "format": FORMAT,
        "kind": kind,
        "written_by": {name: importlib.metadata.version(name) for name in PACKAGES},
        "state": _without_arrays(state, kind, arrays),
    }
    members = {STATE: json.dumps(head, allow_nan=False).encode()}
    for name, array in arrays.items():
        if array.dtype.kind not in KINDS:
            raise ValueError(f"{name} has dtype {array.dtype}; expected floats or integers")
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        members[f"{name}.npy"] = buffer.getvalue()
    members[CHECKSUM] = _digest(members).encode()
    with whole(target) as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, member in members.items():
                archive.writestr(name, member)
        if target.exists():
            shutil.copymode(target, file.name)


@contextlib.contextmanager
def whole(target: Path, mode: str = "xb", **options: str) -> Iterator[IO]:
    """A new file under a temporary name beside `target`, whose place it takes when all is written.

    Of two who write at once, one wins. Whatever is raised inside, an interrupt too, leaves nothing
    behind. `mode` and `options` are those of `open`; a mode begins with "x". Raises a ValueError
    for a target that is a folder or in none.
    """
    if target.is_dir() or not target.parent.is_dir():
        raise ValueError(f"path is {str(target)!r}; expected a file's name in a folder that exists")
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    try:
        with temporary.open(mode, **options) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise


def load(path: str | Path, kind: str, make: Callable[[dict], Any]) -> Any:
    """What `make` makes of the state that was saved as of this kind.

    Raises a ValueError for a file that is not such an archive, is damaged or edited, or whose state
    `make` does not take, whatever it raises; an OSError where the file cannot be read.
    """
    check_path(path)
    try:
        return make(read(path, kind))
    except OSError:
        raise
    except Exception as error:  # archives, arrays and states can be wrong in many ways
        reason = str(error) if isinstance(error, ValueError | zipfile.BadZipFile) else repr(error)
        expected = f"path is {str(path)!r}; expected a file that {kind}.save wrote"
        raise ValueError(f"{expected}, but {reason}") from error


def read(path: str | Path, kind: str) -> dict:
    """The state as it was saved, its checksum compared, before anyone asks if it makes sense."""
    if Path(path).is_dir():
        raise ValueError("it is a folder")
    with zipfile.ZipFile(path) as file:
        infos = file.infolist()
        head = _head(file)  # says first if another version wrote it
        if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
            raise ValueError("it has compressed parts")
        if len({info.filename for info in infos}) < len(infos):
            raise ValueError("it has two parts of one name")
        if sum(info.file_size for info in infos) > Path(path).stat().st_size:
            raise ValueError("its parts are larger than itself")
        members = {info.filename: file.read(info) for info in infos}
    if members.pop(CHECKSUM, None) != _digest(members).encode():
        raise ValueError("its content was changed: the checksums differ")
    if head["kind"] != kind:
        raise ValueError(f"it holds a {head['kind']}")
    del members[STATE]
    with HEADERS:
        arrays = {name.removesuffix(".npy"): _array(name, part) for name, part in members.items()}
    state = _with_arrays(head["state"], arrays)
    if arrays:
        raise ValueError(f"it has the arrays {sorted(arrays)[:5]}, which its state does not name")
    return state


def head(path: str | Path) -> dict:
    """Kind, state without arrays, and the versions that wrote it; its checksum is not compared.

    Takes a moment, however large the file. Raises a ValueError or a `zipfile.BadZipFile` for a file
    that has none.
    """
    with zipfile.ZipFile(path) as file:
        return _head(file)


def _head(file: zipfile.ZipFile) -> dict:
    if OLD_STATE in file.namelist():
        reason = "an earlier version of vae_lib wrote it, with another format"
        raise ValueError(f"{reason}: calibrate and save the detector again")
    if STATE not in file.namelist():
        raise ValueError(f"it has no {STATE}")
    if (size := file.getinfo(STATE).file_size) > LONGEST_STATE:
        raise ValueError(f"its state has {size} bytes")
    content = json.loads(file.read(STATE), parse_constant=_not_finite)
    version = content.get("format") if isinstance(content, dict) else None
    if isinstance(version, int) and version > FORMAT:
        reason = f"it has format {version}, and this library reads {FORMAT}"
        raise ValueError(f"{reason}: install a newer vae_lib")
    check(content, HEAD)
    return content


def _without_arrays(value: object, name: str, arrays: dict[str, np.ndarray]) -> object:
    """The value with its arrays named and moved into `arrays`."""
    if isinstance(value, (np.ndarray, np.generic)):
        arrays[name] = np.asarray(value)
        return {ARRAY: name}
    if isinstance(value, dict):
        return {k: _without_arrays(v, f"{name}/{k}", arrays) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_arrays(v, f"{name}/{i}", arrays) for i, v in enumerate(value)]
    return value


def _with_arrays(value: object, arrays: dict[str, np.ndarray]) -> object:
    """The reverse; each array is taken out of `arrays`, so that none serves twice."""
    if isinstance(value, dict) and value.keys() == {ARRAY}:
        if value[ARRAY] not in arrays:
            raise ValueError(f"it lacks the array {str(value[ARRAY])[:200]!r}")
        return arrays.pop(value[ARRAY])
    if isinstance(value, dict):
        return {k: _with_arrays(v, arrays) for k, v in value.items()}
    if isinstance(value, list):
        return [_with_arrays(v, arrays) for v in value]
    return value


def _array(name: str, content: bytes) -> np.ndarray:
    """The array, whose size was checked before memory is taken for it."""
    if not name.endswith(".npy") or not content.startswith(np.lib.format.MAGIC_PREFIX):
        raise ValueError(f"{name} is not an array")
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


def _not_finite(word: str) -> float:
    raise ValueError(f"its state has {word}")


def _digest(members: dict[str, bytes]) -> str:
    """It binds names and contents, whatever their order."""
    digest = hashlib.sha256()
    for name in sorted(members):
        digest.update(f"{len(name.encode())} {name} {len(members[name])} ".encode())
        digest.update(members[name])
    return digest.hexdigest()
