"""Plans as the policies' data have them, and what a budget buys."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from controlplane.confidentiality.privacy.accountant import Accountant, affordable
from controlplane.contracts.privacy import Mechanism, PrivacyBudget, PrivacyPlan, PrivacyTerms

MOST_ROUNDS = 100_000
"""More rounds than that are not looked for."""

_PRECISION = 1e-3
_MOST_NOISE = 1e6


def plans_of(data: Mapping[str, Any]) -> dict[str, PrivacyPlan]:
    """Return the plans of ``policies/data/privacy``, by model: the same as `data.ztfm.privacy` makes of it.

    A model whose plan is not whole is left out, and so is one whose data set is drawn on in both modes.

    Args:
        data: the document, untrusted.
    """
    found = {}
    for model, stated in data.get("models", {}).items():
        try:
            kept = data["data_sets"][stated["data_set"]]
            terms = PrivacyTerms.model_validate({**_floats(stated), "delta": kept["delta"]})
            budget = PrivacyBudget(epsilon=float(kept["epsilon"]), window_days=kept["window_days"])
        except (KeyError, TypeError, ValueError, ValidationError):
            continue
        found[model] = PrivacyPlan(terms=terms, budget=budget)
    mixed = _of_mode(data, "local") & _of_mode(data, "central")
    return {model: plan for model, plan in found.items() if plan.terms.data_set not in mixed}


def _of_mode(data: Mapping[str, Any], mode: str) -> set[str]:
    return {
        stated["data_set"]
        for stated in data.get("models", {}).values()
        if isinstance(stated, dict) and stated.get("mode") == mode and isinstance(stated.get("data_set"), str)
    }


def rounds_within(accountant: Accountant, mechanism: Mechanism, delta: float, epsilon: float) -> int:
    """Return how many rounds a budget buys, `MOST_ROUNDS` at most.

    Raises:
        AccountantMissing: the library that composes is not there.
    """
    return affordable(lambda count: accountant.epsilon({mechanism: count}, delta) <= epsilon, MOST_ROUNDS)


def noise_for(accountant: Accountant, mechanism: Mechanism, rounds: int, delta: float, epsilon: float) -> float | None:
    """Return the least noise multiplier with which so many rounds fit in a budget; none where a million is not enough.

    Args:
        accountant: composes.
        mechanism: whose mode and sampling are kept.
        rounds: at least 1.
        delta: of the guarantee.
        epsilon: of the budget.

    Raises:
        AccountantMissing: the library that composes is not there.
    """

    def fits(noise: float) -> bool:
        return accountant.epsilon({mechanism._replace(noise_multiplier=noise): rounds}, delta) <= epsilon

    low, high = 0.1, 0.2
    while not fits(high):
        low, high = high, high * 2.0
        if high > _MOST_NOISE:
            return None
    while high - low > _PRECISION * high:
        middle = (low + high) / 2.0
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def _floats(stated: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: float(value) if isinstance(value, int) and not isinstance(value, bool) else value
        for name, value in stated.items()
    }
