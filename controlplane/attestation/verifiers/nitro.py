"""AWS Nitro Enclaves: an attestation document of the hypervisor, whose certificate leads to AWS's root."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from controlplane.attestation.certificates import key_on_p384, read_certificate
from controlplane.attestation.chains import Anchors, Chain, Purpose, load_anchors
from controlplane.attestation.interface import EvidenceRefused
from controlplane.attestation.nitro import MAX_DOCUMENT, Document, parse_document
from controlplane.contracts.attestation import Claims

_MAX_BOUND = 128
"""Bytes of `Claims.bound`. What is longer, or no nonce, is no binding of ours, and its SHA-384 stands for it."""

_AHEAD = 60.0
"""Seconds that the hypervisor's clock may be before ours."""

_CERTIFICATE = "the document's certificate"
_IMAGE = (0, 1, 2)
"""Registers of the enclave's image, which are zero where it was started to be debugged."""


class NitroVerifier:
    """Verifies an attestation document.

    Args:
        anchors: AWS's roots.
    """

    kind = "nitro"
    members: Mapping[str, int] = {"document": MAX_DOCUMENT}

    def __init__(self, anchors: Anchors) -> None:
        self._anchors = anchors

    def verify(self, evidence: Mapping[str, bytes], at: float) -> Claims:
        """Return what the evidence says, as `controlplane.attestation.interface.Verifier.verify`.

        The hypervisor's certificates live three hours, so that a document is refused as expired after that.
        """
        if evidence.keys() != self.members.keys():
            raise EvidenceRefused("malformed", "evidence of nitro is one member, document")
        document = parse_document(evidence["document"])
        chain = self._chain(document, at)
        _verify_signature(document, chain)
        made_at = document.timestamp / 1000
        if made_at > at + _AHEAD:
            raise EvidenceRefused("expired", "the document says that it was made later than now: compare the clocks")
        return Claims(
            kind=self.kind,
            anchor=chain.anchor,
            platform=_platform(document),
            bound=_bound(document),
            debug=not all(any(document.pcrs.get(index, b"")) for index in _IMAGE),
            status="unstated",
            measurements=_measurements(document),
            versions={},
            attributes={"module_id": document.module_id, "digest": "sha384"},
            advisories=[],
            made_at=made_at,
        )

    def _chain(self, document: Document, at: float) -> Chain:
        leaf = read_certificate(document.certificate, _CERTIFICATE)
        above = [read_certificate(der, "a certificate of the document's bundle") for der in reversed(document.bundle)]
        return self._anchors.verify([leaf, *above], at, _CERTIFICATE, Purpose(usage="digital_signature"))


def open_verifier(folder: Path) -> NitroVerifier:
    """Return the verifier for the roots of a folder: ``NAME.pem``, such as AWS's ``aws-nitro.pem``.

    Raises:
        RootsInvalid: a file is no such thing.
    """
    return NitroVerifier(load_anchors(folder))


def _verify_signature(document: Document, chain: Chain) -> None:
    key = key_on_p384(chain.certificates[0], _CERTIFICATE)
    half = len(document.signature) // 2
    first, second = (int.from_bytes(part, "big") for part in (document.signature[:half], document.signature[half:]))
    try:
        key.verify(encode_dss_signature(first, second), document.signed, ec.ECDSA(hashes.SHA384()))
    except InvalidSignature:
        raise EvidenceRefused("signature", "the document was not signed by the key of the certificate in it") from None


def _bound(document: Document) -> str:
    """The nonce. User data is what programs have signed for other ends, maybe at others' word, and is no binding."""
    said = document.nonce or document.user_data
    if not said:
        raise EvidenceRefused("unbound", "the document carries nothing of a challenge: give the binding as its nonce")
    is_nonce = 0 < len(document.nonce) <= _MAX_BOUND
    return said.hex() if is_nonce else hashlib.sha384(said).hexdigest()


def _platform(document: Document) -> str:
    """The machine that the enclave is on, whose name comes before the enclave's own."""
    machine = document.module_id.rpartition("-enc")[0] or document.module_id
    return hashlib.sha256(machine.encode("ascii")).hexdigest()


def _measurements(document: Document) -> dict[str, str]:
    found = {f"pcr{index}": value.hex() for index, value in sorted(document.pcrs.items())}
    if document.public_key:
        found["public_key"] = hashlib.sha256(document.public_key).hexdigest()
    if document.user_data:
        found["user_data"] = hashlib.sha256(document.user_data).hexdigest()
    return found
