"""Measure the built pages with Lighthouse: `make lighthouse`, which needs node and Chromium.

Where a figure of a page is below the goal, the page is measured twice more and the median counts:
other work on the machine moves the performance by several points. The table goes to
benchmarks/lighthouse.json.
"""

from __future__ import annotations

import datetime
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

from build_site import PAGES, ROOT
from set_repository import declared

RESULT = ROOT / "benchmarks" / "lighthouse.json"
VERSION = "12.8.2"
GOAL = 95
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
MODES = {"mobile": [], "desktop": ["--preset=desktop"]}
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
PREFIX = f"/{declared().partition('/')[2]}"  # as on GitHub Pages


class Handler(SimpleHTTPRequestHandler):
    """Serves the pages as GitHub does: below PREFIX, compressed, 404.html for what is missing."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        root, path = Path(self.directory), unquote(urlsplit(self.path).path)
        file = root / path.removeprefix(f"{PREFIX}/")
        there = path.startswith(f"{PREFIX}/") and file.is_file()
        file = file if there else root / "404.html"
        kind = self.guess_type(file.name)
        is_compressed = not kind.startswith("image/") or "svg" in kind
        content = compressed(file) if is_compressed else file.read_bytes()
        self.send_response(200 if there else 404)
        self.send_header("Cache-Control", "max-age=600")
        if is_compressed:
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Type", f"{kind}; charset=utf-8" if "text" in kind else kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@cache
def compressed(file: Path) -> bytes:
    return gzip.compress(file.read_bytes())


def serve(pages: Path = PAGES) -> str:
    """Start a server that ends with the program; return its address: `f"{address}/index.html"`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(pages)))
    Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}{PREFIX}"


def run(url: str, mode: str) -> dict:
    """The four scores in per cent, and what the performance is made of."""
    flags = "--chrome-flags=--headless=new --no-sandbox --disable-gpu"
    command = ["npm", "exec", "--yes", f"--package=lighthouse@{VERSION}", "--", "lighthouse"]
    command += [url, "--quiet", "--output=json", flags, *MODES[mode]]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT / ".work", check=True)
    report = json.loads(result.stdout)
    value = {name: audit.get("numericValue") for name, audit in report["audits"].items()}
    return {name: round(100 * report["categories"][name]["score"]) for name in CATEGORIES} | {
        "kilobytes": round(value["total-byte-weight"] / 1000),
        "largest_paint_s": round(value["largest-contentful-paint"] / 1000, 2),
        "blocked_ms": round(value["total-blocking-time"]),
        "layout_shift": round(value["cumulative-layout-shift"], 3),
    }


def measure(url: str, mode: str) -> dict[str, float]:
    runs = [run(url, mode)]
    if min(runs[0][name] for name in CATEGORIES) < GOAL:
        runs += [run(url, mode) for _ in range(2)]
    return {name: statistics.median(each[name] for each in runs) for name in runs[0]}


def main(folder: str = "") -> str:
    """Measure the pages whose address begins with `folder`; say which are below the goal."""
    browser = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if not (browser and shutil.which("npm")):
        return "Lighthouse needs node with npm, and Chromium."
    os.environ["CHROME_PATH"] = browser
    address, pages = serve(), {}
    for file in sorted(p for p in PAGES.rglob("*.html") if PAGES / "_static" not in p.parents):
        name = file.relative_to(PAGES).as_posix()
        if name.startswith(folder):
            pages[name] = {mode: measure(f"{address}/{name}", mode) for mode in MODES}
            print(name, *([pages[name][mode][c] for c in CATEGORIES] for mode in MODES), flush=True)
    chromium = subprocess.run([browser, "--version"], capture_output=True, text=True, check=True)
    result = {
        "command": f"make lighthouse {folder and f'FOLDER={folder}'}".strip(),
        "date": datetime.date.today().isoformat(),
        "versions": {"lighthouse": VERSION, "browser": chromium.stdout.split(" built")[0].strip()},
        "pages": pages,
    }
    if folder and RESULT.exists():  # the others keep what was measured before
        before = json.loads(RESULT.read_text(encoding="utf-8"))
        kept = {name: row for name, row in before["pages"].items() if (PAGES / name).exists()}
        result |= {"command": before["command"], "pages": dict(sorted((kept | pages).items()))}
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    low = [
        f"{name}, {mode}: {category} {figures[category]}"
        for name, by_mode in pages.items()
        for mode, figures in by_mode.items()
        for category in CATEGORIES
        if figures[category] < GOAL
    ]
    return "\n".join(["Below the goal:", *low]) if low else ""


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) or 0)
