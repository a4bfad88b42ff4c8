"""Signatures under models: what holds, whose counts, and that nothing else does."""

import base64
import copy
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.transparency.modelfiles import verify_model
from controlplane.transparency.modelsignatures import TENSORS_FILE, stated_tensors, verify_bundle
from controlplane.transparency.modelsigners import SignatureRefused, Signers, SignersInvalid, load_signers
from tests.modelsigning import (
    AT,
    KEY,
    STRANGER,
    bundle,
    certified,
    coded,
    digest_of,
    public_pem,
    signed_text,
    statement,
    trusting,
    written,
)

FILES = {"config.json": b"{}", "model.safetensors": b"weights", "sub/more.bin": b"more"}
SIGNERS = Signers({"example-lab": KEY.public_key()})
ROOT = ec.derive_private_key(9, ec.SECP256R1())


def refused(text: str | bytes, signers: Signers = SIGNERS, at: float = AT) -> str:
    with pytest.raises(SignatureRefused) as found:
        verify_bundle(text, signers, at)
    return found.value.cause


def changed(path: str, value: Any) -> str:
    document = bundle(statement("a", FILES))
    *way, last = path.split("/")
    node: Any = document
    for part in way:
        node = node[int(part)] if isinstance(node, list) else node[part]
    node[last] = value
    return json.dumps(document)


def test_a_signature_says_what_was_signed_and_by_whom() -> None:
    found = verify_bundle(signed_text("fall-detection", FILES), SIGNERS, AT)
    assert (found.by.signer, found.by.signed_as, found.manifest.called) == ("example-lab", "", "fall-detection")
    assert found.manifest.files == {name: digest_of(content) for name, content in FILES.items()}


def test_the_same_files_signed_with_another_key_are_another_version_and_signed_again_they_are_not() -> None:
    signers = Signers({"example-lab": KEY.public_key(), "another": STRANGER.public_key()})
    one, again, other = (verify_bundle(signed_text("a", FILES, key), signers, AT) for key in (KEY, KEY, STRANGER))
    assert one.manifest == again.manifest == other.manifest
    assert one.id == again.id != other.id


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_signers_may_have_larger_keys(curve: ec.EllipticCurve) -> None:
    key = ec.derive_private_key(11, curve)
    signers = Signers({"large": key.public_key()})
    assert verify_bundle(signed_text("a", FILES, key), signers, AT).by.signer == "large"


def test_of_a_model_that_is_one_file_the_name_is_that_of_the_file_less_its_ending() -> None:
    found = verify_bundle(signed_text("tiny-1.5.safetensors", {".": b"weights"}), SIGNERS, AT)
    assert found.manifest.called == "tiny-1.5"


def test_nobody_elses_signature_counts() -> None:
    text = signed_text("a", FILES, STRANGER)
    assert refused(text) == "untrusted"
    assert refused(text, Signers()) == "untrusted"
    claimed = bundle(statement("a", FILES), STRANGER)
    claimed["verificationMaterial"] = bundle(statement("a", FILES))["verificationMaterial"]
    assert refused(json.dumps(claimed)) == "signature"


def test_every_flipped_bit_of_what_was_signed_is_noticed() -> None:
    document = bundle(json.dumps(statement("a", {".": b"x"})).encode())
    whole = copy.deepcopy(document)
    for member in ("payload", "sig"):
        envelope = document["dsseEnvelope"]
        holder = envelope if member == "payload" else envelope["signatures"][0]
        kept = holder[member]
        raw = bytearray(base64.b64decode(kept))
        for bit in range(len(raw) * 8):
            raw[bit // 8] ^= 1 << bit % 8
            holder[member] = coded(bytes(raw))
            assert refused(json.dumps(document)) == "signature"
            raw[bit // 8] ^= 1 << bit % 8
        holder[member] = kept
    assert document == whole


@pytest.mark.parametrize(
    ("path", "value", "cause"),
    [
        ("mediaType", "application/vnd.dev.sigstore.bundle+json;version=0.1", "unsupported"),
        ("verificationMaterial", {"certificate": {"rawBytes": ""}}, "unsupported"),
        ("verificationMaterial", {}, "unsupported"),
        ("verificationMaterial/publicKey", {}, "malformed"),
        ("verificationMaterial/publicKey/hint", None, "untrusted"),
        ("verificationMaterial/publicKey/hint", "", "untrusted"),
        ("dsseEnvelope/payloadType", "application/json", "unsupported"),
        ("dsseEnvelope/signatures", [], "unsigned"),
        ("dsseEnvelope/signatures", None, "unsigned"),
        ("dsseEnvelope/signatures", [{"sig": ""}, {"sig": ""}], "unsupported"),
        ("dsseEnvelope/signatures/0/sig", "", "signature"),
        ("dsseEnvelope/signatures/0/sig", "AA=A", "malformed"),
        ("dsseEnvelope/payload", "", "signature"),
        ("dsseEnvelope/payload", None, "malformed"),
    ],
)  # fmt: skip
def test_what_is_no_signature_of_ours_is_refused_by_name(path: str, value: Any, cause: str) -> None:
    assert refused(changed(path, value)) == cause


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "1", '"x"', "{}", '{"mediaType": 1, "mediaType": 2}', "[" * 999, "\ud800"]
)
def test_what_is_no_bundle_is_malformed(text: str) -> None:
    assert refused(text) == "malformed"


