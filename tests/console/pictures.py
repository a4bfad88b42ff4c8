"""The pictures of the console in the documents, taken of a real control plane: `python -m tests.console.pictures`."""

import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.console.signing_in import signed_in
from tests.monitoring.traffic import Traffic, traffic
from tests.servers.chromium import arguments, ensure_chromium

FOLDER = Path(__file__).parents[2] / "docs/images"
SIZE = {"width": 1280, "height": 800}


def take(page: Page, busy: Traffic, folder: Path) -> None:
    """Look at each page as a person would, and keep what is seen."""
    page.goto("/console/federation")
    page.get_by_role("region", name="Rounds").get_by_role("row").nth(1).click()
    page.wait_for_timeout(3000)
    page.screenshot(path=folder / "console-federation.png")
    found = busy.admin.get("/v1/decisions?outcome=deny&action=gradient_submission&limit=1").expect(200)
    page.goto(f"/console/decisions/{found['decisions'][0]['id']}?outcome=deny")
    page.get_by_text("Working out why").wait_for(state="hidden")
    page.wait_for_timeout(2000)
    page.screenshot(path=folder / "console-decisions.png")
    page.goto("/console/policies?file=ztfm/gradient_submission/policy.rego&line=30")
    page.wait_for_timeout(6000)
    page.screenshot(path=folder / "console-policies.png")


def main() -> None:
    """Take them."""
    with tempfile.TemporaryDirectory() as state, traffic(Path(state)) as busy, sync_playwright() as playwright:
        busy.burst()
        browser = playwright.chromium.launch(executable_path=ensure_chromium(), args=arguments())
        context = browser.new_context(base_url=busy.plane.url, viewport=SIZE)  # type: ignore[arg-type]
        signed_in(context, busy.plane, busy.admin)
        take(context.new_page(), busy, FOLDER)
        browser.close()


if __name__ == "__main__":
    main()
