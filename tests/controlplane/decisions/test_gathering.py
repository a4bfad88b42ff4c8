"""What the control plane knows wins over what it is told."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.contracts.access import AccessRequest, EvaluationRequest
from controlplane.contracts.facts import FACTS
from controlplane.contracts.identity import Attestation, Device, PublicKey, Trust
from controlplane.contracts.rounds import Round
from controlplane.contracts.trusthistory import TrustHistory
from controlplane.decisions.gathering import Gatherer
from controlplane.decisions.rounds import RoundBook
from controlplane.decisions.usage import MachineUsage, UsageWindow

NOW = 1_767_225_600.0
DIGEST = "sha256:" + "a" * 64
DEVICE = Device(
    id="dev-1",
    key=PublicKey(kty="EC", crv="P-256", x="x" * 43, y="y" * 43),
    key_thumbprint="t" * 43,
    roles=["trainer"],
    segment="homes",
    status="active",
    attestation=Attestation(),
    trust=Trust(score=0.5, observations=3),
    enrolled_at=NOW - 100.0,
)
ROUND = Round(
    id="r1",
    model="m",
    model_digest=DIGEST,
    members=["dev-1"],
    opened_by="agg",
    opens_at=NOW - 1,
    closes_at=NOW + 60,
    state="open",
)


class Rounds:
    def __init__(self) -> None:
        self.reads = 0

    async def add(self, opened: Round) -> bool:
        return True

    async def get(self, round_id: str) -> Round | None:
        self.reads += 1
        return ROUND if round_id == "r1" else None

    async def submissions(self, round_id: str, subject: str) -> int:
        return 2

    async def count_submissions(self, round_id: str, subjects: Sequence[str]) -> dict[str, int]:
        return dict.fromkeys(subjects, 0)


EXCEPTION = {
    "subject": "dev-1",
    "resource": "m",
    "action": "inference",
    "waives": {"trust_sufficient": True},
    "reason": "Bench test.",
    "approver": "adm-1",
    "starts_at": NOW - 1.0,
    "ends_at": NOW + 1.0,
}


HELD = {
    "known": True,
    "current": {
        "hold-1": {
            "segment": DEVICE.segment,
            "actions": ["inference"],
            "alert": "ZtfmPoisoningCampaign",
            "fingerprint": "0f1e2d3c4b5a6978",
            "starts_at": NOW - 1.0,
            "ends_at": NOW + 1.0,
        }
    },
}


class Excepted:
    """One request of one subject."""

    def of(self, subject: str, resource: str, action: str, now: float) -> dict[str, dict[str, Any]]:
        wanted = (subject, resource, action, now) == ("dev-1", "m", "inference", NOW)
        return {"exc-1": EXCEPTION} if wanted else {}


class Held:
    """One action in one segment."""

    def of(self, segment: str | None, action: str) -> dict[str, Any]:
        return HELD if (segment, action) == (DEVICE.segment, "inference") else {"known": True, "current": {}}


def gatherer() -> Gatherer:
    return Gatherer(
        RoundBook(Rounds(), lambda: NOW), MachineUsage(UsageWindow(lambda: NOW)), lambda: NOW, Excepted(), Held()
    )


async def facts_of(
    request: AccessRequest,
    device: Device | None = DEVICE,
    address: str = "127.0.0.1",
    gathers: Gatherer | None = None,
    **more: Any,
) -> dict[str, Any]:
    facts, _ = await (gathers or gatherer()).gather(request, device, address, **more)
    return facts


def asked(action: str = "model_access", **context: Any) -> AccessRequest:
    return AccessRequest.model_validate(
        {
            "subject": {"type": "device", "id": "dev-1"},
            "action": {"name": action},
            "resource": {"type": "model", "id": "m", "properties": {"digest": DIGEST}},
            "context": context,
        }
    )


async def test_the_facts_of_every_action_fit_their_contract() -> None:
    for action in ("model_access", "gradient_submission", "inference"):
        request = asked(action, round_id="r1", inference={"prompt_tokens": 1, "max_output_tokens": 1})
        FACTS[action].model_validate(await facts_of(request))


async def test_exceptions_are_facts_of_the_request_that_they_are_for() -> None:
    facts = await facts_of(asked("inference"))
    assert facts["context"]["exceptions"] == {"exc-1": EXCEPTION}
    FACTS["inference"].model_validate(facts)
    others = await facts_of(asked("model_access"))
    assert "exceptions" not in others["context"]


async def test_a_caller_cannot_say_what_is_excepted() -> None:
    forged = asked("model_access", exceptions=["exc-1"])
    facts = await facts_of(forged)
    assert "exceptions" not in facts["context"]


OWNED = ["status", "roles", "segment", "key_thumbprint", "attestation", "trust"]


@pytest.mark.parametrize("name", OWNED)
async def test_a_caller_cannot_replace_what_is_known_of_the_subject(name: str) -> None:
    request = AccessRequest.model_validate(
        {
            "subject": {"type": "device", "id": "dev-1", "properties": {name: "forged", "mine": 1}},
            "action": {"name": "inference"},
            "resource": {"type": "model", "id": "m"},
        }
    )
    properties = (await facts_of(request))["subject"]["properties"]
    assert properties[name] != "forged"
    assert properties["mine"] == 1


@pytest.mark.parametrize("name", ["time", "usage", "phase", "round", "capability"])
async def test_a_caller_cannot_state_a_circumstance_that_the_control_plane_owns(name: str) -> None:
    context = (await facts_of(asked(**{name: "forged"})))["context"]
    assert context.get(name) != "forged"


async def test_a_stranger_has_no_properties_whatever_it_states() -> None:
    request = AccessRequest.model_validate(
        {
            "subject": {"type": "device", "id": "dev-9", "properties": {"status": "active"}},
            "action": {"name": "inference"},
            "resource": {"type": "model", "id": "m"},
        }
    )
    facts = await facts_of(request, None)
    assert "properties" not in facts["subject"]
    FACTS["inference"].model_validate(facts)


async def test_how_trust_moved_lately_is_a_fact_of_every_action() -> None:
    moved = TrustHistory.of(0.7, NOW - 90.0).after(0.25, NOW - 60.0).after(0.5, NOW - 30.0)
    device = DEVICE.model_copy(update={"trust_history": moved})
    for action in ("model_access", "gradient_submission", "inference"):
        facts = await facts_of(asked(action, round_id="r1"), device)
        found = facts["subject"]["properties"]["trust"]["history"]
        assert found == {"known_seconds": 90.0, "steady_seconds": 60.0, "lowest": 0.25}
        FACTS[action].model_validate(facts)


async def test_where_it_is_not_known_how_trust_moved_nothing_is_said_of_it() -> None:
    properties = (await facts_of(asked()))["subject"]["properties"]
    assert properties["trust"] == {"score": 0.5, "observations": 3}


async def test_an_unknown_round_is_absent() -> None:
    assert "round" not in (await facts_of(asked(round_id="nope")))["context"]


async def test_the_round_is_seen_from_the_subject() -> None:
    context = (await facts_of(asked(round_id="r1")))["context"]
    assert context["round"]["member"] is True


async def test_submissions_are_counted_for_a_submission_alone() -> None:
    submitting = await facts_of(asked("gradient_submission", round_id="r1"))
    pulling = await facts_of(asked(round_id="r1"))
    assert submitting["context"]["round"]["submissions"] == 2
    assert "submissions" not in pulling["context"]["round"]


async def test_a_round_is_read_once_a_second_and_not_once_a_decision() -> None:
    store = Rounds()
    now = NOW
    book = RoundBook(store, lambda: now)
    for _ in range(5):
        await book.get("r1")
    assert store.reads == 1
    now += 1.1
    await book.get("r1")
    assert store.reads == 2


async def test_only_an_arrived_update_is_in_the_admit_phase() -> None:
    granted = await facts_of(asked("gradient_submission", round_id="r1"))
    admitted = await facts_of(asked("gradient_submission", round_id="r1"), admit={}, submissions=0)
    assert granted["context"]["phase"] == "grant"
    assert admitted["context"]["phase"] == "admit"
    assert admitted["context"]["round"]["submissions"] == 0


async def test_the_observed_address_counts_unless_a_believed_gateway_states_one() -> None:
    seen = await facts_of(asked(), address="10.0.0.7")
    told = await facts_of(asked(network={"address": "10.0.0.8"}), address="10.0.0.7")
    assert seen["context"]["network"] == {"address": "10.0.0.7"}
    assert told["context"]["network"] == {"address": "10.0.0.8"}


async def test_denied_tokens_are_given_back() -> None:
    gather = gatherer()
    request = asked("inference", inference={"prompt_tokens": 10, "max_output_tokens": 20})
    _, reserved = await gather.gather(request, DEVICE, "127.0.0.1")
    assert reserved is not None
    gather.release(reserved)
    facts = await facts_of(request, gathers=gather)
    assert facts["context"]["usage"]["tokens"] == 0
    assert facts["context"]["usage"]["requests"] == 1


@given(st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=20) | st.booleans() | st.none(), max_size=5))
async def test_whatever_a_caller_adds_the_facts_fit_their_contract(extra: dict[str, Any]) -> None:
    declared = {"purpose", "round_id", "network", "inference", "evidence", "verification"}
    context = {name: value for name, value in extra.items() if name not in declared}
    FACTS["model_access"].model_validate(await facts_of(asked(**context)))


def other(**parts: Any) -> EvaluationRequest:
    return EvaluationRequest.model_validate(
        {
            "subject": {"type": "user", "id": "alice", "properties": {"status": "active", "roles": ["operator"]}},
            "action": {"name": "open", "properties": {"slowly": True}},
            "resource": {"type": "door", "id": "/2/7", "properties": {"locks": 2}},
            "context": {"time": 1, "network": {"address": "10.10.0.1"}, "search": "dec-1"},
            **parts,
        }
    )


async def test_of_another_action_claims_and_knowledge_stay_apart() -> None:
    facts = await gatherer().gather_other(other(), None, "192.0.2.1")
    FACTS["other"].model_validate(facts)
    assert facts["subject"] == {"type": "user", "id": "alice"}
    assert facts["claims"]["subject"] == {"status": "active", "roles": ["operator"]}
    assert facts["claims"]["action"] == {"slowly": True}
    assert facts["claims"]["resource"] == {"locks": 2}
    assert facts["claims"]["context"]["search"] == "dec-1"
    usage = {"window_seconds": 60.0, "requests": 0, "tokens": 0}
    assert facts["context"] == {"time": NOW, "network": {"address": "192.0.2.1"}, "usage": usage}


async def test_of_an_enrolled_device_what_is_known_stands_beside_what_is_claimed() -> None:
    asked_of = other(subject={"type": "device", "id": "dev-1", "properties": {"status": "revoked"}})
    facts = await gatherer().gather_other(asked_of, DEVICE, "192.0.2.1")
    FACTS["other"].model_validate(facts)
    assert facts["subject"]["properties"]["status"] == "active"
    assert facts["claims"]["subject"] == {"status": "revoked"}


async def test_a_search_counts_nothing_and_is_marked() -> None:
    gathers = gatherer()
    request = asked("inference", inference={"prompt_tokens": 5, "max_output_tokens": 5})
    for _ in range(3):
        facts, reserved = await gathers.gather(request, DEVICE, "127.0.0.1", search="dec-7")
        assert reserved is None
        FACTS["inference"].model_validate(facts)
        assert facts["context"]["search"] == "dec-7"
        assert facts["context"]["usage"]["requests"] == 0
    marked = await gathers.gather_other(other(), DEVICE, "127.0.0.1", "dec-7")
    assert (marked["context"]["search"], marked["context"]["usage"]["requests"]) == ("dec-7", 0)
    assert (await facts_of(request, gathers=gathers))["context"]["usage"]["tokens"] == 0
    assert (await gathers.gather_other(other(), DEVICE, "127.0.0.1"))["context"]["usage"] == {
        "window_seconds": 60.0,
        "requests": 1,
        "tokens": 10,
    }
