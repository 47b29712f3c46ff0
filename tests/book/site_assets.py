"""What built pages load: nothing from another host, and nothing that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

from set_repository import declared

LOADED = (("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src"))
NOT_LOADED = {"canonical", "index", "search", "next", "prev", "author", "license", "alternate"}
CSS_URL = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)")


def loaded(page: Path) -> Iterator[str]:
    """The addresses that a browser fetches by itself when it shows a page."""
    soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    for name, attribute in LOADED:
        for element in soup.find_all(name):
            if element.get(attribute) and not NOT_LOADED & set(element.get("rel", [])):
                yield element[attribute]
    for style in soup.find_all("style"):
        yield from css_urls(style.get_text())


def html_pages(site: Path) -> list[Path]:
    """The pages, without the templates that themes leave in `_static`."""
    return [page for page in site.rglob("*.html") if "_static" not in page.parts]


def css_urls(text: str) -> list[str]:
    return [url or imported for url, imported in CSS_URL.findall(text)]


def foreign_assets(site: Path) -> list[str]:
    """Each address on another host, with the file that loads it."""
    sources = {page: list(loaded(page)) for page in html_pages(site)}
    sources |= {sheet: css_urls(sheet.read_text("utf-8")) for sheet in site.rglob("*.css")}
    return [
        f"{file.relative_to(site)}: {url}"
        for file, urls in sources.items()
        for url in urls
        if urlsplit(url).netloc
    ]


def missing_files(site: Path) -> list[str]:
    """Each local address in a page that leads to no file."""
    return [
        f"{page.relative_to(site)}: {url}"
        for page in html_pages(site)
        for url in loaded(page)
        if not urlsplit(url).scheme
        and not urlsplit(url).netloc
        and not local(site, page, unquote(urlsplit(url).path)).exists()
    ]


def local(site: Path, page: Path, path: str) -> Path:
    """The file of an address; one from the root, as 404.html has, is in the published folder."""
    root = f"/{declared().partition('/')[2]}/"
    return site / path.removeprefix(root) if path.startswith(root) else page.parent / path
