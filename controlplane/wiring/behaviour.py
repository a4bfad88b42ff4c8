"""Behaviour: the rounds of training, how subjects are judged, and what is undone of what they did."""

import time

from controlplane.api.services.behaviour import BehaviourParts, TrainingParts
from controlplane.contracts.identity import Trust
from controlplane.decisions import Decider
from controlplane.decisions.behaviour_terms import BehaviourPolicy
from controlplane.decisions.judged import Judgements
from controlplane.decisions.recipients import Recipients
from controlplane.decisions.responding import Responder
from controlplane.decisions.rollbacks import RollbackBook
from controlplane.decisions.rounds import RoundBook
from controlplane.decisions.watching import RequestWatch, SignalWatch
from controlplane.identity.registry import Registry
from controlplane.wiring.common import Common


def wire_training(common: Common, registry: Registry) -> TrainingParts:
    """Return what knows rounds."""
    store, rounds = common.store, RoundBook(common.store.rounds, common.clock)
    return TrainingParts(
        rounds=rounds,
        contributions=store.contributions,
        rollbacks=RollbackBook(store.rollbacks, common.observer, common.clock),
        recipients=Recipients(rounds, registry, store.attestations, common.clock),
        judgements=Judgements(store.judged, store.rounds, store.contributions, store.decisions),
    )


def wire_behaviour(
    common: Common, registry: Registry, decider: Decider, rollbacks: RollbackBook, newcomer: Trust
) -> BehaviourParts:
    """Return what judges subjects.

    Args:
        common: what there is before it.
        registry: where it is kept how subjects stand.
        decider: asks policy what becomes of them.
        rollbacks: takes what policy has undone.
        newcomer: the trust in whom nothing is known of.
    """
    store, observer, clock = common.store, common.observer, common.clock
    responder = Responder(
        BehaviourPolicy(common.engine, observer, clock=time.monotonic),
        store.behaviour,
        store.observations,
        store.contributions,
        registry,
        decider,
        rollbacks,
        observer,
        clock,
        newcomer,
    )
    requests = RequestWatch(responder, store.profiles, registry, observer, clock)
    return BehaviourParts(
        newcomer_trust=newcomer,
        responder=responder,
        requests=requests,
        signals=SignalWatch(responder, store.profiles, registry, observer, clock, requests.uses),
        subjects=store.behaviour,
        observations=store.observations,
    )
