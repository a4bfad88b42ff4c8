"""What operators, administrators and gateways do with the SDK, at a real control plane."""

from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.client import ControlPlane, SyncControlPlane
from adapters.errors import Forbidden, NotFound
from adapters.member import Member
from controlplane.contracts.access import (
    AccessRequest,
    Action,
    AnyAction,
    AnyResource,
    AnySubject,
    InferenceSize,
    RequestContext,
    Resource,
    Subject,
)
from controlplane.contracts.capability import CapabilityContext
from controlplane.contracts.decision import DecisionQuery
from controlplane.contracts.search import (
    ActionSearch,
    Page,
    ResourceSearch,
    SearchedResource,
    SearchedSubject,
    SubjectSearch,
)
from controlplane.jose.keys import DeviceKey
from tests.support import MODEL, running

Enrol = Callable[..., Member]
RESOURCE = Resource(type="model", id=MODEL)
SIZE = InferenceSize(prompt_tokens=1, max_output_tokens=1)
CONTEXT = {"inference": {"prompt_tokens": 1, "max_output_tokens": 1}}


def test_versions_of_a_model_are_looked_at_by_who_may_and_registered_by_nobodys_signature(enrol: Enrol) -> None:
    operator, administrator = enrol("operator"), enrol("administrator")
    assert operator.plane.model_versions(MODEL) == []
    with pytest.raises(NotFound):
        operator.plane.model_version(MODEL, "sha256:" + "0" * 64)
    with pytest.raises(NotFound):
        administrator.plane.withdraw_version(MODEL, "sha256:" + "0" * 64, "it was a test")
    with pytest.raises(Forbidden) as refused:
        administrator.plane.register_version(MODEL, "{}")
    assert {reason.code for reason in refused.value.problem.reasons or ()} == {
        "signature_verified",
        "signed_as_model",
        "signer_granted",
    }
    with pytest.raises(Forbidden):
        enrol("trainer").plane.model_versions(MODEL)


def test_a_device_is_set_apart_and_released(enrol: Enrol) -> None:
    operator, consumer = enrol("operator"), enrol("consumer")
    assert operator.plane.device(consumer.id).status == "active"
    assert operator.plane.set_status(consumer.id, "quarantined", "it behaves oddly").status == "quarantined"
    assert not consumer.plane.capability("inference", RESOURCE, "gateway-1", CapabilityContext(inference=SIZE)).allowed
    assert operator.plane.set_status(consumer.id, "active", "it was a test").status == "active"
    with pytest.raises(NotFound):
        operator.plane.device("dev-nobody")


def test_how_a_device_stands_is_read_by_who_may(enrol: Enrol) -> None:
    operator, consumer, other = enrol("operator"), enrol("consumer"), enrol("consumer")
    operator.plane.set_status(consumer.id, "quarantined", "it behaves oddly")
    shown = operator.plane.device_behaviour(consumer.id)
    assert (shown.subject, shown.status, shown.held, shown.verdicts) == (consumer.id, "quarantined", True, [])
    assert consumer.plane.device_behaviour(consumer.id, limit=1) == shown
    assert consumer.id in {one.subject for one in operator.plane.standings(limit=200)}
    assert operator.plane.standings("recovering") == []
    for denied in (lambda: other.plane.device_behaviour(consumer.id), other.plane.standings):
        with pytest.raises(Forbidden):
            denied()


def test_who_may_not_administer_is_forbidden_and_told_why(enrol: Enrol) -> None:
    consumer, other = enrol("consumer"), enrol("consumer")
    with pytest.raises(Forbidden) as caught:
        consumer.plane.set_status(other.id, "revoked", "for fun")
    assert "role_granted" in {reason.code for reason in caught.value.reasons}
    assert caught.value.decision_id


def test_decisions_are_found_page_by_page(enrol: Enrol) -> None:
    operator, consumer = enrol("operator"), enrol("consumer")
    for _ in range(3):
        consumer.plane.capability("inference", RESOURCE, "gateway-1", CapabilityContext(inference=SIZE)).require()
    query = DecisionQuery(subject=consumer.id, action="inference", since=1.5)
    first = operator.plane.decisions(query, limit=2)
    rest = operator.plane.decisions(query, limit=2, page_token=first.next_token)
    assert (len(first.decisions), len(rest.decisions), rest.next_token) == (2, 1, "")
    assert consumer.plane.decisions(query).decisions == [*first.decisions, *rest.decisions]
    with pytest.raises(Forbidden) as caught:
        consumer.plane.decisions()
    assert "role_granted" in {reason.code for reason in caught.value.reasons}


