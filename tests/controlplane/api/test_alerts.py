"""``/v1/alerts``: what an alert may bring about, what it may not, and that telling it again changes nothing more."""

import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controlplane.api.alerts import ROUTES
from controlplane.storage.holds import hold_id
from tests.clocks import EarlyClock
from tests.controlplane.api.alerts import FINGERPRINT, PATH, alert, delivery, moment, told
from tests.support import Caller, ControlPlane, running, wait_until

HOLD_SECONDS = 900.0


@pytest.fixture(scope="module")
def clock() -> EarlyClock:
    return EarlyClock()


@pytest.fixture(scope="module", params=["opa", "embedded"])
def own(request: pytest.FixtureRequest, clock: EarlyClock) -> Iterator[ControlPlane]:
    with running(clock=clock, engine=request.param) as found:
        yield found


@pytest.fixture(scope="module")
def boss(own: ControlPlane) -> Caller:
    return own.enrol("administrator")


@pytest.fixture
def trainer(own: ControlPlane, boss: Caller) -> Iterator[Caller]:
    """A member of an open round; what a test has had held is over afterwards."""
    aggregator, device = own.enrol("aggregator"), own.enrol("trainer", "consumer")
    aggregator.open_round(f"round-of-{device.id}", [device], seconds=7200.0)
    yield device
    for hold in boss.get("/v1/holds").expect(200)["holds"]:
        own.call("DELETE", f"/v1/holds/{hold['id']}?reason=over", key=boss.key).expect(200)


def submits(device: Caller) -> tuple[int, list[str]]:
    reply = device.capability("gradient_submission", round_id=f"round-of-{device.id}")
    reasons = reply.json["reasons"] if reply.status == 403 else []
    return reply.status, [reason["code"] for reason in reasons]


def answer(reply: Any) -> Any:
    return reply.expect(200)["alerts"][0]


def test_a_campaign_has_submissions_of_its_segment_held_and_nothing_else(
    own: ControlPlane, boss: Caller, trainer: Caller, clock: EarlyClock
) -> None:
    assert submits(trainer) == (201, [])
    before = own.metric("ztfm_alerts_total", response="hold")
    found = answer(told(own, alert(clock())))
    assert found["response"] == "hold"
    assert submits(trainer) == (403, ["action_not_held"])
    assert trainer.capability("inference", inference={"prompt_tokens": 1, "max_output_tokens": 1}).status == 201
    hold = found["hold"]
    assert (hold["segment"], hold["actions"]) == ("homes", ["gradient_submission"])
    assert hold["ends_at"] - hold["starts_at"] == HOLD_SECONDS
    assert boss.get("/v1/holds").expect(200)["holds"] == [hold]
    record = boss.get(f"/v1/decisions/{found['decision_id']}").expect(200)
    assert (record["action"], record["subject"], record["outcome"]) == ("alert", "ztfm-policy", "allow")
    assert record["obligations"]["hold"]["segment"] == "homes"
    assert record["facts"]["context"]["policy_revision"] == record["policy_revision"]
    assert own.metric("ztfm_alerts_total", response="hold") == before + 1
    assert own.metric("ztfm_holds") == 1.0


def test_a_denied_request_shows_the_hold_that_denied_it(
    own: ControlPlane, boss: Caller, trainer: Caller, clock: EarlyClock
) -> None:
    hold = answer(told(own, alert(clock(), fingerprint="1" * 16)))["hold"]
    denied = trainer.capability("gradient_submission", round_id=f"round-of-{trainer.id}").expect(403)
    record = boss.get(f"/v1/decisions/{denied['decision_id']}").expect(200)
    assert record["facts"]["context"]["holds"]["current"][hold["id"]]["alert"] == "ZtfmPoisoningCampaign"


def test_the_same_alert_again_is_the_same_hold_and_not_a_longer_one(
    own: ControlPlane, boss: Caller, trainer: Caller, clock: EarlyClock
) -> None:
    fires = alert(clock(), fingerprint="2" * 16)
    first = answer(told(own, fires))["hold"]
    clock.ahead += 300.0
    assert answer(told(own, fires))["hold"] == first
    clock.ahead += HOLD_SECONDS - 300.0
    assert submits(trainer) == (201, []), "it has ended by itself"
    assert answer(told(own, fires))["response"] == "denied"
    assert submits(trainer) == (201, [])
    assert boss.get("/v1/holds").expect(200)["holds"] == []


def test_a_resolved_campaign_releases_its_own_hold_alone(own: ControlPlane, trainer: Caller, clock: EarlyClock) -> None:
    now = clock()
    one, other = alert(now, fingerprint="3" * 16), alert(now, fingerprint="4" * 16)
    told(own, one, other).expect(200)
    gone = {**one, "status": "resolved", "endsAt": moment(now)}
    ended = answer(told(own, gone, status="resolved"))
    assert (ended["response"], ended["hold"]["state"], ended["hold"]["released_by"]) == ("release", "released", "alert")
    assert submits(trainer) == (403, ["action_not_held"])
    assert answer(told(own, {**other, "status": "resolved", "endsAt": moment(now)}))["response"] == "release"
    assert submits(trainer) == (201, [])
    assert answer(told(own, one))["response"] == "nothing", "what was released is not begun again"
    assert submits(trainer) == (201, [])


