"""Two replicas behind a load balancer count as one; while one is away the other serves, and nothing more passes."""

import json
import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.controlplane.api.oauth_client import OAuthClient
from tests.controlplane.api.test_events import following
from tests.controlplane.cli.processes import ZTFM
from tests.controlplane.replicas.cluster import Cluster
from tests.support import MODEL, Caller, wait_until

SMALL = {"prompt_tokens": 1, "max_output_tokens": 1}
LARGE = {"prompt_tokens": 4096, "max_output_tokens": 256}
ASKED = {
    "action": "inference",
    "resource": {"type": "model", "id": MODEL},
    "audience": "aggregator-1",
    "context": {"inference": SMALL},
}
BUDGET = 200_000
"""Tokens of a consumer in a minute, by policy."""

PAUSE_SECONDS = 0.02

WITHIN_SECONDS = 1.0
"""After which one replica knows what happened at another."""


@dataclass
class Load:
    """What was answered while there was load.

    Attributes:
        answers: status and body, in order; status 0 for a connection that was cut.
    """

    answers: list[tuple[int, Any]] = field(default_factory=list)

    def granted(self) -> list[str]:
        """Return the decisions of what was granted."""
        return [body["decision_id"] for status, body in list(self.answers) if status == 201]

    def more(self, count: int) -> None:
        """Wait until so many more were granted."""
        before = len(self.granted())
        wait_until(lambda: len(self.granted()) >= before + count, what=f"{count} more to be served")


@contextmanager
def load(devices: list[Caller]) -> Iterator[Load]:
    """Have each device ask again and again over the load balancer."""
    found, stop = Load(), threading.Event()

    def work(device: Caller) -> None:
        while not stop.is_set():
            try:
                reply = device.capability("inference", inference=SMALL)
            except OSError:
                found.answers.append((0, None))
            else:
                found.answers.append((reply.status, reply.json if reply.status == 201 else None))
            # As fast as can be would leave the others of this machine nothing.
            stop.wait(PAUSE_SECONDS)

    threads = [threading.Thread(target=work, args=(device,)) for device in devices]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        stop.set()
        for thread in threads:
            thread.join(40)


@pytest.fixture(scope="module")
def devices(both: Cluster) -> list[Caller]:
    return [both.enrol("consumer") for _ in range(4)]


@pytest.fixture(scope="module")
def gateway(both: Cluster) -> Caller:
    return both.enrol("gateway")


def ask(both: Cluster, number: int, body: Any, proof: str, timeout: float = 30.0) -> int:
    """Show a replica a proof, and return the status."""
    plane = both.replicas[number].plane
    return plane.call("POST", "/v1/capabilities", body, proof=proof, timeout=timeout).status


def at_once(work: Callable[[int], Any], count: int) -> list[Any]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


def soon(claim: Callable[[], bool]) -> float:
    """Return after how many seconds a claim holds."""
    began = time.monotonic()
    wait_until(claim)
    return time.monotonic() - began


def recorded(both: Cluster, decisions: list[str]) -> Counter[str]:
    """Return how often each decision is on record as allowed."""
    query = "SELECT id FROM decisions WHERE outcome = 'allow' AND id = ANY($1)"
    return Counter(row["id"] for row in both.rows(query, decisions))


def test_a_proof_passes_once_whichever_replica_is_shown_it(both: Cluster, devices: list[Caller]) -> None:
    for number in range(25):
        device = devices[number % len(devices)]
        proof = both.balanced.proof(device.key, "POST", "/v1/capabilities")
        found = at_once(lambda place, shown=proof: ask(both, place % 2, ASKED, shown), 4)  # type: ignore[misc]
        assert found.count(201) == 1, found
        # Who insists on a proof that was used is soon told to wait.
        assert set(found) <= {201, 401, 429}


