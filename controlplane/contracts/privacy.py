"""Differential privacy: what has to be done to updates, what that costs, and what of a budget is left.

Epsilon and delta are those of (epsilon, delta)-differential privacy (Dwork and Roth 2014, definition 2.4).
"""

from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from controlplane.contracts.base import Count, Identifier, Label, StrictModel, Timestamp

PrivacyMode = Literal["local", "central"]
"""Who adds the noise: ``local``, each device to its own update before it leaves; ``central``, the aggregator, once, to
the sum of a round."""

PRIVACY_MODES: tuple[PrivacyMode, ...] = ("local", "central")

MAX_PLANS = 10_000
MAX_WINDOW_DAYS = 36_500
MAX_EPSILON = 1e6
"""Stands for every epsilon that is larger, infinity among them: no guarantee at all."""

Epsilon = Annotated[float, Field(ge=0.0, le=MAX_EPSILON)]
Delta = Annotated[float, Field(gt=0.0, lt=1.0)]
ClipNorm = Annotated[float, Field(gt=0.0, le=1e12)]
NoiseMultiplier = Annotated[float, Field(gt=0.0, le=1e6)]
Sampling = Annotated[float, Field(gt=0.0, le=1.0)]
WindowDays = Annotated[int, Field(ge=1, le=MAX_WINDOW_DAYS)]


class PrivacyTerms(StrictModel):
    """What has to be done so that an update, or the sum of a round, tells little of anybody; an obligation.

    The standard deviation of the noise in each coordinate is ``noise_multiplier * clip_norm`` (the Gaussian mechanism,
    Dwork and Roth 2014, appendix A).

    Attributes:
        mode: who adds the noise.
        data_set: that the updates are made from; its budget is charged.
        clip_norm: L2 norm that an update is scaled down to before noise is added.
        noise_multiplier: standard deviation of the noise over the clip norm.
        sampling: what is drawn by a coin of this probability, each by itself, afresh each time, and without telling
            anybody (Poisson sampling): in the mode ``local``, a device's own examples; in ``central``, the devices of a
            round. None where nothing is drawn.
        delta: of the guarantee.
    """

    mode: PrivacyMode
    data_set: Identifier
    clip_norm: ClipNorm
    noise_multiplier: NoiseMultiplier
    sampling: Sampling | None = None
    delta: Delta

    @property
    def mechanism(self) -> "Mechanism":
        """What is charged for it."""
        return Mechanism(self.mode, self.noise_multiplier, 1.0 if self.sampling is None else self.sampling)


class PrivacyBudget(StrictModel):
    """What may be spent: by each device of its own part of a data set (``local``), or of all of it (``central``).

    Attributes:
        epsilon: all that is spent within any window, composed, stays at or below this.
        window_days: length of the window, whole days (UTC), today among them.
    """

    epsilon: Annotated[float, Field(gt=0.0, le=MAX_EPSILON)]
    window_days: WindowDays


class PrivacyPlan(StrictModel):
    """What policy has in store for a model."""

    terms: PrivacyTerms
    budget: PrivacyBudget


class PrivacyQuery(StrictModel):
    """Input of ``data.ztfm.privacy``: which plans there are.

    Attributes:
        modes: that can be carried out; a plan of another one is none.
    """

    modes: Annotated[list[Label], Field(min_length=1, max_length=8)]


class PrivacyPlans(StrictModel):
    """What policy answers: the plans by the model's identifier; a model that is not named has none."""

    plans: Annotated[dict[Identifier, PrivacyPlan], Field(max_length=MAX_PLANS)]


class PrivacyFact(StrictModel):
    """What a submission, or a round that is opened, would cost; owned by the control plane.

    Attributes:
        known: the plan, the account and the accountant could all be asked.
        cause: why not; empty when they could.
        terms: that it was computed for; policy compares them with its own.
        budget: likewise.
        charges: how often the account was charged before. It is charged once more only while that is so.
        epsilon_spent: what the window holds, composed.
        epsilon_after: the same with this one.
        epsilon_alone: this one by itself.
        returns_at: when the window has room for one more, where it has none; none for never.
        round_charged: in the mode ``central``, for a submission: its round was charged when it was opened, by these
            very terms.
    """

    known: bool
    cause: Label | Literal[""] = ""
    terms: PrivacyTerms | None = None
    budget: PrivacyBudget | None = None
    charges: Count | None = None
    epsilon_spent: Epsilon | None = None
    epsilon_after: Epsilon | None = None
    epsilon_alone: Epsilon | None = None
    returns_at: Timestamp | None = None
    round_charged: bool | None = None


PrivacyScope = Literal["devices", "data-sets"]
"""Whose account: a device's own part of a data set, or all of the data set."""


class Account(NamedTuple):
    """Names an account: a device's own part of a data set, or all of the data set (``id`` is its name then)."""

    scope: PrivacyScope
    id: str
    data_set: str


class Mechanism(NamedTuple):
    """What is charged: equal ones are kept as a number of them.

    Attributes:
        mode: who adds the noise.
        noise_multiplier: standard deviation over the clip norm.
        sampling: probability with which something takes part; 1 where nothing is drawn.
    """

    mode: PrivacyMode
    noise_multiplier: float
    sampling: float


class PrivacySpending(StrictModel):
    """How often the same was charged to an account, in its window and ever since.

    Attributes:
        noise_multiplier: of the noise, as the plan had it.
        sampling: of the plan; 1 where nothing is drawn.
        mode: of the plan.
        window: times in the window.
        ever: times since the account was opened.
    """

    mode: PrivacyMode
    noise_multiplier: NoiseMultiplier
    sampling: Sampling
    window: Count
    ever: Count


class PrivacyAccount(StrictModel):
    """An account and what is left of it.

    Attributes:
        scope: whose it is.
        id: of the device or of the data set.
        data_set: of which this is spent.
        known: the accountant could be asked.
        budget: none where no plan draws on the data set any more; then there is no window, and nothing composed in it.
        delta: that the epsilons are stated for.
        charges: how often it was charged.
        epsilon_spent: within the window.
        epsilon_ever: since the account was opened; a window that moves on takes nothing of this back.
        share: of the budget that is spent.
        returns_at: when the window has room for one more as the plan has it; none while it has, and for never.
        spending: what was charged.
    """

    scope: PrivacyScope
    id: Identifier
    data_set: Identifier
    known: bool
    budget: PrivacyBudget | None = None
    delta: Delta | None = None
    charges: Count
    epsilon_spent: Epsilon | None = None
    epsilon_ever: Epsilon | None = None
    share: Annotated[float, Field(ge=0.0, le=1e12)] | None = None
    returns_at: Timestamp | None = None
    spending: Annotated[list[PrivacySpending], Field(max_length=1000)]


class PrivacyStanding(StrictModel):
    """The accounts of a device, or of a data set: its own, and how those of devices that hold a part of it stand.

    Attributes:
        accounts: the fullest first; of a data set the fullest devices alone.
        devices: how many devices have an account of this data set; none where a device was asked about.
    """

    scope: PrivacyScope
    id: Identifier
    accounts: Annotated[list[PrivacyAccount], Field(max_length=1000)]
    devices: Count | None = None
