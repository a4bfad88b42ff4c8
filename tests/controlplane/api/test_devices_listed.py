"""Devices over HTTP: for operators and administrators, in pages whose tokens work for one caller and one query."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.contracts.identity import Trust
from tests.controlplane.behaving import observed
from tests.support import Caller, ControlPlane, Reply

PATH = "/v1/devices"


@pytest.fixture(scope="module")
def apart(plane: ControlPlane) -> list[Caller]:
    """Devices of a segment that no other test uses, with little trust."""
    devices = [plane.enrol("consumer", segment="guests") for _ in range(5)]
    seen = [
        observed(one.id, trust=Trust(score=score, observations=7), becomes="recovering")
        for one, score in zip(devices, (0.02, 0.01, 0.02, 0.03, 0.02), strict=True)
    ]
    plane.run(plane.services.registry.record_behaviour(seen))
    return devices


def listed(caller: Caller, query: str) -> Reply:
    return caller.plane.call("GET", f"{PATH}?{query}", key=caller.key)


@pytest.mark.parametrize("sort", ["id", "trust"])
def test_an_operator_pages_through_them_without_gaps(operator: Caller, apart: list[Caller], sort: str) -> None:
    seen, token = [], ""
    while True:
        query = f"segment=guests&sort={sort}&limit=2" + (f"&page_token={token}" if token else "")
        page = listed(operator, query).expect(200)
        assert page["total"] == len(apart)
        assert len(page["devices"]) <= 2
        seen += page["devices"]
        token = page["next_token"]
        if not token:
            break
    rank = {"id": lambda one: one["id"], "trust": lambda one: (one["trust"]["score"], one["id"])}[sort]
    assert [one["id"] for one in seen] == [one["id"] for one in sorted(seen, key=rank)]
    assert {one["id"] for one in seen} == {one.id for one in apart}
    assert len(seen) == len(apart)


def test_it_says_where_a_device_stands_and_nothing_of_its_key(operator: Caller, apart: list[Caller]) -> None:
    [found] = listed(operator, f"text={apart[1].id}").expect(200)["devices"]
    assert (found["state"], found["held"], found["status"]) == ("recovering", False, "active")
    assert (found["trust"], found["roles"]) == ({"score": 0.01, "observations": 7}, ["consumer"])
    assert not {"key", "key_thumbprint", "trust_history"} & found.keys()


def test_filters_narrow(operator: Caller, apart: list[Caller]) -> None:
    names = {one.id for one in apart}
    for query, many in (
        ("segment=guests&below=0.015", 1),
        ("segment=guests&state=recovering", 5),
        ("segment=guests&state=held", 0),
        ("segment=guests&status=active&text=CONSUMER", 5),
        ("segment=guests&since=99999999999", 0),
        ("segment=guests&text=%25", 0),
    ):
        page = listed(operator, query).expect(200)
        assert (page["total"], len(page["devices"]), page["next_token"]) == (many, many, "")
        assert {one["id"] for one in page["devices"]} <= names


def test_an_administrator_lists_them_too(plane: ControlPlane) -> None:
    assert plane.enrol("administrator").get(PATH).expect(200)["total"] >= 1


@pytest.mark.parametrize("role", ["trainer", "consumer", "aggregator", "gateway", "router"])
def test_nobody_else_lists_them(plane: ControlPlane, role: str) -> None:
    assert plane.enrol(role).get(PATH).kind == "denied"
    assert plane.stranger().get(PATH).status == 401
    assert plane.call("GET", PATH).status == 401


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=1001", "limit=x", "limit=", "limit=1&limit=2", "status=done", "state=", "other=1"),
        *("below=-0.1", "below=1.1", "below=nan", "below=1e1", "below=inf", "below=", "sort=segment", "sort="),
        *("since=yesterday", "since=-1", "since=1e9", "segment=", "segment=A", "segment=a%00"),
        *("text=", "text=%00", "text=a%0Ab", "text=%C3%A4", "text=" + "a" * 65, "text=a&text=b"),
        *("page_token=", "page_token=x", "page_token=" + "A" * 4000, "page_token=%00", "page_token=%F0%9F%98%80"),
    ],
)
def test_a_parameter_that_does_not_fit_is_400(operator: Caller, query: str) -> None:
    assert listed(operator, query).kind == "invalid-request"


def test_a_token_serves_nobody_else_and_no_other_query(
    plane: ControlPlane, operator: Caller, apart: list[Caller]
) -> None:
    assert apart
    token = listed(operator, "segment=guests&limit=2").expect(200)["next_token"]
    assert listed(operator, f"segment=guests&limit=3&page_token={token}").status == 200
    for query in ("", "segment=homes&", "segment=guests&sort=trust&", "segment=guests&text=dev&"):
        assert listed(operator, f"{query}limit=2&page_token={token}").kind == "invalid-request"
    other = plane.enrol("operator")
    assert listed(other, f"segment=guests&limit=2&page_token={token}").kind == "invalid-request"
    decisions = plane.call("GET", f"/v1/decisions?page_token={token}", key=operator.key)
    assert decisions.kind == "invalid-request"


def test_a_token_that_was_changed_anywhere_is_none(operator: Caller, apart: list[Caller]) -> None:
    assert apart
    token = listed(operator, "segment=guests&limit=2").expect(200)["next_token"]
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for place in range(0, len(raw), 7):
        forged = bytearray(raw)
        forged[place] ^= 1
        text = base64.urlsafe_b64encode(forged).rstrip(b"=").decode()
        assert listed(operator, f"segment=guests&limit=2&page_token={text}").kind == "invalid-request"


def test_any_printable_text_finds_what_bears_it_and_nothing_else(operator: Caller) -> None:
    from urllib.parse import quote

    # Within: what an operator is made of would be shown with every example.
    @settings(max_examples=40)
    @given(text=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=64))
    def look(text: str) -> None:
        page = listed(operator, f"limit=1000&text={quote(text)}").expect(200)
        assert page["total"] >= len(page["devices"])
        for one in page["devices"]:
            assert any(text.lower() in name.lower() for name in (one["id"], one["segment"], *one["roles"]))

    look()
