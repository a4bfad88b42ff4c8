"""A stolen authority is replaced at once: workloads that heard of it go on, and trust nothing older."""

import asyncio
import ssl
from collections.abc import Iterator

import pytest

from adapters.plane import ControlPlane as Client
from adapters.svid import SvidSource, peer_of
from tests.support import ControlPlane, running


@pytest.fixture(scope="module")
def homes() -> Iterator[ControlPlane]:
    with running(trust_domain="homes.example") as plane:
        yield plane


async def test_workloads_go_on_after_the_authority_was_replaced(homes: ControlPlane) -> None:
    serving_key, asking_key = homes.enrol("gateway").key, homes.enrol("consumer").key
    async with Client(homes.url, serving_key) as one, Client(homes.url, asking_key) as other:
        server, client = SvidSource(one), SvidSource(other)
        names = {(await server.renew()).name, (await client.renew()).name}
        serving, asking = server.context(names, server=True), client.context(names, server=False)

        async def talk() -> str:
            async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                writer.write(str(peer_of(writer.get_extra_info("ssl_object"))).encode())
                writer.close()

            async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=serving) as listening:
                where = listening.sockets[0].getsockname()[:2]
                reader, writer = await asyncio.open_connection(*where, ssl=asking)
                try:
                    return (await reader.read()).decode()
                finally:
                    writer.close()

        assert await talk() == str(client.svid.name)
        homes.services.access.authorities.rotate(homes.clock(), at_once=True)  # type: ignore[attr-defined]
        before = client.svid
        await client.refresh()
        assert client.svid.certificate != before.certificate
        with pytest.raises(ssl.SSLCertVerificationError, match="untrusted"):
            await talk()
        await server.refresh()
        assert await talk() == str(client.svid.name)
