"""Errors as RFC 9457 problem details."""

from typing import Annotated

from pydantic import Field

from controlplane.contracts.access import AccessReason
from controlplane.contracts.base import StrictModel, Text


class FieldError(StrictModel):
    """One field that does not fit.

    Attributes:
        pointer: JSON Pointer (RFC 6901) to the field.
        detail: what is wrong with it.
    """

    pointer: Annotated[str, Field(max_length=256)]
    detail: Text


class Problem(StrictModel):
    """A problem document.

    Attributes:
        type: stable URI of the kind of problem; clients switch on it.
        title: the kind, in words.
        status: HTTP status.
        detail: this occurrence, and what to do.
        errors: the fields that do not fit, for a 400.
        reasons: what policy missed, for a 403.
        decision_id: the recorded decision, where there is one.
    """

    type: str
    title: Text
    status: Annotated[int, Field(ge=400, le=599)]
    detail: Annotated[str, Field(max_length=1024)] = ""
    errors: Annotated[list[FieldError], Field(max_length=32)] | None = None
    reasons: list[AccessReason] | None = None
    decision_id: str | None = None
