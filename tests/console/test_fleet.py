"""The fleet's page: devices are found, looked at, set apart and let back with a reason, and today is told of."""

import re
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.console.fleets import SEGMENT, add_many
from tests.console.looking import is_marked, mark, out_of_reach
from tests.console.signing_in import signed_in
from tests.monitoring.traffic import Traffic
from tests.support import Caller, wait_until

expect.set_options(timeout=20_000)

PAGE = "/console/fleet"
SET_APART = ("by an operator", "attached, by an operator", "whose key was swapped")
"""Devices that traffic sets apart, other than by their behaviour."""

ROW_PIXELS = 34


@pytest.fixture
def device(busy: Traffic) -> Caller:
    return busy.plane.enrol("consumer")


def rows(page: Page) -> Locator:
    """The rows of devices that are in the page now."""
    return page.get_by_role("table", name="Devices", exact=True).locator(".rows-body [role=row]")


def opened(page: Page, name: str) -> Locator:
    """Open a device by its address, and return what is shown of it."""
    page.goto(f"{PAGE}/{name}")
    part = page.get_by_role("region", name="Device", exact=True)
    expect(part.get_by_text(name, exact=True).first).to_be_visible()
    return part


def act(part: Locator, name: str, reason: str) -> None:
    """Do something about the device that is shown, and wait until it is done."""
    part.get_by_role("button", name=f"{name} …").click()
    form = part.get_by_role("form", name=f"{name} this device")
    form.get_by_label("Reason, kept with the decision").fill(reason)
    form.get_by_role("button", name=name, exact=True).click()
    expect(part.get_by_text(f"{name}: done.")).to_be_visible()


def decisions_on(busy: Traffic, device: Caller) -> list[dict[str, Any]]:
    """Return what was decided on the device's status, as recorded, newest first."""
    path = f"/v1/decisions?action=device:set_status&subject={busy.admin.id}&limit=50"
    found = busy.operator.get(path).expect(200)["decisions"]
    mine = [one["id"] for one in found if one["resource"] == device.id]
    return [busy.operator.get(f"/v1/decisions/{name}").expect(200) for name in mine]


def held_by_people(busy: Traffic) -> Any:
    return busy.operator.get("/v1/devices?state=held").expect(200)


def test_filters_narrow_the_list_and_stand_in_the_address(page: Page, busy: Traffic) -> None:
    wait_until(lambda: held_by_people(busy)["total"] == len(SET_APART), 30, "the swapped key to be found")
    held = held_by_people(busy)
    page.goto(PAGE)
    expect(rows(page).first).to_be_visible()
    bar = page.get_by_role("search")
    bar.get_by_label("State").select_option("held")
    expect(page).to_have_url(re.compile(r"\?state=held$"))
    expect(page.get_by_role("status").filter(has_text=f"{held['total']} devices")).to_be_visible()
    expect(rows(page)).to_have_count(held["total"])
    for row in rows(page).all():
        expect(row).to_contain_text("held")
    bar.get_by_label("Text in id, role or segment").fill(held["devices"][0]["id"][4:16])
    expect(rows(page)).to_have_count(1)
    expect(page.get_by_text(f"ztfm devices list --text {held['devices'][0]['id'][4:16]} --state held")).to_be_visible()
    page.reload()
    expect(rows(page)).to_have_count(1)
    bar.get_by_role("button", name="All").click()
    expect(page).to_have_url(re.compile(f"{PAGE}$"))
    expect(rows(page).nth(held["total"])).to_be_visible()


def test_a_filter_that_fits_nobody_says_so_and_one_that_is_wrong_is_refused_in_its_words(page: Page) -> None:
    page.goto(f"{PAGE}?text=nobody-has-this")
    expect(page.get_by_text("No device fits these filters.")).to_be_visible()
    page.get_by_role("search").get_by_role("button", name="All").click()
    expect(rows(page).first).to_be_visible()
    page.goto(f"{PAGE}?below=7")
    expect(page.get_by_role("alert").first).to_contain_text("below")


