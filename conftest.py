"""Plugins of every test run in this clone."""

pytest_plugins = ["book_pytest"]
