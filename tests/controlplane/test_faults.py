"""What breaks denies, says so, and heals without a hand."""

import os
import signal
import sqlite3
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from controlplane.jose.keys import DeviceKey
from controlplane.sidecar import Sidecar
from tests.pausing import pause, resume
from tests.support import DIGEST, MODEL, Caller, ControlPlane, Reply, running, wait_until

SIZE = {"prompt_tokens": 1, "max_output_tokens": 1}


@pytest.fixture
def own() -> Iterator[ControlPlane]:
    with running(opa_deadline_seconds=0.4) as found:
        yield found


def ask(device: Caller) -> Reply:
    return device.capability("inference", inference=SIZE)


@contextmanager
def stream(device: Caller, threads: int = 4) -> Iterator[list[Reply]]:
    """Ask without pause from several threads; the replies so far are in the list."""
    replies: list[Reply] = []
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            replies.append(ask(device))

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield replies
    finally:
        stop.set()
        for worker in workers:
            worker.join(20)


def is_ready(plane: ControlPlane) -> bool:
    return plane.call("GET", "/readyz").status == 200


def recorded(plane: ControlPlane) -> int:
    with sqlite3.connect(plane.state / "ztfm.db") as database:
        return int(database.execute("SELECT count(*) FROM decisions").fetchone()[0])


def kill_and_recover(plane: ControlPlane, replies: list[Reply], kills: int) -> None:
    """Kill OPA under a stream of requests and see it denied, shown, counted and healed."""
    wait_until(lambda: bool(replies) and replies[-1].status == 201, what="capabilities")
    before, pid = len(replies), plane.sidecar.pid
    os.kill(pid or 0, signal.SIGKILL)
    wait_until(lambda: not is_ready(plane), what="a red /readyz")
    wait_until(lambda: is_ready(plane), what="recovery")
    wait_until(lambda: plane.metric("ztfm_sidecar_restarts_total") == kills, what="the restart to be counted")
    wait_until(lambda: 503 in [reply.status for reply in replies[before:]], what="a 503")
    wait_until(lambda: replies[-1].status == 201, what="capabilities again")
    assert plane.sidecar.pid != pid


def test_an_opa_that_is_killed_again_and_again_denies_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    # It comes back so soon that nobody who looks four times a second need see that it was away.
    monkeypatch.setattr("controlplane.wiring.engine.Sidecar", partial(Sidecar, first_backoff=1.0))
    with running(opa_deadline_seconds=0.4) as own:
        device = own.enrol("consumer")
        with stream(device) as replies:
            for kills in (1, 2):
                kill_and_recover(own, replies, kills)
        assert {reply.status for reply in replies} == {201, 503}
        refused = next(reply for reply in replies if reply.status == 503)
        assert refused.kind == "unavailable"
        assert refused.headers["Retry-After"] == "1"
        assert own.metric("ztfm_decisions_total", action="inference", outcome="error") > 0
        record = device.get(f"/v1/decisions/{refused.json['decision_id']}").expect(200)
        assert record["outcome"] == "error"


def test_an_opa_that_hangs_costs_a_deadline_and_then_nothing(own: ControlPlane) -> None:
    device, gateway = own.enrol("consumer"), own.enrol("gateway")
    assert ask(device).status == 201
    stopped = pause(own.sidecar.pid)
    started = time.monotonic()
    assert ask(device).kind == "unavailable"
    assert time.monotonic() - started < 1.5
    evaluation = {
        "subject": {"type": "device", "id": device.id},
        "action": {"name": "inference"},
        "resource": {"type": "model", "id": MODEL},
    }
    assert gateway.post("/access/v1/evaluation", evaluation).kind == "unavailable"
    wait_until(lambda: ask(device).status == 503 and own.metric("ztfm_opa_circuit_open") == 1, what="an open circuit")
    wait_until(lambda: "suspended" in ask(device).json["detail"], what="a refusal at once")
    assert not is_ready(own)
    assert own.call("GET", "/livez").status == 200
    resume(stopped)
    wait_until(lambda: ask(device).status == 201, what="capabilities again")
    wait_until(lambda: is_ready(own))
    wait_until(lambda: own.metric("ztfm_opa_circuit_open") == 0)
    assert own.metric("ztfm_opa_requests_total", result="timeout") > 0


