"""Sum values that nobody sees: eight clients and a server, with every message as bytes, and two clients that go away.

Nothing else is needed, not even a control plane: keys stand for devices that are named after them. Replace the calls
between the parties with your transport.

    python -m examples.secure_aggregation.summing --clients 8 --values 1000
"""

import argparse

import numpy as np
from numpy.typing import NDArray

from adapters.secureaggregation import Client, Scale, Server, Session
from adapters.secureaggregation.messages import (
    Advertisement,
    Agreed,
    Agreement,
    Delivery,
    M,
    Revealed,
    Roster,
    Sharing,
    Survivors,
    read,
    read_masked,
    write,
    write_masked,
)
from controlplane.jose.keys import DeviceKey

Doubles = NDArray[np.float64]


def whole(values: int, number: int) -> Doubles:
    """Return what a client would have added."""
    return np.random.default_rng(number).normal(0.0, 0.2, values)


def run(clients: int, values: int) -> tuple[Doubles, Doubles, float]:
    """Return the mean that the server has, the mean of what was added, and how far they may be apart."""
    keys = [DeviceKey.generate() for _ in range(clients)]
    names = [f"dev-{key.thumbprint}" for key in keys]
    session, scale = Session("example-1", values + 1), Scale(1.0, clients)
    server = Server(session, names)
    parties = {name: Client(session, name, key, names) for name, key in zip(names, keys, strict=True)}
    for name, party in parties.items():
        server.take_advertisement(name, sent(Advertisement, write(party.advertise())))
    roster = write(server.roster())
    for name, party in parties.items():
        server.take_sharing(name, sent(Sharing, write(party.share(sent(Roster, roster)))))
    for name, delivery in server.deliveries().items():
        # The first one goes away before its values arrive.
        if name != names[0]:
            words = scale.encode(whole(values, names.index(name)))
            masked = write_masked(parties[name].mask(sent(Delivery, write(delivery)), words))
            arrived = read_masked(masked, 4 * (values + 1))
            if arrived is not None:
                server.take_masked(name, arrived)
    survivors = write(server.survivors())
    for name in server.participants("mask"):
        server.take_agreement(name, sent(Agreement, write(parties[name].agree(sent(Survivors, survivors)))))
    agreed = write(server.agreed())
    for name in server.participants("agree"):
        # The second one goes away afterwards: its values are in the sum.
        if name != names[1]:
            server.take_revealed(name, sent(Revealed, write(parties[name].reveal(sent(Agreed, agreed)))))
    found = server.total()
    mean, _ = scale.decode(found.words, len(found.clients))
    exact = np.mean([whole(values, names.index(name)).clip(-1.0, 1.0) for name in found.clients], axis=0)
    return mean, exact, scale.error(len(found.clients), len(found.clients))


def sent(kind: type[M], raw: bytes) -> M:
    """Return what arrives on the other side: it stands for any transport.

    Raises:
        ValueError: it is no such message.
    """
    found = read(kind, raw)
    if found is None:
        raise ValueError(f"this is no {kind.__name__}")
    return found


def main() -> None:
    """Print how far the server's mean is off."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--values", type=int, default=1000)
    given = parser.parse_args()
    mean, exact, bound = run(given.clients, given.values)
    print(f"off by {np.abs(mean - exact).max():.3g} at most, and {bound:.3g} is allowed")


if __name__ == "__main__":
    main()
