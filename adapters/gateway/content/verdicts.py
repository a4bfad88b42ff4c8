"""What a gateway makes of a decision on content: terms that it can carry out, or a denial. Pure."""

import math

from adapters.gateway.interfaces import Denied, Terms
from controlplane.contracts.decision import ContentAnswer, Obligations

CARRIED = frozenset(
    {"redact", "decimals", "suppress", "watermark", "requests_per_minute", "max_output_tokens", "detail"}
)
"""Obligations that a gateway carries out; with any other, nothing passes."""

_SILENT = frozenset({"watch", "waived", "exceptions"})
"""That are for people and records."""

_MAX_DETAIL = 512


def read(answer: ContentAnswer) -> Terms | Denied:
    """Return what a decision means for a content."""
    if not answer.decision:
        return _denied(answer)
    wanted = answer.obligations
    beyond = _stated(wanted) - CARRIED - _SILENT
    if beyond:
        return undecided("content_obligation_unknown", f"This gateway cannot carry out: {', '.join(sorted(beyond))}.")
    return Terms(
        decision=answer.decision_id,
        redact=frozenset(wanted.redact or ()),
        decimals=wanted.decimals,
        suppress=frozenset(wanted.suppress or ()),
        watermark=None if wanted.watermark is None else f"{wanted.watermark};decision={answer.decision_id}",
        requests_per_minute=wanted.requests_per_minute,
        max_output_tokens=wanted.max_output_tokens,
        label_only=wanted.detail == "label_only",
    )


def too_often(wait: float) -> Denied:
    """429: policy slowed the subject down."""
    seconds = max(1, math.ceil(wait))
    detail = f"After what was found in earlier prompts this subject may ask less often. Wait {seconds} s."
    return Denied("", ("content_rate",), 429, detail, {"Retry-After": str(seconds)})


def too_long(what: str) -> Denied:
    """403: more than is looked at."""
    return Denied("", ("content_too_long",), 403, f"The content is too long: {what}. Send less at once.")


def undecided(code: str, detail: str) -> Denied:
    """503: nobody could say what becomes of it."""
    return Denied("", (code,), 503, f"{detail} Try again shortly.", {"Retry-After": "1"})


def _denied(answer: ContentAnswer) -> Denied:
    codes = tuple(reason.code for reason in answer.reasons)
    detail = " ".join(reason.remedy for reason in answer.reasons)[:_MAX_DETAIL]
    seconds = answer.obligations.step_up_seconds
    if seconds is None:
        return Denied(answer.decision_id, codes, 403, detail)
    # RFC 9470 section 3: how lately it must have been proven who asks.
    challenge = f'DPoP error="insufficient_user_authentication", max_age="{int(seconds)}", algs="ES256"'
    return Denied(answer.decision_id, codes, 401, detail, {"WWW-Authenticate": challenge})


def _stated(wanted: Obligations) -> frozenset[str]:
    """Return the names of obligations that say something."""
    return frozenset(wanted.model_dump(exclude_defaults=True))
