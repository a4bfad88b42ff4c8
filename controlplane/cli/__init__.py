"""The ``ztfm`` command."""

import sys


def main() -> None:
    """Run the command line; without the server extra, say how to get it."""
    try:
        from controlplane.cli.commands import app
    except ModuleNotFoundError as error:
        sys.exit(
            f"ztfm: the command line needs the package '{error.name}': pip install 'ztfm[server]'\n"
            "(a device needs only the SDK: import adapters.client)"
        )
    app()
