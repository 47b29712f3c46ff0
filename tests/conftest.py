"""What all tests share: the built site, and what the run reports at its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from build_site import PAGES, build


@pytest.fixture(scope="session")
def site() -> Path:
    """The pages of the files that are there now: the first worker builds, the others wait."""
    result = build()
    assert result.returncode == 0, result.stdout
    return PAGES


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many of the deliberate bugs were found, and whether a browser was missing."""
    outcomes = [
        outcome
        for outcome in ("passed", "failed", "error")
        for report in terminalreporter.stats.get(outcome, [])
        if "test_mutants.py::test_is_killed" in getattr(report, "nodeid", "")
    ]
    if outcomes:
        killed = outcomes.count("passed")
        terminalreporter.write_line(f"mutants: {killed} of {len(outcomes)} killed")
    skipped = [
        report.nodeid
        for report in terminalreporter.stats.get("skipped", [])
        if "no browser" in str(report.longrepr)
    ]
    if skipped:
        line = f"NOT TESTED: {len(skipped)} tests of the pages need a browser: install Chromium"
        terminalreporter.write_line(line, red=True, bold=True)
