"""SPIFFE for workloads: an X509-SVID that stays fresh, TLS between SPIFFE IDs, and the verification of both SVIDs.

`SvidSource` keeps an SVID for a process that speaks TLS itself; ``python -m adapters.svid`` keeps it in files for one
that does not know of this. `verify_peer` and `verify_jwt_svid` need no control plane, only its trust bundle.
"""

from adapters.svid.bundle import BundleInvalid, TrustBundle
from adapters.svid.files import write_svid
from adapters.svid.identity import X509Svid
from adapters.svid.source import SvidMissing, SvidSource
from adapters.svid.tls import peer_context, peer_of
from adapters.svid.tokens import JwtSvidSource
from adapters.svid.verifying import JwtSvid, SvidRefused, verify_jwt_svid, verify_peer
from controlplane.identifiers.spiffe import SpiffeId, SpiffeIdInvalid, TrustDomain

__all__ = [
    "BundleInvalid",
    "JwtSvid",
    "JwtSvidSource",
    "SpiffeId",
    "SpiffeIdInvalid",
    "SvidMissing",
    "SvidRefused",
    "SvidSource",
    "TrustBundle",
    "TrustDomain",
    "X509Svid",
    "peer_context",
    "peer_of",
    "verify_jwt_svid",
    "verify_peer",
    "write_svid",
]
