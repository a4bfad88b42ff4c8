"""Problems as exceptions inside the edge, and as problem+json outside (RFC 9457)."""

from itertools import islice
from typing import Any

from pydantic import ValidationError

from controlplane.api.problem_types import PROBLEM_TYPES, uri
from controlplane.contracts.access import AccessReason
from controlplane.contracts.decision import Decision
from controlplane.contracts.problem import FieldError, Problem

MAX_FIELD_ERRORS = 32


class ProblemError(Exception):
    """Ends a request with a problem document.

    Attributes:
        problem: the document.
        headers: extra response headers.
        cause: for logs and metrics; never shown to the caller.
    """

    def __init__(self, problem: Problem, *, headers: dict[str, str] | None = None, cause: str = "") -> None:
        super().__init__(problem.title)
        self.problem = problem
        self.headers = headers or {}
        self.cause = cause


def problem(
    kind: str, status: int, what: str, detail: str = "", *, headers: dict[str, str] | None = None, cause: str = ""
) -> ProblemError:
    """Return the error for one occurrence of a kind of problem.

    Args:
        kind: of `problem_types`; it gives URI and title.
        status: one that the kind comes with.
        what: this occurrence, in words.
        detail: more about it, and what to do.
        headers: extra response headers.
        cause: for logs and metrics; never shown to the caller.

    Raises:
        KeyError: no such kind.
        ValueError: the kind does not come with this status.
    """
    return ProblemError(_document(kind, status, what, detail), headers=headers, cause=cause)


def _document(kind: str, status: int, what: str, detail: str = "", **members: Any) -> Problem:
    known = PROBLEM_TYPES[kind]
    if known.statuses and status not in known.statuses:
        raise ValueError(f"a problem of kind {kind} does not come with status {status}")
    parts = [what.removesuffix("."), detail] if what != known.title else [detail]
    return Problem(type=uri(kind), title=known.title, status=status, detail=". ".join(filter(None, parts)), **members)


def unauthenticated(cause: str, challenge: str = 'DPoP algs="ES256"', url: str = "") -> ProblemError:
    """401: who are you? The exact cause stays in our logs and metrics; whatever it is, callers read the same.

    Args:
        cause: why exactly.
        challenge: for ``WWW-Authenticate``.
        url: that proofs must name, up to the path, which is public; empty where none is known.
    """
    under = f"a URL that begins with {url}" if url else "this URL"
    return problem(
        "unauthenticated",
        401,
        "The request carries no valid proof of an enrolled key",
        "Enrol the key, and send a fresh DPoP proof (RFC 9449) that it signed, made once for this request: for this "
        f"method and {under}, by a clock that agrees with the header Date.",
        headers={"WWW-Authenticate": challenge},
        cause=cause,
    )


def not_found(what: str) -> ProblemError:
    """404."""
    return problem("not-found", 404, f"There is no such {what}")


def too_many(seconds: float) -> ProblemError:
    """429, with the time to wait."""
    wait = max(1, int(seconds + 0.999))
    return problem("too-many-requests", 429, "Too many requests", f"Wait {wait} s.", headers={"Retry-After": str(wait)})


def unavailable(detail: str, decision_id: str | None = None) -> ProblemError:
    """503: a part that a decision needs is not there; nothing was granted.

    Args:
        detail: which, and what to do.
        decision_id: of the decision at which it ended: nothing was done, and callers may ask once more.
    """
    what, again = "No decision can be given now", {"Retry-After": "1"}
    return ProblemError(_document("unavailable", 503, what, detail, decision_id=decision_id), headers=again)


def invalid(error: ValidationError, document: object, prefix: str = "") -> ProblemError:
    """400 that names the fields; the offending values are not echoed.

    Args:
        error: what does not fit.
        document: the parsed JSON that it does not fit in.
        prefix: JSON Pointer to where ``document`` lies within the body.
    """
    found: dict[str, list[str]] = {}
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        pointer = (prefix + _pointer(document, item["loc"], item["type"]))[:256]
        found.setdefault(pointer, []).append(item["msg"])
    fields = [
        FieldError(pointer=pointer, detail=" Or: ".join(dict.fromkeys(messages))[:512])
        for pointer, messages in islice(found.items(), MAX_FIELD_ERRORS)
    ]
    detail = "Correct the named fields; the contract is at /openapi.json."
    return ProblemError(_document("invalid-request", 400, "", detail, errors=fields))


def refused(decision: Decision) -> ProblemError:
    """403 with what was missing, or 503 when policy could not be asked."""
    if decision.outcome == "error":
        return unavailable("; ".join(reason.message for reason in decision.reasons), decision.id)
    detail = "Each reason says what was missing and what to do about it."
    return ProblemError(
        _document("denied", 403, "", detail, reasons=_bounded(decision.reasons), decision_id=decision.id)
    )


def exhausted(decision: Decision, seconds: float) -> ProblemError:
    """429: a budget has no room, with what was missing and the time to wait.

    Args:
        decision: that denied it.
        seconds: after which there may be room.
    """
    wait = max(1, int(seconds + 0.999))
    document = _document(
        "budget-exhausted",
        429,
        "",
        f"There may be room again in {wait} s; each reason says whose budget it is.",
        reasons=_bounded(decision.reasons),
        decision_id=decision.id,
    )
    return ProblemError(document, headers={"Retry-After": str(wait)})


def _bounded(reasons: list[AccessReason]) -> list[AccessReason]:
    return reasons[:64]


def _pointer(document: object, location: tuple[int | str, ...], kind: str) -> str:
    """Return the JSON Pointer of a pydantic location, whose parts may also name members of a union."""
    pointer = ""
    node: Any = document
    for index, part in enumerate(location):
        if _holds(node, part):
            node = node[part]
        elif not (kind == "missing" and index == len(location) - 1 and isinstance(node, dict)):
            continue
        pointer += "/" + str(part).replace("~", "~0").replace("/", "~1")
    return pointer


def _holds(node: object, part: int | str) -> bool:
    if isinstance(part, int):
        return isinstance(node, list) and part < len(node)
    return isinstance(node, dict) and part in node
