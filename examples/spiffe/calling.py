"""Ask a server that is the workload that is meant: ``python -m examples.spiffe.calling keys/app URL SPIFFE_ID``."""

import asyncio
import sys
from pathlib import Path

import aiohttp

from adapters.enrolment import load_identity, load_key
from adapters.errors import ControlPlaneError
from adapters.plane import ControlPlane
from adapters.svid import SpiffeId, SvidSource


async def ask(folder: Path, url: str, peer: str) -> str:
    """Return what the workload ``peer`` answers at ``url``, asked as the workload that was enrolled in ``folder``."""
    async with ControlPlane(load_identity(folder).url, load_key(folder)) as plane:
        source = SvidSource(plane, lifetime_seconds=300.0)
        await source.renew()
        context = source.context({SpiffeId.parse(peer)}, server=False)
        async with aiohttp.ClientSession() as session, session.get(url, ssl=context) as answer:
            return await answer.text()


if __name__ == "__main__":
    try:
        print(asyncio.run(ask(Path(sys.argv[1]), sys.argv[2], sys.argv[3])))
    except (ControlPlaneError, aiohttp.ClientError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
