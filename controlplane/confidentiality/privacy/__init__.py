"""Privacy budgets: what was spent, composed, and when a window has room again. Pure."""

from controlplane.confidentiality.privacy.accountant import Accountant, AccountantMissing
from controlplane.confidentiality.privacy.windows import counted, first_day, returns_on

__all__ = ["Accountant", "AccountantMissing", "counted", "first_day", "returns_on"]
