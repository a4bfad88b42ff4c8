"""Our proxy with stand-ins for budgets and for the look at contents: what it costs by itself.

``python -m benchmarks.gateway.alone keys/gateway 8443 9000``: the gateway's folder, a port, and the model server's.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from adapters.gateway.interfaces import Direction, Reservation, Terms
from adapters.gateway.proxy.endpoints import Served, by_rule
from adapters.gateway.proxy.limits import Limits
from adapters.gateway.proxy.opening import opened
from adapters.gateway.proxy.parts import Parts
from adapters.gateway.proxy.plain import Plain
from adapters.gateway.proxy.upstream import Upstream
from adapters.web.admission import Admitted
from adapters.web.point import EnforcementPoint
from benchmarks.gateway.cast import AUDIENCE, PATH, PUBLIC_URL
from benchmarks.household import MODEL

_END = time.time() + 3600.0


class Boundless:
    """Budgets that always reach. A stand-in: real ones are leased from the control plane."""

    async def reserve(self, _admitted: Admitted, prompt_tokens: int, max_output_tokens: int) -> Reservation:
        """Take nothing from nothing."""
        return Reservation("bench", prompt_tokens + max_output_tokens, _END)

    async def settle(self, _reservation: Reservation, _tokens: int) -> None:
        """Give nothing back."""


class Indifferent:
    """A judge that looks at nothing. A stand-in: the real one asks policy about each prompt and each answer."""

    async def judge(self, _admitted: Admitted, _direction: Direction, _texts: Sequence[str]) -> Terms:
        """Let it pass as it is."""
        return Terms("bench")


async def main(folder: Path, port: int, upstream: int) -> None:
    """Serve until the process ends.

    Args:
        folder: of the enrolled gateway.
        port: loopback port to listen on.
        upstream: of the model server.
    """
    limits = Limits()
    endpoints = by_rule(Plain([f"POST {PATH}"]).endpoints([Served(MODEL)], limits))
    point = EnforcementPoint.open(folder, audience=AUDIENCE, public_url=PUBLIC_URL, rules=list(endpoints))
    server = Upstream(f"http://127.0.0.1:{upstream}", limits)
    async with opened(Parts(point, endpoints, server, Boundless(), Indifferent(), limits=limits), port=port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
