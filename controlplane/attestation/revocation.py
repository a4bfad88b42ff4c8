"""Lists of revoked certificates (CRL, RFC 5280 section 5), as an operator keeps them beside the roots."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from controlplane.attestation.certificates import (
    RootsInvalid,
    body_of,
    check_spelling,
    files_of,
    read_file,
    serial_of,
    skip,
)
from controlplane.attestation.chains import Anchors, Chain
from controlplane.attestation.interface import EvidenceRefused
from controlplane.pki.faults import FAULTS


class RevocationLists:
    """What roots say of the authorities below them.

    Args:
        anchors: the roots, one of which signed each list.
        lists: in DER, by a name that messages have, such as their file's.

    Raises:
        RootsInvalid: one is no list in canonical DER, no root signed it, it never expires, or it is of some
            certificates only.
    """

    def __init__(self, anchors: Anchors, lists: Mapping[str, bytes]) -> None:
        self._lists = [_read(der, name, anchors) for name, der in lists.items()]

    def check(self, chain: Chain, at: float) -> bool:
        """Return whether there is a list of the chain's root, which then names no certificate of the chain.

        Args:
            chain: that was verified.
            at: Unix seconds.

        Raises:
            EvidenceRefused: ``revoked``, or ``expired``: a list is not valid at that time.
        """
        root = chain.certificates[-1]
        # A maker renews a root with the same key: what one says, the other says as well.
        lists = [one for one in self._lists if _same_authority(one.issuer, root)]
        signed = {serial_of(one) for one in chain.certificates if one.issuer == root.subject}
        for one in lists:
            if not one.begins <= at <= one.ends:
                raise EvidenceRefused(
                    "expired",
                    f"the list of certificates that {chain.anchor} revoked is not valid now: the operator has to get "
                    "its next one",
                )
            if any(one.listed.get_revoked_certificate_by_serial_number(serial) is not None for serial in signed):
                raise EvidenceRefused("revoked", f"{chain.anchor} revoked a certificate of this platform's chain")
        return bool(lists)


def load_lists(folder: Path, anchors: Anchors) -> RevocationLists:
    """Return the lists of a folder: each ``*.crl``, in DER.

    Raises:
        RootsInvalid: see `RevocationLists`.
    """
    return RevocationLists(anchors, {str(path): read_file(path) for path in files_of(folder, ".crl")})


@dataclass(frozen=True)
class _List:
    """A list, the root that signed it, and from when to when it counts, in Unix seconds."""

    listed: x509.CertificateRevocationList
    issuer: x509.Certificate
    begins: float
    ends: float


def _read(der: bytes, name: str, anchors: Anchors) -> _List:
    try:
        listed = x509.load_der_x509_crl(der)
        signed = listed.tbs_certlist_bytes
        check_spelling(der, signed, _algorithm_at(signed), listed.signature)
        issuer = next(
            (root for anchor in anchors.names for root in anchors.roots(anchor) if _signed(listed, root)), None
        )
        strange = [extension.oid.dotted_string for extension in listed.extensions if extension.critical]
        begins, ends = listed.last_update_utc, listed.next_update_utc
    except FAULTS:
        raise RootsInvalid(f"{name} is no list of revoked certificates in canonical DER") from None
    if issuer is None:
        raise RootsInvalid(f"{name} was signed by no root here: keep it beside the roots that it is of")
    if strange or ends is None:
        raise RootsInvalid(f"{name} is of some certificates only, or has no end: get the whole list, which has one")
    return _List(listed, issuer, begins.timestamp(), ends.timestamp())


def _same_authority(one: x509.Certificate, other: x509.Certificate) -> bool:
    return one.subject == other.subject and one.public_key() == other.public_key()


def _signed(listed: x509.CertificateRevocationList, root: x509.Certificate) -> bool:
    key = root.public_key()
    usage = [extension.value for extension in root.extensions if isinstance(extension.value, x509.KeyUsage)]
    may = all(one.crl_sign for one in usage) and listed.issuer == root.subject
    return may and listed.is_signature_valid(key)  # type: ignore[arg-type]


def _algorithm_at(signed: bytes) -> int:
    """Where in what is signed of a list its algorithm lies: after its version, if any."""
    at = body_of(signed, 0)
    return skip(signed, at) if signed[at : at + 1] == b"\x02" else at
