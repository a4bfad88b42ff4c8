"""The segments' page: who may talk to whom as a graph and as a table that agree, and whether one reaches another."""

import re
import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.looking import is_marked, mark, out_of_reach
from tests.monitoring.traffic import SIZE, Traffic
from tests.support import Caller, wait_until

expect.set_options(timeout=20_000)

PAGE = "/console/segments"
_hosts = count(2)


@pytest.fixture(scope="module")
def router(busy: Traffic) -> Caller:
    return busy.plane.enrol("router")


def attached(busy: Traffic, *, site: str = "house-9", kind: str = "camera") -> Caller:
    """Enrol a device and record where it is."""
    device = busy.plane.enrol("consumer")
    place = {"site": site, "line": "attic", "device_class": kind, "address": f"192.168.9.{next(_hosts)}"}
    path = f"/v1/segments/attachments/{device.id}"
    busy.plane.call("PUT", path, place, key=busy.operator.key).expect(200)
    return device


def let_through(busy: Traffic, router: Caller, device: Caller) -> None:
    """Have a device get a capability, and wait until routers know of it."""
    device.capability("inference", audience="gateway-1", inference=SIZE).expect(201)
    wait_until(lambda: device.id in {grant["device"] for grant in table(router)["grants"]}, 20, "a grant")


def table(router: Caller) -> Any:
    return router.get("/v1/segments/table").expect(200)


@pytest.fixture
def ways(busy: Traffic, router: Caller) -> Iterator[list[Caller]]:
    """Two cameras and a lamp, which may talk to the gateway."""
    devices = [attached(busy), attached(busy), attached(busy, site="house-10", kind="lamp")]
    for device in devices:
        let_through(busy, router, device)
    yield devices
    for device in devices:
        path = f"/v1/segments/attachments/{device.id}"
        busy.plane.call("DELETE", path, key=busy.operator.key)


def edges(page: Page) -> set[tuple[str, str]]:
    """What the edges of the graph say: from where to where, and how many grants of how many devices."""
    labels = [str(edge.get_attribute("aria-label")) for edge in page.locator(".graph").get_by_role("button").all()]
    return {(name, told) for name, _, told in (label.partition(": ") for label in labels)}


def lines(page: Page) -> set[tuple[str, str]]:
    """The same as the table of the ways says it."""
    found = page.get_by_role("table", name="Ways as a table").locator("tbody tr").all()
    texts = [row.get_by_role("cell").all_inner_texts() for row in found]
    return {(f"{start.strip()} → {end}", told) for start, end, _, told, _ in texts}


def of_table(grants: list[dict[str, Any]], by: str) -> set[tuple[str, str]]:
    """The same as it follows from the grants that routers are told of."""
    found: dict[str, list[str]] = {}
    for grant in grants:
        found.setdefault(f"{grant[by]} → {grant['service']}", []).append(grant["device"])

    def told(devices: list[str]) -> str:
        many, of = len(devices), len(set(devices))
        return f"{many} grant{'s' * (many > 1)} of {of} device{'s' * (of > 1)}"

    return {(name, told(devices)) for name, devices in found.items()}


def agree(page: Page, router: Caller, by: str) -> bool:
    """Whether the graph and the table of the page are what routers are told now."""
    wanted = of_table(table(router)["grants"], by)
    return edges(page) == lines(page) == wanted


@pytest.mark.parametrize("by", ["segment", "site", "device_class"])
def test_the_graph_and_its_table_say_what_routers_are_told(
    page: Page, router: Caller, ways: list[Caller], by: str
) -> None:
    page.goto(PAGE)
    page.get_by_label("Devices by").select_option(by)
    expect(page.get_by_role("table", name="Ways as a table")).to_be_visible()
    # Grants end by themselves within a minute, so the two are compared at one moment.
    wait_until(lambda: agree(page, router, by), 20, "the page to say what routers are told")
    names = {name for name, _ in edges(page)}
    assert {"segment": "homes", "site": "house-10", "device_class": "lamp"}[by] + " → gateway" in names


