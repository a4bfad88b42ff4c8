"""A device's key was copied: what its thief gets, and what ends it."""

import shutil
import time
from dataclasses import replace
from pathlib import Path

from adapters.errors import ControlPlaneError
from adapters.member import Member
from controlplane.capabilities.verification import CapabilityVerifier
from evaluation.beyond.asking import asked, proof, shown
from evaluation.beyond.attempt import Attempt, Tally
from evaluation.beyond.sizes import Sizes
from evaluation.beyond.updates import Federation
from evaluation.beyond.world import GATEWAY, GUARDED, MODEL, Timed, World

FOLLOWS_SECONDS = 10.0
PATIENCE_SECONDS = 30.0
LOOK_SECONDS = 0.01


def key_theft(on: World, off: World, sizes: Sizes) -> list[Attempt]:
    """Copy keys, and go as far as they lead in both worlds."""
    return [_plain(on), _attested(on, off), _hostile(on, off, sizes), _revoked(on), _rotated(on)]


COMMON = Attempt(
    attack="key theft",
    has="a copy of the device's folder, with its key",
    tries="",
    protection="",
    on=Tally(0, 0),
    off=None,
    without="",
)


def _plain(world: World) -> Attempt:
    thief, timed = _thief(world, "plain"), Timed()
    tries = 3
    got = sum(timed(asked, thief).allowed for _ in range(tries))
    return replace(
        COMMON,
        tries="asks a model that wants no attestation, from a network of the device's segment",
        protection="none: to the control plane he is the device",
        on=Tally(tries, got),
        decision_ms=timed.milliseconds,
        noticed="nobody, while he asks as the device does; every decision is on record",
    )


def _attested(on: World, off: World) -> Attempt:
    timed, tries = Timed(), 3
    thieves = [_thief(world, "attested") for world in (on, off)]
    got, got_off = (sum(timed(asked, thief, GUARDED).allowed for _ in range(tries)) for thief in thieves)
    return replace(
        COMMON,
        tries="asks a model that wants the platform attested, from another machine",
        protection="attestation: evidence is of a platform, for a time, and bound to the key",
        on=Tally(tries, got),
        off=Tally(tries, got_off),
        without="in policy data: the model's sensitivity asks for no attestation",
        decision_ms=timed.milliseconds,
        noticed="each refusal is on record, with what was missing",
    )


def _hostile(on: World, off: World, sizes: Sizes) -> Attempt:
    rounds = [_submits(world, sizes) for world in (on, off)]
    (won, until), (won_off, _) = rounds
    return replace(
        COMMON,
        tries="submits updates that go the other way",
        protection="screening, trust and quarantine",
        on=Tally(sizes.rounds, won),
        off=Tally(sizes.rounds, won_off),
        without="in policy data: no bound on evidence or p-values, and patience with evidence up to a thousand million",
        noticed="behaviour: the verdict names the measurements",
        figures={} if until is None else {"rounds to quarantine": float(until)},
    )


def _submits(world: World, sizes: Sizes) -> tuple[int, int | None]:
    members = [world.enrol(f"cohort-{number}", "trainer", "consumer") for number in range(sizes.cohort)]
    federation = Federation(world, members, "cohort-aggregator")
    won, until = 0, None
    for turn in range(1, sizes.rounds + 1):
        won += federation.round(turn)
        if until is None and federation.state_of_last == "quarantined":
            until = turn
    return won, until


def _revoked(world: World) -> Attempt:
    thief, operator = _thief(world, "revoked"), world.staff("revoking-operator", "operator")
    gateway = world.staff("revoking-gateway", "gateway")
    standings = gateway.plane.follow_revocations(FOLLOWS_SECONDS, issuer=world.url)
    point = CapabilityVerifier(gateway.plane.jwks(), world.url, GATEWAY, world.clock, standings=standings)
    token = asked(thief).require().access_token
    before = shown(point, token, proof(thief, world, token))
    began, tried, won = time.monotonic(), 0, 0
    operator.plane.set_status(thief.id, "quarantined", "its key was copied")
    while time.monotonic() < began + PATIENCE_SECONDS:
        tried += 1
        if not shown(point, token, proof(thief, world, token)):
            break
        won += 1
        time.sleep(LOOK_SECONDS)
    seconds = time.monotonic() - began
    return replace(
        COMMON,
        tries="goes on with what he was granted, once an operator has set the device apart",
        protection="revocation, which enforcement points follow",
        on=Tally(1, int(won == tried)),
        off=Tally(1, int(before)),
        without="by design: an enforcement point that does not follow takes it until it expires, 300 s at most",
        noticed="the enforcement point, by the cause `revoked`",
        figures={"seconds until it is refused": round(seconds, 3)},
    )


def _rotated(world: World) -> Attempt:
    owner = world.enrol("rotates", "consumer")
    thief = world.open("rotates", _copied(world, "rotates"))
    owner.rotate_key()
    tries = 3
    return replace(
        COMMON,
        tries="asks with the old key once the owner has given the device another one",
        protection="rotation: what was signed with the old key is void",
        on=Tally(tries, sum(_is_served(thief) for _ in range(tries))),
        without="by design: a name that is bound to one key for ever cannot be taken back from a thief",
        noticed="the control plane refuses whoever shows the old key",
    )


def _is_served(member: Member) -> bool:
    try:
        return asked(member, MODEL).allowed
    except ControlPlaneError:
        return False


def _thief(world: World, name: str) -> Member:
    world.enrol(f"robbed-{name}", "trainer", "consumer")
    return world.open(f"robbed-{name}", _copied(world, f"robbed-{name}"))


def _copied(world: World, name: str) -> Path:
    return Path(shutil.copytree(world.folder / "parties" / name, world.folder / "stolen" / name))
