"""Lead a secure sum among clients that are at hand, message by message: for a loop in one process, tests, measurements.

Whoever has a transport does the same with it: each stage sends one message to each client, waits for answers as long as
it likes, and ends. A client that raises, or does not answer, has gone away.
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from adapters.secureaggregation.client import Client
from adapters.secureaggregation.errors import SecureAggregationError
from adapters.secureaggregation.masks import Words
from adapters.secureaggregation.messages import Delivery, Masked, Stage
from adapters.secureaggregation.server import Server, Sum

A = TypeVar("A")

Reaches = Callable[[str, Stage], bool]
"""Whether a client's message of a stage arrives."""

_log = logging.getLogger("ztfm.secureaggregation")


def lead(
    server: Server,
    clients: Mapping[str, Client],
    words: Callable[[str], Words],
    reaches: Reaches = lambda _name, _stage: True,
) -> Sum:
    """Return the sum of the clients' values.

    Args:
        server: of a session that has not begun.
        clients: by name, of the same session.
        words: returns a client's values as `Scale.encode` makes them, when they are needed; they are not kept. What it
            raises of this family has the client go away.
        reaches: which messages arrive; all.

    Raises:
        Aborted: too few are left, or somebody cheated.
        Unsafe: no parameters are safe for so few clients.
    """

    def answer(name: str, stage: Stage, act: Callable[[], A]) -> A | None:
        try:
            found = act()
        except SecureAggregationError as error:
            _log.warning("%s left the sum at %s: %s", name, stage, error)
            return None
        return found if reaches(name, stage) else None

    def mask(name: str, delivery: Delivery) -> Masked:
        return clients[name].mask(delivery, words(name))

    for name, client in clients.items():
        if (advertisement := answer(name, "advertise", client.advertise)) is not None:
            server.take_advertisement(name, advertisement)
    roster = server.roster()
    for name in server.participants("advertise"):
        if (sharing := answer(name, "share", partial(clients[name].share, roster))) is not None:
            server.take_sharing(name, sharing)
    for name, delivery in server.deliveries().items():
        masked = answer(name, "mask", partial(mask, name, delivery))
        if masked is not None:
            server.take_masked(name, masked)
    survivors = server.survivors()
    for name in server.participants("mask"):
        if (agreement := answer(name, "agree", partial(clients[name].agree, survivors))) is not None:
            server.take_agreement(name, agreement)
    agreed = server.agreed()
    for name in server.participants("agree"):
        if (revealed := answer(name, "reveal", partial(clients[name].reveal, agreed))) is not None:
            server.take_revealed(name, revealed)
    return server.total()
