"""What the run reports at its end."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many of the deliberate bugs the unit tests have found."""
    outcomes = [
        outcome
        for outcome in ("passed", "failed", "error")
        for report in terminalreporter.stats.get(outcome, [])
        if "test_mutants.py::test_is_killed" in getattr(report, "nodeid", "")
    ]
    if outcomes:
        killed = outcomes.count("passed")
        terminalreporter.write_line(f"mutants: {killed} of {len(outcomes)} killed")
