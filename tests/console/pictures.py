"""The pictures of the console in the documents, taken of a real control plane: `python -m tests.console.pictures`."""

import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.console.signing_in import signed_in
from tests.monitoring.traffic import Traffic, traffic
from tests.servers.chromium import arguments, ensure_chromium
from tests.support import running

FOLDER = Path(__file__).parents[2] / "docs/images"
SIZE = {"width": 1280, "height": 800}


def take(page: Page, busy: Traffic, folder: Path) -> None:
    """Look at each page as a person would, and keep what is seen."""
    page.set_default_timeout(300_000)
    page.goto("/console/federation")
    page.get_by_role("region", name="Rounds").get_by_role("row").filter(has_text="run-").first.click()
    page.get_by_role("region", name="Round run-").get_by_role("table").first.wait_for()
    page.wait_for_timeout(2000)
    page.screenshot(path=folder / "console-federation.png")
    asked = "outcome=deny&reason=update_aligned"
    found = busy.admin.get(f"/v1/decisions?{asked}&limit=1").expect(200)
    with page.expect_response(lambda answer: answer.url.endswith("/explanation") and answer.ok):
        page.goto(f"/console/decisions/{found['decisions'][0]['id']}?{asked}")
    page.wait_for_timeout(3000)
    page.screenshot(path=folder / "console-decisions.png")


def take_policies(page: Page, folder: Path) -> None:
    """Run the tests of the shipped policies, and keep what is seen of them."""
    page.set_default_timeout(300_000)
    page.goto("/console/policies?file=ztfm/inference/policy.rego&line=44")
    page.get_by_role("tab", name="Tests").click()
    page.get_by_role("button", name="Run the tests").click()
    page.get_by_text(" passed").first.wait_for()
    page.wait_for_timeout(2000)
    page.screenshot(path=folder / "console-policies.png")


def main() -> None:
    """Take them."""
    with tempfile.TemporaryDirectory() as state, traffic(Path(state)) as busy, sync_playwright() as playwright:
        busy.burst()
        browser = playwright.chromium.launch(executable_path=ensure_chromium(), args=arguments())
        context = browser.new_context(base_url=busy.plane.url, viewport=SIZE)  # type: ignore[arg-type]
        signed_in(context, busy.plane, busy.admin)
        take(context.new_page(), busy, FOLDER)
        with running() as plane:
            context = browser.new_context(base_url=plane.url, viewport=SIZE)  # type: ignore[arg-type]
            signed_in(context, plane, plane.enrol("administrator"))
            take_policies(context.new_page(), FOLDER)
        browser.close()


if __name__ == "__main__":
    main()
