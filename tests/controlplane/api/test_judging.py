"""What a reporter says counts only as far as policy takes its word; what a caller states likewise."""

from collections.abc import Callable

import pytest
from pydantic import ValidationError

from controlplane.api.asking import strip
from controlplane.api.judging import judge
from controlplane.capabilities.refusals import Refused
from controlplane.contracts.access import AccessRequest
from controlplane.contracts.capability import CapabilityClaims
from controlplane.contracts.decision import Decision, Obligations
from controlplane.contracts.rounds import UpdateReport
from tests.support import DIGEST, MODEL, Caller, ControlPlane, honest_evidence


def test_a_reporter_whose_word_is_not_taken_admits_nothing_and_uses_nothing_up(
    plane: ControlPlane, aggregator: Caller, new_id: Callable[[], str]
) -> None:
    device, name = plane.enrol("trainer"), new_id()
    aggregator.open_round(name, [device])
    token = device.capability("gradient_submission", round_id=name).expect(201)["access_token"]
    report = plane.report(device, token)
    found = plane.run(plane.services.rounds.get(name))
    assert found is not None
    before = plane.metric("ztfm_capabilities_refused_total", cause="reporter_not_believed")
    reports = [UpdateReport.model_validate(report)]
    [verdict] = plane.run(judge(plane.services, found, reports, "127.0.0.1", believed=False))
    assert not verdict.decision
    assert verdict.trust is None
    assert plane.metric("ztfm_capabilities_refused_total", cause="reporter_not_believed") == before + 1
    body = aggregator.post(f"/v1/rounds/{name}/updates", {"updates": [report]}).expect(200)
    assert body["verdicts"][0]["decision"] is True


def request() -> AccessRequest:
    return AccessRequest.model_validate(
        {
            "subject": {"type": "device", "id": "dev-1"},
            "action": {"name": "model_access"},
            "resource": {"type": "model", "id": MODEL, "properties": {"digest": DIGEST, "note": "kept"}},
            "context": {
                "purpose": "serving",
                "round_id": "r",
                "network": {"address": "10.0.0.1"},
                "inference": {"prompt_tokens": 1, "max_output_tokens": 1},
                "evidence": honest_evidence(),
                "verification": {"verified": True},
                "note": "kept",
            },
        }
    )


def test_without_policy_s_leave_nothing_that_is_declared_is_believed() -> None:
    believed = strip(request(), [])
    assert believed.context is not None
    assert believed.context.model_dump(exclude_none=True) == {"note": "kept"}
    assert believed.resource.properties is not None
    assert believed.resource.properties.model_dump(exclude_none=True) == {"note": "kept"}


@pytest.mark.parametrize("name", ["purpose", "round_id", "network", "inference", "evidence", "verification"])
def test_what_policy_takes_a_word_for_is_believed_alone(name: str) -> None:
    believed = strip(request(), [f"context.{name}"])
    assert believed.context is not None
    assert set(believed.context.model_dump(exclude_none=True)) == {name, "note"}


def test_a_decision_that_could_not_be_made_is_503_and_no_denial(
    plane: ControlPlane, gateway: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def undecided(*_: object) -> Decision:
        return Decision(
            id="dec-1",
            time=1.0,
            action="inference",
            subject="dev-1",
            resource="m",
            outcome="error",
            reasons=[],
            obligations=Obligations(),
            rules=[],
            ttl_seconds=0.0,
            policy_revision="",
        )

    monkeypatch.setattr("controlplane.api.asking.decide", undecided)
    body = request().model_dump(exclude_none=True)
    assert gateway.post("/access/v1/evaluation", body).kind == "unavailable"
    [answer] = gateway.post("/access/v1/evaluations", {"evaluations": [body]}).expect(200)["evaluations"]
    assert answer["decision"] is False
    assert answer["context"]["outcome"] == "error"


async def test_facts_that_fit_no_contract_use_up_no_tokens(plane: ControlPlane) -> None:
    from controlplane.api.deciding import decide

    access = AccessRequest.model_validate(
        {
            "subject": {"type": "device", "id": "dev-tokens"},
            "action": {"name": "inference"},
            "resource": {"type": "model", "id": MODEL},
            "context": {"inference": {"prompt_tokens": 100, "max_output_tokens": 100}},
        }
    )
    device = plane.run(plane.store.devices.get(plane.enrol("consumer").id))
    assert device is not None
    with pytest.raises(ValidationError):
        plane.run(decide(plane.services, access, device, "not an address"))
    assert plane.services.gatherer._usage.reserve("dev-tokens").tokens == 0


def test_a_capability_that_was_revoked_is_no_submission(
    plane: ControlPlane, aggregator: Caller, new_id: Callable[[], str]
) -> None:
    device, name = plane.enrol("trainer"), new_id()
    aggregator.open_round(name, [device])
    token = device.capability("gradient_submission", round_id=name).expect(201)["access_token"]
    claims = plane.services.capabilities.inspect(token, action="gradient_submission", round_id=name)
    assert isinstance(claims, CapabilityClaims)
    revoked = plane.services.revoker.revoke_capability(
        claims.jti, claims.exp, claims.decision_id, claims.iat, reason="Lost."
    )
    plane.run(revoked)
    before = plane.metric("ztfm_capabilities_refused_total", cause="revoked")
    body = aggregator.post(f"/v1/rounds/{name}/updates", {"updates": [plane.report(device, token)]}).expect(200)
    assert body["verdicts"][0]["decision"] is False
    assert plane.metric("ztfm_capabilities_refused_total", cause="revoked") == before + 1


def test_what_a_device_holds_is_void_when_its_behaviour_has_it_set_apart(
    plane: ControlPlane, aggregator: Caller, new_id: Callable[[], str]
) -> None:
    device, name = plane.enrol("trainer"), new_id()
    aggregator.open_round(name, [device])
    pulled = device.capability("model_access", digest=DIGEST, purpose="training", round_id=name).expect(201)
    asked = {"action": "model_access", "round_id": name, "model_digest": DIGEST}
    assert isinstance(plane.services.capabilities.inspect(pulled["access_token"], **asked), CapabilityClaims)
    events = plane.metric("ztfm_security_events_total", type="device-compliance-change")
    for _ in range(8):
        round_id = new_id()
        aggregator.open_round(round_id, [device])
        granted = device.capability("gradient_submission", round_id=round_id)
        if granted.status != 201:
            break
        report = plane.report(device, granted.json["access_token"], cosine=-1.0, norm_ratio=50.0, duplicates=5)
        aggregator.post(f"/v1/rounds/{round_id}/updates", {"updates": [report]}).expect(200)
    verdict = plane.services.capabilities.inspect(pulled["access_token"], **asked)
    assert isinstance(verdict, Refused)
    assert verdict.cause == "revoked"
    assert plane.metric("ztfm_security_events_total", type="device-compliance-change") == events + 1
