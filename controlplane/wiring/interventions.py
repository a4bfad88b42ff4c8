"""Exceptions that people grant, and holds that alerts ask for."""

import time

from controlplane.api.services.interventions import InterventionParts
from controlplane.decisions import Decider
from controlplane.decisions.alerts import AlertDesk
from controlplane.decisions.exceptions import CurrentExceptions
from controlplane.decisions.holds import CurrentHolds
from controlplane.readiness import ReadinessProbe
from controlplane.wiring.common import Common


def wire_interventions(common: Common, decider: Decider, probe: ReadinessProbe) -> InterventionParts:
    """Return what is allowed or held for a time.

    Args:
        common: what there is before it.
        decider: asks policy about alerts.
        probe: tells the revision that decides.
    """
    store, observer, clock = common.store, common.observer, common.clock
    held = CurrentHolds(store.holds, observer, clock, time.monotonic)

    async def _revision() -> str:
        return (await probe()).policy_revision

    return InterventionParts(
        exceptions=store.exceptions,
        excepted=CurrentExceptions(store.exceptions, observer.exception_uses, observer, clock, time.monotonic),
        holds=store.holds,
        held=held,
        alerts=AlertDesk(decider, store.holds, held, store.behaviour, _revision, observer, clock),
    )
