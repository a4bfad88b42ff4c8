"""How much is tried."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """How much of each attack is tried.

    Attributes:
        thefts: capabilities that are stolen.
        cohort: devices of the federation in which a stolen key submits.
        rounds: of that federation, and of those that an aggregator lies in.
        cameras: devices on the network in which one was taken over.
        flood: requests of whoever floods.
        sentences: that the small model learns from; half as many are members.
        queries: that a prober asks in a minute.
        windows: minutes that he goes on.
        forgeries: times that each forgery of evidence is tried; none skips attestation.
    """

    thefts: int = 20
    cohort: int = 8
    rounds: int = 8
    cameras: int = 20
    flood: int = 400
    sentences: int = 1200
    queries: int = 90
    windows: int = 6
    forgeries: int = 2


FULL = Sizes()
QUICK = Sizes(thefts=2, cohort=5, rounds=2, cameras=3, flood=125, sentences=160, queries=30, windows=2, forgeries=1)
"""Small sizes: does everything run?"""
