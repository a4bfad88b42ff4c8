"""Somebody who writes policies in a browser, whose key the operator trusts."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from controlplane.bundles import BundleSigner
from tests.console.signing_in import signed_in
from tests.servers.ports import free_port
from tests.support import Caller, ControlPlane, running

LIMITS = "data/limits/data.json"
INFERENCE = "ztfm/inference/policy.rego"
ASKED = {
    "action": "inference",
    "resource": {"type": "model", "id": "sentence-encoder"},
    "audience": "gateway-1",
    "context": {"inference": {"prompt_tokens": 8, "max_output_tokens": 8}},
}
KEPT = """path => new Promise((resolve) => {
    const asked = indexedDB.open("ztfm-policies");
    asked.onsuccess = () => {
        const drafts = asked.result.transaction("drafts").objectStore("drafts").getAll();
        drafts.onsuccess = () => {
            asked.result.close();
            resolve(drafts.result.some((draft) => path in draft));
        };
    };
})"""
"""Whether the browser keeps a change of a file; there is no sign of it on the page."""

FORGET = """() => new Promise((resolve) => {
    const asked = indexedDB.open("ztfm-policies");
    asked.onsuccess = () => {
        const drafts = asked.result.transaction("drafts", "readwrite").objectStore("drafts").clear();
        drafts.onsuccess = () => { asked.result.close(); resolve(); };
    };
})"""
"""Leaves nothing of a test that failed to the next one."""

SLOW = 120_000
"""Milliseconds that a run of all tests may take where neighbours have the processors."""


@dataclass(frozen=True)
class Author:
    """A control plane, somebody who may publish, and a browser in which that person has a key."""

    plane: ControlPlane
    admin: Caller
    context: BrowserContext
    key_id: str


@contextmanager
def trusted_author(chromium: Browser) -> Iterator[Author]:
    """Have an author whose key is trusted: the browser shows it, it is put into the folder, and the plane restarts."""
    state = Path(tempfile.mkdtemp(prefix="ztfm-"))
    trusted = state / "trust/base"
    trusted.mkdir(parents=True)
    (trusted / "machine.pem").write_text(BundleSigner.load_or_create(state / "policy-signing.key").public_pem)
    settings: dict[str, Any] = {"listen_port": free_port(), "policy_trust_dir": state / "trust", "newcomer_trust": 0.5}
    try:
        with running(state=state, **settings) as plane:
            admin = plane.enrol("administrator")
            consumer = plane.enrol("consumer")
            for _ in range(2):
                consumer.post("/v1/capabilities", ASKED).expect(201)
            context = chromium.new_context(base_url=plane.url, viewport={"width": 1280, "height": 800})
            context.route(lambda url: not url.startswith(plane.url), lambda route: route.abort())
            context.set_default_timeout(20_000)
            signed_in(context, plane, admin)
            page = context.new_page()
            page.goto("/console/policies?view=releases")
            page.get_by_role("button", name="Make a key").click()
            shown = page.get_by_role("region", name="Public key of this browser")
            page.get_by_text("How an operator trusts it").click()
            (trusted / "browser.pem").write_text(shown.inner_text())
            key_id = page.locator("code.whole").inner_text()
            page.close()
        with running(state=state, **settings) as plane, pytest.MonkeyPatch.context() as patch:
            # A stand-in: what is published was tried on the bench before, by the same checks, which take a while.
            patch.setattr(plane.services.policies.publisher, "_check", lambda _verified: None)
            yield Author(plane, replace(admin, plane=plane), context, key_id)
            context.close()
    finally:
        shutil.rmtree(state, ignore_errors=True)


def opened(page: Page, path: str, line: int) -> Locator:
    """Open a file with the cursor at the begin of a line."""
    page.goto(f"/console/policies?file={path}&line={line}")
    text = page.get_by_role("textbox", name=f"Text of {path}")
    expect(text).to_be_focused()
    return text


def at_end(page: Page, text: str) -> None:
    page.keyboard.press("End")
    page.keyboard.insert_text(text)


def discard_all(page: Page) -> None:
    page.get_by_role("button", name="Discard all").click()
    expect(page.get_by_role("tab", name="Changes (0)")).to_be_visible()


def tab(page: Page, name: str) -> Locator:
    page.get_by_role("tab", name=re.compile(rf"^{name}")).click()
    return page.get_by_role("tabpanel")


def line_of(plane: ControlPlane, path: str, text: str, after: str = "") -> int:
    """Return the line of a file in force that holds a text, after one that holds another."""
    files = plane.call("GET", "/v1/workbench/sources", key=plane.enrol("administrator").key).expect(200)["files"]
    lines = next(file["text"] for file in files if file["path"] == path).splitlines()
    start = next(number for number, line in enumerate(lines) if after in line)
    return next(number for number, line in enumerate(lines[start:], start + 1) if text in line)
