"""Sums over a transport: real HTTP here, with clients that poll."""

import asyncio

import aiohttp
import numpy as np
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.secureaggregation import Aborted
from adapters.secureaggregation.messages import Stage
from adapters.secureaggregation.relaying import STAGES, Desk, Participant
from tests.adapters.secureaggregation.parties import Parties


def participants(parties: Parties) -> dict[str, Participant]:
    return {
        name: Participant(client, lambda name=name: parties.words(name))  # type: ignore[misc]
        for name, client in parties.clients.items()
    }


def play(parties: Parties, desk: Desk, leaving: dict[str, Stage]) -> None:
    clients = participants(parties)
    while desk.sum is None:
        for name, client in clients.items():
            raw = desk.due(name)
            if raw is not None and leaving.get(name) != desk.stage:
                assert desk.receive(name, desk.stage, client.answer(desk.stage, raw)) == ""
        desk.advance()


def test_a_desk_leads_a_sum_and_knows_whom_it_waits_for() -> None:
    parties = Parties(8)
    desk = Desk(parties.server, parties.session)
    play(parties, desk, {parties.names[0]: "mask", parties.names[1]: "reveal"})
    assert desk.sum is not None
    np.testing.assert_array_equal(desk.sum.words, parties.expected(parties.names[1:]))
    assert desk.receive(parties.names[2], "reveal", b"{}") == "late"


def test_whoever_has_not_answered_is_waited_for() -> None:
    parties = Parties(6)
    desk, clients = Desk(parties.server, parties.session), participants(parties)
    for name, client in clients.items():
        assert desk.receive(name, "advertise", client.answer("advertise", b"")) == ""
    desk.advance()
    first = parties.names[0]
    assert desk.receive(first, "share", clients[first].answer("share", desk.due(first) or b"")) == ""
    assert desk.waiting() == parties.names[1:]
    assert desk.due("nobody") is None


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(STAGES), st.binary(max_size=60))
def test_garbage_moves_neither_side(stage: Stage, raw: bytes) -> None:
    parties = Parties(5)
    desk = Desk(parties.server, parties.session)
    assert desk.receive(parties.names[0], stage, raw) in {"malformed", "late"}
    if stage != "advertise":
        with pytest.raises(Aborted):
            participants(parties)[parties.names[0]].answer(stage, raw)


async def test_clients_that_poll_over_http_come_to_the_same_sum() -> None:
    parties = Parties(6)
    desk, clients = Desk(parties.server, parties.session), participants(parties)

    async def due(request: web.Request) -> web.Response:
        raw = desk.due(request.match_info["name"])
        return web.Response(status=404) if raw is None else web.Response(body=raw, headers={"Stage": desk.stage})

    async def answered(request: web.Request) -> web.Response:
        name, stage = request.match_info["name"], request.match_info["stage"]
        return web.Response(text=desk.receive(name, stage, await request.read()))  # type: ignore[arg-type]

    app = web.Application()
    app.add_routes([web.get("/{name}", due), web.post("/{name}/{stage}", answered)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def take_part(session: aiohttp.ClientSession, name: str) -> None:
        async with session.get(f"{url}/{name}") as reply:
            raw, stage = await reply.read(), reply.headers["Stage"]
        body = clients[name].answer(stage, raw)  # type: ignore[arg-type]
        async with session.post(f"{url}/{name}/{stage}", data=body) as reply:
            assert await reply.text() == ""

    try:
        async with aiohttp.ClientSession() as session:
            while desk.sum is None:
                await asyncio.gather(*(take_part(session, name) for name in parties.names))
                desk.advance()
    finally:
        await runner.cleanup()
    np.testing.assert_array_equal(desk.sum.words, parties.expected(parties.names))
