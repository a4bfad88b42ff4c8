"""``/v1/segments``: who is attached where, what their capabilities open there, and how soon that ends."""

import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from controlplane.contracts.segmentation import GrantTable
from controlplane.storage import StoreUnavailable
from tests.clocks import EarlyClock
from tests.support import Caller, ControlPlane, Reply, running, wait_until

PLACES = "/v1/segments/attachments"
TABLE = "/v1/segments/table"
REACH = "/v1/segments/reach"
SIZE = {"prompt_tokens": 8, "max_output_tokens": 8}
_hosts = itertools.count(2)


@pytest.fixture(scope="module")
def clock() -> EarlyClock:
    return EarlyClock()


@pytest.fixture(scope="module")
def own(clock: EarlyClock) -> Iterator[ControlPlane]:
    with running(clock=clock) as found:
        yield found


@pytest.fixture(scope="module")
def operator(own: ControlPlane) -> Caller:
    return own.enrol("operator")


@pytest.fixture(scope="module")
def router(own: ControlPlane) -> Caller:
    return own.enrol("router")


@pytest.fixture
def camera(own: ControlPlane, operator: Caller) -> Caller:
    """A device that is attached in a home."""
    device = own.enrol("consumer")
    attach(operator, device, address=f"192.168.7.{next(_hosts)}").expect(200)
    return device


def attach(by: Caller, device: Caller, **changes: Any) -> Reply:
    stated = {"address": "192.168.7.1", "site": "house-7", "line": "upstairs", "device_class": "camera", **changes}
    return by.plane.call("PUT", f"{PLACES}/{device.id}", stated, key=by.key)


def ask(device: Caller, audience: str = "gateway-1") -> Any:
    return device.capability("inference", audience=audience, inference=SIZE).expect(201)


def table(router: Caller, query: str = "", **headers: str) -> GrantTable:
    return GrantTable.model_validate_json(router.get(TABLE + query, headers=headers).body)


def services_of(device: Caller, router: Caller) -> list[str]:
    return [grant.service for grant in table(router).grants if grant.device == device.id]


def address_of(device: Caller, operator: Caller) -> str:
    return str(operator.get(f"{PLACES}/{device.id}").expect(200)["address"])


def reaches(operator: Caller, query: str) -> dict[str, bool]:
    found = operator.get(f"{REACH}?{query}").expect(200)
    return {one["reach"]["destination"]: one["reach"]["reaches"] for one in found["reaches"]}


def test_a_capability_of_an_attached_device_opens_one_way_for_no_longer_than_it_lasts(
    own: ControlPlane, clock: EarlyClock, operator: Caller, router: Caller, camera: Caller
) -> None:
    before = clock()
    capability = ask(camera)
    [grant] = [grant for grant in table(router).grants if grant.device == camera.id]
    assert (grant.service, grant.source) == ("gateway", address_of(camera, operator))
    assert (grant.segment, grant.site, grant.device_class) == ("homes", "house-7", "camera")
    assert before < grant.expires_at <= clock() + capability["expires_in"]
    decided = operator.get(f"/v1/decisions/{grant.decision}").expect(200)
    assert (decided["action"], decided["resource"], decided["outcome"]) == ("segmentation", "gateway-1", "allow")
    assert reaches(operator, f"device={camera.id}") == {"10.10.0.20": True, "10.10.0.10": False}
    clock.ahead += capability["expires_in"]
    assert services_of(camera, router) == []
    assert reaches(operator, f"device={camera.id}&service=gateway") == {"10.10.0.20": False}


def test_a_device_that_is_nowhere_opens_nothing_and_nothing_is_decided_about_it(
    own: ControlPlane, router: Caller
) -> None:
    lost = own.enrol("consumer")
    before = own.metric("ztfm_decisions_total", package="segmentation", outcome="allow")
    ask(lost)
    assert services_of(lost, router) == []
    assert own.metric("ztfm_decisions_total", package="segmentation", outcome="allow") == before


