"""Why something was decided: what was required, whether it held, where its rule is, and what would have helped."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from controlplane.contracts.base import StrictModel
from controlplane.contracts.decision import DecisionRecord
from controlplane.contracts.policies import PolicyLayer

Line = Annotated[int, Field(ge=0)]


class FailedCondition(StrictModel):
    """An expression that did not hold.

    Attributes:
        file: within the policies.
        text: the line that it begins on.
        values: of what it read, by path or by variable; ``undefined`` for what is not there.
    """

    file: str
    line: Line
    text: str
    values: dict[str, Any]


class RequirementStanding(StrictModel):
    """One thing that a decision required.

    Attributes:
        held: it was shown.
        waived: it was not, and an exception waives it.
        message: what it means that it was not; empty when it held.
        remedy: what to do then.
        differences: claims that are not what they should be, a sentence each.
        file: of its rule, within the policies; empty when none names it.
        conditions: what did not hold there.
    """

    code: str
    held: bool
    waived: bool
    message: str
    remedy: str
    differences: list[str]
    file: str
    line: Line
    conditions: list[FailedCondition]


class DecidedNow(StrictModel):
    """What policies decide on the same facts.

    Attributes:
        missing: codes of what was required and neither held nor was waived.
    """

    allow: bool
    missing: list[str]


class FactChange(StrictModel):
    """One field that would have had to be another.

    Attributes:
        path: within the facts, with dots.
        was: as it was; null where it was absent.
    """

    path: str
    was: Any
    becomes: Any


class NearestAllowed(StrictModel):
    """What would have been allowed.

    Attributes:
        alternatives: the smallest sets of changes that were found, each allowed by OPA; empty when none was.
        asked: how many were decided to find them.
        is_complete: false when the search ended at its bound on what is asked.
    """

    alternatives: list[list[FactChange]]
    asked: Annotated[int, Field(ge=0)]
    is_complete: bool


class DecisionExplanation(StrictModel):
    """A recorded decision, explained by policies that may be others than those that decided.

    Attributes:
        decision: as it was recorded.
        policies_revision: of the policies that are looked at.
        policies_are_those_that_decided: whether they say what those said.
        policies_from: the release that is kept, this installation's folder, or a site, whose policies lie elsewhere.
        layers_not_asked: layers that decided too. ``again`` and ``nearest`` are the base's alone: what a layer refused
            stays refused.
        requirements: as they were recorded, the missing first; where each stands in the policies that are looked at.
        again: what these policies decide on the same facts; none where that cannot be said.
        masked_and_read: pointers to facts that were kept out of the log and that these policies read.
        nearest: the smallest changes that they would allow; none where they allow it as it was, or where it cannot be
            said.
    """

    decision: DecisionRecord
    policies_revision: Annotated[str, StringConstraints(max_length=512)]
    policies_are_those_that_decided: bool
    policies_from: Annotated[str, StringConstraints(pattern="^(release|folder|site)$")]
    layers_not_asked: list[PolicyLayer] = Field(default_factory=list)
    requirements: list[RequirementStanding]
    again: DecidedNow | None
    masked_and_read: list[str]
    nearest: NearestAllowed | None
