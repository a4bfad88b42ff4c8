"""The federation's page: rounds as they happen, what was measured, and having contributions undone."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.looking import is_marked, mark, out_of_reach
from tests.monitoring.traffic import Traffic

expect.set_options(timeout=20_000)

PAGE = "/console/federation"
WORDS = {"allow": "accepted", "deny": "refused"}


@pytest.fixture(scope="module")
def attacked(busy: Traffic) -> dict[str, Any]:
    """The round in which the one that attacks was set apart, as the API tells of it."""
    name = busy.guard.report.rounds[-1].round_id
    return {"id": name, **verdicts(busy, name)}


def verdicts(busy: Traffic, name: str) -> Any:
    return busy.operator.get(f"/v1/rounds/{name}/verdicts").expect(200)


def quarantined(round_of: dict[str, Any]) -> Any:
    """The update that was refused in a round."""
    [refused] = [one for one in round_of["updates"] if one["outcome"] == "deny"]
    return refused


def rows(page: Page) -> Locator:
    """The rows of rounds that are in the page now."""
    return page.get_by_role("table", name="Rounds").locator(".rows-body [role=row]")


def row_of(page: Page, name: str) -> Locator:
    return rows(page).filter(has=page.get_by_text(name, exact=True))


def detail(page: Page, name: str) -> Locator:
    """What is shown of a round that was opened."""
    part = page.get_by_role("region", name=f"Round {name}")
    expect(part.get_by_role("table", name="Updates of the round")).to_be_visible()
    return part


def cells(table: Locator) -> list[list[str]]:
    """The texts of a table's rows, its head left out."""
    return [row.locator("th, td").all_inner_texts() for row in table.locator("tbody tr").all()]


def stands_of(device: dict[str, Any]) -> str:
    """Where a device stands, in a word."""
    if device["status"] == "active":
        return str(device["state"])
    return "held" if device["held"] else str(device["status"])


def shown(value: float) -> str:
    """A number with three digits that matter, as the page has it."""
    return f"{float(f'{value:.3g}'):g}"


def test_a_round_of_a_run_in_progress_arrives_without_loading_anew(page: Page, busy: Traffic) -> None:
    page.goto(PAGE)
    expect(page.locator(".live.on")).to_be_visible()
    before = page.get_by_role("region", name="Rounds", exact=True).get_by_role("status").inner_text()
    mark(page)
    busy._federation()
    name = busy.guard.report.rounds[-1].round_id
    expect(row_of(page, name)).to_be_visible()
    expect(page.get_by_role("region", name="Rounds", exact=True).get_by_role("status")).not_to_have_text(before)
    assert is_marked(page)
    told = busy.operator.get(f"/v1/rounds/{name}").expect(200)["round"]
    texts = row_of(page, name).get_by_role("cell")
    expect(texts.nth(3)).to_have_text(str(told["members"]))
    expect(texts.nth(4)).to_have_text(str(told["accepted"]))
    expect(texts.nth(5)).to_have_text(str(told["dropped"]))


def test_an_update_that_comes_is_shown_in_the_round_that_is_open(page: Page, busy: Traffic) -> None:
    aggregator, trainer = busy.plane.enrol("aggregator"), busy.plane.enrol("trainer")
    aggregator.open_round("watched-round", [trainer])
    page.goto(f"{PAGE}/watched-round")
    part = page.get_by_role("region", name="Round watched-round")
    expect(part.get_by_text("0 from 1 members")).to_be_visible()
    mark(page)
    token = trainer.capability("gradient_submission", round_id="watched-round").expect(201)["access_token"]
    report = {"updates": [busy.plane.report(trainer, token)]}
    aggregator.post("/v1/rounds/watched-round/updates", report).expect(200)
    expect(part.get_by_text("1 from 1 members")).to_be_visible()
    expect(part.get_by_role("table", name="Updates of the round")).to_contain_text(trainer.id)
    assert is_marked(page)


