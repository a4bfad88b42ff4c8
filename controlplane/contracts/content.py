"""What gateways find in prompts and answers, and what policy wants done with them. Numbers by kind, never content."""

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from controlplane.contracts.base import Count, Identifier, Label, Share, StrictModel, Timestamp

ContentDirection = Literal["prompt", "answer"]
"""Which way a content goes."""

RedactedKind = Literal["personal", "secrets"]
"""What is blacked out: places that look like personal data, or like credentials."""

SuppressedField = Literal["logits", "probabilities"]
"""What is taken out of an answer: raw scores, or shares; log-probabilities are probabilities."""

MAX_PERSONAL_KINDS = 32

Personal = Annotated[
    dict[Label, Count],
    Field(max_length=MAX_PERSONAL_KINDS),
    # As the parser has it: pydantic's own schema would let other names through.
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 1_000_000_000},
            "propertyNames": {"pattern": r"^[a-z][a-z0-9_:.-]{0,63}$"},
            "maxProperties": MAX_PERSONAL_KINDS,
        }
    ),
]
"""Places that look like personal data, by kind."""

Redacted = Annotated[list[RedactedKind], Field(max_length=2)]
Suppressed = Annotated[list[SuppressedField], Field(max_length=2)]

Decimals = Annotated[int, Field(ge=0, le=6)]
"""Digits behind the point that a probability keeps."""

RequestsPerMinute = Annotated[int, Field(ge=1, le=60_000)]

StepUpSeconds = Annotated[float, Field(ge=5.0, le=300.0)]
"""How lately a subject must have been given its capability."""


class ContentFindings(StrictModel):
    """What a content shows: evidence, and no verdict.

    Attributes:
        injection: score of prompt injection or jailbreak.
        secrets: places that look like credentials.
        personal: places that look like personal data, by kind.
        near_duplicate: the prompt differs little from an earlier one of the same subject, and differs.
        coverage: share of the input space, as a sketch divides it, that the subject has reached lately.
    """

    injection: Share
    secrets: Count
    personal: Personal
    near_duplicate: bool
    coverage: Share


class ContentReport(StrictModel):
    """A gateway asks what becomes of a prompt, of an answer, or of the part of a stream that it has seen.

    Attributes:
        subject: whose capability the request came with.
        model: that was asked.
        capability: its id (``jti``).
        issued_at: when it was issued, Unix seconds (``iat``).
        direction: which way the content goes.
        findings: what it shows.
    """

    subject: Identifier
    model: Identifier
    capability: Identifier
    issued_at: Timestamp
    direction: ContentDirection
    findings: ContentFindings
