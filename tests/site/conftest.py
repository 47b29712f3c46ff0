"""The built site and a browser to look at it with; without a browser these tests are skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest

from build_site import PAGES, ROOT, build

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SOURCES = ("*.md", "_*.yml", "chapters/*", "_static/*", "tools/*.py", "vae_lib/assets/live/*")


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """Chromium: the system's, or else Playwright's own."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="NO BROWSER TESTS: playwright is not installed"
    )
    found = next(filter(None, map(shutil.which, NAMES)), None)
    with playwright.sync_playwright() as driver:
        if found is None and not Path(driver.chromium.executable_path).exists():
            pytest.skip(f"NO BROWSER TESTS: there is none of {', '.join(NAMES)}")
        browser = driver.chromium.launch(executable_path=found, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site() -> Path:
    """The folder of the built pages, built anew only if a source is newer."""
    built = PAGES / "index.html"
    newest = max(path.stat().st_mtime for pattern in SOURCES for path in ROOT.glob(pattern))
    if not built.exists() or built.stat().st_mtime < newest:
        result = build()
        assert result.returncode == 0, result.stdout
    return PAGES
