"""A server and its clients, with small vectors of whole numbers, for tests to lead through a sum."""

from dataclasses import dataclass, field
from functools import cache

import numpy as np

from adapters.secureaggregation import Client, Server, Session, Tolerance
from adapters.secureaggregation.masks import Words
from controlplane.jose.keys import DeviceKey

LENGTH = 70


@cache
def device(number: int) -> DeviceKey:
    return DeviceKey.generate()


@dataclass
class Parties:
    """Of one session."""

    count: int
    tolerance: Tolerance = field(default_factory=Tolerance)
    session_id: str = "round-7"
    length: int = LENGTH

    def __post_init__(self) -> None:
        keys = [device(number) for number in range(self.count)]
        self.keys = dict(sorted((f"dev-{key.thumbprint}", key) for key in keys))
        self.names = list(self.keys)
        self.session = Session(self.session_id, self.length, tolerance=self.tolerance)
        self.server = Server(self.session, self.names)
        self.clients = {name: Client(self.session, name, key, self.names) for name, key in self.keys.items()}

    def words(self, name: str) -> Words:
        place = self.names.index(name)
        return np.arange(self.length, dtype="<u4") * np.uint32(place + 1) + np.uint32(2**32 - 5 * (place + 1))

    def expected(self, names: list[str] | tuple[str, ...]) -> Words:
        return np.sum([self.words(name) for name in names], axis=0, dtype="<u4")

    def advertise(self) -> "Parties":
        for name, client in self.clients.items():
            assert self.server.take_advertisement(name, client.advertise()) == ""
        self.roster = self.server.roster()
        return self

    def share(self, *leaving: str) -> "Parties":
        for name, client in self.clients.items():
            if name not in leaving:
                assert self.server.take_sharing(name, client.share(self.roster)) == ""
        self.deliveries = self.server.deliveries()
        return self

    def mask(self, *leaving: str) -> "Parties":
        for name, delivery in self.deliveries.items():
            if name not in leaving:
                masked = self.clients[name].mask(delivery, self.words(name))
                assert self.server.take_masked(name, masked) == ""
        self.survivors = self.server.survivors()
        return self

    def agree(self) -> "Parties":
        for name in self.server.participants("mask"):
            assert self.server.take_agreement(name, self.clients[name].agree(self.survivors)) == ""
        self.agreed = self.server.agreed()
        return self
