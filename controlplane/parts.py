"""The parts of a control plane under the keys by which its application holds them, in the order of their start."""

from typing import TYPE_CHECKING

from aiohttp import web

from controlplane.api.access import Access
from controlplane.audit import AuditLog
from controlplane.audit.heads import Heads
from controlplane.bundles import Trust
from controlplane.decisions.log_policy import LogPolicy
from controlplane.decisions.opa import OpaAddress
from controlplane.identifying import Identifying
from controlplane.identity.resolving import Resolver
from controlplane.observing import Observer
from controlplane.releases.following import Follower
from controlplane.releases.publishing import Publisher
from controlplane.sidecar import Sidecar
from controlplane.storage import Store
from controlplane.telemetry import Metrics
from controlplane.telemetry.tracing import Tracing

if TYPE_CHECKING:
    from controlplane.decisions.embedded import EmbeddedTransport

TRACING: web.AppKey[Tracing | None] = web.AppKey("tracing")
"""Records traces; none where nobody wants them."""

METRICS: web.AppKey[Metrics] = web.AppKey("metrics", Metrics)
OBSERVER: web.AppKey[Observer] = web.AppKey("observer", Observer)
"""Counts and logs what the other parts do."""

STORE: web.AppKey[Store] = web.AppKey("store", Store)
ACCESS: web.AppKey[Access] = web.AppKey("access", Access)
"""How callers come in."""

AUDIT: web.AppKey[AuditLog] = web.AppKey("audit", AuditLog)
"""Writes decisions down."""

HEADS: web.AppKey[Heads] = web.AppKey("heads", Heads)
"""Signs heads of the transparency log."""

IDENTIFYING: web.AppKey[Identifying] = web.AppKey("identifying", Identifying)
"""Follows the ledger of identities."""

TRUST: web.AppKey[Trust] = web.AppKey("trust", Trust)
"""Whose policies are taken."""

PUBLISHER: web.AppKey[Publisher] = web.AppKey("publisher", Publisher)
FOLLOWER: web.AppKey[Follower] = web.AppKey("follower", Follower)
"""Hands released policies to what decides."""

SIDECAR: web.AppKey[Sidecar] = web.AppKey("sidecar", Sidecar)
"""The OPA that is run here; not there where it runs elsewhere, or where none decides."""

OPA: web.AppKey[OpaAddress] = web.AppKey("opa", OpaAddress)
"""Where OPA is asked; not there where none decides."""

EMBEDDED: "web.AppKey[EmbeddedTransport]" = web.AppKey("embedded")
"""What decides in this process; not there where OPA does."""

RESOLVER: web.AppKey[Resolver] = web.AppKey("resolver", Resolver)
"""Says what DIDs stand for."""

LOG_POLICY: web.AppKey[LogPolicy] = web.AppKey("log_policy", LogPolicy)
"""What the decision log may hold, and for how long."""


class StartFailed(Exception):  # noqa: N818 - a state, as callers see it
    """The control plane cannot start; the message says why and what to do."""
