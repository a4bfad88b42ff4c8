"""Three attacks on credentials, tried against the guard after the federation: each must be refused, and counted."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from adapters.credentials import PULL, SUBMIT, Credentials, RoundTerms, target
from adapters.guard import Guard, SealedRound, Submission
from adapters.member import Member
from adapters.screening import update_digest
from controlplane.capabilities.proof import make_proof
from controlplane.capabilities.refusals import Refused
from controlplane.contracts.capability import MAX_LIFETIME_SECONDS

ROUND_SECONDS = 60.0


@dataclass(frozen=True)
class LastRound:
    """What the attacks are made of.

    Attributes:
        state: the global state that a last round starts from.
        update: an honest update to it, which the owner submits once rightly.
        reference: the update that the server's trusted data yields.
        examples: behind the update.
    """

    state: Mapping[str, Tensor]
    update: Mapping[str, Tensor]
    reference: Mapping[str, Tensor]
    examples: int


def attack_credentials(guard: Guard, late: Guard, last: LastRound, owner: Member, thief: Member) -> dict[str, str]:
    """Try a replayed, a stolen and an expired capability; return the cause of each refusal, empty for one that passed.

    Args:
        guard: of the federation.
        late: a guard that goes by `ahead`, instead of waiting until a capability has expired.
        last: the round in which all of this happens.
        owner: whose capabilities they are; a trusted device.
        thief: who tries to use one of them.
    """
    sealed = guard.seal(last.state, [owner.id, thief.id], duration_seconds=ROUND_SECONDS)
    pull = owner.pull(sealed.terms)
    expired = late.authorize_pull(sealed, pull)
    stolen = guard.authorize_pull(sealed, _proven(thief, owner.id, PULL, sealed.terms, pull.capability))
    return {
        "replayed": _replay(guard, sealed, last, owner),
        "stolen": stolen.cause if isinstance(stolen, Refused) else "",
        "expired": expired.cause if isinstance(expired, Refused) else "",
    }


def ahead() -> float:
    """Unix seconds of a clock by which every capability of now has expired."""
    return time.time() + MAX_LIFETIME_SECONDS + 1.0


def _replay(guard: Guard, sealed: SealedRound, last: LastRound, owner: Member) -> str:
    digest = update_digest(last.update, sealed.manifest)
    first = owner.submit(sealed.terms, digest)
    again = _proven(owner, owner.id, SUBMIT, sealed.terms, first.capability, digest)
    for credentials in (first, again):
        submission = Submission(owner.id, last.update, last.examples, credentials)
        ruling = guard.gate(sealed, [submission], reference=last.reference).rulings[0]
    return ruling.cause


def _proven(
    by: Member, name: str, method: str, terms: RoundTerms, capability: str, digest: str | None = None
) -> Credentials:
    """A capability shown under ``name``, with a fresh proof by whoever shows it."""
    url = target(terms.audience, terms.round_id)
    proof = make_proof(by.key, method=method, url=url, now=time.time(), access_token=capability, digest=digest)
    return Credentials(name, capability, proof)
