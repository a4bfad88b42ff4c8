"""How many neighbours, which threshold, how many signatures: computed from what is tolerated, or refused as unsafe.

Each client picks ``neighbours`` of the others by itself, and shares its secrets among these; two are masked against
each other when one picked the other (the sparse graph of Bell et al.: Secure single-server aggregation with
(poly)logarithmic overhead, CCS 2020, for a server that does not keep to the protocol). With few clients everybody is
everybody's neighbour, as in Bonawitz et al., CCS 2017, and nothing is left to chance.

What could go wrong. A client goes on only while ``threshold`` of those that it picked are there. Honest clients are cut
off from the other honest ones, so that a part of the sum shows, only if there is a set of them, no larger than half,
each of whom picked ``threshold`` of this set and the colluders alone; for one client by itself that is also when
colluders can put its secrets together. The server chooses who is dropped after it has seen the graph, so the chance is
added up over all such sets, whoever else is dropped.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from adapters.secureaggregation.errors import Unsafe

FEWEST_CLIENTS = 3
MOST_CLIENTS = 4096


@dataclass(frozen=True)
class Tolerance:
    """What a sum withstands; agreed on before anybody takes part.

    Attributes:
        colluding: share of the members that may work together with the server, whatever it does.
        dropped: share of the clients that may go away once they advertised, and the sum still comes about.
        privacy_bits: that honest clients are cut off happens with a chance of 2 to minus this, at most.
        failure_bits: that no sum comes about though no more than ``dropped`` went away, likewise.
    """

    colluding: float = 1 / 3
    dropped: float = 0.25
    privacy_bits: float = 40.0
    failure_bits: float = 20.0

    def __post_init__(self) -> None:
        """Refuse what nobody could mean.

        Raises:
            ValueError: a share is not in [0, 1), or a chance is above 2^-10.
        """
        shares = 0.0 <= self.colluding < 1.0 and 0.0 <= self.dropped < 1.0
        if not shares or self.privacy_bits < 10.0 or self.failure_bits < 10.0:
            raise ValueError("shares are in [0, 1), and chances no larger than 2^-10")


@dataclass(frozen=True)
class Parameters:
    """What follows for so many clients.

    Attributes:
        clients: that advertised keys.
        colluding: of these may collude, at most: all members that may, for the server says whose keys arrived.
        neighbours: each client picks so many.
        threshold: so many shares give a secret; so many of those that it picked a client wants to see go on.
        quorum: so many clients must have signed the same survivors: of two such sets an honest client is in both.
        privacy_bits: the chance that honest clients are cut off is 2 to minus this, at most.
        failure_bits: as in `Tolerance`.
    """

    clients: int
    colluding: int
    neighbours: int
    threshold: int
    quorum: int
    privacy_bits: float
    failure_bits: float


@lru_cache(maxsize=256)
def choose(clients: int, tolerance: Tolerance, members: int = 0) -> Parameters:
    """Return the parameters for so many clients: as few neighbours as are safe. Everybody computes the same.

    Args:
        clients: that advertised keys.
        tolerance: what is withstood.
        members: that could have; no fewer than the clients, and as many when none is said. Colluders are a share of
            these: a server that shows few keys shows theirs.

    Raises:
        Unsafe: none are.
    """
    if not FEWEST_CLIENTS <= clients <= MOST_CLIENTS:
        raise Unsafe(f"a secure sum is over {FEWEST_CLIENTS} to {MOST_CLIENTS} clients, and {clients} take part")
    # One client's values would be the sum less the others': at least one colluder is always reckoned with.
    colluding = max(1, _of(tolerance.colluding, max(clients, members)))
    dropped = _of(tolerance.dropped, clients)
    if clients - colluding < 2:
        raise Unsafe(f"{colluding} of {clients} clients may collude, and the sum less theirs would be one client's")
    quorum = (clients + colluding) // 2 + 1
    if quorum > clients - dropped:
        raise Unsafe(
            f"of {clients} clients {quorum} must sign the same survivors while {colluding} may collude, and only "
            f"{clients - dropped} are left when {dropped} drop out: have more take part, or tolerate fewer of either"
        )
    low, high = 1, clients - 1
    while low < high:
        middle = (low + high) // 2
        if _sparse(clients, colluding, dropped, quorum, middle, tolerance) is None:
            low = middle + 1
        else:
            high = middle
    found = _sparse(clients, colluding, dropped, quorum, low, tolerance) if low < clients - 1 else None
    return found or _complete(clients, colluding, dropped, quorum)


def _of(share: float, count: int) -> int:
    """So many a share of them are: 29 of 100 at 0.29, of which the nearest double is less."""
    return int(share * count + 1e-9)


def _complete(clients: int, colluding: int, dropped: int, quorum: int) -> Parameters:
    """Everybody is everybody's neighbour: colluders have fewer shares than the threshold, those who stay have more."""
    least, most = colluding + 1, clients - 1 - dropped
    if least > most:
        raise Unsafe(f"{clients} clients are too few for {colluding} colluders and {dropped} dropouts")
    infinite = float("inf")
    return Parameters(clients, colluding, clients - 1, (least + most) // 2, quorum, infinite, infinite)


def _sparse(
    clients: int, colluding: int, dropped: int, quorum: int, neighbours: int, tolerance: Tolerance
) -> Parameters | None:
    low, high = 1, neighbours
    while low < high:
        middle = (low + high) // 2
        if privacy_bits(clients, colluding, neighbours, middle) >= tolerance.privacy_bits:
            high = middle
        else:
            low = middle + 1
    private = privacy_bits(clients, colluding, neighbours, low)
    failing = failure_bits(clients, dropped, neighbours, low)
    if private < tolerance.privacy_bits or failing < tolerance.failure_bits:
        return None
    return Parameters(clients, colluding, neighbours, low, quorum, private, failing)


def privacy_bits(clients: int, colluding: int, neighbours: int, threshold: int) -> float:
    """Return minus the binary logarithm of the chance that honest clients can be cut off from the others.

    Args:
        clients: in all.
        colluding: of these work together with the server.
        neighbours: that each picks, fewer than the others.
        threshold: of these that must go on.
    """
    honest = clients - colluding
    logs = _log_factorials(clients)
    sizes = np.arange(1, honest // 2 + 1)
    each = _log_tail(logs, clients - 1, sizes - 1 + colluding, neighbours, threshold)
    sets = logs[honest] - logs[sizes] - logs[honest - sizes]
    return _bits(sets + sizes * each)


def failure_bits(clients: int, dropped: int, neighbours: int, threshold: int) -> float:
    """Return minus the binary logarithm of the chance that too few of somebody's neighbours are left.

    Args:
        clients: in all.
        dropped: of these go away, whoever picked them.
        neighbours: that each picks.
        threshold: of these that must go on.
    """
    logs = _log_factorials(clients)
    # Fewer than the threshold stay when more than the rest go.
    gone = _log_tail(logs, clients - 1, np.array([dropped]), neighbours, neighbours - threshold + 1)
    return _bits(np.log(clients) + gone)


def _log_tail(
    logs: NDArray[np.float64], others: int, marked: NDArray[np.int64], picked: int, least: int
) -> NDArray[np.float64]:
    """Log of the chance that ``picked`` of ``others`` hold at least ``least`` of the marked ones (hypergeometric)."""
    held = np.arange(least, picked + 1)
    if not len(held):
        return np.full(len(marked), -np.inf)
    marked = np.minimum(marked, others)[:, None]
    unmarked, rest = others - marked, picked - held
    possible = (held <= marked) & (rest <= unmarked)
    held_in, rest_in = np.minimum(held, marked), np.minimum(rest, unmarked)
    chances = (
        (logs[marked] - logs[held_in] - logs[marked - held_in])
        + (logs[unmarked] - logs[rest_in] - logs[unmarked - rest_in])
        - (logs[others] - logs[picked] - logs[others - picked])
    )
    tails: NDArray[np.float64] = np.logaddexp.reduce(np.where(possible, chances, -np.inf), axis=1)
    return np.minimum(0.0, tails)


def _bits(logs: NDArray[np.float64]) -> float:
    total = float(np.logaddexp.reduce(logs)) if len(logs) else -np.inf
    return max(0.0, -total / float(np.log(2.0)))


@lru_cache(maxsize=64)
def _log_factorials(most: int) -> NDArray[np.float64]:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, most + 1)))])
