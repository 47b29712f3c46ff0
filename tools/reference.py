"""Sphinx extension: what the reference of vae_lib needs besides autodoc and napoleon.

Docstrings are read in an editor more often than on a page: they stay free of markup.
"""

from __future__ import annotations

import inspect
import re
import sys

from sphinx.application import Sphinx

from set_repository import declared


def skip_field(
    app: Sphinx, what: str, name: str, member: object, skip: bool, options
) -> bool | None:
    """A field of a named tuple says no more than its number."""
    return True if str(getattr(member, "__doc__", "")).startswith("Alias for field") else None


def source(domain: str, info: dict[str, str]) -> str | None:
    """Where the repository shows the source of an object."""
    thing = sys.modules.get(info["module"])
    for part in info["fullname"].split("."):
        thing = inspect.unwrap(getattr(thing, part, None))
    thing = getattr(thing, "fget", thing)
    try:
        lines, first = inspect.getsourcelines(thing)
        file = inspect.getsourcefile(thing)
    except (TypeError, OSError):
        return None  # a value has no source of its own
    _, _, path = file.replace("\\", "/").rpartition("/vae_lib/")
    where = f"https://github.com/{declared()}/blob/main/vae_lib/{path}"
    return f"{where}#L{first}-L{first + len(lines) - 1}"


def plain_signs(
    app: Sphinx, what: str, name: str, thing: object, options, lines: list[str]
) -> None:
    """In a docstring |x| is no reference, and neither `**` nor (n, *shape) starts an emphasis."""
    for number, line in enumerate(lines):
        line = line.replace("|", r"\|").replace("**", r"\*\*")
        lines[number] = re.sub(r"(?<![\\*])\*(\w+)\b(?!\*)", r"\*\1", line)


def setup(app: Sphinx) -> None:
    app.connect("config-inited", lambda _, config: setattr(config, "linkcode_resolve", source))
    app.connect("autodoc-process-docstring", plain_signs, priority=400)  # before napoleon
    app.connect("autodoc-skip-member", skip_field)
