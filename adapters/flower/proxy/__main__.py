"""Run the proxy before a SuperLink: ``python -m adapters.flower.proxy --state keys/gateway --upstream URL ...``."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from adapters.flower.proxy.commands import add_common, other_tls, own_tls, run, show_ready
from adapters.flower.proxy.opening import opened

_EPILOG = """Example, with a gateway that was enrolled in keys/gateway (python -m adapters.enrol):

  python -m adapters.flower.proxy --state keys/gateway --upstream http://127.0.0.1:8000 --listen 0.0.0.0:9443 \\
      --public-url http://fleet.example:9443 --audience fleet-1 --model smart-home-intents --report report.json

SuperNodes reach it through `python -m adapters.flower.proxy.sidecar`. Nobody else may reach the SuperLink: close its
port to the network."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted, and return the exit status: 0, or 1 with a message when it could not be done."""
    given = _parser().parse_args(arguments)
    return run("adapters.flower.proxy", lambda ending: _serve(given, ending))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m adapters.flower.proxy",
        description="A reverse proxy before the Fleet API of a SuperLink: no weights pass without a capability.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--state", type=Path, required=True, help="folder of an enrolled gateway; nodes are kept there")
    parser.add_argument("--upstream", required=True, metavar="URL", help="the SuperLink")
    parser.add_argument("--upstream-authority", type=Path, metavar="PEM", help="verifies the SuperLink's certificate")
    parser.add_argument("--public-url", metavar="URL", help="how sidecars reach this proxy, if not as it listens")
    parser.add_argument("--audience", default="fleet-1", help="the name of this proxy in capabilities (fleet-1)")
    parser.add_argument("--model", action="append", required=True, help="that may be trained; several times for more")
    parser.add_argument("--segment", help="from which alone devices are taken")
    parser.add_argument("--report", type=Path, metavar="FILE", help="keep counts by call and outcome there, as JSON")
    add_common(parser, "127.0.0.1:9443")
    return parser


async def _serve(given: argparse.Namespace, ending: asyncio.Event) -> None:
    async with opened(
        given.state,
        given.upstream,
        given.model,
        audience=given.audience,
        segment=given.segment,
        listen=given.listen,
        public_url=given.public_url,
        tls=own_tls(given),
        upstream_tls=other_tls(given.upstream_authority),
        socket=given.control_plane_socket,
        report_file=given.report,
    ) as proxy:
        show_ready(given, listens=proxy.url, public_url=proxy.public_url, audience=given.audience)
        await ending.wait()


if __name__ == "__main__":
    sys.exit(main())
