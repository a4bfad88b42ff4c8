"""The policy workbench: written, checked, tested, asked, replayed, signed in the browser, released, taken back."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from controlplane.bundles import read_archive
from controlplane.bundles.layout import SIGNATURES
from controlplane.bundles.verification import read_manifest
from controlplane.contracts.builtins import FORBIDDEN
from controlplane.sidecar import locate_opa
from tests.console.accessible import faults
from tests.console.authoring import (
    ASKED,
    FORGET,
    INFERENCE,
    KEPT,
    LIMITS,
    SLOW,
    Author,
    at_end,
    discard_all,
    line_of,
    opened,
    tab,
    trusted_author,
)
from tests.console.signing_in import signed_in

WORDS = Path(__file__).parents[2] / "console/src/rego/builtins.json"


@pytest.fixture(scope="module")
def author(chromium: Browser) -> Iterator[Author]:
    with trusted_author(chromium) as found:
        yield found


@pytest.fixture
def page(author: Author) -> Iterator[Page]:
    page = author.context.new_page()
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("dialog", lambda dialog: dialog.accept())
    yield page
    page.evaluate(FORGET)
    page.close()
    assert [one for one in said if "Failed to load resource" not in one] == []


def test_a_broken_line_is_told_in_the_editor_and_in_the_list_at_its_place(author: Author, page: Page) -> None:
    line = line_of(author.plane, INFERENCE, 'proven contains "purpose_allowed"')
    text = opened(page, INFERENCE, line)
    at_end(page, " === 1")
    found = page.get_by_role("list", name="Findings").get_by_role("button").first
    expect(found).to_contain_text(f"{INFERENCE}:{line}:", timeout=SLOW)
    expect(text.locator(".cm-lintRange-error")).to_have_count(1)
    tree = page.get_by_role("tree", name="Policy files")
    expect(tree.get_by_role("treeitem", name=re.compile(r"policy\.rego .*changed"))).to_be_visible()

    # It is found by key from another file, too.
    opened(page, LIMITS, 1)
    expect(found).to_be_visible(timeout=SLOW)
    page.keyboard.press("F8")
    expect(page.get_by_role("textbox", name=f"Text of {INFERENCE}")).to_be_focused()

    discard_all(page)
    expect(page.get_by_text("Nothing is changed")).to_be_visible()
    expect(found).to_have_count(0)


def test_changes_are_kept_over_visits_and_shown_line_by_line(author: Author, page: Page) -> None:
    opened(page, LIMITS, 1)
    line = line_of(author.plane, LIMITS, '"usage_window_seconds"')
    opened(page, LIMITS, line)
    at_end(page, " ")
    expect(page.get_by_role("tab", name="Changes (1)")).to_be_visible()
    page.wait_for_function(KEPT, arg=LIMITS)
    page.reload()
    panel = tab(page, "Changes")
    shown = panel.get_by_role("region", name=f"Changes of {LIMITS}")
    expect(shown.locator(".added")).to_have_count(1)
    expect(shown.locator(".removed")).to_contain_text("usage_window_seconds")
    shown.get_by_role("button", name="Discard the changes").click()
    expect(panel).to_contain_text("Nothing differs")


def test_fields_of_the_input_are_offered_from_its_schema(author: Author, page: Page) -> None:
    line = line_of(author.plane, INFERENCE, 'proven contains "purpose_allowed"')
    opened(page, INFERENCE, line)
    page.keyboard.press("End")
    page.keyboard.type("; input.context.inf")
    offered = page.get_by_role("listbox", name="Completions")
    offered.get_by_role("option", name=re.compile("^inference")).click()
    expect(page.get_by_role("textbox", name=f"Text of {INFERENCE}")).to_contain_text("; input.context.inference")
    discard_all(page)


def test_the_keyboard_alone_reaches_a_file_and_gets_out_of_the_editor(author: Author, page: Page) -> None:
    page.goto("/console/policies")
    page.get_by_role("searchbox", name="Find a file").fill("inference/policy.rego")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    tree = page.get_by_role("tree", name="Policy files")
    expect(tree.locator(":focus")).to_have_count(1)
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    text = page.get_by_role("textbox", name=f"Text of {INFERENCE}")
    text.focus()
    expect(text).to_have_attribute("aria-describedby", "editor-keys")
    page.keyboard.press("Tab")
    expect(text).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(text).not_to_be_focused()
    discard_all(page)


@pytest.mark.minutes
def test_a_limit_is_changed_tried_published_with_the_browsers_key_and_taken_back(author: Author, page: Page) -> None:
    line = line_of(author.plane, LIMITS, '"trust_minimum"', after='"public"')
    opened(page, LIMITS, line)
    page.keyboard.press("Shift+End")
    page.keyboard.insert_text('      "trust_minimum": 0.55,')

    panel = tab(page, "Evaluate")
    recent = panel.get_by_label("a recent one")
    asked = recent.locator("option", has_text="allow").first.get_attribute("value")
    recent.select_option(asked)
    panel.get_by_role("button", name="Decide it again").click()
    expect(panel.get_by_text("on the bench it is")).to_contain_text("trust_sufficient", timeout=SLOW)
    missing = panel.get_by_role("row", name=re.compile("^trust_sufficient missing"))
    expect(missing).to_contain_text("0.55")
    expect(panel.get_by_role("row", name=re.compile("^subject_active held"))).to_be_visible()
    assert faults(page) == []

    panel = tab(page, "Tests")
    panel.get_by_role("button", name="Run the tests").click()
    expect(panel.get_by_role("status")).to_contain_text(re.compile(r"^\d+ passed; "), timeout=SLOW)
    expect(panel.get_by_role("table", name="Tests").get_by_role("row")).not_to_have_count(1)
    page.get_by_role("searchbox", name="Find a file").fill("ztfm/inference/policy.rego")
    page.get_by_role("treeitem", name=re.compile(r"^policy\.rego")).click()
    expect(page.locator(".cm-coverage .sign.covered").first).to_be_visible()
    expect(page.locator(".cm-line.cm-covered").first).to_be_visible()
    expect(panel.get_by_text("of the open file's lines were run")).to_be_visible()
    assert faults(page) == []

    panel = tab(page, "Replay")
    panel.get_by_role("button", name="Replay").click()
    row = panel.get_by_role("row", name=re.compile("newly denied trust_sufficient homes inference 2"))
    expect(row).to_be_visible(timeout=SLOW)
    expect(row.get_by_role("link").first).to_have_attribute("href", re.compile("/console/decisions/dec-"))
    assert faults(page) == []

    publish(author, page)
    roll_back(author, page)


def publish(author: Author, page: Page) -> None:
    """Go through the dialog, and see the release decide."""
    before = author.admin.get("/v1/policies").expect(200)["revision"]
    page.get_by_role("button", name="Publish …").click()
    dialog = page.get_by_role("dialog")
    final = dialog.get_by_role("button", name="Sign and publish")
    expect(final).to_be_disabled()
    dialog.get_by_role("button", name="Build the bundle").click(timeout=SLOW)
    expect(dialog.get_by_text("and it is trusted")).to_be_visible(timeout=SLOW)
    expect(final).to_be_disabled()
    dialog.get_by_text("Or sign it with a key that lies elsewhere").click()
    with page.expect_download() as handed:
        dialog.get_by_role("button", name="Download the bundle").click()
    unsigned = read_archive(handed.value.path().read_bytes())
    assert read_manifest(unsigned).metadata.layer == "base"
    assert SIGNATURES not in unsigned
    dialog.get_by_label("I have looked at it").check()
    expect(final).to_be_enabled(timeout=SLOW)
    assert faults(page) == []
    final.click()
    expect(dialog.get_by_text("It decides now.")).to_be_visible(timeout=SLOW)
    dialog.get_by_role("button", name="Done").click()
    expect(page.get_by_role("tab", name="Changes (0)")).to_be_visible()
    [newest, *_] = author.admin.get("/v1/policies/releases").expect(200)["releases"]
    assert (newest["origin"], newest["key_id"], newest["published_by"]) == ("published", author.key_id, author.admin.id)
    assert author.admin.get("/v1/policies").expect(200)["revision"] == newest["revision"] != before
    denied = author.plane.enrol("consumer").post("/v1/capabilities", ASKED).expect(403)
    assert [reason["code"] for reason in denied["reasons"]] == ["trust_sufficient"]


def roll_back(author: Author, page: Page) -> None:
    """Go back to the first release, on the page of releases."""
    page.get_by_role("link", name="Releases").click()
    current = page.get_by_role("row", name=re.compile("^2 current"))
    expect(current).to_contain_text("(this browser's)")
    page.get_by_role("button", name="Roll back to release 1").click()
    dialog = page.get_by_role("dialog", name="Roll back to release 1?")
    dialog.get_by_role("button", name="Roll back", exact=True).click()
    expect(page.get_by_role("row", name=re.compile("^3 current"))).to_contain_text("rolled back", timeout=SLOW)
    expect(page.get_by_role("region", name="What decides")).not_to_contain_text("is released, and", timeout=SLOW)
    author.plane.enrol("consumer").post("/v1/capabilities", ASKED).expect(201)


def test_a_key_that_nobody_trusts_signs_nothing(author: Author, chromium: Browser) -> None:
    context = chromium.new_context(base_url=author.plane.url)
    context.set_default_timeout(20_000)
    try:
        signed_in(context, author.plane, author.admin)
        page = context.new_page()
        opened(page, LIMITS, 1)
        at_end(page, " ")
        page.get_by_role("button", name="Publish …").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Make a key").click()
        dialog.get_by_role("button", name="Build the bundle").click(timeout=SLOW)
        expect(dialog.get_by_text("It is not trusted yet.")).to_be_visible(timeout=SLOW)
        expect(dialog.get_by_role("region", name="Public key of this browser")).to_contain_text("BEGIN PUBLIC KEY")
        expect(dialog.get_by_role("button", name="Sign and publish")).to_be_disabled()
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
    finally:
        context.close()


def test_a_candidate_decides_in_the_shadow_and_is_taken_out(author: Author, page: Page) -> None:
    line = line_of(author.plane, LIMITS, '"trust_minimum"', after='"public"')
    opened(page, LIMITS, line)
    page.keyboard.press("Shift+End")
    page.keyboard.insert_text('      "trust_minimum": 0.55,')
    expect(page.get_by_role("tab", name="Changes (1)")).to_be_visible()
    page.get_by_role("link", name="Shadow").click()
    page.get_by_role("button", name="Put what is on the bench in the shadow").click()
    part = page.get_by_role("region", name="In the shadow")
    expect(part.get_by_text("decides", exact=True)).to_be_visible(timeout=SLOW)
    part.get_by_role("button", name="Take it out").click()
    expect(part.get_by_text("stopped", exact=True)).to_be_visible()
    page.get_by_role("link", name="Workbench").click()
    discard_all(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_anybody_out(author: Author, page: Page, scheme: str) -> None:
    page.add_init_script(f"localStorage.setItem('ztfm-theme', '{scheme}')")
    opened(page, INFERENCE, 30)
    at_end(page, " more")
    for name in ("Findings", "Changes", "Tests", "Evaluate", "Replay"):
        tab(page, name)
        assert faults(page) == [], name
    discard_all(page)
    for view in ("Releases", "Shadow"):
        page.get_by_role("link", name=view).click()
        page.get_by_text("The key of this browser is").wait_for()
        page.get_by_text("How an operator trusts it").click()
        assert faults(page) == [], view


def test_a_tablet_shows_all_of_it_without_scrolling_sideways(author: Author, page: Page) -> None:
    page.set_viewport_size({"width": 820, "height": 1180})
    opened(page, INFERENCE, 30)
    for view in ("Workbench", "Releases", "Shadow"):
        page.get_by_role("link", name=view).click()
        page.get_by_role("heading", name="Policies").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 820, view


def test_the_builtins_that_are_offered_are_those_that_opa_has_and_a_policy_may_call() -> None:
    opa = locate_opa(os.environ).path
    said = subprocess.run([opa, "capabilities", "--current"], capture_output=True, check=True).stdout
    wanted = {
        one["name"]
        for one in json.loads(said)["builtins"]
        if one["name"] not in FORBIDDEN
        and not one.get("infix")
        and not one.get("deprecated")
        and not one["name"].startswith("internal.")
    } - {"print", "trace"}
    assert set(json.loads(WORDS.read_text())) == wanted
