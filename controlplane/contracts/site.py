"""What a site decides by itself, on its own machine: may this model come in, may this update go out.

The site's policy is asked with the facts below and answers as a layer does; what it decided is told to the control
plane in signed statements, which hold nothing of the site's data.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from controlplane.contracts.access import Purpose
from controlplane.contracts.base import Count, Digest, Identifier, Magnitude, StrictModel, Timestamp
from controlplane.contracts.policies import Revision

MAX_STATEMENTS = 100
"""Statements that are handed in at once."""

MAX_CODES = 16
"""Requirements that a site's answer names, as any layer's."""

SiteActionName = Literal["model_in", "update_out"]
"""What a site decides: a model comes in, an update goes out."""

SiteOutcome = Literal["allow", "veto"]

Epsilon = Annotated[float, Field(ge=0.0, le=1e6)]
"""What is spent of a privacy budget."""

SiteCode = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.:-]{0,56}$")]
"""A requirement of a site's, without the layer's name."""

SizeBytes = Annotated[int, Field(ge=0, le=2**53)]


class SiteSubject(StrictModel):
    """The device that asks at its own site."""

    type: Literal["device"]
    id: Identifier


class ModelInAction(StrictModel):
    """The action of a model that comes in."""

    name: Literal["model_in"]


class UpdateOutAction(StrictModel):
    """The action of an update that goes out."""

    name: Literal["update_out"]


class SiteModelProperties(StrictModel):
    """What is known of the model.

    Attributes:
        digest: of its weights, as the server states it.
        size_bytes: of the weights; absent where nobody told it.
    """

    digest: Digest | None = None
    size_bytes: SizeBytes | None = None


class SiteModel(StrictModel):
    """The model that it is about."""

    type: Literal["model"]
    id: Identifier
    properties: SiteModelProperties


class EpsilonSpent(StrictModel):
    """What updates of this model have spent at this site, reserved ones counted; sums, as simple composition has it.

    Attributes:
        month: in the calendar month of the question, UTC.
        total: ever.
    """

    month: Magnitude
    total: Magnitude


class EpsilonAsked(EpsilonSpent):
    """The same, and what it would come to with this update; absent where the update does not say what it spends.

    Attributes:
        month_after: this month's, with this update.
        total_after: all of it, with this update.
    """

    month_after: Magnitude | None = None
    total_after: Magnitude | None = None


class UpdateFact(StrictModel):
    """An update as the site's own code describes it; what it does not say is absent.

    Attributes:
        digest: of the tensors.
        norm: L2 norm of all of them.
        examples: of the site's data that were trained on.
        epsilon: what it spends of the privacy budget.
    """

    digest: Digest | None = None
    norm: Magnitude | None = None
    examples: Count | None = None
    epsilon: Epsilon | None = None


class ModelInContext(StrictModel):
    """Circumstances of a model that comes in.

    Attributes:
        audience: the enforcement point that hands it out: an aggregator, or a gateway.
        purpose: what is to be done with it here: the site's data are trained on, or it is served.
        round_id: that it comes in for; absent outside of rounds.
    """

    time: Timestamp
    audience: Identifier
    purpose: Purpose | None = None
    round_id: Identifier | None = None
    epsilon: EpsilonSpent


class UpdateOutContext(StrictModel):
    """Circumstances of an update that goes out.

    Attributes:
        audience: the enforcement point that takes it in.
        round_id: that it is for; absent outside of rounds.
    """

    time: Timestamp
    audience: Identifier
    round_id: Identifier | None = None
    update: UpdateFact
    epsilon: EpsilonAsked


class ModelInFacts(StrictModel):
    """What a site's policy is asked before a model comes in."""

    subject: SiteSubject
    action: ModelInAction
    resource: SiteModel
    context: ModelInContext


class UpdateOutFacts(StrictModel):
    """What a site's policy is asked before an update goes out."""

    subject: SiteSubject
    action: UpdateOutAction
    resource: SiteModel
    context: UpdateOutContext


class SiteAnswer(StrictModel):
    """What a site's policy answers: as any layer's, of which nothing but these two counts here.

    Attributes:
        required: what must hold; an answer that requires nothing is none.
        proven: what does.
        ttl_seconds: means nothing at a site, as ``watch`` and ``quarantine`` do.
    """

    required: Annotated[list[SiteCode], Field(min_length=1, max_length=MAX_CODES)]
    proven: Annotated[list[SiteCode], Field(max_length=64)]
    ttl_seconds: float | None = None
    watch: bool | None = None
    quarantine: bool | None = None


class SiteLimits(StrictModel):
    """What a site's policy lowers; each limit that is there must be kept, or it is a veto.

    Attributes:
        max_bytes: of the model.
        max_norm: L2 norm of the update.
        max_examples: behind the update.
        epsilon: that one update spends.
    """

    max_bytes: SizeBytes | None = None
    max_norm: Magnitude | None = None
    max_examples: Count | None = None
    epsilon: Epsilon | None = None


class SiteDecision(StrictModel):
    """One decision of a site as it is told: signed by the device's key, in a chain of that device's decisions.

    Attributes:
        sequence: counts up from 1.
        previous: digest of the statement before it; of nothing for the first.
        previous_time: when that was decided; 0 for the first.
        time: by the site's clock.
        subject: the device.
        model: that it is about.
        round_id: of the round; empty outside of rounds.
        audience: the enforcement point.
        reasons: codes of what was missing; empty when it was allowed.
        policy_digest: of the signed bundle that decided; none when none could.
        policy_revision: of it; empty when none could.
        facts_digest: over the facts and limits, which stay at the site, and a random salt.
    """

    sequence: Annotated[int, Field(ge=1, le=2**53)]
    previous: Digest
    previous_time: Timestamp
    time: Timestamp
    subject: Identifier
    action: SiteActionName
    outcome: SiteOutcome
    model: Identifier
    round_id: Identifier | Literal[""]
    audience: Identifier
    reasons: Annotated[list[SiteCode], Field(max_length=MAX_CODES)]
    policy_digest: Digest | None
    policy_revision: Revision | Literal[""]
    facts_digest: Digest


Statement = Annotated[str, StringConstraints(min_length=1, max_length=8192)]
"""A `SiteDecision` as a compact JWS by the device's key; its header names the key."""


class SiteReports(StrictModel):
    """What a device's site decided, oldest first."""

    statements: Annotated[list[Statement], Field(min_length=1, max_length=MAX_STATEMENTS)]


class SiteReportsTaken(StrictModel):
    """What became of a report.

    Attributes:
        taken: statements that are on record now.
        known: that were before.
        refused: that are not signed by the device's key, are about another device, or say something else than a
            decision.
    """

    taken: Count
    known: Count
    refused: Count


SITE_FACTS: dict[str, type[StrictModel]] = {"model_in": ModelInFacts, "update_out": UpdateOutFacts}
"""Facts of a site's own questions, by action; they stand beside those that the control plane asks (`FACTS`)."""
