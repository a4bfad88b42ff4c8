"""What the upstream is told of a request that was let through, and what it never gets to see."""

from typing import Final

from adapters.web.admission import Admitted

UPSTREAM_HEADERS: Final = (
    "Ztfm-Subject",
    "Ztfm-Action",
    "Ztfm-Resource",
    "Ztfm-Decision",
    "Ztfm-Expires",
    "Ztfm-Detail",
    "Ztfm-Max-Output-Tokens",
    "Ztfm-Max-Bytes",
)
"""What the upstream is told, whichever gateway stands before it. What a client sends under one of these names is
replaced or taken out."""

REMOVED_HEADERS: Final = (
    *("Authorization", "DPoP", "Proxy-Authorization", "Client-Cert", "Client-Cert-Verified"),
    *("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-URL", "X-Rewrite-URL"),
)
"""What the upstream never sees: it could use or log the capability, take what a client says of itself for proven, or
serve another method or path than the one that was checked."""

NOTHING_TOLD: Final = dict.fromkeys(UPSTREAM_HEADERS, "")
"""Of a request to an exempt path."""


def told(admitted: Admitted) -> dict[str, str]:
    """Return each of `UPSTREAM_HEADERS`, empty where there is nothing to say. A missing detail is ``label_only``."""
    claims, limits = admitted.claims, admitted.limits
    values = (
        claims.sub,
        claims.detail.action,
        admitted.named.resource,
        claims.decision_id,
        str(int(claims.exp)),
        "full" if admitted.shows_detail else "label_only",
        _number(limits.max_output_tokens),
        _number(limits.max_bytes),
    )
    return dict(zip(UPSTREAM_HEADERS, values, strict=True))


def _number(limit: int | None) -> str:
    return "" if limit is None else str(limit)
