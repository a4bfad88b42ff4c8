"""How often callers may ask."""

from dataclasses import dataclass

from controlplane.api.rates import Rate


@dataclass(frozen=True)
class EdgeLimits:
    """Bounds of the edge.

    Attributes:
        rate: requests a second of one enrolled key.
        burst: of one enrolled key.
        stranger_rate: refused or anonymous requests a second of one address.
        stranger_burst: of one address.
        rotation_rate: new keys a second of one device; each is a record for ever, which a ledger may charge for.
        rotation_burst: of one device.
        challenge_rate: challenges a second of one device; each may cost a computation with a large key.
        challenge_burst: of one device.
        release_rate: secrets a second of one device.
        release_burst: of one device.
    """

    rate: float = 200.0
    burst: float = 400.0
    stranger_rate: float = 20.0
    stranger_burst: float = 100.0
    rotation_rate: float = 1 / 600
    rotation_burst: float = 10.0
    challenge_rate: float = 0.5
    challenge_burst: float = 30.0
    release_rate: float = 1.0
    release_burst: float = 60.0


@dataclass(frozen=True)
class LimitParts:
    """What counts how often somebody asked.

    Attributes:
        callers: requests of those who are enrolled.
        strangers: of everybody else, by address.
        rotations: new keys of one device.
        challenges: of one device.
        released: secrets that one device asked for.
    """

    callers: Rate
    strangers: Rate
    rotations: Rate
    challenges: Rate
    released: Rate