def manifest_with(**changes: Any) -> str:
    stated = statement("a", FILES)
    for path, value in changes.items():
        *way, last = path.split("__")
        node: Any = stated
        for part in way:
            node = node[int(part)] if isinstance(node, list) else node[part]
        if isinstance(node, list):
            node[int(last)] = value
        else:
            node[last] = value
    return json.dumps(bundle(stated))


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"predicateType": "https://model_signing/Digests/v0.1"}, "unsupported"),
        ({"_type": "x"}, "unsupported"),
        ({"subject": []}, "malformed"),
        ({"subject__0__name": ""}, "malformed"),
        ({"subject__0__digest__sha256": "00" * 32}, "inconsistent"),
        ({"predicate__serialization__method": "shards"}, "unsupported"),
        ({"predicate__serialization__hash_type": "blake3"}, "unsupported"),
        ({"predicate__resources": []}, "malformed"),
        ({"predicate__resources__0__algorithm": "blake2"}, "unsupported"),
        ({"predicate__resources__0__digest": "00"}, "unsupported"),
        ({"predicate__resources__0__name": "model.safetensors"}, "inconsistent"),
        ({"predicate__resources__0__name": "../config.json"}, "inconsistent"),
        ({"predicate__resources__0__name": "/etc/config.json"}, "inconsistent"),
        ({"predicate__resources__0__name": "a//b"}, "inconsistent"),
        ({"predicate__resources__0__name": "."}, "inconsistent"),
        ({"predicate__resources__0__name": None}, "inconsistent"),
    ],
)  # fmt: skip
def test_a_manifest_that_contradicts_itself_is_refused_though_it_is_signed(changes: Any, cause: str) -> None:
    assert refused(manifest_with(**changes)) == cause


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def _places(node: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [found for key, inner in items for found in [(*at, key), *_places(inner, (*at, key))]]


@given(data=st.data(), value=_JSON, signs=st.booleans())
@settings(max_examples=150, deadline=None)
def test_whatever_stands_in_its_place_is_refused_or_changes_nothing(
    data: st.DataObject, value: Any, signs: bool
) -> None:
    """In the bundle, or in what is signed: no other fault comes out, and nothing verifies as something else."""
    stated = statement("a", FILES)
    document = stated if signs else bundle(stated)
    *way, last = data.draw(st.sampled_from(_places(document)))
    node: Any = document
    for part in way:
        node = node[part]
    node[last] = value
    text = json.dumps(bundle(document) if signs else document)
    try:
        found = verify_bundle(text, SIGNERS, AT)
    except SignatureRefused:
        return
    assert found.by.signer == "example-lab"
    assert signs or found.manifest.files == {name: digest_of(content) for name, content in FILES.items()}


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(SignatureRefused):
        verify_bundle(raw, SIGNERS, AT)


def test_a_certificate_counts_that_leads_to_a_trusted_root_while_it_is_valid() -> None:
    leaf, root = certified(ROOT)
    signers = Signers(roots={"example-maker": [root]})
    text = json.dumps(bundle(statement("a", FILES), KEY, [leaf, root]))
    found = verify_bundle(text, signers, AT)
    assert (found.by.signer, found.by.signed_as) == ("example-maker", "CN=release@example.org")
    assert refused(text, signers, AT + 11 * 86_400) == "expired"
    assert refused(text, signers, AT - 2 * 86_400) == "not_yet_valid"
    outliving = json.dumps(bundle(statement("a", FILES), KEY, [certified(ROOT, days=2000)[0]]))
    assert verify_bundle(outliving, signers, AT).by.signer == "example-maker"
    assert refused(outliving, signers, AT + 1001 * 86_400) == "untrusted"
    assert refused(text, Signers(roots={"other": [certified(STRANGER)[1]]})) == "untrusted"
    assert refused(text) == "untrusted"


@pytest.mark.parametrize(
    "options",
    [{"usage": False}, {"purposes": [ExtendedKeyUsageOID.SERVER_AUTH]}, {"is_authority": True}],
    ids=["not for signatures", "not for code", "an authority"],
)
def test_a_certificate_for_something_else_counts_for_nothing(options: Any) -> None:
    leaf, root = certified(ROOT, **options)
    text = json.dumps(bundle(statement("a", FILES), KEY, [leaf, root]))
    assert refused(text, Signers(roots={"example-maker": [root]})) == "untrusted"


def test_a_certificate_of_another_key_signs_nothing() -> None:
    leaf, root = certified(ROOT, STRANGER)
    text = json.dumps(bundle(statement("a", FILES), KEY, [leaf, root]))
    assert refused(text, Signers(roots={"example-maker": [root]})) == "signature"


def test_a_model_is_verified_with_its_files_and_each_change_is_named(tmp_path: Path) -> None:
    model = written(tmp_path / "fall-detection", FILES)
    assert verify_model(model, SIGNERS, AT).manifest.called == "fall-detection"
    (model / "model.safetensors").write_bytes(b"Weights")
    with pytest.raises(SignatureRefused, match=r"model\.safetensors was changed"):
        verify_model(model, SIGNERS, AT)
    written(model, FILES)
    (model / "added.py").write_text("import os")
    with pytest.raises(SignatureRefused, match=r"added\.py is there and was not signed"):
        verify_model(model, SIGNERS, AT)
    (model / "added.py").unlink()
    (model / "config.json").unlink()
    with pytest.raises(SignatureRefused, match=r"config\.json was signed and is missing"):
        verify_model(model, SIGNERS, AT)
    (model / "config.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SignatureRefused, match=r"config\.json is a link"):
        verify_model(model, SIGNERS, AT)
    (model / "model.sig").unlink()
    with pytest.raises(SignatureRefused, match="ztfm models sign"):
        verify_model(model, SIGNERS, AT)


def test_what_is_said_of_tensors_counts_where_it_was_signed_alone() -> None:
    told = json.dumps({"digest": digest_of(b"tensors"), "files": ["model.safetensors"]})
    files = {**FILES, TENSORS_FILE: told.encode()}
    manifest = verify_bundle(signed_text("a", files), SIGNERS, AT).manifest
    assert stated_tensors(told, manifest) == digest_of(b"tensors")
    with pytest.raises(SignatureRefused, match="UTF-8"):
        stated_tensors("\ud800", manifest)
    for other in (told + " ", "{}", ""):
        with pytest.raises(SignatureRefused, match="is not the signed"):
            stated_tensors(other, manifest)
    for wrong in (
        "[]",
        "{",
        '{"digest": "sha256:00", "files": ["model.safetensors"]}',
        '{"digest": null, "files": []}',
    ):
        signed = verify_bundle(signed_text("a", {**FILES, TENSORS_FILE: wrong.encode()}), SIGNERS, AT).manifest
        with pytest.raises(SignatureRefused):
            stated_tensors(wrong, signed)


def test_a_folder_of_signers_holds_keys_and_roots_by_name(tmp_path: Path) -> None:
    root = certified(ROOT)[1].public_bytes(Encoding.PEM)
    signers = load_signers(trusting(tmp_path / "signers", example_lab=public_pem(), example_maker=root))
    assert len(signers) == 2
    assert verify_bundle(signed_text("a", FILES), signers, AT).by.signer == "example-lab"
    assert len(load_signers(None)) == 0


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("Lab.pem", public_pem(), "a signer's name is"),
        ("lab.pem", b"nothing", "neither a public key nor certificates"),
        ("other.pem", public_pem(), "hold one key or root"),
    ],
)
def test_a_folder_that_cannot_be_used_says_which_file(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    trusting(tmp_path, known=public_pem())
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SignersInvalid, match=words):
        load_signers(tmp_path)