def test_an_opa_that_hangs_for_good_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controlplane.readiness.HUNG_SECONDS", 0.5)
    monkeypatch.setattr("controlplane.readiness.PROBE_TIMEOUT_SECONDS", 0.2)
    with running(opa_deadline_seconds=0.3) as plane:
        device, pid = plane.enrol("consumer"), plane.sidecar.pid
        pause(pid)
        wait_until(lambda: plane.metric("ztfm_ready") == 0, what="a red gauge without anybody asking /readyz")
        wait_until(lambda: plane.sidecar.pid not in (pid, None), what="another OPA")
        wait_until(lambda: ask(device).status == 201, what="capabilities again")
        wait_until(lambda: plane.metric("ztfm_ready") == 1)


def test_updates_that_arrive_while_opa_is_away_are_not_used_up(own: ControlPlane) -> None:
    device, aggregator = own.enrol("trainer"), own.enrol("aggregator")
    aggregator.open_round("round-1", [device])
    token = device.capability("gradient_submission", round_id="round-1").expect(201)["access_token"]
    report = {"updates": [own.report(device, token)]}
    stopped = pause(own.sidecar.pid)
    assert aggregator.post("/v1/rounds/round-1/updates", report).kind == "unavailable"
    resume(stopped)
    wait_until(lambda: is_ready(own))
    wait_until(lambda: aggregator.post("/v1/rounds/round-1/updates", report).status == 200)
    contributed = own.run(own.store.contributions.of_round("round-1"))
    assert [one.subject for one in contributed] == [device.id]


def test_a_sealing_key_that_is_lost_or_replaced_is_not_ready_until_it_is_back(own: ControlPlane) -> None:
    path = own.state / "sealing.key"
    kept = path.read_bytes()
    for broken in (None, urlsafe_b64encode(bytes(32))):
        path.unlink()
        if broken is not None:
            path.touch(mode=0o600)
            path.write_bytes(broken)
        wait_until(lambda: not is_ready(own))
        assert own.call("GET", "/readyz").json["checks"]["signing_key"].startswith("the sealing key's file")
        path.touch(mode=0o600)
        path.write_bytes(kept)
        wait_until(lambda: is_ready(own))


def test_a_bad_bundle_leaves_the_last_good_revision_deciding(own: ControlPlane) -> None:
    device = own.enrol("consumer")
    first = ask(device).expect(201)["policy_revision"]
    own.loop.call_soon_threadsafe(own.sidecar.offer, "base", b"no bundle at all")
    time.sleep(2.5)
    assert ask(device).expect(201)["policy_revision"] == first
    os.kill(own.sidecar.pid or 0, signal.SIGKILL)
    wait_until(lambda: ask(device).status == 201, what="a restart with the last good bundle")
    assert ask(device).expect(201)["policy_revision"] == first


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlPlane]:
    """A control plane that waits half a second for its store, not five."""
    monkeypatch.setattr("controlplane.storage.addresses.WAIT_SECONDS", 0.5)
    with running() as found:
        yield found


