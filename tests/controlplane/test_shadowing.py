"""A candidate in the shadow of a control plane that serves: what it would change is known, and nothing else changes."""

import asyncio
import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from controlplane.bundles import BundleSigner
from controlplane.contracts.policies import PolicyLayer, digest_of
from controlplane.contracts.shadow import Shadow, ShadowReport
from controlplane.history.shadow_engine import ShadowEngine
from controlplane.releases.building import UnsignedBundle, build
from controlplane.sidecar import OpaNotFound, locate_opa
from controlplane.storage import open_store
from controlplane.storage.releases import NewRelease
from tests.controlplane.cli.processes import opa_of
from tests.pausing import pause, resume
from tests.policies.support import POLICIES
from tests.support import Caller, ControlPlane, Reply, running, wait_until

SIZE = {"prompt_tokens": 1, "max_output_tokens": 1}
BATCH = "ztfm/batch/batch.rego"
REVISED = "package ztfm.batch\n\nrevision := data.system.bundles.ztfm.manifest.revision\n\n"
EACH = "decisions[id] := {} if {{\n\tsome questions in input\n\tsome id, _ in questions\n}}\n"
DENIAL = {
    "allow": False,
    "reasons": [{"code": "closed", "message": "Closed.", "remedy": "Wait."}],
    "obligations": {},
    "rules": ["closed"],
    "ttl_seconds": 0,
}


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    """Look ten times a second, where once would do for people."""
    with pytest.MonkeyPatch.context() as patch:
        for place in ("hosting", "shadowing"):
            patch.setattr(f"controlplane.{place}.EVERY_SECONDS", 0.1)
        yield


@pytest.fixture(scope="module")
def plane(_quick: None) -> Iterator[ControlPlane]:
    with running() as plane:
        yield plane


@pytest.fixture(scope="module")
def device(plane: ControlPlane) -> Caller:
    return plane.enrol("consumer")


@pytest.fixture(scope="module")
def live() -> UnsignedBundle:
    """The policies that decide, as a candidate."""
    return build(locate_opa(os.environ), POLICIES, wasm=False)


@pytest.fixture(autouse=True)
def _ended(plane: ControlPlane) -> Iterator[None]:
    yield
    stop(plane)


def stop(plane: ControlPlane) -> None:
    plane.run(plane.store.shadows.stop(time.time()))
    wait_until(lambda: not shadows_opa(plane) and not is_accompanied(plane), what="the candidate's end")


def shadows_opa(plane: ControlPlane) -> list[int]:
    return opa_of(plane.state / "shadow")


def signed(state: Path, files: Mapping[str, bytes], revision: str, layer: PolicyLayer = "base") -> bytes:
    return BundleSigner.load_or_create(state / "policy-signing.key").sign(files, layer, revision)


def put(plane: ControlPlane, made: UnsignedBundle, **changed: bytes) -> Shadow:
    """Put a candidate into the shadow as it is, past all checks."""
    body = signed(plane.state, {**made.files, **changed}, made.revision)
    shadow = Shadow(
        id=f"shadow-{os.urandom(8).hex()}",
        revision=made.revision,
        digest=digest_of(body),
        started_at=time.time(),
        started_by="dev-author",
    )
    plane.run(plane.store.shadows.start(shadow, body))
    return shadow


def with_batch(rules: str) -> dict[str, bytes]:
    return {BATCH: (REVISED + rules).encode()}


def stricter(made: UnsignedBundle) -> dict[str, bytes]:
    """More trust is asked for than a newcomer has."""
    data = json.loads(made.files["data.json"])
    data["data"]["limits"]["sensitivities"]["internal"]["trust_minimum"] = 0.65
    return {"data.json": json.dumps(data).encode()}


def ask(device: Caller) -> Reply:
    return device.capability("inference", inference=SIZE)


def is_accompanied(plane: ControlPlane) -> bool:
    return plane.services.decider._shadow is not None


def decides(plane: ControlPlane) -> None:
    wait_until(lambda: is_accompanied(plane), 30, "the candidate to decide")


def report(plane: ControlPlane) -> ShadowReport:
    found = plane.run(plane.store.shadows.report())
    assert found is not None
    return found


def counted(plane: ControlPlane, claim: Callable[[ShadowReport], bool], what: str = "") -> ShadowReport:
    wait_until(lambda: claim(report(plane)), 20, what or "counts")
    return report(plane)


def is_untouched(plane: ControlPlane, device: Caller, revision: str) -> None:
    reply = ask(device)
    assert reply.status == 201, reply.body
    ready = plane.call("GET", "/readyz").expect(200)
    assert (ready["ready"], ready["policy_revision"]) == (True, revision)


def live_revision(plane: ControlPlane) -> str:
    return str(plane.call("GET", "/readyz").expect(200)["policy_revision"])


