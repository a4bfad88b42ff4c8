"""A round is opened once, and each update of it is judged once, whoever reports what how often."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from tests.controlplane.api.cohorts import Cohort
from tests.support import DIGEST, MODEL, SEGMENTS, Caller, ControlPlane

Reported = Callable[..., dict[str, Any]]


@pytest.fixture
def opened(aggregator: Caller, new_id: Callable[[], str]) -> Callable[..., str]:
    def open_round(*members: Caller) -> str:
        name = new_id()
        aggregator.open_round(name, members)
        return name

    return open_round


def submission(device: Caller, name: str) -> str:
    return str(device.capability("gradient_submission", round_id=name).expect(201)["access_token"])


def verdicts(reporter: Caller, name: str, *updates: dict[str, Any]) -> list[dict[str, Any]]:
    body = reporter.post(f"/v1/rounds/{name}/updates", {"updates": list(updates)}).expect(200)
    assert body["round_id"] == name
    assert [verdict["subject"] for verdict in body["verdicts"]] == [update["subject"] for update in updates]
    return list(body["verdicts"])


def codes(verdict: dict[str, Any]) -> set[str]:
    return {reason["code"] for reason in verdict["reasons"]}


def trust_of(plane: ControlPlane, device: Caller) -> tuple[float, int, str]:
    found = plane.run(plane.store.devices.get(device.id))
    assert found is not None
    return found.trust.score, found.trust.observations, found.status


def steps_of(plane: ControlPlane, device: Caller) -> int:
    """Return how often something was written of a device's behaviour."""
    return plane.run(plane.store.behaviour.kept([device.id]))[device.id].version


def test_a_round_is_opened_by_an_aggregator_and_by_nobody_else(
    plane: ControlPlane, aggregator: Caller, trainer: Caller, gateway: Caller, new_id: Callable[[], str]
) -> None:
    name = new_id()
    before = plane.metric("ztfm_rounds_opened_total")
    opened = aggregator.open_round(name, [trainer])
    assert opened["state"] == "open"
    assert opened["opened_by"] == aggregator.id
    assert opened["closes_at"] - opened["opens_at"] == pytest.approx(600.0)
    assert plane.metric("ztfm_rounds_opened_total") == before + 1
    for other in (trainer, gateway):
        body = {"id": new_id(), "model": MODEL, "model_digest": DIGEST, "members": ["a"], "duration_seconds": 1.0}
        assert other.post("/v1/rounds", body).kind == "denied"


@pytest.mark.parametrize(
    ("model", "aggregation"), [(MODEL, "mean"), ("fall-detection", "nnm"), ("nobody-knows-it", "mean")]
)
def test_policy_picks_how_the_updates_of_a_round_become_one(
    plane: ControlPlane, aggregator: Caller, new_id: Callable[[], str], model: str, aggregation: str
) -> None:
    name = new_id()
    body = {"id": name, "model": model, "model_digest": DIGEST, "members": ["a"], "duration_seconds": 1.0}
    assert aggregator.post("/v1/rounds", body).expect(201)["aggregation"] == aggregation
    kept = plane.run(plane.store.rounds.get(name))
    assert kept is not None
    assert kept.aggregation == aggregation


def test_a_round_s_id_is_used_once(aggregator: Caller, trainer: Caller, new_id: Callable[[], str]) -> None:
    name = new_id()
    aggregator.open_round(name, [trainer])
    body = {"id": name, "model": MODEL, "model_digest": DIGEST, "members": ["other"], "duration_seconds": 1.0}
    assert aggregator.post("/v1/rounds", body).kind == "conflict"
    assert trainer.capability("gradient_submission", round_id=name).status == 201


def test_honest_updates_are_accepted_and_earn_trust(plane: ControlPlane, aggregator: Caller) -> None:
    cohort = Cohort(plane, aggregator)
    counted = {"verdict": "accepted", "segment": SEGMENTS["trainer"]}
    before = plane.metric("ztfm_updates_total", **counted)
    found = cohort.round()
    for device in cohort.devices:
        verdict = found[device.id]
        assert (verdict["decision"], verdict["quarantined"], verdict["state"]) == (True, False, "watched")
        assert verdict["clip_norm_ratio"] == 1.5
        assert verdict["trust"] > 0.6
        assert verdict["p_value"] > 0.05
        assert trust_of(plane, device) == (verdict["trust"], 1, "active")
    assert plane.metric("ztfm_updates_total", **counted) == before + len(cohort.devices)
    device = cohort.devices[0]
    record = device.get(f"/v1/decisions/{found[device.id]['decision_id']}").expect(200)
    assert 0.7 < record["facts"]["context"]["evidence"]["cosine"] < 0.9
    assert record["facts"]["context"]["behaviour"]["p_value"] == found[device.id]["p_value"]


