"""A gateway leases a part of budgets for a subject's requests to a model, as `ztfm.budget` decides it."""

from typing import Annotated, Literal

from pydantic import Field

from controlplane.contracts.base import Count, Identifier, StrictModel, Timestamp
from controlplane.contracts.budgets import Amounts, BudgetScope, BudgetSpan
from controlplane.contracts.facts.subjects import SubjectFact
from controlplane.contracts.holds import HoldsFact


class BudgetAction(StrictModel):
    """The action of a gateway that leases a part of budgets."""

    name: Literal["budget"]


class BudgetModel(StrictModel):
    """The model that is asked, by its name."""

    type: Literal["model"]
    id: Identifier


class BudgetContext(StrictModel):
    """Circumstances of a lease.

    Attributes:
        gateway: that asks for it.
        asked: what it needs now, of a request that waits.
        taken: what is used, or held by gateways, of the current windows: by whose budget it is, and by window.
        leases: of this subject and model that gateways hold now.
        holds: of inference in the subject's segment.
    """

    time: Timestamp
    gateway: Identifier
    asked: Amounts
    taken: Annotated[dict[BudgetScope, Annotated[dict[BudgetSpan, Amounts], Field(max_length=2)]], Field(max_length=3)]
    leases: Count
    holds: HoldsFact


class BudgetFacts(StrictModel):
    """Input of ``data.ztfm.budget``: what may be leased for a subject's requests to a model."""

    subject: SubjectFact
    action: BudgetAction
    resource: BudgetModel
    context: BudgetContext
