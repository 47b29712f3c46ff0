"""Plugins of every test run in this clone."""

pytest_plugins = ["nbval_tolerance", "plain_count"]
