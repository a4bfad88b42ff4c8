"""Requests and answers of the control plane as bytes: bounded, checked against the contracts, never trusted.

Pure: no network here.
"""

import json
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from adapters.errors import (
    Conflict,
    ControlPlaneError,
    Forbidden,
    Invalid,
    NotFound,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from adapters.reasons import told
from controlplane.contracts.base import StrictModel
from controlplane.contracts.problem import Problem

Model = TypeVar("Model", bound=StrictModel)

MAX_ANSWER_BYTES = 8 * 1024 * 1024
"""More is not read: an answer for the largest report has about 1 MB."""

KEYS_PATH = "/.well-known/jwks.json"

_OAUTH_ERROR = "https://www.rfc-editor.org/rfc/rfc6749#section-5.2"

_LONGEST_WAIT_SECONDS = 3600.0

_OFF_SECONDS = 5.0
"""Proofs of a clock that is further ahead are refused, and capabilities of one that is behind do not hold yet."""

_KINDS: dict[int, type[ControlPlaneError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
}


def write_body(model: StrictModel) -> bytes:
    """Return a request's body; what was left out stays out."""
    return model.model_dump_json(exclude_unset=True).encode()


def read_answer(model: type[Model], body: bytes) -> Model:
    """Return an answer as ``model``.

    Raises:
        Unavailable: the answer does not fit the contract; it is not acted upon.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise Unavailable(
            f"the answer is no {model.__name__} ({error.error_count()} fields): compare the versions of both sides"
        ) from None


class PublishedKeys(dict[str, Any]):
    """A published key set as it came (RFC 7517), whose content the verifier checks.

    Attributes:
        fresh_seconds: how long its issuer lets it be kept (RFC 9111 ``max-age``).
    """

    fresh_seconds: float = 0.0


def read_keys_document(body: bytes, cache_control: str = "") -> PublishedKeys:
    """Return a JSON object whose content the caller checks, with its cache life.

    Raises:
        Unavailable: it is none.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Unavailable("the answer is no JSON object: is this the control plane's URL?")
    keys = PublishedKeys(found)
    keys.fresh_seconds = _fresh_seconds(cache_control)
    return keys


def read_problem(status: int, body: bytes, retry_after: str = "", hint: str = "") -> ControlPlaneError:
    """Return the error that a status and its problem document stand for.

    Args:
        status: of the answer.
        body: of the answer.
        retry_after: its header.
        hint: what this side knows of the cause beside it, for people.
    """
    problem = _problem(status, body)
    message = f"{status} {problem.title}: {problem.detail}" if problem else f"the control plane answered {status}"
    if problem and problem.reasons:
        message += " " + told(problem.reasons)
    if problem and problem.errors:
        message += " " + "; ".join(f"{field.pointer or '/'}: {field.detail}" for field in problem.errors)
    message = " ".join(filter(None, [message, hint]))
    if status == 429:
        return TooMany(message, retry_after=_seconds(retry_after), problem=problem)
    if status >= 500 or status < 400:
        # A 503 that names a decision was policy's, asked before anything was done.
        is_untouched = status == 503 and problem is not None and problem.decision_id is not None
        return Unavailable(message, status=status, problem=problem, is_untouched=is_untouched)
    return _KINDS.get(status, Invalid)(message, status=status, problem=problem)


def clock_hint(date: str, now: float) -> str:
    """Return what a refused caller may do about its clock; nothing where the two agree, or no date came.

    Args:
        date: the header ``Date`` of the answer (RFC 9110 section 6.6.1), of which whoever sent it may be wrong.
        now: this machine's time, Unix seconds.
    """
    try:
        ahead = now - parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return ""
    if abs(ahead) < _OFF_SECONDS:
        return ""
    side = "ahead of" if ahead > 0 else "behind"
    return f"This machine's clock is {abs(ahead):.0f} s {side} the control plane's: set it, or have it set by NTP."


def _problem(status: int, body: bytes) -> Problem | None:
    """Return a problem document, or an OAuth error as one, or none.

    What others add to theirs is passed over (RFC 9457 section 3.2, RFC 6749 section 5.2).
    """
    try:
        found = json.loads(body)
        if not isinstance(found, dict):
            return None
        if "type" not in found and "error" in found:
            detail = found.get("error_description", "")
            found = {**found, "type": _OAUTH_ERROR, "title": found["error"], "status": status, "detail": detail}
        return Problem.model_validate({name: found[name] for name in Problem.model_fields if name in found})
    except (ValueError, TypeError, RecursionError):
        return None


def _seconds(retry_after: str) -> float:
    return min(float(retry_after), _LONGEST_WAIT_SECONDS) if retry_after.isdecimal() else 1.0


def _fresh_seconds(cache_control: str) -> float:
    named = [part.strip().lower() for part in cache_control.split(",")]
    if "no-store" in named or "no-cache" in named:
        return 0.0
    ages = [part.removeprefix("max-age=").strip('"') for part in named if part.startswith("max-age=")]
    return min(float(ages[0]), _LONGEST_WAIT_SECONDS) if ages and ages[0].isdecimal() else 0.0