def test_who_is_nowhere_needs_nothing_that_segments_are_kept_in(
    own: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def _fail(*_: object, **__: object) -> Any:
        raise StoreUnavailable("look at segments", "here", "it is gone")

    lost = own.enrol("consumer")
    for name in ("changes", "attached", "get", "grant", "mark", "granted", "cuts"):
        monkeypatch.setattr(own.store.segments, name, _fail)
    monkeypatch.setattr(own.services.segmentation.reachable, "reachable", _fail)
    ask(lost)


def test_an_audience_that_is_no_service_opens_nothing(own: ControlPlane, router: Caller, camera: Caller) -> None:
    ask(camera, audience="gateway-9")
    assert services_of(camera, router) == []


def test_what_policy_does_not_allow_on_the_network_stays_closed_and_the_capability_is_given_all_the_same(
    own: ControlPlane, operator: Caller, router: Caller
) -> None:
    misplaced = own.enrol("consumer")
    attach(operator, misplaced, address="10.10.9.9").expect(200)
    before = own.metric("ztfm_segment_ways_total", outcome="denied")
    ask(misplaced)
    assert services_of(misplaced, router) == []
    assert own.metric("ztfm_segment_ways_total", outcome="denied") == before + 1
    denied = operator.get(f"/v1/decisions?action=segmentation&subject={misplaced.id}").expect(200)["decisions"]
    assert [reason["code"] for reason in denied[0]["reasons"]] == ["attachment_in_network"]


def test_a_quarantined_device_is_cut_off_within_a_second_for_whoever_waits_and_let_back_without_its_grants(
    own: ControlPlane, operator: Caller, router: Caller, camera: Caller
) -> None:
    ask(camera)
    known = table(router)
    heard: list[tuple[GrantTable, float]] = []

    def _wait() -> None:
        found = table(router, "?wait=20", **{"If-None-Match": f'"{known.revision}"'})
        heard.append((found, time.monotonic()))

    waiting = threading.Thread(target=_wait)
    waiting.start()
    wait_until(lambda: own.services.segmentation.tables.waiting == 1)
    set_at = time.monotonic()
    operator.post(f"/v1/devices/{camera.id}/status", {"status": "quarantined", "reason": "Odd."}).expect(200)
    waiting.join(20)
    [(found, at)] = heard
    assert at - set_at < 1.0
    assert [(cut.device, cut.reason) for cut in found.cuts] == [(camera.id, "quarantined")]
    assert all(grant.device != camera.id for grant in found.grants)
    assert not any(reaches(operator, f"device={camera.id}").values())
    operator.post(f"/v1/devices/{camera.id}/status", {"status": "active", "reason": "Clean."}).expect(200)
    back = table(router)
    assert (back.cuts, services_of(camera, router)) == ([], [])


def test_a_revoked_capability_ends_its_own_way_alone(
    own: ControlPlane, router: Caller, camera: Caller, operator: Caller
) -> None:
    first, second = ask(camera), ask(camera)
    assert services_of(camera, router) == ["gateway", "gateway"]
    form = f"token={first['access_token']}".encode()
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    own.call("POST", "/oauth/revoke", body=form, headers=kind, key=camera.key).expect(200)
    left = [grant for grant in table(router).grants if grant.device == camera.id]
    assert [grant.expires_at for grant in left] and second["decision_id"] != first["decision_id"]
    assert len(left) == 1
    assert any(reaches(operator, f"device={camera.id}").values())


@pytest.mark.parametrize("change", [{"line": "downstairs"}, {"device_class": "robot"}, {"address": "192.168.7.250"}])
def test_what_a_device_reached_from_where_it_was_ends_when_it_moves(
    operator: Caller, router: Caller, camera: Caller, change: dict[str, str]
) -> None:
    ask(camera)
    attach(operator, camera, **{"address": address_of(camera, operator), **change}).expect(200)
    assert services_of(camera, router) == []
    ask(camera)
    assert services_of(camera, router) == ["gateway"]


@pytest.mark.parametrize("leaves", ["moves", "is_removed"])
def test_whoever_has_an_address_next_inherits_nothing_and_what_was_granted_there_stays_ended(
    own: ControlPlane, operator: Caller, router: Caller, camera: Caller, leaves: str
) -> None:
    ask(camera)
    address, heir = address_of(camera, operator), own.enrol("consumer")
    attach(operator, heir, address=address).expect(409)
    if leaves == "moves":
        attach(operator, camera, address=f"192.168.7.{next(_hosts)}").expect(200)
    else:
        assert own.call("DELETE", f"{PLACES}/{camera.id}", key=operator.key).status == 204
    attach(operator, heir, address=address).expect(200)
    assert address not in {grant.source for grant in table(router).grants}
    assert reaches(operator, f"source={address}&service=gateway") == {"10.10.0.20": False}
    ask(heir)
    assert {grant.device for grant in table(router).grants if grant.source == address} == {heir.id}


def test_an_attachment_that_is_removed_takes_its_grants_with_it(
    own: ControlPlane, operator: Caller, router: Caller, camera: Caller
) -> None:
    ask(camera)
    for status in (204, 404):
        assert own.call("DELETE", f"{PLACES}/{camera.id}", key=operator.key).status == status
    assert services_of(camera, router) == []
    operator.get(f"{PLACES}/{camera.id}").expect(404)


def test_no_two_devices_and_no_service_share_an_address_or_a_tunnel(own: ControlPlane, operator: Caller) -> None:
    first, second = own.enrol("consumer"), own.enrol("consumer")
    key = "A" * 42 + "A="
    attach(operator, first, address="192.168.8.1", wireguard=key).expect(200)
    assert attach(operator, second, address="192.168.8.1").expect(409)["type"].endswith("conflict")
    attach(operator, second, address="192.168.8.2", wireguard=key).expect(409)
    attach(operator, second, address="10.10.0.20").expect(409)
    attach(operator, second, address="192.168.8.2").expect(200)
    attach(operator, first, address="192.168.8.1", wireguard=key).expect(200)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::ffff:c0a8:701", "224.0.0.1", "fe80::1", "0.0.0.0", "2001:DB8::1", "1.2.3"]
)
def test_an_address_that_is_not_one_hosts_in_its_one_spelling_is_refused(
    own: ControlPlane, operator: Caller, address: str
) -> None:
    attach(operator, own.enrol("consumer"), address=address).expect(400)


