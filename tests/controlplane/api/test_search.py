"""Searches over what the product itself knows: enrolled devices, models, and the three actions."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from controlplane.api.services import EdgeLimits
from controlplane.jose.jws import decode_segment
from tests.support import DIGEST, MODEL, Caller, ControlPlane, running

EVALUATION = "/access/v1/evaluation"
SUBJECTS, RESOURCES, ACTIONS = (f"/access/v1/search/{kind}" for kind in ("subject", "resource", "action"))
SIZE = {"prompt_tokens": 10, "max_output_tokens": 10}
CONTEXT = {"inference": SIZE}
RESOURCE = {"type": "model", "id": MODEL}


@pytest.fixture(scope="module")
def searched() -> Iterator[ControlPlane]:
    """A control plane of its own, so that whoever is found was enrolled here."""
    with running() as plane:
        yield plane


@pytest.fixture(scope="module")
def searcher(searched: ControlPlane) -> Caller:
    return searched.enrol("gateway")


@pytest.fixture(scope="module")
def consumers(searched: ControlPlane) -> list[Caller]:
    return [searched.enrol("consumer") for _ in range(30)]


@pytest.fixture(scope="module")
def trainers(searched: ControlPlane) -> list[Caller]:
    return [searched.enrol("trainer") for _ in range(12)]


def for_subjects(action: str = "inference", **others: Any) -> dict[str, Any]:
    return {
        "subject": {"type": "device"},
        "action": {"name": action},
        "resource": RESOURCE,
        "context": CONTEXT,
        **others,
    }


def for_resources(subject: Caller, action: str = "inference", **others: Any) -> dict[str, Any]:
    return {
        "subject": {"type": "device", "id": subject.id},
        "action": {"name": action},
        "resource": {"type": "model"},
        "context": CONTEXT,
        **others,
    }


def for_actions(subject: Caller, **others: Any) -> dict[str, Any]:
    return {"subject": {"type": "device", "id": subject.id}, "resource": RESOURCE, "context": CONTEXT, **others}


def pages(caller: Caller, path: str, request: dict[str, Any], limit: int | None = None) -> list[list[str]]:
    """Return the names on every page of a search."""
    found: list[list[str]] = []
    page: dict[str, Any] = {} if limit is None else {"limit": limit}
    while True:
        body = caller.post(path, {**request, "page": page}).expect(200)
        found.append([result.get("id", result.get("name")) for result in body["results"]])
        assert body["page"]["count"] == len(body["results"])
        if not body["page"]["next_token"]:
            return found
        page = {"token": body["page"]["next_token"]}
        assert len(found) < 100


def test_the_devices_that_may_are_found_in_order(
    searcher: Caller, consumers: list[Caller], trainers: list[Caller]
) -> None:
    assert pages(searcher, SUBJECTS, for_subjects()) == [sorted(device.id for device in consumers)]


@pytest.mark.parametrize("limit", [1, 7, 29, 30, 31, 100, 2**31])
def test_pages_hold_everything_once_whatever_their_size(
    searcher: Caller, consumers: list[Caller], trainers: list[Caller], limit: int
) -> None:
    found = pages(searcher, SUBJECTS, for_subjects(), limit)
    assert [name for page in found for name in page] == sorted(device.id for device in consumers)
    assert all(len(page) <= min(limit, 100) for page in found)


def test_a_page_of_nothing_goes_on_where_it_began(searcher: Caller, consumers: list[Caller]) -> None:
    first = searcher.post(SUBJECTS, for_subjects(page={"limit": 0})).expect(200)
    assert (first["results"], first["page"]["count"]) == ([], 0)
    assert first["page"]["next_token"]


def test_models_are_found_that_the_policy_bundle_knows(searcher: Caller, consumers: list[Caller]) -> None:
    assert pages(searcher, RESOURCES, for_resources(consumers[0])) == [["sentence-encoder", MODEL]]


def test_actions_are_found(searcher: Caller, consumers: list[Caller], trainers: list[Caller]) -> None:
    assert pages(searcher, ACTIONS, for_actions(consumers[0])) == [["inference"]]
    serving = {"purpose": "serving"}
    request = for_actions(consumers[0], context={**CONTEXT, **serving})
    request["resource"] = {**RESOURCE, "properties": {"digest": DIGEST}}
    assert pages(searcher, ACTIONS, request) == [["inference", "model_access"]]
    assert pages(searcher, ACTIONS, for_actions(trainers[0])) == [[]]


@pytest.mark.parametrize(
    ("path", "request_"),
    [
        (SUBJECTS, for_subjects(subject={"type": "person"})),
        (SUBJECTS, for_subjects(resource={"type": "model", "id": "nothing"})),
        (SUBJECTS, for_subjects(resource={"type": "door", "id": "front"})),
        (SUBJECTS, for_subjects("open")),
        (RESOURCES, {"subject": {"type": "device", "id": "dev-nobody"}, "action": {"name": "inference"},
                     "resource": {"type": "model"}, "context": CONTEXT}),
        (ACTIONS, {"subject": {"type": "device", "id": "dev-nobody"}, "resource": RESOURCE}),
    ],
)  # fmt: skip
def test_what_nobody_knows_finds_nothing(searcher: Caller, path: str, request_: dict[str, Any]) -> None:
    body = searcher.post(path, request_).expect(200)
    assert (body["results"], body["page"]) == ([], {"next_token": "", "count": 0})


def test_a_search_uses_up_nothing(searcher: Caller, searched: ControlPlane) -> None:
    device = searched.enrol("consumer")
    huge = {"inference": {"prompt_tokens": 4000, "max_output_tokens": 150_000}}
    for _ in range(3):
        assert device.id in pages(searcher, SUBJECTS, for_subjects(context=huge), 100)[0]
    body = searcher.post(EVALUATION, {**for_actions(device, context=huge), "action": {"name": "inference"}}).expect(200)
    assert body["decision"] is True, body
    facts = device.get(f"/v1/decisions/{body['context']['id']}").expect(200)["facts"]
    assert facts["context"]["usage"]["requests"] == 0
    assert device.id not in pages(searcher, SUBJECTS, for_subjects(context=huge), 100)[0], "now it has used them up"


def test_every_decision_of_a_search_is_recorded_under_the_search(
    searcher: Caller, searched: ControlPlane, consumers: list[Caller]
) -> None:
    before = searched.metric("ztfm_decisions_total", action="inference", outcome="allow")
    counted = searched.metric("ztfm_decisions_total", action="search", outcome="allow")
    body = searcher.post(RESOURCES, for_resources(consumers[0])).expect(200)
    search = body["context"]["id"]
    rows = searched.run(_records(searched))
    marked = [row for row in rows if row["facts"]["context"].get("search") == search]
    assert sorted(row["resource"] for row in marked) == [
        "fall-detection",
        "heart-rhythm",
        "keyboard-suggestions",
        "sentence-encoder",
        MODEL,
    ]
    assert searched.metric("ztfm_decisions_total", action="inference", outcome="allow") == before
    assert searched.metric("ztfm_decisions_total", action="search", outcome="allow") == counted + 2
    asked = [row for row in rows if row["id"] == search]
    assert [(row["action"], row["subject"]) for row in asked] == [("access:search", searcher.id)]


async def _records(plane: ControlPlane) -> list[Any]:
    import json

    from sqlalchemy import select

    from controlplane.storage.tables_log import decisions

    rows = await plane.store.decisions._database.read("list", select(decisions.c.document))
    return [json.loads(row.document) for row in rows]


def test_a_caller_cannot_mark_its_own_request_as_a_search(searcher: Caller, consumers: list[Caller]) -> None:
    device = consumers[1]
    request = {**for_actions(device, context={**CONTEXT, "search": "dec-1"}), "action": {"name": "inference"}}
    body = searcher.post(EVALUATION, request).expect(200)
    facts = device.get(f"/v1/decisions/{body['context']['id']}").expect(200)["facts"]
    assert "search" not in facts["context"]


def test_only_whom_policy_lets_search_is_answered(searched: ControlPlane, consumers: list[Caller]) -> None:
    for caller in (consumers[0], searched.enrol("aggregator"), searched.enrol("operator")):
        for path, request in (
            (SUBJECTS, for_subjects()),
            (RESOURCES, for_resources(consumers[0])),
            (ACTIONS, for_actions(consumers[0])),
        ):
            assert caller.post(path, request).kind == "denied"
    for path in (SUBJECTS, RESOURCES, ACTIONS):
        assert searched.call("POST", path, for_subjects()).kind == "unauthenticated"
        assert searched.stranger().post(path, for_subjects()).kind == "unauthenticated"


class TestTokens:
    """A page token is for one caller and one query, and says nothing."""

    @pytest.fixture
    def token(self, searcher: Caller, consumers: list[Caller]) -> str:
        return str(searcher.post(SUBJECTS, for_subjects(page={"limit": 2})).expect(200)["page"]["next_token"])

    def test_it_shows_no_name(self, searcher: Caller, consumers: list[Caller], token: str) -> None:
        assert all(device.id.encode() not in decode_segment(token.encode()) for device in consumers)

    def test_it_is_of_no_use_to_another_caller(self, searched: ControlPlane, token: str) -> None:
        reply = searched.enrol("gateway").post(SUBJECTS, for_subjects(page={"token": token}))
        assert (reply.kind, reply.json["errors"][0]["pointer"]) == ("invalid-request", "/page/token")

    @pytest.mark.parametrize(
        "change",
        [
            {"action": {"name": "model_access"}},
            {"resource": {"type": "model", "id": "fall-detection"}},
            {"resource": {**RESOURCE, "properties": {"digest": DIGEST}}},
            {"context": {"inference": {**SIZE, "prompt_tokens": 11}}},
            {"subject": {"type": "person"}},
            {"subject": {"type": "device", "properties": {"x": 1}}},
        ],
    )
    def test_it_is_of_no_use_for_another_query(self, searcher: Caller, token: str, change: dict[str, Any]) -> None:
        reply = searcher.post(SUBJECTS, {**for_subjects(page={"token": token}), **change})
        assert (reply.kind, reply.json["errors"][0]["pointer"]) == ("invalid-request", "/page/token")

    def test_it_is_of_no_use_for_a_search_of_another_kind(self, searcher: Caller, consumers: list[Caller]) -> None:
        request = for_resources(consumers[0])
        token = searcher.post(RESOURCES, {**request, "page": {"limit": 1}}).expect(200)["page"]["next_token"]
        assert searcher.post(RESOURCES, {**request, "page": {"token": token}}).status == 200
        assert searcher.post(ACTIONS, {**request, "page": {"token": token}}).kind == "invalid-request"

    def test_the_page_must_be_asked_for_as_the_one_before_or_less_be_said(self, searcher: Caller, token: str) -> None:
        for page in ({"token": token}, {"token": token, "limit": 2}, {"token": token, "properties": {}}):
            assert searcher.post(SUBJECTS, for_subjects(page=page)).expect(200)["page"]["count"] == 2
        for page, pointer in (
            ({"token": token, "limit": 3}, "/page/limit"),
            ({"token": token, "properties": {"sort": "name"}}, "/page/properties"),
        ):
            reply = searcher.post(SUBJECTS, for_subjects(page=page))
            assert (reply.kind, reply.json["errors"][0]["pointer"]) == ("invalid-request", pointer)

    def test_it_cannot_be_made_up_or_changed(self, searcher: Caller, token: str) -> None:
        flipped = token[:40] + ("A" if token[40] != "A" else "B") + token[41:]
        for forged in (flipped, token[:-4], token + "AAAA", "AAAA", "x", "ü", "=" * 8, "A" * 4096):
            reply = searcher.post(SUBJECTS, for_subjects(page={"token": forged}))
            assert (reply.kind, reply.json["errors"][0]["pointer"]) == ("invalid-request", "/page/token")
        assert searcher.post(SUBJECTS, for_subjects(page={"token": "A" * 4097})).kind == "invalid-request"


def test_a_search_says_what_evaluations_say(searcher: Caller, consumers: list[Caller], trainers: list[Caller]) -> None:
    contexts: list[Any] = [{}, CONTEXT, {"purpose": "serving"}, {"network": {"address": "203.0.113.9"}, **CONTEXT}]
    for context in contexts:
        for action in ("inference", "model_access", "gradient_submission", "open"):
            asked = for_subjects(action, resource={**RESOURCE, "properties": {"digest": DIGEST}}, context=context)
            found = {name for page in pages(searcher, SUBJECTS, asked, 9) for name in page}
            for device in (*consumers[:3], *trainers[:3]):
                one = {**asked, "subject": {"type": "device", "id": device.id}}
                assert searcher.post(EVALUATION, one).expect(200)["decision"] == (device.id in found)


def test_a_search_costs_as_much_as_what_it_asks() -> None:
    limits = EdgeLimits(rate=1.0, burst=30.0, stranger_rate=1e6, stranger_burst=1e6)
    with running(limits=limits) as plane:
        gateway = plane.enrol("gateway")
        for _ in range(40):
            plane.enrol("consumer")
        assert len(gateway.post(SUBJECTS, for_subjects(page={"limit": 100})).expect(200)["results"]) == 40
        reply = gateway.post(SUBJECTS, for_subjects())
        assert reply.kind == "too-many-requests"
        assert int(reply.headers["Retry-After"]) >= 8


def test_many_searches_at_once_get_no_further_than_one() -> None:
    limits = EdgeLimits(rate=0.001, burst=200.0, stranger_rate=1e6, stranger_burst=1e6)
    with running(limits=limits) as plane, ThreadPoolExecutor(8) as threads:
        gateway = plane.enrol("gateway")
        for _ in range(70):
            plane.enrol("trainer")
        replies = list(threads.map(lambda _: gateway.post(SUBJECTS, for_subjects()), range(24)))
        asked = plane.metric("ztfm_decisions_total", action="search", outcome="deny")
        # On a busy machine OPA may not answer in time: that is no way to get further either.
        assert {reply.status for reply in replies} <= {200, 429, 503}
        assert 429 in {reply.status for reply in replies}
        assert asked <= 200 + 8 * 64, "no more than the burst and what was under way when it was spent"


def test_without_opa_a_search_is_503_and_not_an_empty_answer() -> None:
    with running(opa_deadline_seconds=0.3) as plane:
        gateway, consumer = plane.enrol("gateway"), plane.enrol("consumer")
        plane.run(plane.sidecar.stop())
        for path, request in (
            (SUBJECTS, for_subjects()),
            (RESOURCES, for_resources(consumer)),
            (ACTIONS, for_actions(consumer)),
        ):
            assert gateway.post(path, request).kind == "unavailable"
