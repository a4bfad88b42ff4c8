"""The control plane as a router asks it: where nobody on the way can write the table."""

from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from adapters.enrolment import Identity, load_identity, load_key
from adapters.plane import ControlPlane
from controlplane.capabilities.channels import client_context


def control_plane(
    folder: Path, socket: Path | None = None, authority: Path | None = None
) -> tuple[Identity, ControlPlane]:
    """Return who a router is, and the control plane that it asks.

    Unlike capabilities and events the table is not signed, so that it is as good as the channel that it came over.

    Args:
        folder: of the enrolled router.
        socket: Unix socket of the control plane; none for its URL.
        authority: PEM file with what verifies the control plane; none for the authorities of the system.

    Raises:
        FileNotFoundError, KeyFileError, OSError: the router is not enrolled there.
        ValueError: the table would come over a network without TLS, or the authority is none.
    """
    identity = load_identity(folder)
    if socket is None and not _is_sealed(identity.url):
        raise ValueError(
            f"{identity.url}: over a network without TLS whoever is on the way could write the table of grants; let "
            "the control plane serve TLS and enrol with its https URL, or use --socket on its own machine"
        )
    try:
        tls = None if authority is None else client_context(authority)
    except OSError as error:
        raise ValueError(f"--control-plane-authority: {authority} cannot be used ({error}): name a PEM file") from None
    return identity, ControlPlane(identity.url, load_key(folder), socket=socket, tls=tls)


def _is_sealed(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme == "https":
        return True
    try:
        return ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname == "localhost"
