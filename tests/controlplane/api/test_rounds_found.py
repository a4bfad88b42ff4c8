"""Rounds in numbers: for operators and administrators, and for nobody else."""

from collections.abc import Callable

import pytest

from tests.support import MODEL, Caller, ControlPlane


def test_an_operator_sees_what_came_of_a_round_s_updates(
    plane: ControlPlane, aggregator: Caller, operator: Caller, new_id: Callable[[], str]
) -> None:
    name, start = new_id(), plane.clock() - 1.0
    sound, damaged = plane.enrol("trainer"), plane.enrol("trainer")
    aggregator.open_round(name, [sound, damaged])
    updates = [
        plane.report(one, one.capability("gradient_submission", round_id=name).expect(201)["access_token"], **evidence)
        for one, evidence in ((sound, {}), (damaged, {"nonfinite": 3}))
    ]
    verdicts = aggregator.post(f"/v1/rounds/{name}/updates", {"updates": updates}).expect(200)["verdicts"]
    assert [one["decision"] for one in verdicts] == [True, False]
    query = f"/v1/rounds?state=open&model={MODEL}&since={start:.3f}&limit=1"
    [found] = plane.call("GET", query, key=operator.key).expect(200)["rounds"]
    assert (found["id"], found["opened_by"], found["state"]) == (name, aggregator.id, "open")
    assert (found["members"], found["accepted"], found["dropped"]) == (2, 1, 1)
    closed = plane.call("GET", f"/v1/rounds?state=closed&since={start:.3f}", key=operator.key).expect(200)["rounds"]
    assert name not in {one["id"] for one in closed}


def test_an_administrator_lists_them_too(plane: ControlPlane) -> None:
    plane.enrol("administrator").get("/v1/rounds").expect(200)


@pytest.mark.parametrize("role", ["trainer", "consumer", "aggregator", "gateway"])
def test_nobody_else_lists_them(plane: ControlPlane, role: str) -> None:
    assert plane.enrol(role).get("/v1/rounds").kind == "denied"
    assert plane.stranger().get("/v1/rounds").status == 401


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=1001", "limit=x", "limit=", "limit=1&limit=2", "state=done", "state=", "other=1"),
        *("since=yesterday", "until=-1", "since=1e9", "model=", "model=a%00"),
    ],
)
def test_a_parameter_that_does_not_fit_is_400(plane: ControlPlane, operator: Caller, query: str) -> None:
    assert plane.call("GET", f"/v1/rounds?{query}", key=operator.key).kind == "invalid-request"
