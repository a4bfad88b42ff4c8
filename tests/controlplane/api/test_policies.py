"""``/v1/policies``: who may publish what, what is refused and why, and the way back."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.api import policies, shadow
from controlplane.bundles import BundleSigner, Trust, verify
from controlplane.releases.building import build
from controlplane.sidecar import locate_opa
from controlplane.sidecar.folders import product_folder
from tests.support import Caller, ControlPlane, Reply, running, wait_until

BUNDLE = {"Content-Type": "application/gzip"}


@pytest.fixture(scope="module")
def own() -> Iterator[ControlPlane]:
    """A control plane of our own: its policies are replaced."""
    with running() as found:
        yield found


@pytest.fixture(scope="module")
def admin(own: ControlPlane) -> Caller:
    return own.enrol("administrator")


@pytest.fixture(scope="module")
def signer(own: ControlPlane) -> BundleSigner:
    return BundleSigner.load_or_create(own.state / "policy-signing.key")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(product_folder("policies"), tmp_path / "policies")
    return tmp_path / "policies"


def bundle(folder: Path, signer: BundleSigner) -> bytes:
    built = build(locate_opa(os.environ), folder, wasm=False)
    return signer.sign(built.files, "base", built.revision)


def change(folder: Path, line: str = "# Changed.") -> None:
    batch = folder / "ztfm" / "batch" / "batch.rego"
    batch.write_text(f"{batch.read_text()}\n{line}\n")


def publish(admin: Caller, body: bytes, layer: str = "base") -> Reply:
    return admin.post(f"/v1/policies/{layer}", body=body, headers=BUNDLE)


def revision(own: ControlPlane) -> str:
    return str(own.call("GET", "/readyz").json["policy_revision"])


def test_policies_are_published_listed_handed_out_and_taken_back(
    own: ControlPlane, admin: Caller, signer: BundleSigner, folder: Path
) -> None:
    first = revision(own)
    change(folder)
    body = bundle(folder, signer)
    release = publish(admin, body).expect(201)
    assert (release["origin"], release["published_by"]) == ("published", admin.id)
    assert release["key_id"] == signer.key_id
    wait_until(lambda: revision(own) == release["revision"])
    assert publish(admin, body).expect(201) == release
    listed = admin.get("/v1/policies/releases?layer=base&limit=2").expect(200)["releases"]
    assert [item["sequence"] for item in listed] == [release["sequence"], release["sequence"] - 1]
    handed = admin.get(f"/v1/policies/releases/{release['sequence']}/bundle")
    assert handed.headers["Content-Type"] == "application/gzip"
    assert verify(handed.body, Trust.of_key(signer.public_key), "base").digest == release["digest"]
    standing = admin.get("/v1/policies").expect(200)
    assert (standing["engine"], standing["revision"]) == ("opa", release["revision"])
    assert standing["layers"][0]["release"] == release

    key = {"Idempotency-Key": "back-1"}
    back = admin.post("/v1/policies/rollback", {}, headers=key).expect(200)
    assert (back["revision"], back["origin"]) == (first, "rolled_back")
    again = admin.post("/v1/policies/rollback", {}, headers=key)
    assert again.expect(200) == back
    assert again.headers["Idempotency-Replayed"] == "true"
    wait_until(lambda: revision(own) == first)
    assert own.metric("ztfm_policy_releases_total", layer="base", origin="rolled_back") == 1
    assert admin.post("/v1/policies/rollback", {}).kind == "not-found"
    unknown = admin.post("/v1/policies/rollback", {"revision": "nogit.0000000000000000"})
    assert unknown.status == 404
    assert "no release" in unknown.json["detail"]


def test_what_is_refused_says_why_and_changes_nothing(
    own: ControlPlane, admin: Caller, signer: BundleSigner, folder: Path
) -> None:
    before = revision(own)
    good = bundle(folder, signer)
    built = build(locate_opa(os.environ), folder, wasm=False)
    broken = {**built.files, "ztfm/batch/batch.rego": b"package ztfm.batch\n\nallow if {\n"}
    bad = {
        "untrusted": bundle(folder, BundleSigner.generate()),
        "malformed": good[:-30],
        "conflicting": signer.sign(built.files, "site", built.revision),
        "cannot_be_checked": signer.sign(
            {name: content for name, content in built.files.items() if name != "source.tar"}, "base", built.revision
        ),
    }
    for reason, body in bad.items():
        refused = publish(admin, body)
        assert refused.status == 422, reason
        assert refused.kind == "policy-refused"
        assert refused.json["detail"].startswith(f"{reason}. "), refused.json
    mixed = publish(admin, signer.sign(broken, "base", built.revision))
    assert mixed.json["detail"].startswith("conflicting. "), "the rules are not those of the source"
    assert own.metric("ztfm_policy_refused_total", reason="untrusted") == 1
    (layer,) = admin.get("/v1/policies").expect(200)["layers"]
    assert layer["refusal"]["reason"] == "conflicting"
    # Readiness may be a quarter of a second old.
    wait_until(lambda: [shown["refused"] for shown in own.call("GET", "/readyz").json["policies"]] == ["conflicting"])
    assert revision(own) == before


def test_policies_whose_tests_fail_are_refused(admin: Caller, signer: BundleSigner, folder: Path) -> None:
    tests = folder / "ztfm" / "batch" / "batch_test.rego"
    tests.write_text(f"{tests.read_text()}\ntest_that_fails if false\n")
    refused = publish(admin, bundle(folder, signer))
    assert refused.kind == "policy-refused"
    assert refused.json["detail"].startswith("fails_tests. "), refused.json["detail"]
    assert "test_that_fails" in refused.json["detail"]


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/v1/policies/releases?limit=0", 400, "invalid-request"),
        ("/v1/policies/releases?limit=1000", 400, "invalid-request"),
        ("/v1/policies/releases?layer=other", 400, "invalid-request"),
        ("/v1/policies/releases?limit=1&limit=2", 400, "invalid-request"),
        ("/v1/policies/releases?offset=1", 400, "invalid-request"),
        ("/v1/policies/releases/999999/bundle", 404, "not-found"),
        ("/v1/policies/releases/99999999999999999999/bundle", 404, "not-found"),
        ("/v1/policies/releases/one/bundle", 404, "not-found"),
    ],
)
def test_what_does_not_fit_is_said(admin: Caller, path: str, status: int, kind: str) -> None:
    found = admin.get(path)
    assert (found.status, found.kind) == (status, kind)


def test_a_bundle_is_bounded_and_of_its_media_type(admin: Caller) -> None:
    assert admin.post("/v1/policies/base", body=b"{}").kind == "unsupported-media-type"
    assert publish(admin, b"", "nowhere").kind == "not-found"
    assert publish(admin, b"").kind == "policy-refused"
    assert publish(admin, bytes(16 * 1024 * 1024 + 1)).kind == "too-large"
    assert admin.post("/v1/policies/rollback", {"layer": "other"}).kind == "invalid-request"


def test_only_those_whom_policy_lets_may_look_or_publish(own: ControlPlane) -> None:
    trainer = own.enrol("trainer")
    for answer in (
        trainer.get("/v1/policies"),
        trainer.get("/v1/policies/releases"),
        trainer.get("/v1/policies/releases/1/bundle"),
        trainer.post("/v1/policies/rollback", {}),
        publish(trainer, b""),
    ):
        assert answer.kind == "denied"
    assert publish(own.stranger(), b"").status == 401


def test_who_may_not_publish_sends_no_large_body(own: ControlPlane) -> None:
    """A body is taken from those alone who may publish it: whoever holds a device's key could fill the memory."""
    assert publish(own.enrol("trainer"), bytes(16 * 1024 * 1024 + 1)).kind == "denied"
    assert own.enrol("trainer").post("/v1/policies/base", body=b"{}").kind == "denied"


@pytest.mark.parametrize("path", ["/v1/policies/base", "/v1/policies/shadow"])
def test_who_is_shut_out_while_the_body_arrives_publishes_nothing(
    own: ControlPlane, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    late = own.enrol("administrator")

    async def arriving(*_: object) -> bytes:
        await own.services.registry.set_status(late.id, "revoked")
        return b""

    monkeypatch.setattr(policies if path.endswith("base") else shadow, "read_bytes", arriving)
    assert late.post(path, body=b"", headers=BUNDLE).status in (401, 403)