def test_a_nonce_of_one_replica_is_taken_by_the_other(both: Cluster, devices: list[Caller]) -> None:
    first, second = (OAuthClient(both.at(devices[0], number)) for number in (0, 1))
    assert first.send("/oauth/token", first.credentials_form()).json["error"] == "use_dpop_nonce"
    second.nonce = first.nonce
    assert second.send("/oauth/token", second.credentials_form()).status == 200


def test_a_budget_is_one_budget_to_the_last_token(both: Cluster) -> None:
    # Within one window: in the next, a part of what was used in this one would count.
    wait_until(lambda: time.time() % 60.0 < 45.0, what="a new minute")
    device = both.enrol("consumer")
    most = BUDGET // sum(LARGE.values())

    def ask(number: int) -> int:
        return both.at(device, number % 2).capability("inference", inference=LARGE).status

    found = at_once(ask, 12) + at_once(ask, 24)
    # What one replica holds back of it for requests of its own, the other has within a second.
    wait_until(lambda: found.append(ask(len(found))) or found.count(201) >= most, 20.0, "all of it to be given")
    found += at_once(ask, 12)
    assert found.count(201) == most
    assert set(found) == {201, 403}


def test_strangers_have_one_allowance_at_both(both: Cluster) -> None:
    began = time.monotonic()

    def ask(number: int) -> int:
        replica = both.replicas[number % 2].plane
        return [replica.call("POST", "/v1/capabilities", {}).status for _ in range(60)].count(401)

    admitted = sum(at_once(ask, 6))
    assert admitted <= 100 + 20 * (time.monotonic() - began)
    assert admitted >= 20


def test_an_update_counts_once_at_whichever_replicas_it_is_reported(both: Cluster) -> None:
    aggregator, trainer = both.enrol("aggregator"), both.enrol("trainer")
    aggregator.open_round("r-replicas", [trainer])
    submitted = trainer.capability("gradient_submission", round_id="r-replicas").expect(201)["access_token"]
    report = {"updates": [both.balanced.report(trainer, submitted)]}

    def tell(number: int) -> bool:
        found = both.at(aggregator, number % 2).post("/v1/rounds/r-replicas/updates", report).expect(200)
        return bool(found["verdicts"][0]["decision"])

    assert at_once(tell, 6).count(True) == 1


def test_what_one_replica_makes_void_the_other_knows_within_a_second(
    both: Cluster, devices: list[Caller], gateway: Caller
) -> None:
    took, other = [], both.at(gateway, 1)
    for _ in range(3):
        capability = granted(both.at(devices[0], 0))
        assert is_active(other, capability)
        assert OAuthClient(both.at(devices[0], 0)).send("/oauth/revoke", {"token": capability}).status == 200
        took.append(soon(lambda shown=capability: not is_active(other, shown)))  # type: ignore[misc]
    assert min(took) < WITHIN_SECONDS


def test_events_go_on_at_another_replica_where_they_were(both: Cluster, devices: list[Caller], gateway: Caller) -> None:
    def revoke(number: int) -> None:
        device = both.at(devices[1], number)
        assert OAuthClient(device).send("/oauth/revoke", {"token": granted(device)}).status == 200

    with following(both.at(gateway, 0)) as (_, events):
        # What happened lately comes first.
        assert next(event for event in events if event.name == "keepalive")
        revoke(1)
        first = next(event for event in events if event.name == "security-event")
    revoke(0)
    revoke(1)
    with following(both.at(gateway, 1), **{"Last-Event-ID": first.id}) as (_, events):
        heard = [int(next(event for event in events if event.name == "security-event").id) for _ in range(2)]
    kept = both.rows("SELECT sequence FROM security_events WHERE sequence > $1 ORDER BY sequence", int(first.id))
    assert heard == [row["sequence"] for row in kept]


