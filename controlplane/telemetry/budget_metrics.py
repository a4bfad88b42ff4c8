"""Metrics of budgets of inference. Nobody's budget is named: whose kind it is, is enough to look further."""

from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from controlplane.contracts.budgets import Amounts, BudgetScope

SCOPES: tuple[BudgetScope, ...] = ("subject", "model", "segment")
OUTCOMES = ("leased", "exhausted", "denied", "error")
STATES = ("settled", "known", "unknown")
UNITS = ("requests", "tokens")


class BudgetMetrics:
    """What is leased, used and given back.

    Args:
        registry: that exposes them.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.leases = Counter(
            "ztfm_budget_leases_total",
            "Requests of gateways for a part of budgets, by what became of them",
            ["outcome"],
            registry=registry,
        )
        self.denials = Counter(
            "ztfm_budget_exhausted_total",
            "Requests for a lease that found a budget without room, by whose it was",
            ["scope"],
            registry=registry,
        )
        self.settlements = Counter(
            "ztfm_budget_settlements_total",
            "Leases that gateways settled, by what became of that",
            ["state"],
            registry=registry,
        )
        self.used = Counter(
            "ztfm_budget_used_total", "Requests and tokens that were used of leases", ["unit"], registry=registry
        )
        self.returned = Counter(
            "ztfm_budget_returned_total", "Requests and tokens that went back unused", ["unit"], registry=registry
        )
        self.beyond = Counter(
            "ztfm_budget_overdrawn_tokens_total",
            "Tokens that were used and not leased: a model server answered with more than it was asked for",
            registry=registry,
        )
        self.fullest = Gauge(
            "ztfm_budget_fullest_share",
            "Share of the fullest budget of a kind that is used or leased in its current window",
            ["scope"],
            registry=registry,
        )
        self.lost = Gauge(
            "ztfm_budget_lost_leases", "Leases of today that ended and that nobody settled", registry=registry
        )
        self.lost_tokens = Gauge("ztfm_budget_lost_tokens", "Tokens of these leases", registry=registry)
        for outcome in OUTCOMES:
            self.leases.labels(outcome)
        for scope in SCOPES:
            self.denials.labels(scope)
            self.fullest.labels(scope)
        for state in STATES:
            self.settlements.labels(state)
        for unit in UNITS:
            self.used.labels(unit)
            self.returned.labels(unit)

    def leased(self, outcome: str) -> None:
        """Count what became of a request for a lease."""
        self.leases.labels(outcome if outcome in OUTCOMES else "error").inc()

    def exhausted(self, scope: BudgetScope) -> None:
        """Count that a budget of this kind had no room."""
        self.denials.labels(scope).inc()

    def settled(self, states: Sequence[str], used: Amounts, returned: Amounts, beyond: int) -> None:
        """Count settlements, with what was used and what went back.

        Args:
            states: what became of each.
            used: of those that were settled now.
            returned: of them, unused.
            beyond: tokens that were used and not leased.
        """
        for state in states:
            self.settlements.labels(state).inc()
        for unit in UNITS:
            self.used.labels(unit).inc(getattr(used, unit))
            self.returned.labels(unit).inc(getattr(returned, unit))
        self.beyond.inc(beyond)

    def standing(self, fullest: Mapping[BudgetScope, float], leases: int, tokens: int) -> None:
        """Show how full budgets are, and what was lost.

        Args:
            fullest: share of the fullest budget, by kind; none of a kind that nobody used.
            leases: of today that ended and were not settled.
            tokens: of these.
        """
        for scope in SCOPES:
            self.fullest.labels(scope).set(fullest.get(scope, 0.0))
        self.lost.set(leases)
        self.lost_tokens.set(tokens)
