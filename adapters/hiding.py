"""What a device's own capability says of who may see its update: the control plane's word, not the aggregator's."""

from typing import Any

from controlplane.jose.jws import parse, parse_object


def asked_confidentiality(capability: str) -> str:
    """Return how what is submitted is to be hidden from whoever aggregates; ``plain`` for not at all.

    The capability came from the control plane itself, so nothing is verified. One that cannot be read is taken for
    ``grouped``: nothing is shown for it.
    """
    limits = _limits(capability)
    asked = "grouped" if limits is None else limits.get("confidentiality", "plain")
    return asked if asked in {"plain", "tee"} else "grouped"


def asked_group(capability: str) -> str | None:
    """Return the digest of the names of those whose updates may be summed with what is submitted; none for nobody's.

    It is `controlplane.capabilities.grouping.group_digest` of them. Whoever aggregates picks no group, then: it could
    put one device among its own.
    """
    found = (_limits(capability) or {}).get("group")
    return found if isinstance(found, str) else None


def _limits(capability: str) -> dict[str, Any] | None:
    token = parse(capability)
    try:
        claims = parse_object(token.payload) if token else {}
        [detail] = claims["authorization_details"]
        found = detail["constraints"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
