"""Who uses the command line of this machine, for the record."""

import getpass
import os

from controlplane.contracts.base import is_identifier


def local_user() -> str:
    """Return ``local:`` and the name of the user of this process; nobody has proven it."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        # A container's user need not have a name.
        name = str(os.getuid())
    return f"local:{name}" if is_identifier(f"local:{name}") else "local:unknown"
