"""The key that signs policies: kept privately, never shown, and it signs the same way each time."""

import copy
import json
import pickle
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    SECP384R1,
    derive_private_key,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from controlplane.bundles import BundleRefused, BundleSigner, PolicyKeyError, Trust, read_archive, verify
from controlplane.bundles.keys import MAX_KEYS, key_id, public_pem, read_public
from controlplane.bundles.layout import SIGNATURES
from controlplane.bundles.signing import claims_of, with_signature
from controlplane.bundles.verification import signer_of
from controlplane.jose.jws import encode_segment
from tests.controlplane.bundles.samples import REVISION, files, unpacked_token

PRIVATE = derive_private_key(5, SECP256R1())
SIGNER = BundleSigner(PRIVATE)


def private_file(path: Path, passphrase: bytes | None = None, key: object = PRIVATE) -> Path:
    form: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        form = serialization.BestAvailableEncryption(passphrase)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, form)  # type: ignore[attr-defined]
    path.write_bytes(pem)
    path.chmod(0o600)
    return path


def test_the_same_files_signed_with_the_same_key_are_the_same_bytes() -> None:
    first = SIGNER.sign(files(), "base", REVISION)
    again = BundleSigner(derive_private_key(5, SECP256R1()))
    assert again.sign(dict(reversed(files().items())), "base", REVISION) == first
    assert SIGNER.sign(files(), "base", "other.00112233aabbccdd") != first


def test_a_signature_that_is_there_is_replaced() -> None:
    other = BundleSigner.generate()
    body = SIGNER.sign(read_archive(other.sign(files(), "base", REVISION)), "base", REVISION)
    assert body == SIGNER.sign(files(), "base", REVISION)


def test_the_token_says_who_signed_what_for_which_layer() -> None:
    header, claims, _ = unpacked_token(SIGNER.sign(files("site"), "site", REVISION))
    assert header == {"alg": "ES256", "kid": SIGNER.key_id}
    assert claims["scope"] == claims["ztfm"]["layer"] == "site"
    assert [item["name"] for item in claims["files"]] == sorted(claims["ztfm"]["files"]) == sorted(files("site"))
    assert SIGNATURES not in claims["ztfm"]["files"]


def test_a_key_is_made_once_and_kept_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "policy-signing.key"
    assert BundleSigner.load(path) is None
    made = BundleSigner.load_or_create(path)
    assert path.stat().st_mode & 0o777 == 0o600
    again = BundleSigner.load_or_create(path)
    assert (again.key_id, again.public_pem) == (made.key_id, made.public_pem)
    assert len(made.key_id) == 43


def test_a_key_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    path = private_file(tmp_path / "key.pem")
    path.chmod(0o644)
    for load in (BundleSigner.load, BundleSigner.load_or_create):
        with pytest.raises(PolicyKeyError, match="mode 0644"):
            load(path)


def test_a_closed_key_opens_with_its_passphrase_alone(tmp_path: Path) -> None:
    path = private_file(tmp_path / "key.pem", b"correct")
    found = BundleSigner.load(path, "correct")
    assert found is not None and found.key_id == SIGNER.key_id
    for wrong in (None, "", "other"):
        with pytest.raises(PolicyKeyError, match="passphrase") as caught:
            BundleSigner.load(path, wrong)
        assert "correct" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n", b"\xff"])
def test_what_is_no_key_is_refused_without_being_shown(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(PolicyKeyError) as caught:
        BundleSigner.load_or_create(path)
    assert "secret" not in str(caught.value)
    assert path.read_bytes() == content


def test_only_p256_signs(tmp_path: Path) -> None:
    for key in (generate_private_key(SECP384R1()), Ed25519PrivateKey.generate()):
        with pytest.raises(PolicyKeyError, match="P-256"):
            BundleSigner.load(private_file(tmp_path / "key.pem", key=key))


def test_a_folder_in_the_way_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "key.pem"):
        with pytest.raises(PolicyKeyError, match=str(tmp_path)):
            BundleSigner.load_or_create(path)


