"""Behaviour: what speaks against a subject, in which state it is, and what that is read from.

Evidence becomes a score, a score a p-value against comparable peers, p-values a running product of bets (an
e-process): large only for who is not like them. Policy says how much is too much.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from controlplane.contracts.base import Count, Identifier, Label, Magnitude, Share, StrictModel, Text, Timestamp

BehaviourState = Literal["trusted", "watched", "quarantined", "recovering"]
"""Where a subject stands. ``recovering`` is on probation: it takes part again, what it sends is judged, nothing of it
enters the model."""

Channel = Literal["updates", "access", "inference"]
"""What was watched: submitted updates, requests to the control plane, inferences at a gateway."""

CHANNELS: tuple[Channel, ...] = ("updates", "access", "inference")

Attack = Literal[
    "backdoor",
    "collusion",
    "extraction",
    "free_rider",
    "label_flip",
    "malformed",
    "membership_inference",
    "model_poisoning",
    "overuse",
    "prompt_injection",
    "replay",
    "sign_flip",
    "stolen_identity",
    "sybil",
    "unknown",
]
"""The likely attack that a verdict names."""

LARGEST_E_VALUE = 1e12

MOST_CONFORMING = 10_000
"""Observations to which is counted; no policy may ask for more."""

EValue = Annotated[float, Field(ge=0.0, le=LARGEST_E_VALUE)]
"""Evidence against the null hypothesis that a subject is like its peers: expected to be 1 at most while it is."""


class Wealth(StrictModel):
    """What is kept of one channel: an e-process, which is what bets against a subject have made of a stake of 1.

    Attributes:
        active: of bets that are running.
        waiting: stake that has not been bet yet; it waits for a change that comes later.
        steps: observations in the current horizon.
        conforming: observations that were as peers' are, since the subject stands where it does; counts to
            `MOST_CONFORMING`.
        convicted: the most evidence with which the subject was set apart, until its probation has ended; 0 for none.
    """

    active: EValue = 0.0
    waiting: Share = 1.0
    steps: Count = 0
    conforming: Count = 0
    convicted: EValue = 0.0


class BehaviourRecord(StrictModel):
    """What is kept of one subject's behaviour; constant in size.

    Attributes:
        state: where it stands.
        since: since when, Unix seconds.
        wealth: by channel; a channel in which nothing was seen is absent.
        conforming: discounted number of observations that were as peers' are.
        deviating: discounted number of those that were not.
        observed_at: of the last one, Unix seconds.
        version: counts writes, so that two replicas cannot overwrite one another.
    """

    state: BehaviourState
    since: Timestamp
    wealth: Annotated[dict[Channel, Wealth], Field(max_length=len(CHANNELS))]
    conforming: Magnitude
    deviating: Magnitude
    observed_at: Timestamp
    version: Count = 0


class FeatureShare(StrictModel):
    """One measurement's part in a verdict.

    Attributes:
        name: the feature.
        share: of the whole deviation; the shares of a verdict's features add up to 1.
        value: what was measured.
        expected: the median of comparable peers.
    """

    name: Label
    share: Share
    value: Annotated[float, Field(ge=-1e12, le=1e12)]
    expected: Annotated[float, Field(ge=-1e12, le=1e12)]


class LayerShare(StrictModel):
    """One tensor's part in a verdict; shares add up to 1 at most."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    share: Share


class Attribution(StrictModel):
    """Why a verdict is what it is.

    Attributes:
        features: those that contributed, largest first.
        layers: the tensors behind it, largest first; empty where it is not about an update.
        attack: the likely one.
        confidence: in ``attack``, against the others that are known.
        atlas: nearest technique of MITRE ATLAS, ``AML.T0020``; there is none for updates of a federation.
        owasp: nearest entry of OWASP's Top 10 for LLM applications, ``LLM04:2025``.
        sentence: the same for people.
    """

    features: Annotated[list[FeatureShare], Field(min_length=1, max_length=16)]
    layers: Annotated[list[LayerShare], Field(max_length=8)] = Field(default_factory=list)
    attack: Attack
    confidence: Share
    atlas: Annotated[str, StringConstraints(pattern=r"^AML\.T[0-9]{4}(\.[0-9]{3})?$")] | None = None
    owasp: Annotated[str, StringConstraints(pattern=r"^LLM[0-9]{2}:20[0-9]{2}$")] | None = None
    sentence: Text


class BehaviourFact(StrictModel):
    """What decisions read of a subject's behaviour.

    Attributes:
        state: where it stood before this decision.
        state_age_seconds: for how long.
        e_value: evidence against it over all channels, weighted as policy says.
        p_value: of what is decided on now: the share of comparable peers' updates that deviate as much, or of the
            calibration's where that is less; none where there were too few to compare with.
        comparable: how many those were.
    """

    state: BehaviourState
    state_age_seconds: Annotated[float, Field(ge=0.0, le=1e10)]
    e_value: EValue
    p_value: Share | None = None
    comparable: Count = 0


