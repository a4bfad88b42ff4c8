"""The verifiers that are used: one for each kind of evidence of which there is a folder with roots."""

import importlib
import re
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from controlplane.attestation.interface import Verifier

GROUP = "ztfm.verifiers"
"""Group of entry points. The name is the kind's; what it leads to is called with the folder of its roots and returns a
`controlplane.attestation.interface.Verifier`."""

BUILT_IN = ("azure", "eat", "nitro", "nvidia", "sgx", "snp", "tdx", "tpm")
"""Kinds that come with this package: `open_verifier` of the module of each name in
`controlplane.attestation.verifiers`. No other package replaces them."""

_KIND = re.compile(r"[a-z][a-z0-9_:.-]{0,63}")

Opens = Callable[[Path], Verifier]


class VerifierUnusable(Exception):  # noqa: N818 - named for what happened
    """A kind of evidence of which there are roots cannot be verified. The message names it, and what to do."""


def kinds_in(folder: Path) -> list[str]:
    """Return the kinds of evidence of which a folder holds roots, each in a folder of its name, in order.

    Raises:
        VerifierUnusable: there is no such folder, or it cannot be read.
    """
    try:
        found = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        raise VerifierUnusable(
            f"{folder} cannot be read ({error.strerror}): name a folder with roots in ZTFM_ATTESTATION_ROOTS"
        ) from None
    return found


def open_verifiers(folder: Path) -> dict[str, Verifier]:
    """Return the verifiers of the kinds of which a folder holds roots.

    Raises:
        VerifierUnusable: one of them cannot be opened.
    """
    return {kind: open_verifier(kind, folder / kind) for kind in kinds_in(folder)}


def open_verifier(kind: str, folder: Path) -> Verifier:
    """Return the verifier of a kind of evidence.

    Args:
        kind: of evidence.
        folder: with its roots.

    Raises:
        VerifierUnusable: nobody brings one, its library is missing, or its roots cannot be used.
    """
    try:
        verifier = _opens(kind)(folder)
    except ModuleNotFoundError as error:
        raise VerifierUnusable(
            f"evidence of kind {kind} needs the library {error.name}, which is not installed: "
            f"pip install 'ztfm[server,attest]', or move {folder} away"
        ) from None
    except VerifierUnusable:
        raise
    except Exception as error:
        raise VerifierUnusable(f"evidence of kind {kind} cannot be verified with {folder}: {error}") from error
    if verifier.kind != kind:
        raise VerifierUnusable(f"the verifier for {kind} verifies {verifier.kind!r}: its folder bears that name")
    return verifier


def _opens(kind: str) -> Opens:
    if kind in BUILT_IN:
        opens: Opens = importlib.import_module(f"controlplane.attestation.verifiers.{kind}").open_verifier
        return opens
    points: list[EntryPoint] = [point for point in entry_points(group=GROUP) if point.name == kind]
    if not _KIND.fullmatch(kind) or len(points) != 1:
        there = "several packages bring" if points else "no installed package brings"
        raise VerifierUnusable(
            f"{there} a verifier for {kind!r} ({GROUP}); those that come with ztfm: {', '.join(BUILT_IN)}"
        )
    found: Opens = points[0].load()
    return found
