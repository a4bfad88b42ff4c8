"""Chains of certificates that lead to a root with a name (RFC 5280 section 6), strictly and at a time that is given.

What a chain may be is little: exactly the certificates that lead from a leaf to a root, in order; signatures of RSA
(PKCS #1 or PSS) and ECDSA over SHA-256, SHA-384 or SHA-512; authorities that say so. Signatures are verified from the
root down, so that no key is used before somebody trusted vouches for it. Nobody is asked about revocation.

`controlplane.pki.paths`, for devices' makers and signers of models, uses the verifier of `cryptography`, which is for
the web: it refuses certificates that chips, hypervisors and TPMs have, such as those without a key identifier or signed
with RSA-PSS.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtensionOID, ObjectIdentifier

from controlplane.attestation.certificates import RootsInvalid, load_folder
from controlplane.attestation.interface import EvidenceRefused
from controlplane.pki.faults import FAULTS

MAX_CERTIFICATES = 8
"""Certificates of a chain, its root included; and of a file of roots."""

_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_RSA_BITS = range(2048, 8193)
_Extension = TypeVar("_Extension", bound=x509.ExtensionType)
_KNOWN = frozenset({ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE, ExtensionOID.EXTENDED_KEY_USAGE})


@dataclass(frozen=True)
class Purpose:
    """What a leaf has to be for; it is never an authority.

    Attributes:
        usage: that its key usage has to state, as `x509.KeyUsage` names it, such as ``digital_signature``; none where
            such certificates state none, and then any will do.
        extended: that its extended key usage has to state; none where any or none will do.
        known: critical extensions that the caller looks at itself.
    """

    usage: str | None = None
    extended: ObjectIdentifier | None = None
    known: frozenset[ObjectIdentifier] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Chain:
    """A chain that leads to a root.

    Attributes:
        anchor: the root's name.
        certificates: the leaf first, the root last.
    """

    anchor: str
    certificates: tuple[x509.Certificate, ...]


class Anchors:
    """Trusted roots by name, and the authorities that are known to be below them.

    Args:
        held: certificates by the anchor's name. Who signs itself is a root; who was signed by a root beside it is an
            authority that chains need not bring along.

    Raises:
        RootsInvalid: a certificate is neither, or two anchors hold one root.
    """

    def __init__(self, held: Mapping[str, Sequence[x509.Certificate]]) -> None:
        self._roots: list[tuple[str, x509.Certificate]] = []
        self._below: list[tuple[str, x509.Certificate]] = []
        for name, certificates in held.items():
            once = list(dict.fromkeys(certificates))
            roots = [one for one in once if _issued(one, one)]
            for one in once:
                if not any(_issued(one, root) for root in roots):
                    raise RootsInvalid(
                        f"{name}: {one.subject.rfc4514_string()!r} is no root, as it does not sign itself, and no root "
                        "beside it signed it. Put the root there too"
                    )
                (self._roots if one in roots else self._below).append((name, one))
        known = [root for _, root in self._roots]
        if len(known) != len(set(known)):
            raise RootsInvalid("two anchors hold one root: keep it in one")

    @property
    def names(self) -> frozenset[str]:
        """The anchors' names."""
        return frozenset(name for name, _ in self._roots)

    def roots(self, anchor: str) -> list[x509.Certificate]:
        """The roots of an anchor."""
        return [root for name, root in self._roots if name == anchor]

    def verify(self, chain: Sequence[x509.Certificate], at: float, what: str, purpose: Purpose) -> Chain:
        """Return a chain with its anchor, once it leads there.

        Args:
            chain: the leaf first, each next one the issuer of the one before; with or without the root, and without the
                authorities that the anchors hold.
            at: Unix seconds; each certificate has to be valid then.
            what: names the leaf in refusals, such as ``the VCEK``.
            purpose: what the leaf has to be for.

        Raises:
            EvidenceRefused: ``malformed``, ``unsupported``, ``untrusted``, ``signature`` or ``expired``.
        """
        if not 1 <= len(chain) <= MAX_CERTIFICATES:
            raise EvidenceRefused("malformed", f"the chain of {what} has more than {MAX_CERTIFICATES} certificates")
        found = self._completed(tuple(chain), what)
        try:
            _check_signatures(chain, what)
            _check_authorities(found.certificates, what)
            _check_leaf(found.certificates[0], what, purpose)
            _check_time(found.certificates, at, what)
        except FAULTS:
            raise EvidenceRefused("malformed", f"a certificate in the chain of {what} cannot be read") from None
        return found

    def _completed(self, chain: tuple[x509.Certificate, ...], what: str) -> Chain:
        """The chain up to a root, of which the last steps are verified already; two roots may share a name."""
        last = chain[-1]
        for anchor, root in self._roots:
            if root == last and len(chain) > 1:
                return Chain(anchor, chain)
            if root != last and _issued(last, root):
                return Chain(anchor, (*chain, root))
        for anchor, below in self._below:
            if below != last and _issued(last, below):
                root = next(one for one in self.roots(anchor) if _issued(below, one))
                return Chain(anchor, (*chain, below, root))
        raise EvidenceRefused(
            "untrusted", f"no known root vouches for {what}: its last certificate was signed by none of them. {_REMEDY}"
        )