def test_an_update_with_nothing_to_compare_with_is_held_to_the_absolute_limits_alone(
    plane: ControlPlane, aggregator: Caller, opened: Callable[..., str]
) -> None:
    device = plane.enrol("trainer")
    name = opened(device)
    [verdict] = verdicts(aggregator, name, plane.report(device, submission(device, name)))
    assert verdict["decision"] is True
    assert "p_value" not in verdict
    assert trust_of(plane, device) == (pytest.approx(0.6, abs=0.001), 0, "active")


@pytest.mark.parametrize(
    ("evidence", "code"),
    [
        ({"cosine": -0.9}, "update_aligned"),
        ({"norm_ratio": 40.0}, "update_bounded"),
        ({"nonfinite": 1}, "update_finite"),
        ({"shapes_match": False}, "update_shaped"),
        ({"duplicates": 3}, "update_unique"),
        ({"examples": 0}, "update_examples"),
    ],
)
def test_an_update_that_stands_out_is_dropped_with_its_reason(
    plane: ControlPlane, aggregator: Caller, opened: Callable[..., str], evidence: dict[str, Any], code: str
) -> None:
    device = plane.enrol("trainer")
    name = opened(device)
    [verdict] = verdicts(aggregator, name, plane.report(device, submission(device, name), **evidence))
    assert verdict["decision"] is False
    assert code in codes(verdict)
    assert "clip_norm_ratio" not in verdict


def test_an_attacker_is_quarantined_and_honest_devices_beside_it_are_not(
    plane: ControlPlane, aggregator: Caller
) -> None:
    cohort = Cohort(plane, aggregator).settled()
    attacker, *honest = cohort.devices
    before = plane.metric("ztfm_quarantines_total", segment="homes")
    cohort.round()
    bad = cohort.quarantine(attacker)
    assert not any(verdict["decision"] for verdict in bad)
    assert [verdict["state"] for verdict in bad] == ["watched"] * (len(bad) - 1) + ["quarantined"]
    assert bad[-1]["features"] == [one["name"] for one in bad[-1]["attribution"]["features"]]
    assert bad[-1]["attribution"]["sentence"]
    assert {"behaviour_admitted", "subject_active"} <= codes(bad[-1])
    assert trust_of(plane, attacker)[2] == "quarantined"
    assert {trust_of(plane, device)[2] for device in honest} == {"active"}
    assert plane.metric("ztfm_quarantines_total", segment="homes") == before + 1
    assert attacker.id not in cohort.round(), "it is granted nothing any more"


def test_the_same_update_twice_in_one_report_counts_once(
    plane: ControlPlane, aggregator: Caller, opened: Callable[..., str]
) -> None:
    device = plane.enrol("trainer")
    name = opened(device)
    update = plane.report(device, submission(device, name))
    first, second, third = verdicts(aggregator, name, update, update, update)
    assert [first["decision"], second["decision"], third["decision"]] == [True, False, False]
    assert codes(second) == codes(third) == {"capability_unused", "submission_outstanding"}
    assert steps_of(plane, device) == 1


def test_two_capabilities_of_one_device_submit_one_update(
    plane: ControlPlane, aggregator: Caller, opened: Callable[..., str]
) -> None:
    device = plane.enrol("trainer")
    name = opened(device)
    updates = [plane.report(device, submission(device, name)) for _ in range(2)]
    first, second = verdicts(aggregator, name, *updates)
    assert first["decision"] is True
    assert codes(second) == {"submission_outstanding"}
    assert steps_of(plane, device) == 1