def test_tokens_are_issued_and_enrol_once(enrol: Enrol) -> None:
    administrator = enrol("administrator")
    issued = administrator.plane.issue_tokens(["consumer"], "homes", hours=0.5, count=2)
    assert len(set(issued.tokens)) == 2
    with SyncControlPlane(administrator.plane.url, DeviceKey.generate()) as newcomer:
        assert newcomer.enrol(issued.tokens[0], ["consumer"], "homes").roles == ["consumer"]


def test_a_capability_is_worth_something_until_it_is_revoked(enrol: Enrol) -> None:
    gateway, consumer = enrol("gateway"), enrol("consumer")
    asked = consumer.plane.capability("inference", RESOURCE, "gateway-1", CapabilityContext(inference=SIZE))
    token = asked.require().access_token
    assert gateway.plane.introspect(token).active
    consumer.plane.revoke(token)
    assert not gateway.plane.introspect(token).active
    consumer.plane.revoke("no token at all")
    with pytest.raises(Forbidden) as caught:
        enrol("trainer").plane.introspect(token)
    assert caught.value.reasons


def test_a_gateway_searches(enrol: Enrol) -> None:
    gateway, consumer = enrol("gateway"), enrol("consumer")
    subject, action = AnySubject(type="device", id=consumer.id), AnyAction(name="inference")
    model = AnyResource(type="model", id=MODEL)
    actions = gateway.plane.search_actions(ActionSearch(subject=subject, resource=model, context=CONTEXT))
    assert "inference" in {found.name for found in actions.results}
    where = ResourceSearch(subject=subject, action=action, resource=SearchedResource(type="model"), context=CONTEXT)
    assert MODEL in {found.id for found in gateway.plane.search_resources(where).results}
    found: set[str] = set()
    page = Page(limit=1)
    while True:
        who = SubjectSearch(
            subject=SearchedSubject(type="device"), action=action, resource=model, context=CONTEXT, page=page
        )
        answer = gateway.plane.search_subjects(who)
        found |= {one.id for one in answer.results}
        if not answer.page.next_token:
            break
        page = Page(token=answer.page.next_token)
    assert consumer.id in found
    assert gateway.id not in found


def test_a_batch_may_end_with_the_first_denial(enrol: Enrol) -> None:
    gateway, consumer = enrol("gateway"), enrol("consumer")

    def asked(subject: str) -> AccessRequest:
        context = RequestContext(inference=SIZE)
        who = Subject(type="device", id=subject)
        return AccessRequest(subject=who, action=Action(name="inference"), resource=RESOURCE, context=context)

    many = [asked(consumer.id), asked("dev-nobody"), asked(consumer.id)]
    answers = gateway.plane.evaluate_many(many, "deny_on_first_deny")
    assert [answer.allowed for answer in answers] == [True, False]
    assert [answer.allowed for answer in gateway.plane.evaluate_many(many)] == [True, False, True]
    with pytest.raises(ValueError, match="nothing to ask"):
        gateway.plane.evaluate_many([])


async def test_signing_keys_are_rotated_and_withdrawn_over_a_unix_socket_with_nonces(tmp_path: Path) -> None:
    with running(listen_socket=tmp_path / "ztfm.sock", dpop_nonce="always") as plane:
        async with ControlPlane(plane.url, DeviceKey.generate(), socket=tmp_path / "ztfm.sock") as client:
            await client.enrol(plane.token(["administrator"], "core"), ["administrator"], "core")
            [first] = await client.signing_keys()
            assert first.state == "signing"
            second = await client.rotate_keys()
            assert second.state in {"published", "signing"}
            assert len((await client.jwks())["keys"]) == 2
            withdrawn = await client.withdraw_key(first.kid, "a test of the drill")
            assert withdrawn.state == "withdrawn"
            assert first.kid not in {key["kid"] for key in (await client.jwks())["keys"]}
