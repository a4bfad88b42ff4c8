"""Run beside a SuperNode: ``python -m adapters.flower.proxy.sidecar --device keys/device --proxy URL``."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from adapters.flower.proxy.commands import add_common, is_loopback, other_tls, own_tls, run, show_ready
from adapters.flower.proxy.opening import beside

_EPILOG = """Example, with a device that was enrolled in keys/device (python -m adapters.enrol), and its SuperNode:

  python -m adapters.flower.proxy.sidecar --device keys/device --proxy http://fleet.example:9443 --listen 127.0.0.1:9444
  flower-supernode --insecure --superlink 127.0.0.1:9444

It listens for this machine alone: whoever reaches it speaks as the device."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted, and return the exit status: 0, or 1 with a message when it could not be done."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if not is_loopback(given.listen.host):
        parser.error(f"--listen {given.listen.host}: whoever reaches a sidecar speaks as the device; use 127.0.0.1")
    return run("adapters.flower.proxy.sidecar", lambda ending: _serve(given, ending))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m adapters.flower.proxy.sidecar",
        description="Passes a SuperNode's calls to the proxy, each proven with the key of the device.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--device", type=Path, required=True, help="folder of the enrolled device")
    parser.add_argument("--proxy", required=True, metavar="URL", help="the proxy's public URL")
    parser.add_argument("--proxy-authority", type=Path, metavar="PEM", help="verifies the proxy's certificate")
    add_common(parser, "127.0.0.1:9444")
    return parser


async def _serve(given: argparse.Namespace, ending: asyncio.Event) -> None:
    async with beside(
        given.device,
        given.proxy,
        listen=given.listen,
        tls=own_tls(given),
        proxy_tls=other_tls(given.proxy_authority),
        socket=given.control_plane_socket,
    ) as url:
        show_ready(given, listens=url)
        await ending.wait()


if __name__ == "__main__":
    sys.exit(main())
