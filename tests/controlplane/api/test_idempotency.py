"""A request that is sent again under its key is answered again and done once, for its own caller, while that holds."""

import asyncio
import itertools
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from controlplane.api import idempotency
from controlplane.api.rates import MachineRate, RateLimit
from controlplane.jose.keys import DeviceKey
from controlplane.storage import StoreUnavailable
from tests.clocks import EarlyClock
from tests.controlplane.api.oauth_client import OAuthClient
from tests.controlplane.behaving import observed
from tests.servers.postgres import PostgresMissing, running_server
from tests.support import DIGEST, MODEL, Caller, ControlPlane, Reply, running, wait_until

ASKED = {
    "action": "inference",
    "resource": {"type": "model", "id": MODEL},
    "audience": "gateway-1",
    "context": {"inference": {"prompt_tokens": 1, "max_output_tokens": 8}},
}
_keys = itertools.count(1)


@pytest.fixture(scope="module")
def clock() -> EarlyClock:
    return EarlyClock()


@pytest.fixture(scope="module")
def world(clock: EarlyClock) -> Iterator[ControlPlane]:
    """A control plane whose clock can be put forward."""
    with running(clock=clock) as found:
        yield found


@pytest.fixture
def key() -> str:
    return f"key-{next(_keys)}"


def ask(caller: Caller, key: str, document: Any = None, path: str = "/v1/capabilities") -> Reply:
    return caller.post(path, ASKED if document is None else document, headers={"Idempotency-Key": key})


def decided(plane: ControlPlane) -> float:
    return plane.metric("ztfm_decisions_total", action="inference", outcome="allow")


