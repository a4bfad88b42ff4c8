"""Identity: the registry of subjects, what newcomers show, and what is known of DIDs."""

from collections.abc import Awaitable, Callable

from controlplane.api.services.identity import IdentityParts
from controlplane.capabilities.revoking import Revoker
from controlplane.contracts.identity import Trust
from controlplane.decisions.issuers import IssuerPolicy
from controlplane.identifying import Identifying
from controlplane.identity.credentials.manufacturers import Manufacturers, ManufacturersInvalid, load_manufacturers
from controlplane.identity.credentials.presented import Credentials
from controlplane.identity.registry import Registry
from controlplane.identity.resolving import Resolver
from controlplane.identity.tokens import EnrolmentTokens
from controlplane.parts import StartFailed
from controlplane.settings import Settings
from controlplane.wiring.common import Common


def wire_registry(common: Common, revoker: Revoker, newcomer: Trust) -> Registry:
    """Return the registry of subjects, which has those revoked whose status ends."""
    return Registry(common.store, common.clock, announcer=revoker, newcomer=newcomer)


def wire_identity(common: Common, resolver: Resolver, identifying: Identifying) -> IdentityParts:
    """Return what knows newcomers and records.

    Raises:
        StartFailed: the manufacturers' certificates cannot be used.
    """
    return IdentityParts(
        tokens=EnrolmentTokens(common.store.tokens, common.clock),
        credentials=Credentials(
            IssuerPolicy(common.engine).accepts,
            resolver.resolve,
            _using(common),
            common.clock,
        ),
        manufacturers=_manufacturers(common.settings),
        resolver=resolver,
        records=common.store.identities,
        shown=identifying.source,
        organisation=identifying.organisation,
    )


def _using(common: Common) -> Callable[[str, float], Awaitable[bool]]:
    async def _use(used: str, until: float) -> bool:
        if common.counted.newcomers.use(used, until) != "first":
            return False
        return common.shared is None or await common.shared.proofs.use("binding", used, until) == "first"

    return _use


def _manufacturers(settings: Settings) -> Manufacturers:
    try:
        return load_manufacturers(settings.manufacturers_dir)
    except ManufacturersInvalid as error:
        raise StartFailed(str(error)) from None
