"""The ``ztfm`` command."""

import sys


def main() -> None:
    """Run the command line; without the packages that a command needs, say how to get them."""
    try:
        from controlplane.cli.commands import app

        app()
    except ModuleNotFoundError as error:
        sys.exit(
            f"ztfm: the package '{error.name}' is missing: pip install 'ztfm[server]' to serve, "
            "'ztfm[demo]' for the demo\n(a device needs only the SDK: import adapters.client)"
        )
