"""Capabilities: the keys that sign them, who mints and verifies them, what is void, and proofs of callers' keys."""

from functools import partial

from controlplane.announcing import Announcing
from controlplane.api.services.capabilities import CapabilityParts, ProvingParts, RevocationParts
from controlplane.capabilities.accesstokens import AccessTokens
from controlplane.capabilities.minting import Minter
from controlplane.capabilities.nonces import Nonces
from controlplane.capabilities.proof import ProofVerifier
from controlplane.capabilities.sealing import Sealer
from controlplane.capabilities.verification import CapabilityVerifier
from controlplane.jose.keys import jwks
from controlplane.rotation import build_keeper, open_keys
from controlplane.wiring.common import Common, Signing


async def open_signing(common: Common) -> Signing:
    """Return what signs, its keys loaded or made.

    Raises:
        CapabilityError: a key cannot be used.
        StoreUnavailable: the store failed.
        OSError: a file cannot be read or written.
    """
    settings = common.settings
    sealer = Sealer.load_or_create(settings.resolved_sealing_key_file)
    announcing = Announcing(
        common.store, settings.resolved_public_url, lambda: keys.ring.current(), common.clock, common.observer
    )
    keys = build_keeper(settings, common.store, sealer, common.clock, announcing.revoker)
    await open_keys(keys, settings.state_dir)
    return Signing(sealer, keys, announcing)


def wire_capabilities(common: Common, signing: Signing) -> CapabilityParts:
    """Return what mints and verifies; it follows the keys from here on."""
    issuer, keys, revoker = common.settings.resolved_public_url, signing.keys, signing.announcing.revoker
    used = common.counted.capabilities
    verifier = CapabilityVerifier(jwks(()), issuer, None, common.clock, used, standings=revoker)
    keys.follow(lambda found: verifier.update_keys(jwks(found)))
    return CapabilityParts(
        minter=Minter(keys.ring.current, issuer, common.clock),
        verifier=verifier,
        access_tokens=AccessTokens(keys.ring.current, keys.ring.verifying, issuer, common.clock, revoker.standing_of),
        ledger=common.store.capabilities,
        keys=keys,
        jwks=lambda: jwks(keys.ring.verifying()),
    )


def wire_proving(common: Common, sealer: Sealer) -> ProvingParts:
    """Return what verifies proofs of keys. Replicas that share what was used share their nonces as well."""
    clock, counted, shared = common.clock, common.counted, common.shared
    secret = counted.nonce_secret if shared is None else sealer.derived("nonces")
    elsewhere = None if shared is None else partial(shared.proofs.use, "proof")
    return ProvingParts(
        proofs=ProofVerifier(clock, replay=counted.proofs, elsewhere=elsewhere),
        newcomers=ProofVerifier(clock, replay=counted.newcomers, elsewhere=elsewhere),
        nonces=Nonces(clock, secret),
        nonce_mode=common.settings.dpop_nonce,
    )


def wire_revocation(announcing: Announcing) -> RevocationParts:
    """Return what makes void and says so."""
    return RevocationParts(announcing.revoker, announcing.broadcast, announcing.status_lists)
