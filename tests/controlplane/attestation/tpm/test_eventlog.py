"""Logs of what firmware loaded, and what is believed of them."""

import hashlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.attestation.interface import EvidenceRefused
from controlplane.attestation.tpm import boot
from controlplane.attestation.tpm.eventlog import MAX_EVENTS, parse_event_log
from tests.controlplane.attestation.tpm.making import (
    ACTION,
    APPLICATION,
    NO_ACTION,
    SEPARATOR,
    Logged,
    event_log,
    replayed,
    secure_boot,
    usual_boot,
)


@pytest.mark.parametrize("banks", [("sha256",), ("sha1", "sha256"), ("sha1", "sha256", "sha384"), ("sha384",)])
def test_replaying_gives_the_registers(banks: tuple[str, ...]) -> None:
    bank = banks[-1]
    log = parse_event_log(event_log(usual_boot(), banks), bank)
    values = replayed(usual_boot(), bank)
    assert log.replayed() == values
    assert log.quoted(values) == log
    for pcr in (0, 4, 7):
        with pytest.raises(EvidenceRefused, match=f"unbound: .* register {pcr}"):
            log.quoted(values | {pcr: bytes(len(values[pcr]))})


def test_register_0_begins_with_the_locality_that_started_the_platform() -> None:
    log = parse_event_log(event_log(usual_boot(), locality=3), "sha256")
    log.quoted(replayed(usual_boot(), locality=3))
    with pytest.raises(EvidenceRefused):
        log.quoted(replayed(usual_boot()))


def test_a_log_tells_nothing_of_registers_that_were_not_quoted() -> None:
    values = replayed(usual_boot())
    part = parse_event_log(event_log(usual_boot()), "sha256").quoted({0: values[0]})
    assert {event.pcr for event in part.events} == {0}
    assert boot.secure_boot(part) is None
    assert boot.started(part) == []


@pytest.mark.parametrize(("value", "said"), [(b"\1", "enabled"), (b"\0", "disabled"), (b"", "disabled")])
def test_secure_boot_is_what_firmware_measured(value: bytes, said: str) -> None:
    assert boot.secure_boot(parse_event_log(event_log(usual_boot(value)), "sha256")) == said


def test_secure_boot_is_not_what_is_measured_after_firmware_or_under_another_name() -> None:
    end = Logged(7, SEPARATOR, bytes(4))
    late = [end, secure_boot(b"\1")]
    named = [secure_boot(b"\1", "SecureBoots"), secure_boot(b"\1", "secureBoot"), end]
    for events in (late, named, [secure_boot(b"\1")], [Logged(4, 1, secure_boot(b"\1").data)]):
        assert boot.secure_boot(parse_event_log(event_log(events), "sha256")) is None
    with pytest.raises(EvidenceRefused, match="both"):
        boot.secure_boot(parse_event_log(event_log([secure_boot(b"\1"), secure_boot(b"\0"), end]), "sha256"))


def test_what_firmware_measured_of_secure_boot_cannot_be_hidden_or_moved() -> None:
    """Whoever runs the system extends register 7 by a statement of their own, and rewrites the log's texts."""
    off, end, forged = secure_boot(b"\0"), Logged(7, SEPARATOR, bytes(4)), secure_boot(b"\1")
    hidden = Logged(7, off.kind, b"something else", off.data)
    with pytest.raises(EvidenceRefused, match=r"register 7 .* is not what its digest is over"):
        boot.secure_boot(parse_event_log(event_log([hidden, end, forged]), "sha256"))
    moved = Logged(7, ACTION, b"no separator", end.data)
    log = parse_event_log(event_log([off, moved, forged]), "sha256")
    log.quoted(replayed([off, end, forged]))
    assert boot.secure_boot(log) == "disabled"


def test_everything_that_was_started_is_told_whatever_its_event_is_called() -> None:
    started = [hashlib.sha256(image).digest() for image in (b"loader", b"kernel")]
    assert boot.started(parse_event_log(event_log(usual_boot()), "sha256")) == started
    renamed = [
        Logged(event.pcr, ACTION if event.kind == APPLICATION else event.kind, event.data, event.image)
        for event in usual_boot()
    ]
    assert boot.started(parse_event_log(event_log(renamed), "sha256")) == started


def test_an_event_that_is_hidden_changes_the_registers() -> None:
    hidden = [Logged(e.pcr, NO_ACTION if e.image == b"kernel" else e.kind, e.data, e.image) for e in usual_boot()]
    with pytest.raises(EvidenceRefused, match="register 4"):
        parse_event_log(event_log(hidden), "sha256").quoted(replayed(usual_boot()))


@pytest.mark.parametrize("pcr", range(8))
def test_a_log_that_is_silent_of_a_register_of_firmware_is_refused(pcr: int) -> None:
    """Nothing would seem to have been started where register 4 is left out."""
    values = replayed([*usual_boot(), Logged(pcr, 1, b"something")])
    silent = [event for event in usual_boot() if event.pcr != pcr]
    with pytest.raises(EvidenceRefused, match=f"unbound: .* register {pcr}"):
        parse_event_log(event_log(silent), "sha256").quoted(values)
    rest = {9: b"\1" * 32} | {other: value for other, value in values.items() if other != pcr}
    parse_event_log(event_log(silent), "sha256").quoted(rest)


def test_what_is_no_log_is_refused() -> None:
    good = event_log(usual_boot())
    old = struct.pack("<II20sI", 0, 8, bytes(20), 4) + b"text"
    for bad in (
        b"",
        old,
        good[:-1],
        good + b"\0",
        good[:40],
        bytes(200_000),
        bytes(300),
        good.replace(b"Event03", b"Event02"),
    ):
        with pytest.raises(EvidenceRefused, match=r"malformed|unsupported"):
            parse_event_log(bad, "sha256")
    with pytest.raises(EvidenceRefused, match="unsupported: the event log has no digests of sha384"):
        parse_event_log(good, "sha384")
    many = event_log([Logged(0, 8, b"")] * (MAX_EVENTS + 1), ["sha256"])
    with pytest.raises(EvidenceRefused, match="malformed"):
        parse_event_log(many[:196_608], "sha256")
    for pcr in (17, 24, 0xFFFFFFFF):
        with pytest.raises(EvidenceRefused, match="unsupported"):
            parse_event_log(event_log([Logged(pcr, 8, b"")]), "sha256")


@settings(max_examples=60)
@given(st.binary(max_size=400), st.integers(0, 500))
def test_any_bytes_are_read_or_refused(some: bytes, at: int) -> None:
    good = event_log(usual_boot())
    for data in (some, good[:at] + some + good[at + len(some) :]):
        try:
            log = parse_event_log(data, "sha256")
            boot.started(log), boot.secure_boot(log)
        except EvidenceRefused as refused:
            assert refused.cause in ("malformed", "unsupported", "unbound")
