"""Signals: what a gateway tells of how a subject uses a model. Numbers alone, and none that content follows from."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from controlplane.contracts.base import Count, Identifier, Share, StrictModel, Timestamp

MAX_SIGNALS = 500
"""Windows in one report."""

Seconds = Annotated[float, Field(ge=1.0, le=3600.0)]


class InferenceSignals(StrictModel):
    """One subject's use of one model in one window, as the gateway in front of the model saw it.

    Attributes:
        subject: who asked.
        model: what was asked.
        started_at: of the window, Unix seconds.
        seconds: its length.
        queries: inferences that were let through.
        prompt_tokens: of all of them; an estimate where the model's own count is not known.
        answer_tokens: of all answers.
        distinct: estimated number of different queries.
        coverage: estimated share of the input space, as a sketch divides it, that the subject has reached lately.
        repeated: share of queries that equal an earlier one.
        near_duplicates: share of queries that are new and differ little from an earlier one.
        crowding: mean share of the subject's latest queries that differ little from each new one; high where one point
            of the input space is felt around.
        injections: queries that a classifier holds to be attempts at prompt injection.
        secrets: queries that hold what looks like a credential.
    """

    subject: Identifier
    model: Identifier
    started_at: Timestamp
    seconds: Seconds
    queries: Annotated[int, Field(ge=1, le=1_000_000_000)]
    prompt_tokens: Count
    answer_tokens: Count
    distinct: Count
    coverage: Share
    repeated: Share = 0.0
    near_duplicates: Share = 0.0
    crowding: Share = 0.0
    injections: Count = 0
    secrets: Count = 0

    @model_validator(mode="after")
    def _of_its_queries(self) -> Self:
        for name in ("distinct", "injections", "secrets"):
            if getattr(self, name) > self.queries:
                raise ValueError(f"{name} counts some of the queries, and cannot be more than they are")
        return self


class SignalReports(StrictModel):
    """Windows of several subjects, in any order."""

    signals: Annotated[list[InferenceSignals], Field(min_length=1, max_length=MAX_SIGNALS)]


class SignalsTaken(StrictModel):
    """What became of a report. How a subject was judged is not told: a gateway acts on decisions alone.

    Attributes:
        judged: windows that count as observations.
        passed_over: those that do not: of a subject that is not known or not active, or was not allowed to use the
            model lately; shorter than the windows that policy judges by; too old or ahead of time; or of a time that
            was reported before.
    """

    judged: Count
    passed_over: Count
