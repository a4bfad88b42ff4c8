"""What is not signed as it is, by who is trusted for the layer, is refused with the word for it."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from hypothesis import given
from hypothesis import strategies as st

from controlplane.bundles import BundleRefused, BundleSigner, Trust, read_archive, verify, write_archive
from controlplane.bundles.layout import DATA, MANIFEST, ROOTS, SIGNATURES, SOURCE
from controlplane.bundles.verification import read_manifest
from controlplane.contracts.policies import LAYERS, PolicyLayer, digest_of
from controlplane.jose.jws import encode_segment
from tests.controlplane.bundles.samples import (
    BATCH,
    REVISION,
    files,
    manifest,
    segments,
    signed_anyway,
    unpacked_token,
    with_token,
)

SIGNER = BundleSigner(derive_private_key(2, SECP256R1()))
OTHER = BundleSigner(derive_private_key(3, SECP256R1()))
TRUST = Trust.of_key(SIGNER.public_key)
BODY = SIGNER.sign(files(), "base", REVISION)


def refusal(body: bytes, layer: PolicyLayer = "base", trust: Trust = TRUST) -> BundleRefused:
    with pytest.raises(BundleRefused) as caught:
        verify(body, trust, layer)
    return caught.value


def changed(**replaced: bytes | None) -> bytes:
    """The signed bundle with files replaced, added or taken away."""
    found: dict[str, bytes | None] = {**read_archive(BODY), **replaced}
    return write_archive({name: content for name, content in found.items() if content is not None})


@pytest.mark.parametrize("layer", LAYERS)
def test_what_is_signed_is_taken_as_it_is(layer: PolicyLayer) -> None:
    body = SIGNER.sign(files(layer), layer, REVISION)
    found = verify(body, TRUST, layer)
    assert (found.layer, found.revision, found.key_id) == (layer, REVISION, SIGNER.key_id)
    assert found.digest == digest_of(body) == f"sha256:{hashlib.sha256(body).hexdigest()}"
    assert found.files == files(layer)
    assert found.body == body
    root = "ztfm" if layer == "base" else layer
    assert list(found.source()) == [f"{root}/batch/batch.rego"]
    assert "package" not in repr(found)


def test_a_bundle_without_source_has_none_to_check() -> None:
    found = verify(SIGNER.sign({MANIFEST: manifest(), "ztfm/a.rego": BATCH}, "base", REVISION), TRUST, "base")
    with pytest.raises(BundleRefused, match="cannot_be_checked"):
        found.source()


def test_without_a_signature_it_is_unsigned() -> None:
    assert refusal(changed(**{SIGNATURES: None})).reason == "unsigned"
    assert refusal(changed(**{SIGNATURES: b'{"signatures": []}'})).reason == "unsigned"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b'{"signatures": "a.b.c"}',
        b'{"signatures": [1]}',
        b'{"signatures": ["a.b.c", "a.b.c"]}',
        b'{"signatures": ["a.b.c"], "plugin": "x"}',
        b'{"signatures": ["a.b.c"]}',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_a_signatures_file_of_another_form_is_malformed(content: bytes) -> None:
    assert refusal(changed(**{SIGNATURES: content})).reason == "malformed"


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE"])
@pytest.mark.parametrize("signature", ["", "kept"])
def test_alg_none_is_no_signature(alg: str, signature: str) -> None:
    header, claims, kept = unpacked_token(BODY)
    token = segments({**header, "alg": alg}, claims).decode() + "." + (kept if signature else "")
    assert refusal(with_token(BODY, token)).reason == ("unsigned" if alg == "none" else "untrusted")


def test_the_public_key_is_no_secret_for_hs256() -> None:
    header, claims, _ = unpacked_token(BODY)
    signed = segments({**header, "alg": "HS256"}, claims)
    code = hmac.new(SIGNER.public_pem.encode(), signed, hashlib.sha256).digest()
    assert refusal(with_token(BODY, (signed + b"." + encode_segment(code)).decode())).reason == "untrusted"


def test_another_key_is_untrusted_and_so_is_its_name_on_a_true_signature() -> None:
    assert refusal(OTHER.sign(files(), "base", REVISION)).reason == "untrusted"
    header, claims, kept = unpacked_token(BODY)
    for kid in (OTHER.key_id, "", None, 7, ["x"], {}):
        token = segments({**header, "kid": kid}, claims).decode() + "." + kept
        assert refusal(with_token(BODY, token)).reason == "untrusted"
    assert refusal(signed_anyway(SIGNER, BODY, {"alg": "ES256"}, claims)).reason == "untrusted"


def test_a_trusted_name_on_the_signature_of_another_key_is_tampering() -> None:
    _, claims, _ = unpacked_token(BODY)
    forged = signed_anyway(OTHER, BODY, {"alg": "ES256", "kid": SIGNER.key_id}, claims)
    assert refusal(forged).reason == "tampered"
    both = Trust({"base": {SIGNER.key_id: SIGNER.public_key, OTHER.key_id: OTHER.public_key}})
    header, claims, kept = unpacked_token(BODY)
    swapped = segments({**header, "kid": OTHER.key_id}, claims).decode() + "." + kept
    assert verify(BODY, both, "base").key_id == SIGNER.key_id
    assert refusal(with_token(BODY, swapped), trust=both).reason == "tampered"


def test_more_in_the_header_than_alg_and_kid_is_malformed() -> None:
    header, claims, _ = unpacked_token(BODY)
    for more in ({"crit": ["b64"]}, {"b64": False}, {"jwk": {}}, {"typ": "JWT"}):
        assert refusal(signed_anyway(SIGNER, BODY, {**header, **more}, claims)).reason == "malformed"


def test_every_file_is_signed_and_so_is_their_number() -> None:
    for name in files():
        assert refusal(changed(**{name: read_archive(BODY)[name] + b"\n"})).reason == "tampered", name
        assert refusal(changed(**{name: None})).reason == "tampered", name
    assert refusal(changed(**{"ztfm/extra.rego": BATCH})).reason == "tampered"
    assert refusal(changed(**{"ztfm/batch/batch.rego": None, "ztfm/batch/other.rego": BATCH})).reason == "tampered"
    assert refusal(changed(**{MANIFEST: manifest(revision="0123456789ab.ffffffffffffffff")})).reason == "tampered"


@given(st.data())
def test_a_changed_byte_in_whichever_file_is_refused(data: st.DataObject) -> None:
    found = read_archive(BODY)
    name = data.draw(st.sampled_from(sorted(found)))
    content = bytearray(found[name])
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    reason = refusal(write_archive({**found, name: bytes(content)})).reason
    assert reason in ({"tampered"} if name != SIGNATURES else {"tampered", "malformed", "untrusted"})


@given(st.data())
def test_a_changed_byte_of_the_packed_file_is_refused_or_changes_nothing_in_it(data: st.DataObject) -> None:
    body = bytearray(BODY)
    body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = verify(bytes(body), TRUST, "base")
    except BundleRefused as refused:
        assert refused.reason in ("malformed", "too_large")
        return
    # What gzip says about times and systems is nobody's content; the digest tells the two apart.
    assert found.files == files()
    assert found.digest != digest_of(BODY)


def test_what_is_signed_for_one_layer_is_not_offered_as_another() -> None:
    site = SIGNER.sign(files("site"), "site", REVISION)
    for layer in ("base", "tenant"):
        assert refusal(site, layer).reason == "conflicting"
    only_site = Trust({"site": {SIGNER.key_id: SIGNER.public_key}})
    assert verify(site, only_site, "site")
    assert refusal(site, "base", only_site).reason == "untrusted"
    assert refusal(BODY, "base", only_site).reason == "untrusted"


def test_scope_and_layer_are_one_and_signed() -> None:
    header, claims, kept = unpacked_token(BODY)
    for other in ({"scope": "site"}, {"ztfm": {**claims["ztfm"], "layer": "site"}}):
        forged = segments(header, {**claims, **other}).decode() + "." + kept
        assert refusal(with_token(BODY, forged)).reason == "tampered"
        assert refusal(signed_anyway(SIGNER, BODY, header, {**claims, **other})).reason == "conflicting"


@pytest.mark.parametrize(
    "roots",
    [
        ["ztfm"],
        ["data"],
        ["ztfm", "data", "site"],
        ["ztfm", "data", "system"],
        [""],
        [],
        ["data", "ztfm/batch"],
        ["combined"],
        ["data", "layers", "ztfm"],
    ],
)
def test_a_bundle_that_claims_anything_but_its_own_is_conflicting(roots: list[str]) -> None:
    content = {**files(), MANIFEST: manifest(roots=roots)}
    assert refusal(SIGNER.sign(content, "base", REVISION)).reason == "conflicting"


def test_a_layer_does_not_claim_what_another_owns() -> None:
    for layer in LAYERS:
        for other in set(LAYERS) - {layer}:
            content = {**files(layer), MANIFEST: manifest(layer, roots=list(ROOTS[other]))}
            assert refusal(SIGNER.sign(content, layer, REVISION), layer).reason == "conflicting"
    content = {**files(), MANIFEST: manifest(metadata={"layer": "site"})}
    assert refusal(SIGNER.sign(content, "base", REVISION)).reason == "conflicting"


@pytest.mark.parametrize(
    "other",
    [
        {"wasm": [{"entrypoint": "ztfm/batch/decisions", "module": "/embedded.wasm"}]},
        {"rego_version": 0},
        {"rego_version": True},
        {"rego_version": None},
        {"file_rego_versions": {"*": 0}},
        {"metadata": {}},
        {"metadata": {"layer": "base", "more": 1}},
        {"metadata": None},
        {"metadata": {"layer": "galaxy"}},
        {"roots": "ztfm"},
        {"roots": None},
        {"roots": [1]},
        {"revision": ""},
        {"revision": 7},
        {"revision": None},
        {"revision": "0123456789ab.ffffffffffffffff"},
        {"revision": "a b"},
    ],
    ids=repr,
)
def test_a_manifest_that_says_more_or_other_than_ours_is_malformed(other: dict[str, Any]) -> None:
    content = {**files(), MANIFEST: manifest(**other)}
    assert refusal(SIGNER.sign(content, "base", REVISION)).reason == "malformed"


@pytest.mark.parametrize("name", ["revision", "roots", "rego_version", "metadata"])
def test_a_manifest_that_says_less_is_malformed(name: str) -> None:
    whole = json.loads(manifest())
    del whole[name]
    with pytest.raises(BundleRefused, match="malformed"):
        read_manifest({MANIFEST: json.dumps(whole).encode()})


@pytest.mark.parametrize(
    "name",
    [
        "policy.wasm",
        "ztfm/policy.wasm",
        "patch.json",
        "plan.json",
        "ztfm/data.json",
        "data.yaml",
        "x",
        ".manifest.rego/x",
    ],
)
def test_files_that_opa_would_take_for_something_else_are_malformed(name: str) -> None:
    assert refusal(SIGNER.sign({**files(), name: b"{}"}, "base", REVISION)).reason == "malformed"


def test_without_a_manifest_it_is_malformed() -> None:
    content = files()
    del content[MANIFEST]
    assert refusal(SIGNER.sign(content, "base", REVISION)).reason == "malformed"


def _retyped() -> list[Any]:
    _, claims, _ = unpacked_token(BODY)
    found: list[Any] = [[], "x", None, {**claims, "keyid": "x"}, {**claims, "ztfm": {**claims["ztfm"], "more": 1}}]
    for name in claims:
        found += [{key: value for key, value in claims.items() if key != name}]
        found += [{**claims, name: value} for value in (None, 7, [], {}, "", [None])]
    for name in claims["ztfm"]:
        found += [{**claims, "ztfm": {key: value for key, value in claims["ztfm"].items() if key != name}}]
        found += [{**claims, "ztfm": {**claims["ztfm"], name: value}} for value in (None, 7, [], "", {"a": 1})]
    for name in claims["files"][0]:
        found += [{**claims, "files": [{**claims["files"][0], name: None}]}]
    return found


@pytest.mark.parametrize("claims", _retyped())
def test_truly_signed_claims_of_another_form_are_refused(claims: Any) -> None:
    header, _, _ = unpacked_token(BODY)
    assert refusal(signed_anyway(SIGNER, BODY, header, claims)).reason in ("malformed", "tampered")


def test_hashes_for_opa_that_differ_from_ours_are_refused() -> None:
    header, claims, _ = unpacked_token(BODY)
    for item in range(len(claims["files"])):
        other = json.loads(json.dumps(claims["files"]))
        other[item]["hash"] = "0" * 64
        assert refusal(signed_anyway(SIGNER, BODY, header, {**claims, "files": other})).reason == "tampered"
    assert refusal(signed_anyway(SIGNER, BODY, header, {**claims, "files": claims["files"][1:]})).reason == "tampered"
    assert refusal(signed_anyway(SIGNER, BODY, header, {**claims, "files": claims["files"] * 2})).reason == "tampered"
    fewer = {**claims["ztfm"], "files": {k: v for k, v in claims["ztfm"]["files"].items() if k != SOURCE}}
    assert refusal(signed_anyway(SIGNER, BODY, header, {**claims, "ztfm": fewer})).reason == "tampered"


def test_data_that_is_no_json_is_malformed() -> None:
    header, claims, _ = unpacked_token(BODY)
    for content in (b"", b"{", b"NaN", b'{"a": Infinity}', b"\xff", b"[" * 100_000, b'"\\ud800"'):
        with pytest.raises(BundleRefused, match="malformed"):
            SIGNER.sign({**files(), DATA: content}, "base", REVISION)
        body = write_archive({**read_archive(BODY), DATA: content})
        ours = {**claims["ztfm"]["files"], DATA: hashlib.sha256(content).hexdigest()}
        forged = signed_anyway(SIGNER, body, header, {**claims, "ztfm": {**claims["ztfm"], "files": ours}})
        assert refusal(forged).reason == "malformed"


def test_too_large_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controlplane.bundles.archive.MAX_PACKED_BYTES", 100)
    assert refusal(BODY).reason == "too_large"


def test_details_are_bounded() -> None:
    found = BundleRefused("malformed", "x" * 10_000)
    assert len(found.detail) == 4096


@pytest.mark.parametrize("forged", ["ab.0123456789abcdef+site:cd.0123456789abcdef", "site:none", "ab+cd"])
def test_a_revision_speaks_for_no_other_layer(forged: str) -> None:
    body = SIGNER.sign({**files(), MANIFEST: manifest(revision=forged)}, "base", forged)
    assert refusal(body).reason == "malformed"
