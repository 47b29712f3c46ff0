"""axe finds no fault on any page, in light and in dark."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from pages import PAGES

FOLLOWED = """(scheme) => [...document.querySelectorAll("[data-look]")].every(
    (figure) => figure.dataset.look === scheme)"""
COLOURS = ["color-contrast", "link-in-text-block"]


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(address: str, visit, name: str) -> None:
    page = visit(f"{address}/{name}", reduced_motion="reduce")
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(FOLLOWED, arg=scheme)
        options = {"resultTypes": ["violations"]}
        if scheme == "light":
            options["rules"] = {"target-size": {"enabled": True}}  # off, but Lighthouse asks it
        else:  # a scheme changes colours alone
            options["runOnly"] = {"type": "rule", "values": COLOURS}
        found += [
            f"{scheme}, {violation['id']}: {node['html'][:120]} {node['failureSummary'][:300]}"
            for violation in Axe().run(page, options=options).response["violations"]
            for node in violation["nodes"]
        ]
    assert found == []
