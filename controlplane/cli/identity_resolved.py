"""``ztfm identity resolve``: what a DID, or a device's name, stands for, as a control plane here would see it."""

import asyncio
import time
from pathlib import Path
from typing import Annotated

import typer

from controlplane.capabilities.errors import CapabilityError
from controlplane.cli.configured import load_settings
from controlplane.cli.stores import existing_store
from controlplane.contracts.identity import Device, PublicKey, Trust
from controlplane.identifiers.documents import DidDocument, Resolution, VerificationMethod
from controlplane.identifying import OrganisationInvalid, known_organisation
from controlplane.identity.registry import Registry
from controlplane.identity.resolving.devices import named_device, resolve_name
from controlplane.identity.resolving.plugging import MethodUnusable
from controlplane.jose.keys import thumbprint
from controlplane.resolving import build_resolver
from controlplane.rotation import StoredNotices
from controlplane.settings import Settings
from controlplane.storage.errors import StoreError


def register(group: typer.Typer) -> None:
    """Add this command to the group ``ztfm identity``."""
    group.command("resolve")(resolve)


def resolve(
    did: Annotated[str, typer.Argument(metavar="DID", help="A DID, or a device's name, such as dev-Qm2f...")],
    state_dir: Annotated[Path | None, typer.Option(help="The control plane's state folder.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what a DID stands for: its keys, and what they are for.

    The same organisations are asked as the control plane asks with these settings (`ZTFM_DID_WEB_ORGANISATIONS`).
    Exits with 0, with 1 when it does not resolve.

    Example: `ztfm identity resolve did:key:zDnaerx9CtbPJ1q36T5Ln5wYt3MQYeGRG5ehnPAmxcf5mDZpv --json`
    """
    settings = load_settings(state_dir=state_dir)
    try:
        found = asyncio.run(_resolve(settings, did))
    except (MethodUnusable, OrganisationInvalid, CapabilityError, StoreError, OSError) as error:
        typer.echo(f"ztfm identity resolve: {error}", err=True)
        raise typer.Exit(1) from None
    if json_output:
        typer.echo(found.model_dump_json(exclude_none=True))
    elif found.did_document is not None:
        _show(found)
    failed = found.did_resolution_metadata.error
    if failed is not None:
        if not json_output:
            typer.echo(f"ztfm identity resolve: {failed.title}: {failed.detail}", err=True)
        raise typer.Exit(1)


async def _resolve(settings: Settings, name: str) -> Resolution:
    organisation = known_organisation(settings, time.time)
    resolver = build_resolver(settings, time.time, whose=lambda: organisation)
    try:
        return await resolve_name(name, await _device(settings, name), resolver, time.time)
    finally:
        await resolver.close()


async def _device(settings: Settings, name: str) -> Device | None:
    if name.startswith("did:") and settings.database_url is None and not settings.state_dir.is_dir():
        # What a key is, it is without a control plane too.
        return None
    async with existing_store(settings) as store:
        newcomer = Trust(score=settings.newcomer_trust, observations=0)
        registry = Registry(store, time.time, announcer=StoredNotices(time.time), newcomer=newcomer)
        return await named_device(name, registry)


def _show(found: Resolution) -> None:
    document, metadata = found.did_document, found.did_document_metadata
    assert document is not None  # noqa: S101 - asked before
    typer.echo(document.id)
    for name in metadata.equivalent_id or ():
        typer.echo(f"is {name}")
    if found.is_deactivated:
        typer.echo("was given up, or revoked: nothing that it signs counts")
        return
    for method in document.verification_method:
        typer.echo("  ".join(filter(None, _shown(document, method))))


def _shown(document: DidDocument, method: VerificationMethod) -> tuple[str, str, str, str]:
    """Return of a key what kind it is, its thumbprint, what it is for, and its name where that says more."""
    key, (_, _, name) = method.public_key_jwk, method.id.partition("#")
    printed = thumbprint(key) if isinstance(key, PublicKey) else method.blockchain_account_id or ""
    uses = {"authenticates": document.authentication, "signs": document.assertion_method}
    purpose = ", ".join(use for use, named in uses.items() if method.id in named) or "for nothing here"
    is_said = name == printed or document.id.endswith(f":{name}")
    return method.type if key is None else key.crv, printed, purpose, "" if is_said else f"#{name}"
