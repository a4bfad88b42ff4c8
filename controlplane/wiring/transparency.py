"""The records of decisions, the log that proves them, and models whose makers vouch for them."""

from controlplane.api.services.transparency import ModelParts, TransparencyParts
from controlplane.audit import AuditLog
from controlplane.audit.heads import Heads
from controlplane.decisions.models import ModelBook
from controlplane.decisions.provenance import Provenance
from controlplane.parts import StartFailed
from controlplane.settings import Settings
from controlplane.transparency.modelsigners import Signers, SignersInvalid, load_signers
from controlplane.wiring.common import Common


def wire_transparency(common: Common, audit: AuditLog, heads: Heads) -> TransparencyParts:
    """Return what keeps decisions and proves it."""
    store = common.store
    return TransparencyParts(
        log=audit,
        records=store.decisions,
        entries=store.log,
        heads=heads,
        provenance=Provenance(store, heads.signer),
    )


def wire_models(common: Common) -> ModelParts:
    """Return what knows models.

    Raises:
        StartFailed: the keys of those who sign models cannot be used.
    """
    store = common.store
    return ModelParts(
        book=ModelBook(store.models, store.rounds, common.clock),
        versions=store.models,
        signers=_signers(common.settings),
    )


def _signers(settings: Settings) -> Signers:
    try:
        return load_signers(settings.model_signers_dir)
    except SignersInvalid as error:
        raise StartFailed(str(error)) from None
