"""The electronic book: whole, in order, and its pages XML without scripts."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path
from posixpath import dirname, join, normpath

import pytest

from notebook_files import find

CHAPTERS = [f"chapters/{path.stem}.xhtml" for path in find([])]


@pytest.fixture
def book(site: Path) -> zipfile.ZipFile:
    (path,) = site.glob("*.epub")
    assert path.stat().st_size < 10_000_000
    with zipfile.ZipFile(path) as file:
        yield file


def test_every_page_is_xml_and_every_picture_is_there(book: zipfile.ZipFile) -> None:
    assert book.testzip() is None
    names = book.namelist()
    assert names[0] == "mimetype" and book.getinfo("mimetype").compress_type == zipfile.ZIP_STORED
    pages = {name: book.read(name).decode() for name in names if name.endswith(".xhtml")}
    assert set(CHAPTERS) <= set(pages)
    for name, text in pages.items():
        ElementTree.fromstring(text.replace("&nbsp;", "\u00a0"))  # a ParseError names the place
        assert "<script" not in text, name
        for source in re.findall(r'<img[^>]*\bsrc="([^"]+)"', text):
            assert normpath(join(dirname(name), source)) in names, f"{name}: {source}"


def test_the_chapters_are_read_in_their_order(book: zipfile.ZipFile) -> None:
    package = ElementTree.fromstring(book.read("content.opf"))
    files = {item.get("id"): item.get("href") for item in package.iter() if item.get("href")}
    order = [files[item.get("idref")] for item in package.iter() if item.tag.endswith("}itemref")]
    assert [name for name in order if name in CHAPTERS] == CHAPTERS
    contents = book.read("nav.xhtml").decode()
    assert all(f'href="{name}"' in contents for name in CHAPTERS)
