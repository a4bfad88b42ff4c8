"""``python -m adapters.gateway envoy``: answer Envoy over gRPC, beside it."""

import argparse
import asyncio
from collections.abc import Sequence
from typing import Final

from adapters.gateway.commanding import add_authorizer_options, add_common_options, authorizing, run, say_ready

_PROG: Final = "python -m adapters.gateway envoy"
_EPILOG = """Example, with a gateway that was enrolled in keys/gateway (python -m adapters.enrol), and Envoy with
examples/gateway/envoy-grpc/envoy.yaml:

  python -m adapters.gateway envoy keys/gateway --audience gateway-1 --public-url https://models.example \\
      --rules examples/gateway/rules.json --upstream-keeps max_output_tokens --upstream-keeps detail \\
      --listen 127.0.0.1:9191 --json"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted, and return the exit status: 0, or 1 with a message when it could not be done."""
    return run(_PROG, parser().parse_args(arguments), _serve, RuntimeError)


def parser() -> argparse.ArgumentParser:
    """Return what the command takes."""
    made = argparse.ArgumentParser(
        prog=_PROG,
        description="Answer Envoy's question over gRPC whether a request may go on, by the capability that it shows.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_authorizer_options(made, "Envoy")
    made.add_argument(
        "--certificates", action="store_true", help="Envoy terminates TLS, and tells of clients' certificates"
    )
    made.add_argument(
        "--listen", default="127.0.0.1:9191", metavar="HOST:PORT", help="on loopback, or unix:PATH (127.0.0.1:9191)"
    )
    add_common_options(made)
    return made


async def _serve(given: argparse.Namespace, ending: asyncio.Event) -> None:
    try:
        from adapters.gateway.envoy_grpc import EnvoyAuthorizer
    except ModuleNotFoundError as missing:
        raise ValueError(f"{missing.name} is not installed: pip install 'ztfm[envoy]'") from None
    async with authorizing(given) as (authorizer, point):
        envoy = EnvoyAuthorizer(authorizer, takes_certificates=given.certificates, clock=point.clock)
        try:
            is_ready = await point.start()
            listens = await envoy.start(given.listen)
            say_ready(given, listens=listens, audience=given.audience, current=is_ready)
            await ending.wait()
        finally:
            await envoy.close()