def test_without_a_candidate_nothing_is_offered_and_nothing_runs(plane: ControlPlane, device: Caller) -> None:
    assert ask(device).status == 201
    assert not is_accompanied(plane)
    assert shadows_opa(plane) == []


def test_the_live_policy_agrees_with_itself(plane: ControlPlane, device: Caller, live: UnsignedBundle) -> None:
    put(plane, live)
    decides(plane)
    for _ in range(5):
        assert ask(device).status == 201
    plane.stranger().get("/v1/keys")
    found = counted(plane, lambda found: found.agreed >= 5)
    assert (found.disagreed, found.failed, found.dropped, found.groups) == (0, 0, 0, [])


def test_a_stricter_candidate_changes_nothing_and_is_known_by_its_reasons(
    plane: ControlPlane, device: Caller, live: UnsignedBundle
) -> None:
    before = {name: plane.metric("ztfm_shadow_changes_total", change=name) for name in ("newly_denied", "other_terms")}
    shadow = put(plane, live, **stricter(live))
    decides(plane)
    for _ in range(7):
        assert ask(device).status == 201
    found = counted(plane, lambda found: found.disagreed == 7)
    assert (found.shadow, found.failed) == (shadow, 0)
    (group,) = found.groups
    assert (group.change, group.action, group.reason, group.segment, group.count) == (
        "newly_denied",
        "inference",
        "trust_sufficient",
        "homes",
        7,
    )
    assert len(group.samples) == 5
    for sample in group.samples:
        record = plane.run(plane.store.decisions.record(sample))
        assert record is not None
        assert json.loads(record[1])["outcome"] == "allow"
    wait_until(
        lambda: plane.metric("ztfm_shadow_changes_total", change="newly_denied") == before["newly_denied"] + 7,
        what="the metric",
    )
    assert plane.metric("ztfm_shadow_changes_total", change="other_terms") == before["other_terms"]


def test_a_candidate_that_denies_everything_denies_nobody(
    plane: ControlPlane, device: Caller, live: UnsignedBundle
) -> None:
    revision = live_revision(plane)
    put(plane, live, **with_batch(EACH.format(json.dumps(DENIAL))))
    decides(plane)
    for _ in range(3):
        is_untouched(plane, device, revision)
    found = counted(plane, lambda found: found.changes["newly_denied"] >= 3)
    assert {group.reason for group in found.groups} == {"closed"}


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        (EACH.format('"yes"'), "policy_malformed"),
        (EACH.format('{"allow": true}'), "policy_malformed"),
        ("decisions := {}\n", "policy_undefined"),
        # Two values for one id: a conflict, with which OPA answers by an error.
        (EACH.format("1") + "\n" + EACH.format("2"), "policy_engine_error"),
    ],
)
def test_a_candidate_that_answers_rubbish_only_fails(
    plane: ControlPlane, device: Caller, live: UnsignedBundle, rules: str, reason: str
) -> None:
    revision = live_revision(plane)
    put(plane, live, **with_batch(rules))
    decides(plane)
    is_untouched(plane, device, revision)
    found = counted(plane, lambda found: found.failed >= 1)
    assert found.disagreed == 0
    assert {(group.change, group.reason) for group in found.groups} == {("failed", reason)}