def test_for_every_other_alert_nothing_is_done(own: ControlPlane, trainer: Caller, clock: EarlyClock) -> None:
    page = {"severity": "page", "segment": None}
    for name in ("ZtfmMassQuarantine", "ZtfmPolicyEngineDown", "Watchdog"):
        found = answer(told(own, alert(clock(), name, labels=page)))
        assert (found["response"], found.get("hold")) == ("nothing", None)
        assert found["decision_id"].startswith("dec-")
    assert submits(trainer) == (201, [])


@pytest.mark.parametrize(
    ("labels", "code"),
    [
        ({"segment": None}, "alert_segment_known"),
        ({"segment": "nowhere"}, "alert_segment_known"),
        ({"segment": "*"}, "alert_segment_known"),
        ({"severity": "info"}, "alert_severity_expected"),
    ],
)
def test_an_alert_that_policy_does_not_expect_so_holds_nothing(
    own: ControlPlane, trainer: Caller, clock: EarlyClock, labels: dict[str, Any], code: str
) -> None:
    found = answer(told(own, alert(clock(), labels=labels)))
    assert (found["response"], [reason["code"] for reason in found["reasons"]]) == ("denied", [code])
    assert submits(trainer) == (201, [])


def test_each_alert_of_a_delivery_is_decided_by_itself(own: ControlPlane, trainer: Caller, clock: EarlyClock) -> None:
    now = clock()
    old = alert(now, fingerprint="5" * 16, startsAt=moment(now - 3700.0))
    late = alert(now, fingerprint="6" * 16, startsAt=moment(now - 1000.0))
    found = told(own, old, late, alert(now, fingerprint="7" * 16)).expect(200)["alerts"]
    assert [one["response"] for one in found] == ["late", "denied", "hold"]
    assert [one["fingerprint"][0] for one in found] == ["5", "6", "7"]
    assert submits(trainer) == (403, ["action_not_held"])


def decided(own: ControlPlane) -> float:
    return sum(own.metric("ztfm_decisions_total", action="alert", outcome=outcome) for outcome in ("allow", "deny"))


@pytest.mark.parametrize("seconds", [-3700.0, -86_400.0, 90.0])
def test_what_is_of_another_time_is_refused_and_nothing_is_written(
    own: ControlPlane, trainer: Caller, clock: EarlyClock, seconds: float
) -> None:
    now, before = clock(), decided(own)
    reply = told(own, alert(now, startsAt=moment(now + seconds), fingerprint="8" * 16))
    assert (reply.status, reply.kind) == (422, "alerts-untimely")
    ended = told(own, alert(now - 86_500.0, status="resolved", endsAt=moment(now - 86_400.0)))
    assert (ended.status, ended.kind) == (422, "alerts-untimely")
    assert decided(own) == before
    assert submits(trainer) == (201, [])


def test_an_old_alert_that_had_something_held_may_be_told_of_again(own: ControlPlane, clock: EarlyClock) -> None:
    fires = alert(clock(), fingerprint="9" * 16)
    held = answer(told(own, fires))["hold"]
    clock.ahead += 4000.0
    before = decided(own)
    found = answer(told(own, fires))
    assert (found["response"], found["hold"]["id"], found.get("decision_id")) == ("late", held["id"], None)
    assert decided(own) == before


def test_nobody_but_the_holder_of_the_token_tells_of_alerts(
    own: ControlPlane, boss: Caller, trainer: Caller, clock: EarlyClock
) -> None:
    before, now = decided(own), clock()
    for token in ("", "x", own.services.access.metrics_token, own.services.access.alerts_token + "x"):
        reply = told(own, alert(now), token=token)
        assert (reply.status, reply.kind, reply.headers["WWW-Authenticate"]) == (401, "unauthenticated", "Bearer")
    assert boss.post(PATH, delivery(alert(now))).status == 401
    assert own.call("POST", PATH, delivery(alert(now))).status == 401
    assert decided(own) == before
    assert submits(trainer) == (201, [])


def test_the_token_opens_nothing_else(own: ControlPlane) -> None:
    shown = {"Authorization": f"Bearer {own.services.access.alerts_token}"}
    for path in ("/metrics", "/v1/holds", "/v1/decisions", "/v1/behaviour"):
        assert own.call("GET", path, headers=shown).status == 401
    assert own.call("DELETE", f"/v1/holds/{hold_id(FINGERPRINT, 1.0)}?reason=x", headers=shown).status == 401


def test_the_token_is_the_owners_alone(own: ControlPlane) -> None:
    path = own.state / "alerts-token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().strip() == own.services.access.alerts_token != own.services.access.metrics_token


