"""What is signed: a round as it was aggregated, a model as it was rebuilt. Each names the hash of the one before."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from controlplane.contracts.base import Count, Digest, Identifier, StrictModel, Timestamp
from controlplane.contracts.decision import Aggregation
from controlplane.contracts.rounds import MAX_MEMBERS

MOST_ROUNDS = 10_000
"""That an archive can be told to keep."""

MOST_RATE = 1000.0

Sequence = Annotated[int, Field(ge=0, le=99_999_999)]
"""Counts what was archived, without a gap."""

Arithmetic = Literal["updates", "models"]
"""``updates``: they become one step, in float64, by which the weights move. ``models``: the weights of each member,
which are the received ones and its update, are averaged in the weights' own type, as Flower's strategies do."""


class Recipe(StrictModel):
    """How a round's updates moved the weights; enough to do it again.

    Attributes:
        method: how the updates became one.
        arithmetic: in which order and type that was computed.
        server_rate: share of the way that the weights went; above 1 beyond it.
        threads: of torch while it was computed: sums over many values depend on it.
    """

    method: Aggregation = "mean"
    arithmetic: Arithmetic = "updates"
    server_rate: Annotated[float, Field(gt=0.0, le=MOST_RATE)] = 1.0
    threads: Annotated[int, Field(ge=1, le=4096)] = 1


class KeptUpdate(StrictModel):
    """One accepted update as it went into the model.

    Attributes:
        subject: whose.
        update_digest: of what the device submitted, as evidence stated it.
        content: of what is kept, which is clipped.
        decision_id: by which it was admitted.
        weight: examples, bounded.
        scale: what the submitted update was multiplied with, in (0, 1].
    """

    subject: Identifier
    update_digest: Digest
    content: Digest
    decision_id: Identifier
    weight: Count
    scale: Annotated[float, Field(gt=0.0, le=1.0)]


class RoundEntry(StrictModel):
    """A round.

    Attributes:
        sequence: its place in the archive.
        previous: SHA-256 of the token before it; none for the first that was ever archived.
        round_id: the round.
        model: its model.
        time: when it was archived, Unix seconds.
        weights_before: that the round began with.
        weights_after: that it ended with.
        recipe: how it came from the one to the other; none where that cannot be done again.
        updates: in the order in which they were aggregated.
    """

    kind: Literal["round"] = "round"
    sequence: Sequence
    previous: Digest | None
    round_id: Identifier
    model: Identifier
    time: Timestamp
    weights_before: Digest
    weights_after: Digest
    recipe: Recipe | None
    updates: Annotated[list[KeptUpdate], Field(min_length=1, max_length=MAX_MEMBERS)]


class ReplayedRound(StrictModel):
    """A round that was done again with some updates left out.

    Attributes:
        round_id: the round.
        weights_before: of the rebuilt model before it.
        weights_after: of the rebuilt model after it.
        left_out: whose updates were left out, by this rebuild and by earlier ones.
    """

    round_id: Identifier
    weights_before: Digest
    weights_after: Digest
    left_out: Annotated[list[Identifier], Field(max_length=MAX_MEMBERS)]


class Asked(StrictModel):
    """Whose updates are to be left out, from when on.

    Attributes:
        without: the subjects.
        since: the first round whose updates of theirs are left out.
        order: of the control plane, that asks for it; none when none does.
    """

    without: Annotated[list[Identifier], Field(min_length=1, max_length=1000)]
    since: Identifier
    order: Identifier | None = None


class Answer(Asked):
    """What became of it.

    Attributes:
        left_out: updates that are no part of the model any more.
        incomplete: why some others still are; empty when none is.
    """

    left_out: Count
    incomplete: Annotated[str, Field(max_length=256)] = ""


class RollbackEntry(StrictModel):
    """A model that was rebuilt.

    Attributes:
        sequence: its place in the archive.
        previous: SHA-256 of the token before it.
        model: which.
        time: when it was rebuilt, Unix seconds.
        answers: what was asked for, and what became of it.
        weights_before: that were replaced, as the archive knew them.
        weights_after: that replaced them.
        replayed: what was done again, in order.
        dropped: rounds that could not be done again, and with them all that followed: they are no part of the model.
    """

    kind: Literal["rollback"] = "rollback"
    sequence: Sequence
    previous: Digest
    model: Identifier
    time: Timestamp
    answers: Annotated[list[Answer], Field(min_length=1, max_length=64)]
    weights_before: Digest
    weights_after: Digest
    replayed: Annotated[list[ReplayedRound], Field(max_length=MOST_ROUNDS)]
    dropped: Annotated[list[Identifier], Field(max_length=MOST_ROUNDS)]


class RebuildProgress(StrictModel):
    """How far a rebuild is that was stopped.

    Attributes:
        replayed: what was done, in order.
    """

    kind: Literal["progress"] = "progress"
    replayed: Annotated[list[ReplayedRound], Field(max_length=MOST_ROUNDS)]


Entry = RoundEntry | RollbackEntry

ENTRY: TypeAdapter[Entry] = TypeAdapter(Annotated[Entry, Field(discriminator="kind")])
"""Reads either kind."""