def test_an_edge_shows_its_grants_until_when_they_are_and_which_decision_made_them(
    page: Page, router: Caller, ways: list[Caller]
) -> None:
    lamp = ways[-1]
    [grant] = [one for one in table(router)["grants"] if one["device"] == lamp.id]
    page.goto(PAGE)
    page.get_by_label("Devices by").select_option("device_class")
    page.locator(".graph").get_by_role("button", name=re.compile("^lamp → gateway")).click()
    part = page.get_by_role("region", name="Grants lamp → gateway")
    expect(part).to_contain_text("10.10.0.20")
    expect(part).to_contain_text("tcp 8443")
    row = part.get_by_role("row").filter(has_text=lamp.id)
    expect(row).to_contain_text(grant["source"])
    until = row.locator("time").get_attribute("datetime")
    assert until is not None
    assert until.startswith(time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(grant["expires_at"])))
    expect(row.get_by_role("link", name="decision")).to_have_attribute(
        "href", f"/console/decisions/{grant['decision']}"
    )


def test_a_way_opens_and_a_device_is_cut_off_while_somebody_looks(page: Page, busy: Traffic, router: Caller) -> None:
    page.goto(PAGE)
    page.get_by_label("Devices by").select_option("site")
    expect(page.locator(".live.on")).to_be_visible()
    mark(page)
    device = attached(busy, site="house-77")
    let_through(busy, router, device)
    expect(page.locator(".graph").get_by_role("button", name=re.compile("^house-77 → gateway"))).to_be_visible()
    change = {"status": "quarantined", "reason": "It scans ports."}
    busy.operator.post(f"/v1/devices/{device.id}/status", change).expect(200)
    cut = page.get_by_role("table", name="Cut off").get_by_role("row").filter(has_text=device.id)
    expect(cut).to_contain_text("quarantined")
    expect(page.locator(".graph").get_by_role("button", name=re.compile("^house-77"))).to_have_count(0)
    assert is_marked(page)


def ask(page: Page, which: str, named: str) -> Locator:
    """Ask whether a device reaches a service, and return the answers."""
    form = page.get_by_role("form", name="Can this reach that?")
    form.get_by_label("Which").fill(which)
    form.get_by_label("Named").fill(named)
    form.get_by_role("button", name="Ask").click()
    return page.get_by_role("table", name="Answers")


def test_whether_one_reaches_another_is_answered_by_the_rules(
    page: Page, busy: Traffic, router: Caller, ways: list[Caller]
) -> None:
    device = ways[0]
    page.goto(PAGE)
    answers = ask(page, device.id, "gateway")
    expect(answers.get_by_text("reaches", exact=True).first).to_be_visible()
    expect(page.get_by_text(f"ztfm segments reach --key FOLDER --device {device.id} --service gateway")).to_be_visible()
    answers = ask(page, device.id, "aggregator")
    expect(answers.get_by_text("does not reach").first).to_be_visible()
    expect(answers.get_by_text("reaches", exact=True)).to_have_count(0)
    told = busy.operator.get(f"/v1/segments/reach?device={device.id}&service=aggregator").expect(200)["reaches"]
    expect(answers).to_contain_text(told[0]["reach"]["because"])


def test_what_cannot_be_asked_is_refused_in_the_control_planes_words(page: Page) -> None:
    page.goto(PAGE)
    ask(page, "%%", "gateway")
    expect(page.get_by_role("alert")).to_contain_text("`device` is no name of a device")


def test_where_devices_are_is_listed_once_each(page: Page, busy: Traffic, ways: list[Caller]) -> None:
    known = busy.operator.get("/v1/segments/attachments").expect(200)["attachments"]
    page.goto(PAGE)
    found = page.get_by_role("table", name="Where devices are").locator(".rows-body [role=row]")
    expect(found).to_have_count(len(known))
    for one in known:
        expect(found.filter(has_text=one["device"])).to_contain_text(one["address"])


def test_an_edge_is_chosen_by_keyboard_alone(page: Page, ways: list[Caller]) -> None:
    page.goto(PAGE)
    page.get_by_label("Devices by").select_option("device_class")
    edge = page.locator(".graph").get_by_role("button", name=re.compile("^lamp → gateway"))
    expect(edge).to_be_visible()
    page.get_by_label("Devices by").focus()
    for _ in range(6):
        page.keyboard.press("Tab")
        if edge.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(edge).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("region", name="Grants lamp → gateway")).to_be_visible()


def test_nothing_of_it_is_out_of_reach(page: Page, ways: list[Caller]) -> None:
    page.goto(PAGE)
    page.get_by_role("table", name="Ways as a table").get_by_role("button", name="homes").first.click()
    expect(page.get_by_role("region", name=re.compile("^Grants homes"))).to_be_visible()
    ask(page, ways[0].id, "gateway")
    expect(page.get_by_role("table", name="Answers")).to_be_visible()
    assert out_of_reach(page) == []