def test_a_capability_that_two_requests_report_at_the_same_time_counts_once(
    plane: ControlPlane, aggregator: Caller, opened: Callable[..., str]
) -> None:
    for _ in range(5):
        device = plane.enrol("trainer")
        name = opened(device)
        update = plane.report(device, submission(device, name))
        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(partial(verdicts, aggregator, name), [update] * 4))
        assert [verdict["decision"] for [verdict] in found].count(True) == 1
        assert steps_of(plane, device) == 1


def test_a_retried_report_neither_admits_nor_moves_trust_again(
    plane: ControlPlane, aggregator: Caller, opened: Callable[..., str]
) -> None:
    device = plane.enrol("trainer")
    name = opened(device)
    update = plane.report(device, submission(device, name))
    verdicts(aggregator, name, update)
    before = trust_of(plane, device)
    refused = plane.metric("ztfm_capabilities_refused_total", cause="replayed")
    [again] = verdicts(aggregator, name, update)
    assert again["decision"] is False
    assert trust_of(plane, device) == before
    assert plane.metric("ztfm_capabilities_refused_total", cause="replayed") == refused + 1


def test_another_s_capability_is_refused_and_counted(
    plane: ControlPlane, aggregator: Caller, opened: Callable[..., str]
) -> None:
    owner, thief = plane.enrol("trainer"), plane.enrol("trainer")
    name = opened(owner, thief)
    stolen = submission(owner, name)
    before = plane.metric("ztfm_capabilities_refused_total", cause="wrong_subject")
    taken, owned = verdicts(aggregator, name, plane.report(thief, stolen), plane.report(owner, stolen))
    assert taken["decision"] is False
    assert "capability_verified" in codes(taken)
    assert owned["decision"] is True, "a theft used up the owner's capability"
    assert plane.metric("ztfm_capabilities_refused_total", cause="wrong_subject") == before + 1
    assert trust_of(plane, thief)[1] == 0


def test_a_capability_for_another_round_is_refused(
    plane: ControlPlane, aggregator: Caller, opened: Callable[..., str]
) -> None:
    device = plane.enrol("trainer")
    name, other = opened(device), opened(device)
    [verdict] = verdicts(aggregator, other, plane.report(device, submission(device, name)))
    assert "capability_verified" in codes(verdict)


def test_a_pull_capability_submits_nothing(plane: ControlPlane, aggregator: Caller, opened: Callable[..., str]) -> None:
    device = plane.enrol("trainer")
    name = opened(device)
    pull = device.capability("model_access", digest=DIGEST, purpose="training", round_id=name).expect(201)
    [verdict] = verdicts(aggregator, name, plane.report(device, pull["access_token"]))
    assert verdict["decision"] is False


