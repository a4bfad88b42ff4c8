"""What a secure sum costs its server and each of its clients: ``python -m benchmarks.confidential_sums --json``.

By default 100 clients of 1,000,000 values, of whom a tenth goes away before its masked values arrive, so that their
masks have to be taken off pair by pair, and a tenth afterwards, whose values are in the sum. Clients take their turns
in one process: none has another core to itself. The sum is compared with that of the values themselves.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any, TypeVar

import numpy as np

from adapters.secureaggregation import Client, Scale, Server, Session, Tolerance, lead
from adapters.secureaggregation.masks import Words, zeros
from adapters.secureaggregation.messages import Stage, write, write_masked
from benchmarks.memory import peak_bytes
from controlplane.jose.keys import DeviceKey

R = TypeVar("R")

_SERVER = (
    "take_advertisement",
    "roster",
    "take_sharing",
    "deliveries",
    "take_masked",
    "survivors",
    "take_agreement",
    "agreed",
    "take_revealed",
    "total",
)
_CLIENT = ("advertise", "share", "mask", "agree", "reveal")


@dataclass
class _Clock:
    """Adds up what calls take."""

    taken: dict[str, float] = field(default_factory=dict)

    def timed(self, name: str, call: Callable[..., R], key: str) -> Callable[..., R]:
        def measured(*given: Any) -> R:
            began = time.perf_counter()
            found = call(*given)
            seconds = time.perf_counter() - began
            for of in (key, f"{key}.{name}"):
                self.taken[of] = self.taken.get(of, 0.0) + seconds
            return found

        return measured


def measure(
    clients: int = 100, values: int = 1_000_000, dropped: float = 0.2, colluding: float = 0.1
) -> dict[str, Any]:
    """Return the figures of one sum.

    Args:
        clients: that take part.
        values: of each.
        dropped: share of the clients that goes away, half of them before and half after their masked values arrive.
        colluding: share that may work together with the server.

    Raises:
        RuntimeError: the sum is not that of the values.
    """
    keys = [DeviceKey.generate() for _ in range(clients)]
    by_name = dict(sorted((f"dev-{key.thumbprint}", key) for key in keys))
    session = Session("measured", values + 1, tolerance=Tolerance(colluding=colluding, dropped=max(0.25, dropped)))
    scale, names = Scale(1.0, clients), list(by_name)
    half = int(clients * dropped / 2)
    when: dict[str, Stage] = {**dict.fromkeys(names[:half], "mask"), **dict.fromkeys(names[half : 2 * half], "reveal")}
    expected = zeros(values + 1, 32)

    def words(name: str) -> Words:
        drawn = np.random.default_rng(names.index(name)).normal(0.0, 0.3, values)
        return scale.encode(drawn)

    clock, server = _Clock(), Server(session, names)
    parties = {name: Client(session, name, key, names) for name, key in by_name.items()}
    _watch(clock, server, _SERVER, "server")
    for name, party in parties.items():
        _watch(clock, party, _CLIENT, name)
    began = time.perf_counter()
    found = lead(server, parties, words, lambda name, stage: when.get(name) != stage)
    seconds = time.perf_counter() - began
    memory = peak_bytes()
    for name in found.clients:
        np.add(expected, words(name), out=expected)
    if not np.array_equal(found.words, expected):
        raise RuntimeError("the sum is not that of the values")
    each = [clock.taken[name] for name in names if name not in when]
    parameters = session.parameters(clients)
    return {
        "clients": clients,
        "values": values,
        "dropped_before": half,
        "dropped_after": half,
        "in_the_sum": len(found.clients),
        "neighbours": parameters.neighbours,
        "threshold": parameters.threshold,
        "quorum": parameters.quorum,
        "privacy_bits": round(min(parameters.privacy_bits, 999.0), 1),
        "secure_sum_seconds": clock.taken["server"],
        "unmasking_seconds": clock.taken["server.total"],
        "client_seconds_median": median(each),
        "client_seconds_most": max(each),
        "masking_seconds_median": median(clock.taken[f"{name}.mask"] for name in names if name not in when),
        "all_seconds": seconds,
        "client_sends_bytes": _sent(session, by_name),
        "vector_bytes": 4 * (values + 1),
        "peak_bytes": memory,
        "error_bound": scale.error(len(found.clients), len(found.clients)),
    }


def _watch(clock: _Clock, party: object, names: tuple[str, ...], key: str) -> None:
    for name in names:
        setattr(party, name, clock.timed(name, getattr(party, name), key))


def _sent(session: Session, keys: dict[str, DeviceKey]) -> int:
    """What one client sends in all, bytes: its sum with a vector of the session's size, which is most of it."""
    names = list(keys)
    small = Session("sizes", 1, tolerance=session.tolerance)
    sizes = {"bytes": 0}
    server = Server(small, names)
    parties = {name: Client(small, name, key, names) for name, key in keys.items()}
    first = parties[names[0]]
    for stage in _CLIENT:
        call = getattr(first, stage)

        def counted(*given: Any, call: Callable[..., Any] = call, stage: str = stage) -> Any:
            answer = call(*given)
            sizes["bytes"] += len(write_masked(answer) if stage == "mask" else write(answer))
            return answer

        setattr(first, stage, counted)
    lead(server, parties, lambda _name: zeros(1, 32))
    return sizes["bytes"] + 4 * (session.length - 1)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\nExample: python -m benchmarks.confidential_sums --clients 20 --values 10000 --json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--values", type=int, default=1_000_000)
    parser.add_argument("--dropped", type=float, default=0.2)
    parser.add_argument("--colluding", type=float, default=0.1)
    parser.add_argument("--json", action="store_true", help="as JSON")
    asked = parser.parse_args()
    found = measure(asked.clients, asked.values, asked.dropped, asked.colluding)
    print(json.dumps(found) if asked.json else "\n".join(f"{name}: {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
