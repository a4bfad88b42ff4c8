"""Whatever comes in whatever order: a server refuses or gives up, a client gives up, and neither falls over."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.secureaggregation import Aborted, Client, SecureAggregationError, Server, Unsafe
from adapters.secureaggregation.messages import Masked, Revealed, Survivors
from tests.adapters.secureaggregation.parties import Parties

REFUSALS = {"", "not_signed", "twice", "late", "stranger", "malformed", "other_view"}


@cache
def recorded() -> dict[str, Any]:
    """Messages of a session that went well."""
    parties = Parties(5)
    advertisements = {name: client.advertise() for name, client in parties.clients.items()}
    for name, one in advertisements.items():
        parties.server.take_advertisement(name, one)
    roster = parties.server.roster()
    sharings = {name: client.share(roster) for name, client in parties.clients.items()}
    for name, one in sharings.items():
        parties.server.take_sharing(name, one)
    deliveries = parties.server.deliveries()
    return {"advertisements": advertisements, "roster": roster, "sharings": sharings, "deliveries": deliveries}


def steps(server: Server, name: str) -> list[Callable[[], Any]]:
    known = recorded()
    return [
        lambda: server.take_advertisement(name, known["advertisements"][name]),
        server.roster,
        lambda: server.take_sharing(name, known["sharings"][name]),
        server.deliveries,
        lambda: server.take_masked(name, Masked(bytes(4 * Parties(5).length))),
        lambda: server.take_masked(name, Masked(b"", (0,))),
        server.survivors,
        server.agreed,
        lambda: server.take_revealed(name, Revealed(seeds=[], keys=[])),
        server.total,
        lambda: server.participants("reveal"),
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 4)), max_size=40))
def test_a_server_refuses_or_gives_up(played: list[tuple[int, int]]) -> None:
    parties = Parties(5)
    for step, who in played:
        try:
            found = steps(parties.server, parties.names[who])[step]()
        except (Aborted, Unsafe):
            continue
        if isinstance(found, str):
            assert found in REFUSALS


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_a_client_does_one_thing_after_the_other_or_nothing_any_more(played: list[int]) -> None:
    parties, known = Parties(5), recorded()
    name = parties.names[0]
    client = Client(parties.session, name, parties.keys[name], parties.names)
    acts: list[Callable[[], Any]] = [
        client.advertise,
        lambda: client.share(known["roster"]),
        lambda: client.mask(known["deliveries"][name], np.zeros(parties.length, dtype="<u4")),
        lambda: client.agree(Survivors(places=[0, 1, 2, 3, 4])),
        lambda: client.reveal(None),  # type: ignore[arg-type]
    ]
    is_over = False
    for place, step in enumerate(played):
        try:
            acts[step]()
        except SecureAggregationError:
            is_over = True
            continue
        # The recorded roster has other keys than this client's, so it goes no further than the first step.
        assert not is_over
        assert (place, step) == (0, 0)