@pytest.mark.parametrize("capability", [None, "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "ü.ü.ü"])
def test_an_update_without_a_capability_is_refused(
    plane: ControlPlane, aggregator: Caller, opened: Callable[..., str], capability: str | None
) -> None:
    device = plane.enrol("trainer")
    [verdict] = verdicts(aggregator, opened(device), plane.report(device, capability))
    assert verdict["decision"] is False
    assert "trust" not in verdict


def test_what_the_enforcement_point_refused_stays_refused(
    plane: ControlPlane, aggregator: Caller, opened: Callable[..., str]
) -> None:
    device = plane.enrol("trainer")
    name = opened(device)
    token = submission(device, name)
    refused = {"verified": False, "cause": "proof_stale"}
    contradictory = {"verified": True, "cause": "proof_stale"}
    for verification in (refused, contradictory, {"verified": False}):
        update = {**plane.report(device, token), "verification": verification}
        [verdict] = verdicts(aggregator, name, update)
        assert verdict["decision"] is False
    [verdict] = verdicts(aggregator, name, plane.report(device, token))
    assert verdict["decision"] is True


def test_an_update_that_was_never_screened_is_dropped(
    plane: ControlPlane, aggregator: Caller, opened: Callable[..., str]
) -> None:
    device = plane.enrol("trainer")
    name = opened(device)
    update = plane.report(device, submission(device, name))
    del update["evidence"]
    [verdict] = verdicts(aggregator, name, update)
    assert "update_measured" in codes(verdict)


def test_a_subject_that_nobody_registered_is_denied_for_itself_alone(
    plane: ControlPlane, aggregator: Caller, opened: Callable[..., str]
) -> None:
    device = plane.enrol("trainer")
    name = opened(device)
    unknown = {**plane.report(device, "x"), "subject": "dev-nobody"}
    first, second = verdicts(aggregator, name, unknown, plane.report(device, submission(device, name)))
    assert "subject_known" in codes(first)
    assert second["decision"] is True


def test_only_the_aggregator_that_opened_a_round_reports_to_it(
    plane: ControlPlane, aggregator: Caller, opened: Callable[..., str]
) -> None:
    device, other = plane.enrol("trainer"), plane.enrol("aggregator")
    name = opened(device)
    update = plane.report(device, submission(device, name))
    for reporter in (other, device):
        assert reporter.post(f"/v1/rounds/{name}/updates", {"updates": [update]}).kind == "denied"
    [verdict] = verdicts(aggregator, name, update)
    assert verdict["decision"] is True


@pytest.mark.parametrize("name", ["no-such-round", "%00", "a%2Fb", "%F0%9F%98%80", "a" * 300, "x%20y", "..%2f.."])
def test_a_round_that_is_not_there_is_denied_to_all_alike(plane: ControlPlane, aggregator: Caller, name: str) -> None:
    update = {"subject": "dev-1", "capability": None, "verification": {"verified": False}}
    reply = aggregator.post(f"/v1/rounds/{name}/updates", {"updates": [update]})
    assert reply.status in (403, 404), reply.body


def test_a_round_s_id_may_hold_what_a_url_escapes(plane: ControlPlane, aggregator: Caller) -> None:
    device = plane.enrol("trainer")
    aggregator.open_round("jobs/7@site+a:b", [device])
    update = plane.report(device, submission(device, "jobs/7@site+a:b"))
    path = "/v1/rounds/jobs%2F7@site+a:b/updates"
    body = aggregator.post(path, {"updates": [update]}).expect(200)
    assert body["round_id"] == "jobs/7@site+a:b"
    assert body["verdicts"][0]["decision"] is True


def test_a_thousand_updates_are_judged_in_order_while_others_are_served(
    plane: ControlPlane, aggregator: Caller, opened: Callable[..., str]
) -> None:
    device = plane.enrol("trainer")
    name = opened(device)
    good = plane.report(device, submission(device, name))
    updates = [good, *({**good, "subject": f"dev-{number}"} for number in range(999))]
    with ThreadPoolExecutor(1) as threads:
        began = plane.clock()
        pending = threads.submit(verdicts, aggregator, name, *updates)
        slowest = 0.0
        while not pending.done():
            started = plane.clock()
            assert plane.call("GET", "/livez").status == 200
            slowest = max(slowest, plane.clock() - started)
        took = plane.clock() - began
    assert [verdict["decision"] for verdict in pending.result()] == [True] + [False] * 999
    assert slowest < max(1.0, took / 2)


@pytest.mark.parametrize("count", [0, 1001])
def test_a_report_holds_one_to_a_thousand_updates(aggregator: Caller, count: int) -> None:
    update = {"subject": "dev-1", "capability": None, "verification": {"verified": False}}
    reply = aggregator.post("/v1/rounds/any/updates", {"updates": [update] * count})
    assert reply.kind == "invalid-request"
    assert reply.json["errors"][0]["pointer"] == "/updates"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"members": []}, "/members"),
        ({"members": ["a", "b", "a"]}, ""),
        ({"members": ["a"] * 10_001}, "/members"),
        ({"members": ["a", "not an id"]}, "/members/1"),
        ({"duration_seconds": 0.0}, "/duration_seconds"),
        ({"duration_seconds": 86_401.0}, "/duration_seconds"),
        ({"model_digest": "md5:00"}, "/model_digest"),
        ({"id": "../etc"}, "/id"),
    ],
)
def test_a_round_that_does_not_fit_opens_nothing(
    plane: ControlPlane, aggregator: Caller, new_id: Callable[[], str], change: dict[str, Any], pointer: str
) -> None:
    name = new_id()
    body = {"id": name, "model": MODEL, "model_digest": DIGEST, "members": ["a"], "duration_seconds": 1.0, **change}
    reply = aggregator.post("/v1/rounds", body)
    assert reply.kind == "invalid-request"
    assert pointer in [error["pointer"] for error in reply.json["errors"]]
    assert plane.run(plane.store.rounds.get(name)) is None
