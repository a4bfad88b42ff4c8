"""What the proxy answers in place of the upstream, each with the word by which it is counted."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import ceil, isfinite
from typing import TYPE_CHECKING

from adapters.gateway.interfaces import Denied, Exhausted
from adapters.web.answering import Refusal
from adapters.web.point import Lapse

if TYPE_CHECKING:
    from adapters.gateway.metrics import Failure

_LONGEST_WAIT_SECONDS = 86_400.0


@dataclass
class Refused(Exception):  # noqa: N818 - carries an answer out of whatever was under way
    """A request that was admitted comes to nothing, or an answer that was under way ends here.

    Attributes:
        answer: what is said instead.
        failure: by which it is measured.
    """

    answer: Refusal
    failure: "Failure"

    def __str__(self) -> str:
        """The cause."""
        return self.answer.cause


def unfit(detail: str, cause: str = "unfit_request") -> Refused:
    """400: the body is not what this endpoint takes."""
    return Refused(Refusal(400, "invalid-request", "The request does not fit its contract", detail, cause), "refused")


def wrong_model(stated: str, served: str) -> Refused:
    """403: the body asks another model than the capability and the path are for."""
    detail = f"The body names the model {stated!r}, and this path and capability are for {served!r}."
    return Refused(Refusal(403, "denied", "Policy denies this request", detail, "wrong_resource"), "refused")


def unkept(limits: Collection[str]) -> Refused:
    """403: the capability has a limit that nobody here could keep."""
    detail = f"The capability has limits that this proxy cannot keep: {', '.join(limits)}."
    return Refused(Refusal(403, "denied", "Policy denies this request", detail, "limit_not_kept"), "refused")


def unsupported(detail: str) -> Refused:
    """415: a body, or a part of one, that could not be looked into."""
    return Refused(
        Refusal(415, "unsupported-media-type", "The body is of a type that is not taken", detail, "media_type"),
        "refused",
    )


def outdated() -> Refused:
    """505: in HTTP/1.0 an answer that was cut looks like a whole one."""
    detail = "Speak HTTP/1.1: in HTTP/1.0 nobody can tell an answer that was cut from a whole one."
    return Refused(Refusal(505, "http", "The request cannot be served", detail, "http_version"), "refused")


def slow_body() -> Refused:
    """408: the body did not come in time, or not whole."""
    detail = "Send the body at once, as long as Content-Length says."
    return Refused(Refusal(408, "timeout", "The body did not come in time", detail, "body"), "client_gone")


def busy(cause: str) -> Refused:
    """503: too much is under way, or something that must decide cannot."""
    detail = "Nothing is let through now; the request may be made again."
    return Refused(
        Refusal(503, "unavailable", "No decision can be given now", detail, cause, {"Retry-After": "1"}), "unavailable"
    )


def crowded() -> Refused:
    """429: the subject has as many requests under way as it may."""
    detail = "Wait until one of the requests that are under way has been answered."
    headers = {"Retry-After": "1"}
    return Refused(
        Refusal(429, "too-many-requests", "Too much is asked at once", detail, "subject_busy", headers), "refused"
    )


def exhausted(short: Exhausted) -> Refused:
    """429: a budget does not reach; 503 where it could not be asked."""
    if short.of == "unknown":
        return busy("budget_unknown")
    wait = min(short.retry_after, _LONGEST_WAIT_SECONDS) if isfinite(short.retry_after) else _LONGEST_WAIT_SECONDS
    answer = Refusal(
        429,
        "budget-exhausted",
        "A budget is used up",
        f"The budget of the {short.of} does not reach for this request; ask again later.",
        "budget",
        {"Retry-After": str(max(1, ceil(wait)))},
    )
    return Refused(answer, "budget")


_TITLES: Mapping[int, tuple[str, str]] = {
    401: ("unauthenticated", "The request does not prove who sends it"),
    403: ("denied", "Policy denies this content"),
    429: ("too-many-requests", "Too much is asked"),
    503: ("unavailable", "No decision can be given now"),
}


def denied(found: Denied) -> Refused:
    """Return what a content that may not pass is answered with: 401, 403, 429 or 503."""
    status = found.status if found.status in _TITLES else 503
    kind, title = _TITLES[status]
    headers = {**found.headers, **({"Ztfm-Decision": found.decision} if found.decision else {})}
    answer = Refusal(status, kind, title, found.detail, "content", headers)
    return Refused(answer, "unavailable" if status == 503 else "content")


def unshaped() -> Refused:
    """502: policy wants something done to the answer that cannot be done to this one."""
    detail = (
        "Policy wants this answer changed in a way that it cannot be; it is withheld. Numbers and labels are changed "
        "in JSON alone (Content-Type: application/json), by the names of members that docs/gateway-content.md lists."
    )
    return Refused(
        Refusal(502, "answer-withheld", "The answer may not be shown", detail, "obligation_unmet"), "content"
    )


def lapsed(cause: Lapse) -> Refused:
    """401, or 503 where nobody knows: the capability holds no longer, and what ran on it is cut."""
    if cause == "revocations_unknown":
        return Refused(busy(cause).answer, "unavailable")
    word = "was revoked" if cause == "revoked" else "has expired"
    headers = {"WWW-Authenticate": 'DPoP error="invalid_token", algs="ES256"'}
    detail = f"The capability {word} while the answer was under way; ask for a new one."
    return Refused(Refusal(401, "unauthenticated", f"The capability {word}", detail, cause, headers), "revoked")


def unreachable() -> Refused:
    """502: there is no connection to the upstream."""
    detail = "The model server behind the proxy cannot be reached. Look at its log, and at `--upstream`."
    return Refused(
        Refusal(502, "upstream", "The model server cannot be reached", detail, "upstream_unreachable"),
        "upstream_unreachable",
    )


def late() -> Refused:
    """504: the upstream did not answer in time."""
    detail = "The model server behind the proxy did not answer in time."
    return Refused(
        Refusal(504, "upstream", "The model server did not answer in time", detail, "upstream_timeout"),
        "upstream_timeout",
    )


def failed(status: int) -> Refused:
    """502, or 504 for its own: the upstream answered with a status that is not for the client."""
    detail = f"The model server behind the proxy answered with status {status}. Look at its log."
    known = 504 if status == 504 else 502
    return Refused(
        Refusal(known, "upstream", "The model server could not answer", detail, "upstream_status"), "upstream_status"
    )


def unanswered(status: int) -> Refused:
    """Return the upstream's own refusal of a question, in our words, where its words may not be shown."""
    detail = "The model server does not take this question; what it says of that may not be shown."
    return Refused(
        Refusal(status, "upstream", "The model server refuses", detail, "upstream_refused"), "upstream_status"
    )


def broken(why: str) -> Refused:
    """502: the upstream's answer ended early, or cannot be read."""
    detail = f"The model server behind the proxy gave no usable answer: {why}."
    return Refused(
        Refusal(502, "upstream", "The model server's answer is broken", detail, "upstream_broken"), "upstream_broken"
    )


def unbounded(what: str) -> Refused:
    """502: the answer is larger than is passed on."""
    remedy = " Ask for a capability with a larger max_output_tokens." if what == "tokens" else ""
    detail = f"The answer has more {what} than may be passed on; it is withheld, or ends here.{remedy}"
    return Refused(Refusal(502, "upstream", "The answer is too large", detail, "answer_too_large"), "too_large")


def slow_client() -> Refused:
    """Said to nobody: the client takes nothing of its answer any more."""
    detail = "The client took nothing of the answer for too long."
    return Refused(Refusal(408, "timeout", "The client is too slow", detail, "client_stalled"), "client_gone")
