"""What a reporter says counts only as far as policy takes its word; what a caller states likewise."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from controlplane.api.asking import strip
from controlplane.api.judging import judge
from controlplane.capabilities.refusals import Refused
from controlplane.contracts.access import AccessRequest
from controlplane.contracts.capability import CapabilityClaims
from controlplane.contracts.decision import Decision, Obligations
from controlplane.contracts.rounds import UpdateReport
from controlplane.decisions.responding import ATTEMPTS
from controlplane.storage import StoreUnavailable
from tests.controlplane.api.cohorts import HOSTILE, Cohort
from tests.controlplane.behaving import observed
from tests.support import DIGEST, MODEL, Caller, ControlPlane, honest_evidence


def test_a_reporter_whose_word_is_not_taken_admits_nothing_and_uses_nothing_up(
    plane: ControlPlane, aggregator: Caller, new_id: Callable[[], str]
) -> None:
    device, name = plane.enrol("trainer"), new_id()
    aggregator.open_round(name, [device])
    token = device.capability("gradient_submission", round_id=name).expect(201)["access_token"]
    report = plane.report(device, token)
    found = plane.run(plane.services.training.rounds.get(name))
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
    async def undecided(*_: object, **__: object) -> Decision:
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
    assert plane.run(plane.services.gatherer._usage.reserve("dev-tokens")).used.tokens == 0


def test_a_capability_that_was_revoked_is_no_submission(
    plane: ControlPlane, aggregator: Caller, new_id: Callable[[], str]
) -> None:
    device, name = plane.enrol("trainer"), new_id()
    aggregator.open_round(name, [device])
    token = device.capability("gradient_submission", round_id=name).expect(201)["access_token"]
    claims = plane.services.capabilities.verifier.inspect(token, action="gradient_submission", round_id=name)
    assert isinstance(claims, CapabilityClaims)
    revoked = plane.services.revocation.revoker.revoke_capability(
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
    cohort, name = Cohort(plane, aggregator).settled(), new_id()
    device = cohort.devices[0]
    aggregator.open_round(name, [device])
    pulled = device.capability("model_access", digest=DIGEST, purpose="training", round_id=name).expect(201)
    asked = {"action": "model_access", "round_id": name, "model_digest": DIGEST}
    assert isinstance(plane.services.capabilities.verifier.inspect(pulled["access_token"], **asked), CapabilityClaims)
    events = plane.metric("ztfm_security_events_total", type="device-compliance-change")
    cohort.quarantine(device)
    verdict = plane.services.capabilities.verifier.inspect(pulled["access_token"], **asked)
    assert isinstance(verdict, Refused)
    assert verdict.cause == "revoked"
    assert plane.metric("ztfm_security_events_total", type="device-compliance-change") > events


def test_what_is_judged_is_counted_and_kept_for_whoever_asks_why(plane: ControlPlane, aggregator: Caller) -> None:
    cohort = Cohort(plane, aggregator).settled()
    device = cohort.devices[0]
    moved = {"from_state": "watched", "to_state": "quarantined", "segment": "homes"}
    names: dict[str, dict[str, str]] = {
        "ztfm_behaviour_transitions_total": moved,
        "ztfm_behaviour_e_value_count": {},
        "ztfm_update_p_value_count": {"segment": "homes"},
        "ztfm_behaviour_attributions_total": {"attack": "model_poisoning"},
    }
    before = {name: plane.metric(name, **labels) for name, labels in names.items()}
    found = cohort.quarantine(device)
    after = {name: plane.metric(name, **labels) - before[name] for name, labels in names.items()}
    judged = len(found) * len(cohort.devices)
    assert after["ztfm_behaviour_transitions_total"] == 1
    assert after["ztfm_update_p_value_count"] == judged
    assert after["ztfm_behaviour_e_value_count"] >= judged, "requests are observed, too"
    assert after["ztfm_behaviour_attributions_total"] <= len(found)
    kept = plane.run(plane.store.observations.verdicts(device.id, 9))
    assert all(one.attribution is not None for one in kept[: len(found)])
    response = plane.run(plane.services.transparency.log.get(kept[0].decision_id))
    assert response is not None
    assert (response.action, response.obligations.state) == ("response", "quarantined")
    facts: Any = response.facts
    assert facts["context"]["behaviour"]["e_value"] == kept[0].e_value


def test_what_is_admitted_is_known_as_a_contribution_and_nothing_else_is(
    plane: ControlPlane, aggregator: Caller
) -> None:
    cohort = Cohort(plane, aggregator)
    hostile = cohort.devices[0]
    found = cohort.round({hostile.id: HOSTILE})
    contributed = plane.run(plane.store.contributions.rounds_of([device.id for device in cohort.devices]))
    assert contributed == {name: {MODEL: 1} for name, verdict in found.items() if verdict["decision"]}
    assert hostile.id not in contributed


def test_while_policy_does_not_say_how_to_judge_a_report_is_503_and_uses_nothing_up(
    plane: ControlPlane, aggregator: Caller, new_id: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    device, name = plane.enrol("trainer"), new_id()
    aggregator.open_round(name, [device])
    token = device.capability("gradient_submission", round_id=name).expect(201)["access_token"]
    report = {"updates": [plane.report(device, token)]}

    async def _none() -> None:
        return None

    with monkeypatch.context() as patched:
        patched.setattr(plane.services.behaviour.responder._terms, "in_force", _none)
        unjudged = aggregator.post(f"/v1/rounds/{name}/updates", report)
    assert unjudged.kind == "unavailable"
    assert unjudged.json["decision_id"], "by this the reporter knows that it may ask once more"
    [verdict] = aggregator.post(f"/v1/rounds/{name}/updates", report).expect(200)["verdicts"]
    assert verdict["decision"] is True


@pytest.mark.parametrize("outcome", ["deny", "error"])
def test_nothing_is_admitted_of_whom_policy_cannot_place(
    plane: ControlPlane, aggregator: Caller, monkeypatch: pytest.MonkeyPatch, outcome: str
) -> None:
    cohort = Cohort(plane, aggregator)
    for _ in range(4):
        verdicts = cohort.round()
    assert {verdict["state"] for verdict in verdicts.values()} == {"trusted"}
    decide = plane.services.decider.decide

    async def _unplaced(package: str, facts: Any) -> Decision:
        made = await decide(package, facts)
        if package != "response":
            return made
        return made.model_copy(update={"outcome": outcome, "obligations": Obligations()})

    monkeypatch.setattr(plane.services.decider, "decide", _unplaced)
    found = cohort.round()
    for verdict in found.values():
        assert verdict["decision"] is False
        assert "behaviour_admitted" in {reason["code"] for reason in verdict["reasons"]}
        assert (verdict["state"], verdict["quarantined"]) == ("watched", False)


def test_a_device_on_probation_takes_part_and_contributes_nothing_until_it_is_watched(
    plane: ControlPlane, aggregator: Caller
) -> None:
    cohort = Cohort(plane, aggregator)
    device = cohort.devices[0]
    cohort.round()
    kept = plane.run(plane.store.behaviour.kept([device.id]))[device.id]
    assert kept.record is not None
    probation = kept.record.model_copy(update={"state": "recovering"})
    sent = observed(device.id, kept.version, record=probation, trust=kept.trust, e_value=1.0)
    plane.run(plane.services.registry.record_behaviour([sent]))
    states = []
    for _ in range(12):
        verdict = cohort.round()[device.id]
        states.append(verdict["state"])
        assert verdict["decision"] is (verdict["state"] != "recovering")
        if verdict["state"] != "recovering":
            break
    assert states[0] == "recovering"
    assert states[-1] == "watched"
    assert states.count("recovering") >= 3


def test_a_report_on_devices_that_others_write_about_all_the_time_is_503_and_can_be_sent_again(
    plane: ControlPlane, aggregator: Caller, new_id: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    devices, name = [plane.enrol("trainer") for _ in range(2)], new_id()
    aggregator.open_round(name, devices)
    updates = [plane.report(one, _granted(one, name)) for one in devices]

    async def _stale(*_: object) -> frozenset[str]:
        return frozenset(one.id for one in devices)

    with monkeypatch.context() as patched:
        patched.setattr(plane.services.registry, "record_behaviour", _stale)
        assert aggregator.post(f"/v1/rounds/{name}/updates", {"updates": updates}).kind == "unavailable"
    found = aggregator.post(f"/v1/rounds/{name}/updates", {"updates": updates}).expect(200)["verdicts"]
    assert [one["decision"] for one in found] == [True, True]
    again = aggregator.post(f"/v1/rounds/{name}/updates", {"updates": updates}).expect(200)["verdicts"]
    assert {reason["code"] for one in again for reason in one["reasons"]} >= {"capability_unused"}
    assert [one["decision"] for one in again] == [False, False]


def test_of_a_device_that_others_write_about_all_the_time_nothing_is_kept_and_the_others_are_admitted(
    plane: ControlPlane, aggregator: Caller, new_id: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    devices, name = [plane.enrol("trainer") for _ in range(3)], new_id()
    aggregator.open_round(name, devices)
    updates = {one.id: plane.report(one, _granted(one, name)) for one in devices}
    busy, record, outrun = devices[1].id, plane.store.behaviour.record, []

    async def _outrun(sent: Any, *given: Any) -> Any:
        if busy in {one.subject for one in sent}:
            kept = (await plane.store.behaviour.kept([busy]))[busy]
            outrun.append(await record([observed(busy, kept.version, trust=kept.trust)]))
        return await record(sent, *given)

    with monkeypatch.context() as patched:
        patched.setattr(plane.store.behaviour, "record", _outrun)
        body = aggregator.post(f"/v1/rounds/{name}/updates", {"updates": [*updates.values()]}).expect(200)
    found = {one["subject"]: one for one in body["verdicts"]}
    assert len(outrun) == ATTEMPTS
    assert {one: verdict["decision"] for one, verdict in found.items()} == {one: one != busy for one in updates}
    assert "behaviour_admitted" in {reason["code"] for reason in found[busy]["reasons"]}
    assert "state" not in found[busy]
    listed = plane.run(plane.store.contributions.of_round(name))
    assert {one.subject for one in listed} == updates.keys() - {busy}
    [verdict] = aggregator.post(f"/v1/rounds/{name}/updates", {"updates": [updates[busy]]}).expect(200)["verdicts"]
    assert verdict["decision"] is True, "it can be sent again"


@pytest.mark.parametrize("broken", ["look_up", "decide", "count"])
def test_a_report_that_a_fault_of_the_store_ends_can_be_sent_again(
    plane: ControlPlane,
    aggregator: Caller,
    new_id: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
) -> None:
    device, name = plane.enrol("trainer"), new_id()
    aggregator.open_round(name, [device])
    body = {"updates": [plane.report(device, _granted(device, name))]}

    async def _fail(*_: object, **__: object) -> None:
        raise StoreUnavailable(broken, "here", "away")

    parts: dict[str, tuple[object, str]] = {
        "look_up": (plane.store.behaviour, "kept"),
        "decide": (plane.services.gatherer, "gather"),
        "count": (plane.services.training.rounds, "count_submissions"),
    }
    with monkeypatch.context() as patched:
        patched.setattr(*parts[broken], _fail)
        assert aggregator.post(f"/v1/rounds/{name}/updates", body).kind == "unavailable"
    [verdict] = aggregator.post(f"/v1/rounds/{name}/updates", body).expect(200)["verdicts"]
    assert verdict["decision"] is True


def _granted(device: Caller, name: str) -> str:
    token: str = device.capability("gradient_submission", round_id=name).expect(201)["access_token"]
    return token