def test_while_policy_does_not_tell_where_services_listen_no_address_is_believed(
    own: ControlPlane, operator: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def _untold() -> None:
        return None

    monkeypatch.setattr(own.services.segmentation.reachable, "reachable", _untold)
    device = own.enrol("consumer")
    attach(operator, device, address="10.10.0.20").expect(503)
    operator.get(f"{PLACES}/{device.id}").expect(404)


def test_a_device_that_nobody_enrolled_is_attached_nowhere(operator: Caller, own: ControlPlane) -> None:
    attach(operator, Caller(own, operator.key, "dev-nobody")).expect(404)


def test_who_is_no_router_reads_no_table_and_a_router_records_no_attachment(
    own: ControlPlane, operator: Caller, router: Caller, camera: Caller
) -> None:
    for path in (TABLE, PLACES, REACH):
        camera.get(path).expect(403)
        own.call("GET", path).expect(401)
    operator.get(TABLE).expect(200)
    for path in (PLACES, REACH):
        router.get(path).expect(403)
    attach(router, camera).expect(403)
    attach(camera, camera).expect(403)


def test_a_router_that_is_shut_out_while_it_waits_is_told_nothing_more(own: ControlPlane, operator: Caller) -> None:
    router = own.enrol("router")
    known, heard = table(router), list[int]()

    def _wait() -> None:
        heard.append(router.get(f"{TABLE}?wait=20", headers={"If-None-Match": f'"{known.revision}"'}).status)

    waiting = threading.Thread(target=_wait)
    waiting.start()
    wait_until(lambda: own.services.segmentation.tables.waiting == 1)
    other = own.enrol("consumer")
    attach(operator, other, address=f"192.168.7.{next(_hosts)}").expect(200)
    operator.post(f"/v1/devices/{router.id}/status", {"status": "quarantined", "reason": "Odd."}).expect(200)
    operator.post(f"/v1/devices/{other.id}/status", {"status": "quarantined", "reason": "Odd."}).expect(200)
    waiting.join(20)
    assert heard == [403]


def test_the_same_table_is_not_sent_twice(router: Caller) -> None:
    found = router.get(TABLE)
    tag = found.headers["ETag"]
    assert tag == f'"{found.expect(200)["revision"]}"'
    begun = time.monotonic()
    same = router.get(f"{TABLE}?wait=1", headers={"If-None-Match": tag})
    assert (same.status, same.body, same.headers["ETag"]) == (304, b"", tag)
    assert time.monotonic() - begun >= 1.0
    assert router.get(f"{TABLE}?wait=20", headers={"If-None-Match": '"another"'}).status == 200


@pytest.mark.parametrize("query", ["?after=", "?after=%20", "?limit=0", "?limit=1001", "?limit=1&limit=2", "?state=x"])
def test_a_page_that_is_none_is_refused(operator: Caller, query: str) -> None:
    operator.get(PLACES + query).expect(400)


@pytest.mark.parametrize("query", ["?wait=31", "?wait=-1", "?wait=1.5", "?wait=1&wait=2", "?since=1"])
def test_a_wait_that_is_none_is_refused(router: Caller, query: str) -> None:
    router.get(TABLE + query).expect(400)


@pytest.mark.parametrize(
    "query",
    [
        "source=1.2.3",
        "source=fe80::1%25eth0",
        "destination=",
        "port=0&destination=10.0.0.1",
        "protocol=icmp",
        "line=%20",
        "who=me",
    ],
)
def test_a_question_that_is_none_is_refused(operator: Caller, query: str) -> None:
    operator.get(f"{REACH}?{query}").expect(400)


def test_a_question_is_about_a_place_or_about_any_address(own: ControlPlane, operator: Caller) -> None:
    robot = own.enrol("consumer")
    attach(operator, robot, address="192.168.9.1", device_class="robot", line="roof").expect(200)
    ask(robot)
    assert reaches(operator, "device_class=robot&line=roof&service=gateway") == {"10.10.0.20": True}
    assert reaches(operator, "device_class=robot&line=cellar&service=gateway") == {}
    assert reaches(operator, "source=192.168.9.1&destination=10.10.0.20&port=22") == {"10.10.0.20": False}
    assert reaches(operator, "source=192.168.9.77&destination=10.10.0.20&port=8443") == {"10.10.0.20": False}


def test_the_pages_of_attachments_hold_each_device_once(own: ControlPlane, operator: Caller) -> None:
    for _ in range(3):
        attach(operator, own.enrol("consumer"), address=f"192.168.7.{next(_hosts)}").expect(200)
    found: list[str] = []
    query, page = "?limit=2", operator.get(f"{PLACES}?limit=2").expect(200)
    while page["attachments"]:
        found += [one["device"] for one in page["attachments"]]
        if "after" not in page:
            break
        query = f"?limit=2&after={page['after']}"
        page = operator.get(PLACES + query).expect(200)
    assert page["known"] is True
    assert len(found) > 2
    assert found == sorted(set(found))
    assert len(found) == own.metric("ztfm_segment_attachments")


def test_without_the_store_there_is_no_table_and_no_capability_for_who_is_attached(
    own: ControlPlane, router: Caller, camera: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def _fail(*_: object) -> Any:
        raise StoreUnavailable("keep a grant", "here", "it is gone")

    monkeypatch.setattr(own.store.segments, "grant", _fail)
    refused = camera.capability("inference", audience="gateway-1", inference=SIZE)
    assert refused.status == 503
    monkeypatch.setattr(own.store.segments, "mark", _fail)
    router.get(TABLE).expect(503)
