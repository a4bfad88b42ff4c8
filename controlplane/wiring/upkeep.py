"""What is done again and again beside serving: forgetting, letting back, signing, following the ledger, counting."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from aiohttp import web

from controlplane.api import SERVICES
from controlplane.budgetkeeping import keep_allowances
from controlplane.identifying import keep_identities
from controlplane.identity.responding import Responding
from controlplane.parts import HEADS, IDENTIFYING, LOG_POLICY, METRICS, OBSERVER, STORE
from controlplane.settings import Settings
from controlplane.upkeep import count_attested, keep_budgets, keep_up, let_back
from controlplane.wiring.sharing import keep_limits
from controlplane.wiring.tasks import end
from controlplane.witnessing import keep_signing


async def upkeep(app: web.Application, settings: Settings, clock: Callable[[], float]) -> AsyncIterator[None]:
    """Do so until it is taken down."""
    tasks = [asyncio.create_task(work, name=name) for name, work in _work(app, settings, clock).items()]
    try:
        yield
    finally:
        for task in tasks:
            await end(task)


def _work(app: web.Application, settings: Settings, clock: Callable[[], float]) -> dict[str, Coroutine[Any, Any, None]]:
    """Return what is to run for ever, by name."""
    store, services, observer, metrics = app[STORE], app[SERVICES], app[OBSERVER], app[METRICS]
    responder, standings = services.behaviour.responder, services.budgets.standings
    responds = Responding(settings.ledger, services.decider, services.registry, observer, clock)
    return {
        "upkeep": keep_up(store, settings.decision_days, app[LOG_POLICY].retention, clock),
        "releases": let_back(store, services.registry, responder, observer),
        "log": keep_signing(app[HEADS], settings.log_seconds),
        "identities": keep_identities(app[IDENTIFYING], responds, settings.ledger_seconds),
        "budgets": keep_budgets(store.privacy, standings, metrics.privacy, clock),
        "allowances": keep_allowances(store.budgets, metrics.budgets, clock),
        **({"limits": keep_limits(store.limits)} if settings.shared_limits == "store" else {}),
        "attested": count_attested(store, metrics.attestation, clock),
    }
