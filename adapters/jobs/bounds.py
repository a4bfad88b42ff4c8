"""What a job does not go beyond, whatever its clients do."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bounds:
    """How many and how long.

    Attributes:
        least_members: a round waits for so many announcements.
        most_members: no more are taken into a round.
        gather_seconds: how long a round waits for more than the least.
        round_seconds: how long a round is open.
        renew_seconds: how long those whose capabilities ran out meanwhile have to show fresh ones.
        transfer_seconds: how long one body may take in either direction.
        wait_seconds: how long a caller may wait for news in one request.
        waiting: callers that wait at a time; others are answered at once.
        connections: at a time; others are closed.
        tries: of one member in one round, for each of its requests.
        linger_seconds: how long the end of the job is announced.
        stage_seconds: how long each stage of a secure sum may take after the first; of a short round, an eighth.

    Raises:
        ValueError: a number is not above zero, or the least is above the most.
    """

    least_members: int = 4
    most_members: int = 1000
    gather_seconds: float = 10.0
    round_seconds: float = 600.0
    renew_seconds: float = 15.0
    transfer_seconds: float = 120.0
    wait_seconds: float = 25.0
    waiting: int = 1024
    connections: int = 4096
    tries: int = 16
    linger_seconds: float = 3.0
    stage_seconds: float = 30.0

    def __post_init__(self) -> None:
        """Refuse what bounds nothing, or everything."""
        above_zero = (
            self.least_members,
            self.most_members,
            self.round_seconds,
            self.transfer_seconds,
            self.wait_seconds,
            self.waiting,
            self.connections,
            self.tries,
            self.stage_seconds,
        )
        at_least_zero = (self.gather_seconds, self.renew_seconds, self.linger_seconds)
        if not all(value > 0 for value in above_zero) or not all(value >= 0 for value in at_least_zero):
            raise ValueError("bounds are above zero; times to gather, renew and linger may be zero")
        if self.least_members > self.most_members:
            raise ValueError("a round cannot need more members than it takes")
