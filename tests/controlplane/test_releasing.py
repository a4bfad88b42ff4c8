"""Policies change under way: no request fails for it, and what decides is always a whole release that was trusted."""

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from controlplane.bundles import BundleSigner, Trust
from controlplane.contracts.policies import digest_of
from controlplane.parts import StartFailed
from controlplane.readiness import FRESH_SECONDS
from controlplane.releases.building import build
from controlplane.releases.publishing import Publisher
from controlplane.sidecar import locate_opa
from controlplane.sidecar.folders import product_folder
from controlplane.storage import Store, open_store
from controlplane.storage.releases import NewRelease
from tests.controlplane.releases.samples import Counting
from tests.support import Caller, ControlPlane, running, wait_until

SIZE = {"inference": {"prompt_tokens": 8, "max_output_tokens": 8}}


@pytest.fixture(scope="module")
def signer() -> BundleSigner:
    return BundleSigner.generate()


@pytest.fixture(scope="module")
def bundles(signer: BundleSigner) -> list[tuple[bytes, str]]:
    """Three bundles of the same policies, by content different, with their revisions."""
    made = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "policies"
        shutil.copytree(product_folder("policies"), folder)
        batch = folder / "ztfm" / "batch" / "batch.rego"
        text = batch.read_text()
        for number in range(3):
            batch.write_text(f"{text}\n# {number}\n")
            built = build(locate_opa(os.environ), folder, wasm=False)
            made.append((signer.sign(built.files, "base", built.revision), built.revision))
    return made


@dataclass
class Elsewhere:
    """Publishes in the store of a control plane as another process does. What is published was checked before."""

    plane: ControlPlane
    signer: BundleSigner

    def publish(self, body: bytes) -> None:
        async def work() -> None:
            await self.publisher.publish(body, "base", "local:author")

        self.plane.run(work())

    def rollback(self) -> str:
        async def work() -> str:
            return (await self.publisher.rollback("base", None, "local:author")).revision

        return self.plane.run(work())

    def release(self, body: bytes, revision: str) -> None:
        """Put a release into the store past every check, as somebody who writes to the database could."""
        new = NewRelease("base", revision, self.signer.key_id, "published", time.time(), "local:attacker")
        self.plane.run(self.plane.store.releases.add(new, body))

    @property
    def publisher(self) -> Publisher:
        trust = Trust.of_key(self.signer.public_key)
        return Publisher(self.plane.store.releases, trust, lambda _: None, time.time, Counting())


