"""Paths from a certificate to a root with a name, as the verifier of ``cryptography`` finds them (RFC 5280 section 6).

It asks of authorities what the web asks of them. Chips, hypervisors and TPMs have certificates that it refuses; for
these `controlplane.attestation.chains` is. No network is used, and nobody is asked about revocation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, Store, VerificationError

from controlplane.pki.faults import FAULTS

Fault = Literal["malformed", "untrusted", "expired", "not_yet_valid"]


class PathRefused(Exception):  # noqa: N818 - named for what happened
    """No path leads to a root.

    Attributes:
        fault: ``malformed``: a certificate cannot be read; ``untrusted``: no root, or one is not for that; ``expired``
            and ``not_yet_valid``: the leaf.
    """

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault: Fault = fault


@dataclass(frozen=True)
class LeafRules:
    """What a leaf has to be; it is never an authority, and its key is for digital signatures where it says what for.

    Attributes:
        purpose: that its extended key usage states, or any, where it states some.
        states_usage: it has to say what its key is for.
    """

    purpose: ObjectIdentifier
    states_usage: bool


@dataclass(frozen=True)
class Path:
    """A path that holds.

    Attributes:
        anchor: the root's name.
        certificates: the leaf first, the root last.
    """

    anchor: str
    certificates: tuple[x509.Certificate, ...]


class NamedRoots:
    """Trusted roots by name.

    Args:
        roots: some under each name.
        rules: what leaves have to be.
        deepest: authorities between a leaf and its root, at most.
    """

    def __init__(self, roots: Mapping[str, Sequence[x509.Certificate]], rules: LeafRules, deepest: int) -> None:
        self._names = {root: name for name, some in roots.items() for root in some}
        self._store = Store(list(self._names)) if self._names else None
        self._policy = _policy_of(rules)
        self._deepest = deepest

    def __bool__(self) -> bool:
        return self._store is not None

    @property
    def names(self) -> frozenset[str]:
        """The names that have a root."""
        return frozenset(self._names.values())

    def path(self, leaf: x509.Certificate, above: Sequence[x509.Certificate], at: float) -> Path:
        """Return the path from a leaf to a root.

        Args:
            leaf: whose.
            above: authorities that it may lead over.
            at: Unix seconds; all of it has to be valid then.

        Raises:
            PathRefused: there is none.
        """
        if self._store is None:
            raise PathRefused("untrusted")
        try:
            _require_timely(leaf, datetime.fromtimestamp(at, UTC))
            verifier = (
                PolicyBuilder()
                .store(self._store)
                .time(datetime.fromtimestamp(at, UTC))
                .max_chain_depth(self._deepest)
                .extension_policies(ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=self._policy)
                .build_client_verifier()
            )
            built = verifier.verify(leaf, list(above)).chain
        except VerificationError:
            raise PathRefused("untrusted") from None
        except FAULTS:
            raise PathRefused("malformed") from None
        return Path(self._names[built[-1]], tuple(built))


def _require_timely(leaf: x509.Certificate, moment: datetime) -> None:
    if moment > leaf.not_valid_after_utc:
        raise PathRefused("expired")
    if moment < leaf.not_valid_before_utc:
        raise PathRefused("not_yet_valid")


def _policy_of(rules: LeafRules) -> ExtensionPolicy:
    """Return the verifier's form of rules. A critical extension that nobody here knows is refused by it."""
    fitting = {rules.purpose, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}

    def _fits(_policy: Policy, _leaf: x509.Certificate, found: x509.ExtendedKeyUsage | None) -> None:
        if found is not None and not fitting & set(found):
            raise ValueError("the key is for another purpose")

    either = Criticality.AGNOSTIC
    policy = ExtensionPolicy.permit_all().may_be_present(x509.BasicConstraints, either, _is_no_authority)
    if rules.states_usage:
        policy = policy.require_present(x509.KeyUsage, either, _may_sign)
    else:
        policy = policy.may_be_present(x509.KeyUsage, either, _may_sign)
    return policy.may_be_present(x509.ExtendedKeyUsage, either, _fits)


def _is_no_authority(_policy: Policy, _leaf: x509.Certificate, found: x509.BasicConstraints | None) -> None:
    if found is not None and found.ca:
        raise ValueError("an authority is no leaf")


def _may_sign(_policy: Policy, _leaf: x509.Certificate, found: x509.KeyUsage | None) -> None:
    if found is not None and not found.digital_signature:
        raise ValueError("the key is not for signatures")
