"""Signatures under models (OpenSSF model signing 1.0): a manifest of every file's digest, verified without its files.

The form is that of https://github.com/sigstore/model-transparency: a Sigstore bundle around a DSSE envelope around an
in-toto statement. Bundles by keys and by certificates are read; those that need a transparency log of others are not,
nor are the forms of versions before 1.0.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey

from controlplane.contracts.models import MAX_BUNDLE_CHARS, MAX_FILE_CHARS, MAX_FILES
from controlplane.contracts.unambiguous import read_json
from controlplane.transparency.modelsigners import Known, SignatureRefused, Signers, hint_of
from controlplane.transparency.statements import PAYLOAD_TYPE, STATEMENT_TYPE, authenticated

SIGNATURE_FILE = "model.sig"
"""What a signature is called in the folder of what it is about."""

TENSORS_FILE = "ztfm-tensors.json"
"""The file of a model in which its signer states the digest of its tensors, as rounds name weights."""

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"

_HEX = re.compile(r"[0-9a-f]{64}")
_HASHES: dict[int, type[hashes.HashAlgorithm]] = {256: hashes.SHA256, 384: hashes.SHA384, 521: hashes.SHA512}


@dataclass(frozen=True)
class Manifest:
    """What was signed.

    Attributes:
        name: what the signer called the model.
        id: digest of the statement as it was signed.
        root: digest over all files' digests, as OpenSSF model signing makes it; it says nothing of their names.
        files: digests by path below the model's folder; under ``.`` where the model is one file.
    """

    name: str
    id: str
    root: str
    files: dict[str, str]

    @property
    def called(self) -> str:
        """The model that it is about: the name of its folder, or of the file that it is, less the file's ending."""
        return PurePosixPath(self.name).stem if "." in self.files else self.name


@dataclass(frozen=True)
class Verified:
    """A manifest, and who signed it.

    Attributes:
        manifest: what was signed.
        by: whose key verified it.
    """

    manifest: Manifest
    by: Known

    @property
    def id(self) -> str:
        """Digest of what was signed and of the key together.

        Of the same files every signer signs the same bytes. By those alone, whatever a stolen key had signed first
        could never be signed by another.
        """
        key = f"{self.manifest.id} {hint_of(self.by.key)}"
        return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def verify_bundle(bundle: str | bytes, signers: Signers, at: float) -> Verified:
    """Return what a signature says, where it is one of a trusted signer.

    Args:
        bundle: the text of ``model.sig``.
        signers: whose signatures count.
        at: Unix seconds; a signer's certificate has to be valid then.

    Raises:
        SignatureRefused: it does not hold, or is nobody's who is trusted.
    """
    raw = _encoded(bundle) if isinstance(bundle, str) else bundle
    if len(raw) > MAX_BUNDLE_CHARS:
        raise SignatureRefused("malformed", f"a signature has at most {MAX_BUNDLE_CHARS} bytes")
    try:
        found = read_json(raw)
        if found["mediaType"] != MEDIA_TYPE:
            raise SignatureRefused("unsupported", f"signatures are bundles of the type {MEDIA_TYPE}")
        material, envelope = found["verificationMaterial"], found["dsseEnvelope"]
        signatures = envelope["signatures"]
        if not isinstance(signatures, list) or not signatures:
            raise SignatureRefused("unsigned", "it bears no signature")
        if len(signatures) != 1 or envelope["payloadType"] != PAYLOAD_TYPE:
            raise SignatureRefused("unsupported", "it is one signature under one in-toto statement")
        payload, signature = _decoded(envelope["payload"]), _decoded(signatures[0]["sig"])
        known = _known(material, signers, at)
        _require_signed(payload, signature, known.key)
        return Verified(_manifest(payload), known)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise SignatureRefused("malformed", "it is no bundle of a signed manifest") from None


