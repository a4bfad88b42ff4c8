"""What happened to devices, over HTTP: for operators and administrators."""

import pytest

from tests.support import Caller, ControlPlane

PATH = "/v1/changes/devices"


def looked(caller: Caller, query: str = "") -> list[dict[str, object]]:
    found: list[dict[str, object]] = caller.plane.call("GET", f"{PATH}?{query}", key=caller.key).expect(200)["changes"]
    return found


def test_an_operator_sees_who_came_and_what_became_of_it_since(plane: ControlPlane, operator: Caller) -> None:
    start = plane.clock() - 1.0
    device = plane.enrol("trainer")
    for status in ("quarantined", "active"):
        asked = {"status": status, "reason": "A drill."}
        operator.post(f"/v1/devices/{device.id}/status", asked).expect(200)
    found = looked(operator, f"device={device.id}")
    assert [one["kind"] for one in found] == ["status", "status", "enrolled"]
    assert [one["what"] for one in found[:2]] == ["The subject was let back in.", "The subject was set apart."]
    assert looked(operator, f"device={device.id}&until={start:.3f}") == []
    assert looked(operator, f"device={device.id}&limit=1") == found[:1]
    everybody = looked(operator, f"since={start:.3f}")
    assert {one["device"] for one in everybody} >= {device.id}
    assert [one["at"] for one in everybody] == sorted((one["at"] for one in everybody), reverse=True)  # type: ignore[type-var]


def test_nobody_else_sees_it(plane: ControlPlane, operator: Caller) -> None:
    plane.enrol("administrator").get(PATH).expect(200)
    device = plane.enrol("trainer")
    assert device.get(PATH).kind == "denied"
    assert plane.call("GET", f"{PATH}?device={device.id}", key=device.key).kind == "denied"
    assert plane.stranger().get(PATH).status == 401
    assert plane.call("GET", PATH).status == 401


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=501", "limit=x", "limit=1&limit=2", "other=1", "device=", "device=a%00", "device=%25%25"),
        *("since=yesterday", "since=-1", "until=1e9", "until="),
    ],
)
def test_a_parameter_that_does_not_fit_is_400(operator: Caller, query: str) -> None:
    assert operator.plane.call("GET", f"{PATH}?{query}", key=operator.key).kind == "invalid-request"
