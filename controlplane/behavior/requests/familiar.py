"""What is familiar of a subject's requests: what it asks for, from which networks, at which hours; constant in size.

A change is told once: what was met in one window is less of a surprise in the next. So a device that moves house is
odd for a window or two, and one whose thief looks around stays odd for as long as he does.
"""

from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address
from typing import Annotated

from pydantic import Field, StringConstraints

from controlplane.contracts.base import Count, StrictModel

HOURS = 168
"""Of a week."""

NETWORKS = 16
"""That are remembered; of more, those that were met longest ago are forgotten."""

_BITS = 512
_MARKS = 3
_FULL = _BITS // 3
_MOST_HOURS = 1344
"""Hours that are remembered, eight weeks of all of them; then the older count half."""

_NEIGHBOUR, _OTHER_DAY = 0.5, 0.25
_USUAL_SHARE = 0.25
"""An hour is a usual one from this share of the average hour's familiarity on."""

Bits = Annotated[str, StringConstraints(pattern=rf"^[0-9a-f]{{{_BITS // 4}}}$")]
Mark = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}$")]

_NONE = "0" * (_BITS // 4)


@lru_cache(65_536)
def network_of(address: str) -> str:
    """Return a mark of the network that an address is in: /24 of IPv4, /48 of IPv6; of none for what is no address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return _mark(b"")
    return _mark(parsed.packed[: 6 if isinstance(parsed, IPv6Address) else 3])


@lru_cache(65_536)
def pair_of(action: str, resource: str) -> int:
    """Return a number for an action on a resource."""
    return int.from_bytes(blake2b(f"{action}\x00{resource}".encode(), digest_size=8).digest())


@lru_cache(4096)
def mark_of(name: str) -> str:
    """Return a short mark of a name."""
    return _mark(name.encode())


def _mark(of: bytes) -> str:
    return blake2b(of, digest_size=4).hexdigest()


class Pairs(StrictModel):
    """Actions on resources that were met: a Bloom filter (CACM 13, 1970) of two generations, so that it never fills up.

    One that was never met is taken for familiar once in 13 times at most.
    """

    new: Bits = _NONE
    old: Bits = _NONE

    def holds(self, pair: int) -> bool:
        """Whether a pair was met, most likely."""
        places = _places(pair)
        return pair >= 0 and any(int(bits, 16) & places == places for bits in (self.new, self.old))

    def with_(self, pairs: frozenset[int]) -> "Pairs":
        """Return these and some more; a number below 0 is none."""
        new, old = int(self.new, 16), self.old
        for pair in pairs:
            new |= _places(pair) if pair >= 0 else 0
        if new.bit_count() > _FULL:
            new, old = 0, f"{new:0{_BITS // 4}x}"
        return Pairs(new=f"{new:0{_BITS // 4}x}", old=old)


def _places(pair: int) -> int:
    places = 0
    for shift in range(0, 16 * _MARKS, 16):
        places |= 1 << (pair >> shift) % _BITS
    return places


class Networks(StrictModel):
    """In how many windows a subject was met in which networks.

    Attributes:
        windows: by network, the one that was met last at the end.
    """

    windows: Annotated[dict[Mark, Count], Field(max_length=NETWORKS)] = Field(default_factory=dict)

    def surprise(self, network: str) -> float:
        """How unfamiliar a network is, in [0, 1]: half after one window, a third after two."""
        return 1.0 / (1 + self.windows.get(network, 0))

    def with_(self, networks: frozenset[str]) -> "Networks":
        """Return these, met in one more window in some."""
        kept = {name: count for name, count in self.windows.items() if name not in networks}
        met = {name: min(10_000, self.windows.get(name, 0) + 1) for name in sorted(networks)[:NETWORKS]}
        last = list({**kept, **met}.items())[-NETWORKS:]
        return Networks(windows=dict(last))


class Hours(StrictModel):
    """At which hours of the week a subject is met.

    Attributes:
        met: how often, by hour of the week (UTC, Monday first); an hour counts once, however much was asked in it.
        current: the hour that is being met, since 1970; it counts when it is over.
    """

    met: Annotated[list[Count], Field(min_length=HOURS, max_length=HOURS)] = Field(default_factory=lambda: [0] * HOURS)
    current: Count | None = None

    @property
    def total(self) -> int:
        """Hours that were met."""
        return sum(self.met)

    def surprise(self, time: float) -> float:
        """How unusual the hour of a time (Unix seconds) is, in [0, 1].

        The hours beside it, and the same hour of other days, count in.
        """
        total = self.total
        if not total:
            return 0.0
        hour = hour_of_week(time)
        others = sum(self.met[(hour + day * 24) % HOURS] for day in range(1, 7))
        around = self.met[hour - 1] + self.met[(hour + 1) % HOURS]
        familiarity = self.met[hour] + _NEIGHBOUR * around + _OTHER_DAY * others
        average = total / HOURS * (1.0 + 2.0 * _NEIGHBOUR + 6.0 * _OTHER_DAY)
        return max(0.0, 1.0 - familiarity / (_USUAL_SHARE * average))

    def with_(self, time: float) -> "Hours":
        """Return these, met at a time (Unix seconds)."""
        current = int(time // 3600)
        if self.current is None or current == self.current:
            return Hours(met=self.met, current=current)
        met = list(self.met)
        met[hour_of_week(self.current * 3600.0)] += 1
        if sum(met) > _MOST_HOURS:
            met = [count // 2 for count in met]
        return Hours(met=met, current=current)


def hour_of_week(time: float) -> int:
    """Return the hour of the week of a time (Unix seconds), 0 for Monday's first, UTC."""
    moment = datetime.fromtimestamp(time, UTC)
    return moment.weekday() * 24 + moment.hour
