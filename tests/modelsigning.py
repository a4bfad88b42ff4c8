"""Signatures under models, written here by hand, so that tests can write what a library would not."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PAYLOAD_TYPE = "application/vnd.in-toto+json"
AT = 1_767_225_600.0
"""When all certificates here are valid, Unix seconds."""

KEY = ec.derive_private_key(7, ec.SECP256R1())
STRANGER = ec.derive_private_key(8, ec.SECP256R1())


def public_pem(key: ec.EllipticCurvePrivateKey = KEY) -> bytes:
    """Return a key's public part as a folder of signers holds it."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def trusting(folder: Path, **named: bytes) -> Path:
    """Return a folder of signers."""
    folder.mkdir(exist_ok=True)
    for name, pem in named.items():
        (folder / f"{name.replace('_', '-')}.pem").write_bytes(pem)
    return folder


def statement(name: str, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the statement about a model's files."""
    digests = {path: hashlib.sha256(content).digest() for path, content in sorted(files.items())}
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": hashlib.sha256(b"".join(digests.values())).hexdigest()}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": []},
            "resources": [
                {"name": path, "algorithm": "sha256", "digest": digest.hex()} for path, digest in digests.items()
            ],
        },
    }


def bundle(
    stated: Mapping[str, Any] | bytes,
    key: ec.EllipticCurvePrivateKey = KEY,
    chain: Sequence[x509.Certificate] = (),
) -> dict[str, Any]:
    """Return a statement that is signed by a key, or by the first certificate of a chain."""
    payload = stated if isinstance(stated, bytes) else json.dumps(stated).encode()
    signed = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
    used: hashes.HashAlgorithm = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}[key.key_size]
    material: dict[str, Any] = {"publicKey": {"hint": hashlib.sha256(public_pem(key)).hexdigest()}}
    if chain:
        certificates = [{"rawBytes": coded(one.public_bytes(Encoding.DER))} for one in chain]
        material = {"x509CertificateChain": {"certificates": certificates}}
    return {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {**material, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": coded(payload),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": coded(key.sign(signed, ec.ECDSA(used))), "keyid": ""}],
        },
    }


def coded(content: bytes) -> str:
    """Return base64."""
    return base64.b64encode(content).decode()


def signed_text(name: str, files: Mapping[str, bytes], key: ec.EllipticCurvePrivateKey = KEY) -> str:
    """Return the text of a signature under a model's files."""
    return json.dumps(bundle(statement(name, files), key))


def digest_of(content: bytes) -> str:
    """Return the digest of a file as requests name it."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def written(folder: Path, files: Mapping[str, bytes], key: ec.EllipticCurvePrivateKey = KEY) -> Path:
    """Return a folder that holds a signed model, called like the folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "model.sig").write_text(signed_text(folder.name, files, key))
    return folder


def certified(
    root_key: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePrivateKey = KEY,
    *,
    days: int = 10,
    usage: bool = True,
    purposes: Sequence[x509.ObjectIdentifier] = (ExtendedKeyUsageOID.CODE_SIGNING,),
    is_authority: bool = False,
) -> tuple[x509.Certificate, x509.Certificate]:
    """Return a signer's certificate and the root that it leads to."""
    root_name, name = _named("Signers of an example"), _named("release@example.org")
    root = (
        _begun(root_name, root_name, root_key, 1000)
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    leaf = (
        _begun(name, root_name, key, days)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        .add_extension(_usage(signs=usage), critical=True)
    )
    if purposes:
        leaf = leaf.add_extension(x509.ExtendedKeyUsage(list(purposes)), critical=False)
    return leaf.sign(root_key, hashes.SHA256()), root


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    at = datetime.fromtimestamp(AT, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(days=1))
        .not_valid_after(at + timedelta(days=days))
    )


def _usage(*, signs: bool = False, signs_certificates: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs,
        content_commitment=not signs and not signs_certificates,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
