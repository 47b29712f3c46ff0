"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def whole(target: Path, mode: str = "xb", **options: str) -> Iterator[IO]:
    """A new file under a temporary name beside `target`, whose place it takes when all is written.

    Of two who write at once, one wins. Whatever is raised inside, an interrupt too, leaves nothing
    behind. `mode` and `options` are those of `open`; a mode begins with "x".
    """
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
