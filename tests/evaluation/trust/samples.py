"""Results, made up."""

from collections.abc import Mapping, Sequence

from controlplane.contracts.behaviour import Attack
from evaluation.trust.results import Cell, Guarded, Sighting, Unguarded

CELL = Cell(scenario="backdoor", skew=0.5, seed=1)
CLEAN = CELL.model_copy(update={"scenario": "none"})
TURNS = 12


def seen(
    turn: int,
    device: int,
    *,
    attacks: bool = False,
    accepted: bool = True,
    quarantined: bool = False,
    attack: Attack | None = None,
) -> Sighting:
    return Sighting(
        turn=turn,
        device=device,
        is_attacking=attacks,
        accepted=accepted and not quarantined,
        state="quarantined" if quarantined else "watched",
        attack=attack,
    )


def watched(
    *, honest: int = 4, onset: int = 1, caught_in: int | None = 3, wronged: Mapping[int, int] | None = None
) -> list[Sighting]:
    """A federation of honest devices and an attacker, the last one, which is refused from its onset on.

    Args:
        honest: devices.
        onset: of the attack.
        caught_in: the round in which the attacker is quarantined.
        wronged: honest devices, and the round in which each is quarantined.
    """
    early = wronged or {}
    sightings = []
    for turn in range(1, TURNS + 1):
        sightings += [seen(turn, device, quarantined=turn >= early.get(device, TURNS + 1)) for device in range(honest)]
        caught = caught_in is not None and turn >= caught_in
        active = turn >= onset
        sightings.append(seen(turn, honest, attacks=active, accepted=not active, quarantined=caught, attack="backdoor"))
    return sightings


def unguarded(cell: Cell = CELL, *, accuracy: float = 0.8, attack_success: float = 1.0) -> Unguarded:
    return Unguarded(cell=cell, revision="r", seconds=1.0, accuracy=accuracy, attack_success=attack_success)


def guarded(
    cell: Cell = CELL,
    *,
    accuracy: float = 0.89,
    attack_success: float = 0.01,
    sightings: Sequence[Sighting] | None = None,
) -> Guarded:
    return Guarded(
        cell=cell,
        revision="r",
        seconds=2.0,
        accuracy=accuracy,
        attack_success=attack_success,
        attack_successes=[0.0, 0.3, attack_success],
        rollbacks=[3],
        sightings=list(watched() if sightings is None else sightings),
    )
