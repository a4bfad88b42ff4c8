"""All parts that routes find, made of each other in the order in which they need each other."""

import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from controlplane.api.paging import PageTokens
from controlplane.api.services import Services
from controlplane.api.services.behaviour import TrainingParts
from controlplane.api.services.budgets import BudgetParts
from controlplane.api.services.interventions import InterventionParts
from controlplane.api.services.transparency import ModelParts
from controlplane.contracts.identity import Trust
from controlplane.decisions import Decider
from controlplane.decisions.candidates import Candidates
from controlplane.decisions.gathering import Gatherer
from controlplane.decisions.log_policy import LogPolicy
from controlplane.identity.registry import Registry
from controlplane.parts import (
    ACCESS,
    AUDIT,
    FOLLOWER,
    HEADS,
    IDENTIFYING,
    LOG_POLICY,
    PUBLISHER,
    RESOLVER,
    TRACING,
    TRUST,
)
from controlplane.readiness import ReadinessProbe
from controlplane.tracing import or_untraced
from controlplane.wiring.behaviour import wire_behaviour, wire_training
from controlplane.wiring.budgets import wire_budgets
from controlplane.wiring.capabilities import wire_capabilities, wire_proving, wire_revocation
from controlplane.wiring.changes import wire_changes
from controlplane.wiring.common import Common, Signing
from controlplane.wiring.confidentiality import wire_confidentiality
from controlplane.wiring.console import wire_console
from controlplane.wiring.identity import wire_identity, wire_registry
from controlplane.wiring.interventions import wire_interventions
from controlplane.wiring.limits import wire_limits, wire_repeats, wire_usage
from controlplane.wiring.policies import Standing, wire_policies
from controlplane.wiring.segmentation import wire_segmentation
from controlplane.wiring.transparency import wire_models, wire_transparency
from controlplane.wiring.workbench import wire_workbench

Exposition = Callable[[str], Awaitable[tuple[bytes, str]]]


def wire(app: web.Application, common: Common, signing: Signing, probe: ReadinessProbe, standing: Standing) -> Services:
    """Return the parts.

    Args:
        app: holds those that were started before.
        common: what most are made of.
        signing: what signs.
        probe: says whether all is there that a decision needs.
        standing: says where policies stand.

    Raises:
        StartFailed: a file that one of them needs cannot be used.
    """
    settings, clock = common.settings, common.clock
    newcomer = Trust(score=settings.newcomer_trust, observations=0)
    registry = wire_registry(common, signing.announcing.revoker, newcomer)
    decider = wire_decider(app, common)
    training = wire_training(common, registry)
    interventions = wire_interventions(common, decider, probe)
    identity = wire_identity(common, app[RESOLVER], app[IDENTIFYING])
    models = wire_models(common)
    budgets = wire_budgets(common, decider, interventions.held)
    return Services(
        public_url=settings.resolved_public_url,
        federation=settings.federation,
        clock=clock,
        access=app[ACCESS],
        registry=registry,
        gatherer=wire_gatherer(common, registry, training, interventions, models, budgets),
        decider=decider,
        candidates=Candidates(common.engine, common.store.devices),
        pages=PageTokens(signing.sealer, clock),
        repeats=wire_repeats(common, signing.sealer),
        readiness=probe,
        metrics=common.metrics,
        exposition=_exposition(common),
        limits=wire_limits(common),
        policies=wire_policies(common, app[PUBLISHER], standing),
        identity=identity,
        proving=wire_proving(common, signing.sealer),
        capabilities=wire_capabilities(common, signing),
        revocation=wire_revocation(signing.announcing),
        training=training,
        behaviour=wire_behaviour(common, registry, decider, training.rollbacks, newcomer),
        interventions=interventions,
        confidentiality=wire_confidentiality(common, signing, decider, registry, interventions.excepted),
        transparency=wire_transparency(common, app[AUDIT], app[HEADS]),
        models=models,
        segmentation=wire_segmentation(common, decider),
        budgets=budgets,
        workbench=wire_workbench(common, app[TRUST]),
        console=wire_console(common, signing.sealer, app[ACCESS].provider),
        fleet=common.store.fleet,
        changes=wire_changes(common, signing),
        device_changes=common.store.device_changes,
    )


def wire_decider(app: web.Application, common: Common) -> Decider:
    """Return what has requests decided and recorded, as policy says what of them is recorded."""
    log_policy = app[LOG_POLICY] = LogPolicy(common.engine, common.observer, clock=time.monotonic)
    return Decider(
        common.engine,
        app[AUDIT],
        common.observer,
        log_policy,
        clock=common.clock,
        timer=time.perf_counter,
        published_at=app[FOLLOWER].times.at,
        tracing=or_untraced(app[TRACING]),
    )


def wire_gatherer(
    common: Common,
    registry: Registry,
    training: TrainingParts,
    interventions: InterventionParts,
    models: ModelParts,
    budgets: BudgetParts,
) -> Gatherer:
    """Return what gathers all that is known of a request."""
    return Gatherer(
        training.rounds,
        wire_usage(common),
        common.clock,
        interventions.excepted,
        interventions.held,
        models.book,
        registry.get,
        budgets.privacy,
        common.store.attestations,
    )


def _exposition(common: Common) -> Exposition:
    if common.part is not None:
        return common.part.exposition

    async def _expose(accept: str) -> tuple[bytes, str]:
        return common.metrics.expose(accept)

    return _expose
