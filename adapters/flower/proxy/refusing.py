"""What the proxy answers in place of the SuperLink. A SuperNode of Flower 1.41 stops at 401, and goes on after 403.

At 502, 503 and 504 it tries again.
"""

from adapters.flower.proxy.headers import ROUND, AnnouncedRound
from adapters.web.answering import Refusal


class Refused(Exception):  # noqa: N818 - carries an answer out of a body that is being passed on
    """A request is refused while its body is under way.

    Attributes:
        answer: what is said instead.
    """

    def __init__(self, answer: Refusal) -> None:
        super().__init__(answer.cause)
        self.answer = answer


def denied(cause: str, announced: AnnouncedRound | None = None) -> Refusal:
    """403: this request is not let through; the SuperNode goes on with the next.

    Args:
        cause: for logs and counters.
        announced: for which round a capability is needed, so that the sidecar can ask for it.
    """
    detail = "The device has not shown what this request needs."
    headers = {ROUND: announced.to_header()} if announced is not None else {}
    return Refusal(403, "denied", "Policy denies this request", detail, cause, headers)


def revoked() -> Refusal:
    """401: the device is no member any more; its SuperNode stops."""
    detail = "The device was revoked. Its owner may ask the operators of the federation."
    return Refusal(401, "unauthenticated", "The device is no member of the federation", detail, "revoked")


def too_large(limit: int) -> Refusal:
    """413: a body that is larger than this proxy takes."""
    return Refusal(413, "too-large", "The body is too large", f"At most {limit} bytes are taken.", "body")


def busy(cause: str) -> Refusal:
    """503: nothing can be decided, or too much is under way."""
    detail = "Nothing is let through now; the request may be made again."
    return Refusal(503, "unavailable", "No decision can be given now", detail, cause, {"Retry-After": "1"})


def upstream_failed(cause: str) -> Refusal:
    """502: the SuperLink could not be reached, or gave no answer that can be read."""
    detail = "The SuperLink behind the proxy gave no usable answer. Look at its log, and at `--upstream`."
    return Refusal(502, "unavailable", "The SuperLink gave no answer", detail, cause)


def upstream_late() -> Refusal:
    """504: the SuperLink did not answer in time."""
    detail = "The SuperLink behind the proxy did not answer in time."
    return Refusal(504, "unavailable", "The SuperLink did not answer in time", detail, "upstream_timeout")
