"""What may be spent: privacy, and inference."""

from dataclasses import dataclass

from controlplane.decisions.budgeting import BudgetDesk
from controlplane.decisions.privacy import PrivacyBook
from controlplane.decisions.privacy_standing import PrivacyStandings
from controlplane.storage.budgets import Budgets


@dataclass(frozen=True)
class BudgetParts:
    """What charges budgets.

    Attributes:
        privacy: says what noise costs, and charges it.
        standings: how privacy budgets stand.
        allowances: leases parts of budgets of inference to gateways, and settles them.
        allowance_book: how these budgets stand.
    """

    privacy: PrivacyBook
    standings: PrivacyStandings
    allowances: BudgetDesk
    allowance_book: Budgets
