"""Names of devices: who holds the key has the name, and nobody can choose one."""

import re

from controlplane.contracts.base import Thumbprint

_PREFIX = "dev-"
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")


def device_id(thumbprint: Thumbprint) -> str:
    """Return the identifier of the device that holds a key.

    The whole thumbprint (RFC 7638) is kept: a shorter name would be easier to collide with than SHA-256.

    Raises:
        ValueError: not a thumbprint.
    """
    if not _THUMBPRINT.fullmatch(thumbprint):
        raise ValueError("a thumbprint is 43 characters of base64url")
    return _PREFIX + thumbprint