def test_a_round_tells_whose_updates_it_took_and_why_not_the_others(page: Page, attacked: dict[str, Any]) -> None:
    page.goto(f"{PAGE}/{attacked['id']}")
    table = detail(page, attacked["id"]).get_by_role("table", name="Updates of the round")
    for update in attacked["updates"]:
        row = table.get_by_role("row").filter(has_text=update["subject"])
        expect(row).to_contain_text(WORDS[update["outcome"]])
        expect(row.get_by_role("link", name="decision")).to_have_attribute(
            "href", f"/console/decisions/{update['decision_id']}"
        )
    expect(table).to_contain_text(quarantined(attacked)["attribution"]["sentence"])


def test_the_heat_map_has_the_layers_as_they_were_measured(page: Page, attacked: dict[str, Any]) -> None:
    page.goto(f"{PAGE}/{attacked['id']}")
    heat = detail(page, attacked["id"]).get_by_role("table", name="Layers that each update changed")
    layers = heat.get_by_role("columnheader").all_inner_texts()[1:]
    assert set(layers) == {"weight", "bias"}
    measured = {one["subject"]: one["evidence"]["layer_shares"] for one in attacked["updates"]}
    found = {name: dict(zip(layers, values, strict=True)) for name, *values in cells(heat)}
    assert found == {
        name: {layer: shown(share) for layer, share in shares.items()} for name, shares in measured.items()
    }


def test_the_evidence_of_the_device_that_attacks_is_shown_over_its_rounds(
    page: Page, busy: Traffic, attacked: dict[str, Any]
) -> None:
    device = quarantined(attacked)["subject"]
    updates = busy.operator.get(f"/v1/devices/{device}/updates").expect(200)["updates"]
    page.goto(f"{PAGE}?device={device}")
    part = page.get_by_role("region", name="Evidence over rounds")
    expect(part.get_by_role("status").first).to_contain_text("quarantined")
    part.get_by_label("Measure").select_option("centrality")
    part.get_by_text("As a table").click()
    table = part.get_by_role("table", name="Mean cosine to the other updates")
    assert [[row[0], row[1], row[-1]] for row in cells(table)] == [
        [one["round_id"], shown(one["evidence"]["centrality"]), WORDS[one["outcome"]]] for one in reversed(updates)
    ]
    expect(
        part.get_by_role("img", name=re.compile(f"Mean cosine to the other updates: {len(updates)} rounds"))
    ).to_be_visible()
    heat = part.get_by_role("table", name="Layers that its updates changed")
    assert [name for name, *_ in cells(heat)] == [one["round_id"] for one in updates]
    expect(part.get_by_role("list")).to_contain_text(updates[0]["attribution"]["sentence"])


def test_devices_are_counted_by_state_and_by_trust(page: Page, busy: Traffic) -> None:
    page.goto(PAGE)
    devices = busy.operator.get("/v1/devices?limit=1000").expect(200)["devices"]
    part = page.get_by_role("region", name="Devices by trust and state")
    by_state = part.get_by_role("table", name="Devices by state")
    stands = [
        one["state"] if one["status"] == "active" else "held" if one["held"] else one["status"] for one in devices
    ]
    for state in ("watched", "quarantined", "held"):
        row = by_state.get_by_role("row").filter(has=page.get_by_role("rowheader", name=state))
        expect(row.get_by_role("cell").first).to_have_text(str(stands.count(state)))
    counts = [int(row[1]) for row in cells(part.get_by_role("table", name="Devices by trust"))]
    assert sum(counts) == len(devices)
    assert counts[1] == sum(0.2 <= one["trust"]["score"] < 0.4 for one in devices)


def undo(page: Page, round_id: str, subjects: Sequence[str]) -> Locator:
    """Choose whose contributions to a round are to be undone, and return the form."""
    page.goto(f"{PAGE}/{round_id}")
    part = detail(page, round_id)
    for subject in subjects:
        part.get_by_role("checkbox", name=f"Undo what {subject} contributed").check()
    part.get_by_role("button", name="Undo what the chosen contributed").click()
    return part.get_by_role("form", name="Undo contributions")


