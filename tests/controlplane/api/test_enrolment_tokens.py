"""Administrators issue enrolment tokens; nobody else does."""

from typing import Any

import pytest

from controlplane.jose.keys import DeviceKey
from tests.support import Caller, ControlPlane

PATH = "/v1/enrolment-tokens"


@pytest.fixture(scope="module")
def boss(plane: ControlPlane) -> Caller:
    return plane.enrol("administrator")


def enrol(plane: ControlPlane, token: str, role: str = "trainer") -> int:
    body = {"token": token, "roles": [role], "segment": "homes"}
    return plane.call("POST", "/v1/devices", body, key=DeviceKey.generate()).status


def test_each_token_lets_one_device_enrol(plane: ControlPlane, boss: Caller) -> None:
    asked = {"roles": ["trainer"], "segment": "homes", "hours": 2.0, "count": 3}
    issued = boss.post(PATH, asked).expect(201)
    assert len(set(issued["tokens"])) == 3
    assert issued["expires_at"] == pytest.approx(plane.clock() + 7200, abs=30)
    for token in issued["tokens"]:
        assert enrol(plane, token) == 201
        assert enrol(plane, token) == 403
    assert plane.metric("ztfm_enrolment_tokens_issued_total") >= 3


def test_a_token_allows_what_it_says(plane: ControlPlane, boss: Caller) -> None:
    [token] = boss.post(PATH, {"roles": ["trainer"], "segment": "homes"}).expect(201)["tokens"]
    assert enrol(plane, token, "consumer") == 403


@pytest.mark.parametrize("role", ["operator", "gateway", "aggregator", "trainer", "consumer"])
def test_nobody_else_issues_tokens(plane: ControlPlane, role: str) -> None:
    refused = plane.enrol(role).post(PATH, {"roles": ["administrator"], "segment": "core"}).expect(403)
    assert "role_granted" in {reason["code"] for reason in refused["reasons"]}


@pytest.mark.parametrize(
    "changes",
    [
        {"count": 0},
        {"count": 1001},
        {"count": 1.5},
        {"count": "1"},
        {"hours": 0},
        {"hours": -1},
        {"hours": 2161},
        {"hours": "1"},
        {"roles": []},
        {"roles": ["Trainer"]},
        {"roles": ["trainer"] * 9},
        {"segment": ""},
        {"segment": None},
        {"token": "x"},
    ],
)
def test_what_is_out_of_bounds_is_400(boss: Caller, changes: dict[str, Any]) -> None:
    assert boss.post(PATH, {"roles": ["trainer"], "segment": "homes", **changes}).status == 400


def test_a_quarantined_administrator_issues_nothing(plane: ControlPlane, boss: Caller) -> None:
    other = plane.enrol("administrator")
    boss.post(f"/v1/devices/{other.id}/status", {"status": "quarantined", "reason": "x"}).expect(200)
    assert other.post(PATH, {"roles": ["trainer"], "segment": "homes"}).status == 403


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({"roles": ["admin"]}, {"roles_known", "roles_fit_segment"}),
        ({"roles": ["trainer", "admin"]}, {"roles_known", "roles_fit_segment"}),
        ({"segment": "core"}, {"roles_fit_segment"}),
        ({"segment": "nowhere"}, {"roles_fit_segment"}),
    ],
)
def test_a_role_that_policy_does_not_know_or_has_no_place_for_gets_no_token(
    boss: Caller, changes: dict[str, Any], codes: set[str]
) -> None:
    refused = boss.post(PATH, {"roles": ["trainer"], "segment": "homes", **changes}).expect(403)
    assert {reason["code"] for reason in refused["reasons"]} == codes


def test_a_denial_of_tokens_names_the_roles_that_would_do(boss: Caller) -> None:
    refused = boss.post(PATH, {"roles": ["admin"], "segment": "guests"}).expect(403)
    differences = {reason["code"]: reason["differences"] for reason in refused["reasons"]}
    assert differences["roles_fit_segment"] == [
        {"claim": "resource.properties.roles", "seen": "admin", "wanted": ["consumer"]}
    ]
    assert "administrator" in differences["roles_known"][0]["wanted"]
