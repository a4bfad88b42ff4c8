"""The authorities of a trust domain over time: which one signs, which are trusted, and which have had their time.

All of it follows from one PEM text and a clock, so processes that read the same text agree. An authority that comes is
trusted for a while before it signs, and one that goes is trusted until the last certificate that it signed for a
workload has expired; its key is dropped as soon as it signs no more. Pure.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from controlplane.identifiers.spiffe import TrustDomain
from controlplane.identity.authority import BACKDATED, SVID_SECONDS, CertificateAuthority

OVERLAP_SECONDS = 3_600.0
"""How long a new authority is trusted before it signs: many times `REFRESH_SECONDS`, so that everybody has it."""

REFRESH_SECONDS = 60
"""How often those who verify should look at the trust bundle: twice before the next key of JWT-SVIDs signs, too."""

RETIRED_SECONDS = SVID_SECONDS + BACKDATED.total_seconds()
"""How long an authority that signs no more is trusted: whatever it signed for a workload has expired by then."""

KEPT_PAST = 16
"""Authorities whose time is over that are remembered, without their keys; older ones are forgotten."""

AuthorityState = Literal["published", "signing", "retired", "gone"]

_BLOCK = re.compile(r"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----", re.DOTALL)
_MAX_BLOCKS = 4 * KEPT_PAST


@dataclass(frozen=True)
class AuthorityStanding:
    """Where an authority stands.

    Attributes:
        certificate: its own.
        state: ``published`` is trusted and does not sign yet, ``retired`` is trusted and signs no more.
        created_at: Unix seconds.
        signs_from: Unix seconds.
        trusted_until: Unix seconds.
    """

    certificate: x509.Certificate
    state: AuthorityState
    created_at: float
    signs_from: float
    trusted_until: float


class NoAuthority(Exception):  # noqa: N818 - a state, as callers see it
    """No authority can sign now; the message says why."""


@dataclass(frozen=True)
class _Kept:
    certificate: x509.Certificate
    authority: CertificateAuthority | None

    @property
    def created_at(self) -> float:
        return (self.certificate.not_valid_before_utc + BACKDATED).timestamp()

    @property
    def expires_at(self) -> float:
        return self.certificate.not_valid_after_utc.timestamp()

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM) if self.authority is None else self.authority.to_pem()


class Authorities:
    """The authorities of one trust domain, oldest first.

    Args:
        kept: what is kept of each.

    Raises:
        ValueError: there is none, or they are not in the order in which they were made.
    """

    def __init__(self, kept: Sequence[_Kept]) -> None:
        if not kept:
            raise ValueError("there is no certificate of an authority")
        if any(after.created_at < before.created_at for before, after in pairwise(kept)):
            raise ValueError("the authorities are not in the order in which they were made")
        self._kept = tuple(kept)

    @classmethod
    def create(cls, domain: TrustDomain, now: float) -> Self:
        """Return a new trust domain's only authority, which signs at once (``now`` in Unix seconds)."""
        return cls([_fresh(domain, now)])

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Return the authorities of a PEM text: certificates, each after its key where it still has one.

        Raises:
            ValueError: something else is in it, or a key and its certificate do not belong together.
        """
        return cls(list(_read(pem)))

    def to_pem(self) -> bytes:
        """Return them as PEM, with keys; keep it private."""
        return b"".join(kept.pem for kept in self._kept)

    def standings(self, now: float) -> list[AuthorityStanding]:
        """Return where each stands at ``now`` (Unix seconds), oldest first."""
        starts = self._starts()
        ends = [*starts[1:], float("inf")]
        return [_standing(*found, now) for found in zip(self._kept, starts, ends, strict=True)]

    def signing(self, now: float) -> CertificateAuthority:
        """Return the one that signs at ``now``: the newest whose time has come.

        Raises:
            NoAuthority: its key is not here, or it has expired.
        """
        for kept, standing in zip(self._kept, self.standings(now), strict=True):
            if standing.state == "signing":
                if kept.authority is None:
                    raise NoAuthority("the key of the authority that is to sign is not in its file")
                return kept.authority
        raise NoAuthority("the authority has expired; `ztfm authority rotate` makes the next one")

    def trusted(self, now: float) -> list[x509.Certificate]:
        """Return the certificates that verify at ``now``, oldest first."""
        return [found.certificate for found in self.standings(now) if found.state != "gone"]

    def trusted_pem(self, now: float) -> str:
        """Return the same as PEM, without any key."""
        return "".join(found.public_bytes(Encoding.PEM).decode() for found in self.trusted(now))

    def changed_at(self, now: float) -> float:
        """Return when what is trusted last became other than before, Unix seconds."""
        found = self.standings(now)
        times = [one.created_at for one in found] + [one.trusted_until for one in found if one.trusted_until <= now]
        return max(times)

    def rotated(self, domain: TrustDomain, now: float) -> "Authorities":
        """Return these and one more, which signs after the overlap; the same where one waits for its turn already.

        Where none signs any more there is nothing to overlap with: the new one is alone, and signs at once.
        """
        states = {found.state for found in self.standings(now)}
        if "published" in states:
            return self
        if "signing" not in states:
            return self.replaced(domain, now)
        return Authorities([*self.tidied(now)._kept, _fresh(domain, self._next_change(now))])

    def replaced(self, domain: TrustDomain, now: float) -> "Authorities":
        """Return a new one alone, which signs at once: what the others signed is trusted no more."""
        return Authorities([_fresh(domain, self._next_change(now))])

    def tidied(self, now: float) -> "Authorities":
        """Return these without keys that sign no more, and without those whose time is long over."""
        standings = self.standings(now)
        past = [found for found in standings if found.state == "gone"][:-KEPT_PAST]
        forgotten = {found.certificate for found in past}
        over = {found.certificate for found in standings if found.state in {"retired", "gone"}}
        left = [kept for kept in self._kept if kept.certificate not in forgotten]
        return Authorities([_Kept(kept.certificate, None) if kept.certificate in over else kept for kept in left])

    def _next_change(self, now: float) -> float:
        # Certificates know whole seconds, and no two changes may be of one.
        return max(now, self.changed_at(now) + 1.0)

    def _starts(self) -> list[float]:
        # The first has nobody to take over from, and signs whatever a clock says.
        return [float("-inf"), *(kept.created_at + OVERLAP_SECONDS for kept in self._kept[1:])]


def _standing(kept: _Kept, starts: float, ends: float, now: float) -> AuthorityStanding:
    until = min(kept.expires_at, ends + RETIRED_SECONDS)
    state: AuthorityState = "gone"
    if now < until:
        state = "published" if now < starts else "signing" if now < ends else "retired"
    return AuthorityStanding(kept.certificate, state, kept.created_at, max(kept.created_at, starts), until)


def _fresh(domain: TrustDomain, now: float) -> _Kept:
    authority = CertificateAuthority.create(domain, now)
    return _Kept(authority.certificate, authority)


def _read(pem: bytes) -> Iterator[_Kept]:
    blocks = list(_BLOCK.finditer(pem.decode("ascii")))
    if len(blocks) > _MAX_BLOCKS:
        raise ValueError(f"there are more than {_MAX_BLOCKS} keys and certificates")
    key = ""
    for block in blocks:
        if block[1] != "CERTIFICATE":
            if key:
                raise ValueError("a key has no certificate after it")
            key = block[0]
            continue
        if key:
            authority = CertificateAuthority.from_pem(f"{key}\n{block[0]}\n".encode())
            yield _Kept(authority.certificate, authority)
        else:
            yield _Kept(x509.load_pem_x509_certificate(block[0].encode()), None)
        key = ""
    if key:
        raise ValueError("a key has no certificate after it")
