"""Whether a collateral document is Intel's, of one model of processor, and counts now: before it replaces another."""

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from controlplane.attestation.chains import Anchors, Purpose
from controlplane.attestation.collateral import expires_at
from controlplane.attestation.dcap.collaterals import CollateralDocument, read_collateral
from controlplane.attestation.interface import EvidenceRefused
from controlplane.contracts.unambiguous import read_json
from controlplane.pki.faults import FAULTS

_SIGNS = Purpose(usage="digital_signature")


def check_issued(data: bytes, kind: str, fmspc: str, anchors: Anchors, at: float) -> None:
    """Make sure that every signature in a document holds under a root that is given, and that it is of what was asked.

    Args:
        data: the document.
        kind: ``sgx`` or ``tdx``.
        fmspc: the model of processor, as 12 lower-case hexadecimal digits.
        anchors: roots of Intel's certificates for platforms.
        at: Unix seconds.

    Raises:
        EvidenceRefused: it is none, of another, not Intel's, or counts no more.
    """
    parts = read_collateral(data)
    root = parts.infos[-1]
    if not any(root in anchors.roots(name) for name in anchors.names) or any(
        chain[-1] != root for chain in (parts.lists, parts.identities)
    ):
        raise EvidenceRefused("untrusted", "no root that is kept here vouches for the collateral: put Intel's there")
    document = CollateralDocument.model_validate(read_json(data))
    for chain, text, signature in (
        (parts.infos, document.tcb_info, document.tcb_info_signature),
        (parts.identities, document.qe_identity, document.qe_identity_signature),
    ):
        signer = anchors.verify(chain, at, "what signs the collateral", _SIGNS).certificates[0]
        _check_text(signer, text, bytes.fromhex(signature))
    _check_lists(parts.lists[0], root, parts.revocations)
    info = read_json(document.tcb_info.encode())
    if (info.get("id"), str(info.get("fmspc")).lower()) != (kind.upper(), fmspc):
        raise EvidenceRefused("unbound", f"the collateral is not of {kind} on the model {fmspc}")
    if not at <= expires_at(data):
        raise EvidenceRefused("expired", "the collateral counts no more; look at the clock, and fetch it again")


def _check_text(signer: x509.Certificate, text: str, signature: bytes) -> None:
    key = signer.public_key()
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    try:
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise InvalidSignature
        key.verify(encode_dss_signature(r, s), text.encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise EvidenceRefused("signature", "a part of the collateral was not signed by Intel") from None


def _check_lists(issuer: x509.Certificate, root: x509.Certificate, lists: tuple[bytes, bytes]) -> None:
    try:
        issuer.verify_directly_issued_by(root)
        for der, signer in zip(lists, (root, issuer), strict=True):
            listed = x509.load_der_x509_crl(der)
            if listed.issuer != signer.subject or not listed.is_signature_valid(signer.public_key()):  # type: ignore[arg-type]
                raise InvalidSignature
    except (InvalidSignature, *FAULTS):
        raise EvidenceRefused("signature", "a list of revoked certificates was not signed by Intel") from None
