"""What became of updates, over HTTP: evidence, verdicts and reasons, for operators, administrators and the device."""

from collections.abc import Callable
from typing import Any

import pytest

from controlplane.contracts.evidence import UpdateEvidence
from tests.controlplane.api.cohorts import HOSTILE, Cohort
from tests.support import MODEL, Caller, ControlPlane


@pytest.fixture(scope="module")
def attacked(plane: ControlPlane) -> tuple[Cohort, Caller, list[str]]:
    """A cohort with one that attacks until it is set apart, and the rounds of it."""
    aggregator = plane.enrol("aggregator")
    cohort = Cohort(plane, aggregator).settled()
    hostile = cohort.devices[0]
    cohort.quarantine(hostile)
    named = plane.run(plane.store.rounds.standings(_all(), plane.clock(), 1000))
    rounds = [one.id for one in named if one.opened_by == aggregator.id]
    return cohort, hostile, rounds


def _all() -> Any:
    from controlplane.contracts.rounds import RoundQuery

    return RoundQuery(model=MODEL)


def looked(caller: Caller, path: str) -> Any:
    return caller.plane.call("GET", path, key=caller.key).expect(200)


def test_a_round_lists_each_update_with_its_evidence_and_why_one_was_dropped(
    operator: Caller, attacked: tuple[Cohort, Caller, list[str]]
) -> None:
    cohort, hostile, rounds = attacked
    told = looked(operator, f"/v1/rounds/{rounds[0]}/verdicts?limit=200")
    updates = {one["subject"]: one for one in told["updates"]}
    assert (set(updates), told["next_token"]) == ({one.id for one in cohort.devices}, "")
    assert list(updates) == sorted(updates)
    bad = updates.pop(hostile.id)
    assert (bad["outcome"], bad["state"], bad["submitted"]) == ("deny", "quarantined", 1)
    assert bad["reasons"]
    assert UpdateEvidence.model_validate(bad["evidence"]).cosine == HOSTILE["cosine"]
    assert bad["e_value"] > 1.0
    assert bad["attribution"]["layers"][0]["name"] == "head.weight"
    assert {one["name"] for one in bad["attribution"]["features"]} & HOSTILE.keys()
    for one in updates.values():
        assert (one["outcome"], one["reasons"]) == ("allow", [])
        assert UpdateEvidence.model_validate(one["evidence"]).cosine > 0.5
        assert 0.0 <= one["p_value"] <= 1.0
        assert one["decision_id"].startswith("dec-")


def test_pages_of_a_round_hold_each_update_once(operator: Caller, attacked: tuple[Cohort, Caller, list[str]]) -> None:
    cohort, _, rounds = attacked
    path, seen, token = f"/v1/rounds/{rounds[0]}/verdicts?limit=3", [], ""
    while True:
        page = looked(operator, path + (f"&page_token={token}" if token else ""))
        assert len(page["updates"]) <= 3
        seen += [one["subject"] for one in page["updates"]]
        token = page["next_token"]
        if not token:
            break
        other = f"/v1/rounds/{rounds[1]}/verdicts?limit=3&page_token={token}"
        assert operator.plane.call("GET", other, key=operator.key).kind == "invalid-request"
    assert seen == sorted(one.id for one in cohort.devices)


def test_a_round_says_whose_updates_went_into_its_model(
    operator: Caller, attacked: tuple[Cohort, Caller, list[str]]
) -> None:
    cohort, hostile, rounds = attacked
    told = looked(operator, f"/v1/rounds/{rounds[0]}")
    assert told["dropped"] == [{"subject": hostile.id, "updates": 1}]
    assert {one["subject"] for one in told["accepted"]} == {one.id for one in cohort.devices} - {hostile.id}
    assert (told["round"]["id"], told["round"]["dropped"]) == (rounds[0], 1)


def test_a_device_s_updates_show_how_the_evidence_against_it_grew(
    operator: Caller, attacked: tuple[Cohort, Caller, list[str]]
) -> None:
    _, hostile, rounds = attacked
    updates = looked(operator, f"/v1/devices/{hostile.id}/updates")["updates"]
    assert [one["round_id"] for one in updates] == rounds
    assert updates[0]["state"] == "quarantined"
    assert updates[0]["e_value"] > updates[-1]["e_value"]
    assert "attribution" in updates[0]
    assert "attribution" not in updates[-1]
    assert len(looked(operator, f"/v1/devices/{hostile.id}/updates?limit=2")["updates"]) == 2


