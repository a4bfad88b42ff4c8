"""A capability that was stolen, without the key that it is bound to: shown where it is for, and elsewhere."""

from dataclasses import replace

from adapters.member import Member
from controlplane.capabilities.verification import CapabilityVerifier
from evaluation.beyond.asking import asked, bearer, proof, shown
from evaluation.beyond.attempt import Attempt, Tally
from evaluation.beyond.sizes import Sizes
from evaluation.beyond.world import AGGREGATOR, GATEWAY, GUARDED, Timed, World


def stolen_capability(world: World, sizes: Sizes) -> list[Attempt]:
    """Try capabilities of one device as another one."""
    owner, thief = world.enrol("robbed", "trainer", "consumer"), world.enrol("robber", "consumer")
    jwks = owner.plane.jwks()
    here, there = (CapabilityVerifier(jwks, world.url, name, world.clock) for name in (GATEWAY, AGGREGATOR))
    timed = Timed()
    without_key = won_bearer = elsewhere = won_anywhere = 0
    for _ in range(sizes.thefts):
        token = asked(owner).require().access_token
        seen = proof(owner, world, token)
        timed(shown, here, token, seen)
        ways = (None, proof(thief, world, token), seen)
        without_key += sum(shown(here, token, way) for way in ways)
        won_bearer += len(ways) * bearer(token, jwks, world.url, GATEWAY, world.clock())
        elsewhere += _elsewhere(world, owner, token, here, there)
        won_anywhere += 3 * bearer(token, jwks, world.url, None, world.clock())
    common = Attempt(
        attack="stolen capability",
        has="a capability that he read on its way, and a proof that was shown with it",
        tries="shows it: alone, with a proof of his own key, with the proof that he saw",
        protection="bound to the device's key, each proof once",
        on=Tally(3 * sizes.thefts, without_key),
        off=Tally(3 * sizes.thefts, won_bearer),
        without="by design: a token that whoever has it may use",
        decision_ms=timed.milliseconds,
        noticed="the enforcement point counts each refusal by its cause",
    )
    return [
        common,
        replace(
            common,
            has="the same, and the key",
            tries="shows it at another enforcement point, for another model, for another action",
            protection="one audience, one resource, one action",
            on=Tally(3 * sizes.thefts, elsewhere),
            off=Tally(3 * sizes.thefts, won_anywhere),
            without="by design: a token without audience, resource and action",
        ),
    ]


def _elsewhere(world: World, owner: Member, token: str, here: CapabilityVerifier, there: CapabilityVerifier) -> int:
    return sum(
        (
            shown(there, token, proof(owner, world, token)),
            shown(here, token, proof(owner, world, token), resource_id=GUARDED),
            shown(here, token, proof(owner, world, token), action="model_access"),
        )
    )