def test_a_key_that_one_replica_publishes_the_other_verifies_before_it_signs(
    both: Cluster, devices: list[Caller], gateway: Caller
) -> None:
    keeper = both.enrol("administrator")
    made = both.at(keeper, 0).post("/v1/keys").expect(202)
    assert soon(lambda: made["kid"] in published(both, 1)) < 5 * WITHIN_SECONDS
    keys = both.at(keeper, 1).get("/v1/keys").expect(200)["keys"]
    signing = next(one["kid"] for one in keys if one["state"] == "signing")
    before = granted(both.at(devices[0], 1))
    both.at(keeper, 0).post(f"/v1/keys/{signing}/withdraw", {"reason": "It was seen."}).expect(200)
    after = granted(both.at(devices[0], 0))
    other = both.at(gateway, 1)
    assert soon(lambda: is_active(other, after)) < 5 * WITHIN_SECONDS
    assert soon(lambda: not is_active(other, before)) < 5 * WITHIN_SECONDS
    assert is_active(other, granted(both.at(devices[0], 1)))


def granted(device: Caller) -> str:
    return str(device.capability("inference", inference=SMALL).expect(201)["access_token"])


def is_active(gateway: Caller, token: str) -> bool:
    return bool(OAuthClient(gateway).send("/oauth/introspect", {"token": token}).expect(200)["active"])


def published(both: Cluster, number: int) -> set[str]:
    keys = both.replicas[number].plane.call("GET", "/.well-known/jwks.json").expect(200)["keys"]
    return {key["kid"] for key in keys}


def test_while_a_replica_is_killed_and_comes_back_the_other_serves(both: Cluster, devices: list[Caller]) -> None:
    first = both.replicas[0]
    with load(devices) as found:
        found.more(40)
        first.kill()
        found.more(40)
        first.start()
        wait_until(first.is_ready, what="the replica to be back")
        found.more(40)
    # 503 is what the load balancer says of requests that the killed one had.
    assert {status for status, _ in found.answers} <= {0, 201, 502, 503, 504}
    decisions = found.granted()
    assert recorded(both, decisions) == Counter(dict.fromkeys(decisions, 1))


def test_a_replica_without_the_database_lets_nothing_pass_and_the_other_serves(
    both: Cluster, devices: list[Caller]
) -> None:
    cut = both.replicas[1]
    proof = both.balanced.proof(devices[0].key, "POST", "/v1/capabilities")
    assert ask(both, 0, ASKED, proof) == 201
    with load(devices) as found:
        found.more(20)
        both.cut.stop()
        try:
            # It takes three seconds until nobody waits any more for a lock that the one without a network had.
            found.more(40)
            shown = [proof, *(both.balanced.proof(devices[0].key, "POST", "/v1/capabilities") for _ in range(3))]
            said = at_once(lambda number: ask(both, 1, ASKED, shown[number], timeout=25.0), 4)
            assert set(said) <= {401, 429, 503}, "the one that was used, and three that were not"
            assert not cut.is_ready()
            found.more(20)
        finally:
            both.cut.flow()
        wait_until(cut.is_ready, what="the replica to be back")
        granted(both.at(devices[0], 1))
    decisions = found.granted()
    assert recorded(both, decisions) == Counter(dict.fromkeys(decisions, 1))
    assert [ask(both, number, ASKED, proof) for number in (0, 1)] == [401, 401]


def test_at_the_end_the_log_is_whole(both: Cluster) -> None:
    kept = both.rows("SELECT count(*) FROM decisions")[0][0]
    checked, known = at_once(lambda number: ztfm(both, *(("audit", "check"), ("identity", "founders"))[number]), 2)
    assert checked["entries"] >= kept > 100
    founders = both.folder / "founders.json"
    founders.write_text(json.dumps(known))
    ztfm(both, "identity", "check", both.balanced.listens, "--founders", str(founders))


def ztfm(both: Cluster, *words: str) -> Any:
    """Run a command beside the first replica; it must succeed."""
    first = both.replicas[0]
    there = [] if words[:2] == ("identity", "check") else ["--state-dir", str(first.state)]
    done = subprocess.run(
        [*ZTFM, *words, *there, "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **first.environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)
