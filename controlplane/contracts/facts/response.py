"""What becomes of a subject whose behaviour was judged."""

from typing import Annotated, Literal

from pydantic import Field

from controlplane.contracts.base import Count, Identifier, StrictModel, Timestamp
from controlplane.contracts.behaviour import Attack, BehaviourFact, Channel, EValue
from controlplane.contracts.facts.subjects import SubjectFact


class RespondAction(StrictModel):
    """The action of a response to behaviour."""

    name: Literal["respond"]


class BehaviourResource(StrictModel):
    """Whose behaviour is responded to, by its subject's id."""

    type: Literal["behaviour"]
    id: Identifier


class ResponseFact(BehaviourFact):
    """What the response policy reads of a subject's behaviour.

    Attributes:
        channel: where it showed; none where time alone has passed.
        e_values: the evidence by channel.
        attack: the likely one; none for an unremarkable observation.
        confidence: in it.
        contributed: rounds, of those whose updates are still kept, into whose model updates of the subject went.
        conforming: by channel in which it was ever judged, observations that were as peers' are, since it stands where
            it does.
        convicted: by channel, the most evidence with which it was set apart, until its probation has ended.
    """

    channel: Channel | None = None
    e_values: Annotated[dict[Channel, EValue], Field(max_length=8)]
    attack: Attack | None = None
    confidence: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    contributed: Count = 0
    conforming: Annotated[dict[Channel, Count], Field(max_length=8)]
    convicted: Annotated[dict[Channel, EValue], Field(max_length=8)]


class ResponseContext(StrictModel):
    """Circumstances of a response."""

    time: Timestamp
    behaviour: ResponseFact


class ResponseFacts(StrictModel):
    """Input of ``data.ztfm.response``: what is to become of a subject whose behaviour was judged."""

    subject: SubjectFact
    action: RespondAction
    resource: BehaviourResource
    context: ResponseContext
