"""The checks of built pages find the faults that they are there for."""

from __future__ import annotations

from pathlib import Path

import pytest
from site_assets import foreign_assets, missing_files


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example.org/mathjax.js"></script>',
        '<script src="//cdn.example.org/mathjax.js"></script>',
        '<link rel="stylesheet" href="https://fonts.example.org/font.css">',
        '<img src="http://example.org/badge.svg">',
        "<style>body {background: url(https://example.org/x.png)}</style>",
    ],
)
def test_foreign_assets_are_found(tmp_path: Path, html: str) -> None:
    (tmp_path / "index.html").write_text(html)
    assert len(foreign_assets(tmp_path)) == 1


def test_foreign_fonts_of_a_style_sheet_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("@font-face {src: url('https://example.org/font.woff2')}")
    (tmp_path / "b.css").write_text("@import 'https://example.org/b.css';")
    assert len(foreign_assets(tmp_path)) == 2


def test_links_are_not_assets(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(
        '<a href="https://example.org">there</a><link rel="canonical" href="https://example.org">'
    )
    assert foreign_assets(tmp_path) == []


def test_missing_files_are_found(tmp_path: Path) -> None:
    (tmp_path / "a b.png").write_bytes(b"")
    (tmp_path / "index.html").write_text('<img src="a%20b.png?v=1"><img src="c.png">')
    assert missing_files(tmp_path) == ["index.html: c.png"]