def test_a_device_is_shown_with_its_identity_and_where_it_stands(page: Page, busy: Traffic) -> None:
    name = busy.members[0].id
    known = busy.operator.get(f"/v1/devices/{name}").expect(200)
    resolved = busy.operator.get(f"/v1/identifiers/{name}").expect(200)
    part = opened(page, name)
    expect(part.get_by_text(known["key_thumbprint"], exact=True)).to_be_visible()
    expect(part).to_contain_text(f"after {known['trust']['observations']} observations")
    expect(part.get_by_text(resolved["didDocumentMetadata"]["canonicalId"])).to_be_visible()
    expect(part).to_contain_text("Nothing is proven of its platform.")
    part.get_by_text("History of the identity").click()
    history = part.get_by_role("table", name="Records of the identity")
    expect(history.get_by_role("row")).to_have_count(2)
    expect(history).to_contain_text("registered")
    expect(part.get_by_text(f"ztfm identity history {name}")).to_be_visible()


def test_the_device_that_was_set_apart_by_policy_is_shown_with_its_verdicts(page: Page, busy: Traffic) -> None:
    [apart] = busy.operator.get("/v1/behaviour?state=quarantined").expect(200)["subjects"]
    verdicts = busy.operator.get(f"/v1/devices/{apart['subject']}/behaviour").expect(200)["verdicts"]
    part = opened(page, apart["subject"])
    for verdict in verdicts:
        expect(part.get_by_text(verdict["attribution"]["sentence"])).to_be_visible()
        expect(part.locator(f"a[href='/console/decisions/{verdict['decision_id']}']")).to_be_visible()
    today = page.get_by_role("region", name="Set apart by policy")
    expect(today.locator(f"a[href='{PAGE}/{apart['subject']}']")).to_be_visible()


def test_a_device_is_set_apart_and_let_back_and_both_are_decisions_with_their_reason(
    page: Page, busy: Traffic, device: Caller
) -> None:
    size = {"prompt_tokens": 1, "max_output_tokens": 1}
    part = opened(page, device.id)
    mark(page)
    act(part, "Quarantine", "Its lens was covered.")
    expect(part.get_by_text("held", exact=True).first).to_be_visible()
    assert device.capability("inference", inference=size).status == 403
    act(part, "Release", "It was dust.")
    expect(part.get_by_text("watched", exact=True).first).to_be_visible()
    assert device.capability("inference", inference=size).status == 201
    released, set_apart = decisions_on(busy, device)
    for record, status, reason in (
        (set_apart, "quarantined", "Its lens was covered."),
        (released, "active", "It was dust."),
    ):
        assert record["facts"]["resource"]["properties"] == {"owner": device.id, "status": status, "reason": reason}
        item = part.get_by_role("listitem").filter(has_text=reason)
        expect(item).to_contain_text("released" if status == "active" else status)
        expect(item.get_by_role("link", name="decision")).to_have_attribute(
            "href", f"/console/decisions/{record['id']}"
        )
    assert is_marked(page)


def test_nothing_is_done_without_a_reason_or_by_mistake(page: Page, busy: Traffic, device: Caller) -> None:
    part = opened(page, device.id)
    part.get_by_role("button", name="Quarantine …").click()
    form = part.get_by_role("form", name="Quarantine this device")
    expect(form.get_by_role("button", name="Quarantine", exact=True)).to_be_disabled()
    form.get_by_label("Reason, kept with the decision").fill("   ")
    expect(form.get_by_role("button", name="Quarantine", exact=True)).to_be_disabled()
    form.get_by_role("button", name="Leave it").click()
    expect(form).to_be_hidden()
    assert decisions_on(busy, device) == []
    assert busy.operator.get(f"/v1/devices/{device.id}").expect(200)["status"] == "active"


def test_who_may_not_revoke_is_refused_in_the_control_planes_words(
    context: BrowserContext, busy: Traffic, device: Caller
) -> None:
    signed_in(context, busy.plane, busy.operator)
    page = context.new_page()
    refused = busy.operator.post(f"/v1/devices/{device.id}/status", {"status": "revoked", "reason": "Lost."})
    part = opened(page, device.id)
    part.get_by_role("button", name="Revoke …").click()
    form = part.get_by_role("form", name="Revoke this device")
    expect(form).to_contain_text("This is final")
    form.get_by_label("Reason, kept with the decision").fill("Lost.")
    form.get_by_role("button", name="Revoke", exact=True).click()
    expect(form.get_by_role("alert")).to_contain_text(refused.expect(403)["title"])
    expect(form.get_by_role("alert")).to_contain_text(refused.json["detail"])
    assert busy.operator.get(f"/v1/devices/{device.id}").expect(200)["status"] == "active"


