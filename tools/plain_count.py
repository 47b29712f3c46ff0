"""pytest plugin: the last line is a plain count, `N passed, N failed`."""

from __future__ import annotations

import atexit

import pytest

_counts = pytest.StashKey[dict]()


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    stats = terminalreporter.stats
    terminalreporter.config.stash[_counts] = {
        "passed": len(stats.get("passed", [])),
        "failed": len(stats.get("failed", [])) + len(stats.get("error", [])),
        "skipped": len(stats.get("skipped", [])),
    }


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    counts = config.stash.get(_counts, None)
    if counts is not None:
        line = f"{counts['passed']} passed, {counts['failed']} failed"
        line += f", {counts['skipped']} skipped" if counts["skipped"] else ""
        # At exit, since pytest then still hands on what it captured while loading conftest.py.
        atexit.register(print, line, flush=True)
