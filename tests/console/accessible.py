"""What axe finds on a page (WCAG 2.1, levels A and AA)."""

from typing import Any

from playwright.sync_api import Page

from tests.console.building import packages

SERIOUS = {"serious", "critical"}


def faults(page: Page) -> list[str]:
    """Return the serious faults of what is shown now, each with the elements that have it."""
    # Evaluated by the debugger, not as a script of the page, whose policy lets none in.
    page.evaluate((packages() / "axe-core/axe.min.js").read_text() + "\n;undefined")
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
    found: dict[str, Any] = page.evaluate("tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})", tags)
    return [
        f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes']]}"
        for one in found["violations"]
        if one["impact"] in SERIOUS
    ]
