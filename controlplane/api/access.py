"""What lets callers in, beside the keys of enrolled devices."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from controlplane.contracts.identity import Person
from controlplane.identifiers.spiffe import TrustDomain
from controlplane.identity.authorities import Authorities
from controlplane.identity.codeflow import CodeFlow
from controlplane.identity.people import Unknown


class People(Protocol):
    """Knows the people of an identity provider."""

    async def identify(self, token: str) -> Person | Unknown:
        """Return the person that a bearer token speaks of, or why it does not hold.

        Raises:
            ProviderUnavailable: the provider's keys cannot be had.
        """
        ...


class Certifiers(Protocol):
    """The authorities of a trust domain, as their file has them."""

    @property
    def domain(self) -> TrustDomain:
        """In whose name they sign."""
        ...

    def read(self) -> Authorities:
        """Return them as they are now.

        Raises:
            KeyFileError: their file cannot be used.
            OSError: it cannot be read.
        """
        ...


@dataclass(frozen=True)
class Access:
    """The parts, by what they do.

    Attributes:
        tls_url: how callers reach us over TLS; empty where this process serves none.
        authorities: sign the certificates of workloads.
        people: none where no person is let in.
        metrics_token: lets Prometheus read the metrics.
        alerts_token: lets Alertmanager tell of alerts.
        on_administrator: told that an administrator enrolled.
        is_bootstrapping: whether a secret lies there for the first administrator.
        provider: whom people sign in with; none where they do not.
    """

    tls_url: str
    authorities: Certifiers
    people: People | None
    metrics_token: str
    alerts_token: str
    on_administrator: Callable[[], Awaitable[object]]
    is_bootstrapping: Callable[[], bool] = lambda: False
    provider: CodeFlow | None = None
