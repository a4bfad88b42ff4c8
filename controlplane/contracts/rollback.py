"""Rollback: a model is rebuilt from kept updates as if some subjects had never contributed to it."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from controlplane.contracts.base import Count, Digest, Identifier, StrictModel, Timestamp

RollbackState = Literal["ordered", "done", "failed"]

Reason = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[\x20-\x7e]+$")]
"""For the record and for operators; it holds nothing secret."""

Subjects = Annotated[list[Identifier], Field(min_length=1, max_length=1000, json_schema_extra={"uniqueItems": True})]


class RollbackOrder(StrictModel):
    """Somebody orders that a model be rebuilt without what some subjects contributed, from one round on.

    Attributes:
        subjects: whose updates are left out.
        reason: why.
    """

    subjects: Subjects
    reason: Reason

    @model_validator(mode="after")
    def _unique_subjects(self) -> Self:
        if len(set(self.subjects)) != len(self.subjects):
            raise ValueError("subjects must not repeat")
        return self


class RollbackScope(StrictModel):
    """Somebody asks what an order would reach that leaves out what some subjects contributed, from one round on.

    Attributes:
        subjects: whose updates would be left out.
    """

    subjects: Subjects

    @model_validator(mode="after")
    def _unique_subjects(self) -> Self:
        if len(set(self.subjects)) != len(self.subjects):
            raise ValueError("subjects must not repeat")
        return self


class RollbackPreview(StrictModel):
    """What an order would reach; nothing is ordered.

    Attributes:
        model: that would be rebuilt.
        opened_by: the aggregator that would rebuild it.
        replayed: how many rounds would be done again.
        rounds: the first of them, in order.
        left_out: updates that would be left out; 0 where there is nothing to undo.
        kept: updates that would be applied again.
    """

    round_id: Identifier
    model: Identifier
    opened_by: Identifier
    replayed: Count
    rounds: Annotated[list[Identifier], Field(max_length=1000)]
    left_out: Count
    kept: Count


class Rollback(StrictModel):
    """An order to rebuild a model, and what became of it.

    Attributes:
        id: of the order.
        model: which.
        round_id: the first round that is replayed; all later ones are too.
        subjects: whose updates are left out.
        reason: why.
        ordered_by: a person or service, or ``policy``.
        ordered_at: Unix seconds.
        decision_id: of the decision that allowed or asked for it.
        state: ``done`` once an aggregator has rebuilt the model.
        ended_at: when it was done or failed, Unix seconds.
        model_digest: of the rebuilt weights.
        rounds: that were replayed.
        left_out: updates that were left out.
        fault: why it failed, or what was lost besides; empty otherwise.
    """

    id: Identifier
    model: Identifier
    round_id: Identifier
    subjects: Subjects
    reason: Reason
    ordered_by: Identifier
    ordered_at: Timestamp
    decision_id: Identifier
    state: RollbackState
    ended_at: Timestamp | None = None
    model_digest: Digest | None = None
    rounds: Count = 0
    left_out: Count = 0
    fault: Annotated[str, StringConstraints(max_length=256)] = ""


class RollbackResult(StrictModel):
    """An aggregator says what became of an order.

    Attributes:
        round_id: with which the order began when it was carried out; meanwhile it may begin earlier, and is not done.
        state: how it ended.
        model_digest: of the weights that the next round begins with, stated when it is done; none when it failed.
        rounds: that were replayed.
        left_out: updates that were left out.
        fault: why it failed, or what was lost besides; empty otherwise.
    """

    round_id: Identifier
    state: Literal["done", "failed"]
    model_digest: Digest | None = None
    rounds: Count = 0
    left_out: Count = 0
    fault: Annotated[str, StringConstraints(max_length=256, pattern=r"^[\x20-\x7e]*$")] = ""

    @model_validator(mode="after")
    def _stated(self) -> Self:
        if self.state == "done" and self.model_digest is None:
            raise ValueError("what is done states the model_digest of the rebuilt weights")
        return self


class RollbacksFound(StrictModel):
    """Orders, newest first."""

    rollbacks: Annotated[list[Rollback], Field(max_length=1000)]


class Contribution(StrictModel):
    """An update that went into a round's model.

    Attributes:
        round_id: the round.
        subject: whose.
        update_digest: as evidence stated it.
        decision_id: by which it was admitted.
        time: Unix seconds.
    """

    round_id: Identifier
    subject: Identifier
    update_digest: Digest
    decision_id: Identifier
    time: Timestamp


class ContributionsFound(StrictModel):
    """The updates that went into a model, by round as they were admitted."""

    contributions: Annotated[list[Contribution], Field(max_length=10_000)]