@pytest.fixture(scope="module")
def trust_dir(signer: BundleSigner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trust")
    (folder / "base").mkdir()
    (folder / "base" / "author.pem").write_text(signer.public_pem)
    return folder


@pytest.fixture(scope="module")
def own(trust_dir: Path, signer: BundleSigner, bundles: list[tuple[bytes, str]]) -> Iterator[ControlPlane]:
    """A control plane that trusts the test's key alone, with a first release in its store."""
    with tempfile.TemporaryDirectory(prefix="ztfm-") as name:
        state = Path(name)

        async def first() -> None:
            store = await open_store(f"sqlite+aiosqlite:///{state / 'ztfm.db'}")
            try:
                await published(store, signer, bundles[0][0])
            finally:
                await store.close()

        asyncio.run(first())
        settings = {"policy_trust_dir": trust_dir, "bundle_dir": state / "public"}
        with running(state=state, **settings) as plane:
            yield plane


async def published(store: Store, signer: BundleSigner, body: bytes) -> None:
    trust = Trust.of_key(signer.public_key)
    await Publisher(store.releases, trust, lambda _: None, time.time, Counting()).publish(body, "base", "local:author")


@pytest.fixture(scope="module")
def elsewhere(own: ControlPlane, signer: BundleSigner) -> Elsewhere:
    return Elsewhere(own, signer)


@pytest.fixture(scope="module")
def consumer(own: ControlPlane) -> Caller:
    return own.enrol("consumer")


def revision(plane: ControlPlane) -> str:
    return str(plane.call("GET", "/readyz").json["policy_revision"])


def settled(plane: ControlPlane) -> str:
    """Return the revision that decides, once that is the one that is released."""

    def is_settled() -> bool:
        base = plane.call("GET", "/readyz").json["policies"][0]
        head = plane.run(plane.store.releases.heads())["base"]
        return bool(base["active_revision"] == base["released_revision"] == head.revision)

    wait_until(is_settled)
    return revision(plane)


def test_published_policies_decide_without_a_restart_and_without_a_failed_request(
    own: ControlPlane, elsewhere: Elsewhere, consumer: Caller, bundles: list[tuple[bytes, str]]
) -> None:
    stop, seen, faults = threading.Event(), list[str](), list[object]()
    pid = own.sidecar.pid

    def ask() -> None:
        while not stop.is_set():
            answer = consumer.capability("inference", audience="gateway-1", **SIZE)
            if answer.status == 201:
                seen.append(answer.json["policy_revision"])
            else:
                faults.append((answer.status, answer.body))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for body, name in (*bundles[1:], *bundles):
            elsewhere.publish(body)
            wait_until(lambda name=name: bool(seen) and seen[-1] == name, what=f"{name} decides")  # type: ignore[misc]
        back = elsewhere.rollback()
        wait_until(lambda: seen[-1] == back, what="what decided before decides again")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert faults == []
    assert set(seen) == {name for _, name in bundles}
    assert own.sidecar.pid == pid
    assert own.metric("ztfm_sidecar_restarts_total") == 0
    wait_until(lambda: own.metric("ztfm_policy_info", revision=back) == 1)
    assert sum(own.metric("ztfm_policy_info", revision=name) for name in set(seen)) == 1
    assert (own.state / "public" / "ztfm.tar.gz").read_bytes() == bundles[1][0]


def test_a_decision_says_how_old_the_policy_was(own: ControlPlane, consumer: Caller) -> None:
    answer = consumer.capability("inference", audience="gateway-1", **SIZE).expect(201)
    record = consumer.get(f"/v1/decisions/{answer['decision_id']}").expect(200)
    assert 0.0 <= record["policy_age_seconds"] < 600.0
    state = own.call("GET", "/readyz").json
    # Readiness is remembered for a moment, in which the decision may lie.
    assert record["policy_age_seconds"] - FRESH_SECONDS <= state["policy_age_seconds"] < 600.0


@pytest.mark.parametrize(
    ("how", "reason"),
    [("by_a_stranger", "untrusted"), ("cut", "malformed"), ("another", "tampered"), ("empty", "malformed")],
)
def test_what_somebody_writes_into_the_database_does_not_decide(
    own: ControlPlane,
    elsewhere: Elsewhere,
    consumer: Caller,
    bundles: list[tuple[bytes, str]],
    how: str,
    reason: str,
) -> None:
    before = settled(own)
    counted = own.metric("ztfm_policy_refused_total", reason=reason)
    stranger = BundleSigner.generate()
    built = build(locate_opa(os.environ), product_folder("policies"), wasm=False)
    bodies = {
        "by_a_stranger": (stranger.sign(built.files, "base", built.revision), built.revision),
        "cut": (bundles[2][0][:-9], bundles[2][1]),
        "another": (bundles[2][0], "nogit.0000000000000000"),
        "empty": (b"", bundles[2][1]),
    }
    elsewhere.release(*bodies[how])
    wait_until(lambda: own.metric("ztfm_policy_refused_total", reason=reason) == counted + 1)
    wait_until(lambda: own.call("GET", "/readyz").json["policies"][0]["refused"] == reason)
    state = own.call("GET", "/readyz").json
    assert state["ready"] is True
    assert state["policy_revision"] == before
    assert (state["policies"][0]["refused"], state["policies"][0]["released_revision"]) == (reason, bodies[how][1])
    answer = consumer.capability("inference", audience="gateway-1", **SIZE)
    assert answer.expect(201)["policy_revision"] == before
    elsewhere.publish(bundles[0][0])
    wait_until(lambda: revision(own) == bundles[0][1])
    assert own.call("GET", "/readyz").json["policies"][0]["refused"] is None
    elsewhere.publish(bundles[1][0])
    wait_until(lambda: revision(own) == bundles[1][1])
    wait_until(lambda: own.metric("ztfm_policy_current", layer="base") == 1)


PUBLISHING = """
import asyncio, os, sys, time
from pathlib import Path
from controlplane.bundles import BundleSigner, Trust
from controlplane.releases.publishing import Publisher
from controlplane.storage import open_store

class Uncounted:
    def released(self, release): print("released", flush=True)
    def refused(self, refusal): pass

async def main():
    url, key, *bodies = sys.argv[1:]
    trust = Trust.of_key(BundleSigner.load(Path(key)).public_key)
    store = await open_store(url)
    publisher = Publisher(store.releases, trust, lambda _: None, time.time, Uncounted())
    bodies = [Path(body).read_bytes() for body in bodies]
    print("pid", os.getpid(), flush=True)
    while True:
        for body in bodies:
            await publisher.publish(body, "base", "local:author")

for _line in sys.stdin:
    child = os.fork()
    if child == 0:
        asyncio.run(main())
    os.waitpid(child, 0)
"""
"""Publishes in a child for every line that it is sent, until the child is killed."""

KILLS = 16


def test_a_publisher_that_is_killed_leaves_the_old_release_or_the_new_one(
    own: ControlPlane, consumer: Caller, signer: BundleSigner, bundles: list[tuple[bytes, str]], tmp_path: Path
) -> None:
    key = tmp_path / "key.pem"
    key.touch(mode=0o600)
    key.write_bytes(signer._pem())
    paths = [tmp_path / f"{number}.tar.gz" for number in range(len(bundles))]
    for path, (body, _) in zip(paths, bundles, strict=True):
        path.write_bytes(body)
    url = f"sqlite+aiosqlite:///{own.state / 'ztfm.db'}"
    command = [sys.executable, "-c", PUBLISHING, url, str(key), *map(str, paths)]
    names = {digest_of(body): name for body, name in bundles}
    chance = random.Random(7)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as publishing:
        assert publishing.stdin is not None
        assert publishing.stdout is not None
        for kill in range(KILLS):
            publishing.stdin.write("again\n")
            publishing.stdin.flush()
            # What an earlier child said before it died comes first.
            child = next(line for line in publishing.stdout if line.startswith("pid ")).split()[1]
            for _ in range(chance.randrange(3)):
                publishing.stdout.readline()
            time.sleep(chance.random() * 0.02)
            os.kill(int(child), signal.SIGKILL)
            head = own.run(own.store.releases.heads())["base"]
            assert names[head.digest] == head.revision
            assert digest_of(own.run(own.store.releases.body(head.digest)) or b"") == head.digest
            if kill % 4 == 3:
                wait_until(lambda head=head: revision(own) == head.revision)  # type: ignore[misc]
                answer = consumer.capability("inference", audience="gateway-1", **SIZE)
                assert answer.expect(201)["policy_revision"] == head.revision
    assert own.metric("ztfm_policy_current", layer="base") == 1


def test_a_machine_that_may_not_sign_does_not_start_before_something_is_published(trust_dir: Path) -> None:
    with pytest.raises(StartFailed, match="ztfm policy publish"), running(policy_trust_dir=trust_dir):
        pass


def test_a_machine_with_another_key_than_its_database_says_so_at_once_and_publishing_helps(tmp_path: Path) -> None:
    """The key was lost, or a replica was not given the others' key."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}"

    async def released(signer: BundleSigner, body: bytes) -> None:
        store = await open_store(url)
        try:
            await published(store, signer, body)
        finally:
            await store.close()

    stranger = BundleSigner.generate()
    built = build(locate_opa(os.environ), product_folder("policies"), wasm=False)
    asyncio.run(released(stranger, stranger.sign(built.files, "base", built.revision)))
    other = BundleSigner.load_or_create(tmp_path / "other.pem")
    settings = {"database_url": url, "policy_key_file": tmp_path / "other.pem"}
    with pytest.raises(StartFailed, match="ZTFM_POLICY_KEY_FILE"), running(**settings):
        pass
    asyncio.run(released(other, other.sign(built.files, "base", built.revision)))
    with running(**settings) as plane:
        assert revision(plane) == built.revision


def test_an_expected_layer_without_policies_is_not_ready(trust_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match="site"), running(policy_layers="site", start_seconds=1.0):
        pass


def test_a_restart_takes_what_is_released_and_builds_nothing(own: ControlPlane, trust_dir: Path) -> None:
    """Another control plane on the same store, as after a restart: its key may sign nothing, and need not."""
    url = f"sqlite+aiosqlite:///{own.state / 'ztfm.db'}"
    keys = {"sealing_key_file": own.state / "sealing.key", "organisation_key_file": own.state / "organisation.key"}
    with running(policy_trust_dir=trust_dir, database_url=url, **keys) as second:
        assert revision(second) == revision(own)