def test_a_revoked_device_can_be_brought_back_by_nobody(page: Page, device: Caller) -> None:
    part = opened(page, device.id)
    act(part, "Revoke", "Sold.")
    expect(part.get_by_text("revoked", exact=True).first).to_be_visible()
    expect(part.get_by_role("button", name="…")).to_have_count(0)


def test_a_device_that_enrols_and_one_that_others_set_apart_are_shown_at_once(page: Page, busy: Traffic) -> None:
    page.goto(f"{PAGE}?text=gateway")
    expect(page.locator(".live.on")).to_be_visible()
    expect(rows(page).first).to_be_visible()
    mark(page)
    newcomer = busy.plane.enrol("gateway")
    row = rows(page).filter(has=page.get_by_text(newcomer.id, exact=True))
    expect(row).to_contain_text("watched")
    change = {"status": "quarantined", "reason": "From the command line."}
    busy.operator.post(f"/v1/devices/{newcomer.id}/status", change).expect(200)
    expect(row).to_contain_text("held")
    assert is_marked(page)


def test_what_changed_today_is_told_by_kind(page: Page, busy: Traffic, device: Caller) -> None:
    change = {"status": "quarantined", "reason": "For the list of today."}
    busy.operator.post(f"/v1/devices/{device.id}/status", change).expect(200)
    page.goto(PAGE)
    today = page.get_by_role("region", name="What changed today")
    about = today.get_by_role("region", name="Set apart and back").get_by_role("listitem")
    expect(about.filter(has_text="For the list of today.")).to_contain_text("quarantined")
    enrolled = today.get_by_role("region", name="Enrolled")
    expect(enrolled.locator(f"a[href='{PAGE}/{device.id}']")).to_be_visible()
    expect(today.get_by_role("region", name="Exceptions")).to_contain_text("exception:grant")
    expect(today.get_by_role("region", name="Policies")).to_contain_text("policy:publish")
    expect(today.get_by_role("region", name="Rollbacks ordered")).to_contain_text("round:rollback")


def test_a_device_is_found_and_set_apart_by_keyboard_alone(page: Page, device: Caller) -> None:
    page.goto(f"{PAGE}?text={device.id}")
    expect(rows(page)).to_have_count(1)
    page.get_by_label("Text in id, role or segment").focus()
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('role')") == "row":
            break
    page.keyboard.press("Enter")
    expect(page.locator(".detail")).to_be_focused()
    expect(page.get_by_role("button", name="Quarantine …")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Quarantine …")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Reason, kept with the decision")).to_be_focused()
    page.keyboard.type("Typed.")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Quarantine: done.")).to_be_visible()


def test_nothing_of_it_is_out_of_reach(page: Page, busy: Traffic) -> None:
    part = opened(page, busy.members[0].id)
    expect(page.get_by_role("region", name="Enrolled")).to_be_visible()
    part.get_by_text("History of the identity").click()
    expect(part.get_by_role("table", name="Records of the identity")).to_be_visible()
    part.get_by_role("button", name="Quarantine …").click()
    assert out_of_reach(page) == []


def test_ten_thousand_devices_stay_in_reach(page: Page, busy: Traffic) -> None:
    names = add_many(busy.plane, 10_000)
    page.goto(f"{PAGE}?segment={SEGMENT}")
    expect(page.get_by_text("10000 devices")).to_be_visible()
    body = page.locator(".rows-body").first
    for there in (200, 400, 600, 800):
        expect(page.locator(".rows-all").first).to_have_css("height", f"{there * ROW_PIXELS}px")
        body.evaluate("element => element.scrollTo(0, element.scrollHeight)")
        expect(rows(page).filter(has_text=names[there - 1])).to_be_visible()
    assert rows(page).count() < 100
    page.get_by_role("combobox", name="Order", exact=True).select_option("trust")
    page.get_by_label("Text in id, role or segment").fill("CAM-09")
    expect(page.get_by_text("1000 devices")).to_be_visible()
    expect(rows(page).first).to_contain_text("cam-09000")
