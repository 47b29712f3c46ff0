"""Sphinx extension: what search engines and previews of links read.

- A description of each page: others know the first words, none the landing page. A chapter is
  described by its card on the landing page; any other page by its first paragraph.
- The site's address. GitHub Pages serves OWNER/REPOSITORY below
  https://OWNER.github.io/REPOSITORY/; `html_baseurl` in `_config.yml` overrules that.
- The site map: a library for it would be two packages for nine lines.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

from set_repository import declared

CARD = re.compile(r"card\n\[.+\]\((?P<page>[\w/]+)\.\w+\)\n\n(?P<words>.+)\n:::")
MADE = {
    "search": "Search the chapters and the reference of the book.",
    "genindex": "Every function and class of vae_lib, in alphabetical order.",
    "404": "There is no page of the book at this address.",
}
SHORTEST, LONGEST = 40, 300  # characters of a description


def cards(landing_page: str) -> dict[str, str]:
    """What the landing page says about each chapter."""
    matches = CARD.finditer(landing_page)
    return {match["page"]: match["words"].replace("`", "").replace("\n", " ") for match in matches}


def first_paragraph(document: nodes.document) -> str:
    """The first that says something: no cell of a table, no mere pointer to a chapter."""
    for paragraph in document.findall(nodes.paragraph):
        words = " ".join(paragraph.astext().split())
        if not isinstance(paragraph.parent, nodes.entry) and len(words) >= SHORTEST:
            return words
    return ""


def describe(
    app: Sphinx, page: str, template: str, context: dict, document: nodes.document
) -> None:
    landing_page = (Path(app.srcdir) / "index.md").read_text(encoding="utf-8")
    words = cards(landing_page).get(page) or MADE.get(page) or first_paragraph(document)
    if len(words) > LONGEST:
        words = words[:LONGEST].rpartition(" ")[0] + " …"
    tag = f'<meta name="description" content="{escape(words)}" />\n'
    context["metatags"] = context.get("metatags", "") + tag
    context["meta"] = {**(context.get("meta") or {}), "og:description": escape(words)}


def set_address(app: Sphinx, config: Config) -> None:
    if not config.html_baseurl:
        owner, repository = declared(Path(app.srcdir)).split("/")
        config.html_baseurl = f"https://{owner.lower()}.github.io/{repository}/"
    config.project = config.html_title
    config.ogp_site_url = config.html_baseurl
    config.notfound_urls_prefix = urlsplit(config.html_baseurl).path


def write_for_robots(app: Sphinx, exception: Exception | None) -> None:
    """The list of all pages, and where to find it."""
    if exception:
        return
    address = app.config.html_baseurl
    pages = [address + app.builder.get_target_uri(page) for page in sorted(app.env.found_docs)]
    urls = "\n".join(f"<url><loc>{escape(page)}</loc></url>" for page in pages)
    files = {
        "sitemap.xml": '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{urls}\n</urlset>\n',
        "robots.txt": f"User-agent: *\nAllow: /\nSitemap: {address}sitemap.xml\n",
    }
    for name, text in files.items():
        Path(app.outdir, name).write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> None:
    app.connect("config-inited", set_address, priority=1)
    app.connect("html-page-context", describe, priority=100)  # before sphinxext-opengraph looks
    app.connect("build-finished", write_for_robots)
