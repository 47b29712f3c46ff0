"""Sphinx extension: descriptions from the landing page's cards; others take a page's first words.

The address of the site follows from the repository's: GitHub Pages serves OWNER/REPOSITORY below
https://OWNER.github.io/REPOSITORY/. `html_baseurl` in `_config.yml` overrules that. A chapter is
described by its card on the landing page; any other page by its first paragraph.
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


def set_address(app: Sphinx, config: Config) -> None:
    if not config.html_baseurl:
        owner, repository = declared(Path(app.srcdir)).split("/")
        config.html_baseurl = f"https://{owner.lower()}.github.io/{repository}/"
    config.project = config.html_title
    config.ogp_site_url = config.html_baseurl
    config.notfound_urls_prefix = urlsplit(config.html_baseurl).path


def cards(landing_page: str) -> dict[str, str]:
    """What the landing page says about each chapter."""
    found = CARD.finditer(landing_page)
    return {match["page"]: match["words"].replace("`", "").replace("\n", " ") for match in found}


def first_paragraph(doctree: nodes.document) -> str:
    """The first that says something: no cell of a table, no mere pointer to a chapter."""
    for paragraph in doctree.findall(nodes.paragraph):
        words = " ".join(paragraph.astext().split())
        if not isinstance(paragraph.parent, nodes.entry) and len(words) >= SHORTEST:
            return words
    return ""


def describe(app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document) -> None:
    landing_page = (Path(app.srcdir) / "index.md").read_text(encoding="utf-8")
    words = cards(landing_page).get(page) or MADE.get(page) or first_paragraph(doctree)
    if len(words) > LONGEST:
        words = words[:LONGEST].rpartition(" ")[0] + " …"
    tag = f'<meta name="description" content="{escape(words)}" />\n'
    context["metatags"] = context.get("metatags", "") + tag
    context["meta"] = {**(context.get("meta") or {}), "og:description": escape(words)}


def write_for_robots(app: Sphinx, exception: Exception | None) -> None:
    """The list of all pages, and where to find it: too little for an extension of its own."""
    if exception:
        return
    address = app.config.html_baseurl
    pages = [address + app.builder.get_target_uri(page) for page in sorted(app.env.found_docs)]
    urls = "\n".join(f"<url><loc>{escape(page)}</loc></url>" for page in pages)
    namespace = "http://www.sitemaps.org/schemas/sitemap/0.9"
    Path(app.outdir, "sitemap.xml").write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<urlset xmlns="{namespace}">\n{urls}\n</urlset>\n',
        encoding="utf-8",
    )
    lines = f"User-agent: *\nAllow: /\nSitemap: {address}sitemap.xml\n"
    Path(app.outdir, "robots.txt").write_text(lines, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", set_address, priority=1)
    app.connect("html-page-context", describe, priority=100)  # before sphinxext-opengraph looks
    app.connect("build-finished", write_for_robots)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
