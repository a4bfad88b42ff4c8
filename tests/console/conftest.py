"""A real Chromium before a real control plane with OPA, through which a federation trains."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.console.signing_in import signed_in
from tests.monitoring.traffic import Traffic, traffic
from tests.servers.chromium import ChromiumMissing, arguments, ensure_chromium


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser; while there is one, no coroutine runs in this process, so that it does not outlive its file."""
    try:
        program = ensure_chromium()
    except ChromiumMissing as missing:
        pytest.skip(str(missing))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments())
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traffic]:
    """A control plane to which everything has happened once."""
    with traffic(tmp_path_factory.mktemp("console")) as found:
        found.burst()
        yield found


@pytest.fixture
def context(chromium: Browser, busy: Traffic) -> Iterator[BrowserContext]:
    """A browser's window of its own, which no other host can be reached from."""
    context = chromium.new_context(base_url=busy.plane.url, viewport={"width": 1280, "height": 800})
    context.route(lambda url: not url.startswith(busy.plane.url), lambda route: route.abort())
    context.set_default_timeout(20_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, busy: Traffic) -> Iterator[Page]:
    """A page on which an administrator is signed in; it must not say anything to the browser's console in error."""
    signed_in(context, busy.plane, busy.admin)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    yield page
    assert [fault for fault in faults if "Failed to load resource" not in fault] == []