def stated_tensors(text: str, manifest: Manifest) -> str:
    """Return the digest of a model's tensors, which its signer stated in a file of it.

    Args:
        text: of the file.
        manifest: that names the file.

    Raises:
        SignatureRefused: it is not that file, or says nothing of the kind.
    """
    raw = _encoded(text)
    digest = "sha256:" + hashlib.sha256(raw).hexdigest()
    if manifest.files.get(TENSORS_FILE) != digest:
        raise SignatureRefused("inconsistent", f"what is said of tensors is not the signed {TENSORS_FILE}")
    try:
        found = read_json(raw)
        stated, files = str(found["digest"]), found["files"]
        if not stated.startswith("sha256:") or not _HEX.fullmatch(stated.removeprefix("sha256:")):
            raise SignatureRefused("malformed", f"{TENSORS_FILE} states no digest")
        if not isinstance(files, list) or not files or any(name not in manifest.files for name in files):
            raise SignatureRefused("inconsistent", f"{TENSORS_FILE} is about files that were not signed")
    except (KeyError, TypeError, ValueError, AttributeError):
        raise SignatureRefused("malformed", f"{TENSORS_FILE} is no statement of tensors") from None
    return stated


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise SignatureRefused("malformed", "it is no text in UTF-8") from None


def _known(material: Any, signers: Signers, at: float) -> Known:
    kinds = {"publicKey", "x509CertificateChain", "certificate"} & material.keys()
    if kinds == {"publicKey"}:
        return signers.by_hint(str(material["publicKey"]["hint"]))
    if kinds == {"x509CertificateChain"}:
        chain = material["x509CertificateChain"]["certificates"]
        return signers.by_chain([_decoded(one["rawBytes"]) for one in chain], at)
    raise SignatureRefused("unsupported", "it is by a key or by a chain of certificates; other kinds are not read")


def _require_signed(payload: bytes, signature: bytes, key: EllipticCurvePublicKey) -> None:
    try:
        key.verify(signature, authenticated(payload), ECDSA(_HASHES[key.key_size]()))
    except InvalidSignature:
        raise SignatureRefused("signature", "the signature does not hold: what was signed is something else") from None


def _manifest(payload: bytes) -> Manifest:
    stated = read_json(payload)
    if (stated["_type"], stated["predicateType"]) != (STATEMENT_TYPE, PREDICATE_TYPE):
        raise SignatureRefused("unsupported", f"what is signed is a statement of the kind {PREDICATE_TYPE}")
    (subject,) = stated["subject"]
    how, resources = stated["predicate"]["serialization"], stated["predicate"]["resources"]
    if how["method"] != "files" or how["hash_type"] != "sha256":
        raise SignatureRefused("unsupported", "files are hashed whole, with SHA-256")
    name, root = subject["name"], subject["digest"]["sha256"]
    if not isinstance(name, str) or not 1 <= len(name) <= 128 or not name.isprintable():
        raise SignatureRefused("malformed", "the model's name has 1 to 128 printable characters")
    if not isinstance(resources, list) or not 1 <= len(resources) <= MAX_FILES:
        raise SignatureRefused("malformed", f"a manifest has 1 to {MAX_FILES} files")
    files, digests = _files(resources)
    if hashlib.sha256(b"".join(digests)).hexdigest() != root:
        raise SignatureRefused("inconsistent", "the files' digests are not those that the root digest is of")
    return Manifest(name, "sha256:" + hashlib.sha256(payload).hexdigest(), f"sha256:{root}", files)


def _files(resources: Sequence[Any]) -> tuple[dict[str, str], list[bytes]]:
    files: dict[str, str] = {}
    digests = []
    for one in resources:
        name, digest = one["name"], one["digest"]
        if one["algorithm"] != "sha256" or not isinstance(digest, str) or not _HEX.fullmatch(digest):
            raise SignatureRefused("unsupported", "files are hashed whole, with SHA-256")
        if not _is_inside(name) or name in files:
            raise SignatureRefused("inconsistent", "a file is named twice, or lies outside the model's folder")
        files[name] = f"sha256:{digest}"
        digests.append(bytes.fromhex(digest))
    if "." in files and len(files) != 1:
        raise SignatureRefused("inconsistent", "a model is one file, or a folder of files")
    return files, digests


def _is_inside(name: object) -> bool:
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_FILE_CHARS or not name.isprintable():
        return False
    path = PurePosixPath(name)
    return name == str(path) and not path.is_absolute() and ".." not in path.parts


def _decoded(text: object) -> bytes:
    if not isinstance(text, str):
        raise ValueError("not a text")
    try:
        found = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None
    if base64.b64encode(found).decode() != text:
        raise ValueError("not canonical base64")
    return found
