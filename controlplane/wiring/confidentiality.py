"""Attestation of platforms, and the secrets that are released to those that proved what they are."""

from controlplane.api.services.confidentiality import ConfidentialityParts
from controlplane.attestation.plugging import VerifierUnusable
from controlplane.confidentiality.keeping import SecretBook
from controlplane.decisions import Decider
from controlplane.decisions.attesting import AttestationDesk
from controlplane.decisions.exceptions import CurrentExceptions
from controlplane.decisions.key_release import KeyRelease
from controlplane.decisions.verifying import Verifiers
from controlplane.identity.registry import Registry
from controlplane.parts import StartFailed
from controlplane.settings import Settings
from controlplane.wiring.common import Common, Signing


def wire_confidentiality(
    common: Common, signing: Signing, decider: Decider, registry: Registry, excepted: CurrentExceptions
) -> ConfidentialityParts:
    """Return what examines platforms; its verifiers are to be closed.

    Args:
        common: what there is before it.
        signing: signs results, and seals secrets.
        decider: asks policy about both.
        registry: where it is kept what a device has proven.
        excepted: what policy need not require.

    Raises:
        StartFailed: the roots of platforms cannot be used.
    """
    store, clock = common.store, common.clock
    secrets = SecretBook(store.secrets, signing.sealer, clock)
    return ConfidentialityParts(
        attestation=AttestationDesk(
            _verifiers(common.settings),
            store.attestations,
            decider,
            registry,
            signing.announcing.revoker,
            signing.keys.ring.current,
            common.settings.resolved_public_url,
            common.metrics.attestation,
            clock,
        ),
        secrets=secrets,
        key_release=KeyRelease(decider, excepted, store.attestations, secrets, clock),
    )


def _verifiers(settings: Settings) -> Verifiers:
    try:
        return Verifiers(settings.attestation_roots)
    except VerifierUnusable as error:
        raise StartFailed(f"ZTFM_ATTESTATION_ROOTS: {error}") from None