def attempts(plane: ControlPlane) -> dict[str, Callable[[], Reply]]:
    """Every kind of request that writes, each well-formed and permitted."""
    consumer, trainer, aggregator = plane.enrol("consumer"), plane.enrol("trainer"), plane.enrol("aggregator")
    aggregator.open_round("round-1", [trainer])
    token = trainer.capability("gradient_submission", round_id="round-1").expect(201)["access_token"]
    enrolment = {"token": plane.token(["trainer"], "homes"), "roles": ["trainer"], "segment": "homes"}
    newcomer = DeviceKey.generate()
    opened: dict[str, Any] = {
        "id": "round-2",
        "model": MODEL,
        "model_digest": DIGEST,
        "members": [trainer.id],
        "duration_seconds": 60.0,
    }
    return {
        "capability": lambda: ask(consumer),
        "enrolment": lambda: plane.call("POST", "/v1/devices", enrolment, key=newcomer),
        "round": lambda: aggregator.post("/v1/rounds", opened),
        "updates": lambda: aggregator.post("/v1/rounds/round-1/updates", {"updates": [plane.report(trainer, token)]}),
    }


def state_of(plane: ControlPlane) -> dict[str, Any]:
    """Everything that the store holds, less recorded decisions."""
    with sqlite3.connect(plane.state / "ztfm.db") as database:
        tables = ("devices", "enrolment_tokens", "rounds", "submissions", "capability_uses")
        return {table: sorted(database.execute(f"SELECT * FROM {table}").fetchall()) for table in tables}


def test_a_locked_store_grants_nothing_and_leaves_nothing_half_written(hasty: ControlPlane) -> None:
    work = attempts(hasty)
    before = state_of(hasty)
    locked = sqlite3.connect(hasty.state / "ztfm.db", isolation_level=None)
    locked.execute("BEGIN IMMEDIATE")
    try:
        for name, attempt in work.items():
            assert attempt().kind == "unavailable", name
    finally:
        locked.execute("ROLLBACK")
        locked.close()
    assert state_of(hasty) == before
    assert [attempt().status for attempt in work.values()] == [201, 201, 201, 200]


def test_a_decision_that_cannot_be_recorded_is_not_given_out(hasty: ControlPlane) -> None:
    work = attempts(hasty)
    before, count = state_of(hasty), recorded(hasty)
    with sqlite3.connect(hasty.state / "ztfm.db") as database:
        database.execute("CREATE TRIGGER refuse BEFORE INSERT ON decisions BEGIN SELECT raise(ABORT, 'full'); END")
    for name, attempt in work.items():
        reply = attempt()
        assert reply.kind == "unavailable", name
        assert b"access_token" not in reply.body
    assert hasty.metric("ztfm_audit_records_total", result="failed") >= len(work)
    with sqlite3.connect(hasty.state / "ztfm.db") as database:
        database.execute("DROP TRIGGER refuse")
    assert state_of(hasty) == before
    assert recorded(hasty) == count
    assert [attempt().status for attempt in work.values()] == [201, 201, 201, 200]


def test_a_store_whose_tables_are_gone_is_503_and_red(hasty: ControlPlane) -> None:
    device = hasty.enrol("consumer")
    with sqlite3.connect(hasty.state / "ztfm.db") as database:
        database.execute("ALTER TABLE devices RENAME TO devices_away")
        database.execute("ALTER TABLE decisions RENAME TO decisions_away")
    time.sleep(1.1)
    assert ask(device).kind == "unavailable"
    with sqlite3.connect(hasty.state / "ztfm.db") as database:
        database.execute("ALTER TABLE devices_away RENAME TO devices")
        database.execute("ALTER TABLE decisions_away RENAME TO decisions")
    wait_until(lambda: ask(device).status == 201)


def test_a_store_that_was_removed_is_never_written_into_the_void(hasty: ControlPlane) -> None:
    device = hasty.enrol("consumer")
    assert ask(device).status == 201
    file = hasty.state / "ztfm.db"
    file.rename(hasty.state / "away.db")
    assert ask(device).kind == "unavailable"
    wait_until(lambda: not is_ready(hasty), what="a red /readyz")
    file.write_bytes(b"")
    assert ask(device).kind == "unavailable"
    file.unlink()
    (hasty.state / "away.db").rename(file)
    wait_until(lambda: ask(device).status == 201, what="recovery")
    wait_until(lambda: is_ready(hasty))
