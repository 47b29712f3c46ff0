"""Sphinx extension: the site's address, from the repository's, and what has it: the site map.

GitHub Pages serves OWNER/REPOSITORY below https://OWNER.github.io/REPOSITORY/. `html_baseurl` in
`_config.yml` overrules that. A library for the site map would be two packages for nine lines.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from urllib.parse import urlsplit

from sphinx.application import Sphinx
from sphinx.config import Config

from set_repository import declared


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
    app.connect("build-finished", write_for_robots)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
