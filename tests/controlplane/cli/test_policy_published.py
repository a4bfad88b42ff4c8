import asyncio
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from controlplane.bundles import BundleSigner
from controlplane.contracts.policies import PolicyLayer
from controlplane.releases.building import build
from controlplane.sidecar import locate_opa
from controlplane.sidecar.folders import product_folder
from controlplane.storage import open_store
from controlplane.storage.releases import NewRelease
from tests.controlplane.cli.processes import serve
from tests.controlplane.releases.samples import NOW, revision, signed
from tests.support import wait_until

Quick = Callable[..., Result]


@pytest.fixture
def signer(state: Path) -> BundleSigner:
    """The key of the state folder's machine."""
    return BundleSigner.load_or_create(state / "policy-signing.key")


def released(state: Path, signer: BundleSigner, *names: str, layer: PolicyLayer = "base") -> None:
    """Put releases into the store, as if their checks had passed."""

    async def fill() -> None:
        store = await open_store(f"sqlite+aiosqlite:///{state / 'ztfm.db'}")
        try:
            for name in names:
                new = NewRelease(layer, revision(name), signer.key_id, "published", NOW, "local:author")
                await store.releases.add(new, signed(signer, name, layer))
        finally:
            await store.close()

    asyncio.run(fill())


def said(done: Result, code: int = 0) -> Any:
    assert done.exit_code == code, (done.stdout, done.stderr)
    return json.loads(done.stdout)


def test_a_folder_is_published_and_a_control_plane_that_runs_takes_it_over(
    quick: Quick, state: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "policies"
    shutil.copytree(product_folder("policies"), folder)
    with serve(state) as (_, line):
        url = {"ZTFM_PUBLIC_URL": line["url"]}
        first = said(quick("policy", "status", "--json", **url))
        assert first["serving"]["reachable"]
        assert first["serving"]["engine"] == "opa"
        assert first["layers"][0]["active_revision"] == first["layers"][0]["release"]["revision"]
        batch = folder / "ztfm" / "batch" / "batch.rego"
        batch.write_text(f"{batch.read_text()}\n# Changed.\n")
        release = said(quick("policy", "publish", "--policies", str(folder), "--json", **url))
        assert release["published_by"].startswith("local:")
        assert release["revision"] != first["layers"][0]["release"]["revision"]
        wait_until(lambda: quick("policy", "status", **url).exit_code == 0, what="it decides by what was published")
        shown = quick("policy", "status", **url).stdout
        assert f"decides by {release['revision']}" in shown
        assert release["key_id"] in shown


def test_a_bundle_that_is_not_trusted_is_refused_with_status_1(
    quick: Quick, state: Path, signer: BundleSigner, tmp_path: Path
) -> None:
    released(state, signer, "A")
    bundle = tmp_path / "base.tar.gz"
    bundle.write_bytes(signed(BundleSigner.generate(), "B"))
    refused = quick("policy", "publish", str(bundle), "--json")
    assert refused.exit_code == 1
    assert json.loads(refused.stdout)["refused"] == "untrusted"
    assert "refused (untrusted)" in refused.stderr
    (base,) = said(quick("policy", "status", "--json"))["layers"]
    assert base["release"]["revision"] == revision("A")


def test_a_folder_that_does_not_compile_is_refused_and_one_that_is_not_there_cannot_be_tried(
    quick: Quick, broken: Path, tmp_path: Path
) -> None:
    refused = quick("policy", "publish", "--policies", str(broken))
    assert refused.exit_code == 1
    assert "broken.rego" in refused.stderr
    missing = quick("policy", "publish", str(tmp_path / "nowhere.tar.gz"))
    assert missing.exit_code == 2
    assert quick("policy", "publish", "a.tar.gz", "--policies", "b").exit_code == 2
    assert "the site's policies" in quick("policy", "publish", "--layer", "site").stderr


def test_nothing_is_made_in_a_mistyped_state_folder(quick: Quick, tmp_path: Path) -> None:
    for command in ("publish", "rollback", "status"):
        done = quick("policy", command, "--state-dir", str(tmp_path / "nowhere"))
        assert done.exit_code == 2
        assert "there is no state folder" in done.stderr
    assert not (tmp_path / "nowhere").exists()


def test_one_goes_back_and_further_back_and_to_a_revision_by_name(
    quick: Quick, state: Path, signer: BundleSigner
) -> None:
    released(state, signer, "A", "B", "C")
    assert said(quick("policy", "rollback", "--json"))["revision"] == revision("B")
    assert "released again" in quick("policy", "rollback").stdout
    assert quick("policy", "rollback").exit_code == 1
    assert said(quick("policy", "rollback", "--to", revision("C"), "--json"))["origin"] == "rolled_back"
    unknown = quick("policy", "rollback", "--to", "nogit.0000000000000000")
    assert unknown.exit_code == 1
    assert "no release of revision" in unknown.stderr
    assert quick("policy", "rollback", "--layer", "site").exit_code == 1
    base = said(quick("policy", "status", "--json", "--recent", "2"))["layers"][0]
    assert [item["origin"] for item in base["recent"]] == ["rolled_back", "rolled_back"]


def test_the_status_tells_what_is_missing_and_what_decides_nothing_here(
    quick: Quick, state: Path, signer: BundleSigner
) -> None:
    empty = quick("policy", "status")
    assert empty.exit_code == 1
    assert "nothing is published" in empty.stdout
    released(state, signer, "A")
    assert quick("policy", "status").exit_code == 0
    released(state, signer, "S", layer="site")
    assert "does not name this layer" in quick("policy", "status").stdout
    assert quick("policy", "status", ZTFM_POLICY_LAYERS="site").exit_code == 0
    missing = quick("policy", "status", ZTFM_POLICY_LAYERS="tenant")
    assert missing.exit_code == 1
    assert "tenant: nothing is published" in missing.stdout


def test_a_machine_that_trusts_others_alone_takes_their_bundle_before_its_first_start(
    quick: Quick, state: Path, tmp_path: Path
) -> None:
    author, trust = BundleSigner.generate(), tmp_path / "trust"
    (trust / "base").mkdir(parents=True)
    (trust / "base" / "author.pem").write_text(author.public_pem)
    environment = {"ZTFM_POLICY_TRUST_DIR": str(trust)}
    own = quick("policy", "publish", **environment)
    assert own.exit_code == 1
    assert "untrusted" in own.stderr
    built = build(locate_opa(os.environ), product_folder("policies"), wasm=False)
    bundle = tmp_path / "base.tar.gz"
    bundle.write_bytes(author.sign(built.files, "base", built.revision))
    release = said(quick("policy", "publish", str(bundle), "--json", **environment))
    assert release["key_id"] == author.key_id
    with serve(state, **environment) as (_, line):
        found = said(quick("policy", "status", "--json", ZTFM_PUBLIC_URL=line["url"], **environment))
        assert found["layers"][0]["active_revision"] == release["revision"]
