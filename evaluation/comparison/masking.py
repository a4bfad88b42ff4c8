"""What an update weighs on the wire where it is added under masks: the product's own protocol is run, and measured."""

import json
from functools import cache
from typing import TypeVar

from adapters.guard.summing import Bounds
from adapters.secureaggregation import Client, Server, Session, lead
from adapters.secureaggregation.masks import Words, zeros
from adapters.secureaggregation.messages import (
    Advertisement,
    Agreed,
    Agreement,
    Delivery,
    Masked,
    Message,
    Revealed,
    Roster,
    Sharing,
    Survivors,
    write,
    write_masked,
)
from controlplane.jose.keys import DeviceKey
from controlplane.sidecar.folders import product_folder

Told = TypeVar("Told", bound=Message)


@cache
def masked_bytes(values: int) -> int:
    """Bytes that one device sends in all, for its update of so many values to be added up with those of its group.

    Groups have the shipped size, and withstand what the guard's do unless it is told otherwise.

    Raises:
        Aborted: there was no sum.
    """
    bounds = Bounds()
    terms = product_folder("policies") / "data" / "confidentiality" / "data.json"
    size = int(json.loads(terms.read_text())["group_size"])
    session = Session("measured", values + 1, 32, bounds.tolerance, max(3, size // 2))
    keys = [DeviceKey.generate() for _ in range(size)]
    by_name = dict(sorted((f"dev-{key.thumbprint}", key) for key in keys))
    names = list(by_name)
    clients = {name: _Weighed(session, name, key, names) for name, key in by_name.items()}
    lead(Server(session, names), clients, lambda _name: zeros(values + 1, 32))
    return clients[names[0]].sent


class _Weighed(Client):
    """A client that weighs what it sends."""

    sent = 0

    def advertise(self) -> Advertisement:
        return self._weighed(super().advertise())

    def share(self, roster: Roster) -> Sharing:
        return self._weighed(super().share(roster))

    def mask(self, delivery: Delivery, words: Words) -> Masked:
        masked = super().mask(delivery, words)
        self.sent += len(write_masked(masked))
        return masked

    def agree(self, survivors: Survivors) -> Agreement:
        return self._weighed(super().agree(survivors))

    def reveal(self, agreed: Agreed) -> Revealed:
        return self._weighed(super().reveal(agreed))

    def _weighed(self, message: Told) -> Told:
        self.sent += len(write(message))
        return message
