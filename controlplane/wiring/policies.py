"""Policies: what is released and tried, and where each layer stands."""

from collections.abc import Callable

from controlplane.api.services.policies import PolicyParts
from controlplane.contracts.policies import PolicyStanding
from controlplane.observing import Observer
from controlplane.releases.following import Follower
from controlplane.releases.publishing import Publisher
from controlplane.releases.shadows import ShadowBook
from controlplane.releases.standing import latest, stand
from controlplane.settings import Settings
from controlplane.wiring.common import Common

Standing = Callable[[str], PolicyStanding]


def wire_standing(
    settings: Settings, follower: Follower, publisher: Publisher, observer: Observer, clock: Callable[[], float]
) -> Standing:
    """Return what says where each layer stands when the engine decides by a revision, and shows it."""

    def _standing(revision: str) -> PolicyStanding:
        refusals = latest(publisher.refusals, follower.refusals)
        standing = stand(settings.engine, revision, follower.layers, follower.heads, refusals, clock())
        observer.policies(standing)
        return standing

    return _standing


def wire_policies(common: Common, publisher: Publisher, standing: Standing) -> PolicyParts:
    """Return what releases policies."""
    return PolicyParts(
        publisher=publisher,
        releases=common.store.releases,
        shadows=ShadowBook(common.store.shadows, publisher.examine, common.clock),
        standing=standing,
    )
