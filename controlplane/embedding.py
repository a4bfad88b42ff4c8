"""Decide without OPA: the embedded engine in place of the sidecar."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from controlplane.bundles import VerifiedBundle
from controlplane.releases.building import BuildError, UnsignedBundle, build
from controlplane.releases.following import Offer
from controlplane.releasing import places
from controlplane.settings import Settings
from controlplane.sidecar import OpaNotFound, SidecarError, locate_opa

if TYPE_CHECKING:
    from controlplane.decisions.embedded import EmbeddedTransport

MISSING = "the embedded engine needs the package '{}': pip install 'ztfm[server,embedded]'"


class EngineMissing(SidecarError):  # noqa: N818 - a state, as callers see it
    """The packages of the embedded engine are not installed; the message says how to get them."""


def embedded_transport(settings: Settings) -> "EmbeddedTransport":
    """Return the embedded engine; it answers once it was offered a bundle.

    Raises:
        EngineMissing: its packages are not installed.
        BuildError: what combines layers is not in this installation.
        OSError: it cannot be read.
    """
    try:
        from controlplane.bundles.instances import EmbeddedLimits
        from controlplane.decisions.embedded import EmbeddedTransport
        from controlplane.releases.compiled import read_combination
    except ModuleNotFoundError as error:
        raise EngineMissing(MISSING.format(error.name)) from None
    expected = settings.layers[1:]
    return EmbeddedTransport(
        expected=expected,
        combination=read_combination() if expected else None,
        limits=EmbeddedLimits(seconds=settings.opa_deadline_seconds),
    )


def embedded_places(settings: Settings, transport: "EmbeddedTransport") -> Offer:
    """Return what hands verified bundles to the embedded engine, and then where else they go."""
    elsewhere = places(settings)

    async def _offer(verified: VerifiedBundle) -> None:
        await transport.offer(verified)
        await elsewhere(verified)

    return _offer


def build_without_opa(folder: Path) -> UnsignedBundle:
    """Return the bundle of the built-in policies as it is shipped; other policies are built where there is an OPA.

    Raises:
        SidecarError: they are others, and there is no OPA, or they do not compile for this engine.
        OSError: the folder cannot be read.
    """
    try:
        from controlplane.releases.compiled import read_built_in
    except ModuleNotFoundError as error:
        raise EngineMissing(MISSING.format(error.name)) from None
    try:
        return read_built_in(folder)
    except BuildError:
        try:
            opa = locate_opa(os.environ)
        except OpaNotFound:
            pass
        else:
            return build(opa, folder)
        raise
