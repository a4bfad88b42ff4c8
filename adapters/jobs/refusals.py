"""What the aggregator answers to a request that it does not carry out (RFC 9457)."""

from collections.abc import Collection

from adapters.web.answering import Refusal, crooked, unsized, wrong_method
from adapters.web.answering import too_large as over_limit
from controlplane.capabilities.refusals import Refused

__all__ = [
    "Refusal",
    "altered",
    "busy",
    "conflict",
    "crooked",
    "denied",
    "fault",
    "malformed",
    "media_type",
    "not_found",
    "of",
    "over_limit",
    "timeout",
    "too_many",
    "unfit",
    "unproven",
    "unsized",
    "wrong_method",
]

_BEYOND = frozenset(
    {
        "wrong_subject",
        "wrong_action",
        "wrong_resource",
        "wrong_round",
        "wrong_digest",
        "wrong_segment",
        "wrong_purpose",
        "not_sealed",
        "wrong_shards",
        "too_large",
    }
)
"""The key is proven, and the capability does not reach this far."""

_CHALLENGE = {"WWW-Authenticate": 'DPoP algs="ES256"'}


def of(refused: Refused) -> Refusal:
    """Return the answer to credentials or a signature that do not hold."""
    cause = refused.cause
    if cause in _BEYOND:
        return denied(refused.detail, cause)
    if cause == "revocations_unknown":
        return busy("The aggregator waits for its control plane.", cause)
    if cause == "malformed":
        return malformed(refused.detail, cause)
    if cause.startswith("proof_"):
        # It says what is wrong with the form, which the standards say anyway.
        return unproven(refused.detail, cause)
    detail = "The capability does not hold. Ask the control plane for a new one, with the key that signs the proof."
    return unproven(detail, cause)


def unproven(detail: str, cause: str) -> Refusal:
    """401: nobody knows who asks."""
    return Refusal(401, "unauthenticated", "The request does not prove who sends it", detail, cause, _CHALLENGE)


def malformed(detail: str, cause: str = "malformed") -> Refusal:
    """400: a field, a parameter or a header that does not fit."""
    return Refusal(400, "invalid-request", "The request does not fit its contract", detail, cause)


def denied(detail: str, cause: str) -> Refusal:
    """403: we know who asks, and it may not."""
    return Refusal(403, "denied", "Policy denies this request", detail, cause)


def not_found(detail: str) -> Refusal:
    """404: no such thing."""
    return Refusal(404, "not-found", "There is no such thing", detail, "not_found")


def timeout() -> Refusal:
    """408: a body that did not come in time."""
    detail = "Send it again over a better connection, signed anew."
    return Refusal(408, "timeout", "The body did not arrive in time", detail, "timeout")


def conflict(detail: str, cause: str) -> Refusal:
    """409: the round is over, or the update is there already."""
    return Refusal(409, "conflict", "The request conflicts with what is already there", detail, cause)


def media_type(expected: Collection[str]) -> Refusal:
    """415: a body of another media type."""
    detail = f"Send {' or '.join(expected)}, without Content-Encoding."
    return Refusal(415, "unsupported-media-type", "The body is of another media type", detail, "media_type")


def unfit(detail: str, cause: str = "malformed") -> Refusal:
    """422: a body of the right type whose content does not fit."""
    return Refusal(422, "unfit-update", "The update does not fit the round", detail, cause)


def too_many() -> Refusal:
    """429: one member's requests beyond what a round takes of it."""
    detail = "No more requests of this kind are taken from this device in this round; wait for the next one."
    return Refusal(429, "too-many-requests", "Too many requests", detail, "too_many", {"Retry-After": "5"})


def fault(status: int) -> Refusal:
    """500 and above: our own fault; it is in the log."""
    detail = "It is in the aggregator's log. Try again later."
    return Refusal(status, "internal", "The aggregator met an unexpected fault", detail, "fault")


def altered() -> Refusal:
    """500: what was to be handed out is not what it was; nobody is given it."""
    detail = "The weights were altered where the aggregator keeps them. Its log says which file."
    return Refusal(500, "internal", "The aggregator met an unexpected fault", detail, "altered")


def busy(detail: str, cause: str) -> Refusal:
    """503: not now."""
    return Refusal(503, "unavailable", "No decision can be given now", detail, cause, {"Retry-After": "1"})
