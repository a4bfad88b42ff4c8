"""``ztfm policy build``, ``sign`` and ``key``: one file, one signature, and words for what goes wrong."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from controlplane.bundles import BundleRefused, BundleSigner, Trust, verify, write_archive
from controlplane.bundles.layout import SIGNATURES, WASM
from controlplane.contracts.policies import digest_of
from controlplane.sidecar.folders import product_folder

Quick = Callable[..., Result]

SITE = 'package site.batch\n\nanswers[id] := {"required": [], "proven": []} if some id, _ in input.inference\n'


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The smallest folder of a site's policies."""
    (tmp_path / "ours" / "site" / "batch").mkdir(parents=True)
    (tmp_path / "ours" / "site" / "batch" / "batch.rego").write_text(SITE)
    return tmp_path / "ours"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """The smallest folder of base policies."""
    batch = tmp_path / "base" / "ztfm" / "batch"
    batch.mkdir(parents=True)
    (batch / "batch.rego").write_text(SITE.replace("site", "ztfm").replace("answers", "decisions"))
    return tmp_path / "base"


def trusted(path: Path) -> Trust:
    found = BundleSigner.load(path)
    assert found is not None
    return Trust.of_key(found.public_key)


def test_it_signs_with_the_key_of_this_machine(quick: Quick, base: Path, state: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "base.tar.gz"
    done = quick("policy", "build", "--policies", str(base), "--out", str(out), "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    body = out.read_bytes()
    found = verify(body, trusted(state / "policy-signing.key"), "base")
    assert said == {
        "file": str(out),
        "layer": "base",
        "revision": found.revision,
        "digest": digest_of(body),
        "key_id": found.key_id,
        "size_bytes": len(body),
        "embedded": True,
    }
    assert [path.name for path in out.parent.iterdir()] == ["base.tar.gz"]
    again = quick("policy", "build", "--policies", str(base), "--out", str(out))
    assert again.exit_code == 0
    assert out.read_bytes() == body
    for word in (found.revision, said["digest"], found.key_id):
        assert word in again.stdout


def test_without_a_folder_it_builds_the_one_that_serves(quick: Quick, base: Path, tmp_path: Path) -> None:
    out = tmp_path / "base.tar.gz"
    options = ("--out", str(out), "--unsigned", "--no-wasm", "--json")
    named = json.loads(quick("policy", "build", *options, ZTFM_POLICIES=str(base)).stdout)
    built_in = json.loads(quick("policy", "build", *options).stdout)
    given = json.loads(quick("policy", "build", "--policies", str(product_folder("policies")), *options).stdout)
    assert built_in == given != named


def test_a_layer_has_a_folder_of_its_own(
    quick: Quick, site: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(site)
    assert quick("policy", "build", "--layer", "site").exit_code == 2
    assert quick("policy", "build", "--layer", "galaxy", "--policies", ".").exit_code == 2
    wrong = quick("policy", "build", "--policies", ".")
    assert wrong.exit_code == 1
    assert "the layer base owns" in wrong.stderr
    assert quick("policy", "build", "--layer", "site", "--policies", ".").exit_code == 0
    assert verify((site / "site.tar.gz").read_bytes(), trusted(state / "policy-signing.key"), "site")


def test_unsigned_is_refused_until_somebody_signs(quick: Quick, base: Path, state: Path, tmp_path: Path) -> None:
    bundle, key = tmp_path / "base.tar.gz", tmp_path / "release.key"
    done = quick("policy", "build", "--policies", str(base), "--out", str(bundle), "--unsigned")
    assert "ztfm policy sign" in done.stdout
    assert not (state / "policy-signing.key").exists()
    made = json.loads(quick("policy", "key", "--key", str(key), "--new", "--json").stdout)
    with pytest.raises(BundleRefused, match="unsigned"):
        verify(bundle.read_bytes(), trusted(key), "base")
    signed = quick("policy", "sign", str(bundle), "--key", str(key), "--layer", "base", "--json")
    assert (
        json.loads(signed.stdout)["key_id"]
        == made["key_id"]
        == verify(bundle.read_bytes(), trusted(key), "base").key_id
    )
    direct = tmp_path / "direct.tar.gz"
    quick("policy", "build", "--policies", str(base), "--out", str(direct), "--key", str(key))
    assert direct.read_bytes() == bundle.read_bytes()


def test_another_key_signs_again_into_another_file(quick: Quick, base: Path, state: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.tar.gz", tmp_path / "second.tar.gz"
    quick("policy", "build", "--policies", str(base), "--out", str(first), "--no-wasm")
    before = first.read_bytes()
    quick("policy", "key", "--key", str(tmp_path / "release.key"), "--new")
    done = quick("policy", "sign", str(first), "--key", str(tmp_path / "release.key"), "--out", str(second))
    assert done.exit_code == 0
    assert first.read_bytes() == before
    found = verify(second.read_bytes(), trusted(tmp_path / "release.key"), "base")
    assert WASM not in found.files
    assert found.files == verify(before, trusted(state / "policy-signing.key"), "base").files


def test_what_is_no_bundle_of_the_layer_is_not_signed(quick: Quick, base: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "base.tar.gz"
    quick("policy", "build", "--policies", str(base), "--out", str(bundle), "--unsigned", "--no-wasm")
    before = bundle.read_bytes()
    refused = quick("policy", "sign", str(bundle), "--layer", "site")
    assert (refused.exit_code, "layer base, not site" in refused.stderr) == (1, True)
    assert bundle.read_bytes() == before
    for content in (b"", before[:-9], write_archive({SIGNATURES: b"{}"}), write_archive({"policy.wasm": b""})):
        bundle.write_bytes(content)
        refused = quick("policy", "sign", str(bundle))
        assert (refused.exit_code, str(bundle) in refused.stderr) == (1, True)
        assert bundle.read_bytes() == content
    assert quick("policy", "sign", str(tmp_path / "absent.tar.gz")).exit_code == 2


def test_a_closed_key_signs_with_its_passphrase(quick: Quick, base: Path, tmp_path: Path) -> None:
    key = tmp_path / "release.key"
    form = serialization.BestAvailableEncryption(b"open sesame")
    private = generate_private_key(SECP256R1())
    key.write_bytes(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, form))
    key.chmod(0o600)
    options = (
        "policy",
        "build",
        "--policies",
        str(base),
        "--out",
        str(tmp_path / "b.tar.gz"),
        "--key",
        str(key),
        "--no-wasm",
    )
    closed = quick(*options)
    assert (closed.exit_code, "passphrase" in closed.stderr) == (2, True)
    assert not (tmp_path / "b.tar.gz").exists()
    assert quick(*options, ZTFM_POLICY_KEY_PASSPHRASE="open sesame").exit_code == 0


def test_a_key_is_made_once_and_shows_its_public_part_alone(quick: Quick, tmp_path: Path, state: Path) -> None:
    out = tmp_path / "trust" / "base" / "release.pem"
    missing = quick("policy", "key")
    assert (missing.exit_code, "--new" in missing.stderr) == (2, True)
    made = quick("policy", "key", "--new", "--out", str(out))
    assert made.exit_code == 0
    path = state / "policy-signing.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert set(Trust.of_folder(tmp_path / "trust").keys("base")) == set(trusted(path).keys("base"))
    shown = quick("policy", "key", "--json")
    assert json.loads(shown.stdout)["public"] == out.read_text()
    assert out.read_text() in quick("policy", "key").stdout
    before = path.read_bytes()
    again = quick("policy", "key", "--new")
    assert (again.exit_code, "overwritten" in again.stderr) == (2, True)
    assert path.read_bytes() == before
    for done in (made, shown, again):
        assert "PRIVATE" not in done.output


def test_a_key_that_others_can_read_signs_nothing(quick: Quick, base: Path, tmp_path: Path) -> None:
    key = tmp_path / "release.key"
    quick("policy", "key", "--key", str(key), "--new")
    key.chmod(0o640)
    out = tmp_path / "b.tar.gz"
    done = quick("policy", "build", "--policies", str(base), "--out", str(out), "--key", str(key))
    assert (done.exit_code, "0640" in done.stderr, out.exists()) == (2, True, False)
    done = quick("policy", "build", "--policies", str(base), "--out", str(out), "--key", str(tmp_path / "absent.key"))
    assert (done.exit_code, "ztfm policy key --new" in done.stderr, out.exists()) == (2, True, False)


def test_policies_that_make_no_bundle_say_where(quick: Quick, broken: Path, base: Path, tmp_path: Path) -> None:
    out = tmp_path / "b.tar.gz"
    done = quick("policy", "build", "--policies", str(broken), "--out", str(out))
    assert (done.exit_code, "ztfm/broken.rego:" in done.stderr, out.exists()) == (1, True, False)
    (base / "ztfm" / "batch" / "batch.rego").write_text("package ztfm.batch\n\nrevision := 1\n")
    done = quick("policy", "build", "--policies", str(base), "--out", str(out))
    assert (done.exit_code, "--no-wasm" in done.stderr, out.exists()) == (1, True, False)
    assert quick("policy", "build", "--policies", str(base), "--out", str(out), "--no-wasm").exit_code == 0
    assert quick("policy", "build", OPA_BIN="/no/such/opa").exit_code == 2
