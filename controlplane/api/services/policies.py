"""Policies: released, tried beside the live ones, and where they stand."""

from collections.abc import Callable
from dataclasses import dataclass

from controlplane.contracts.policies import PolicyStanding
from controlplane.releases.publishing import Publisher
from controlplane.releases.shadows import ShadowBook
from controlplane.storage.releases import Releases


@dataclass(frozen=True)
class PolicyParts:
    """What releases policies.

    Attributes:
        publisher: releases them and goes back.
        releases: what was released.
        shadows: candidates beside the live policy, and what they would change.
        standing: says where each layer stands, when the engine decides by a revision.
    """

    publisher: Publisher
    releases: Releases
    shadows: ShadowBook
    standing: Callable[[str], PolicyStanding]