def test_a_device_sees_its_own_updates_and_nobody_else_s(
    plane: ControlPlane, attacked: tuple[Cohort, Caller, list[str]]
) -> None:
    cohort, _, rounds = attacked
    first, second = cohort.devices[1], cohort.devices[2]
    assert len(looked(first, f"/v1/devices/{first.id}/updates")["updates"]) == len(rounds)
    for path in (f"/v1/devices/{second.id}/updates", f"/v1/rounds/{rounds[0]}/verdicts", f"/v1/rounds/{rounds[0]}"):
        assert first.get(path).kind == "denied"
        assert cohort.aggregator.get(path).kind == "denied"
        assert plane.stranger().get(path).status == 401
        assert plane.enrol("administrator").get(path).status == 200


def test_what_is_not_on_record_any_more_leaves_what_is(
    plane: ControlPlane, operator: Caller, aggregator: Caller, new_id: Callable[[], str]
) -> None:
    name, device = new_id(), plane.enrol("trainer")
    aggregator.open_round(name, [device])
    token = device.capability("gradient_submission", round_id=name).expect(201)["access_token"]
    report = {"updates": [plane.report(device, token)]}
    [verdict] = aggregator.post(f"/v1/rounds/{name}/updates", report).expect(200)["verdicts"]
    [before] = looked(operator, f"/v1/rounds/{name}/verdicts")["updates"]
    assert "evidence" in before
    plane.run(plane.store.decisions.purge(plane.clock() + 60.0, since=before["time"], action="gradient_submission"))
    [after] = looked(operator, f"/v1/rounds/{name}/verdicts")["updates"]
    assert (after["outcome"], after["decision_id"]) == ("allow", verdict["decision_id"])
    assert "evidence" not in after


def test_a_capability_that_was_denied_is_no_update(
    plane: ControlPlane, operator: Caller, aggregator: Caller, new_id: Callable[[], str]
) -> None:
    name, device = new_id(), plane.enrol("trainer")
    aggregator.open_round(name, [plane.enrol("trainer")])
    assert device.capability("gradient_submission", round_id=name).status == 403
    assert looked(operator, f"/v1/rounds/{name}/verdicts") == {"updates": [], "next_token": ""}


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "limit=1&limit=2", "other=1", "page_token=x"])
def test_a_parameter_that_does_not_fit_is_400(
    operator: Caller, attacked: tuple[Cohort, Caller, list[str]], query: str
) -> None:
    _, hostile, rounds = attacked
    for path in (f"/v1/rounds/{rounds[0]}/verdicts", f"/v1/devices/{hostile.id}/updates"):
        assert operator.plane.call("GET", f"{path}?{query}", key=operator.key).kind == "invalid-request"


@pytest.mark.parametrize("name", ["nothing", "a%00b", "%F0%9F%98%80", "a" * 200])
def test_of_what_there_is_not_nothing_is_told(operator: Caller, name: str) -> None:
    for path in (f"/v1/rounds/{name}", f"/v1/rounds/{name}/verdicts", f"/v1/devices/{name}/updates"):
        assert operator.plane.call("GET", path, key=operator.key).kind == "not-found"


def test_a_preview_says_what_an_order_would_reach_and_orders_nothing(
    plane: ControlPlane, operator: Caller, attacked: tuple[Cohort, Caller, list[str]]
) -> None:
    cohort, _, rounds = attacked
    honest, first = cohort.devices[1], rounds[-1]
    ordered = looked(operator, "/v1/rollbacks?limit=1000")
    asked = {"subjects": [honest.id]}
    told = operator.post(f"/v1/rounds/{first}/rollback/preview", asked).expect(200)
    assert (told["model"], told["opened_by"]) == (MODEL, cohort.aggregator.id)
    assert (told["replayed"], told["left_out"]) == (len(rounds), len(rounds))
    assert told["rounds"] == rounds[::-1]
    assert looked(operator, "/v1/rollbacks?limit=1000") == ordered
    nobody = operator.post(f"/v1/rounds/{first}/rollback/preview", {"subjects": ["dev-nobody"]}).expect(200)
    assert (nobody["replayed"], nobody["rounds"], nobody["left_out"]) == (0, [], 0)
    assert operator.post("/v1/rounds/nothing/rollback/preview", asked).kind == "not-found"
    for wrong in ({}, {"subjects": []}, {"subjects": ["a", "a"]}, {**asked, "reason": "x"}):
        assert operator.post(f"/v1/rounds/{first}/rollback/preview", wrong).status in (400, 422)
    for caller in (honest, cohort.aggregator):
        assert caller.post(f"/v1/rounds/{first}/rollback/preview", asked).kind == "denied"
