"""``python -m adapters.gateway authorize``: answer nginx, Caddy, HAProxy, Envoy or Traefik, beside it."""

import argparse
import asyncio
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from adapters.gateway.commanding import add_authorizer_options, add_common_options, authorizing, run, say_ready
from adapters.gateway.dialects import DIALECTS
from adapters.gateway.serving import PATH, Question, Service, serving
from controlplane.capabilities.channels import server_context

_PROG: Final = "python -m adapters.gateway authorize"
_LOOPBACK: Final = ("127.0.0.1", "::1")
_EPILOG = """Example, with a gateway that was enrolled in keys/gateway (python -m adapters.enrol), beside nginx:

  python -m adapters.gateway authorize keys/gateway --dialect nginx --audience gateway-1 \\
      --public-url https://models.example --rules rules.json --upstream-keeps max_output_tokens \\
      --upstream-keeps detail --socket /run/ztfm/authorize.sock --json

rules.json: {"rules": [{"action": "inference", "resource": "smart-home-intents", "path": "/v1/infer",
"methods": ["POST"]}], "exempt": ["/healthz"]}. Configurations for each proxy are under examples/gateway."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted, and return the exit status: 0, or 1 with a message when it could not be done."""
    return run(_PROG, parser().parse_args(arguments), _serve)


def parser() -> argparse.ArgumentParser:
    """Return what the command takes."""
    made = argparse.ArgumentParser(
        prog=_PROG,
        description="Answer a proxy's question whether a request may go on, by the capability that it shows.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_authorizer_options(made, "the proxy")
    made.add_argument("--dialect", choices=sorted(DIALECTS), required=True, help="which proxy asks")
    made.add_argument(
        "--certificates",
        action="store_true",
        help="the proxy terminates TLS and overwrites the header with the client's certificate",
    )
    made.add_argument(
        "--largest-body", type=int, metavar="BYTES", help="the most that the proxy lets through, if it says no lengths"
    )
    made.add_argument("--socket", type=Path, metavar="PATH", help="listen on a Unix socket")
    made.add_argument("--listen", default="127.0.0.1:9191", metavar="HOST:PORT", help="where else (127.0.0.1:9191)")
    made.add_argument("--tls-certificate", type=Path, metavar="PEM", help="of this service, for one on another machine")
    made.add_argument("--tls-key", type=Path, metavar="PEM", help="its key")
    made.add_argument("--tls-client-authority", type=Path, metavar="PEM", help="that the proxy's certificate leads to")
    add_common_options(made)
    return made


async def _serve(given: argparse.Namespace, ending: asyncio.Event) -> None:
    host, port, tls = *_address(given.listen), tls_of(given)
    if given.socket is None and host not in _LOOPBACK and tls is None:
        raise ValueError(
            f"on {host} others than the proxy could ask, and set headers that only it may: use --socket, a loopback "
            "address, or --tls-certificate, --tls-key and --tls-client-authority"
        )
    question = Question(DIALECTS[given.dialect], given.certificates, given.largest_body)
    async with authorizing(given) as (authorizer, point):
        service = Service(authorizer, question, point.clock)
        is_ready = await point.start()
        async with serving(service, socket=given.socket, host=host, port=port, tls=tls) as listens:
            said = {"path": PATH, "dialect": given.dialect, "audience": given.audience}
            say_ready(given, listens=listens, **said, current=is_ready)
            await ending.wait()


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal()) or int(port) > 65_535:
        raise ValueError(f"{text!r} is no address such as 127.0.0.1:9191")
    return host.strip("[]"), int(port)


def tls_of(given: argparse.Namespace) -> ssl.SSLContext | None:
    """Return how TLS connections are taken, from a proxy with a certificate alone; none without the options.

    Raises:
        ValueError: some of the three files are given, and not all.
        OSError: one cannot be used.
    """
    files = (given.tls_certificate, given.tls_key, given.tls_client_authority)
    if files == (None, None, None):
        return None
    if None in files:
        raise ValueError("give --tls-certificate, --tls-key and --tls-client-authority together, or none of them")
    context = server_context(given.tls_certificate, given.tls_key)
    context.load_verify_locations(cafile=str(given.tls_client_authority))
    context.verify_mode = ssl.CERT_REQUIRED
    return context
