"""``/v1/exceptions``: who grants, what a grant lets through, how it ends, and that each use is seen."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from controlplane.contracts.exceptions import DAY_SECONDS
from controlplane.contracts.identity import Trust
from tests.clocks import EarlyClock
from tests.controlplane.behaving import observed
from tests.support import MODEL, Caller, ControlPlane, running, wait_until

PATH = "/v1/exceptions"
SIZE = {"prompt_tokens": 1, "max_output_tokens": 1}

Asked = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def clock() -> EarlyClock:
    return EarlyClock()


@pytest.fixture(scope="module")
def own(clock: EarlyClock) -> Iterator[ControlPlane]:
    with running(clock=clock) as found:
        yield found


@pytest.fixture(scope="module")
def boss(own: ControlPlane) -> Caller:
    return own.enrol("administrator")


@pytest.fixture
def doubted(own: ControlPlane) -> Caller:
    """A device whose trust is too low to ask a model."""
    device = own.enrol("consumer")
    doubts = [observed(device.id, trust=Trust(score=0.2, observations=1))]
    own.run(own.services.registry.record_behaviour(doubts))
    return device


@pytest.fixture
def asked(doubted: Caller, clock: EarlyClock) -> Asked:
    def make(**changes: Any) -> dict[str, Any]:
        known = {
            "subject": doubted.id,
            "resource": MODEL,
            "action": "inference",
            "waives": ["trust_sufficient"],
            "reason": "The sensor was replaced.",
            "ends_at": clock() + 3600.0,
        }
        return {**known, **changes}

    return make


def infers(device: Caller) -> bool:
    return device.capability("inference", inference=SIZE).status == 201


def ids(page: Any) -> list[str]:
    return [item["id"] for item in page["exceptions"]]


def test_what_is_granted_lets_through_and_every_use_is_seen(
    own: ControlPlane, boss: Caller, doubted: Caller, asked: Asked
) -> None:
    assert not infers(doubted)
    before = own.metric("ztfm_exceptions_used_total", action="inference", reason="trust_sufficient")
    made = boss.post(PATH, asked()).expect(201)
    assert (made["approver"], made["state"], made["uses"]) == (boss.id, "current", 0)
    decision = doubted.capability("inference", inference=SIZE).expect(201)["decision_id"]
    record = boss.get(f"/v1/decisions/{decision}").expect(200)
    assert record["obligations"]["waived"] == ["trust_sufficient"]
    assert record["obligations"]["exceptions"] == [made["id"]]
    assert record["facts"]["context"]["exceptions"][made["id"]]["reason"] == "The sensor was replaced."
    assert own.metric("ztfm_exceptions_used_total", action="inference", reason="trust_sufficient") == before + 1

    def counted() -> Any:
        return boss.get(f"{PATH}?subject={doubted.id}").expect(200)["exceptions"][0]

    wait_until(lambda: bool(counted()["uses"] == 1))
    assert counted()["last_used_at"] == record["time"]
    wait_until(lambda: own.metric("ztfm_exceptions") >= 1)


def test_it_counts_for_its_resource_and_action_and_for_what_it_waives(
    boss: Caller, doubted: Caller, asked: Asked
) -> None:
    for other in ({"resource": "sentence-encoder"}, {"action": "model_access"}, {"waives": ["window_open"]}):
        boss.post(PATH, asked(**other)).expect(201)
    assert not infers(doubted)


def test_one_that_was_not_needed_is_not_counted(own: ControlPlane, boss: Caller, asked: Asked) -> None:
    trusted = own.enrol("consumer")
    boss.post(PATH, asked(subject=trusted.id)).expect(201)
    decision = trusted.capability("inference", inference=SIZE).expect(201)["decision_id"]
    record = boss.get(f"/v1/decisions/{decision}").expect(200)
    assert record["obligations"]["exceptions"] == []
    assert "exceptions" in record["facts"]["context"]


def test_a_revocation_ends_it_at_once_and_stands(boss: Caller, doubted: Caller, asked: Asked) -> None:
    made = boss.post(PATH, asked()).expect(201)
    assert infers(doubted)
    revoked = boss.post(f"{PATH}/{made['id']}/revoke").expect(200)
    assert (revoked["state"], revoked["revoked_by"]) == ("revoked", boss.id)
    assert not infers(doubted)
    assert boss.post(f"{PATH}/{made['id']}/revoke").expect(200)["revoked_at"] == revoked["revoked_at"]


def test_it_starts_and_ends_when_it_says(boss: Caller, doubted: Caller, asked: Asked, clock: EarlyClock) -> None:
    now = clock()
    made = boss.post(PATH, asked(starts_at=now + 600.0, ends_at=now + 1200.0)).expect(201)
    assert made["state"] == "scheduled"
    assert not infers(doubted)
    clock.ahead += 601.0
    assert infers(doubted)
    clock.ahead += 600.0
    assert not infers(doubted)
    found = boss.get(f"{PATH}?subject={doubted.id}&state=expired").expect(200)
    assert ids(found) == [made["id"]]


def test_what_another_replica_does_is_followed(
    own: ControlPlane, boss: Caller, doubted: Caller, asked: Asked, clock: EarlyClock
) -> None:
    made = boss.post(PATH, asked()).expect(201)
    assert own.run(own.store.exceptions.revoke(made["id"], "local:root", clock()))
    wait_until(lambda: not infers(doubted), 5.0)


def test_nobody_grants_one_to_itself(boss: Caller, asked: Asked) -> None:
    denied = boss.post(PATH, asked(subject=boss.id, action="key:read", resource="ring", waives=["network_allowed"]))
    assert denied.kind == "denied"
    assert [reason["code"] for reason in denied.json["reasons"]] == ["approver_apart"]


def test_no_longer_than_policy_says(boss: Caller, asked: Asked, clock: EarlyClock) -> None:
    now = clock()
    denied = boss.post(PATH, asked(starts_at=now, ends_at=now + 90 * DAY_SECONDS + 1.0))
    assert [reason["code"] for reason in denied.json["reasons"]] == ["exception_short"]
    boss.post(PATH, asked(starts_at=now, ends_at=now + 90 * DAY_SECONDS)).expect(201)


def test_of_nothing_that_policy_does_not_let_be_waived(boss: Caller, asked: Asked) -> None:
    denied = boss.post(PATH, asked(waives=["trust_sufficient", "subject_active"]))
    assert [reason["code"] for reason in denied.json["reasons"]] == ["exception_waivable"]


@pytest.mark.parametrize("role", ["operator", "gateway", "aggregator", "trainer", "consumer"])
def test_nobody_else_grants_or_revokes(own: ControlPlane, role: str, asked: Asked) -> None:
    other = own.enrol(role)
    assert other.post(PATH, asked()).kind == "denied"
    assert other.post(f"{PATH}/exc-{'0' * 32}/revoke").kind == "denied"
    assert other.get(PATH).status == (200 if role == "operator" else 403)
    assert own.stranger().post(PATH, asked()).kind == "unauthenticated"


@pytest.mark.parametrize(
    "change",
    [
        {"waives": []},
        {"reason": " "},
        {"ends_at": 1.0},
        {"ends_at": "tomorrow"},
        {"approver": "dev-other"},
        {"uses": 0},
    ],
)
def test_what_is_no_exception_is_refused(boss: Caller, asked: Asked, change: dict[str, Any]) -> None:
    assert boss.post(PATH, asked(**change)).kind == "invalid-request"


def test_the_same_request_sent_again_grants_one(boss: Caller, doubted: Caller, asked: Asked) -> None:
    sent = asked()
    first, second = (boss.post(PATH, sent, headers={"Idempotency-Key": "one"}).expect(201) for _ in range(2))
    assert first == second
    assert len(ids(boss.get(f"{PATH}?subject={doubted.id}").expect(200))) == 1


def test_too_many_for_one_request_are_refused(boss: Caller, asked: Asked) -> None:
    for _ in range(16):
        boss.post(PATH, asked()).expect(201)
    assert boss.post(PATH, asked()).kind == "conflict"


def test_a_list_goes_page_by_page(boss: Caller, doubted: Caller, asked: Asked) -> None:
    made = [boss.post(PATH, asked()).expect(201)["id"] for _ in range(3)]
    path = f"{PATH}?subject={doubted.id}&limit=2&state=all"
    first = boss.get(path).expect(200)
    rest = boss.get(f"{path}&page_token={first['next_token']}").expect(200)
    assert ids(first) + ids(rest) == made[::-1]
    assert rest["next_token"] == ""
    assert boss.get(f"{PATH}?state=all&page_token={first['next_token']}").kind == "invalid-request"


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=x", "state=open", "subject=%20", "what=1", "state=all&state=all", "page_token=x"],
)
def test_a_query_that_does_not_fit_is_refused(boss: Caller, query: str) -> None:
    assert boss.get(f"{PATH}?{query}").kind == "invalid-request"


@pytest.mark.parametrize("name", ["exc-1", f"exc-{'g' * 32}", f"exc-{'0' * 32}", "%00"])
def test_what_is_no_exception_is_not_revoked(boss: Caller, name: str) -> None:
    assert boss.post(f"{PATH}/{name}/revoke").kind == "not-found"


def test_a_role_that_one_does_not_have_is_never_waived(own: ControlPlane, boss: Caller, asked: Asked) -> None:
    other = own.enrol("operator")
    about = {"action": "exception:grant", "resource": "exceptions", "waives": ["network_allowed"]}
    boss.post(PATH, asked(subject=other.id, **about)).expect(201)
    denied = other.post(PATH, asked())
    assert [reason["code"] for reason in denied.json["reasons"]] == ["role_granted"]
    record = boss.get(f"/v1/decisions/{denied.json['decision_id']}").expect(200)
    assert next(iter(record["facts"]["context"]["exceptions"].values()))["waives"] == {"network_allowed": True}