class Verdict(StrictModel):
    """One judgement of a subject's behaviour, as it is kept.

    Attributes:
        subject: whom it is about.
        time: Unix seconds.
        channel: where it showed.
        round_id: of the update; none elsewhere.
        decision_id: of the response policy's decision.
        state: after it.
        was: before it.
        p_value: as in `BehaviourFact`.
        e_value: after it.
        trust: lower confidence bound after it.
        attribution: none for an unremarkable one.
    """

    subject: Identifier
    time: Timestamp
    channel: Channel
    round_id: Identifier | None = None
    decision_id: Identifier
    state: BehaviourState
    was: BehaviourState
    p_value: Share | None = None
    e_value: EValue
    trust: Share
    attribution: Attribution | None = None


class BehaviourQuery(StrictModel):
    """Input of ``data.ztfm.behaviour``: the terms by which behaviour is judged are wanted."""

    channels: Annotated[list[Channel], Field(min_length=1, max_length=len(CHANNELS))]


Level = Annotated[float, Field(gt=0.0, lt=1.0)]

WORTH: dict[Channel, float] = {"updates": 1.0, "access": 0.02, "inference": 0.02}
"""What observations count for trust, where policy does not say: fifty windows of a minute as much as an update."""


class BehaviourTerms(StrictModel):
    """How behaviour is judged; how much evidence is too much, the response policy says.

    Attributes:
        heterogeneity: by how much an honest subject may deviate more often than its peers do: p-values are multiplied
            by it, 1 for subjects that are all alike.
        levels: p-values at or below which bets pay.
        stake: share of the wealth that is bet in each step.
        hazard: share of the waiting stake that is bet anew in each step.
        horizon: observations after which a subject's stake is new; a promise about quarantine holds within one.
        forgetting: factor on earlier observations with each new one, for trust.
        newcomer: conforming observations that a newcomer is credited with.
        confidence: standard normal quantile of the lower confidence bound that trust is.
        window: rounds whose peers are compared with, this one not counted.
        comparable: peers below which there is no p-value.
        skew: edges of ``concentration`` between classes of devices that are compared with one another.
        weights: of the channels in the e-value; they add up to 1.
        worth: what an observation in a channel counts for trust, of what an update counts; others come far more often,
            and who is busy enough would soon have its updates forgotten.
        observation_seconds: length of the windows in which requests are observed.
        hostile_share: of a round's members that may be hostile, where evidence is of groups' sums: what is promised to
            an honest member holds up to it.
        calibration: scores of honest peers by class, ascending, as a calibration measured them; ``any`` is for classes
            without their own. Each has ``comparable`` scores at least: where there is no p-value, nobody would be kept
            out by it.
    """

    heterogeneity: Annotated[float, Field(ge=1.0, le=100.0)]
    levels: Annotated[list[Level], Field(min_length=1, max_length=8)]
    stake: Level
    hazard: Level
    horizon: Annotated[int, Field(ge=10, le=100_000)]
    forgetting: Level
    newcomer: Annotated[float, Field(gt=0.0, le=1000.0)]
    confidence: Annotated[float, Field(gt=0.0, le=6.0)]
    window: Annotated[int, Field(ge=0, le=1000)]
    comparable: Annotated[int, Field(ge=1, le=10_000)]
    skew: Annotated[list[Share], Field(max_length=8)]
    weights: Annotated[dict[Channel, Share], Field(min_length=len(CHANNELS), max_length=len(CHANNELS))]
    worth: Annotated[dict[Channel, Share], Field(min_length=len(CHANNELS), max_length=len(CHANNELS))] = Field(
        default_factory=lambda: dict(WORTH)
    )
    observation_seconds: Annotated[float, Field(ge=1.0, le=3600.0)] = 60.0
    hostile_share: Share = 0.1
    calibration: Annotated[
        dict[Label, Annotated[list[Magnitude], Field(max_length=4096)]], Field(min_length=1, max_length=16)
    ]

    @model_validator(mode="after")
    def _fair(self) -> Self:
        """A promise that counts on fair bets holds for weights of a mean alone."""
        if abs(sum(self.weights.values()) - 1.0) > 1e-6:
            raise ValueError("the weights of the channels do not add up to 1")
        return self

    @model_validator(mode="after")
    def _calibrated(self) -> Self:
        """A gap here would leave updates without a p-value, and those are admitted by the absolute limits alone."""
        if "any" not in self.calibration:
            raise ValueError("calibration has no scores for any; classes without their own are compared with those")
        few = sorted(name for name, scores in self.calibration.items() if len(scores) < self.comparable)
        if few:
            raise ValueError(f"calibration of {', '.join(few)} has fewer scores than comparable, {self.comparable}")
        return self
