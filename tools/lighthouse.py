"""Measure the built pages with Lighthouse: `make lighthouse`, which needs node and Chromium.

Where a figure of a page is below the goal, the page is measured twice more and the median counts:
other work on the machine moves the performance by several points. The table goes to
benchmarks/lighthouse.json.
"""

from __future__ import annotations

import datetime
import json
import os
import shutil
import statistics
import subprocess
import sys

from build_site import PAGES, ROOT
from compressing_server import serve

RESULT = ROOT / "benchmarks" / "lighthouse.json"
VERSION = "12.8.2"
GOAL = 95
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
MODES = {"mobile": [], "desktop": ["--preset=desktop"]}
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def run(url: str, mode: str) -> dict:
    flags = "--chrome-flags=--headless=new --no-sandbox --disable-gpu"
    command = ["npm", "exec", "--yes", f"--package=lighthouse@{VERSION}", "--", "lighthouse"]
    command += [url, "--quiet", "--output=json", flags, *MODES[mode]]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT / ".work", check=True)
    return json.loads(result.stdout)


def figures(report: dict) -> dict[str, float]:
    """The four scores in per cent, and what the performance is made of."""
    found = {name: round(100 * report["categories"][name]["score"]) for name in CATEGORIES}
    audits = report["audits"]
    found["kilobytes"] = round(audits["total-byte-weight"]["numericValue"] / 1000)
    found["largest_paint_s"] = round(audits["largest-contentful-paint"]["numericValue"] / 1000, 2)
    found["blocked_ms"] = round(audits["total-blocking-time"]["numericValue"])
    found["layout_shift"] = round(audits["cumulative-layout-shift"]["numericValue"], 3)
    return found


def measure(url: str, mode: str) -> dict[str, float]:
    runs = [figures(run(url, mode))]
    if min(runs[0][name] for name in CATEGORIES) < GOAL:
        runs += [figures(run(url, mode)) for _ in range(2)]
    return {name: statistics.median(one[name] for one in runs) for name in runs[0]}


def main(folder: str = "") -> str:
    """Measure the pages whose address begins with `folder`; say which are below the goal."""
    browser = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if not (browser and shutil.which("npm")):
        return "Lighthouse needs node with npm, and Chromium."
    os.environ["CHROME_PATH"] = browser
    address, pages = serve(), {}
    for file in sorted(p for p in PAGES.rglob("*.html") if PAGES / "_static" not in p.parents):
        name = file.relative_to(PAGES).as_posix()
        if not name.startswith(folder):
            continue
        pages[name] = {mode: measure(address + name, mode) for mode in MODES}
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
        f"{name}, {mode}: {category} {by_mode[mode][category]}"
        for name, by_mode in pages.items()
        for mode in MODES
        for category in CATEGORIES
        if by_mode[mode][category] < GOAL
    ]
    return "\n".join(["Below the goal:", *low]) if low else ""


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) or 0)
