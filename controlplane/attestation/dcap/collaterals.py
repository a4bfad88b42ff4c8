"""What Intel says of a platform's firmware and of its own keys, as one JSON document in one spelling.

The document has the members that `dcap-qvl` and Intel's own library use. Texts and lists in it are signed; what is
around them is not, so everything but one way to write it is refused, and so is a chain that nobody would look at.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from cryptography import x509
from pydantic import StringConstraints, ValidationError

from controlplane.attestation.certificates import read_pem
from controlplane.attestation.interface import EvidenceRefused
from controlplane.contracts.base import StrictModel
from controlplane.contracts.unambiguous import read_json
from controlplane.pki.faults import FAULTS

MAX_BYTES = 196_608
"""Of a document: the longest list of revoked certificates that Intel published takes some 40,000."""

_MAX_TEXT = 65_536

LowerHex = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2})+$", max_length=MAX_BYTES)]
Signature = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]
Pem = Annotated[str, StringConstraints(min_length=1, max_length=16_384)]
Signed = Annotated[str, StringConstraints(min_length=2, max_length=_MAX_TEXT)]


class CollateralDocument(StrictModel):
    """The document's members.

    Attributes:
        pck_crl_issuer_chain: who issued the list of revoked platform keys, and the root, in PEM.
        root_ca_crl: the root's list of revoked certificates, DER in hexadecimal.
        pck_crl: the list of revoked platform keys, likewise.
        tcb_info_issuer_chain: who signed ``tcb_info``, and the root.
        tcb_info: the levels of firmware and what is thought of each: JSON, as it was signed.
        tcb_info_signature: over it, ECDSA P-256, r then s.
        qe_identity_issuer_chain: who signed ``qe_identity``, and the root.
        qe_identity: what the quoting enclave must be, likewise.
        qe_identity_signature: over it.
    """

    pck_crl_issuer_chain: Pem
    root_ca_crl: LowerHex
    pck_crl: LowerHex
    tcb_info_issuer_chain: Pem
    tcb_info: Signed
    tcb_info_signature: Signature
    qe_identity_issuer_chain: Pem
    qe_identity: Signed
    qe_identity_signature: Signature


@dataclass(frozen=True, slots=True)
class Collateral:
    """A document of which no signature is verified yet.

    Attributes:
        text: as `dcap-qvl` reads it.
        lists: who issued the list of revoked platform keys, and the root.
        infos: who signed what is said of firmware, and the root.
        identities: who signed what is said of the quoting enclave, and the root.
        revocations: the lists of revoked certificates, in DER.
        authority: which enclave of Intel's certifies the platforms that it is of (PCE-ID), in lower-case hexadecimal.
        edition: the number of its edition, the lower one of its two parts'.
    """

    text: str
    lists: tuple[x509.Certificate, ...]
    infos: tuple[x509.Certificate, ...]
    identities: tuple[x509.Certificate, ...]
    revocations: tuple[bytes, bytes]
    authority: str
    edition: int

    def revoked(self) -> frozenset[int]:
        """Return the serial numbers that the lists name; none where one cannot be read."""
        try:
            lists = [x509.load_der_x509_crl(der) for der in self.revocations]
            return frozenset(entry.serial_number for listed in lists for entry in listed)
        except FAULTS:
            return frozenset()


def read_collateral(data: bytes) -> Collateral:
    """Return the parts of a collateral document.

    Raises:
        EvidenceRefused: ``malformed``: it is not one, or written in another way than `write_collateral` does, or with
            two spaces for each level.
    """
    if len(data) > MAX_BYTES:
        raise EvidenceRefused("malformed", f"the collateral has more than {MAX_BYTES} bytes")
    try:
        found = read_json(data)
        text = data.decode()
        if text.removesuffix("\n") not in _spellings(found):
            raise ValueError("another spelling")
        document = CollateralDocument.model_validate(found)
        info, identity = read_json(document.tcb_info.encode()), read_json(document.qe_identity.encode())
        authority = str(info["pceId"]).lower()
        edition = min(_number(one["tcbEvaluationDataNumber"]) for one in (info, identity))
    except (ValidationError, ValueError, TypeError, KeyError, RecursionError):
        raise EvidenceRefused(
            "malformed", "the collateral is not the JSON document that `ztfm attest fetch` writes; fetch it again"
        ) from None
    return Collateral(
        text,
        _pair(document.pck_crl_issuer_chain, "the chain of the list of revoked platform keys"),
        _pair(document.tcb_info_issuer_chain, "the chain of what is said of firmware"),
        _pair(document.qe_identity_issuer_chain, "the chain of what is said of the quoting enclave"),
        (bytes.fromhex(document.root_ca_crl), bytes.fromhex(document.pck_crl)),
        authority,
        edition,
    )


def write_collateral(document: CollateralDocument) -> bytes:
    """Return a document in the spelling that it has in files and as evidence."""
    return document.model_dump_json(indent=2).encode() + b"\n"


def _number(found: object) -> int:
    if type(found) is not int:
        raise ValueError("no number")
    return found


def _spellings(found: object) -> Iterable[str]:
    yield json.dumps(found, indent=2, ensure_ascii=False)
    yield json.dumps(found, separators=(",", ":"), ensure_ascii=False)


def _pair(pem: str, what: str) -> tuple[x509.Certificate, ...]:
    chain = tuple(read_pem(pem.encode(), what, 2))
    if len(chain) != 2:
        raise EvidenceRefused("malformed", f"{what} is not a certificate and its root")
    return chain
