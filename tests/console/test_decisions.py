"""The decision explorer: decisions are found, opened, explained, and proven on record by the browser itself."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Locator, Page, Route, expect
from typer.testing import CliRunner

from controlplane.cli.commands import app as ztfm
from tests.console.accessible import faults
from tests.console.recording import record_many
from tests.monitoring.traffic import GREEDY, SIZE, Traffic
from tests.support import MODEL, Caller

expect.set_options(timeout=20_000)

LIST = "/console/decisions"
TRUSTED = "verified in this browser"
OTHER_LOG = "another.example/log+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


@pytest.fixture(scope="module")
def denied(busy: Traffic) -> str:
    """A decision that denied a device of ours more tokens than it may have."""
    greedy = {**SIZE, "max_output_tokens": GREEDY}
    return str(busy.plane.enrol("consumer").capability("inference", inference=greedy).expect(403)["decision_id"])


@pytest.fixture(scope="module")
def allowed(busy: Traffic) -> str:
    return str(busy.plane.enrol("consumer").capability("inference", inference=SIZE).expect(201)["decision_id"])


def rows(page: Page) -> Locator:
    """The rows of decisions that are in the page now."""
    return page.get_by_role("table", name="Decisions").locator(".rows-body [role=row]")


def opened(page: Page, decision: str) -> Locator:
    """Open a decision by its address, and return what is shown of it."""
    page.goto(f"{LIST}/{decision}")
    shown = page.get_by_role("article")
    expect(shown.get_by_role("heading", level=2).first).to_contain_text(decision)
    return shown


def proof(page: Page, decision: str) -> Locator:
    """Open a decision, and return its proof once it was verified or refused."""
    part = opened(page, decision).get_by_role("region", name="Proof that it is on record")
    expect(part.get_by_role("list", name="Steps of the proof")).to_be_visible()
    return part


def trust(part: Locator) -> None:
    """Say that the keys were compared."""
    part.get_by_role("checkbox").check()
    part.get_by_role("button", name=re.compile("^Trust")).click()


def kept(page: Page) -> Any:
    """Return what the browser remembers of the log."""
    return json.loads(page.evaluate("localStorage.getItem('ztfm-log')"))


def test_filters_narrow_the_list_and_stand_in_the_address(page: Page, busy: Traffic, denied: str) -> None:
    fitting = busy.operator.get("/v1/decisions?outcome=deny&reason=tokens_within_budget").expect(200)["decisions"]
    found = page.get_by_text(f"{len(fitting)} decisions in all")
    page.goto(LIST)
    expect(rows(page).first).to_be_visible()
    form = page.get_by_role("form", name="Find decisions")
    form.get_by_label("Outcome").select_option("deny")
    expect(page).to_have_url(re.compile(r"\?outcome=deny$"))
    form.get_by_label("Missing").fill("tokens_within_budget")
    form.get_by_label("Missing").press("Enter")
    expect(page).to_have_url(re.compile(r"reason=tokens_within_budget"))
    expect(found).to_be_visible()
    expect(rows(page)).to_have_count(len(fitting))
    for row in rows(page).all():
        expect(row).to_contain_text("deny")
        expect(row).to_contain_text("tokens_within_budget")
    expect(page.get_by_text("ztfm decisions list --outcome deny --reason tokens_within_budget")).to_be_visible()
    page.reload()
    expect(found).to_be_visible()
    page.go_back()
    expect(page).to_have_url(re.compile(r"\?outcome=deny$"))
    expect(form.get_by_label("Missing")).to_have_value("")
    page.get_by_role("button", name="Clear").click()
    expect(page).to_have_url(re.compile(f"{LIST}$"))


def test_subject_resource_and_time_narrow_it_too(page: Page, busy: Traffic, allowed: str) -> None:
    record = busy.operator.get(f"/v1/decisions/{allowed}").expect(200)
    page.goto(f"{LIST}?subject={record['subject']}&resource={MODEL}")
    expect(rows(page)).to_have_count(1)
    page.get_by_label("From").fill("2001-01-01T00:00:00")
    page.get_by_label("Until").fill("2001-01-02T00:00:00")
    page.get_by_role("button", name="Find", exact=True).click()
    expect(page).to_have_url(re.compile(r"since=97\d+&until=97\d+"))
    expect(page.get_by_text("No decision is on record that fits.")).to_be_visible()


def test_a_filter_that_the_control_plane_refuses_is_refused_in_its_words(page: Page) -> None:
    page.goto(f"{LIST}?outcome=perhaps")
    expect(page.get_by_role("alert")).to_contain_text("outcome")
    expect(page.get_by_role("button", name="Begin again")).to_be_enabled()


def test_a_denial_is_explained(page: Page, busy: Traffic, denied: str) -> None:
    record = busy.operator.get(f"/v1/decisions/{denied}").expect(200)
    page.goto(f"{LIST}?reason=tokens_within_budget")
    rows(page).first.click()
    expect(page).to_have_url(re.compile(f"{LIST}/{denied}\\?reason=tokens_within_budget"))
    shown = page.get_by_role("article")
    asked = shown.get_by_role("region", name="What was asked")
    expect(asked).to_contain_text("inference")
    expect(asked).to_contain_text(MODEL)
    expect(asked).to_contain_text("deny")
    expect(asked).to_contain_text(record["policy_revision"])
    expect(asked.get_by_role("link")).to_have_attribute("href", f"/console/fleet/{record['subject']}")
    missing = shown.get_by_role("region", name="tokens_within_budget")
    [reason] = [one for one in record["reasons"] if one["code"] == "tokens_within_budget"]
    expect(missing).to_contain_text(reason["message"])
    expect(missing).to_contain_text(reason["remedy"])
    held = shown.get_by_role("region", name="What held")
    held.get_by_text(re.compile(r"^\d+ requirements$")).click()
    expect(held.get_by_text("subject_active")).to_be_visible()
    expect(shown.get_by_text(f"ztfm policy explain {denied}")).to_be_visible()


def test_the_rule_its_line_and_the_nearest_change_are_shown(page: Page, busy: Traffic, denied: str) -> None:
    with page.expect_response(re.compile(f"{denied}/explanation"), timeout=90_000) as answer:
        shown = opened(page, denied)
    told = answer.value.json()
    [requirement] = [one for one in told["requirements"] if one["code"] == "tokens_within_budget"]
    missing = shown.get_by_role("region", name="tokens_within_budget")
    place = missing.locator(".place").first
    expect(place).to_contain_text(f"{requirement['file']}:{requirement['line']}")
    source = (busy.policies / requirement["file"]).read_text().splitlines()[requirement["line"] - 1].strip()
    expect(place.locator(".source")).to_have_text(source)
    expect(place.get_by_role("link")).to_have_attribute(
        "href", f"/console/policies?{urlencode({'file': requirement['file'], 'line': requirement['line']})}"
    )
    condition = requirement["conditions"][0]
    expect(missing.locator(".not-so").first).to_contain_text(condition["text"])
    for name in condition["values"]:
        expect(missing.get_by_role("rowheader", name=name, exact=True).first).to_be_visible()
    changes = [change for changes in told["nearest"]["alternatives"] for change in changes]
    nearest = shown.get_by_role("region", name="The nearest change that would be allowed")
    for change in changes:
        expect(nearest.get_by_text(change["path"]).first).to_be_visible()


def test_facts_are_a_tree_in_which_what_policy_masks_is_named(page: Page, busy: Traffic) -> None:
    found = busy.operator.get("/v1/decisions?action=inference&limit=200").expect(200)["decisions"]
    records = (busy.operator.get(f"/v1/decisions/{one['id']}").expect(200) for one in found)
    record = next(one for one in records if "/subject/properties/password" in one["masked"])
    facts = opened(page, record["id"]).get_by_role("region", name="Facts")
    masked = facts.locator("li", has_text="password").last
    expect(masked).to_contain_text("kept out of the log by policy")
    expect(facts).not_to_contain_text("hidden")
    subject = facts.locator("details", has=page.get_by_text("subject", exact=True)).first
    expect(subject).to_contain_text(record["subject"])
    subject.locator("summary").first.click()
    expect(subject.get_by_text("password")).to_be_hidden()


def test_the_proof_is_verified_by_the_browser_with_keys_that_somebody_compares(page: Page, allowed: str) -> None:
    part = proof(page, allowed)
    expect(part).to_contain_text("verified, with keys nobody compared")
    trust(part)
    expect(part.get_by_text(TRUSTED)).to_be_visible()
    for step in ("The entry is in the log", "The head is signed by the log", "This page shows that record"):
        expect(part.get_by_role("listitem").filter(has_text=step)).to_contain_text("holds")


def test_each_later_head_is_shown_to_begin_with_the_last_that_was_seen(page: Page, busy: Traffic, allowed: str) -> None:
    trust(proof(page, allowed))
    first = kept(page)["head"]["size"]
    later = busy.plane.enrol("consumer").capability("inference", inference=SIZE).expect(201)["decision_id"]
    part = proof(page, later)
    expect(part.get_by_text(TRUSTED)).to_be_visible()
    grown = part.get_by_role("listitem").filter(has_text="The log only grew")
    expect(grown).to_contain_text(re.compile(rf"The head of \d+ entries begins with the one of {first}\."))
    assert kept(page)["head"]["size"] > first


def test_what_is_saved_is_verified_by_the_command_too(page: Page, allowed: str, tmp_path: Path) -> None:
    part = proof(page, allowed)
    saved = {}
    for button, name in (("Save the proof", "proof.json"), ("Save the keys", "log-keys.json")):
        with page.expect_download() as download:
            part.get_by_role("button", name=button).click()
        assert download.value.suggested_filename == name
        saved[name] = tmp_path / name
        download.value.save_as(saved[name])
    words = ["audit", "verify", str(saved["proof.json"]), "--keys", str(saved["log-keys.json"])]
    done = CliRunner().invoke(ztfm, words)
    assert done.exit_code == 0, done.output
    assert allowed in done.output


def _in_record(document: dict[str, Any]) -> None:
    document["record"] = document["record"].replace('"outcome":"allow"', '"outcome":"allov"')


def _in_path(document: dict[str, Any]) -> None:
    document["hashes"][0] = f"{int(document['hashes'][0], 16) ^ 1:064x}"


def _in_head(document: dict[str, Any]) -> None:
    origin, size, *rest = document["checkpoint"].split("\n")
    document["checkpoint"] = "\n".join([origin, str(int(size) + 1), *rest])


@pytest.mark.parametrize(
    ("flip", "step"),
    [
        (_in_record, "The record is the one that was logged"),
        (_in_path, "The entry is in the log"),
        (_in_head, "The head is signed by the log"),
    ],
)
def test_a_proof_that_was_changed_on_its_way_is_broken(
    page: Page, allowed: str, flip: Callable[[dict[str, Any]], None], step: str
) -> None:
    def changed(route: Route) -> None:
        answer = route.fetch()
        document = answer.json()
        before = json.dumps(document)
        flip(document)
        assert json.dumps(document) != before
        route.fulfill(response=answer, json=document)

    # The one thing that no real control plane does: each answer is its own, less what an attacker changes.
    page.route(f"**/v1/decisions/{allowed}/proof", changed)
    part = proof(page, allowed)
    expect(part.get_by_role("alert")).to_contain_text("The proof does not hold")
    expect(part.get_by_role("listitem").filter(has_text=step)).to_contain_text("broken")
    assert kept(page)["head"] is None


def test_other_keys_than_those_that_were_seen_are_warned_of(page: Page, allowed: str) -> None:
    trust(proof(page, allowed))
    known = kept(page)
    known["keys"]["log"] = OTHER_LOG
    page.evaluate("known => localStorage.setItem('ztfm-log', JSON.stringify(known))", known)
    part = proof(page, allowed)
    expect(part.get_by_role("alert")).to_be_visible()
    warned = part.get_by_role("listitem").filter(has_text="The keys are those that this browser knows")
    expect(warned).to_contain_text("names other keys than before")
    expect(part.get_by_role("heading", name="Keys that the control plane names now")).to_be_visible()
    trust(part)
    expect(part.get_by_text(TRUSTED)).to_be_visible()


def test_new_decisions_are_announced_and_shown_when_asked_for(page: Page, busy: Traffic) -> None:
    page.goto(f"{LIST}?action=inference")
    expect(page.locator(".live.on")).to_be_visible()
    expect(rows(page).first).to_be_visible()
    device: Caller = busy.plane.enrol("consumer")
    made = [device.capability("inference", inference=SIZE).expect(201)["decision_id"] for _ in range(3)]
    announced = page.get_by_role("button", name="3 newer")
    expect(announced).to_be_visible()
    announced.click()
    expect(announced).to_be_hidden()
    rows(page).first.click()
    expect(page).to_have_url(re.compile(f"{LIST}/{made[-1]}"))


def test_all_of_it_is_done_with_the_keyboard(page: Page, denied: str) -> None:
    page.goto(f"{LIST}?outcome=deny")
    rows(page).first.focus()
    page.keyboard.press("ArrowDown")
    second = rows(page).nth(1)
    expect(second).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    heading = page.get_by_role("article").get_by_role("heading", level=2).first
    expect(heading).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Close")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("article")).to_be_hidden()
    expect(page).to_have_url(re.compile(r"decisions\?outcome=deny$"))
    expect(second).to_be_focused()


def test_beside_the_list_on_a_laptop_and_instead_of_it_on_a_tablet(page: Page, denied: str) -> None:
    shown = opened(page, denied)
    table = page.get_by_role("table", name="Decisions")
    expect(table).to_be_visible()
    page.set_viewport_size({"width": 820, "height": 1180})
    expect(table).to_be_hidden()
    expect(shown).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Close").click()
    expect(table).to_be_visible()


def test_no_serious_fault_of_accessibility_is_found(page: Page, denied: str) -> None:
    shown = opened(page, denied)
    expect(shown.get_by_text("Working out why …")).to_be_hidden(timeout=90_000)
    shown.get_by_text("What this shows, and what it does not").click()
    shown.get_by_text(re.compile(r"^\d+ requirements$")).click()
    assert _faults_anywhere(page) == {}
    page.get_by_role("button", name="Close").click()
    expect(rows(page).first).to_be_visible()
    assert _faults_anywhere(page) == {}


def _faults_anywhere(page: Page) -> dict[str, list[str]]:
    """Return what axe finds on a laptop and on a tablet, in light and in dark."""
    found = {}
    for colours in ("dark", "light"):
        page.get_by_role("button", name=f"Switch to {colours} colours").click()
        for width, height in ((1280, 800), (820, 1180)):
            page.set_viewport_size({"width": width, "height": height})
            found[f"{colours}, {width} wide"] = faults(page)
    return {where: what for where, what in found.items() if what}


def test_what_is_no_decision_is_said_to_be_none(page: Page) -> None:
    for wrong in ("dec-" + "0" * 32, "..%2Flog%2Fkeys"):
        page.goto(f"{LIST}/{wrong}")
        expect(page.get_by_role("article").get_by_role("alert")).to_contain_text("There is no such")


@pytest.mark.minutes
def test_a_hundred_thousand_decisions_stay_in_reach(page: Page, busy: Traffic) -> None:
    oldest = record_many(busy.plane, 100_000)
    page.goto(f"{LIST}?subject=gateway-of-old")
    body = page.locator(".rows-body")
    expect(page.get_by_text("the newest 200 decisions")).to_be_visible()
    for pages in range(2, 12):
        body.evaluate("element => element.scrollTo(0, element.scrollHeight)")
        expect(page.get_by_text(f"the newest {pages * 200:,} decisions")).to_be_visible()
    assert rows(page).count() < 100
    page.goto(f"{LIST}?subject=gateway-of-old&until={oldest + 0.3:.3f}")
    expect(page.get_by_text("300 decisions in all")).to_be_hidden()
    body.evaluate("element => element.scrollTo(0, element.scrollHeight)")
    expect(page.get_by_text("300 decisions in all")).to_be_visible()
    rows(page).last.click()
    part = page.get_by_role("region", name="Proof that it is on record")
    expect(part.get_by_role("list", name="Steps of the proof")).to_contain_text("hashes lead to the root")
    expect(part.get_by_role("alert")).to_have_count(0)