_REMEDY = "Send the whole chain, or have the operator add its root"


def load_anchors(folder: Path) -> Anchors:
    """Return the anchors of a folder of ``NAME.pem``, the name being the anchor's.

    Raises:
        RootsInvalid: it cannot be read, or a file is no such thing.
    """
    return Anchors(load_folder(folder, MAX_CERTIFICATES))


def _issued(one: x509.Certificate, issuer: x509.Certificate) -> bool:
    if one.issuer.public_bytes() != issuer.subject.public_bytes():
        return False
    try:
        _check_algorithm(one, issuer)
        one.verify_directly_issued_by(issuer)
    except (InvalidSignature, EvidenceRefused, *FAULTS):
        return False
    return True


def _check_signatures(chain: Sequence[x509.Certificate], what: str) -> None:
    """From the top down; that of the last one was verified, or it is a root."""
    for place in range(len(chain) - 2, -1, -1):
        one, issuer = chain[place], chain[place + 1]
        if one.issuer.public_bytes() != issuer.subject.public_bytes():
            raise EvidenceRefused(
                "untrusted", f"the chain of {what} is out of order: certificate {place + 1} names another issuer"
            )
        _check_algorithm(one, issuer)
        try:
            one.verify_directly_issued_by(issuer)
        except (InvalidSignature, *FAULTS):
            raise EvidenceRefused(
                "signature", f"certificate {place + 1} in the chain of {what} was not signed by the one above it"
            ) from None


def _check_algorithm(one: x509.Certificate, issuer: x509.Certificate) -> None:
    key = issuer.public_key()
    good_key = (isinstance(key, rsa.RSAPublicKey) and key.key_size in _RSA_BITS) or (
        isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES)
    )
    try:
        hashed = one.signature_hash_algorithm
    except UnsupportedAlgorithm:
        hashed = None
    if not good_key or not isinstance(hashed, _HASHES):
        raise EvidenceRefused("unsupported", "a certificate is signed with something else than RSA or ECDSA over SHA-2")


def _check_authorities(chain: tuple[x509.Certificate, ...], what: str) -> None:
    below = 0
    for place, one in enumerate(chain[1:], 2):
        constraints = _extension(one, x509.BasicConstraints)
        usage = _extension(one, x509.KeyUsage)
        is_root = place == len(chain)
        if constraints is None or not constraints.ca:
            raise EvidenceRefused("untrusted", f"certificate {place} in the chain of {what} is no authority's")
        if (usage is None and not is_root) or (usage is not None and not usage.key_cert_sign):
            raise EvidenceRefused("untrusted", f"certificate {place} in the chain of {what} may not sign certificates")
        if constraints.path_length is not None and constraints.path_length < below:
            raise EvidenceRefused("untrusted", f"certificate {place} in the chain of {what} has too many below it")
        _check_critical(one, frozenset(), f"certificate {place} in the chain of {what}")
        below += one.issuer != one.subject


def _check_leaf(leaf: x509.Certificate, what: str, purpose: Purpose) -> None:
    constraints = _extension(leaf, x509.BasicConstraints)
    usage = _extension(leaf, x509.KeyUsage)
    extended = _extension(leaf, x509.ExtendedKeyUsage)
    if constraints is not None and constraints.ca:
        raise EvidenceRefused("untrusted", f"{what} is an authority's certificate, which speaks for no platform")
    if purpose.usage is not None and (usage is None or not getattr(usage, purpose.usage)):
        raise EvidenceRefused("untrusted", f"{what} is not for {purpose.usage.replace('_', ' ')}")
    if purpose.extended is not None and (extended is None or purpose.extended not in extended):
        raise EvidenceRefused("untrusted", f"{what} is not for the purpose {purpose.extended.dotted_string}")
    _check_critical(leaf, purpose.known, what)


def _check_critical(one: x509.Certificate, known: frozenset[ObjectIdentifier], what: str) -> None:
    """Names are not constrained here, so that a certificate which does is refused even where it does not insist."""
    for extension in one.extensions:
        if extension.oid == ExtensionOID.NAME_CONSTRAINTS or (
            extension.critical and extension.oid not in _KNOWN and extension.oid not in known
        ):
            raise EvidenceRefused(
                "unsupported", f"{what} has an extension that is not understood: {extension.oid.dotted_string}"
            )


def _check_time(chain: tuple[x509.Certificate, ...], at: float, what: str) -> None:
    for place, one in enumerate(chain, 1):
        if not at <= one.not_valid_after_utc.timestamp():
            raise EvidenceRefused("expired", f"certificate {place} in the chain of {what} has expired")
        if not at >= one.not_valid_before_utc.timestamp():
            raise EvidenceRefused("expired", f"certificate {place} in the chain of {what} is not valid yet")


def _extension(one: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return one.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