def test_a_rollback_is_looked_at_before_it_is_ordered_and_kept_with_its_reason(
    page: Page, busy: Traffic, attacked: dict[str, Any]
) -> None:
    subjects = [member.id for member in busy.members[1:3]]
    before = busy.operator.get("/v1/rollbacks").expect(200)["rollbacks"]
    preview = busy.operator.post(f"/v1/rounds/{attacked['id']}/rollback/preview", {"subjects": subjects}).expect(200)
    assert preview["left_out"] > 0
    form = undo(page, attacked["id"], subjects)
    order = form.get_by_role("button", name="Order the rollback")
    form.get_by_label("Reason, kept with the order").fill("Two sensors were swapped.")
    expect(order).to_be_disabled()
    form.get_by_role("button", name="Preview").click()
    would = form.get_by_role("region", name="What would be undone")
    expect(would).to_contain_text(f"left out: {preview['left_out']}")
    expect(would).to_contain_text(f"applied again: {preview['kept']}")
    would.get_by_text("The rounds").click()
    assert would.get_by_role("listitem").all_inner_texts()[: preview["replayed"]] == preview["rounds"]
    assert busy.operator.get("/v1/rollbacks").expect(200)["rollbacks"] == before
    expect(form).to_contain_text(f"ztfm rounds rollback {attacked['id']} --without {subjects[0]}")
    order.click()
    orders = page.get_by_role("table", name="Rollbacks")
    row = orders.get_by_role("row").filter(has_text="Two sensors were swapped.")
    expect(row).to_contain_text("ordered")
    [ordered] = [
        one
        for one in busy.operator.get("/v1/rollbacks").expect(200)["rollbacks"]
        if one["reason"] == "Two sensors were swapped."
    ]
    assert (sorted(ordered["subjects"]), ordered["ordered_by"]) == (sorted(subjects), busy.admin.id)
    record = busy.operator.get(f"/v1/decisions/{ordered['decision_id']}").expect(200)
    assert record["facts"]["resource"]["properties"]["reason"] == "Two sensors were swapped."


def test_where_there_is_nothing_to_undo_nothing_can_be_ordered(
    page: Page, busy: Traffic, attacked: dict[str, Any]
) -> None:
    page.goto(f"{PAGE}/{attacked['id']}")
    refused = quarantined(attacked)["subject"]
    box = detail(page, attacked["id"]).get_by_role("checkbox", name=f"Undo what {refused} contributed")
    expect(box).to_be_disabled()
    expect(page.get_by_role("button", name="Undo what the chosen contributed")).to_be_disabled()


def test_a_round_is_opened_and_its_evidence_reached_by_keyboard_alone(page: Page, attacked: dict[str, Any]) -> None:
    page.goto(PAGE)
    expect(row_of(page, attacked["id"])).to_be_visible()
    rows(page).first.focus()
    for _ in range(rows(page).count()):
        if attacked["id"] in page.evaluate("document.activeElement.innerText"):
            break
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    part = detail(page, attacked["id"])
    expect(page.locator(".detail")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(part.get_by_role("checkbox").first).to_be_focused()
    page.keyboard.press("Space")
    expect(part.get_by_role("button", name="Undo what the chosen contributed")).to_be_enabled()


def test_nothing_of_it_is_out_of_reach(page: Page, attacked: dict[str, Any]) -> None:
    page.goto(f"{PAGE}/{attacked['id']}?device={quarantined(attacked)['subject']}")
    detail(page, attacked["id"])
    expect(page.get_by_role("table", name="Layers that its updates changed")).to_be_visible()
    expect(page.get_by_role("table", name="Rollbacks")).to_be_visible()
    assert out_of_reach(page) == []
