"""Sphinx extension: highlighted code in half the elements: Pygments makes one of each comma.

Here only what has a colour of its own is a `<span>`. In a chapter of long code those in the colour
of all text were nearly half of all elements, and a phone lays out each.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TextIO

from pygments.formatters import HtmlFormatter
from pygments.styles import get_style_by_name
from pygments.token import Text
from sphinx.application import Sphinx
from sphinx.highlighting import PygmentsBridge

LIGHT, DARK = "a11y-high-contrast-light", "a11y-high-contrast-dark"
STYLES = [get_style_by_name(name) for name in (LIGHT, DARK)]


@cache
def coloured(kind: tuple) -> bool:
    """Whether one of the two styles draws it unlike plain text."""
    return any(style.style_for_token(kind) != style.style_for_token(Text) for style in STYLES)


class Formatter(HtmlFormatter):
    def format_unencoded(self, tokens: Iterable[tuple[tuple, str]], file: TextIO) -> None:
        plain = ((kind if coloured(kind) else Text, text) for kind, text in tokens)
        super().format_unencoded(plain, file)


def choose(app: Sphinx) -> None:
    """An option of the theme, which it declares only after those of `_config.yml` are read."""
    app.config.pygments_dark_style = DARK


def setup(app: Sphinx) -> dict[str, bool]:
    PygmentsBridge.html_formatter = Formatter
    app.connect("config-inited", lambda _, config: setattr(config, "pygments_style", LIGHT))
    app.connect("builder-inited", choose, priority=400)  # before the theme looks
    return {"parallel_read_safe": True, "parallel_write_safe": True}