@pytest.mark.parametrize("broken", [{BATCH: b"package ztfm.batch\n\nallow if {"}, {"data.json": b"{"}])
def test_a_candidate_that_does_not_load_is_seen_to_fail(
    plane: ControlPlane,
    device: Caller,
    live: UnsignedBundle,
    broken: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("controlplane.shadowing.START_SECONDS", 1.0)
    revision = live_revision(plane)
    if "data.json" in broken:
        # Nothing signs it: what lies in the store may be anything.
        put_raw(plane, b"no bundle", live.revision)
    else:
        put(plane, live, **broken)
    decides(plane)
    is_untouched(plane, device, revision)
    assert counted(plane, lambda found: found.failed >= 1).disagreed == 0


def test_a_host_without_an_opa_for_the_candidate_counts_every_decision_as_failed(
    plane: ControlPlane, device: Caller, live: UnsignedBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_environment: Mapping[str, str]) -> None:
        raise OpaNotFound("there is no opa")

    monkeypatch.setattr("controlplane.shadowing.START_SECONDS", 0.5)
    monkeypatch.setattr("controlplane.hosting.locate_opa", missing)
    revision = live_revision(plane)
    put(plane, live)
    decides(plane)
    is_untouched(plane, device, revision)
    found = counted(plane, lambda found: found.failed >= 1)
    assert {group.reason for group in found.groups} == {"policy_unreachable"}


def put_raw(plane: ControlPlane, body: bytes, revision: str) -> None:
    shadow = Shadow(
        id="shadow-raw", revision=revision, digest=digest_of(body), started_at=time.time(), started_by="nobody"
    )
    plane.run(plane.store.shadows.start(shadow, body))


def test_a_candidates_opa_that_is_killed_touches_nobody_and_comes_back(
    plane: ControlPlane, device: Caller, live: UnsignedBundle
) -> None:
    revision = live_revision(plane)
    put(plane, live)
    decides(plane)
    (pid,) = shadows_opa(plane)
    assert os.getpriority(os.PRIO_PROCESS, pid) == 19
    assert b"GOMAXPROCS=1" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    os.kill(pid, signal.SIGKILL)
    is_untouched(plane, device, revision)
    before = report(plane).agreed

    def is_back() -> bool:
        assert ask(device).status == 201
        return report(plane).agreed > before and shadows_opa(plane) != [pid]

    wait_until(is_back, 20, "the candidate to decide again")
    assert report(plane).disagreed == 0


def test_a_candidates_opa_that_hangs_is_waited_for_by_nobody(
    plane: ControlPlane, device: Caller, live: UnsignedBundle
) -> None:
    revision = live_revision(plane)
    put(plane, live)
    decides(plane)
    (pid,) = shadows_opa(plane)
    pause(pid)
    try:
        for _ in range(3):
            is_untouched(plane, device, revision)
        found = counted(plane, lambda found: found.failed >= 3)
        assert found.disagreed == 0
        assert {group.reason for group in found.groups} == {"policy_deadline"}
    finally:
        resume(pid)


def test_the_next_candidate_begins_at_nothing_and_fails_nowhere(
    plane: ControlPlane, device: Caller, live: UnsignedBundle
) -> None:
    put(plane, live, **stricter(live))
    decides(plane)
    assert ask(device).status == 201
    counted(plane, lambda found: found.disagreed == 1)
    # The same policies again: what decides now is told apart from what decided before.
    second = put(plane, live, **stricter(live))

    def is_asked() -> bool:
        assert ask(device).status == 201
        return report(plane).disagreed > 0

    wait_until(is_asked, 20, "the candidate to decide anew")
    found = report(plane)
    assert (found.shadow.id, found.agreed, found.failed, found.dropped) == (second.id, 0, 0, 0)


TENANT = """package tenant.batch

answers[id] := {"required": {"open"}, "proven": proven(facts)} if {
	some questions in input
	some id, facts in questions
}

proven(facts) := {"open"} if facts.action.name != "inference"

proven(facts) := set() if facts.action.name == "inference"
"""


@pytest.fixture
def layered(tmp_path: Path) -> Iterator[ControlPlane]:
    """A control plane whose tenant denies every inference."""
    folder = tmp_path / "policies" / "tenant"
    folder.mkdir(parents=True)
    (folder / "batch.rego").write_text(TENANT)
    made = build(locate_opa(os.environ), folder.parent, "tenant", wasm=False)
    with tempfile.TemporaryDirectory(prefix="ztfm-") as name:
        state = Path(name)
        body = signed(state, made.files, made.revision, "tenant")
        asyncio.run(publish(state, NewRelease("tenant", made.revision, "key", "published", time.time(), "dev"), body))
        with running(state=state, policy_layers="tenant") as own:
            yield own


async def publish(state: Path, release: NewRelease, body: bytes) -> None:
    store = await open_store(f"sqlite+aiosqlite:///{state / 'ztfm.db'}")
    try:
        await store.releases.add(release, body)
    finally:
        await store.close()


def test_below_the_candidate_is_what_is_live(layered: ControlPlane, live: UnsignedBundle) -> None:
    device = layered.enrol("consumer")
    put(layered, live, **stricter(live))
    decides(layered)
    denied = ask(device)
    assert denied.status == 403
    assert [reason["code"] for reason in denied.json["reasons"]] == ["tenant:open"]
    found = counted(layered, lambda found: found.disagreed >= 1)
    # Both deny, for what the tenant asks for; the candidate for one reason more.
    (group,) = found.groups
    assert (group.change, group.reason, group.count, found.failed) == ("other_reasons", "trust_sufficient", 1, 0)
    stop(layered)


@pytest.mark.parametrize(
    "revision, answers",
    [
        ("b1", True),
        ("b1+tenant:t1+site:s1", True),
        ("b2+tenant:t1", False),
        ("b1+tenant:none", False),
        ("b1+tenant:t1+site:none", False),
    ],
)
def test_a_candidate_answers_when_all_layers_below_it_do(tmp_path: Path, revision: str, answers: bool) -> None:
    engine = ShadowEngine(
        tmp_path, Shadow(id="s", revision="b1", digest="sha256:" + "d" * 64, started_at=0, started_by="a")
    )
    assert engine._is_candidates(revision) is answers