WRONG: dict[str, Any] = {
    "version": "3",
    "receiver": "",
    "status": "unheard-of",
    "groupKey": None,
    "alerts": [],
}
WRONG_ALERT: dict[str, Any] = {
    "status": "suppressed",
    "labels": {"severity": "ticket"},
    "startsAt": "yesterday",
    "endsAt": "2026-13-01T00:00:00Z",
    "fingerprint": "homes",
    "annotations": {"summary": 4},
    "generatorURL": "x" * 5000,
}


@pytest.mark.parametrize("name", [*WRONG, *(f"alert {name}" for name in WRONG_ALERT)])
def test_what_does_not_fit_is_refused_by_name_and_nothing_is_written(
    own: ControlPlane, trainer: Caller, clock: EarlyClock, name: str
) -> None:
    before, (kind, _, field) = decided(own), name.rpartition(" ")
    fires = alert(clock(), **({field: WRONG_ALERT[field]} if kind else {}))
    if kind and field == "labels":
        fires["labels"] = WRONG_ALERT["labels"]
    changes = {} if kind else {field: WRONG[field]}
    reply = told(own, fires, alert(clock()), **changes)
    assert (reply.status, reply.kind) == (400, "invalid-request")
    assert field in str(reply.json["errors"][0]) or field == "labels"
    assert decided(own) == before
    assert submits(trainer) == (201, [])


def test_what_is_left_out_is_missed(own: ControlPlane, clock: EarlyClock) -> None:
    whole = alert(clock())
    for name in ("status", "labels", "startsAt", "endsAt", "fingerprint"):
        assert told(own, {key: value for key, value in whole.items() if key != name}).status == 400
    for name in ("version", "receiver", "status", "groupKey", "alerts"):
        told_of = {key: value for key, value in delivery(whole).items() if key != name}
        shown = {"Authorization": f"Bearer {own.services.access.alerts_token}"}
        assert own.call("POST", PATH, told_of, headers=shown).status == 400


def test_a_delivery_is_bounded(own: ControlPlane, clock: EarlyClock) -> None:
    now = clock()
    many = [alert(now, "Watchdog", fingerprint=f"{number:016x}", annotations={}) for number in range(65)]
    assert told(own, *many[:64]).status == 200
    assert told(own, *many).status == 400
    assert told(own, alert(now, labels={"note": "x" * 513})).status == 400
    assert told(own, alert(now, labels={f"l{number}": "x" for number in range(64)})).status == 400
    assert told(own, alert(now, annotations={"text": "x" * 140_000})).status == 413
    assert told(own, alert(now), groupLabels={"x": "y" * 140_000}).status == 413


def test_what_alertmanager_adds_later_is_passed_over(own: ControlPlane, clock: EarlyClock) -> None:
    assert answer(told(own, alert(clock(), "Watchdog", silenceURL="http://x"), reason="new"))["response"] == "nothing"


def test_what_is_held_outlives_a_restart(tmp_path: Path) -> None:
    with running(state=tmp_path) as plane:
        told(plane, alert(time.time())).expect(200)
        token = plane.services.access.alerts_token
    with running(state=tmp_path) as plane:
        assert plane.services.access.alerts_token == token
        assert plane.services.interventions.held.of("homes", "gradient_submission")["current"]
        device, boss = plane.enrol("trainer"), plane.enrol("administrator")
        denied = device.capability("gradient_submission", round_id="none").expect(403)
        assert "action_not_held" in [reason["code"] for reason in denied["reasons"]]
        assert len(boss.get("/v1/holds").expect(200)["holds"]) == 1


def test_two_control_planes_on_one_store_hold_the_same(tmp_path: Path) -> None:
    database = f"sqlite+aiosqlite:///{tmp_path / 'shared.db'}"
    names = {"sealing_key_file": "sealing.key", "policy_key_file": "policy.key", "organisation_key_file": "org.key"}
    folders = {setting: tmp_path / name for setting, name in names.items()}
    with (
        running(database_url=database, **folders) as one,
        running(database_url=database, **folders) as other,
    ):
        held = answer(told(one, alert(time.time())))["hold"]
        wait_until(
            lambda: held["id"] in other.services.interventions.held.of("homes", "gradient_submission")["current"], 5.0
        )
        assert answer(told(other, alert(held["alert_started_at"] + 30.0)))["hold"] == held
        boss = other.enrol("administrator")
        other.call("DELETE", f"/v1/holds/{held['id']}?reason=over", key=boss.key).expect(200)
        wait_until(lambda: not one.services.interventions.held.of("homes", "gradient_submission")["current"], 5.0)


def test_a_retry_is_worth_it_after_a_fault_alone() -> None:
    """Alertmanager sends again after 5xx and never after 4xx."""
    assert set(ROUTES[0].problems) == {400, 401, 408, 413, 415, 422, 429, 503}