def test_the_private_part_is_never_shown_or_copied() -> None:
    number = PRIVATE.private_numbers().private_value
    assert str(number) not in repr(SIGNER)
    assert repr(SIGNER) == f"BundleSigner(key_id={SIGNER.key_id!r})"
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            copied(SIGNER)


def test_trust_goes_by_layer(tmp_path: Path) -> None:
    site, base = BundleSigner.generate(), BundleSigner.generate()
    for layer, signer in (("base", base), ("site", site), ("galaxy", SIGNER)):
        (tmp_path / layer).mkdir()
        (tmp_path / layer / "one.pem").write_text(signer.public_pem)
    (tmp_path / "base" / "notes.txt").write_text("not a key")
    trust = Trust.of_folder(tmp_path)
    assert set(trust.keys("base")) == {base.key_id}
    assert set(trust.keys("site")) == {site.key_id}
    assert not trust.keys("tenant")
    assert verify(site.sign(files("site"), "site", REVISION), trust, "site").key_id == site.key_id


def test_one_key_is_trusted_for_every_layer() -> None:
    trust = Trust.of_key(SIGNER.public_key)
    assert all(set(trust.keys(layer)) == {SIGNER.key_id} for layer in ("base", "tenant", "site"))


def test_a_trust_folder_without_a_key_is_an_error_and_not_a_pass(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(PolicyKeyError, match="holds no keys"):
            Trust.of_folder(folder)


def test_what_is_no_public_p256_key_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    path = tmp_path / "base" / "one.pem"
    private_file(path)
    with pytest.raises(PolicyKeyError, match=str(path)):
        Trust.of_folder(tmp_path)
    path.write_text("nothing")
    with pytest.raises(PolicyKeyError, match=str(path)):
        read_public(path)
    for key in (generate_private_key(SECP384R1()).public_key(), Ed25519PrivateKey.generate().public_key()):
        info = serialization.PublicFormat.SubjectPublicKeyInfo
        path.write_bytes(key.public_bytes(serialization.Encoding.PEM, info))
        with pytest.raises(PolicyKeyError, match="P-256"):
            read_public(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(PolicyKeyError, match="cannot be read"):
        Trust.of_folder(tmp_path)


def test_the_keys_of_a_layer_are_bounded(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    for number in range(MAX_KEYS + 1):
        (tmp_path / "base" / f"{number}.pem").write_text(SIGNER.public_pem)
    with pytest.raises(PolicyKeyError, match="at most"):
        Trust.of_folder(tmp_path)


def test_a_public_key_is_written_as_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "one.pem").write_text(public_pem(SIGNER.public_key))
    assert key_id(read_public(tmp_path / "one.pem")) == SIGNER.key_id


def test_a_signature_that_was_made_elsewhere_makes_the_same_bundle() -> None:
    """What a browser signs: it gets the claims, and gives a token back."""
    claims = claims_of(files(), "base", REVISION)
    header = encode_segment(json.dumps({"alg": "ES256", "kid": SIGNER.key_id}, separators=(",", ":")).encode())
    signed = header + b"." + encode_segment(claims)
    pair = decode_dss_signature(PRIVATE.sign(signed, ECDSA(SHA256())))
    token = (signed + b"." + encode_segment(b"".join(part.to_bytes(32, "big") for part in pair))).decode()
    body = with_signature({**files(), SIGNATURES: b"of somebody else"}, token)
    trust = Trust.of_key(SIGNER.public_key)
    verified = verify(body, trust, "base")
    assert (verified.key_id, verified.revision, dict(verified.files)) == (SIGNER.key_id, REVISION, files())
    assert signer_of(token, trust, "base") == SIGNER.key_id
    for spoilt in (token[:-4] + "AAAA", token.partition(".")[2], "", "a.b.c"):
        with pytest.raises(BundleRefused):
            signer_of(spoilt, trust, "base")
    with pytest.raises(BundleRefused) as refused:
        signer_of(token, Trust.of_key(BundleSigner.generate().public_key), "base")
    assert refused.value.reason == "untrusted"
