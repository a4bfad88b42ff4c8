"""``/v1/policies/shadow``: who may put a candidate there, which, and what is told of it."""

import os
from collections.abc import Iterator

import pytest

from controlplane.bundles import BundleSigner
from controlplane.contracts.shadow import ShadowReport
from controlplane.releases.building import UnsignedBundle, build
from controlplane.sidecar import locate_opa
from tests.policies.support import POLICIES
from tests.support import Caller, ControlPlane, Reply, running, wait_until

SHADOW = "/v1/policies/shadow"
GZIP = {"Content-Type": "application/gzip"}


@pytest.fixture(scope="module")
def own() -> Iterator[ControlPlane]:
    with pytest.MonkeyPatch.context() as patch:
        for place in ("hosting", "shadowing"):
            patch.setattr(f"controlplane.{place}.EVERY_SECONDS", 0.1)
        with running() as plane:
            yield plane


@pytest.fixture(scope="module")
def author(own: ControlPlane) -> Caller:
    return own.enrol("administrator")


@pytest.fixture(scope="module")
def made() -> UnsignedBundle:
    return build(locate_opa(os.environ), POLICIES, wasm=False)


@pytest.fixture(scope="module")
def bundle(own: ControlPlane, made: UnsignedBundle) -> bytes:
    return BundleSigner.load_or_create(own.state / "policy-signing.key").sign(made.files, "base", made.revision)


def start(caller: Caller, body: bytes) -> Reply:
    return caller.post(SHADOW, body=body, headers=GZIP)


def stop(caller: Caller) -> Reply:
    return caller.plane.call("DELETE", SHADOW, key=caller.key)


def test_an_author_puts_a_candidate_there_reads_of_it_and_takes_it_out(
    own: ControlPlane, author: Caller, bundle: bytes, made: UnsignedBundle
) -> None:
    assert author.get(SHADOW).kind == "not-found"
    assert stop(author).kind == "not-found"
    started = start(author, bundle).expect(201)
    assert (started["shadow"]["revision"], started["shadow"]["started_by"]) == (made.revision, author.id)
    wait_until(lambda: own.services.decider._shadow is not None, 30, "the candidate to decide")
    wait_until(lambda: author.get(SHADOW).json["agreed"] > 0, 20, "a comparison")
    found = author.get(SHADOW).expect(200)
    assert ShadowReport.model_validate_json(author.get(SHADOW).body).shadow.id == started["shadow"]["id"]
    assert sum(found["changes"].values()) == found["failed"] == 0
    stopped = stop(author).expect(200)
    assert stopped["shadow"]["stopped_at"] >= started["shadow"]["started_at"]
    assert stop(author).kind == "not-found"
    assert author.get(SHADOW).expect(200)["shadow"]["stopped_at"] == stopped["shadow"]["stopped_at"]


def test_a_candidate_that_may_not_be_released_may_not_be_there(
    own: ControlPlane, author: Caller, made: UnsignedBundle
) -> None:
    signer = BundleSigner.load_or_create(own.state / "policy-signing.key")
    changed = {**made.files, "ztfm/batch/batch.rego": b"package ztfm.batch\n"}
    strange = BundleSigner.generate().sign(made.files, "base", made.revision)
    reasons = {
        "untrusted": strange,
        "malformed": b"no bundle",
        # What decides must be what its source says: no rule comes in that nobody checked.
        "conflicting": signer.sign(changed, "base", made.revision),
    }
    for reason, body in reasons.items():
        reply = start(author, body)
        assert (reply.status, reply.kind, reply.json["detail"].split()[0].strip(":.")) == (
            422,
            "policy-refused",
            reason,
        )
    assert own.run(own.store.shadows.current()) is None


@pytest.mark.parametrize("role", ["trainer", "consumer", "aggregator", "gateway", "operator"])
def test_others_put_nothing_there_and_only_an_operator_reads_of_it(own: ControlPlane, role: str) -> None:
    caller = own.enrol(role)
    assert start(caller, b"x" * 100_000).kind == "denied"
    assert stop(caller).kind == "denied"
    assert (caller.get(SHADOW).status == 403) == (role != "operator")


def test_a_stranger_learns_nothing(own: ControlPlane) -> None:
    stranger = own.stranger()
    for reply in (start(stranger, b"x"), stop(stranger), stranger.get(SHADOW)):
        assert reply.kind == "unauthenticated"


def test_what_is_no_bundle_is_not_read(author: Caller) -> None:
    assert author.post(SHADOW, {"bundle": "x"}).kind == "unsupported-media-type"
    assert author.post(SHADOW, body=b"x" * (16 * 1024 * 1024 + 1), headers=GZIP).kind == "too-large"