def test_the_same_request_gets_the_same_capability_and_is_decided_once(plane: ControlPlane, key: str) -> None:
    consumer = plane.enrol("consumer")
    before = decided(plane)
    first, again = ask(consumer, key), ask(consumer, key)
    assert first.expect(201)["access_token"] == again.expect(201)["access_token"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["Cache-Control"] == "no-store"
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert "Idempotency-Replayed" not in first.headers
    assert decided(plane) == before + 1
    assert plane.metric("ztfm_idempotent_requests_total", outcome="replayed") >= 1


def test_what_is_left_of_a_capability_is_said_and_one_that_expired_is_not_given_again(
    world: ControlPlane, clock: EarlyClock, key: str
) -> None:
    consumer = world.enrol("consumer")
    lifetime = ask(consumer, key).expect(201)["expires_in"]
    clock.ahead += 10.0
    assert lifetime - 12.0 < ask(consumer, key).expect(201)["expires_in"] <= lifetime - 10.0
    clock.ahead += lifetime
    gone = ask(consumer, key)
    assert (gone.status, gone.kind) == (409, "idempotency-answer-gone")
    clock.ahead += 600.0
    assert ask(consumer, key).expect(201)["expires_in"] == lifetime


def test_a_capability_whose_key_was_withdrawn_or_whose_holder_was_set_apart_is_not_given_again(
    plane: ControlPlane, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer = plane.enrol("consumer")
    ask(consumer, key).expect(201)
    plane.run(plane.services.registry.record_behaviour([observed(consumer.id, becomes="quarantined")]))
    assert ask(consumer, key).kind == "idempotency-answer-gone"
    other = plane.enrol("consumer")
    ask(other, key).expect(201)
    keys = plane.services.capabilities.verifier._keys
    monkeypatch.setattr(plane.services.capabilities.verifier, "_keys", {})
    assert ask(other, key).kind == "idempotency-answer-gone"
    monkeypatch.setattr(plane.services.capabilities.verifier, "_keys", keys)
    assert ask(other, key).status == 201


def test_a_capability_that_was_revoked_is_not_given_again(plane: ControlPlane, key: str) -> None:
    consumer = plane.enrol("consumer")
    token = ask(consumer, key).expect(201)["access_token"]
    assert ask(consumer, key).status == 201
    assert OAuthClient(consumer).send("/oauth/revoke", {"token": token}).status == 200
    wait_until(lambda: ask(consumer, key).status == 409)
    assert ask(consumer, key).kind == "idempotency-answer-gone"


@pytest.mark.parametrize(
    "change",
    [
        {"audience": "gateway-2"},
        {"context": {"inference": {"prompt_tokens": 2, "max_output_tokens": 8}}},
        {"resource": {"type": "model", "id": "sentence-encoder"}},
    ],
)
def test_another_request_under_a_key_is_refused(plane: ControlPlane, key: str, change: dict[str, Any]) -> None:
    consumer = plane.enrol("consumer")
    ask(consumer, key).expect(201)
    other = ask(consumer, key, {**ASKED, **change})
    assert (other.status, other.kind) == (422, "idempotency-key-reused")
    assert ask(consumer, key, {}, "/v1/rounds").status in {400, 422}


def test_a_body_of_other_bytes_is_another_request(plane: ControlPlane, key: str) -> None:
    consumer = plane.enrol("consumer")
    header = {"Idempotency-Key": key}
    bodies = [b'{"action":"x"}', b'{"action": "x"}']
    assert [consumer.post("/v1/capabilities", body=body, headers=header).status for body in bodies] == [400, 400]
    ask(consumer, key).expect(201)


def test_nobody_can_look_for_anothers_key(plane: ControlPlane, key: str) -> None:
    one, other = plane.enrol("consumer"), plane.enrol("consumer")
    first = ask(one, key).expect(201)
    second = ask(other, key)
    assert second.expect(201)["access_token"] != first["access_token"]
    assert "Idempotency-Replayed" not in second.headers
    assert ask(plane.stranger(), key).status == 401


def test_a_refusal_is_not_kept_and_frees_the_key(plane: ControlPlane, key: str) -> None:
    trainer = plane.enrol("trainer")
    assert [ask(trainer, key).status for _ in range(2)] == [403, 403]
    document = {**ASKED, "action": "model_access", "context": {"purpose": "serving"}}
    assert ask(trainer, key, document).kind == "denied"


def test_a_replayed_proof_is_refused_whatever_its_key(plane: ControlPlane, key: str) -> None:
    consumer = plane.enrol("consumer")
    proof = plane.proof(consumer.key, "POST", "/v1/capabilities")
    sent = [
        plane.call("POST", "/v1/capabilities", ASKED, proof=proof, headers={"Idempotency-Key": key}) for _ in range(2)
    ]
    assert [reply.status for reply in sent] == [201, 401]


@pytest.mark.parametrize("bad", ["", " ", "a b", "x" * 129, "ä", "a\tb"])
def test_a_malformed_key_is_400_and_nothing_is_done(plane: ControlPlane, consumer: Caller, bad: str) -> None:
    before = decided(plane)
    proof = plane.proof(consumer.key, "POST", "/v1/capabilities")
    lines = [b"POST /v1/capabilities HTTP/1.1", b"Host: x", b"Content-Type: application/json", b"Connection: close"]
    lines += [b"DPoP: " + proof.encode(), b"Idempotency-Key: " + bad.encode("latin-1"), b"Content-Length: 2"]
    answer = plane.raw(b"\r\n".join(lines) + b"\r\n\r\n{}")
    assert answer.split(b" ", 2)[1] == b"400"
    assert decided(plane) == before


def test_two_keys_in_one_request_are_400(plane: ControlPlane, consumer: Caller) -> None:
    proof = plane.proof(consumer.key, "POST", "/v1/capabilities")
    body = b'{"action":"inference","resource":{"type":"model","id":"smart-home-intents"},"audience":"a"}'
    lines = [b"POST /v1/capabilities HTTP/1.1", b"Host: x", b"Content-Type: application/json", b"Connection: close"]
    lines += [b"DPoP: " + proof.encode(), b"Idempotency-Key: a", b"Idempotency-Key: b"]
    answer = plane.raw(b"\r\n".join([*lines, b"Content-Length: %d" % len(body)]) + b"\r\n\r\n" + body)
    assert b"400" in answer.split(b"\r\n", 1)[0]
    assert b"Idempotency-Key" in answer


def test_concurrent_twins_are_done_once(plane: ControlPlane, key: str) -> None:
    consumer = plane.enrol("consumer")
    before = decided(plane)
    with ThreadPoolExecutor(12) as pool:
        replies = list(pool.map(lambda _: ask(consumer, key), range(12)))
    assert decided(plane) == before + 1
    assert {reply.status for reply in replies} <= {201, 409}
    assert len({reply.json["access_token"] for reply in replies if reply.status == 201}) == 1


def test_a_twin_of_one_that_takes_long_is_told_to_wait(
    plane: ControlPlane, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer = plane.enrol("consumer")
    decide = plane.services.decider.decide

    async def slowly(*given: Any) -> Any:
        await asyncio.sleep(1.0)
        return await decide(*given)

    monkeypatch.setattr(idempotency, "WAIT_SECONDS", 0.2)
    monkeypatch.setattr(plane.services.decider, "decide", slowly)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, consumer, key)
        time.sleep(0.3)
        twin = ask(consumer, key)
        assert (twin.status, twin.kind, twin.headers["Retry-After"]) == (409, "idempotency-in-progress", "1")
        assert first.result().expect(201)["access_token"] == ask(consumer, key).expect(201)["access_token"]


def test_a_round_is_opened_once_and_updates_are_judged_once(
    plane: ControlPlane, aggregator: Caller, trainer: Caller, new_id: Callable[[], str], key: str
) -> None:
    name = f"idem-{new_id()}"
    opening = {"id": name, "model": MODEL, "model_digest": DIGEST, "members": [trainer.id], "duration_seconds": 60.0}
    opened = [ask(aggregator, key, opening, "/v1/rounds").expect(201) for _ in range(2)]
    assert opened[0] == opened[1]
    assert aggregator.post("/v1/rounds", opening).kind == "conflict"
    capability = trainer.capability("gradient_submission", round_id=name).expect(201)["access_token"]
    report = {"updates": [plane.report(trainer, capability)]}
    path = f"/v1/rounds/{name}/updates"
    verdicts = [ask(aggregator, f"{key}-updates", report, path).expect(200) for _ in range(2)]
    assert verdicts[0] == verdicts[1]
    assert verdicts[0]["verdicts"][0]["decision"] is True
    [verdict] = aggregator.post(path, report).expect(200)["verdicts"]
    assert "capability_unused" in {reason["code"] for reason in verdict["reasons"]}


def test_an_enrolment_whose_answer_was_lost_is_answered_again(plane: ControlPlane, key: str) -> None:
    device = DeviceKey.generate()
    document = {"token": plane.token(["trainer"], "homes"), "roles": ["trainer"], "segment": "homes"}
    sent = [plane.call("POST", "/v1/devices", document, key=device, headers={"Idempotency-Key": key}) for _ in range(2)]
    assert sent[0].expect(201) == sent[1].expect(201)
    thief = plane.call("POST", "/v1/devices", document, key=DeviceKey.generate(), headers={"Idempotency-Key": key})
    assert thief.kind == "denied"


def test_a_caller_has_so_many_keys_and_can_go_on_without(plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    consumer = plane.enrol("consumer")
    few = MachineRate(RateLimit(time.monotonic, rate=0.001, burst=2.0))
    monkeypatch.setattr(plane.services.repeats, "_rate", few)
    assert [ask(consumer, f"many-{number}").status for number in range(3)] == [201, 201, 429]
    assert consumer.post("/v1/capabilities", ASKED).status == 201


def test_what_is_kept_is_sealed_and_names_nobody(plane: ControlPlane, key: str) -> None:
    consumer = plane.enrol("consumer")
    token = ask(consumer, key).expect(201)["access_token"]
    files = b"".join(path.read_bytes() for path in plane.state.glob("ztfm.db*"))
    assert token.encode() not in files
    assert key.encode() + b"\x00" not in files


def test_an_answer_that_is_too_large_or_does_not_open_is_not_given_again(
    plane: ControlPlane, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer = plane.enrol("consumer")
    monkeypatch.setattr(idempotency, "MOST_BYTES", 10)
    ask(consumer, key).expect(201)
    assert ask(consumer, key).kind == "idempotency-answer-gone"
    monkeypatch.undo()
    monkeypatch.setattr(idempotency, "_context", lambda key: f"other:{key}")
    ask(consumer, f"{key}-x").expect(201)
    monkeypatch.undo()
    assert ask(consumer, f"{key}-x").kind == "idempotency-answer-gone"


def test_a_store_that_fails_afterwards_costs_the_repetition_and_not_the_answer(
    plane: ControlPlane, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer = plane.enrol("consumer")

    async def fail(*_given: Any) -> bool:
        raise StoreUnavailable("keep an answer", "here", "for a test")

    monkeypatch.setattr(plane.store.idempotency, "keep", fail)
    assert ask(consumer, key).status == 201
    monkeypatch.setattr(plane.store.idempotency, "release", fail)
    assert ask(plane.enrol("trainer"), key).status == 403


def test_no_room_is_503_and_said(plane: ControlPlane, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    consumer = plane.enrol("consumer")
    monkeypatch.setattr(plane.store.idempotency, "_most", 0)
    reply = ask(consumer, key)
    assert (reply.status, reply.kind) == (503, "unavailable")
    assert "Idempotency-Key" in reply.json["detail"]


def test_without_the_header_nothing_is_kept(plane: ControlPlane) -> None:
    consumer = plane.enrol("consumer")
    before = plane.metric("ztfm_idempotent_requests_total", outcome="first")
    first, second = (consumer.post("/v1/capabilities", ASKED).expect(201)["access_token"] for _ in range(2))
    assert first != second
    assert plane.metric("ztfm_idempotent_requests_total", outcome="first") == before


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database that two replicas can use."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}"
        return
    try:
        with running_server() as server:
            yield server.url("postgres")
    except PostgresMissing as missing:
        pytest.skip(str(missing))


def test_replicas_share_the_answers(shared: str, key: str) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ztfm-")))
        common = {"database_url": shared, "public_url": "http://plane.example"}
        one = stack.enter_context(running(state=folder / "one", **common))
        (folder / "two").mkdir(mode=0o700)
        for name in ("sealing.key", "policy-signing.key"):
            shutil.copy2(folder / "one" / name, folder / "two")
        two = stack.enter_context(running(state=folder / "two", **common))
        held = one.enrol("consumer")
        tries = [Caller(plane, held.key, held.id) for plane in (one, two)]
        with ThreadPoolExecutor(2) as pool:
            replies = list(pool.map(lambda caller: ask(caller, key), tries * 3))
        assert len({reply.expect(201)["access_token"] for reply in replies}) == 1
        assert decided(one) + decided(two) == 1
