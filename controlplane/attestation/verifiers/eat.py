"""Entity Attestation Tokens (RFC 9711): a CWT or a JWT that a platform's key signed, which is certified, or listed."""

from collections.abc import Mapping
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey

from controlplane.attestation.certificates import read_pem
from controlplane.attestation.chains import Anchors, Purpose, load_anchors
from controlplane.attestation.eat import tokens
from controlplane.attestation.eat.claims import EatClaims, claims_of
from controlplane.attestation.eat.keys import ListedKeys, load_keys
from controlplane.attestation.interface import EvidenceRefused, Verifier
from controlplane.attestation.reporting import stated
from controlplane.attestation.revocation import RevocationLists, load_lists
from controlplane.contracts.attestation import Claims
from controlplane.jose.jws import decode_segment
from controlplane.jose.keys import thumbprint, to_public

KIND = "eat"

CHAIN = 4
"""Certificates that a platform may send along."""

_CHAIN_BYTES = 16_384
_WHAT = "the platform's certificate"
_PURPOSES = frozenset(
    map(x509.ObjectIdentifier, ("2.23.133.8.3", "2.23.133.5.4.100.8", "2.23.133.5.4.100.9")),
)
"""Of keys that attest: a TPM's, and DICE's for what is initial and for what is local (TCG OID registry)."""


class EatVerifier:
    """Verifies tokens of the profile that docs/attestation-enclaves.md describes.

    Args:
        anchors: roots of platforms' certificates, by name.
        keys: of platforms that are listed one by one.
        lists: of what the roots revoked, where the operator keeps any.
    """

    kind = KIND
    members: Mapping[str, int] = {"token": tokens.MAX_BYTES, "chain": _CHAIN_BYTES}

    def __init__(self, anchors: Anchors, keys: ListedKeys, lists: RevocationLists | None = None) -> None:
        self._anchors = anchors
        self._keys = keys
        self._lists = lists if lists is not None else RevocationLists(anchors, {})

    def verify(self, evidence: Mapping[str, bytes], at: float) -> Claims:
        """See `Verifier.verify`."""
        if "token" not in evidence or not evidence.keys() <= self.members.keys():
            raise EvidenceRefused(
                "malformed", "the evidence is a token, and the chain of its key where it is certified"
            )
        token = tokens.read_token(evidence["token"])
        if "chain" in evidence:
            anchor, key, is_listed = self._certified(evidence["chain"], at)
            _check_same(token.thumbprint, key)
        else:
            anchor, key, is_listed = self._listed(token.thumbprint)
        return _claims(claims_of(token.open(key), at), anchor, key, is_listed)

    def _certified(self, pem: bytes, at: float) -> tuple[str, EllipticCurvePublicKey, bool]:
        sent = read_pem(pem, "the chain", CHAIN)
        chain = self._anchors.verify(sent, at, _WHAT, Purpose(usage="digital_signature"))
        is_listed = self._lists.check(chain, at)
        _check_purpose(chain.certificates[0])
        key = chain.certificates[0].public_key()
        if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
            raise EvidenceRefused("unsupported", f"{_WHAT} has no key on P-256")
        return chain.anchor, key, is_listed

    def _listed(self, kid: str | None) -> tuple[str, EllipticCurvePublicKey, bool]:
        found = self._keys.get(kid) if kid is not None else None
        if found is None:
            raise EvidenceRefused(
                "untrusted",
                "no listed key has the thumbprint that the token's kid names; send the chain of its key, or have the "
                "operator list it",
            )
        return *found, False


def open_verifier(folder: Path) -> Verifier:
    """Return the verifier with the roots, listed keys and lists of revoked certificates of a folder.

    Raises:
        RootsInvalid: one of them, or the folder, cannot be read.
    """
    anchors = load_anchors(folder)
    return EatVerifier(anchors, load_keys(folder), load_lists(folder, anchors))


def _check_purpose(leaf: x509.Certificate) -> None:
    """A root may certify other keys as well, such as those of servers: what says what it is for has to say this."""
    for extension in leaf.extensions:
        if isinstance(extension.value, x509.ExtendedKeyUsage) and not _PURPOSES & set(extension.value):
            raise EvidenceRefused("untrusted", f"{_WHAT} is for another purpose than attestation")


def _check_same(kid: str | None, key: EllipticCurvePublicKey) -> None:
    if kid is not None and kid != thumbprint(to_public(key)):
        raise EvidenceRefused("unbound", "the token names another key than the certificate beside it")


def _claims(claims: EatClaims, anchor: str, key: EllipticCurvePublicKey, is_listed: bool) -> Claims:
    maker = claims.oemid if isinstance(claims.oemid, int) else claims.oemid.hex()
    return stated(
        kind=KIND,
        anchor=anchor,
        platform=decode_segment(thumbprint(to_public(key)).encode()).hex(),
        bound=claims.eat_nonce.hex(),
        debug=claims.dbgstat == "enabled",
        status="unstated",
        measurements={name: digest.hex() for name, digest in claims.ztfm_measurements.items()},
        versions={},
        attributes={
            "ueid": claims.ueid.hex(),
            "oemid": str(maker),
            "hwmodel": claims.hwmodel.hex(),
            "secure_boot": "true" if claims.oemboot else "false",
            "debug_status": claims.dbgstat,
            "swname": claims.swname,
            "swversion": claims.swversion[0],
            "revocation": "checked" if is_listed else "unchecked",
        },
        advisories=[],
        made_at=float(claims.iat),
    )
