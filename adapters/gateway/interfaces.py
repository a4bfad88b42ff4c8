"""What a gateway is made of: budgets that are reserved before and settled after, and a judge of content."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from adapters.web.admission import Admitted

Direction = Literal["prompt", "answer"]
"""Which way a content goes."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Tokens and one request that are taken from a budget until they are settled.

    Attributes:
        id: to settle it by.
        tokens: that were taken: the prompt's, and the most that the answer may have.
        expires_at: Unix seconds; one that is not settled by then counts as used up whole.
    """

    id: str
    tokens: int
    expires_at: float


@dataclass(frozen=True, slots=True)
class Exhausted:
    """Nothing was taken: a budget does not reach.

    Attributes:
        of: whose budget: the subject's, the model's, the segment's; ``unknown`` where it could not be asked.
        retry_after: seconds after which there is room again.
    """

    of: Literal["subject", "model", "segment", "unknown"]
    retry_after: float


class Budgets(Protocol):
    """Takes from the budgets of a subject, a model and a segment at once, or from none of them."""

    async def reserve(self, admitted: Admitted, prompt_tokens: int, max_output_tokens: int) -> Reservation | Exhausted:
        """Take a request and its tokens before anything is forwarded."""
        ...

    async def settle(self, reservation: Reservation, tokens: int) -> None:
        """Say how many tokens were used, prompt and answer together; what is left is given back. Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Findings:
    """What content shows, as evidence for policy: numbers by kind, never the content.

    Attributes:
        injection: score of prompt injection or jailbreak in [0, 1].
        secrets: places that look like credentials.
        personal: places that look like personal data, by kind.
        near_duplicate: the query differs little from earlier ones of the same subject.
        coverage: share of the input space that the subject has reached lately, in [0, 1].
    """

    injection: float = 0.0
    secrets: int = 0
    personal: Mapping[str, int] = field(default_factory=dict)
    near_duplicate: bool = False
    coverage: float = 0.0


@dataclass(frozen=True, slots=True)
class Terms:
    """What policy wants done with a content that may pass.

    Attributes:
        decision: id of the decision.
        redact: kinds of findings whose places are blacked out: ``secrets``, ``personal``.
        decimals: to which probabilities are rounded; none leaves them.
        suppress: fields of an answer that are taken out: ``probabilities``, ``logits``.
        watermark: tag that an answer bears; none for none.
        requests_per_minute: the subject may ask no more often from now on; none leaves its rate.
        max_output_tokens: the answer has no more; none leaves what the capability says.
        label_only: all of the answer but the best label is taken out.
    """

    decision: str
    redact: frozenset[str] = frozenset()
    decimals: int | None = None
    suppress: frozenset[str] = frozenset()
    watermark: str | None = None
    requests_per_minute: int | None = None
    max_output_tokens: int | None = None
    label_only: bool = False


@dataclass(frozen=True, slots=True)
class Denied:
    """A content may not pass.

    Attributes:
        decision: id of the decision; empty where none could be made.
        codes: what was missing.
        status: 403; 401 where the subject must prove itself anew (step-up); 429 where it asks too often; 503 where no
            decision could be made.
        detail: what to do about it, in a sentence.
        headers: that belong to the answer.
    """

    decision: str
    codes: Sequence[str]
    status: Literal[401, 403, 429, 503]
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Judge(Protocol):
    """Looks at content on its way and asks policy what becomes of it; where it cannot, nothing passes."""

    async def judge(self, admitted: Admitted, direction: Direction, texts: Sequence[str]) -> Terms | Denied:
        """Return what becomes of a prompt, or of an answer."""
        ...
