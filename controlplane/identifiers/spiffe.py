"""Names of workloads as SPIFFE has them: ``spiffe://trust-domain/path`` (SPIFFE-ID, section 2).

One spelling for each name: what the specification calls invalid is refused, never mended, so that no two parties read
one text as two names. Pure.
"""

import re
from dataclasses import dataclass
from typing import Self

from controlplane.contracts.base import Identifier

SCHEME = "spiffe://"

MAX_DOMAIN_CHARS = 255
"""As long as a trust domain's name may be (SPIFFE-ID, section 2.3)."""

MAX_ID_CHARS = 2048
"""As long as a SPIFFE ID may be; each of its characters is one byte (SPIFFE-ID, section 2.3)."""

DEVICE = "device"
"""The kind of whatever holds an enrolled key, device or service: the first segment of its path."""

_DOMAIN = re.compile(r"[a-z0-9._-]+")
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")
_RELATIVE = frozenset({".", ".."})


class SpiffeIdInvalid(ValueError):  # noqa: N818 - a state, as callers see it
    """A text is no name of this kind; the message says why. It does not repeat the text, which may be anybody's."""


@dataclass(frozen=True, slots=True, order=True)
class TrustDomain:
    """Where an authority names workloads: the authority part of a SPIFFE ID.

    Attributes:
        name: lower case letters, digits, dots, hyphens and underscores, up to 255.
    """

    name: str

    def __post_init__(self) -> None:
        if not self.name:
            raise SpiffeIdInvalid("a trust domain has a name")
        if len(self.name) > MAX_DOMAIN_CHARS:
            raise SpiffeIdInvalid(f"a trust domain's name has {MAX_DOMAIN_CHARS} characters at most")
        if not _DOMAIN.fullmatch(self.name):
            raise SpiffeIdInvalid("a trust domain is lower case letters, digits, dots, hyphens and underscores")

    def __str__(self) -> str:
        return SCHEME + self.name


@dataclass(frozen=True, slots=True, order=True)
class SpiffeId:
    """The name of a workload, or of an authority where there is no path.

    Attributes:
        domain: that vouches for it.
        path: empty, or segments that each begin with a slash.
    """

    domain: TrustDomain
    path: str = ""

    def __post_init__(self) -> None:
        if self.path and not self.path.startswith("/"):
            raise SpiffeIdInvalid("the path of a SPIFFE ID begins with a slash")
        for segment in self.path.split("/")[1:]:
            if not segment:
                raise SpiffeIdInvalid("a segment of a SPIFFE ID's path is empty, or a slash ends it")
            if segment in _RELATIVE:
                raise SpiffeIdInvalid("a segment of a SPIFFE ID's path is relative")
            if not _SEGMENT.fullmatch(segment):
                raise SpiffeIdInvalid("a segment of a path is letters, digits, dots, hyphens and underscores")
        if len(str(self)) > MAX_ID_CHARS:
            raise SpiffeIdInvalid(f"a SPIFFE ID has {MAX_ID_CHARS} characters at most")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the name that ``text`` spells.

        Raises:
            SpiffeIdInvalid: it spells none.
        """
        if len(text) > MAX_ID_CHARS:
            raise SpiffeIdInvalid(f"a SPIFFE ID has {MAX_ID_CHARS} characters at most")
        if not text.startswith(SCHEME):
            raise SpiffeIdInvalid(f"a SPIFFE ID begins with {SCHEME}")
        name, slash, rest = text.removeprefix(SCHEME).partition("/")
        return cls(TrustDomain(name), slash + rest)

    @classmethod
    def of(cls, domain: TrustDomain, *segments: str) -> Self:
        """Return the name of ``segments`` in a trust domain.

        Raises:
            SpiffeIdInvalid: a segment cannot be one, or the name becomes too long.
        """
        if any("/" in segment for segment in segments):
            raise SpiffeIdInvalid("a segment holds no slash")
        return cls(domain, "".join(f"/{segment}" for segment in segments))

    def __str__(self) -> str:
        return f"{self.domain}{self.path}"


def device_spiffe_id(domain: TrustDomain, identifier: Identifier) -> SpiffeId:
    """Return the name of an enrolled subject: its registered identifier, under ``device``.

    Raises:
        SpiffeIdInvalid: the identifier cannot be part of a path.
    """
    return SpiffeId.of(domain, DEVICE, identifier)


def domain_of_federation(federation: str) -> TrustDomain:
    """Return the trust domain of a federation that named none: its own name in lower case.

    Raises:
        SpiffeIdInvalid: the federation's name cannot be one.
    """
    return TrustDomain(federation.lower())
