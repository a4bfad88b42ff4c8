"""Budgets of privacy and of inference."""

import time

from controlplane.api.services.budgets import BudgetParts
from controlplane.confidentiality.privacy import Accountant
from controlplane.decisions import Decider
from controlplane.decisions.budgeting import BudgetDesk
from controlplane.decisions.holds import CurrentHolds
from controlplane.decisions.privacy import PrivacyBook
from controlplane.decisions.privacy_plans import PrivacyPolicy
from controlplane.decisions.privacy_standing import PrivacyStandings
from controlplane.wiring.common import Common


def wire_budgets(common: Common, decider: Decider, held: CurrentHolds) -> BudgetParts:
    """Return what charges budgets.

    Args:
        common: what there is before it.
        decider: asks policy about leases.
        held: what gets no lease.
    """
    store, metrics, clock = common.store, common.metrics, common.clock
    plans = PrivacyPolicy(common.engine, timer=time.monotonic)
    privacy = PrivacyBook(plans, store.privacy, Accountant(), metrics.privacy, clock)
    return BudgetParts(
        privacy=privacy,
        standings=PrivacyStandings(plans, store.privacy, privacy, clock),
        allowances=BudgetDesk(decider, store.budgets, held, metrics.budgets, clock),
        allowance_book=store.budgets,
    )
